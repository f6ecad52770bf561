package settings

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const pyproject = `[project]
name = "test"
dependencies = ["indrik"]
workers = 9

[tool.indrik]
# as in a config file
bind = ["127.0.0.1:80", "unix:/run/x"]
workers = 4
"timeout" = 0x1f
preload_app = true
worker = 2
umask = 0o22
chdir = "/tmp"

[tool.indrik.secure_scheme_headers]
X-FORWARDED-PROTO = "https"

[tool.other]
threads = 7
`

func TestTOML(t *testing.T) {
	file, err := FromTOML("pyproject.toml", []byte(pyproject))
	if err != nil {
		t.Fatal(err)
	}
	c := resolve(t, []Layer{file})
	for name, want := range map[string]any{
		"bind": []string{"127.0.0.1:80", "unix:/run/x"}, "workers": 4, "timeout": 31, "preload_app": true, "umask": 0o22, "chdir": "/tmp",
		"secure_scheme_headers": map[string]string{"X-FORWARDED-PROTO": "https"}, "threads": 1,
	} {
		if got := c.All()[name]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %#v, want %#v", name, got, want)
		}
	}
	for name, want := range map[string]string{
		"bind": "line 8", "workers": "line 9", "timeout": "line 10", "secure_scheme_headers": "line 16",
	} {
		if got := c.Source(name); got != "pyproject.toml, "+want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	want := []string{"unknown setting 'worker' in pyproject.toml, line 12: did you mean 'workers'?"}
	if got := c.Warnings(); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	for _, text := range []string{"tool.indrik.workers = 3", "[tool]\nindrik = {timeout = 1,\n workers = 3}", "tool = {indrik = {workers = 3}}"} {
		file, err := FromTOML("a.toml", []byte(text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if c := resolve(t, []Layer{file}); c.Workers() != 3 || !strings.HasPrefix(c.Source("workers"), "a.toml, line ") {
			t.Errorf("%q: %d, %s", text, c.Workers(), c.Source("workers"))
		}
	}
}

func TestTOMLErrors(t *testing.T) {
	for text, want := range map[string]string{
		"[tool.indrik]\nworkers = \n":               "a.toml, line 2: toml: ",
		"[tool.indrik]\nworkers = 1\nworkers = 2\n": "a.toml, line 3: toml: ",
		"tool.indrik = 3":                           "a.toml: tool.indrik is no table",
		"tool = 3":                                  "a.toml, line 1: toml: ",
	} {
		if _, err := FromTOML("a.toml", []byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	for text, want := range map[string]string{
		"workers = -1":          "Value must be positive: -1",
		"workers = 1.5":         "Not a whole number: 1.5",
		"bind = [1]":            "Not a string: 1",
		"pidfile = 2026-11-26":  "Not a string: 2026-11-26",
		"pre_fork = 'app.hook'": "hooks are functions: they can be set in a config file in Python only",
	} {
		file, err := FromTOML("a.toml", []byte("[tool.indrik]\n"+text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		_, err = Resolve("", file)
		var wrong *ValueError
		if !errors.As(err, &wrong) || err.Error() != want || wrong.Source != "a.toml, line 2" {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestTOMLIsFound(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	base, err := FromEnv(env())
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) string {
		path := filepath.Join(base.dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	check := func(want string) {
		t.Helper()
		if got, explicit := ConfigFile(base); got != want || explicit {
			t.Errorf("%q, %v; want %q", got, explicit, want)
		}
	}
	path := write("pyproject.toml", "[project]\nname = 'x'\n")
	check("")
	write("pyproject.toml", pyproject)
	check(path)
	check(write("gunicorn.conf.py", ""))
	check(write("indrik.conf.py", ""))
	if !IsTOML(path) || IsTOML("indrik.conf.py") || IsTOML("python:toml") {
		t.Error("what is TOML is told apart wrongly")
	}
}

func FuzzTOML(f *testing.F) {
	f.Add([]byte(pyproject))
	f.Add([]byte("tool = {indrik = {workers = 3}}"))
	f.Add([]byte("[[tool.indrik]]\na.b.\"c\\u00e9\" = {x = [1, {y = 2}]}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := FromTOML("a.toml", data)
		if err == nil {
			Resolve("", file)
		}
		tomlLines(data)
	})
}
