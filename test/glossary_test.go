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

// turnsOff is a constant that docs/architecture.md gives another value.
var turnsOff = regexp.MustCompile("`([a-z_.]+\\.[A-Za-z]+) = \\d+`")

// A goScope has the names that a package declares: types, functions, constants and
// variables, and Type.Method.
type goScope struct {
	names map[string]bool
	types []string // those that are exported
}

// declarationsOf reads the declarations of a package in internal/, or of the harness, on
// every system, without its tests.
func declarationsOf(t *testing.T, name string) *goScope {
	t.Helper()
	parent := "internal"
	if name == "harness" {
		parent = "test"
	}
	files, err := filepath.Glob(filepath.Join(harness.Repository, parent, name, "*.go"))
	harness.Must(t, err)
	scope := &goScope{names: map[string]bool{}}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		harness.Must(t, err)
		for _, decl := range file.Decls {
			scope.add(decl)
		}
	}
	return scope
}

func (s *goScope) add(decl ast.Decl) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil {
			s.names[d.Name.Name] = true
			return
		}
		receiver := d.Recv.List[0].Type
		if star, ok := receiver.(*ast.StarExpr); ok {
			receiver = star.X
		}
		if id, ok := receiver.(*ast.Ident); ok {
			s.names[id.Name+"."+d.Name.Name] = true
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				s.names[spec.Name.Name] = true
				if spec.Name.IsExported() {
					s.types = append(s.types, spec.Name.Name)
				}
			case *ast.ValueSpec:
				for _, name := range spec.Names {
					s.names[name.Name] = true
				}
			}
		}
	}
}

// The glossary names what is in the code, and every type of the packages that are the
// contract between the processes.
func TestGlossary(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(harness.Repository, "docs/glossary.md"))
	harness.Must(t, err)
	scopes := map[string]*goScope{}
	scope := func(name string) *goScope {
		if scopes[name] == nil {
			scopes[name] = declarationsOf(t, name)
		}
		return scopes[name]
	}
	words, named := map[string]bool{}, map[string]bool{}
	for line := range strings.SplitSeq(string(page), "\n") {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| word |") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if len(cells) != 4 {
			t.Errorf("%q has %d cells", line, len(cells))
			continue
		}
		if words[cells[0]] {
			t.Errorf("%s is there twice", cells[0])
		}
		words[cells[0]] = true
		for _, name := range codeWord.FindAllString(cells[2], -1) {
			name = strings.Trim(name, "`")
			named[name] = true
			if !isDeclared(t, scope, name) {
				t.Errorf("%s: there is no %s", cells[0], name)
			}
		}
	}
	if len(words) < 60 {
		t.Errorf("the page has %d words", len(words))
	}
	table, err := os.ReadFile(filepath.Join(harness.Repository, "docs/architecture.md"))
	harness.Must(t, err)
	switches := turnsOff.FindAllSubmatch(table, -1)
	if len(switches) < 4 {
		t.Errorf("architecture.md turns off %d mechanisms", len(switches))
	}
	for _, m := range switches {
		if !isDeclared(t, scope, string(m[1])) {
			t.Errorf("architecture.md: there is no %s", m[1])
		}
	}
	for _, name := range []string{"wire", "dispatch"} {
		for _, typ := range scope(name).types {
			if !named[name+"."+typ] && !strings.HasSuffix(typ, "Error") {
				t.Errorf("%s.%s is in no row", name, typ)
			}
		}
	}
}

// isDeclared reports whether there is what a row names: package.Name or
// package.Type.Method, or indrik.module.Name of Python.
func isDeclared(t *testing.T, scope func(string) *goScope, name string) bool {
	t.Helper()
	if python, ok := strings.CutPrefix(name, "indrik."); ok {
		dot := strings.LastIndexByte(python, '.')
		class := python[dot+1:]
		text, err := os.ReadFile(filepath.Join(harness.Repository, "python/indrik", strings.ReplaceAll(python[:dot], ".", "/")+".py"))
		return err == nil && regexp.MustCompile(`(?m)^(?:(?:class|def) `+class+`\b|`+class+` = )`).Match(text)
	}
	pkg, rest, _ := strings.Cut(name, ".")
	return scope(pkg).names[rest]
}
