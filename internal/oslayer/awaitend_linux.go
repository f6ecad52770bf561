package oslayer

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// AwaitEnd waits until a process that need not be a child of this one has ended. The error is
// that of ctx.
func AwaitEnd(ctx context.Context, pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return os.NewSyscallError("pidfd_open", err)
	}
	defer unix.Close(fd)
	for ctx.Err() == nil {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if n, err := unix.Poll(fds, 100); err != nil && !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("poll", err)
		} else if n > 0 {
			return nil
		}
	}
	return ctx.Err()
}
