//go:build !linux

package wire

import (
	"syscall"

	"golang.org/x/sys/unix"
)

const recvFlags = 0

// socketpair uses datagrams: macOS has no SOCK_SEQPACKET for AF_UNIX. Datagram
// pairs keep message bounds and order too; they differ in that the end of the
// peer shows as ECONNRESET, and that a queue holds fewer bytes.
func socketpair() ([2]int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	if err == nil {
		setCloexec(fds[0])
		setCloexec(fds[1])
	}
	return fds, err
}

func setCloexec(fd int) { unix.CloseOnExec(fd) }
