package pathwalk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// walks reports whether this system walks.
const walks = true

// oPath opens what cannot be opened otherwise, as sockets.
const oPath = unix.O_PATH

// maxLinks is how many symbolic links a path may lead through, as for the kernel
// (path_resolution(7)).
const maxLinks = 40

// A walk is on its way along a path.
type walk struct {
	path  string
	dir   *os.File // where it is
	rest  []string // the names that are to come
	links int
}

// Find walks to the directory that a file is in, or is to be in, and returns it with the
// name of the file there. The error of a path with a link that is not to be followed is a
// [*LinkError]. If the file itself is a link it is followed.
func Find(path string) (*Dir, string, error) { return find(path, true) }

// Parent finds the directory of a path as Find does; the file itself may be a link.
func Parent(path string) (*Dir, string, error) { return find(path, false) }

func find(path string, follow bool) (*Dir, string, error) {
	if !rights() {
		return &Dir{path: filepath.Dir(path), trusted: true}, filepath.Base(path), nil
	}
	w := &walk{path: path, rest: names(path)}
	if err := w.enter(base(path)); err != nil {
		return nil, "", err
	}
	for {
		name := w.rest[0]
		w.rest = w.rest[1:]
		last := len(w.rest) == 0
		if last && !follow {
			return w.found(name)
		}
		done, err := w.step(name, last)
		if err != nil {
			w.dir.Close()
			return nil, "", err
		}
		if done {
			return w.found(name)
		}
	}
}

func base(path string) string {
	if filepath.IsAbs(path) {
		return "/"
	}
	return "."
}

// names are the names that a path consists of, at least one.
func names(path string) []string {
	var names []string
	for name := range strings.SplitSeq(path, "/") {
		if name != "" && name != "." {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return []string{"."}
	}
	return names
}

func (w *walk) enter(path string) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: w.path, Err: err}
	}
	w.move(fd, path)
	return nil
}

func (w *walk) move(fd int, name string) {
	if w.dir != nil {
		w.dir.Close()
	}
	w.dir = os.NewFile(uintptr(fd), name)
}

func (w *walk) found(name string) (*Dir, string, error) {
	trusted, err := w.trusted()
	if err != nil {
		w.dir.Close()
		return nil, "", err
	}
	named := descriptor(w.dir, "") == ""
	return &Dir{file: w.dir, path: filepath.Dir(w.path), named: named, trusted: trusted}, name, nil
}

// step goes on by one name. done: that is the end of the way.
func (w *walk) step(name string, last bool) (done bool, err error) {
	fail := func(err error) (bool, error) {
		return false, &os.PathError{Op: "open", Path: w.path, Err: err}
	}
	at := int(w.dir.Fd())
	fd, err := unix.Openat(at, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT && last {
		return true, nil
	}
	if err != nil {
		return fail(err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return fail(err)
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		defer unix.Close(fd)
		return w.link(fd, name, &st, last)
	case unix.S_IFDIR:
		if !last {
			w.move(fd, name)
			return false, nil
		}
	}
	unix.Close(fd)
	if last {
		return true, nil
	}
	return fail(unix.ENOTDIR)
}

// link follows a symbolic link, if it is to be followed.
func (w *walk) link(fd int, name string, st *unix.Stat_t, last bool) (done bool, err error) {
	if w.links++; w.links > maxLinks {
		return false, &os.PathError{Op: "open", Path: w.path, Err: unix.ELOOP}
	}
	if onProc(fd) {
		// The kernel made it. What it says is no path, so that only the kernel can follow it.
		if last {
			return true, nil
		}
		next, err := unix.Openat(int(w.dir.Fd()), name, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return false, &os.PathError{Op: "open", Path: w.path, Err: err}
		}
		w.move(next, name)
		return false, nil
	}
	trusted, err := w.trusted()
	if err != nil {
		return false, err
	}
	// One that somebody else has made of a link of root's has two names.
	if !trusted && (!own(st.Uid) || st.Nlink != 1) {
		return false, &LinkError{w.path, name, int(st.Uid)}
	}
	var target [unix.PathMax]byte
	n, err := unix.Readlinkat(fd, "", target[:])
	if err != nil {
		return false, &os.PathError{Op: "open", Path: w.path, Err: err}
	}
	to := string(target[:n])
	w.rest = append(names(to), w.rest...)
	if filepath.IsAbs(to) {
		return false, w.enter("/")
	}
	return false, nil
}

func own(uid uint32) bool { return uid == 0 || int(uid) == os.Geteuid() }

// trusted reports whether nobody else may write to the directory that the walk is in.
func (w *walk) trusted() (bool, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(w.dir.Fd()), &st); err != nil {
		return false, &os.PathError{Op: "stat", Path: w.path, Err: err}
	}
	return own(st.Uid) && st.Mode&0o022 == 0, nil
}

// open opens a file that is there.
func open(path string, flags int) (*os.File, error) {
	dir, name, err := Find(path)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	if dir.file == nil {
		return os.OpenFile(path, flags, 0)
	}
	at := int(dir.file.Fd())
	fd, err := unix.Openat(at, name, flags|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if errors.Is(err, unix.ELOOP) && onProc(at) {
		fd, err = unix.Openat(at, name, flags|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return nil, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if !dir.trusted && st.Mode&unix.S_IFMT != unix.S_IFDIR && st.Nlink > 1 {
		unix.Close(fd)
		return nil, &LinkError{path, name, -1}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// onProc reports whether a file is one of /proc.
func onProc(fd int) bool {
	var fs unix.Statfs_t
	return unix.Fstatfs(fd, &fs) == nil && fs.Type == unix.PROC_SUPER_MAGIC
}

// descriptor is a path of f, or path where there is no /proc.
func descriptor(f *os.File, path string) string {
	name := fmt.Sprintf("/proc/self/fd/%d", f.Fd())
	if unix.Access(filepath.Dir(name), unix.F_OK) != nil {
		return path
	}
	return name
}

// create makes a file that is not there.
func create(path string, flags int) (*os.File, error) {
	dir, name, err := Find(path)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	flags |= os.O_CREATE | os.O_EXCL
	if dir.file == nil {
		return os.OpenFile(path, flags, 0o644)
	}
	fd, err := unix.Openat(int(dir.file.Fd()), name, flags|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// Give gives what name is in a directory to a user and a group (−1: as it is), if it is of
// the given type (unix.S_IFSOCK and so on), has no other name and is this user's own: not
// what somebody has put in its place.
func (d *Dir) Give(name string, kind uint32, uid, gid int) error {
	at := unix.AT_FDCWD
	if d.file != nil {
		at = int(d.file.Fd())
	} else {
		name = filepath.Join(d.path, name)
	}
	fd, err := unix.Openat(at, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "chown", Path: name, Err: err}
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return &os.PathError{Op: "chown", Path: name, Err: err}
	}
	if st.Mode&unix.S_IFMT != kind || st.Nlink != 1 || !own(st.Uid) {
		return &os.PathError{Op: "chown", Path: name, Err: unix.EEXIST}
	}
	return os.NewSyscallError("chown", unix.Fchownat(fd, "", uid, gid, unix.AT_EMPTY_PATH))
}
