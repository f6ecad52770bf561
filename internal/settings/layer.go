package settings

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"indrik/internal/shlex"
)

// A Layer is the values that come from one source, not yet checked. It is not
// changed once it is made.
type Layer struct {
	Name   string         // for people: "command line"
	Values map[string]any // by the setting's name

	remarks    []string // what is odd about it, for warnings
	file       bool
	path       string // of a file
	lines      map[string]int
	sources    map[string]string // where it is more exact than Name
	dir        string            // the current directory, if the layer is to tell
	scriptName string
	class      string // the worker class of one's own that worker_class names
}

func (l *Layer) set(name string, v any) {
	if l.Values == nil {
		l.Values = make(map[string]any)
	}
	l.Values[name] = v
}

// File is the config file that the layer was read from, as messages call it; ""
// if it was read from none, or from a pyproject.toml without settings.
func (l *Layer) File() string {
	if !l.file || IsTOML(l.path) && len(l.Values) == 0 {
		return ""
	}
	return l.Name
}

func (l *Layer) source(name string) string {
	if s, ok := l.sources[name]; ok {
		return s
	}
	return l.Name + lineOf(l.lines, name)
}

func lineOf(lines map[string]int, name string) string {
	if n := lines[name]; n > 0 {
		return fmt.Sprintf(", line %d", n)
	}
	return ""
}

// podDrainDelay is the default of drain_delay in a pod of Kubernetes, in seconds.
const podDrainDelay = 5

// FromEnv is the layer of the variables that replace a default. lookup is
// os.LookupEnv, or stands for it. The layer also holds the current directory,
// so that a relative chdir and the search for a config file start from the
// same one for as long as the layer is used.
func FromEnv(lookup func(string) (string, bool)) (Layer, error) {
	l := Layer{Name: "environment", sources: make(map[string]string)}
	var err error
	if l.dir, err = os.Getwd(); err != nil { // $PWD where it is the same one
		return l, fmt.Errorf("find the current directory: %w", err)
	}
	if s, _ := lookup("WEB_CONCURRENCY"); s != "" {
		l.set("workers", s)
		l.sources["workers"] = "WEB_CONCURRENCY"
	}
	if s, _ := lookup("PORT"); s != "" {
		l.set("bind", []string{"0.0.0.0:" + s})
		l.sources["bind"] = "PORT"
	}
	// Kubernetes sends TERM and takes the pod out of its services at the same time, so that
	// connections come for some seconds after TERM.
	if s, _ := lookup("KUBERNETES_SERVICE_HOST"); s != "" {
		l.set("drain_delay", podDrainDelay)
		l.sources["drain_delay"] = "KUBERNETES_SERVICE_HOST"
	}
	// Set but empty means that no proxy is trusted.
	if s, ok := lookup("FORWARDED_ALLOW_IPS"); ok {
		l.set("forwarded_allow_ips", s)
		l.sources["forwarded_allow_ips"] = "FORWARDED_ALLOW_IPS"
	}
	if s, ok := lookup("SENDFILE"); ok {
		switch strings.ToLower(s) {
		case "y", "1", "yes", "true":
			l.set("sendfile", true)
		default:
			l.set("sendfile", false)
		}
		l.sources["sendfile"] = "SENDFILE"
	}
	l.scriptName, _ = lookup("SCRIPT_NAME")
	return l, nil
}

// FromCmdArgs is the layer of INDRIK_CMD_ARGS or, where that is not set,
// GUNICORN_CMD_ARGS: a command line in a variable, quoted as for a shell.
func FromCmdArgs(prog string, lookup func(string) (string, bool)) (Layer, error) {
	name := "INDRIK_CMD_ARGS"
	text, ok := lookup(name)
	if !ok {
		name = "GUNICORN_CMD_ARGS"
		text, _ = lookup(name)
	}
	args, err := shlex.Split(text)
	if err != nil {
		return Layer{Name: name}, fmt.Errorf("%s: %w", name, err)
	}
	// An app that is named there does not count, as in Gunicorn.
	l, _, err := ParseArgs(prog, args)
	if usage := (*UsageError)(nil); errors.As(err, &usage) {
		usage.Text += " (in " + name + ")"
	}
	l.Name = name
	return l, err
}

