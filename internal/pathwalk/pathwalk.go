// Package pathwalk opens files for a process with rights, by paths in which others may
// have a say: the log file in a directory of the app's user, who could put a symbolic
// link in its place.
//
// For root a path is walked one step after the other. A directory is trusted if it is
// root's and nobody else may write to it. What is in a trusted one is taken as it is.
// In another one a symbolic link is followed only if root made it, and a file is opened
// only if it has no other name: who may write there can make a link to any file. Other
// users have no rights that somebody could borrow; for them paths are the system's to
// follow. So it is on systems other than Linux.
//
// Try it with go test ./internal/pathwalk.
package pathwalk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// A LinkError says that root does not follow a symbolic link, or does not open a file
// that has other names.
type LinkError struct {
	Path string // as it was given
	Link string // the name in it
	UID  int    // who made the link, or −1: it is a file with other names
}

func (e *LinkError) Error() string {
	if e.UID == -1 {
		return fmt.Sprintf("'%s' has other names (hard links), in a directory that others may write to", e.Path)
	}
	return fmt.Sprintf("'%s' is a symbolic link of user %d in '%s', which root does not follow", e.Link, e.UID, e.Path)
}

// Unwrap returns ELOOP, which open(2) has for a link that must not be followed.
func (e *LinkError) Unwrap() error { return unix.ELOOP }

// A Dir is the directory that a file is in, or is to be in.
type Dir struct {
	file    *os.File // nil: by path
	path    string
	named   bool // there is no other way to name it than path
	trusted bool
}

// Close gives the directory back.
func (d *Dir) Close() {
	if d.file != nil {
		d.file.Close()
	}
}

// Join is a path of name in the directory, for use until Close. It leads there whatever
// becomes of the names above.
func (d *Dir) Join(name string) string {
	if d.file == nil || d.named {
		return filepath.Join(d.path, name)
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", d.file.Fd(), name)
}

// Connect calls dial with a path of the socket at path. Whatever becomes of the names that
// lead there, it is the one that was found.
func Connect(path string, dial func(path string) error) error {
	if !walks || !rights() || path == "" || path[0] == '@' { // an abstract one is in no directory
		return dial(path)
	}
	f, err := open(path, oPath)
	if err != nil {
		return err
	}
	defer f.Close()
	return dial(descriptor(f, path))
}

// rights reports whether this process has rights that others could borrow.
var rights = func() bool { return os.Geteuid() == 0 }

// appendTries is how often a file is opened that comes and goes meanwhile.
const appendTries = 10

// Append opens a file for appending, and makes it with mode 0644 if there is none; created
// reports whether it did. A pipe that nobody reads is an error, ENXIO.
func Append(path string) (f *os.File, created bool, err error) {
	const flags = os.O_WRONLY | os.O_APPEND | syscall.O_NONBLOCK
	for range appendTries {
		f, err = open(path, flags)
		if !errors.Is(err, os.ErrNotExist) {
			return f, false, err
		}
		f, err = create(path, flags)
		if !errors.Is(err, os.ErrExist) {
			return f, true, err
		}
	}
	return nil, false, err
}

// ReadSmall returns what is in a regular file, of which it reads at most a page. It does
// not wait for the writer of a pipe.
func ReadSmall(path string) ([]byte, error) {
	return ReadChecked(path, func(os.FileInfo) error { return nil })
}

// ReadChecked is [ReadSmall] for a file that check has nothing against.
func ReadChecked(path string, check func(os.FileInfo) error) ([]byte, error) {
	f, err := open(path, os.O_RDONLY|syscall.O_NONBLOCK)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	if err := check(st); err != nil {
		return nil, err
	}
	data := make([]byte, 4096)
	n, err := f.Read(data)
	if n == 0 && err != nil && st.Size() > 0 {
		return nil, err
	}
	return data[:n], nil
}
