//go:build !linux

package front

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// acceptNow accepts a connection without waiting.
func acceptNow(fd int) (int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	nfd, _, err := unix.Accept(fd)
	if err == nil {
		unix.CloseOnExec(nfd)
		err = unix.SetNonblock(nfd, true)
	}
	return nfd, err
}

// openAcceptor returns what accepts connections on a socket, which stays the caller's.
func openAcceptor(f *os.File, _ string) (acceptor, error) { return openNet(f) }
