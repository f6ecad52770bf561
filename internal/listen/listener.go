package listen

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"indrik/internal/pathwalk"
)

// A Listener is a listening socket.
type Listener struct {
	ID      int // for the caller's use
	Address     // where it listens: TCP with the real port and an IP address, or Unix

	// Asked is what it was opened for, as it was configured: a host name, port 0,
	// or FD. It is the zero Address after Adopt; the caller may set it.
	Asked Address

	Bind    string   // 127.0.0.1:8000, [::1]:8000 or unix:/run/x.sock
	File    *os.File // the socket; see the package comment
	Owned   bool     // its socket file is ours to unlink; Adopt leaves it false
	Systemd bool     // for the caller's use: the service manager made it

	file fileID // the socket file
}

// A fileID tells files apart.
type fileID struct {
	path     string // absolute; "": there is no file
	dev, ino uint64
}

// Adopt makes a listener of a socket that somebody else made: a master before this
// one, or the service manager. It finds out the address. It takes over f, unless there
// is an error. The caller should call [Listener.Listen], and set Owned if it is to
// remove the socket file one day.
func Adopt(f *os.File) (*Listener, error) {
	l, err := adopt(int(f.Fd()))
	if err != nil {
		return nil, fmt.Errorf("take over the listening socket at descriptor %d: %w", f.Fd(), err)
	}
	f.Close()
	return l, nil
}

// adopt makes a listener of a duplicate of fd.
func adopt(fd int) (*Listener, error) {
	if kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); err != nil {
		return nil, os.NewSyscallError("getsockopt", err)
	} else if kind != unix.SOCK_STREAM {
		return nil, fmt.Errorf("not a stream socket: %w", unix.EPROTOTYPE)
	}
	a, err := local(fd)
	if err != nil {
		return nil, err
	}
	f, err := unpolled(fd, a.bind())
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(int(f.Fd()), true); err != nil {
		f.Close()
		return nil, os.NewSyscallError("fcntl", err)
	}
	l := &Listener{Address: a, Bind: a.bind(), File: f}
	if a.Network == Unix {
		l.file, _ = identify(a.Path)
	}
	return l, nil
}

// Listen sets the length of the queue of connections that wait to be accepted, and
// makes a socket listen that does not yet.
func (l *Listener) Listen(backlog int) error {
	if err := unix.Listen(int(l.File.Fd()), backlog); err != nil {
		return fmt.Errorf("listen on %s: %w", l.Bind, os.NewSyscallError("listen", err))
	}
	return nil
}

// URL returns the address for the line "Listening at: ".
func (l *Listener) URL() string {
	if l.Network == Unix {
		return l.Bind
	}
	return "http://" + l.Bind
}

// Close closes this process's descriptor. Connections that nobody has accepted are
// reset if it is the last one.
func (l *Listener) Close() error { return l.File.Close() }

// Unlink removes the socket file, if it is our own and still the one that the socket
// was bound to.
func (l *Listener) Unlink() {
	if !l.Owned || l.file.path == "" {
		return
	}
	defer lockDir(filepath.Dir(l.file.path))()
	dir, name, err := pathwalk.Parent(l.file.path)
	if err != nil {
		return
	}
	defer dir.Close()
	path := dir.Join(name)
	if now, err := identify(path); err == nil && now.dev == l.file.dev && now.ino == l.file.ino {
		_ = os.Remove(path)
	}
}

// Same reports whether l listens where a says. It may have to look up a host name, if l
// was adopted.
func (l *Listener) Same(a Address) bool {
	if a == l.Asked || a == l.Address {
		return true
	}
	switch a.Network {
	case Unix:
		return l.Network == Unix && l.file.path != "" && absolute(a.Path) == l.file.path
	case TCP:
		if l.Network != TCP || a.Port != l.Port || l.Asked.Network != "" {
			return false
		}
		ip, err := resolve(a.Host)
		return err == nil && ip.String() == l.Host
	}
	return false
}

// identify returns what file there is at path now.
func identify(path string) (fileID, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return fileID{}, err
	}
	return fileID{absolute(path), uint64(st.Dev), uint64(st.Ino)}, nil
}

// absolute keeps the meaning of a path when the master changes its directory.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
