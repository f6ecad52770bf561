package oslayer

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

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

// Descends reports whether a process is below one of roots, or is one of them. One that has
// ended counts as below: what it was cannot be found out any more. known is false without a
// /proc of this namespace.
func Descends(pid int, roots ...int) (below, known bool) {
	if _, known = parentOf(os.Getpid()); !known {
		return false, false
	}
	for range 100 {
		at := pid
		for at > 1 && !slices.Contains(roots, at) {
			parent, there := parentOf(at)
			if !there {
				break
			}
			at = parent
		}
		switch {
		case at > 1 && slices.Contains(roots, at):
			return true, true
		case at <= 1:
			return slices.Contains(roots, at), true
		case at == pid:
			return true, true // it has ended
		}
		// One between them has ended since, and its children have another parent now.
	}
	return true, true
}

// Usage returns what a process uses: resident memory and its share of memory that it has
// together with others, in bytes, and processor time. What is not known is 0.
func Usage(pid int) (rss, pss int64, cpu time.Duration) {
	fields := statOf(pid)
	cpu = cpuIn(fields)
	if len(fields) > 21 {
		pages, _ := strconv.ParseInt(string(fields[21]), 10, 64) // field 24 of proc(5)
		rss = pages * int64(os.Getpagesize())
	}
	return rss, PSS(pid), cpu
}

// RSS returns the resident memory of a process in bytes, 0 if it is not known. That costs a
// few microseconds, and takes no lock of the process's (/proc/PID/statm).
func RSS(pid int) int64 {
	b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	fields := bytes.Fields(b)
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(string(fields[1]), 10, 64)
	return pages * int64(os.Getpagesize())
}

// PSS returns the resident memory of a process in bytes, of which what it shares with others
// counts in part; 0 if it is not known. The kernel walks through all of the memory for that,
// with a lock that the process can hold for long: it may take milliseconds, or hang.
func PSS(pid int) int64 {
	b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/smaps_rollup")
	for line := range bytes.Lines(b) {
		if rest, ok := bytes.CutPrefix(line, []byte("Pss:")); ok {
			kib, _ := strconv.ParseInt(string(bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte("kB")))), 10, 64)
			return kib << 10
		}
	}
	return 0
}

// CPU returns the processor time of a process, 0 if it is not known.
func CPU(pid int) time.Duration { return cpuIn(statOf(pid)) }

// cpuIn returns the processor time in what statOf returns: fields 14 and 15 of proc(5), whose
// first two it leaves out.
func cpuIn(fields [][]byte) time.Duration {
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(string(fields[11]), 10, 64)
	system, _ := strconv.ParseInt(string(fields[12]), 10, 64)
	return time.Duration(user+system) * (time.Second / clockTicks)
}

// clockTicks is the unit of times in /proc, in ticks a second: sysconf(_SC_CLK_TCK) is 100 on
// every Linux that Go supports.
const clockTicks = 100

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
