package settings

import (
	"fmt"
	"strings"
)

// PythonTypes returns python/indrik/settingtypes.py: the settings as a TypedDict, for
// editors and type checkers, and the names of the hooks.
func PythonTypes() string {
	var b strings.Builder
	b.WriteString(`"""The settings and their types. Made from internal/settings by: go generate ./internal/settings"""

from __future__ import annotations

from typing import Any, Dict, Sequence, TypedDict, Union

HOOKS = frozenset(
    (
`)
	for i := range Table {
		if Table[i].Kind == KindHook {
			fmt.Fprintf(&b, "        %q,\n", Table[i].Name)
		}
	}
	b.WriteString("    )\n)\n\n\nclass Settings(TypedDict, total=False):\n" +
		"    \"\"\"What indrik.run() takes by keyword. docs/settings.md describes each.\"\"\"\n\n")
	for i := range Table {
		if s := &Table[i]; s.Kind != KindHook {
			fmt.Fprintf(&b, "    %s: %s\n", s.Name, s.pythonType())
		}
	}
	return b.String()
}

func (s *Setting) pythonType() string {
	switch s.Kind {
	case KindBool:
		return "bool"
	case KindInt, KindMode, KindCertReqs:
		return "int"
	case KindSeconds:
		return "float"
	case KindCount, KindSize, KindShare, KindUser, KindGroup, KindAny:
		return "Union[int, str]"
	case KindProxyProtocol:
		return "Union[bool, str]"
	case KindMap:
		return "Dict[str, str]"
	case KindDict, KindPools:
		return "Dict[str, Any]"
	case KindStrings, KindPairs, KindAddresses, KindCommaList, KindNetworks, KindPeers, KindFiles, KindProtocols:
		return "Union[str, Sequence[str]]"
	default:
		return "str"
	}
}
