package serve

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// attributes keep a terminal's Ctrl-C away from a server, and end it when the
// program that measures ends.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

// AdoptOrphans makes every process that a server leaves behind a child of this
// one (prctl(2), PR_SET_CHILD_SUBREAPER), so that it can be found and ended.
func AdoptOrphans() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("prctl PR_SET_CHILD_SUBREAPER: %w", err)
	}
	return nil
}
