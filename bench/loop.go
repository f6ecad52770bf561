package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"time"
)

// This file measures what an app takes without any server: apps/loop.py calls it in a loop, in
// the same Python. The processor time of a server less that is what the server itself takes.

const (
	// valueBusy is the processor time of a call while another processor does the same.
	valueBusy = "loop_busy_microseconds"
	// loopTimeout is for an interpreter that starts, and imports a framework.
	loopTimeout = 20 * time.Second
)

// alone is the place of an app without a server among the servers.
const alone = "no server"

// callLoop is the command of apps/loop.py.
func callLoop(e *environment, s *setup) []string {
	return []string{e.python(), "loop.py", s.App}
}

// runLoop has the app called in a loop: first by one process, then by one while another does the
// same beside it. What counts is the first: it is the least that the app can take.
func runLoop(ctx context.Context, b *bed) (*run, error) {
	limited, cancel := context.WithTimeout(ctx, loopTimeout+2*b.length())
	defer cancel()
	command := append(b.p.command(b.e, b.setup()), strconv.FormatFloat(b.length().Seconds(), 'f', 3, 64))
	cmd := exec.CommandContext(limited, command[0], command[1:]...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = b.e.apps, b.e.vars(), time.Second
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	m := meter{pid: -1} // nothing but clients
	m.start()
	text, err := cmd.Output()
	m.stop()
	if err != nil {
		return nil, fmt.Errorf("loop.py: %w: %.300q", err, complaints.String())
	}
	r, err := readLoop(text, answerOf(b.w.app(b.p)))
	if err = errors.Join(err, m.err); err != nil {
		return nil, err
	}
	r.OthersCPU = m.others
	return r, nil
}

// readLoop reads what loop.py prints: a line of JSON.
func readLoop(text, want []byte) (*run, error) {
	var result struct {
		Alone, Busy float64 // microseconds
		Body        string
	}
	if err := json.Unmarshal(text, &result); err != nil {
		return nil, fmt.Errorf("loop.py: %w", err)
	}
	if result.Body != string(want) || result.Alone <= 0 || result.Busy <= 0 {
		return nil, fmt.Errorf("loop.py: %.100q, and not %q", text, want)
	}
	return &run{ServerCPU: result.Alone, Values: map[string]float64{valueBusy: result.Busy}}, nil
}
