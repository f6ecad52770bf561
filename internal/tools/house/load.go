package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A pkg is a package that was read, without its tests.
type pkg struct {
	dir   string // from the root of the module
	fset  *token.FileSet
	files []*ast.File
	info  *types.Info
	types *types.Package
}

// listed is what go list says of a package.
type listed struct {
	ImportPath, Dir, Export string
	GoFiles, CgoFiles       []string
	DepOnly, Standard       bool
	Module                  *struct{ Dir string }
}

// load reads the packages that the patterns of go list name. What they import comes from
// the export data of the compiler.
func load(patterns []string) ([]*pkg, error) {
	args := append([]string{"list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles,CgoFiles,DepOnly,Standard,Module"}, patterns...)
	cmd := exec.Command("go", args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	exports := map[string]string{}
	var wanted []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var l listed
		if err := dec.Decode(&l); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		exports[l.ImportPath] = l.Export
		if !l.DepOnly {
			wanted = append(wanted, l)
		}
	}
	fset := token.NewFileSet()
	imports := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		if exports[path] == "" {
			return nil, fmt.Errorf("go list knows no package %s", path)
		}
		return os.Open(exports[path])
	})
	var packages []*pkg
	for _, l := range wanted {
		sources := map[string]any{}
		for _, name := range append(l.GoFiles, l.CgoFiles...) {
			sources[filepath.Join(l.Dir, name)] = nil
		}
		dir := l.ImportPath
		if l.Module != nil {
			dir = strings.TrimPrefix(strings.TrimPrefix(l.Dir, l.Module.Dir), "/")
		}
		p, err := parse(fset, dir, l.ImportPath, sources, imports)
		if err != nil {
			return nil, err
		}
		packages = append(packages, p)
	}
	return packages, nil
}

// parse reads one package from its files. The text of a file that is nil is read from disk.
func parse(fset *token.FileSet, dir, path string, sources map[string]any, imports types.Importer) (*pkg, error) {
	p := &pkg{dir: dir, fset: fset, info: &types.Info{Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{}}}
	for _, name := range sortedKeys(sources) {
		f, err := parser.ParseFile(fset, name, sources[name], parser.SkipObjectResolution|parser.ParseComments)
		if err != nil {
			return nil, err
		}
		p.files = append(p.files, f)
	}
	var err error
	conf := types.Config{Importer: imports, FakeImportC: true}
	p.types, err = conf.Check(path, fset, p.files, p.info)
	return p, err
}

// file returns the name of the file in which something is declared.
func (p *pkg) file(pos token.Pos) string { return filepath.Base(p.fset.Position(pos).Filename) }

// declared reports whether an object is one of the package's own that is not local to a
// function: something at the top of a file, a method, or a field.
func (p *pkg) declared(obj types.Object) bool {
	if obj == nil || obj.Pkg() != p.types || obj.Name() == "_" {
		return false
	}
	switch obj := obj.(type) {
	case *types.Var:
		return obj.Parent() == p.types.Scope() || obj.IsField() && !p.local(obj.Pos())
	case *types.Func:
		return obj.Parent() == p.types.Scope() || obj.Signature().Recv() != nil && !p.local(obj.Pos())
	case *types.TypeName, *types.Const:
		return obj.Parent() == p.types.Scope()
	}
	return false
}

// local reports whether a position is within the body of a function.
func (p *pkg) local(pos token.Pos) bool {
	for _, f := range p.files {
		if pos < f.FileStart || f.FileEnd < pos {
			continue
		}
		for _, decl := range f.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Body != nil && fn.Body.Pos() <= pos && pos < fn.Body.End() {
				return true
			}
		}
	}
	return false
}
