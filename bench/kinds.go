package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// This file measures the kinds of worker against each other, for the table in
// docs/workers.md: make bench-kinds.

// A kind is a way to set up Indrik's workers.
type kind struct {
	name string
	app  string // the module
	args []string
}

var kinds = []kind{
	{"`sync`", "hello", []string{"-k", "sync"}},
	{"`gthread`, 4 threads", "hello", []string{"-k", "gthread", "--threads", "4"}},
	{"`gthread`, 64 threads", "hello", []string{"-k", "gthread", "--threads", "64"}},
	{"`gevent`", "hello", []string{"-k", "gevent"}},
	{"`asgi`", "hello_asgi", []string{"-k", "asgi"}},
	{"`tornado`", "hello_tornado", []string{"-k", "tornado"}},
}

// jobs are what the app does for a request.
var jobs = []struct{ name, path string }{
	{"2 ms of Python", "/cpu"},
	{"sleeps for 10 ms", "/sleep"},
	{"sleeps for 100 ms", "/sleep100"},
}

var crowds = []int{64, 512}

// kindsPatience is how long a client waits for an answer.
const kindsPatience = timeout

// The table stands between these lines.
const (
	kindsBegin = "<!-- Made by make bench-kinds. -->\n"
	kindsEnd   = "<!-- end -->\n"
)

// benchKinds measures all kinds, and puts the table into a file.
func benchKinds(ctx context.Context, o options, e *environment) error {
	var b strings.Builder
	report := newReport(o, e, nil)
	fmt.Fprintf(&b, "%s, %s; Python %s, %d workers. A cell is requests/s, and the 99th percentile of the time to an answer.\n",
		&report.Machine, report.Machine.Date.Format("2006-01-02"), e.versions["Python"], workers)
	source := 0
	for _, job := range jobs {
		fmt.Fprintf(&b, "\n| %s |", job.name)
		for _, clients := range crowds {
			fmt.Fprintf(&b, " %d clients |", clients)
		}
		b.WriteString("\n|---|" + strings.Repeat("---|", len(crowds)) + "\n")
		for _, k := range kinds {
			fmt.Fprintf(&b, "| %s |", k.name)
			for _, clients := range crowds {
				source++
				progress("%-24s %-18s %d clients", k.name, job.name, clients)
				w := workload{WSGI: k.app, Groups: get(clients, job.path, hello), AtLeast: 3 * time.Second}
				r, err := measure(ctx, &bed{o: &o, e: e, p: k.peer(), w: &w, source: source})
				if err != nil {
					return fmt.Errorf("%s, %s: %w", k.name, job.name, err)
				}
				fmt.Fprintf(&b, " %s |", kindsCell(r))
			}
			b.WriteString("\n")
		}
	}
	fmt.Print(b.String())
	return putBetween(o.Kinds, kindsBegin, b.String(), kindsEnd)
}

func (k *kind) peer() *peer {
	return &peer{
		Name: "indrik " + k.app, Interface: wsgi,
		command: func(e *environment, s *setup) []string {
			args := []string{e.indrik, "--workers", fmt.Sprint(s.Workers), "--bind", s.address()}
			return slices.Concat(args, k.args, []string{k.app + ":app"})
		},
	}
}

func kindsCell(r *run) string {
	if r.Starved+r.Failed > 0 {
		return fmt.Sprintf("%.0f · some wait for more than %s", r.PerSecond, kindsPatience)
	}
	return fmt.Sprintf("%.0f · %.0f ms", r.PerSecond, r.Millis["p99"])
}
