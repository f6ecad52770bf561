//go:build !linux

package pidfile

import "syscall"

// alive reports whether a process runs under pid.
func alive(pid int) bool { return signalled(syscall.Kill(pid, 0)) }
