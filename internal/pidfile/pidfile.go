// Package pidfile keeps the pid file of the master.
//
// The file appears whole or not at all, with the pid and a newline in it and mode
// 0644. One that names a living process is never replaced, one that is stale
// (its process has ended, or is a zombie, or there is no pid in it) always. It is
// removed only while it still holds the pid of its maker. Try it with
// go test ./internal/pidfile.
package pidfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A RunningError says that the pid file names a living process.
type RunningError struct {
	Pid  int
	Path string
}

func (e *RunningError) Error() string {
	return fmt.Sprintf("Already running on PID %d (or pid file '%s' is stale)", e.Pid, e.Path)
}

// A DirError says that the directory for the pid file is missing.
type DirError struct{ Dir string }

func (e *DirError) Error() string {
	return e.Dir + " doesn't exist. Can't create pidfile."
}

// A File is a pid file. Its methods may not be called concurrently; those of a nil
// File do nothing.
type File struct {
	path string
	pid  int
}

// Create writes the pid file at path. The error is a [*RunningError], a
// [*DirError] or what the system said.
func Create(path string, pid int) (*File, error) {
	// The master may change its directory later on.
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("create pid file %s: %w", path, err)
	}
	if dir := filepath.Dir(path); dir != "." {
		if st, err := os.Stat(dir); err != nil || !st.IsDir() {
			return nil, &DirError{dir}
		}
	}
	own, err := check(abs, path, pid)
	if err != nil {
		return nil, err
	}
	f := &File{abs, pid}
	if own {
		return f, nil
	}
	if err := f.write(path); err != nil {
		return nil, err
	}
	return f, nil
}

// check tells whether the file at path holds pid already. The error is a
// [*RunningError] if it holds that of another living process.
func check(path, name string, pid int) (own bool, err error) {
	old := read(path)
	if old == pid {
		return true, nil
	}
	if old > 0 && alive(old) {
		return false, &RunningError{old, name}
	}
	return false, nil
}

// write puts the file in place. Where there was none it is linked rather than
// renamed to its name, which fails if another master was faster.
func (f *File) write(name string) error {
	_, statErr := os.Lstat(f.path)
	tmp, err := os.CreateTemp(filepath.Dir(f.path), "."+filepath.Base(f.path)+"-")
	if err != nil {
		return fmt.Errorf("create pid file %s: %w", name, err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.WriteString(strconv.Itoa(f.pid) + "\n")
	if err == nil {
		err = tmp.Chmod(0o644)
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("create pid file %s: %w", name, err)
	}
	if errors.Is(statErr, os.ErrNotExist) {
		err := os.Link(tmp.Name(), f.path)
		if err == nil {
			return nil
		}
		if errors.Is(err, os.ErrExist) {
			if _, err := check(f.path, name, f.pid); err != nil {
				return err
			}
		}
		// Some file systems have no links.
	}
	if err := os.Rename(tmp.Name(), f.path); err != nil {
		return fmt.Errorf("create pid file %s: %w", name, err)
	}
	return nil
}

// Path returns where the file is, as an absolute path.
func (f *File) Path() string {
	if f == nil {
		return ""
	}
	return f.path
}

// Remove removes the file, unless another process has taken it over.
func (f *File) Remove() {
	if f == nil || read(f.path) != f.pid {
		return
	}
	_ = os.Remove(f.path)
}

// Rename moves the file to another name, at promotion. On an error, such as a
// [*RunningError] for the new name, it stays where it is.
func (f *File) Rename(path string) error {
	if f == nil {
		return nil
	}
	g, err := Create(path, f.pid)
	if err != nil {
		return err
	}
	if g.path != f.path {
		f.Remove()
	}
	f.path = g.path
	return nil
}

// read returns the pid in a file, 0 if there is none.
func read(path string) int {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || pid < 0 {
		return 0
	}
	return pid
}
