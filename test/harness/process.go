//go:build linux

package harness

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A Proc is a process as /proc shows it.
type Proc struct {
	PID, PPID int
	State     byte
	threads   int
	Title     string // the arguments joined by spaces, as ps prints them
}

func (p Proc) String() string {
	return fmt.Sprintf("%d (parent %d, %c) %s", p.PID, p.PPID, p.State, p.Title)
}

// ReadProc looks for a process; without it ok is false.
func ReadProc(pid int) (Proc, bool) {
	p, ok := readStat(pid)
	if ok {
		p.readTitle()
	}
	return p, ok
}

func (p *Proc) readTitle() {
	cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.PID))
	p.Title = strings.TrimSpace(string(bytes.ReplaceAll(cmdline, []byte{0}, []byte{' '})))
}

// readStat is ReadProc without the title.
func readStat(pid int) (Proc, bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Proc{}, false
	}
	// The name in parentheses may hold anything: what follows its last ")" counts.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	ppid, _ := strconv.Atoi(fields[1])
	threads, _ := strconv.Atoi(fields[17])
	return Proc{PID: pid, PPID: ppid, State: fields[0][0], threads: threads}, true
}

// processesUnder lists root (0 if there is none), the children of this process that run in dir
// or below it, and all that descend from them, zombies included as long as their parent is one
// of them. A daemon has left the family but not the directory, and is a child of this process,
// which is the subreaper.
func processesUnder(dir string, root int) []Proc {
	entries, _ := os.ReadDir("/proc")
	all := map[int]Proc{}
	in := map[int]bool{}
	var order []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// Hundreds of processes may run beside the tests: of most of them this is all that is read.
		p, ok := readStat(pid)
		if !ok {
			continue
		}
		all[pid] = p
		order = append(order, pid)
		if p.PPID == os.Getpid() {
			cwd := p.directory()
			in[pid] = cwd == dir || strings.HasPrefix(cwd, dir+"/")
		}
		if pid == root {
			in[pid] = true
		}
	}
	for again := true; again; {
		again = false
		for _, pid := range order {
			if !in[pid] && in[all[pid].PPID] {
				in[pid] = true
				again = true
			}
		}
	}
	slices.Sort(order) // the directory is in the order of the names: 9 comes after 10
	var found []Proc
	for _, pid := range order {
		p := all[pid]
		if !in[pid] || p.State == 'X' {
			continue
		}
		if p.State == 'Z' && p.threads <= 1 && (p.PPID == os.Getpid() || !in[p.PPID]) {
			continue // only its parent, which is none of the server's, can end it
		}
		p.readTitle()
		found = append(found, p)
	}
	return found
}

// directory is where a process runs, empty if that is not known. A zombie that has threads yet,
// and with them its files, runs where they do.
func (p Proc) directory() string {
	paths := []string{fmt.Sprintf("/proc/%d/cwd", p.PID)}
	if p.State == 'Z' && p.threads > 1 {
		paths, _ = filepath.Glob(fmt.Sprintf("/proc/%d/task/*/cwd", p.PID))
	}
	for _, path := range paths {
		if cwd, err := os.Readlink(path); err == nil {
			return cwd
		}
	}
	return ""
}

// Alive says whether a process exists and is no zombie. One whose first thread is
// a zombie lives as long as it has others: its parent is told after the last. Daemons
// that ended are collected here: this process is the subreaper that inherits them.
func Alive(pid int) bool {
	p, ok := ReadProc(pid)
	if ok && p.State == 'Z' && p.PPID == os.Getpid() {
		if _, own := Started.Load(pid); !own {
			var ws syscall.WaitStatus
			_, _ = syscall.Wait4(pid, &ws, syscall.WNOHANG, nil)
		}
	}
	return ok && p.State != 'X' && (p.State != 'Z' || p.threads > 1)
}

// Started holds the pids that exec.Cmd waits for.
var Started sync.Map

