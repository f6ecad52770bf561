package oslayer

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Subreaper makes orphaned descendants children of this process, so that [Reap]
// collects them: the workers of a spawner that died (prctl(2)).
func Subreaper() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become a subreaper: %w", err)
	}
	return nil
}

// Conceal keeps other processes of the same user from tracing this one and from reading
// its memory and its descriptors, and keeps the memory out of core files (prctl(2),
// PR_SET_DUMPABLE). A program that it executes is not concealed.
func Conceal() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("keep others from reading the memory: %w", err)
	}
	return nil
}

const self = "/proc/self/exe"

// Executable returns a path to the file that this process runs, also when it was
// replaced or removed since.
func Executable() string {
	if _, err := os.Stat(self); err == nil {
		return self
	}
	return executable()
}

// parentOf is the pid of the parent of a process. It is not known without a /proc of
// this namespace, or if the process is gone or hidden.
func parentOf(pid int) (parent int, known bool) {
	if link, err := os.Readlink("/proc/self"); err != nil || link != strconv.Itoa(os.Getpid()) {
		return 0, false
	}
	fields := statOf(pid)
	if len(fields) < 2 {
		return 0, false
	}
	parent, err := strconv.Atoi(string(fields[1]))
	return parent, err == nil
}

// statOf are the fields of /proc/PID/stat behind the name, which may have blanks and
// parentheses in it: state, parent and so on (proc(5)).
func statOf(pid int) [][]byte {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return nil
	}
	return bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
}

// ended reports whether a process is a zombie.
func ended(p *Process) bool {
	fields := statOf(p.pid)
	return len(fields) > 0 && (string(fields[0]) == "Z" || string(fields[0]) == "X")
}

// Stopped reports whether a process was stopped, by SIGSTOP say.
func Stopped(pid int) bool {
	fields := statOf(pid)
	return len(fields) > 0 && string(fields[0]) == "T"
}

// Traced reports whether a debugger or a tracer is attached to a process (ptrace(2)).
func Traced(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return false
	}
	_, rest, found := bytes.Cut(b, []byte("TracerPid:\t"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	return found && string(line) != "0"
}
