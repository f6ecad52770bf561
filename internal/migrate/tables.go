package migrate

import (
	"fmt"
	"strings"
)

// documented returns the sources with a table on the page, by the first cell of its head.
func documented() map[string]*source {
	all := map[string]*source{}
	for _, s := range []*source{uvicorn(), hypercorn(), granian(), uwsgi(), unit()} {
		all[s.name] = s
	}
	return all
}

// A Language is one that the page is in.
type Language int

// The languages of the page.
const (
	English Language = iota
	Russian
)

// Page returns a page with its tables written anew: each table whose head names a source. It
// is an error if a source has no table.
func Page(page string, in Language) (string, error) {
	var b strings.Builder
	all, written := documented(), map[string]bool{}
	inside := false
	for line := range strings.SplitAfterSeq(page, "\n") {
		name, isHead := strings.CutSuffix(strings.TrimSpace(line), " | Indrik | |")
		s := all[strings.TrimPrefix(name, "| ")]
		switch {
		case isHead && s != nil:
			fmt.Fprintf(&b, "| %s | Indrik | |\n|---|---|---|\n%s", s.name, s.table(in))
			written[s.name], inside = true, true
		case inside && strings.HasPrefix(line, "|"):
		default:
			inside = false
			b.WriteString(line)
		}
	}
	for name := range all {
		if !written[name] {
			return "", fmt.Errorf("the page has no table | %s | Indrik | |", name)
		}
	}
	return b.String(), nil
}

// table writes a row for each rule.
func (s *source) table(in Language) string {
	var b strings.Builder
	for _, r := range s.rules {
		var names []string
		for spec := range strings.FieldsSeq(r.names) {
			name := strings.NewReplacer("[no-]", "", "=", "", "?", "", "*", "…").Replace(spec)
			if !strings.Contains(name, "_") {
				name = s.dashes + name
			}
			if name = "`" + name + "`"; len(names) == 0 || names[len(names)-1] != name {
				names = append(names, name)
			}
		}
		instead, note := r.instead, r.note
		if in == Russian {
			note = strings.ReplaceAll(r.russian, "](", "](../")
		}
		switch instead {
		case "":
			instead = "–"
		case "=":
			instead = map[Language]string{English: "the same", Russian: "то же"}[in]
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", strings.Join(names, ", "), instead, note)
	}
	return strings.ReplaceAll(b.String(), "|  |\n", "| |\n")
}
