package master

import (
	"golang.org/x/sys/unix"

	"indrik/internal/listen"
)

// waitingIn is the length of the accept queue of a listener, −1 if it has none that
// can be measured. Of a listening socket the kernel gives it as the number of
// unacknowledged segments.
func waitingIn(l *listen.Listener) int {
	if l.Network != "tcp" {
		return -1
	}
	info, err := unix.GetsockoptTCPInfo(int(l.File.Fd()), unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return -1
	}
	return int(info.Unacked)
}
