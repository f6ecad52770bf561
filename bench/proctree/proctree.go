// Package proctree looks at a process and everything below it by way of
// Linux's /proc: who is there, and how much processor time they have used.
//
// It only reads. A process that ends while it looks is left out.
package proctree

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// tick is the unit of the times in /proc/pid/stat: proc_pid_stat(5) counts in
// sysconf(_SC_CLK_TCK), which is 100 a second on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// Process is one line of the table of processes.
type Process struct {
	PID, Parent int
	// CPU is its own time in user and system mode, and that of the children it
	// has reaped: what a worker used stays in the sum when the worker is gone.
	CPU time.Duration
}

// Table is a look at all processes at one time.
type Table map[int]Process

// Read reads the table from dir, which is /proc except in tests.
func Read(dir string) (Table, error) {
	names, err := filepath.Glob(filepath.Join(dir, "[1-9]*", "stat"))
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", dir, err)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no process in %s: is it mounted?", dir)
	}
	table := make(Table, len(names))
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended since
		}
		p, err := parse(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		table[p.PID] = p
	}
	return table, nil
}

// parse reads a line of proc_pid_stat(5). The name of the program, in
// parentheses, may itself hold spaces and parentheses.
func parse(text []byte) (Process, error) {
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 1 || end < open {
		return Process{}, fmt.Errorf("no program name in %q", text)
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(text[:open])))
	if err != nil {
		return Process{}, fmt.Errorf("process id: %w", err)
	}
	// fields[0] is field 3 of the manual page, the state.
	fields := bytes.Fields(text[end+1:])
	if len(fields) < 15 {
		return Process{}, fmt.Errorf("only %d fields in %q", len(fields)+2, text)
	}
	p := Process{PID: pid}
	if p.Parent, err = strconv.Atoi(string(fields[1])); err != nil {
		return Process{}, fmt.Errorf("parent: %w", err)
	}
	for _, field := range fields[11:15] { // utime, stime, cutime, cstime
		n, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return Process{}, fmt.Errorf("time: %w", err)
		}
		p.CPU += time.Duration(n) * tick
	}
	return p, nil
}

// Below returns the ids of all descendants of root, parents before children.
// root is not among them.
func (t Table) Below(root int) []int {
	children := make(map[int][]int)
	for _, p := range t {
		children[p.Parent] = append(children[p.Parent], p.PID)
	}
	found := children[root]
	for i := 0; i < len(found); i++ {
		found = append(found, children[found[i]]...)
	}
	return found
}

// Busy is how long all processors together have done anything but idle since
// the machine was started, other virtual machines' use of them included.
func Busy(dir string) (time.Duration, error) {
	text, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return 0, err
	}
	// proc_stat(5): user nice system idle iowait irq softirq steal guest …; the
	// time of guests is part of user and nice.
	line, _, _ := bytes.Cut(text, []byte("\n"))
	fields := bytes.Fields(line)
	if len(fields) < 9 || string(fields[0]) != "cpu" {
		return 0, fmt.Errorf("%s/stat: %q is not the line of all processors", dir, line)
	}
	var busy time.Duration
	for i, field := range fields[1:9] {
		n, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s/stat: %w", dir, err)
		}
		if i != 3 && i != 4 {
			busy += time.Duration(n) * tick
		}
	}
	return busy, nil
}

// CPU is the time that root and all its descendants have used.
func (t Table) CPU(root int) time.Duration {
	sum := t[root].CPU
	for _, pid := range t.Below(root) {
		sum += t[pid].CPU
	}
	return sum
}

// PSS is the memory of root and all its descendants, in bytes: what is theirs
// alone, and of what they share with others the proportional part.
func PSS(dir string, root int) (int64, error) {
	table, err := Read(dir)
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, pid := range append(table.Below(root), root) {
		text, err := os.ReadFile(filepath.Join(dir, strconv.Itoa(pid), "smaps_rollup"))
		if err != nil {
			continue // it has ended since
		}
		kib, err := pss(text)
		if err != nil {
			return 0, fmt.Errorf("process %d: %w", pid, err)
		}
		sum += kib << 10
	}
	return sum, nil
}

// pss reads smaps_rollup of proc_pid_smaps(5), in KiB. That of a zombie is empty.
func pss(text []byte) (int64, error) {
	if len(text) == 0 {
		return 0, nil
	}
	return numberAfter(text, "Pss:")
}

// WakeUps returns how often the threads of these processes have gone to sleep so far: one that
// has nothing to do does so once for each time that it is woken up.
func WakeUps(dir string, pids []int) (int64, error) {
	var sum int64
	for _, pid := range pids {
		names, err := filepath.Glob(filepath.Join(dir, strconv.Itoa(pid), "task", "*", "status"))
		if err != nil {
			return 0, err
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				continue // it has ended since
			}
			n, err := numberAfter(text, "voluntary_ctxt_switches:")
			if err != nil {
				return 0, fmt.Errorf("%s: %w", name, err)
			}
			sum += n
		}
	}
	return sum, nil
}

// numberAfter reads the number in the line that begins with this name.
func numberAfter(text []byte, name string) (int64, error) {
	for line := range bytes.Lines(text) {
		if value, found := bytes.CutPrefix(line, []byte(name)); found {
			number, _, _ := bytes.Cut(bytes.TrimSpace(value), []byte(" "))
			return strconv.ParseInt(string(number), 10, 64)
		}
	}
	return 0, fmt.Errorf("no %s in %.80q", name, text)
}
