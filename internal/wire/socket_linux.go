package wire

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	recvFlags = unix.MSG_CMSG_CLOEXEC
	// sndbufForce is not bound by net.core.wmem_max; it takes CAP_NET_ADMIN.
	sndbufForce = unix.SO_SNDBUFFORCE
	pollEnded   = unix.POLLRDHUP
)

func socketpair() ([2]int, error) {
	return unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
}

func setCloexec(int) {} // recvFlags did it

// recvmsg holds the arguments of recvmsg(2).
type recvmsg struct {
	header unix.Msghdr
	vector unix.Iovec
}

// ReadNow is read(2) for descriptors that do not block: the scheduler need not be told
// of a system call that soon returns.
func ReadNow(fd uintptr, p []byte) (int, error) { return callNow(unix.SYS_READ, fd, p) }

// WriteNow is write(2) for descriptors that do not block; see [ReadNow].
func WriteNow(fd uintptr, p []byte) (int, error) { return callNow(unix.SYS_WRITE, fd, p) }

// WriteMoreNow is [WriteNow] on a socket of bytes that may go out together with those of the next
// call (MSG_MORE of send(2)).
func WriteMoreNow(fd uintptr, p []byte) (int, error) {
	return retryNow(unix.SYS_SENDTO, fd, unsafe.Pointer(unsafe.SliceData(p)), len(p), unix.MSG_MORE|unix.MSG_NOSIGNAL)
}

// A Vector holds the arguments of writev(2), which would have to be allocated each time.
type Vector struct{ pieces [2]unix.Iovec }

// WriteNow is writev(2) of two pieces, as [WriteNow] is write(2) of one.
func (v *Vector) WriteNow(fd uintptr, a, b []byte) (int, error) {
	v.pieces[0].Base, v.pieces[1].Base = unsafe.SliceData(a), unsafe.SliceData(b)
	v.pieces[0].SetLen(len(a))
	v.pieces[1].SetLen(len(b))
	n, err := retryNow(unix.SYS_WRITEV, fd, unsafe.Pointer(&v.pieces), len(v.pieces), 0)
	v.pieces[0].Base, v.pieces[1].Base = nil, nil
	return n, err
}

func callNow(call, fd uintptr, p []byte) (int, error) {
	return retryNow(call, fd, unsafe.Pointer(unsafe.SliceData(p)), len(p), 0)
}

// retryNow makes a call until no signal interrupts it. read(2), write(2) and writev(2) do not look
// at flags.
func retryNow(call, fd uintptr, p unsafe.Pointer, size, flags int) (int, error) {
	for {
		n, _, errno := unix.RawSyscall6(call, fd, uintptr(p), uintptr(size), uintptr(flags), 0, 0)
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

// Rest makes the calling thread wait for a time, and with it all that would run in it: the
// scheduler is not told. A signal ends it.
func Rest(d time.Duration) {
	t := unix.NsecToTimespec(int64(d))
	_, _, _ = unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&t)), 0, 0)
}

func (r *Receiver) receive(fd uintptr, buf []byte, flags int) {
	r.vector.Base = unsafe.SliceData(buf)
	r.vector.SetLen(len(buf))
	r.header.Iov = &r.vector
	r.header.SetIovlen(1)
	r.header.Control = unsafe.SliceData(r.oob)
	for {
		r.header.SetControllen(len(r.oob))
		n, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&r.header)), uintptr(flags))
		switch errno {
		case unix.EINTR:
			continue
		case 0:
			r.N, r.oobn, r.Flags, r.Err = int(n), int(r.header.Controllen), int(r.header.Flags), nil
		default:
			r.N, r.oobn, r.Flags, r.Err = 0, 0, 0, errno
		}
		return
	}
}
