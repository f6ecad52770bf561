package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"indrik/bench/load"
	"indrik/bench/proctree"
	"indrik/bench/stats"
)

// run is one measurement: a server, a workload, a round.
type run struct {
	Workload string `json:"workload"`
	Peer     string `json:"server"`
	Round    int    `json:"round"`
	// Failure: there are no figures, because of this.
	Failure string `json:"failure,omitempty"`

	// Of the first group of clients.
	Answers   int                `json:"answers"`
	PerSecond float64            `json:"requests_per_second"`
	Millis    map[string]float64 `json:"milliseconds"` // by percentile, and "max"

	// Of all clients.
	Clients     int               `json:"clients"`
	Connections int               `json:"connections"`
	Starved     int               `json:"starved_clients"`
	Failed      int               `json:"failed_requests"`
	Errors      map[load.Kind]int `json:"errors,omitempty"`
	FirstError  string            `json:"first_error,omitempty"`
	MaxMillis   float64           `json:"longest_wait_milliseconds"`
	ServerCPU   float64           `json:"server_cpu_microseconds_per_request"`
	ClientCPU   float64           `json:"client_cpu_microseconds_per_request"`
	// OthersCPU is the part of all processors that neither the server nor the
	// clients used: work of the kernel for them, and whoever else is there.
	OthersCPU float64 `json:"others_cpu_share"`
	// Trouble is what else went wrong with it.
	Trouble string `json:"trouble,omitempty"`
}

// measureAll runs each workload with each server, round by round. A server that
// fails is noted in the report; the error is the cause of
// ctx's end.
func measureAll(ctx context.Context, o options, e *environment, peers []peer, works []workload, report *report) error {
	source := 0
	for _, w := range works {
		for round := 1; round <= o.Rounds; round++ {
			for _, p := range peers {
				if _, absent := e.absent[p.Needs]; absent || !w.suits(p) {
					continue
				}
				source++
				progress("%-8s round %d  %s", w.Name, round, p.Name)
				r, err := measure(ctx, o, e, p, w, source)
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				if err != nil {
					progress("%v", err)
					r = &run{Failure: err.Error()}
				}
				r.Workload, r.Peer, r.Round = w.Name, p.Name, round
				report.Runs = append(report.Runs, r)
			}
		}
	}
	return nil
}

func measure(ctx context.Context, o options, e *environment, p peer, w workload, source int) (r *run, err error) {
	s, err := startServer(ctx, e, p, w.App, o.Dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err := s.stop(); err != nil && r != nil {
			r.Trouble = join(r.Trouble, err.Error())
		}
	}()
	before, err := s.processes()
	if err != nil {
		return nil, err
	}
	var m meter
	plan := load.Plan{
		Server: s.address, Groups: w.Groups, Source: source, Timeout: timeout,
		Warm: o.Warm, Measure: max(o.Measure*time.Duration(w.Lengths), w.AtLeast),
		Started: func() {
			m.start(s.cmd.Process.Pid)
			if w.Table == reload {
				time.AfterFunc(hupAfter, func() { _ = s.cmd.Process.Signal(syscall.SIGHUP) })
			}
		},
		Ended: m.stop,
	}
	result, err := load.Run(ctx, plan)
	if err != nil {
		return nil, err
	}
	if m.err != nil {
		return nil, m.err
	}
	r = figures(result, &m)
	if w.Table == reload {
		after, err := s.processes()
		if err != nil {
			return nil, err
		}
		if fresh := newIDs(before, after); fresh < workers {
			r.Trouble = join(r.Trouble, fmt.Sprintf("%d new processes after HUP: it has not reloaded", fresh))
		}
	}
	return r, nil
}

func newIDs(before, after []int) int {
	n := 0
	for _, pid := range after {
		if !slices.Contains(before, pid) {
			n++
		}
	}
	return n
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// figures makes one run of what the clients and the meter saw.
func figures(result *load.Result, m *meter) *run {
	first := &result.Groups[0]
	r := &run{
		Answers:   first.Answers,
		PerSecond: float64(first.Answers) / result.Elapsed.Seconds(),
		Millis:    map[string]float64{"max": millis(stats.Percentile(first.Latencies, 100))},
		Errors:    make(map[load.Kind]int),
	}
	for name, p := range map[string]float64{"p50": 50, "p99": 99, "p99.9": 99.9} {
		r.Millis[name] = millis(stats.Percentile(first.Latencies, p))
	}
	answers := 0
	for i := range result.Groups {
		t := &result.Groups[i]
		answers += t.Answers
		r.Connections += t.Connections
		r.Starved += t.Starved
		r.Clients += t.Clients
		r.Failed += t.Failed()
		for kind, n := range t.Errors {
			r.Errors[kind] += n
		}
		r.MaxMillis = max(r.MaxMillis, millis(stats.Percentile(t.Latencies, 100)))
		if r.FirstError == "" {
			r.FirstError = t.FirstError
		}
	}
	if answers > 0 {
		r.ServerCPU = float64(m.server.Microseconds()) / float64(answers)
		r.ClientCPU = float64(m.client.Microseconds()) / float64(answers)
	}
	r.OthersCPU = m.others
	return r
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// meter takes the processor time of the server, of this process and of the
// machine, from start to stop.
type meter struct {
	pid                  int
	began                time.Time
	server, client, busy time.Duration
	others               float64
	err                  error
}

func (m *meter) start(pid int) {
	m.pid, m.began = pid, time.Now()
	m.server, m.client, m.busy = m.read()
}

func (m *meter) stop() {
	server, client, busy := m.read()
	m.server, m.client, m.busy = server-m.server, client-m.client, busy-m.busy
	all := time.Since(m.began).Seconds() * float64(processors())
	m.others = max(0, (m.busy-m.server-m.client).Seconds()/all)
}

func (m *meter) read() (server, client, busy time.Duration) {
	table, err := proctree.Read("/proc")
	m.err = errors.Join(m.err, err)
	busy, err = proctree.Busy("/proc")
	m.err = errors.Join(m.err, err)
	var u syscall.Rusage
	m.err = errors.Join(m.err, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return table.CPU(m.pid), time.Duration(u.Utime.Nano() + u.Stime.Nano()), busy
}
