package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// A tracer counts the system calls of one process with strace(1), which slows it: only the
// numbers mean something, not the time.
type tracer struct {
	cmd  *exec.Cmd
	text string // the name of the file with the counts
}

func trace(pid int, dir string) (*tracer, error) {
	t := &tracer{text: fmt.Sprintf("%s/strace-%d", dir, pid)}
	t.cmd = exec.Command("strace", "-f", "-c", "-o", t.text, "-p", strconv.Itoa(pid))
	return t, t.cmd.Start()
}

// end returns how often each system call was made.
func (t *tracer) end() (map[string]int, error) {
	if err := t.cmd.Process.Signal(syscall.SIGINT); err != nil {
		return nil, err
	}
	if err := t.cmd.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		return nil, err // it repeats the signal as its own end
	}
	text, err := os.ReadFile(t.text)
	if err != nil {
		return nil, err
	}
	return callsOf(string(text))
}

// callsOf reads the table of strace -c.
func callsOf(text string) (map[string]int, error) {
	calls := map[string]int{}
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 5 || fields[len(fields)-1] == "total" {
			continue
		}
		if n, err := strconv.Atoi(fields[3]); err == nil {
			calls[fields[len(fields)-1]] += n
		}
	}
	if len(calls) == 0 {
		return nil, fmt.Errorf("no system calls in %.200q", text)
	}
	return calls, nil
}
