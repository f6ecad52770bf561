//go:build !linux

package wire

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	recvFlags   = 0
	sndbufForce = unix.SO_SNDBUF
	pollEnded   = unix.POLLHUP
)

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

type recvmsg struct{}

// ReadNow is read(2) for descriptors that do not block.
func ReadNow(fd uintptr, p []byte) (n int, err error) {
	for {
		if n, err = unix.Read(int(fd), p); err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

// WriteNow is write(2) for descriptors that do not block.
func WriteNow(fd uintptr, p []byte) (n int, err error) {
	for {
		if n, err = unix.Write(int(fd), p); err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

// WriteMoreNow is [WriteNow].
func WriteMoreNow(fd uintptr, p []byte) (int, error) { return WriteNow(fd, p) }

// A Vector has what the same type has on Linux.
type Vector struct{}

// WriteNow is [WriteNow] of two pieces.
func (v *Vector) WriteNow(fd uintptr, a, b []byte) (int, error) {
	n, err := WriteNow(fd, a)
	if err != nil || n < len(a) {
		return n, err
	}
	m, err := WriteNow(fd, b)
	if err != nil && n > 0 {
		err = nil // the next call meets it again
	}
	return n + m, err
}

// Rest does nothing where the sleep of a thread is not known to be short.
func Rest(time.Duration) {}

func (r *Receiver) receive(fd uintptr, buf []byte, flags int) {
	for {
		r.N, r.oobn, r.Flags, _, r.Err = unix.Recvmsg(int(fd), buf, r.oob, flags)
		if r.Err != unix.EINTR {
			return
		}
	}
}
