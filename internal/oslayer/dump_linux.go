package oslayer

import "syscall"

// SignalDump has a worker write the stacks of its threads. It is a real-time
// signal that neither C library keeps for itself, by its number in the kernel:
// what the libraries call SIGRTMIN differs (34 in glibc, 35 in musl).
const SignalDump = syscall.Signal(40)
