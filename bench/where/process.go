package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"indrik/bench/proctree"
)

// A usage is what the kernel has counted of a process, of all its threads together.
type usage struct {
	user, system time.Duration
	ran, waited  time.Duration // on a processor; for one
	turns        int           // on a processor
	voluntary    int           // switches because it waited for something: as many wake-ups
	forced       int           // switches because another one was to run
	migrations   int           // to another processor
}

// minus returns what was counted since.
func (u usage) minus(o usage) usage {
	return usage{
		u.user - o.user, u.system - o.system, u.ran - o.ran, u.waited - o.waited,
		u.turns - o.turns, u.voluntary - o.voluntary, u.forced - o.forced, u.migrations - o.migrations,
	}
}

func (u usage) plus(o usage) usage { return u.minus(usage{}.minus(o)) }

// A process is one of the server's that a request passes.
type process struct {
	pid  int
	role string // front or worker
}

// processesOf returns the front and the workers of a master.
func processesOf(master int) ([]process, error) {
	table, err := proctree.Read("/proc")
	if err != nil {
		return nil, err
	}
	var found []process
	for _, pid := range table.Below(master) {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		for _, role := range []string{"front", "worker"} {
			if bytes.HasPrefix(line, []byte("indrik: "+role)) {
				found = append(found, process{pid, role})
			}
		}
	}
	if len(found) < 2 {
		return nil, fmt.Errorf("process %d has no front and workers", master)
	}
	return found, nil
}

// read returns what was counted of a process up to now.
func read(pid int) (usage, error) {
	var u usage
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err == nil && len(threads) == 0 {
		err = fmt.Errorf("process %d has ended", pid)
	}
	if err != nil {
		return u, err
	}
	for _, thread := range threads {
		one, err := readThread(thread)
		if errors.Is(err, os.ErrNotExist) {
			continue // it has ended since
		}
		if err != nil {
			return u, fmt.Errorf("%s: %w", thread, err)
		}
		u = u.plus(one)
	}
	return u, nil
}

func readThread(dir string) (usage, error) {
	var u usage
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return u, err
	}
	schedstat, err := os.ReadFile(dir + "/schedstat")
	if err != nil {
		return u, err
	}
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		return u, err
	}
	// proc_pid_sched(5) may be missing: then there is nothing to say of migrations.
	sched, _ := os.ReadFile(dir + "/sched")
	return parse(stat, schedstat, status, sched)
}

// tick is the unit of times in proc_pid_stat(5), which is the same on every Linux that Go runs on.
const tick = 10 * time.Millisecond

func parse(stat, schedstat, status, sched []byte) (usage, error) {
	var u usage
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return u, fmt.Errorf("only %d fields in %q", len(fields)+2, stat)
	}
	var err error
	number := func(text string) int {
		n, e := strconv.Atoi(strings.TrimSpace(text))
		err = errors.Join(err, e)
		return n
	}
	u.user, u.system = time.Duration(number(fields[11]))*tick, time.Duration(number(fields[12]))*tick
	times := strings.Fields(string(schedstat))
	if len(times) != 3 {
		return u, fmt.Errorf("%d numbers in schedstat", len(times))
	}
	u.ran, u.waited, u.turns = time.Duration(number(times[0])), time.Duration(number(times[1])), number(times[2])
	u.voluntary = number(valueOf(status, "voluntary_ctxt_switches"))
	u.forced = number(valueOf(status, "nonvoluntary_ctxt_switches"))
	if len(sched) > 0 {
		u.migrations = number(valueOf(sched, "se.nr_migrations"))
	}
	return u, err
}

// valueOf returns what stands behind a name and a colon in a line of its own.
func valueOf(text []byte, name string) string {
	for line := range strings.Lines(string(text)) {
		if key, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(key) == name {
			return value
		}
	}
	return ""
}
