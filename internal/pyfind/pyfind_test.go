package pyfind

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func env(m map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := m[name]
		return v, ok
	}
}

// program makes an empty executable file.
func program(t *testing.T, parts ...string) string {
	t.Helper()
	return file(t, 0o755, parts...)
}

func file(t *testing.T, mode os.FileMode, parts ...string) string {
	t.Helper()
	path := filepath.Join(parts...)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func link(t *testing.T, target string, parts ...string) string {
	t.Helper()
	path := filepath.Join(parts...)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// The places where a program and Pythons can be, and which Python is meant.
func TestFind(t *testing.T) {
	const (
		isVenv  = "pyvenv.cfg"
		isConda = "conda-meta/history"
	)
	for _, c := range []struct {
		name  string
		files []string // NAME, or LINK -> TARGET
		vars  map[string]string
		run   string // as it was called
		want  string
		why   string
	}{
		{"beside, in an environment", []string{"v/bin/indrik", "v/bin/python", "v/" + isVenv, "usr/python3"},
			map[string]string{"PATH": "usr"}, "v/bin/indrik", "v/bin/python", "beside indrik"},
		{"beside, named python3", []string{"v/bin/indrik", "v/bin/python3", "v/" + isVenv},
			nil, "v/bin/indrik", "v/bin/python3", "beside indrik"},
		{"beside, in conda's", []string{"c/bin/indrik", "c/bin/python", "c/" + isConda},
			map[string]string{"VIRTUAL_ENV": "v"}, "c/bin/indrik", "c/bin/python", "beside indrik"},
		{"its environment goes before the active one", []string{"v/bin/indrik", "v/bin/python", "v/" + isVenv, "w/bin/python", "w/" + isVenv},
			map[string]string{"VIRTUAL_ENV": "w"}, "v/bin/indrik", "v/bin/python", "beside indrik"},
		{"beside, but no environment: the active one", []string{"usr/local/bin/indrik", "usr/local/bin/python3", "usr/local/bin/python", "v/bin/python", "v/" + isVenv},
			map[string]string{"VIRTUAL_ENV": "v", "PATH": "usr/local/bin"}, "usr/local/bin/indrik", "v/bin/python", "VIRTUAL_ENV"},
		{"beside, but no environment: PATH", []string{"usr/local/bin/indrik", "usr/local/bin/python3", "v/bin/python3", "v/" + isVenv},
			map[string]string{"PATH": "v/bin:usr/local/bin"}, "usr/local/bin/indrik", "v/bin/python3", "the first python3 on PATH"},
		{"beside, no environment anywhere", []string{"usr/local/bin/indrik", "usr/local/bin/python3"},
			map[string]string{"PATH": "usr/local/bin"}, "usr/local/bin/indrik", "usr/local/bin/python3", "the first python3 on PATH"},
		{"an active environment that is gone", []string{"bin/indrik", "usr/python3"},
			map[string]string{"VIRTUAL_ENV": "gone", "PATH": "none::usr"}, "bin/indrik", "usr/python3", "the first python3 on PATH"},
		{"an active environment with python3 alone", []string{"bin/indrik", "v/bin/python3"},
			map[string]string{"VIRTUAL_ENV": "v"}, "bin/indrik", "v/bin/python3", "VIRTUAL_ENV"},
		{"link out of an environment of its own, another active", []string{"own/bin/indrik", "own/bin/python", "own/" + isVenv, "home/bin/indrik -> own/bin/indrik", "v/bin/python", "v/" + isVenv, "usr/python3"},
			map[string]string{"VIRTUAL_ENV": "v", "PATH": "home/bin:usr"}, "home/bin/indrik", "v/bin/python", "VIRTUAL_ENV"},
		{"link out of an environment of its own, another first on PATH", []string{"own/bin/indrik", "own/bin/python", "own/" + isVenv, "home/bin/indrik -> own/bin/indrik", "v/bin/python3", "v/" + isVenv},
			map[string]string{"PATH": "v/bin:home/bin"}, "home/bin/indrik", "v/bin/python3", "the first python3 on PATH"},
		{"link out of the app's environment, none active", []string{"v/bin/indrik", "v/bin/python", "v/" + isVenv, "usr/bin/indrik -> v/bin/indrik", "usr/bin/python3"},
			map[string]string{"PATH": "usr/bin"}, "usr/bin/indrik", "v/bin/python", "beside the indrik that a link leads to"},
		{"link in the app's environment", []string{"opt/indrik", "opt/python", "v/bin/indrik -> opt/indrik", "v/bin/python", "v/" + isVenv},
			nil, "v/bin/indrik", "v/bin/python", "beside indrik"},
		{"Python's own link is kept", []string{"real/python3.13", "v/bin/python -> real/python3.13", "v/bin/indrik", "v/" + isVenv},
			nil, "v/bin/indrik", "v/bin/python", "beside indrik"},
		{"as told, by path", []string{"v/bin/indrik", "v/bin/python", "v/" + isVenv, "chosen/mypython"},
			map[string]string{"INDRIK_PYTHON": "chosen/mypython"}, "v/bin/indrik", "chosen/mypython", "INDRIK_PYTHON"},
		{"as told, by name", []string{"v/bin/indrik", "v/bin/python", "v/" + isVenv, "chosen/mypython"},
			map[string]string{"INDRIK_PYTHON": "mypython!", "PATH": "none:chosen"}, "v/bin/indrik", "chosen/mypython", "INDRIK_PYTHON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			for _, name := range c.files {
				if path, target, ok := strings.Cut(name, " -> "); ok {
					link(t, filepath.Join(root, target), root, path)
				} else if filepath.Ext(name) == ".cfg" {
					file(t, 0o644, root, name)
				} else {
					program(t, root, name)
				}
			}
			vars := map[string]string{}
			for name, value := range c.vars {
				parts := strings.Split(value, ":")
				for i, part := range parts {
					if bare, ok := strings.CutSuffix(part, "!"); ok {
						parts[i] = bare
					} else if part != "" {
						parts[i] = filepath.Join(root, part)
					}
				}
				vars[name] = strings.Join(parts, ":")
			}
			got, err := Find(env(vars), filepath.Join(root, c.run))
			if want := (Interpreter{filepath.Join(root, c.want), c.why}); err != nil || got != want {
				t.Errorf("found %+v, %v; want %+v", got, err, want)
			}
		})
	}
}

