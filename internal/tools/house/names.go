package main

import (
	"cmp"
	"fmt"
	"go/types"
	"slices"
	"strings"
)

// A name is a name with its meanings in a package, each as a reader would point at it:
// "method (*queue).send, dispatch.go".
type name struct {
	name     string
	meanings []string
}

// names returns the names of the package, those with most meanings first.
func (p *pkg) names() []name {
	interfaces := p.interfaces()
	found := map[string]map[string]string{} // by name, then by what makes the meaning one
	for _, obj := range p.info.Defs {
		if !p.declared(obj) {
			continue
		}
		key, text := p.meaning(obj, interfaces)
		if key == "" {
			continue
		}
		if found[obj.Name()] == nil {
			found[obj.Name()] = map[string]string{}
		}
		// Of several places the first by name stands for all.
		if old := found[obj.Name()][key]; old == "" || text < old {
			found[obj.Name()][key] = text
		}
	}
	names := make([]name, 0, len(found))
	for _, word := range sortedKeys(found) {
		n := name{name: word}
		for _, key := range sortedKeys(found[word]) {
			n.meanings = append(n.meanings, found[word][key])
		}
		slices.Sort(n.meanings)
		names = append(names, n)
	}
	slices.SortStableFunc(names, func(a, b name) int { return cmp.Compare(len(b.meanings), len(a.meanings)) })
	return names
}

// meaning returns what makes a meaning one, and the words for it; nothing for what is not
// counted.
func (p *pkg) meaning(obj types.Object, interfaces []*types.Interface) (key, text string) {
	file := p.file(obj.Pos())
	switch obj := obj.(type) {
	case *types.Var:
		if !obj.IsField() {
			return "variable", "variable, " + file
		}
		typ := types.TypeString(obj.Type(), types.RelativeTo(p.types))
		if namesType(obj.Name(), typ) {
			return "", ""
		}
		return "field " + typ, fmt.Sprintf("field of type %s, %s", typ, file)
	case *types.TypeName:
		return "type", "type, " + file
	case *types.Func:
		recv := obj.Signature().Recv()
		if recv == nil {
			return "function", "function, " + file
		}
		owner := types.TypeString(recv.Type(), types.RelativeTo(p.types))
		if types.IsInterface(recv.Type()) {
			return "method " + owner, fmt.Sprintf("method of the interface %s, %s", owner, file)
		}
		if sig := obj.Signature(); sig.Params().Len() == 0 && sig.Results().Len() == 1 &&
			namesType(obj.Name(), types.TypeString(sig.Results().At(0).Type(), types.RelativeTo(p.types))) {
			return "", ""
		}
		if implements(recv.Type(), obj.Name(), interfaces) {
			return "", ""
		}
		return "method " + owner, fmt.Sprintf("method (%s), %s", owner, file)
	}
	return "", ""
}

// namesType reports whether a type is that of the name, or a pointer to it: Queue and
// *dispatch.Queue for queue.
func namesType(name, typ string) bool {
	typ = strings.TrimLeft(typ, "*")
	typ = typ[strings.LastIndexByte(typ, '.')+1:]
	return strings.EqualFold(name, typ)
}

// interfaces returns the interfaces that a method of the package can be there for: its own,
// and those that the packages export that it imports, directly or not.
func (p *pkg) interfaces() []*types.Interface {
	var all []*types.Interface
	seen := map[*types.Package]bool{}
	var visit func(*types.Package)
	visit = func(of *types.Package) {
		if seen[of] {
			return
		}
		seen[of] = true
		for _, word := range of.Scope().Names() {
			obj, ok := of.Scope().Lookup(word).(*types.TypeName)
			if !ok || of != p.types && !obj.Exported() {
				continue
			}
			if i, ok := obj.Type().Underlying().(*types.Interface); ok && i.NumMethods() > 0 {
				all = append(all, i)
			}
		}
		for _, imported := range of.Imports() {
			visit(imported)
		}
	}
	visit(p.types)
	if err, ok := types.Universe.Lookup("error").Type().Underlying().(*types.Interface); ok {
		all = append(all, err)
	}
	return all
}

// implements reports whether the type of a method, or a pointer to it, implements one of
// the interfaces that have a method of that name.
func implements(typ types.Type, method string, interfaces []*types.Interface) bool {
	if _, ok := typ.(*types.Pointer); !ok {
		typ = types.NewPointer(typ)
	}
	return slices.ContainsFunc(interfaces, func(i *types.Interface) bool {
		has := slices.ContainsFunc(slices.Collect(i.Methods()), func(m *types.Func) bool { return m.Name() == method })
		return has && types.Implements(typ, i)
	})
}
