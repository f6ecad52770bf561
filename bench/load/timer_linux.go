package load

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// timerEvent is the timer's data in events of epoll.
const timerEvent = -1

// A timer ends a wait for events to the microsecond: epoll_wait itself counts in
// milliseconds.
type timer struct{ fd int }

func newTimer(epoll int) (*timer, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("timerfd_create: %w", err)
	}
	// Edge-triggered: it need not be read.
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: timerEvent}
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("epoll_ctl: %w", err)
	}
	return &timer{fd}, nil
}

// set starts the timer, which goes off once, after d.
func (t *timer) set(d time.Duration) {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(max(d, 1)))}
	_ = unix.TimerfdSettime(t.fd, 0, &spec, nil) // it cannot fail for a valid time
}

func (t *timer) close() { unix.Close(t.fd) }
