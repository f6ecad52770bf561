package settings

import (
	"fmt"
	"strings"
)

// An Assignment is a value of a layer as the line of a config file has it.
type Assignment struct{ Name, Value string }

// Assignments are the values of a layer as lines of a config file, in the order of the table.
func (l *Layer) Assignments() []Assignment {
	var all []Assignment
	for i := range Table {
		s := &Table[i]
		v, ok := l.Values[s.Name]
		if !ok {
			continue
		}
		text := pyRepr(v)
		if n, isInt := v.(int); isInt && s.Kind == KindMode {
			text = fmt.Sprintf("0o%o", n)
		}
		all = append(all, Assignment{s.Name, text})
	}
	return all
}

// Args are the values of a layer as the arguments of a command line, in the order of the
// table, and by the long names of the options.
func (l *Layer) Args() []string {
	var args []string
	for i := range Table {
		s := &Table[i]
		v, ok := l.Values[s.Name]
		if !ok || !s.HasFlag() {
			continue
		}
		flag := s.Flags[0]
		for _, f := range s.Flags {
			if strings.HasPrefix(f, "--") {
				flag = f
				break
			}
		}
		switch v := v.(type) {
		case bool:
			args = append(args, flag)
		case []string:
			for _, item := range v {
				args = append(args, flag, item)
			}
		case int:
			text := fmt.Sprint(v)
			if s.Kind == KindMode {
				text = fmt.Sprintf("0o%o", v)
			}
			args = append(args, flag, text)
		default:
			args = append(args, flag, pyStr(v))
		}
	}
	return args
}

// Add puts the values of another layer into this one: lists become longer, and of other values
// the later one counts, as on a command line.
func (l *Layer) Add(more *Layer) {
	for name, v := range more.Values {
		if list, ok := l.Values[name].([]string); ok {
			if items, ok := v.([]string); ok && Lookup(name).Repeats() {
				v = append(append([]string(nil), list...), items...)
			}
		}
		l.set(name, v)
	}
}
