//go:build !linux

package front

import "golang.org/x/sys/unix"

const recvFlags = 0

type recvmsg struct{}

func readNow(fd uintptr, p []byte) (n int, err error) {
	for {
		if n, err = unix.Read(int(fd), p); err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

func writeNow(fd uintptr, p []byte) (n int, err error) {
	for {
		if n, err = unix.Write(int(fd), p); err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

// receive receives one message into buf.
func (r *receiver) receive(fd int, buf []byte, flags int) {
	for {
		r.n, r.oobn, _, _, r.err = unix.Recvmsg(fd, buf, r.oob[:], flags)
		if r.err != unix.EINTR {
			return
		}
	}
}

// hasEnded tells whether the other side of a socket sends no more than what is
// there already.
func hasEnded(fd uintptr) bool { return polls(fd, unix.POLLHUP) }
