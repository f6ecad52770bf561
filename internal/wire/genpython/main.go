// Genpython writes python/indrik/protocol.py: the numbers of the protocol that both sides
// must agree on. It takes the constants of package wire by the type checker, so that a
// name, a value and an order are written down once. Run it in the root of the repository:
//
//	go run ./internal/wire/genpython
package main

import (
	"flag"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
)

// head is what the module begins with.
const head = `"""The numbers of the protocol between the front and the workers; docs/protocol.md says what
they mean. Made from internal/wire by: go generate ./internal/wire"""
`

// A group is a part of the module: constants of one type, of one prefix, or those named.
type group struct {
	comment string
	typ     string // the name of their type
	prefix  string // of their names
	names   []string
}

var groups = []group{
	{comment: "The kinds of events, front to worker: the first item of each.", typ: "Event"},
	{comment: "The kinds of messages, worker to front: the first item of each.", typ: "ReplyKind"},
	{comment: "The kinds of messages on call connections, and on the slots of pools' workers.", typ: "PoolKind"},
	{comment: "The layout of a scoreboard, in 64-bit words. Those from TOKEN on are of a slot.", prefix: "scoreboard"},
	{comment: "Sizes, in bytes if they are no counts.", names: []string{
		"MaxMessage", "MaxDescriptors", "MaxRevoked", "ClaimSize", "JournalSize", "ResponseBufferSize", "ResponseArenaSize", "ArenaBlock", "pageSize",
	}},
	{comment: "The numbers by which requests, bodies and messages are counted, in bytes except for the bits.", names: []string{
		"IDBits", "ResponseWindow", "BodyWindow", "PartCost",
	}},
	{comment: "The limits of messages on call connections, in bytes.", names: []string{
		"MaxPoolInline", "MaxPoolPayload", "MaxPoolName", "MaxStashKey", "MaxPoolMessage",
	}},
}

func main() {
	out := flag.String("o", "python/indrik/protocol.py", "`file` for the module")
	dir := flag.String("wire", "internal/wire", "`directory` of package wire")
	flag.Parse()
	text, err := module(*dir)
	if err == nil {
		err = os.WriteFile(*out, []byte(text), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "genpython:", err)
		os.Exit(1)
	}
}

// module returns the Python module with the constants of the package in dir.
func module(dir string) (string, error) {
	found, err := constants(dir)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(head)
	for _, g := range groups {
		fmt.Fprintf(&b, "\n# %s\n", g.comment)
		some := false
		for _, c := range found {
			if !g.has(c) {
				continue
			}
			value, ok := constant.Int64Val(c.Val())
			if !ok {
				return "", fmt.Errorf("%s is not an integer", c.Name())
			}
			fmt.Fprintf(&b, "%s = %s\n", snake(c.Name()), number(value))
			some = true
		}
		if !some {
			return "", fmt.Errorf("package wire has no constants for %q", g.comment)
		}
	}
	for _, g := range groups {
		for _, name := range g.names {
			if !strings.Contains(b.String(), "\n"+snake(name)+" = ") {
				return "", fmt.Errorf("package wire has no constant %s", name)
			}
		}
	}
	return b.String(), nil
}

func (g group) has(c *types.Const) bool {
	if slices.Contains(g.names, c.Name()) {
		return true
	}
	if named, ok := c.Type().(*types.Named); ok && named.Obj().Name() == g.typ {
		return true
	}
	return g.prefix != "" && strings.HasPrefix(c.Name(), g.prefix) && isUpper(c.Name()[len(g.prefix)])
}

// constants returns the constants of the package in dir, in the order of its files and of
// their lines. The values need nothing but the package itself, so that its imports are not
// looked for: errors which come of that do not count.
func constants(dir string) ([]*types.Const, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	conf := types.Config{Error: func(error) {}, FakeImportC: true, IgnoreFuncBodies: true, Importer: none{}}
	pkg, _ := conf.Check("wire", fset, files, nil)
	var found []*types.Const
	for _, name := range pkg.Scope().Names() {
		if c, ok := pkg.Scope().Lookup(name).(*types.Const); ok {
			found = append(found, c)
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i].Pos() < found[j].Pos() })
	return found, nil
}

// none imports nothing.
type none struct{}

func (none) Import(path string) (*types.Package, error) {
	return nil, fmt.Errorf("%s is not imported", path)
}

// snake returns the name of a constant as Python writes it: MAX_MESSAGE for MaxMessage, ID_BITS
// for IDBits.
func snake(name string) string {
	var b strings.Builder
	for i := range len(name) {
		startsWord := i > 0 && isUpper(name[i]) && (!isUpper(name[i-1]) || i+1 < len(name) && !isUpper(name[i+1]))
		if startsWord {
			b.WriteByte('_')
		}
		b.WriteString(strings.ToUpper(name[i : i+1]))
	}
	return b.String()
}

func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }

// number writes a size as people do.
func number(n int64) string {
	switch {
	case n > 0 && n%(1<<20) == 0:
		return fmt.Sprintf("%d << 20", n>>20)
	case n >= 10<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%d << 10", n>>10)
	}
	return fmt.Sprint(n)
}
