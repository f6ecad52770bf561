package migrate

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	toml "github.com/pelletier/go-toml/v2"
)

// Migrate reads a file, or a command with its arguments: words are those of the command line.
// environ are the variables that a command is started with.
func Migrate(words, environ []string) (*Result, error) {
	m, err := migrate(words, environ)
	if err != nil {
		return nil, err
	}
	return &Result{Unknown: m.unknown, m: m}, nil
}

func migrate(args, environ []string) (*migration, error) {
	if len(args) > 1 {
		return command(args, environ, "a command line")
	}
	if _, err := os.Stat(args[0]); err == nil {
		text, err := readFile(args[0])
		if err != nil {
			return nil, err
		}
		m, err := file(args[0], text, environ)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", args[0], err)
		}
		return m, nil
	}
	if strings.Contains(args[0], " ") {
		return shellLine(args[0], environ, "a command line")
	}
	if serverIn(args) >= 0 {
		return command(args, environ, "a command line")
	}
	return nil, fmt.Errorf("%s: there is no such file, and it is no command that starts a server", args[0])
}

// file reads a file by its name and by what is in it.
func file(name string, text []byte, environ []string) (*migration, error) {
	base := strings.ToLower(filepath.Base(name))
	has := func(part string) bool { return bytes.Contains(text, []byte(part)) }
	switch ext := filepath.Ext(base); {
	case strings.HasPrefix(base, "procfile"):
		return procfile(text, name)
	case strings.HasPrefix(base, "dockerfile"), strings.HasPrefix(base, "containerfile"), ext == ".dockerfile":
		return dockerfile(text, name)
	case ext == ".service", has("[Service]"):
		return systemdUnit(text, name)
	case ext == ".json" && (has(`"listeners"`) || has(`"applications"`)):
		m := newMigration(unit())
		m.where = name
		if err := m.unitFile(text); err != nil {
			return nil, err
		}
		m.finished()
		return m, nil
	case has("[uwsgi]"), has("uwsgi:"), has(`"uwsgi"`), has("<uwsgi"):
		m := newMigration(uwsgi())
		for _, pair := range environ {
			name, value, _ := strings.Cut(pair, "=")
			m.values["$"+name] = value
		}
		m.where, m.depth = name, 1
		if err := m.uwsgiFile(text, ""); err != nil {
			return nil, err
		}
		m.finished()
		return m, nil
	case ext == ".toml":
		return hypercornFile(text, name)
	case ext == ".py":
		return nil, fmt.Errorf("a config file in Python is not read: Indrik takes Gunicorn's unchanged (indrik --config %s); Hypercorn's has to be rewritten", name)
	case ext == ".env", strings.HasPrefix(base, ".env"), ext == ".conf", ext == "":
		return variableFile(text, name)
	}
	return nil, fmt.Errorf("what kind of file it is cannot be told: a uwsgi.ini, a Procfile, a Dockerfile, a .service, a hypercorn.toml, a unit.json or a file of variables (.env) is read")
}

// hypercornFile reads a config file of Hypercorn's in TOML.
func hypercornFile(text []byte, name string) (*migration, error) {
	var document map[string]any
	if err := toml.Unmarshal(text, &document); err != nil {
		return nil, err
	}
	m := newMigration(hypercorn())
	m.where = name
	for _, key := range slices.Sorted(maps.Keys(document)) {
		values, ok := document[key].([]any)
		if !ok {
			values = []any{document[key]}
		}
		for _, v := range values {
			if key == "application_path" {
				m.argument(fmt.Sprint(v))
				continue
			}
			m.takeTOML(key, v)
		}
	}
	m.finished()
	return m, nil
}

// takeTOML takes an option by its name in a file: with underscores, where the command line has
// dashes.
func (m *migration) takeTOML(key string, value any) {
	name := key
	if f, _ := m.source.look(name); f == nil {
		name = strings.ReplaceAll(key, "_", "-")
	}
	m.take(option{name: name, value: fmt.Sprint(value), given: true})
}
