// Package pyfind finds the Python interpreter of the app's environment.
//
// It looks, in this order, at
//
//   - $INDRIK_PYTHON, a path or the name of a program on PATH. If it is set,
//     nothing else is tried;
//   - python and python3 in the directory of the program as it was called, if
//     that is the bin of an environment, where pip puts them both. Any other
//     directory, such as /usr/local/bin, says nothing about the app;
//   - $VIRTUAL_ENV/bin, the environment that is active;
//   - the first python3 on PATH, if that is in an environment;
//   - the directory that a symbolic link to the program leads to, if that is
//     the bin of an environment;
//   - the first python3 on PATH, whatever it is.
//
// An environment is what has a pyvenv.cfg (PEP 405) or a conda-meta beside its
// bin.
//
// The path it returns is absolute, but symbolic links are kept: Python tells
// from them which virtual environment it belongs to. Nothing is run.
package pyfind

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A NotFoundError says that there is no interpreter at any of the places.
type NotFoundError struct {
	Tried []string
}

func (e *NotFoundError) Error() string {
	return "no Python found; tried " + strings.Join(e.Tried, ", ")
}

// An Interpreter is what Find returns.
type Interpreter struct {
	Path string // absolute, with its symbolic links
	Why  string // what decided, for people: "VIRTUAL_ENV", "the first python3 on PATH"
}

// names are what an environment calls its interpreter.
var names = []string{"python", "python3"}

// Find returns the interpreter. lookup is os.LookupEnv; programs are the paths
// of this program, first the one by which it was called. The error is a
// [*NotFoundError].
func Find(lookup func(string) (string, bool), programs ...string) (Interpreter, error) {
	f := finder{}
	f.search, _ = lookup("PATH")
	if name, _ := lookup("INDRIK_PYTHON"); name != "" {
		candidate := name
		if !strings.Contains(name, "/") {
			candidate = onPath(name, f.search)
		}
		f.try(candidate, "INDRIK_PYTHON="+name, "INDRIK_PYTHON")
		return f.result()
	}
	called, linked := directories(programs)
	f.beside(called, "beside "+filepath.Base(first(programs)))
	if venv, _ := lookup("VIRTUAL_ENV"); venv == "" {
		f.tried = append(f.tried, "$VIRTUAL_ENV/bin/python (VIRTUAL_ENV is not set)")
	} else {
		for _, name := range names {
			path := filepath.Join(venv, "bin", name)
			f.try(path, path, "VIRTUAL_ENV")
		}
	}
	const why = "the first python3 on PATH"
	path := onPath("python3", f.search)
	if path != "" && isEnvironment(filepath.Dir(path)) {
		f.try(path, "python3 on PATH", why)
	}
	f.beside(linked, "beside the "+filepath.Base(first(programs))+" that a link leads to")
	f.try(path, "python3 on PATH", why)
	return f.result()
}

// A finder is one search.
type finder struct {
	search string // PATH
	found  Interpreter
	tried  []string
}

// try takes path if it is a program and nothing was found before.
func (f *finder) try(path, place, why string) {
	if f.found.Path != "" {
		return
	}
	f.tried = append(f.tried, place)
	if path == "" || !executable(path) {
		return
	}
	if abs, err := filepath.Abs(path); err == nil {
		f.found = Interpreter{abs, why}
	}
}

// beside takes an interpreter from those directories that belong to environments.
func (f *finder) beside(dirs []string, why string) {
	for _, dir := range dirs {
		if !isEnvironment(dir) {
			if f.found.Path == "" {
				f.tried = append(f.tried, dir+" (not the bin of an environment)")
			}
			continue
		}
		for _, name := range names {
			path := filepath.Join(dir, name)
			f.try(path, path, why)
		}
	}
}

func (f *finder) result() (Interpreter, error) {
	if f.found.Path == "" {
		return Interpreter{}, &NotFoundError{f.tried}
	}
	return f.found, nil
}

// isEnvironment reports whether bin is the directory of the programs of an
// environment.
func isEnvironment(bin string) bool {
	for _, mark := range []string{"pyvenv.cfg", "conda-meta"} {
		if _, err := os.Stat(filepath.Join(filepath.Dir(bin), mark)); err == nil {
			return true
		}
	}
	return false
}

// directories are those of the programs, each once: the one by which the program
// was called, and the others, to which links lead.
func directories(programs []string) (called, linked []string) {
	seen := map[string]bool{}
	for i, path := range programs {
		if dir, err := filepath.Abs(filepath.Dir(path)); err == nil && !seen[dir] {
			seen[dir] = true
			if i == 0 {
				called = append(called, dir)
			} else {
				linked = append(linked, dir)
			}
		}
		real, err := filepath.EvalSymlinks(path)
		if err != nil {
			continue
		}
		if dir, err := filepath.Abs(filepath.Dir(real)); err == nil && !seen[dir] {
			seen[dir] = true
			linked = append(linked, dir)
		}
	}
	return called, linked
}

func first(programs []string) string {
	if len(programs) == 0 {
		return "the program"
	}
	return programs[0]
}

func onPath(name, search string) string {
	for _, dir := range filepath.SplitList(search) {
		// An empty part means the current directory, which no server should
		// take its interpreter from unasked.
		if dir == "" {
			continue
		}
		if path := filepath.Join(dir, name); executable(path) {
			return path
		}
	}
	return ""
}

func executable(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular() && unix.Access(path, unix.X_OK) == nil
}