// What the system says of the program is where a link leads, as with the first path.
func TestFindSystemsPath(t *testing.T) {
	root := t.TempDir()
	real := program(t, root, "own", "bin", "indrik")
	program(t, root, "own", "bin", "python")
	file(t, 0o644, root, "own", "pyvenv.cfg")
	active := program(t, root, "v", "bin", "python")
	called := link(t, real, root, "home", "indrik")
	vars := map[string]string{"VIRTUAL_ENV": filepath.Join(root, "v")}
	if got, err := Find(env(vars), called, real); got.Path != active {
		t.Errorf("found %+v, %v", got, err)
	}
	if got, err := Find(env(nil), called, real); got.Path != filepath.Join(root, "own", "bin", "python") {
		t.Errorf("found %+v, %v", got, err)
	}
}

func TestFindNothing(t *testing.T) {
	root := t.TempDir()
	self := program(t, root, "bin", "indrik")
	file(t, 0o644, root, "pyvenv.cfg")
	os.Mkdir(filepath.Join(root, "bin", "python"), 0o755) // a directory is no program
	file(t, 0o644, root, "bin", "python3")
	_, err := Find(env(map[string]string{"PATH": root}), self)
	var missing *NotFoundError
	if !errors.As(err, &missing) {
		t.Fatalf("error %v", err)
	}
	for _, want := range []string{
		filepath.Join(root, "bin", "python"), filepath.Join(root, "bin", "python3"),
		"$VIRTUAL_ENV/bin/python (VIRTUAL_ENV is not set)", "python3 on PATH",
	} {
		if !slices.Contains(missing.Tried, want) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not among what was tried: %v", want, err)
		}
	}
}

// A Python that was passed over is named, for whoever expected it.
func TestFindSaysWhatItPassedOver(t *testing.T) {
	root := t.TempDir()
	self := program(t, root, "bin", "indrik")
	program(t, root, "bin", "python3")
	_, err := Find(env(nil), self)
	if err == nil || !strings.Contains(err.Error(), filepath.Join(root, "bin")+" (not the bin of an environment)") {
		t.Errorf("error %v", err)
	}
}

// A wrong INDRIK_PYTHON is an error: what the operator asked for must not be
// replaced by something else.
func TestFindWrongVariable(t *testing.T) {
	root := t.TempDir()
	program(t, root, "python3")
	vars := map[string]string{"INDRIK_PYTHON": "/no/such/python", "PATH": root}
	if got, err := Find(env(vars), filepath.Join(root, "indrik")); err == nil {
		t.Errorf("found %+v", got)
	} else if !strings.Contains(err.Error(), "INDRIK_PYTHON=/no/such/python") {
		t.Errorf("the error does not name the variable: %v", err)
	}
}
