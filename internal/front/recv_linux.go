package front

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

const recvFlags = unix.MSG_CMSG_CLOEXEC

// recvmsg holds the arguments of recvmsg(2).
type recvmsg struct {
	header unix.Msghdr
	vector unix.Iovec
}

// receive receives one message into buf.
func (r *receiver) receive(fd int, buf []byte, flags int) {
	r.vector.Base = unsafe.SliceData(buf)
	r.vector.SetLen(len(buf))
	r.header.Iov = &r.vector
	r.header.SetIovlen(1)
	r.header.Control = &r.oob[0]
	for {
		r.header.SetControllen(len(r.oob))
		n, _, errno := unix.Syscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&r.header)), uintptr(flags))
		switch errno {
		case unix.EINTR:
			continue
		case 0:
			r.n, r.oobn, r.err = int(n), int(r.header.Controllen), nil
		default:
			r.n, r.oobn, r.err = 0, 0, errno
		}
		return
	}
}

// hasEnded tells whether the other side of a socket sends no more than what is
// there already.
func hasEnded(fd uintptr) bool { return polls(fd, unix.POLLRDHUP) }
