package main

import (
	"go/ast"
	"go/types"
	"slices"
	"strings"
	"testing"
)

// lockedMistakes names the functions of a package whose name and annotation for checklocks
// do not agree: one that is called with a mutex held ends in Locked, and says which if it
// is the receiver's own. A package without any annotation has none to agree with.
func lockedMistakes(p *pkg) (mistakes []string) {
	annotated := false
	for _, f := range p.files {
		for _, decl := range f.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			held, any := false, false
			if fn.Doc != nil {
				for _, c := range fn.Doc.List {
					held = held || strings.HasPrefix(c.Text, "// +checklocks:")
					any = any || strings.HasPrefix(c.Text, "// +checklocks")
				}
			}
			annotated = annotated || any
			switch locked := strings.HasSuffix(fn.Name.Name, "Locked"); {
			case held && !locked:
				mistakes = append(mistakes, fn.Name.Name+" is called with a mutex held, and does not end in Locked")
			case locked && !any && p.hasMutex(fn):
				mistakes = append(mistakes, fn.Name.Name+" does not say which mutex is held: // +checklocks:PATH above it")
			}
		}
	}
	if !annotated {
		return nil
	}
	slices.Sort(mistakes)
	return mistakes
}

// hasMutex reports whether the receiver of a method has a mutex.
func (p *pkg) hasMutex(fn *ast.FuncDecl) bool {
	recv := p.info.Defs[fn.Name].(*types.Func).Signature().Recv()
	if recv == nil {
		return false
	}
	typ := recv.Type()
	if pointer, ok := typ.(*types.Pointer); ok {
		typ = pointer.Elem()
	}
	s, ok := typ.Underlying().(*types.Struct)
	for i := 0; ok && i < s.NumFields(); i++ {
		if name := s.Field(i).Type().String(); name == "sync.Mutex" || name == "sync.RWMutex" {
			return true
		}
	}
	return false
}

func TestLockedFunctionsSayWhichMutex(t *testing.T) {
	packages, err := load([]string{"../../..."})
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) < 20 {
		t.Errorf("only %d packages were read", len(packages))
	}
	for _, p := range packages {
		for _, mistake := range lockedMistakes(p) {
			t.Errorf("%s: %s", p.dir, mistake)
		}
	}
}

func TestLockedMistakes(t *testing.T) {
	p := source(t, `
-- a.go
import "sync"
type x struct{ mu sync.Mutex }
type y struct{}
// +checklocks:v.mu
func (v x) goodLocked() {}
// +checklocks:v.mu
func (v x) bad() {}
func (v x) worseLocked() {}
func (v y) otherLocked() {}
// +checklocksignore
func (v x) ignoredLocked() {}
// +checklocksacquire:v.mu
func (v x) lock() {}
`)
	want := []string{"bad is called with a mutex held, and does not end in Locked", "worseLocked does not say which mutex is held: // +checklocks:PATH above it"}
	if got := lockedMistakes(p); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := lockedMistakes(source(t, "\n-- a.go\nfunc aLocked() {}\n")); got != nil {
		t.Errorf("without annotations: %q", got)
	}
}
