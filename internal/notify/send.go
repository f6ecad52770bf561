package notify

import (
	"errors"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

var errAddress = errors.New("NOTIFY_SOCKET is neither a path nor an abstract name")

// sendto sends a datagram from a socket made for it: the manager may have been
// started anew since the last one.
func (n *Notifier) sendto(data []byte) error {
	if n.path[0] != '/' && n.path[0] != '@' {
		return errAddress
	}
	syscall.ForkLock.RLock()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	// A leading @ means the abstract namespace to SockaddrUnix as well.
	return os.NewSyscallError("sendto", unix.Sendto(fd, data, 0, &unix.SockaddrUnix{Name: n.path}))
}

// monotonic returns the time of CLOCK_MONOTONIC in microseconds.
func monotonic() (int64, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0, os.NewSyscallError("clock_gettime", err)
	}
	return ts.Nano() / int64(time.Microsecond), nil
}
