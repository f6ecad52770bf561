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
	path := filepath.Join(parts...)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFindOrder(t *testing.T) {
	root := t.TempDir()
	self := program(t, root, "bin", "indrik")
	chosen := program(t, root, "chosen", "mypython")
	venv := program(t, root, "venv", "bin", "python")
	onpath := program(t, root, "usr", "python3")
	vars := map[string]string{
		"INDRIK_PYTHON": chosen,
		"VIRTUAL_ENV":   filepath.Join(root, "venv"),
		"PATH":          filepath.Join(root, "none") + "::" + filepath.Join(root, "usr"),
	}
	check := func(want string) {
		t.Helper()
		got, tried, err := Find(env(vars), self)
		if err != nil || got != want {
			t.Errorf("found %q, %v; want %q; tried %q", got, err, want, tried)
		}
	}
	check(chosen)
	vars["INDRIK_PYTHON"] = "mypython"
	vars["PATH"] += ":" + filepath.Dir(chosen)
	check(chosen)
	delete(vars, "INDRIK_PYTHON")

	check(venv) // nothing beside the binary yet
	beside3 := program(t, root, "bin", "python3")
	check(beside3)
	beside := program(t, root, "bin", "python")
	check(beside)
	os.Remove(beside)
	os.Remove(beside3)

	delete(vars, "VIRTUAL_ENV")
	check(onpath)
	vars["VIRTUAL_ENV"] = filepath.Join(root, "gone")
	check(onpath)
}

func TestFindBesideLink(t *testing.T) {
	root := t.TempDir()
	self := program(t, root, "opt", "indrik")
	link := filepath.Join(root, "indrik")
	if err := os.Symlink(self, link); err != nil {
		t.Fatal(err)
	}
	want := program(t, root, "opt", "python")
	if got, _, err := Find(env(nil), link); got != want {
		t.Errorf("found %q, %v; want the one beside the program that the link leads to", got, err)
	}
	want = program(t, root, "python3")
	if got, _, err := Find(env(nil), link); got != want {
		t.Errorf("found %q, %v; want the one beside the link", got, err)
	}
}

func TestFindKeepsLinks(t *testing.T) {
	root := t.TempDir()
	real := program(t, root, "real", "python3.13")
	link := filepath.Join(root, "bin", "python")
	os.MkdirAll(filepath.Dir(link), 0o755)
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	if got, _, err := Find(env(nil), filepath.Join(root, "bin", "indrik")); got != link {
		t.Errorf("found %q, %v; want %q: its place is how Python finds the virtual environment", got, err, link)
	}
}

func TestFindNothing(t *testing.T) {
	root := t.TempDir()
	self := program(t, root, "bin", "indrik")
	os.Mkdir(filepath.Join(root, "bin", "python"), 0o755) // a directory is no program
	os.WriteFile(filepath.Join(root, "bin", "python3"), nil, 0o644)
	_, tried, err := Find(env(map[string]string{"PATH": root}), self)
	var missing *NotFoundError
	if !errors.As(err, &missing) || !slices.Equal(missing.Tried, tried) {
		t.Fatalf("error %v, tried %q", err, tried)
	}
	for _, want := range []string{
		filepath.Join(root, "bin", "python"), filepath.Join(root, "bin", "python3"),
		"$VIRTUAL_ENV/bin/python (VIRTUAL_ENV is not set)", "python3 on PATH",
	} {
		if !slices.Contains(tried, want) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not among what was tried: %v", want, err)
		}
	}
}

// A wrong INDRIK_PYTHON is an error: what the operator asked for must not be
// replaced by something else.
func TestFindWrongVariable(t *testing.T) {
	root := t.TempDir()
	program(t, root, "python3")
	vars := map[string]string{"INDRIK_PYTHON": "/no/such/python", "PATH": root}
	if got, _, err := Find(env(vars), filepath.Join(root, "indrik")); err == nil {
		t.Errorf("found %q", got)
	} else if !strings.Contains(err.Error(), "INDRIK_PYTHON=/no/such/python") {
		t.Errorf("the error does not name the variable: %v", err)
	}
}
