//go:build linux

package test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A proc is a process as /proc shows it.
type proc struct {
	pid, ppid int
	state     byte
	threads   int
	title     string // the arguments joined by spaces, as ps prints them
}

func (p proc) String() string {
	return fmt.Sprintf("%d (parent %d, %c) %s", p.pid, p.ppid, p.state, p.title)
}

func readProc(pid int) (proc, bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return proc{}, false
	}
	// The name in parentheses may hold anything: what follows its last ")" counts.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	ppid, _ := strconv.Atoi(fields[1])
	threads, _ := strconv.Atoi(fields[17])
	cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	title := strings.TrimSpace(string(bytes.ReplaceAll(cmdline, []byte{0}, []byte{' '})))
	return proc{pid: pid, ppid: ppid, state: fields[0][0], threads: threads, title: title}, true
}

// processesUnder lists the processes that run in dir or below it, and all
// descendants of root (0 if none), zombies included as long as their parent is
// one of them. A daemon has left the family but not the directory.
func processesUnder(dir string, root int) []proc {
	entries, _ := os.ReadDir("/proc")
	all := map[int]proc{}
	in := map[int]bool{}
	var order []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		p, ok := readProc(pid)
		if !ok {
			continue
		}
		all[pid] = p
		order = append(order, pid)
		cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
		if err == nil && (cwd == dir || strings.HasPrefix(cwd, dir+"/")) || pid == root {
			in[pid] = true
		}
	}
	for again := true; again; {
		again = false
		for _, pid := range order {
			if !in[pid] && in[all[pid].ppid] {
				in[pid] = true
				again = true
			}
		}
	}
	var found []proc
	for _, pid := range order {
		p := all[pid]
		if !in[pid] || p.state == 'X' {
			continue
		}
		if p.state == 'Z' && (p.ppid == os.Getpid() || !in[p.ppid]) {
			continue // only its parent, which is none of the server's, can end it
		}
		found = append(found, p)
	}
	return found
}

// alive says whether a process exists and is no zombie. One whose first thread is
// a zombie lives as long as it has others: its parent is told after the last. Daemons
// that ended are collected here: this process is the subreaper that inherits them.
func alive(pid int) bool {
	p, ok := readProc(pid)
	if ok && p.state == 'Z' && p.ppid == os.Getpid() {
		if _, own := started.Load(pid); !own {
			var ws syscall.WaitStatus
			_, _ = syscall.Wait4(pid, &ws, syscall.WNOHANG, nil)
		}
	}
	return ok && p.state != 'X' && (p.state != 'Z' || p.threads > 1)
}

// started holds the pids that exec.Cmd waits for.
var started sync.Map

// waitGone waits until a process has ended.
func waitGone(t testing.TB, pid int) {
	t.Helper()
	eventually(t, fmt.Sprintf("process %d has ended", pid), func() bool { return !alive(pid) })
}

// eventually waits for a condition that no event announces.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	if !within(patience, holds) {
		t.Fatalf("after %v it is not so that %s", patience, what)
	}
}

func within(limit time.Duration, holds func() bool) bool {
	deadline := time.Now().Add(limit)
	for !holds() {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(5 * time.Millisecond)
	}
	return true
}

// openFiles counts the descriptors of a process.
func openFiles(pid int) int {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return len(entries)
}

// holds says whether a process has a file open.
func holds(pid int, path string) bool {
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && target == path {
			return true
		}
	}
	return false
}

// status reads one field of /proc/PID/status, such as VmRSS or Uid.
func status(pid int, field string) string {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// residentKiB is the memory of a process.
func residentKiB(pid int) int {
	n, _ := strconv.Atoi(strings.TrimSuffix(status(pid, "VmRSS"), " kB"))
	return n
}

// listening says whether anybody listens on a TCP port.
func listening(port int) bool {
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
