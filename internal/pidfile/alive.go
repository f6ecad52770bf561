package pidfile

import (
	"errors"
	"syscall"
)

// signalled tells from the result of kill(pid, 0) whether there is such a process;
// EPERM: it belongs to somebody else.
func signalled(err error) bool { return err == nil || errors.Is(err, syscall.EPERM) }
