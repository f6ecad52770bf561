package settings

import (
	"fmt"
	"strings"
)

// PythonTable returns python/indrik/compat/settingtable.py: what a program in Python that
// starts the server can ask of each setting, and the options that set it.
func PythonTable() string {
	var b strings.Builder
	b.WriteString(`"""The settings, for programs. Made from internal/settings by: go generate ./internal/settings"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Tuple

# Of each: its name, its section, its options, the form of its value, and its default.
# fmt: off
TABLE: Tuple[Tuple[str, str, Tuple[str, ...], str, Any], ...] = (
`)
	for i := range Table {
		s := &Table[i]
		flags := make([]string, len(s.Flags))
		for j, flag := range s.Flags {
			flags[j] = fmt.Sprintf("%q,", flag)
		}
		fmt.Fprintf(&b, "    (%q, %q, (%s), %q, %s),\n", s.Name, s.Section, strings.Join(flags, " "), s.pythonForm(), pyRepr(s.Default))
	}
	b.WriteString(")\n# fmt: on\n")
	return b.String()
}

// pythonForm is the form of the values that a program sets, as compat.config knows it.
func (s *Setting) pythonForm() string {
	switch {
	case s.Kind == KindHook:
		return "hook"
	case s.Kind == KindBool && s.Off:
		return "off"
	case s.Kind == KindBool:
		return "bool"
	case s.Kind == KindInt, s.Kind == KindCount:
		return "int"
	case s.Repeats():
		return "list"
	case s.Bare != "":
		return "bare:" + s.Bare
	}
	return "text"
}
