package appmetrics

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// prefix begins the name of each directory.
	prefix = "indrik-metrics-"
	// MaxFiles is how many files are read at most.
	MaxFiles = 2000
	// maxNames is how many names are looked at in a directory that the app has filled.
	maxNames = 10_000
	// keptGauges is of how many ended processes the values are still shown that each process
	// has for itself. The library keeps them all.
	keptGauges = 20
	// condenseAt is how many files of ended processes are left as they are.
	condenseAt = 8
	// maxCondensed is how many files are made one at once.
	maxCondensed = 32
)

// A Directory is where the files are. In it is a directory for each user that processes of the
// app have, which is that user's: so nobody with more rights writes where the app could have
// put a link. All methods are for one goroutine; none follows a link or waits.
//
// The server that made it holds a lock on it. When that has gone without Remove, the next one
// of the same user removes what is left.
type Directory struct {
	path  string
	base  *os.File
	users []*user
	// gone are the files of ended processes that are yet to be condensed, by what they have in
	// common, and which user's they are.
	gone  map[place][]Name
	kept  []File // of ended processes, the oldest first
	noted map[File]bool
}

// A user has a directory of its own.
type user struct {
	uid int
	dir *os.File
}

// A place is where files of one kind of one user are.
type place struct {
	user *user
	kind string
}

// A File is a file in a [Directory].
type File struct {
	Name Name
	user *user
}

// Make makes a directory in the first of parents that has room for it.
func Make(parents ...string) (*Directory, error) {
	var failed error
	for _, parent := range parents {
		d, err := makeIn(parent)
		switch {
		case err == nil:
			return d, nil
		case failed == nil:
			failed = err
		default:
			failed = fmt.Errorf("%w; %w", failed, err)
		}
	}
	return nil, failed
}

func makeIn(parent string) (*Directory, error) {
	if err := hasRoom(parent); err != nil {
		return nil, err
	}
	removeLeft(parent)
	for {
		path, err := os.MkdirTemp(parent, prefix)
		if err != nil {
			return nil, err
		}
		base, err := lock(path)
		if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, os.ErrNotExist) {
			continue // another server has taken it for one that was left
		}
		if err == nil {
			// Others pass through to what is theirs, and see no names.
			err = base.Chmod(0o711)
		}
		if err != nil {
			os.Remove(path)
			return nil, err
		}
		return &Directory{path: path, base: base, gone: map[place][]Name{}, noted: map[File]bool{}}, nil
	}
}

// minRoom is how many bytes must be free: a file system in memory that is full ends the
// processes that write to a mapping (mmap(2), SIGBUS).
const minRoom = 16 << 20

func hasRoom(parent string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(parent, &st); err != nil {
		return &os.PathError{Op: "statfs", Path: parent, Err: err}
	}
	if free := st.Bavail * uint64(st.Bsize); free < minRoom {
		return fmt.Errorf("%s has %d MiB free, and %d are needed", parent, free>>20, minRoom>>20)
	}
	return nil
}

// lock opens a directory of this user's and locks it. The error wraps EWOULDBLOCK if another
// process has locked it, and ErrNotExist if it is gone by then.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil {
		err = unix.Fstat(int(f.Fd()), &st)
	}
	switch {
	case err != nil:
	case int(st.Uid) != os.Geteuid():
		err = unix.EPERM
	case st.Nlink == 0:
		err = unix.ENOENT
	}
	if err != nil {
		f.Close()
		return nil, &os.PathError{Op: "lock", Path: path, Err: err}
	}
	return f, nil
}

// removeLeft removes the directories of servers that were killed.
func removeLeft(parent string) {
	entries, _ := os.ReadDir(parent)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		base, err := lock(filepath.Join(parent, e.Name()))
		if err != nil {
			continue // of a server that runs, or somebody else's
		}
		d := &Directory{path: filepath.Join(parent, e.Name()), base: base}
		users, _ := base.Readdirnames(maxNames)
		for _, name := range users {
			if dir, err := openDir(base, name); err == nil {
				d.users = append(d.users, &user{dir: dir})
			}
		}
		_ = d.Remove()
	}
}

