//go:build linux

package test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"indrik/test/harness"
)

var (
	namedCode  = regexp.MustCompile("`((?:internal|python)/[\\w/.]+\\.(?:go|py))`: ((?:`\\w+`(?:, )?)+)")
	namedFile  = regexp.MustCompile("`((?:internal|python|test|bench|cmd|docs|packaging)/[\\w/.-]+\\.\\w+)`")
	goVerb     = regexp.MustCompile(`%[\d.]*[a-z]`)
	notLetter  = regexp.MustCompile(`[^A-Za-z]`)
	decisionID = regexp.MustCompile(`^(\d{3})-[\w-]+\.md$`)
	pythonText = regexp.MustCompile(`"((?:[^"\\\n]|\\.)*)"`)
)

// funcsIn returns the functions and methods that a file declares.
func funcsIn(t *testing.T, path string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	if strings.HasSuffix(path, ".py") {
		text, err := os.ReadFile(path)
		harness.Must(t, err)
		for _, m := range regexp.MustCompile(`(?m)^\s*(?:async )?def (\w+)`).FindAllSubmatch(text, -1) {
			found[string(m[1])] = true
		}
		return found
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	harness.Must(t, err)
	for _, decl := range file.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok {
			found[f.Name.Name] = true
		}
	}
	return found
}

// texts returns the string literals of the program, Go's and Python's, each as an expression
// that matches what comes of it.
func texts(t *testing.T) (found []*regexp.Regexp) {
	t.Helper()
	add := func(text string) {
		// One with few letters of its own would match anything.
		text, _, _ = strings.Cut(strings.TrimSpace(text), "\n") // the first of its lines
		if letters := notLetter.ReplaceAllString(goVerb.ReplaceAllString(text, ""), ""); len(letters) >= 6 && strings.Contains(text, " ") {
			parts := goVerb.Split(text, -1)
			for i := range parts {
				parts[i] = regexp.QuoteMeta(strings.ReplaceAll(parts[i], "%%", "%"))
			}
			found = append(found, regexp.MustCompile("^"+strings.Join(parts, ".*")))
		}
	}
	for _, dir := range []string{"internal", "python/indrik"} {
		harness.Must(t, filepath.WalkDir(filepath.Join(harness.Repository, dir), func(path string, _ fs.DirEntry, err error) error {
			switch {
			case err != nil || strings.HasSuffix(path, "_test.go"):
				return err
			case strings.HasSuffix(path, ".go"):
				file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
				harness.Must(t, err)
				ast.Inspect(file, func(n ast.Node) bool {
					if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
						text, err := strconv.Unquote(lit.Value)
						harness.Must(t, err)
						add(text)
					}
					return true
				})
			case strings.HasSuffix(path, ".py"):
				text, err := os.ReadFile(path)
				harness.Must(t, err)
				for _, m := range pythonText.FindAllSubmatch(text, -1) {
					add(string(m[1]))
				}
			}
			return nil
		}))
	}
	return found
}

// docs/deaths.md names functions where they are, and lines of the log as the program has them.
func TestDeaths(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(harness.Repository, "docs/deaths.md"))
	harness.Must(t, err)
	named := namedCode.FindAllSubmatch(page, -1)
	if len(named) < 20 {
		t.Errorf("the page names %d files with functions", len(named))
	}
	for _, m := range named {
		declared := funcsIn(t, filepath.Join(harness.Repository, string(m[1])))
		for _, name := range codeWord.FindAllString(string(m[2]), -1) {
			if name = strings.Trim(name, "`"); !declared[name] {
				t.Errorf("%s has no function %s", m[1], name)
			}
		}
	}
	lines := 0
	known := texts(t)
	for row := range strings.SplitSeq(string(page), "\n") {
		text, ok := strings.CutPrefix(row, "| in the log |")
		if !ok {
			continue
		}
		for _, line := range codeWord.FindAllString(text, -1) {
			line = strings.Trim(line, "`")
			lines++
			if !matchesAny(known, line) {
				t.Errorf("nothing in the program writes %q", line)
			}
		}
	}
	if lines < 12 {
		t.Errorf("the page has %d lines of the log", lines)
	}
}

func matchesAny(patterns []*regexp.Regexp, line string) bool {
	for _, p := range patterns {
		if p.MatchString(line) {
			return true
		}
	}
	return false
}

// The files that the pages for contributors name are there.
func TestNamedFiles(t *testing.T) {
	t.Parallel()
	pages := []string{"CONTRIBUTING.md", "docs/architecture.md", "docs/protocol.md", "docs/glossary.md", "docs/deaths.md", "docs/performance.md"}
	decisions, err := filepath.Glob(filepath.Join(harness.Repository, "docs/decisions/*.md"))
	harness.Must(t, err)
	for _, path := range decisions {
		pages = append(pages, "docs/decisions/"+filepath.Base(path))
	}
	for _, page := range pages {
		text, err := os.ReadFile(filepath.Join(harness.Repository, page))
		harness.Must(t, err)
		for _, m := range namedFile.FindAllSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(harness.Repository, string(m[1]))); err != nil {
				t.Errorf("%s names %s, which is not there", page, m[1])
			}
		}
	}
}

// Each decision has a number, a date and three parts, and is in the list, which has its title.
func TestDecisions(t *testing.T) {
	t.Parallel()
	list, err := os.ReadFile(filepath.Join(harness.Repository, "docs/decisions/README.md"))
	harness.Must(t, err)
	entries, err := os.ReadDir(filepath.Join(harness.Repository, "docs/decisions"))
	harness.Must(t, err)
	next := 1
	before := ""
	for _, entry := range entries {
		m := decisionID.FindStringSubmatch(entry.Name())
		if m == nil {
			continue
		}
		if n, err := strconv.Atoi(m[1]); err != nil || n != next {
			t.Errorf("%s is not number %d", entry.Name(), next)
		}
		next++
		text, err := os.ReadFile(filepath.Join(harness.Repository, "docs/decisions", entry.Name()))
		harness.Must(t, err)
		lines := strings.SplitN(string(text), "\n", 4)
		title, ok := strings.CutPrefix(lines[0], "# "+m[1]+". ")
		date := lines[2]
		if !ok || !regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`).MatchString(date) {
			t.Errorf("%s does not begin with its number, a title and a date", entry.Name())
		}
		if date < before {
			t.Errorf("%s is older than the one before it", entry.Name())
		}
		before = date
		if row := "| " + m[1] + " | [" + title + "](" + entry.Name() + ") | " + date + " |"; !strings.Contains(string(list), row) {
			t.Errorf("README.md does not have %q", row)
		}
		for _, part := range []string{"Context", "Decision", "Consequences"} {
			if !strings.Contains(string(text), "\n## "+part+"\n") {
				t.Errorf("%s has no part %q", entry.Name(), part)
			}
		}
	}
	if rows := strings.Count(string(list), ".md) | 20"); rows != next-1 {
		t.Errorf("README.md lists %d decisions of %d", rows, next-1)
	}
}

// Each dependency has a row with its reason.
func TestDependencyReasons(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(harness.Repository, "docs/architecture.md"))
	harness.Must(t, err)
	for path := range dependencies {
		if !strings.Contains(string(page), "\n| `"+path+"` | ") {
			t.Errorf("docs/architecture.md gives no reason for %s", path)
		}
	}
	if rows := len(regexp.MustCompile("(?m)^\\| `[\\w-]+(?:\\.[a-z]+)+/").FindAll(page, -1)); rows != len(dependencies) {
		t.Errorf("docs/architecture.md has %d dependencies, go.mod %d", rows, len(dependencies))
	}
}
