package listen

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"indrik/internal/pathwalk"
)

// A NotSocketError says that something else is where a unix socket should be.
type NotSocketError struct{ Path string }

func (e *NotSocketError) Error() string { return quote(e.Path) + " is not a socket" }

// Unwrap returns ENOTSOCK.
func (e *NotSocketError) Unwrap() error { return unix.ENOTSOCK }

// errTooLong has Python's text; the system would only say EINVAL.
var errTooLong = errors.New("AF_UNIX path too long")

// maxPath is the size of sun_path, less a final NUL.
const maxPath = len(unix.RawSockaddrUnix{}.Path) - 1

// umask is held while the umask of the process is not its own.
var umask sync.Mutex

func openUnix(a Address, o Options) (*Listener, error) {
	if len(a.Path) > maxPath {
		return nil, errTooLong
	}
	dir, name, err := pathwalk.Parent(a.Path)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	fd, err := socket(unix.AF_UNIX)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	// Between the probe and bind nobody else may take the place.
	defer lockDir(filepath.Dir(a.Path))()
	if err := clearStale(a.Path); err != nil {
		return nil, err
	}
	// bind(2) makes the file with mode 0777 less the umask, at once the right
	// one. A temporary name, chmod and rename would do that as well, but then
	// getsockname(2), and all tools, would show the temporary name until it ends.
	umask.Lock()
	old := unix.Umask(o.Umask)
	err = unix.Bind(fd, &unix.SockaddrUnix{Name: a.Path})
	unix.Umask(old)
	umask.Unlock()
	if err != nil {
		return nil, os.NewSyscallError("bind", err)
	}
	l, err := adopt(fd)
	if err != nil {
		os.Remove(a.Path)
		return nil, err
	}
	l.Owned = true
	if o.UID != -1 || o.GID != -1 {
		// Whoever may write to the directory could have put something else there since.
		if err := dir.Give(name, unix.S_IFSOCK, o.UID, o.GID); err != nil {
			l.Unlink()
			l.Close()
			return nil, err
		}
	}
	if err := l.Listen(o.Backlog); err != nil {
		l.Unlink()
		l.Close()
		return nil, err
	}
	return l, nil
}

// clearStale removes a socket file that nobody listens on.
func clearStale(path string) error {
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if st.Mode().Type() != fs.ModeSocket {
		return &NotSocketError{path}
	}
	switch err := probe(path); {
	case errors.Is(err, unix.ECONNREFUSED):
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove the stale socket: %w", err)
		}
		return nil
	case errors.Is(err, unix.ENOENT):
		return nil
	case err == nil, errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EPROTOTYPE):
		// It has a listener, one whose queue is full, or it is in use as
		// another type of socket.
		return unix.EADDRINUSE
	default:
		return os.NewSyscallError("connect", err)
	}
}

// probe connects to a socket and closes the connection.
func probe(path string) error {
	fd, err := socket(unix.AF_UNIX)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		return err
	}
	return unix.Connect(fd, &unix.SockaddrUnix{Name: path})
}

const (
	lockTries = 50
	lockPause = 10 * time.Millisecond
)

// lockDir keeps other masters from changing the sockets in a directory until unlock
// is called. Somebody else's lock, or a file system without locks, must not keep the
// server from starting: after half a second it goes on without.
func lockDir(dir string) (unlock func()) {
	f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return func() {}
	}
	for range lockTries {
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			break
		}
		time.Sleep(lockPause)
	}
	return func() { f.Close() }
}
