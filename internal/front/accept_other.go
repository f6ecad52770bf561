//go:build !linux

package front

import (
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
