package test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// tableCells are the cells of the tables of a page, row by row.
func tableCells(t *testing.T, path string) (rows [][]string) {
	t.Helper()
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "|") {
			rows = append(rows, strings.Split(strings.Trim(line, "|\n"), "|"))
		}
	}
	return rows
}

// Both languages have the same tables: as many cells, with the same names in them.
func TestSecurityPagesAgree(t *testing.T) {
	names := regexp.MustCompile("`[^`]+`|root")
	english, russian := tableCells(t, "../docs/security.md"), tableCells(t, "../docs/ru/security.md")
	if len(english) != len(russian) || len(english) < 20 {
		t.Fatalf("%d rows in English, %d in Russian", len(english), len(russian))
	}
	answers := map[string]string{"yes": "да", "no": "нет", "nobody": "никто"}
	for i, row := range english {
		if len(row) != len(russian[i]) {
			t.Errorf("%q has %d cells, %q has %d", row, len(row), russian[i], len(russian[i]))
			continue
		}
		for j, cell := range row {
			other := russian[i][j]
			if !slices.Equal(names.FindAllString(cell, -1), names.FindAllString(other, -1)) {
				t.Errorf("%q, in Russian %q", cell, other)
			}
			if want := answers[strings.TrimSpace(cell)]; want != "" && strings.TrimSpace(other) != want {
				t.Errorf("%q, in Russian %q", cell, other)
			}
		}
	}
}
