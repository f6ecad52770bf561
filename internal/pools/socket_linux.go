package pools

import (
	"os"

	"golang.org/x/sys/unix"
)

// isMessageSocket reports whether a descriptor that a worker has sent is one end of a pair of
// message sockets, as a call connection has to be.
func isMessageSocket(f *os.File) bool {
	fd := int(f.Fd())
	for _, want := range []struct{ option, value int }{
		{unix.SO_DOMAIN, unix.AF_UNIX}, {unix.SO_TYPE, unix.SOCK_SEQPACKET}, {unix.SO_ACCEPTCONN, 0},
	} {
		if got, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, want.option); err != nil || got != want.value {
			return false
		}
	}
	return true
}

// unreadOf returns how much of what was sent the other end has not read: sockios(7), SIOCOUTQ.
func unreadOf(fd uintptr) int {
	n, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
	if err != nil {
		return 0
	}
	return n
}
