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
	path     string
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
	linkWithText = regexp.MustCompile(`\[([^\[\]]*)\]\(([^()#\s]*)(#[^()\s]*)?\)`)
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
	page := &docPage{path: path, sections: []docSection{{}}}
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
		case strings.HasPrefix(line, "<a id="): // the name that the English heading has
		default:
			section.text += line + " "
		}
	}
	flush()
	return page
}

// distinct returns the distinct matches of a pattern.
func distinct(pattern *regexp.Regexp, text string) []string {
	found := map[string]bool{}
	for _, match := range pattern.FindAllString(text, -1) {
		found[match] = true
	}
	return slices.Sorted(maps.Keys(found))
}

// Both languages of a page have the same headings, tables and blocks of code, and name the
// same settings, options and figures and lead to the same pages, so that a change of one has to be made to the other.
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
		t.Run(name, func(t *testing.T) {
			english, russian := parsePage(t, original(name)), parsePage(t, path)
			sameSections(t, english, russian)
			sameTables(t, english, russian)
			sameBlocks(t, english.blocks, russian.blocks)
		})
	}
}

// links returns the distinct files and fragments that a text of a page leads to, those in
// docs/ru by the names of their originals, without the links to the page in the other
// language. Whoever reads Russian is not to be led to an English page that is there in
// Russian.
func (p *docPage) links(t *testing.T, text string) []string {
	targets := map[string]bool{}
	for _, m := range linkWithText.FindAllStringSubmatch(text, -1) {
		name, file, fragment := strings.ToLower(m[1]), m[2], m[3]
		if name == "по-русски" || name == "in english" || strings.Contains(file, ":") {
			continue
		}
		if file == "" {
			file = filepath.Base(p.path)
		}
		target := filepath.Join(filepath.Dir(p.path), file)
		if inRussian := filepath.Join("../docs/ru", filepath.Base(target)); strings.Contains(p.path, "/ru/") && target != inRussian {
			if _, err := os.Stat(inRussian); err == nil && target == original(filepath.Base(target)) {
				t.Errorf("%s: %s is there in Russian", p.path, target)
			}
		} else if target == inRussian {
			target = original(filepath.Base(target))
		}
		targets[target+fragment] = true
	}
	return slices.Sorted(maps.Keys(targets))
}

// original returns the English page of a Russian one.
func original(name string) string {
	if name == "README.md" {
		return "../README.md"
	}
	return "../docs/" + name
}

func sameSections(t *testing.T, englishPage, russianPage *docPage) {
	english, russian := englishPage.sections, russianPage.sections
	if len(english) != len(russian) {
		t.Errorf("%d headings in English, %d in Russian", len(english)-1, len(russian)-1)
		return
	}
	for i, e := range english {
		r := russian[i]
		if a, b := englishPage.links(t, e.text), russianPage.links(t, r.text); !slices.Equal(a, b) {
			t.Errorf("line %d: the section leads to %v, in Russian (line %d) to %v", e.line, missing(a, b), r.line, missing(b, a))
		}
		if e.level != r.level {
			t.Errorf("line %d: the heading is of level %d, in Russian (line %d) of %d", e.line, e.level, r.line, r.level)
		}
		if a, b := distinct(number, e.text), distinct(number, r.text); !slices.Equal(a, b) {
			t.Errorf("line %d: the section has the figures %q, in Russian (line %d) %q", e.line, missing(a, b), r.line, missing(b, a))
		}
		if a, b := distinct(codeWord, e.text), distinct(codeWord, r.text); !slices.Equal(a, b) {
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

func sameTables(t *testing.T, englishPage, russianPage *docPage) {
	english, russian := englishPage.tables, russianPage.tables
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
				if !slices.Equal(englishPage.links(t, e), russianPage.links(t, r)) {
					t.Errorf("%q, in Russian %q: the links differ", e, r)
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
