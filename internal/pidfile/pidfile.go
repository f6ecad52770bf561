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
	"time"

	"golang.org/x/sys/unix"

	"indrik/internal/pathwalk"
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
	dir, name, err := pathwalk.Parent(abs)
	if err != nil {
		return nil, fmt.Errorf("create pid file %s: %w", path, err)
	}
	defer dir.Close()
	own, err := check(read(dir.Join(name)), pid, path)
	if err != nil {
		return nil, err
	}
	f := &File{abs, pid}
	if own {
		return f, nil
	}
	if err := f.write(dir, name, path); err != nil {
		return nil, err
	}
	return f, nil
}

// check reports whether the file holds pid, as old. The error is a [*RunningError] if it
// holds that of another living process.
func check(old, pid int, name string) (own bool, err error) {
	if old == pid {
		return true, nil
	}
	if old > 0 && alive(old) {
		return false, &RunningError{old, name}
	}
	return false, nil
}

// write puts the file in place, as base in dir. shown is what messages call it.
func (f *File) write(dir *pathwalk.Dir, base, shown string) error {
	tmp, err := os.CreateTemp(dir.Join(""), "."+base+"-")
	if err != nil {
		return fmt.Errorf("create pid file %s: %w", shown, err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.WriteString(strconv.Itoa(f.pid) + "\n")
	if err == nil {
		err = tmp.Chmod(0o644)
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = f.place(tmp.Name(), dir.Join(base), shown)
	}
	var running *RunningError
	if err != nil && !errors.As(err, &running) {
		return fmt.Errorf("create pid file %s: %w", shown, err)
	}
	return err
}

const (
	placeTries = 100
	placePause = 5 * time.Millisecond
)

// place gives the finished file its name, so that of several masters that start at once
// only one succeeds: it is linked, which fails if there is a file by now, and a stale
// file is replaced by whoever has locked it.
func (f *File) place(tmp, path, shown string) error {
	for range placeTries {
		err := os.Link(tmp, path)
		if err == nil {
			return nil
		}
		if !errors.Is(err, os.ErrExist) {
			break // a file system without links
		}
		placed, err := f.replace(tmp, path, shown)
		if placed || err != nil {
			return err
		}
		time.Sleep(placePause)
	}
	return os.Rename(tmp, path)
}

// replace puts tmp in the place of a stale file; false: try again.
func (f *File) replace(tmp, path, shown string) (placed bool, err error) {
	// What is no regular file is not ours: a pipe would hold up whoever opens it.
	old, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return true, os.Rename(tmp, path) // it cannot be read, so it is not ours
	}
	defer old.Close() // unlocks it
	if err := unix.Flock(int(old.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == unix.EWOULDBLOCK || err == unix.EINTR {
		return false, nil
	}
	own, err := check(read(path), f.pid, shown)
	if own || err != nil {
		return true, err
	}
	then, err := old.Stat()
	if err != nil {
		return true, err
	}
	if now, err := os.Lstat(path); err != nil || !os.SameFile(then, now) {
		return false, nil // somebody had the lock before
	}
	return true, os.Rename(tmp, path)
}

// Path returns where the file is, as an absolute path.
func (f *File) Path() string {
	if f == nil {
		return ""
	}
	return f.path
}

// Of returns the pid file at path of another process, which has ended and may
// have left it: Remove then removes it.
func Of(path string, pid int) *File { return &File{path, pid} }

// Remove removes the file, unless another process has taken it over.
func (f *File) Remove() {
	if f == nil {
		return
	}
	dir, name, err := pathwalk.Parent(f.path)
	if err != nil {
		return
	}
	defer dir.Close()
	if path := dir.Join(name); read(path) == f.pid {
		_ = os.Remove(path)
	}
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
	b, err := pathwalk.ReadSmall(path)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || pid < 0 {
		return 0
	}
	return pid
}
