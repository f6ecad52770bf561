//go:build linux

package test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"indrik/test/harness"
)

var (
	namedTest  = regexp.MustCompile("`(Test[A-Za-z0-9]+)`")
	linkedPage = regexp.MustCompile(`\]\(([\w./-]*[./][\w./-]*)?(?:#([\w-]*))?\)`)
	heading    = regexp.MustCompile(`(?m)^#+ (.*)$`)
	anchor     = regexp.MustCompile(`<a id="([\w-]+)"`)
	notInSlug  = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// anchors are the names that links can put after a page's #: those of its headings, as
// GitHub makes them, and those given in HTML.
func anchors(text []byte) map[string]bool {
	names := map[string]bool{}
	for _, m := range heading.FindAllSubmatch(text, -1) {
		name := notInSlug.ReplaceAllString(strings.ToLower(string(m[1])), "")
		names[strings.ReplaceAll(name, " ", "-")] = true
	}
	for _, m := range anchor.FindAllSubmatch(text, -1) {
		names[string(m[1])] = true
	}
	return names
}

// TestClaims finds, in README.md and docs/, tests that do not exist and links that
// lead nowhere.
func TestClaims(t *testing.T) {
	t.Parallel()
	tests := map[string]bool{}
	files, err := filepath.Glob("*_test.go")
	harness.Must(t, err)
	units, err := filepath.Glob(filepath.Join(harness.Repository, "internal", "*", "*_test.go"))
	harness.Must(t, err)
	files = append(files, units...)
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		harness.Must(t, err)
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil {
				tests[f.Name.Name] = true
			}
		}
	}
	pages, err := filepath.Glob(filepath.Join(harness.Repository, "docs", "*.md"))
	harness.Must(t, err)
	more, err := filepath.Glob(filepath.Join(harness.Repository, "docs", "*", "*.md"))
	harness.Must(t, err)
	for _, name := range []string{"README.md", "CONTRIBUTING.md"} {
		pages = append(pages, filepath.Join(harness.Repository, name))
	}
	for _, page := range append(pages, more...) {
		text, err := os.ReadFile(page)
		harness.Must(t, err)
		for _, m := range namedTest.FindAllSubmatch(text, -1) {
			if !tests[string(m[1])] {
				t.Errorf("%s: there is no %s", page, m[1])
			}
		}
		for _, m := range linkedPage.FindAllSubmatch(text, -1) {
			target := page
			if len(m[1]) > 0 {
				target = filepath.Join(filepath.Dir(page), string(m[1]))
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %s is not there", page, m[1])
			} else if len(m[2]) > 0 {
				text, err := os.ReadFile(target)
				harness.Must(t, err)
				if !anchors(text)[string(m[2])] {
					t.Errorf("%s: %s has no #%s", page, filepath.Base(target), m[2])
				}
			}
		}
	}
}