// FromFile is the layer of a config file that was evaluated: values by name,
// and the lines where they were set, where that is known. A name that is no
// setting, but may have been meant as one, gives a warning.
func FromFile(path string, values map[string]any, lines map[string]int) Layer {
	l := Layer{Name: shortPath(path), path: path, file: true, lines: lines}
	names := slices.SortedFunc(maps.Keys(values), func(a, b string) int {
		return cmp.Or(cmp.Compare(lines[a], lines[b]), cmp.Compare(a, b))
	})
	for _, name := range names {
		if Lookup(name) != nil {
			l.set(name, values[name])
			continue
		}
		text := unknownName(name, values[name], l.source(name), values)
		if IsTOML(path) {
			text = unknownKey(name, l.source(name))
		}
		if text != "" {
			l.remarks = append(l.remarks, text)
		}
	}
	return l
}

// FromHook is the layer of what the hook ssl_context asks for.
func FromHook(values map[string]any) Layer {
	return Layer{Name: "the hook ssl_context", Values: values}
}

// check returns the checked value of a setting that the layer has. base is
// the directory that a relative path starts from.
func (l *Layer) check(s *Setting, base string) (any, error) {
	raw := plain(l.Values[s.Name])
	v, err := check(s, raw, base)
	if err != nil {
		wrong := &ValueError{
			Setting: s.Name, Value: raw, Source: l.source(s.Name), InFile: l.file && !IsTOML(l.path),
			Accepts: unmarked(s.values()), Err: err,
		}
		if s.Kind == KindBool {
			wrong.Accepts = "true or false"
		}
		if bad, ok := raw.(badValue); ok {
			wrong.Value = bad.value
		}
		return nil, wrong
	}
	return v, nil
}

// shortPath is how messages call a config file: without the directory where
// it is the current one.
func shortPath(path string) string {
	path = strings.TrimPrefix(path, "file:")
	if !filepath.IsAbs(path) {
		return path
	}
	if dir, err := os.Getwd(); err == nil && filepath.Dir(path) == dir {
		return filepath.Base(path)
	}
	return path
}

// ConfigFile finds the config file that the layers name or, where they name
// none, indrik.conf.py, gunicorn.conf.py, or a pyproject.toml that may have
// settings, in the current directory. explicit reports whether it was named;
// path is "" if there is none.
func ConfigFile(layers ...Layer) (path string, explicit bool) {
	for i := len(layers) - 1; i >= 0; i-- {
		if s, _ := layers[i].Values["config"].(string); strings.TrimSpace(s) != "" && !layers[i].file {
			return strings.TrimSpace(s), true
		}
	}
	dir := startDir(layers)
	for _, name := range configFiles {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path, false
		}
	}
	// Most pyproject.toml have nothing to do with this program: those are not
	// its to complain about.
	path = filepath.Join(dir, "pyproject.toml")
	if data, err := os.ReadFile(path); err == nil && bytes.Contains(data, []byte("indrik")) {
		return path, false
	}
	return "", false
}

// configFiles are the names of a config file that nobody needs to name.
var configFiles = []string{"indrik.conf.py", "gunicorn.conf.py"}

// ConfigFiles are the files that ConfigFile looks at, whether they are there or
// not.
func ConfigFiles(layers ...Layer) []string {
	dir, names := startDir(layers), append(slices.Clone(configFiles), "pyproject.toml")
	if path, explicit := ConfigFile(layers...); explicit {
		if strings.HasPrefix(path, "python:") {
			return nil // a module, as those that it imports
		}
		names = []string{strings.TrimPrefix(path, "file:")}
	}
	var paths []string
	for _, name := range names {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		paths = append(paths, name)
	}
	return paths
}

// startDir is the directory that relative paths start from.
func startDir(layers []Layer) string {
	for _, l := range layers {
		if l.dir != "" {
			return l.dir
		}
	}
	dir, err := os.Getwd()
	if err != nil {
		return "." // as good as any: it was removed
	}
	return dir
}

// plain turns what JSON decoding makes of Python values into the types that
// the checks know: whole numbers become int, lists of strings []string.
func plain(v any) any {
	switch v := v.(type) {
	case float64:
		if n := int(v); float64(n) == v {
			return n
		}
	case int64:
		return int(v)
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return int(n)
		}
	case []any:
		list := make([]string, len(v))
		for i, item := range v {
			s, ok := item.(string)
			if !ok {
				return v
			}
			list[i] = s
		}
		return list
	case map[string]any:
		// {"python": repr} stands for a value that JSON has no form for, and
		// with an error for a hook that is none.
		if repr, ok := v["python"].(string); ok && len(v) == 1 {
			return pyObject(repr)
		} else if text, bad := v["error"].(string); ok && bad && len(v) == 2 {
			return badValue{pyObject(repr), text}
		}
		m := make(map[string]string, len(v))
		for key, item := range v {
			s, ok := item.(string)
			if !ok {
				return v
			}
			m[key] = s
		}
		return m
	}
	return v
}
