package test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A docPage is what two languages of a page have in common.
type docPage struct {
	sections []docSection
	tables   [][][]string // rows of cells
	blocks   []docBlock
}

// A docSection is a heading and the prose below it.
type docSection struct {
	line  int
	level int // number of #
	text  string
}

// A docBlock is a block of code, without its comments.
type docBlock struct {
	line     int
	language string
	code     string
}

var (
	comment      = regexp.MustCompile(`(^|\s+)#( .*)?$`)
	codeWord     = regexp.MustCompile("`[^`]+`")
	number       = regexp.MustCompile(`\d+(?:[ .]\d+)*`)
	indentedLine = regexp.MustCompile(`^(?: {4}| {7})\S|^ {8,}\S`)
)

// parsePage finds the parts of a page. A block of code is fenced, or indented after an
// empty line by four columns, in a list by seven.
func parsePage(t *testing.T, path string) *docPage {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := &docPage{sections: []docSection{{}}}
	var block *docBlock
	fenced, inTable, afterEmpty := false, false, true
	flush := func() {
		if block != nil {
			block.code = strings.TrimSpace(block.code)
			page.blocks, block = append(page.blocks, *block), nil
		}
	}
	for i, line := range strings.Split(string(text), "\n") {
		switch {
		case strings.HasPrefix(line, "```") && fenced:
			fenced = false
			flush()
			afterEmpty = false
			continue
		case strings.HasPrefix(line, "```"):
			flush()
			fenced, inTable = true, false
			block = &docBlock{line: i + 1, language: strings.TrimPrefix(line, "```")}
			continue
		case fenced, indentedLine.MatchString(line) && (block != nil || afterEmpty):
			if block == nil {
				block = &docBlock{line: i + 1}
			}
			block.code += strings.TrimRight(comment.ReplaceAllString(line, ""), " ") + "\n"
			continue
		case line == "":
			if block != nil {
				block.code += "\n"
			}
			afterEmpty, inTable = true, false
			continue
		}
		flush()
		afterEmpty = false
		section := &page.sections[len(page.sections)-1]
		switch {
		case strings.HasPrefix(line, "|"):
			cells := strings.Split(strings.Trim(line, "|"), "|")
			if !inTable {
				page.tables = append(page.tables, nil)
			}
			inTable = true
			last := len(page.tables) - 1
			page.tables[last] = append(page.tables[last], cells)
		case strings.HasPrefix(line, "#"):
			level := len(line) - len(strings.TrimLeft(line, "#"))
			page.sections = append(page.sections, docSection{line: i + 1, level: level})
		default:
			section.text += line + " "
		}
	}
	flush()
	return page
}

// codeWords returns the distinct code words of a text.
func codeWords(text string) []string {
	words := map[string]bool{}
	for _, word := range codeWord.FindAllString(text, -1) {
		words[word] = true
	}
	return slices.Sorted(maps.Keys(words))
}

// Both languages of a page have the same headings, tables and blocks of code, and name the
// same settings, options and figures, so that a change of one has to be made to the other.
func TestRussianPages(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../docs/ru/*.md")
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"README.md", "deploy.md", "migrating.md", "security.md", "signals.md", "troubleshoot.md"}
	for _, name := range names {
		if !slices.Contains(pages, "../docs/ru/"+name) {
			t.Errorf("docs/ru/%s is not there", name)
		}
	}
	for _, path := range pages {
		name := filepath.Base(path)
		original := "../docs/" + name
		if name == "README.md" {
			original = "../README.md"
		}
		t.Run(name, func(t *testing.T) {
			english, russian := parsePage(t, original), parsePage(t, path)
			sameSections(t, english.sections, russian.sections)
			sameTables(t, english.tables, russian.tables)
			sameBlocks(t, english.blocks, russian.blocks)
		})
	}
}

func sameSections(t *testing.T, english, russian []docSection) {
	if len(english) != len(russian) {
		t.Errorf("%d headings in English, %d in Russian", len(english)-1, len(russian)-1)
		return
	}
	for i, e := range english {
		r := russian[i]
		if e.level != r.level {
			t.Errorf("line %d: the heading is of level %d, in Russian (line %d) of %d", e.line, e.level, r.line, r.level)
		}
		if a, b := codeWords(e.text), codeWords(r.text); !slices.Equal(a, b) {
			t.Errorf("line %d: the section names %v, in Russian (line %d) %v", e.line, missing(a, b), r.line, missing(b, a))
		}
	}
}

// missing returns what is in a and not in b.
func missing(a, b []string) (only []string) {
	for _, s := range a {
		if !slices.Contains(b, s) {
			only = append(only, s)
		}
	}
	return only
}

func sameTables(t *testing.T, english, russian [][][]string) {
	if len(english) != len(russian) {
		t.Errorf("%d tables in English, %d in Russian", len(english), len(russian))
		return
	}
	answers := map[string]string{"yes": "да", "no": "нет", "nobody": "никто"}
	for i, table := range english {
		other := russian[i]
		if len(table) != len(other) {
			t.Errorf("table %d, %q: %d rows in English, %d in Russian", i+1, table[0], len(table), len(other))
			continue
		}
		for j, row := range table {
			if len(row) != len(other[j]) {
				t.Errorf("%q has %d cells, %q has %d", row, len(row), other[j], len(other[j]))
				continue
			}
			for k, e := range row {
				r := other[j][k]
				e, r = strings.TrimSpace(e), strings.TrimSpace(r)
				for _, names := range []*regexp.Regexp{codeWord, number, regexp.MustCompile(`\broot\b`)} {
					a, b := names.FindAllString(e, -1), names.FindAllString(r, -1)
					slices.Sort(a)
					slices.Sort(b)
					if !slices.Equal(a, b) {
						t.Errorf("%q, in Russian %q", e, r)
						break
					}
				}
				if want := answers[e]; want != "" && r != want || (e == "") != (r == "") {
					t.Errorf("%q, in Russian %q", e, r)
				}
			}
		}
	}
}

func sameBlocks(t *testing.T, english, russian []docBlock) {
	if len(english) != len(russian) {
		t.Errorf("%d blocks in English, %d in Russian", len(english), len(russian))
		return
	}
	for i, e := range english {
		if r := russian[i]; e.language != r.language || e.code != r.code {
			t.Errorf("line %d, %s:\n%s\nin Russian, line %d, %s:\n%s", e.line, e.language, e.code, r.line, r.language, r.code)
		}
	}
}