// openDir opens a directory in another one.
func openDir(parent *os.File, name string) (*os.File, error) {
	return openAt(parent, name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
}

// openAt opens a name in a directory, and nothing that a link leads to; it does not wait for
// whoever has the other end of a pipe, or a lease.
func openAt(dir *os.File, name string, flags int, mode uint32) (*os.File, error) {
	fd, err := unix.Openat(int(dir.Fd()), name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, mode)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: filepath.Join(dir.Name(), name), Err: err}
	}
	return os.NewFile(uintptr(fd), filepath.Join(dir.Name(), name)), nil
}

// Path is where the directory is. A process of the user with the number uid has its files in
// what has that number for a name there.
func (d *Directory) Path() string { return d.path }

// Admit makes the directory of a user, unless it is there.
func (d *Directory) Admit(uid int) error {
	if slices.ContainsFunc(d.users, func(u *user) bool { return u.uid == uid }) {
		return nil
	}
	name := strconv.Itoa(uid)
	if err := unix.Mkdirat(int(d.base.Fd()), name, 0o700); err != nil {
		return &os.PathError{Op: "mkdir", Path: filepath.Join(d.path, name), Err: err}
	}
	dir, err := openDir(d.base, name)
	if err != nil {
		return err
	}
	if uid != os.Geteuid() {
		if err := dir.Chown(uid, -1); err != nil {
			dir.Close()
			return err
		}
	}
	d.users = append(d.users, &user{uid, dir})
	return nil
}

// Files returns the files that there are. whole reports whether that is all of them. It also
// takes note of processes that have ended without [Directory.Ended] having been told: those that
// workers have started.
func (d *Directory) Files() (files []File, whole bool) {
	whole = true
	for _, u := range d.users {
		names, all := u.list()
		whole = whole && all
		for _, n := range names {
			if n.hasEnded() && u.isUnused(n) {
				if d.end(u, n); n.isLive() {
					continue
				}
			}
			if len(files) == MaxFiles {
				return files, false
			}
			files = append(files, File{n, u})
		}
	}
	return files, whole
}

// list returns the files of a user by their names, in order, and whether that is all of them.
func (u *user) list() (names []Name, whole bool) {
	dir, err := openDir(u.dir, ".") // with an offset of its own
	if err != nil {
		return nil, false
	}
	defer dir.Close()
	found, err := dir.Readdirnames(maxNames)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false
	}
	slices.Sort(found)
	for _, s := range found {
		if n, ok := ParseName(s); ok {
			names = append(names, n)
		}
	}
	return names, len(found) < maxNames
}

// Open opens the file, to be read. It returns nil if it is gone, or is none that a process of the
// user could have made.
func (f File) Open() *os.File { return f.user.open(f.Name) }

func (u *user) open(n Name) *os.File {
	f, err := openAt(u.dir, n.String(), unix.O_RDONLY, 0)
	if err != nil {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || int(st.Uid) != u.uid {
		f.Close()
		return nil
	}
	return f
}

// isUnused reports whether no process has the file open, as far as can be told.
func (u *user) isUnused(n Name) bool {
	f := u.open(n)
	if f == nil {
		return false
	}
	defer f.Close()
	return isUnused(f)
}

// remove removes a name of a user's, whatever it is, but no directory.
func (u *user) remove(name string) error { return unix.Unlinkat(int(u.dir.Fd()), name, 0) }

// Remove removes the directory with all files. Of a directory that the app has filled, or that
// has others in it, some remains, and the error says so.
func (d *Directory) Remove() error {
	for _, u := range d.users {
		if dir, err := openDir(u.dir, "."); err == nil {
			names, _ := dir.Readdirnames(maxNames)
			for _, name := range names {
				_ = u.remove(name)
			}
			dir.Close()
		}
		name := filepath.Base(u.dir.Name())
		u.dir.Close()
		_ = unix.Unlinkat(int(d.base.Fd()), name, unix.AT_REMOVEDIR)
	}
	// Before the lock is given up: what has no name is nobody's.
	err := os.Remove(d.path)
	d.base.Close()
	return err
}
