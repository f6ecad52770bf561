package settings

import (
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// IsTOML reports whether a config file is TOML, which needs no Python: its
// settings are in the table tool.indrik.
func IsTOML(path string) bool { return strings.HasSuffix(path, ".toml") }

// FromTOML is the layer of the table tool.indrik in a file such as
// pyproject.toml, whose text is data. It is empty if there is none.
func FromTOML(path string, data []byte) (Layer, error) {
	var file struct {
		Tool map[string]any
	}
	if err := toml.Unmarshal(data, &file); err != nil {
		var at *toml.DecodeError
		if errors.As(err, &at) {
			line, _ := at.Position()
			return Layer{}, fmt.Errorf("%s, line %d: %w", shortPath(path), line, err)
		}
		return Layer{}, fmt.Errorf("%s: %w", shortPath(path), err)
	}
	lines := tomlLines(data)
	values, ok := file.Tool["indrik"].(map[string]any)
	if file.Tool["indrik"] != nil && !ok {
		return Layer{}, fmt.Errorf("%s: tool.indrik is no table", shortPath(path))
	}
	values = maps.Clone(values)
	for name, v := range values {
		if s := Lookup(name); s != nil && s.Kind == KindHook {
			values[name] = badValue{v, "hooks are functions: they can be set in a config file in Python only"}
		}
	}
	return FromFile(path, values, lines), nil
}

// tomlLines finds the lines on which the settings of a TOML file stand.
func tomlLines(data []byte) map[string]int {
	lines := make(map[string]int)
	var p unstable.Parser
	note := func(path []string, node *unstable.Node) {
		if len(path) > 2 && path[0] == "tool" && path[1] == "indrik" && lines[path[2]] == 0 {
			lines[path[2]] = p.Shape(node.Raw).Start.Line
		}
	}
	var keys func(table []string, node *unstable.Node)
	keys = func(path []string, node *unstable.Node) {
		for it := node.Key(); it.Next(); {
			path = append(path[:len(path):len(path)], string(it.Node().Data))
			note(path, it.Node())
		}
		if node.Kind != unstable.KeyValue || node.Value().Kind != unstable.InlineTable {
			return
		}
		for it := node.Value().Children(); it.Next(); {
			keys(path, it.Node())
		}
	}
	p.Reset(data)
	var table []string
	for p.NextExpression() {
		switch node := p.Expression(); node.Kind {
		case unstable.Table, unstable.ArrayTable:
			table = nil
			for it := node.Key(); it.Next(); {
				table = append(table, string(it.Node().Data))
				note(table, it.Node())
			}
		case unstable.KeyValue:
			keys(table, node)
		}
	}
	return lines
}
