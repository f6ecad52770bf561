package oslayer

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Limit names the limit of the system that err has met, with its value in this process
// where it has one, and what sets it. It is empty for an error that is about no limit.
func Limit(err error) string {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return ""
	}
	switch errno {
	case syscall.EMFILE:
		return "RLIMIT_NOFILE" + limited(unix.RLIMIT_NOFILE) + ", how many descriptors a process may have: ulimit -n, LimitNOFILE="
	case syscall.ENFILE:
		return "fs.file-max, how many files the whole system may have open: sysctl fs.file-max"
	case syscall.EAGAIN:
		// Sockets that have nothing to read say so as well, but these are not
		// errors; of all else only the start of processes and threads gives it.
		return "RLIMIT_NPROC" + limitedProcesses() + ", how many processes and threads a user may have: ulimit -u, LimitNPROC=; or pids.max of the cgroup, TasksMax="
	case syscall.EFBIG:
		return "RLIMIT_FSIZE" + limited(unix.RLIMIT_FSIZE) + " bytes, how large a file may be, memory files too: ulimit -f, LimitFSIZE="
	case syscall.ENOMEM:
		return "memory: RLIMIT_AS (ulimit -v), memory.max of the cgroup, vm.max_map_count or vm.overcommit_memory"
	case syscall.ENOBUFS:
		return "the kernel's memory for sockets: net.core.wmem_max, memory.max of the cgroup"
	case syscall.ENOSPC, syscall.EDQUOT:
		return "the space, the inodes or the quota of the file system"
	}
	return ""
}

// limited is the value of a limit, after a blank, as the kernel enforces it now.
func limited(which int) string {
	var l unix.Rlimit
	if unix.Getrlimit(which, &l) != nil || l.Cur == unix.RLIM_INFINITY {
		return ""
	}
	return fmt.Sprintf(" %d", l.Cur)
}
