package master

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"indrik/internal/settings"
)

// terminal is the process group that a worker has to join in order to read from the
// terminal (termios(3), SIGTTIN), 0 if it is not to: a debugger in the app can talk to
// the user if the server runs in the foreground and has a single worker.
func (m *Master) terminal(cfg *settings.Config) int {
	if m.sys.daemonized() || m.upgrader.upgraded || cfg.Workers() != 1 {
		return 0
	}
	group := syscall.Getpgrp()
	if foreground, err := unix.IoctlGetInt(int(os.Stdin.Fd()), unix.TIOCGPGRP); err != nil || foreground != group {
		return 0
	}
	return group
}
