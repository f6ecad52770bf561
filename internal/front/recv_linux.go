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

// readNow and writeNow are read(2) and write(2) for descriptors that do not block:
// the scheduler need not be told of a system call that soon returns.

func readNow(fd uintptr, p []byte) (int, error) { return callNow(unix.SYS_READ, fd, p) }

func writeNow(fd uintptr, p []byte) (int, error) { return callNow(unix.SYS_WRITE, fd, p) }

func callNow(call, fd uintptr, p []byte) (int, error) {
	for {
		n, _, errno := unix.RawSyscall(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		case unix.EAGAIN:
			return 0, unix.EAGAIN // as it is: to make an error of another one allocates
		default:
			return 0, errno
		}
	}
}

// receive receives one message into buf, of a descriptor that does not block.
func (r *receiver) receive(fd int, buf []byte, flags int) {
	r.vector.Base = unsafe.SliceData(buf)
	r.vector.SetLen(len(buf))
	r.header.Iov = &r.vector
	r.header.SetIovlen(1)
	r.header.Control = &r.oob[0]
	for {
		r.header.SetControllen(len(r.oob))
		n, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&r.header)), uintptr(flags))
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
