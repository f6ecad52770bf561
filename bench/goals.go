package main

import (
	"fmt"
	"slices"
	"strings"

	"indrik/bench/stats"
)

// A figure is what rows are compared by.
type figure struct {
	name   string
	less   bool // is better
	format string
	of     func(*row) stats.Summary
}

var (
	rate    = figure{"requests/s", false, "%.0f", func(r *row) stats.Summary { return r.PerSecond }}
	cpu     = figure{"CPU µs/request", true, "%.1f", func(r *row) stats.Summary { return r.ServerCPU }}
	p50     = figure{"p50 ms", true, "%.3f", func(r *row) stats.Summary { return r.Millis["p50"] }}
	p99     = figure{"p99 ms", true, "%.2f", func(r *row) stats.Summary { return r.Millis["p99"] }}
	p999    = figure{"p99.9 ms", true, "%.2f", func(r *row) stats.Summary { return r.Millis["p99.9"] }}
	longest = figure{"longest wait ms", true, "%.1f", func(r *row) stats.Summary { return r.Longest }}
)

func value(name, what, format string) figure {
	return figure{what, true, format, func(r *row) stats.Summary { return r.Values[name] }}
}

var (
	startMillis = value(valueStart, "ms", "%.0f")
	workerMiB   = value(valueWorker, "MiB/worker", "%.1f")
	unclosed    = figure{"% closed", false, "%.0f", func(r *row) stats.Summary { return r.Values[valueClosed] }}
	idleKiB     = value(valueIdle, "KiB/connection", "%.1f")
)

// A goal is something that Indrik is to reach.
type goal struct {
	workload, ours string
	figure         figure
	factor         float64 // of theirs
	plus           float64 // and this, in the unit of the figure
	// theirs is a server, perhaps with another workload in front ("asgi/uvicorn");
	// "*": each that is not Indrik; "": none, plus is the bound.
	theirs string
}

var goals = []goal{
	{"hello", "indrik sync", rate, 6, 0, "gunicorn gthread"},
	{"hello", "indrik sync", rate, 10, 0, "gunicorn sync"},
	{"hello", "indrik sync", rate, 2.3, 0, "uwsgi"},
	{"hello", "indrik sync", rate, 1, 0, "granian"},
	{"asgi", "indrik asgi", rate, 1.2, 0, "uvicorn"},
	{"asgi", "indrik asgi", rate, 1, 0, "granian asgi"},
	{"asgi", "indrik asgi", rate, 2, 0, "gunicorn asgi"},
	{"flask", "indrik sync", rate, 1, 0, "*"},
	{"django", "indrik sync", rate, 1, 0, "*"},
	{"fastapi", "indrik asgi", rate, 1, 0, "*"},
	{"hello", "indrik sync", cpu, 1, 0, "asgi/uvicorn"},
	{"hello", "indrik sync", cpu, 1, 0, "uwsgi"},
	{"http2", "indrik sync", rate, 1, 0, "granian"},
	{"http2", "indrik asgi", rate, 1, 0, "granian asgi"},
	{"http2", "indrik asgi", rate, 0.9, 0, "h2corn"},
	{"http2", "indrik sync", cpu, 1.15, 0, "https/indrik sync"},
	{"http2", "indrik asgi", cpu, 1.15, 0, "https/indrik asgi"},
	{"http2-1m", "indrik sync", rate, 1, 0, "*"},
	{"http2-1m", "indrik asgi", rate, 1, 0, "*"},
	{"http2-sse", "indrik asgi", p99, 1, 0, "sse/indrik asgi"},
	{"mixed", "indrik gthread", p999, 0.1, 0, "gunicorn gthread"},
	{"mixed", "indrik gthread", p999, 1, 0, "*"},
	{"sleep-512", "indrik gthread", rate, 1, 0, "*"},
	{"asgi-sleep-512", "indrik asgi", rate, 1, 0, "*"},
	{"echo-1m", "indrik sync", rate, 1, 0, "*"},
	{"asgi-echo-1m", "indrik asgi", rate, 1, 0, "*"},
	{"10k", "indrik sync", rate, 1, 0, "*"},
	{"asgi-10k", "indrik asgi", rate, 1, 0, "*"},
	{"file", "indrik sync", rate, 1, 0, "*"},
	{"pool-1k", "indrik gthread", p50, 0.5, 0, "gunicorn gthread"},
	{"pool-1m", "indrik gthread", p50, 0.5, 0, "gunicorn gthread"},
	{"pool-stream", "indrik gthread", p50, 0.5, 0, "gunicorn gthread"},
	{"pool-parallel", "indrik gthread", rate, 2, 0, "gunicorn gthread"},
	{"idle", "indrik gthread", idleKiB, 0, 8, ""},
	{"start", "indrik sync", startMillis, 1, 0, "gunicorn sync"},
	{"memory", "indrik sync", workerMiB, 1, 0, "gunicorn sync"},
	{"reload", "indrik sync", longest, 0, 50, ""},
	{"reload", "indrik gthread", longest, 0, 50, ""},
	{"reload", "indrik asgi", longest, 0, 50, ""},
	{"asgi-one", "indrik asgi", p50, 1, 0.06, "uvicorn"},
	{"hello-one", "indrik sync", p50, 1, 0.06, "asgi-one/uvicorn"},
}

