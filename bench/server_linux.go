package main

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// attributes keep a terminal's Ctrl-C away from a server, which the bench ends
// itself, and end the server should the bench be killed.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

// adoptOrphans makes every process that a server leaves behind a child of the
// bench, so that it can be found and ended.
func adoptOrphans() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("prctl PR_SET_CHILD_SUBREAPER: %w", err)
	}
	return nil
}
