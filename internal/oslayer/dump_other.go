//go:build !linux

package oslayer

import "syscall"

// SignalDump has a worker write the stacks of its threads.
const SignalDump = syscall.SIGINFO
