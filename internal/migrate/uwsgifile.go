package migrate

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// How deep files of uWSGI may include others, and how many of them.
const (
	maxDepth    = 8
	maxIncludes = 32
)

// A pair is a line of a file of uWSGI's.
type pair struct{ key, value string }

// include reads a file of uWSGI's that an option names: ini, yaml, json, include, inherit ...
// What is behind a colon is a section of it.
func (m *migration) include(o option) {
	file, section, _ := strings.Cut(o.value, ":")
	if file == "" {
		file = m.where
	}
	if m.depth > 0 && !filepath.IsAbs(file) && filepath.Dir(m.where) != "." && m.where != file {
		file = filepath.Join(filepath.Dir(m.where), file)
	}
	if m.included++; m.depth >= maxDepth || m.included > maxIncludes {
		m.remark(o.String(), "too many files include each other")
		return
	}
	text, err := readFile(file)
	if err != nil {
		m.remark(o.String(), err.Error())
		return
	}
	before := m.where
	m.where, m.depth = file, m.depth+1
	if err := m.uwsgiFile(text, section); err != nil {
		m.remark(o.String(), err.Error())
	}
	m.depth--
	if before != "" {
		m.where = before
	}
}

// uwsgiInclude is the action of options that name a file, or a value for others.
func uwsgiInclude(m *migration, o option) {
	switch o.name {
	case "set", "set-ph", "set-placeholder":
		name, value, _ := strings.Cut(o.value, "=")
		m.values["%"+name] = value
	case "xml", "xmlconfig", "config-py", "declare-option", "declare-option2":
		m.say(o)
	default:
		m.include(o)
	}
}

// uwsgiFile takes the options of a section of a file, "" for uwsgi.
func (m *migration) uwsgiFile(text []byte, section string) error {
	if section == "" {
		section = "uwsgi"
	}
	var pairs []pair
	var err error
	switch filepath.Ext(m.where) {
	case ".yaml", ".yml":
		pairs = yamlPairs(text, section)
	case ".json", ".js":
		pairs, err = jsonPairs(text, section)
	case ".xml":
		return fmt.Errorf("%s: files in XML are not read: uwsgi --show-config prints one as INI", m.where)
	default:
		pairs, err = iniPairs(text, section)
	}
	if err != nil {
		return err
	}
	if len(pairs) == 0 {
		return fmt.Errorf("%s has no section [%s] with options", m.where, section)
	}
	m.uwsgiPairs(pairs)
	return nil
}

// uwsgiPairs takes options with placeholders. A key that uWSGI does not have is one, if
// another value asks for it.
func (m *migration) uwsgiPairs(pairs []pair) {
	asked := map[string]bool{} // for by placeholders
	for _, p := range pairs {
		for _, parts := range placeholder().FindAllStringSubmatch(p.value, -1) {
			asked[parts[1]] = true
		}
	}
	within := "" // a condition or a loop
	for _, p := range pairs {
		opens, closes := strings.HasPrefix(p.key, "if") || p.key == "for" || strings.HasPrefix(p.key, "for-"), strings.HasPrefix(p.key, "end")
		switch {
		case closes:
			within = ""
			continue
		case opens:
			within = p.key + " = " + p.value
			continue
		case within != "":
			m.remark(p.key+" = "+p.value, "it depends on "+within+": a config file is Python, and may ask os.environ")
			continue
		}
		value, missing := m.expand(p.value)
		m.values["%"+p.key] = value
		if f, _ := m.source.look(p.key); f == nil && asked[p.key] {
			continue
		}
		o := option{name: p.key, value: value, given: true}
		if missing != "" {
			o.value = p.value
			m.remark(o.String(), missing+" is not known here")
			continue
		}
		m.take(o)
	}
}

var placeholder = lazily(`%\(([^()]*)\)|\$\(([^()]*)\)|@\(([^()]*)\)|%([a-zA-Z%])`)

// expand replaces the placeholders of a value: those of other keys, and what is known of the
// file. missing is one whose value is not known.
func (m *migration) expand(value string) (expanded, missing string) {
	expanded = placeholder().ReplaceAllStringFunc(value, func(found string) string {
		parts := placeholder().FindStringSubmatch(found)
		switch {
		case parts[1] != "":
			if v, ok := m.values["%"+parts[1]]; ok {
				return v
			}
			if strings.Contains(parts[1], "%k") {
				return found
			}
		case parts[2] != "":
			if v, ok := m.values["$"+parts[2]]; ok {
				return v
			}
		case parts[3] != "":
		default:
			if v, ok := m.magic(parts[4]); ok {
				return v
			}
			return found // as in a format of a log
		}
		missing = found
		return found
	})
	return expanded, missing
}

