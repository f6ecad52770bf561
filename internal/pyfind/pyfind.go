// Package pyfind finds the Python interpreter of the app's environment.
//
// It looks, in this order, at
//
//   - $INDRIK_PYTHON, a path or the name of a program on PATH. If it is set,
//     nothing else is tried;
//   - python and python3 in the directory of the program itself, where pip
//     puts them both; a symbolic link counts as being where it is and where
//     it leads;
//   - $VIRTUAL_ENV/bin/python;
//   - python3 on PATH.
//
// The path it returns is absolute, but symbolic links are kept: Python tells
// from them which virtual environment it belongs to. Nothing is run.
package pyfind

import (
	"fmt"
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

// Find returns the interpreter and the places where it was looked for, the
// last one being where it was found. lookup is os.LookupEnv; programs are the
// paths of this program.
func Find(lookup func(string) (string, bool), programs ...string) (path string, tried []string, err error) {
	search, _ := lookup("PATH")
	try := func(candidate, place string) bool {
		tried = append(tried, place)
		if candidate == "" || !executable(candidate) {
			return false
		}
		path, err = filepath.Abs(candidate)
		return err == nil
	}
	if name, _ := lookup("INDRIK_PYTHON"); name != "" {
		candidate := name
		if !strings.Contains(name, "/") {
			candidate = onPath(name, search)
		}
		if !try(candidate, fmt.Sprintf("INDRIK_PYTHON=%s", name)) {
			return "", tried, &NotFoundError{tried}
		}
		return path, tried, nil
	}
	for _, dir := range directories(programs) {
		for _, name := range []string{"python", "python3"} {
			if candidate := filepath.Join(dir, name); try(candidate, candidate) {
				return path, tried, nil
			}
		}
	}
	venv, _ := lookup("VIRTUAL_ENV")
	if venv == "" {
		tried = append(tried, "$VIRTUAL_ENV/bin/python (VIRTUAL_ENV is not set)")
	} else if candidate := filepath.Join(venv, "bin", "python"); try(candidate, candidate) {
		return path, tried, nil
	}
	if try(onPath("python3", search), "python3 on PATH") {
		return path, tried, nil
	}
	return "", tried, &NotFoundError{tried}
}

// directories are those of the programs, each once.
func directories(programs []string) []string {
	var dirs []string
	add := func(path string) {
		dir, err := filepath.Abs(filepath.Dir(path))
		if err != nil {
			return
		}
		for _, d := range dirs {
			if d == dir {
				return
			}
		}
		dirs = append(dirs, dir)
	}
	for _, path := range programs {
		add(path)
		if real, err := filepath.EvalSymlinks(path); err == nil {
			add(real)
		}
	}
	return dirs
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