// best is the best of the rows of others than Indrik. A server that lets some
// clients wait for good, or leaves out a part of the app's work, is not in the race.
func (f *figure) best(rows []*row) *row {
	var best *row
	for _, one := range rows {
		if isOurs(one.Peer) || one.Rounds == 0 || one.Starved > 0 || one.Unended || f.of(one).Median == 0 {
			continue
		}
		if best == nil || f.better(f.of(one).Median, f.of(best).Median) {
			best = one
		}
	}
	return best
}

func (f *figure) better(a, b float64) bool {
	if f.less {
		return a < b
	}
	return a > b
}

// judge compares; ok is false if one of the rows is missing.
func (g *goal) judge(r *report) (text, result string, met, ok bool) {
	ours := r.row(g.workload, g.ours)
	if ours == nil {
		return "", "", false, false
	}
	have := g.figure.of(ours).Median
	sign := "≥"
	if g.figure.less {
		sign = "≤"
	}
	bound, who := g.plus, ""
	if g.theirs != "" {
		theirs := r.theirs(g)
		if theirs == nil {
			return "", "", false, false
		}
		bound += g.factor * g.figure.of(theirs).Median
		who = theirs.Peer
		if theirs.Workload != g.workload {
			who += " (" + workloadOf(theirs.Workload).Title + ")"
		}
	}
	title := workloadOf(g.workload).Title
	switch g.theirs {
	case "":
		text = fmt.Sprintf("%s, %s: %s %s %g", title, g.ours, g.figure.name, sign, g.plus)
	case "*":
		text = fmt.Sprintf("%s, %s: %s %s every other server", title, g.ours, g.figure.name, sign)
	default:
		text = fmt.Sprintf("%s, %s: %s %s ", title, g.ours, g.figure.name, sign)
		if g.factor != 1 {
			text += fmt.Sprintf("%g × ", g.factor)
		}
		text += who
		if g.plus > 0 {
			text += fmt.Sprintf(" + %g", g.plus)
		}
	}
	result = fmt.Sprintf(g.figure.format, have)
	if who != "" {
		theirs := g.figure.of(r.theirs(g)).Median
		result += fmt.Sprintf(" against "+g.figure.format+" of %s (× %.2f)", theirs, who, have/theirs)
	}
	met = have > 0 && (have == bound || g.figure.better(have, bound))
	return text, result, met, true
}

// workloadOf returns the workload with a name that is in the table of goals.
func workloadOf(name string) *workload {
	i := slices.IndexFunc(allWorkloads, func(w workload) bool { return w.Name == name })
	return &allWorkloads[i]
}

func (r *report) theirs(g *goal) *row {
	if g.theirs == "*" {
		return g.figure.best(r.rowsOf(g.workload))
	}
	workload, peer, found := strings.Cut(g.theirs, "/")
	if !found {
		workload, peer = g.workload, g.theirs
	}
	return r.row(workload, peer)
}