// magic is what a letter stands for in a file of uWSGI's.
func (m *migration) magic(letter string) (string, bool) {
	file, err := filepath.Abs(m.where)
	if err != nil {
		file = m.where
	}
	base := filepath.Base(file)
	switch letter {
	case "p":
		return file, true
	case "d":
		return filepath.Dir(file) + "/", true
	case "c":
		return filepath.Base(filepath.Dir(file)), true
	case "s":
		return base, true
	case "n":
		return strings.TrimSuffix(base, filepath.Ext(base)), true
	case "e":
		return strings.TrimPrefix(filepath.Ext(base), "."), true
	case "%":
		return "%", true
	}
	return "", false
}

var inlineComment = lazily(`\s;.*$|^(true|false|yes|no|on|off|\d+)\s+#.*$`)

// iniPairs reads the options of a section. Comments may follow values, since uWSGI takes
// numbers and flags with something behind them.
func iniPairs(text []byte, section string) ([]pair, error) {
	var pairs []pair
	inside, joined := false, ""
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, maxFile)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(strings.ToValidUTF8(lines.Text(), "\ufffd"))
		if rest, more := strings.CutSuffix(line, "\\"); more {
			joined += strings.TrimSpace(rest)
			continue
		}
		line, joined = joined+line, ""
		switch {
		case line == "" || line[0] == ';' || line[0] == '#':
		case line[0] == '[':
			inside = strings.TrimSuffix(line[1:], "]") == section
		case inside:
			key, value, given := strings.Cut(line, "=")
			key = strings.TrimSpace(key)
			if key == "" {
				return nil, fmt.Errorf("line %d has a value without a name", n)
			}
			value = strings.TrimSpace(inlineComment().ReplaceAllString(value, "$1"))
			value = strings.TrimSpace(inlineComment().ReplaceAllString(value, "$1"))
			if !given {
				value = "true"
			}
			if len(value) > 1 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
				value = value[1 : len(value)-1]
			}
			pairs = append(pairs, pair{key, value})
		}
	}
	return pairs, lines.Err()
}

// yamlPairs reads what uWSGI's own reader of YAML reads: a section with keys, and lists.
func yamlPairs(text []byte, section string) []pair {
	var pairs []pair
	inside, last := false, ""
	for line := range strings.SplitSeq(strings.ToValidUTF8(string(text), "\ufffd"), "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "" || trimmed[0] == '#' || trimmed == "---":
			continue
		case line[0] != ' ' && line[0] != '\t' && line[0] != '-':
			inside = strings.TrimSuffix(trimmed, ":") == section
			continue
		case !inside:
			continue
		}
		if item, ok := strings.CutPrefix(trimmed, "- "); ok && last != "" {
			pairs = append(pairs, pair{last, unquoted(item)})
			continue
		}
		key, value, _ := strings.Cut(strings.TrimPrefix(trimmed, "- "), ":")
		if value = strings.TrimSpace(value); value == "" {
			last = key
			continue
		}
		pairs = append(pairs, pair{strings.TrimSpace(key), unquoted(value)})
	}
	return pairs
}

func unquoted(value string) string {
	value = strings.TrimSpace(value)
	if i := strings.Index(value, " #"); i >= 0 {
		value = strings.TrimSpace(value[:i])
	}
	return strings.Trim(value, `"'`)
}

// jsonPairs reads a section of a JSON document, by name.
func jsonPairs(text []byte, section string) ([]pair, error) {
	var document map[string]map[string]any
	if err := json.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("it is no JSON document with sections: %w", err)
	}
	var pairs []pair
	for _, key := range slices.Sorted(maps.Keys(document[section])) {
		values, ok := document[section][key].([]any)
		if !ok {
			values = []any{document[section][key]}
		}
		for _, v := range values {
			pairs = append(pairs, pair{key, fmt.Sprint(v)})
		}
	}
	return pairs, nil
}

// maxFile is the size of the largest file that is read, in bytes.
const maxFile = 64 << 10

// readFile reads a file, and nothing else: no device and no pipe, which may have no end.
func readFile(path string) ([]byte, error) {
	st, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !st.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no file", path)
	case st.Size() > maxFile:
		return nil, fmt.Errorf("%s has more than %d bytes", path, maxFile)
	}
	return os.ReadFile(path)
}
