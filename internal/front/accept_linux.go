package front

import "golang.org/x/sys/unix"

// acceptNow accepts a connection without waiting.
func acceptNow(fd int) (int, error) {
	nfd, _, err := unix.Accept4(fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	return nfd, err
}
