package oslayer

import "golang.org/x/sys/unix"

func limitedProcesses() string { return limited(unix.RLIMIT_NPROC) }