// WaitGone waits until a process has ended.
func WaitGone(t testing.TB, pid int) {
	t.Helper()
	Eventually(t, fmt.Sprintf("process %d has ended", pid), func() bool { return !Alive(pid) })
}

// Must ends the test at an error.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Eventually waits for a condition that no event announces.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	if !Within(Patience, holds) {
		t.Fatalf("after %v it is not so that %s", Patience, what)
	}
}

// Within reports whether a condition comes to hold within a limit.
func Within(limit time.Duration, holds func() bool) bool {
	deadline := time.Now().Add(limit)
	pause := 2 * time.Millisecond
	for !holds() {
		if time.Now().After(deadline) {
			return false
		}
		// Many conditions read /proc, and many tests run beside each other.
		time.Sleep(pause)
		pause = min(pause+pause/4+time.Millisecond/4, 20*time.Millisecond)
	}
	return true
}

// Kill sends a signal to a process that is there. To kill(2) 0 and what is below it are groups of
// processes, 0 that of the tests themselves.
func Kill(t testing.TB, pid int, sig syscall.Signal) {
	t.Helper()
	if pid <= 0 {
		t.Fatalf("send %v to %d: that is no process", sig, pid)
	}
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatalf("send %v to %d: %v", sig, pid, err)
	}
}

// Rests reports whether all threads of a process sleep, and none has run while this looked: what it
// has read by then it has done something with.
func Rests(pid int) bool {
	before, asleep := threadTurns(pid)
	if !asleep {
		return false
	}
	// All slept at the time between the two looks: who slept in both and had no turn meanwhile did so.
	after, asleep := threadTurns(pid)
	return asleep && maps.Equal(before, after)
}

// threadTurns returns how often each thread of a process has given the processor away, and whether
// all of them sleep.
func threadTurns(pid int) (turns map[string]string, asleep bool) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	turns = map[string]string{}
	for _, task := range tasks {
		data, _ := os.ReadFile(task)
		_, state, _ := strings.Cut(string(data), "\nState:\t")
		if !strings.HasPrefix(state, "S") {
			return nil, false
		}
		_, switches, _ := strings.Cut(state, "\nvoluntary_ctxt_switches:\t")
		turns[task] = switches
	}
	return turns, len(tasks) > 0
}

// Stop sends SIGSTOP to a process, and waits until none of its threads runs.
func Stop(t testing.TB, pid int) {
	t.Helper()
	Kill(t, pid, syscall.SIGSTOP)
	Eventually(t, fmt.Sprintf("process %d has stopped", pid), func() bool {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		for _, task := range tasks {
			stat, _ := os.ReadFile(task)
			if !strings.HasPrefix(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " T ") {
				return false
			}
		}
		return len(tasks) > 0
	})
}

// OpenFiles counts the descriptors of a process.
func OpenFiles(pid int) int {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return len(entries)
}

// Holds says whether a process has a file open.
func Holds(pid int, path string) bool {
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && target == path {
			return true
		}
	}
	return false
}

// WatchesFiles reports whether a process has asked the kernel to tell of changes to files
// (inotify(7)).
func WatchesFiles(pid int) bool {
	infos, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", pid))
	for _, info := range infos {
		if text, err := os.ReadFile(info); err == nil && bytes.Contains(text, []byte("inotify wd:")) {
			return true
		}
	}
	return false
}

// ProcStatus reads one field of /proc/PID/status, such as VmRSS or Uid.
func ProcStatus(pid int, field string) string {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// ResidentKiB is the memory of a process.
func ResidentKiB(pid int) int {
	n, _ := strconv.Atoi(strings.TrimSuffix(ProcStatus(pid, "VmRSS"), " kB"))
	return n
}

// Listening says whether anybody listens on a TCP port.
func Listening(port int) bool {
	want := fmt.Sprintf(":%04X", port)
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		data, _ := os.ReadFile(table)
		for line := range strings.Lines(string(data)) {
			f := strings.Fields(line)
			if len(f) > 3 && strings.HasSuffix(f[1], want) && f[3] == "0A" {
				return true
			}
		}
	}
	return false
}
