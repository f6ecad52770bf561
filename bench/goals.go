package main

import (
	"fmt"
	"strings"
)

// A goal is something that Indrik is to reach.
type goal struct {
	label          string // what it is about, within its group
	workload, ours string
	figure         *figure
	factor         float64 // of theirs
	plus           float64 // and this, in the unit of the figure
	// theirs is a server, perhaps with another workload in front ("asgi/uvicorn"), or one of
	// the words below; "": none, plus is the bound.
	theirs string
}

// Whom a goal may be about.
const (
	everyOther = "*"
	// survivors are those of the others that lose nothing in a reload.
	survivors = "survivors"
)

// A goalGroup is a row of the table of goals.
type goalGroup struct {
	title string
	goals []goal
}

// against returns goals of the same form.
func against(figure *figure, factor float64, theirs string, list ...goal) []goal {
	for i := range list {
		list[i].figure, list[i].factor, list[i].theirs = figure, factor, theirs
	}
	return list
}

// bound returns goals that are about Indrik alone.
func bound(figure *figure, plus float64, list ...goal) []goal {
	for i := range list {
		list[i].figure, list[i].plus = figure, plus
	}
	return list
}

// inFrameworks are goals of the four frameworks, that say nothing yet.
func inFrameworks() []goal {
	return []goal{
		{label: "Flask", workload: "flask", ours: "indrik sync"}, {label: "Django", workload: "django", ours: "indrik sync"},
		{label: "FastAPI", workload: "fastapi", ours: "indrik asgi"}, {label: "Litestar", workload: "litestar", ours: "indrik asgi"},
	}
}

// firstGoals are about what a request costs, and how long it takes.
var firstGoals = []goalGroup{
	{"JSON from frameworks: requests/s ≥ 0.95 × the best of all others", against(&rate, 0.95, everyOther, inFrameworks()...)},
	{"the same ≥ 1.3 × the best of those that lose nothing in a reload", against(&rate, 1.3, survivors, inFrameworks()...)},
	{"the same: processor time of a request, less that of the app in a loop, ≤ 40 µs", bound(&own, 40, inFrameworks()...)},
	{"hello: requests/s ≥ 0.9 × peregrine, and ahead of granian, m0serve and h2corn", []goal{
		{"WSGI", "hello", "indrik sync", &rate, 0.9, 0, "peregrine"},
		{"WSGI", "hello", "indrik sync", &rate, 1, 0, "granian"},
		{"WSGI", "hello", "indrik sync", &rate, 1, 0, "m0serve"},
		{"ASGI", "asgi", "indrik asgi", &rate, 0.9, 0, "peregrine asgi"},
		{"ASGI", "asgi", "indrik asgi", &rate, 1, 0, "granian asgi"},
		{"ASGI", "asgi", "indrik asgi", &rate, 1, 0, "m0serve asgi"},
		{"ASGI", "asgi", "indrik asgi", &rate, 1, 0, "h2corn"},
	}},
	{"large answers: requests/s ≥ 0.95 × the best of all others", against(
		&rate, 0.95, everyOther,
		goal{label: "10 KB, WSGI", workload: "10k", ours: "indrik sync"}, goal{label: "10 KB, ASGI", workload: "asgi-10k", ours: "indrik asgi"},
		goal{label: "50 KB file", workload: "file", ours: "indrik sync"},
		goal{label: "1 MB each way, WSGI", workload: "echo-1m", ours: "indrik sync"}, goal{label: "1 MB each way, ASGI", workload: "asgi-echo-1m", ours: "indrik asgi"},
	)},
	{"p99 at half load: lowest of all", against(
		&p99, 1, everyOther,
		goal{label: "hello, WSGI", workload: "hello-half", ours: "indrik sync"}, goal{label: "hello, ASGI", workload: "asgi-half", ours: "indrik asgi"},
		goal{label: "Flask", workload: "flask-half", ours: "indrik sync"}, goal{label: "FastAPI", workload: "fastapi-half", ours: "indrik asgi"},
	)},
	{"an idle server wakes up less than once in a second (it asks its processes every 5 s whether they live)", bound(
		&wakeUps, 1,
		goal{label: "sync", workload: "wakeups", ours: "indrik sync"}, goal{label: "gthread", workload: "wakeups", ours: "indrik gthread"},
		goal{label: "asgi", workload: "wakeups", ours: "indrik asgi"},
	)},
}

// otherGoals are those of before that the first ones do not replace.
var otherGoals = []goalGroup{
	{"hello: requests/s beside Gunicorn and uvicorn", []goal{
		{"≥ 6 ×", "hello", "indrik sync", &rate, 6, 0, "gunicorn gthread"},
		{"≥ 10 ×", "hello", "indrik sync", &rate, 10, 0, "gunicorn sync"},
		{"≥ 1.2 ×", "asgi", "indrik asgi", &rate, 1.2, 0, "uvicorn"},
		{"≥ 2 ×", "asgi", "indrik asgi", &rate, 2, 0, "gunicorn asgi"},
	}},
	{"hello: processor time of a request ≤ that of uvicorn", []goal{
		{"WSGI", "hello", "indrik sync", &cpu, 1, 0, "asgi/uvicorn"},
	}},
	{"a single client: p50 ≤ that of uvicorn + 0.06 ms", []goal{
		{"WSGI", "hello-one", "indrik sync", &p50, 1, 0.06, "asgi-one/uvicorn"},
		{"ASGI", "asgi-one", "indrik asgi", &p50, 1, 0.06, "uvicorn"},
	}},
	{"HTTP/2: requests/s ≥ granian, 0.9 × h2corn", []goal{
		{"WSGI", "http2", "indrik sync", &rate, 1, 0, "granian"},
		{"ASGI", "http2", "indrik asgi", &rate, 1, 0, "granian asgi"},
		{"ASGI", "http2", "indrik asgi", &rate, 0.9, 0, "h2corn"},
	}},
	{"HTTP/2: processor time of a request ≤ 1.15 × that by HTTPS", []goal{
		{"WSGI", "http2", "indrik sync", &cpu, 1.15, 0, "https/indrik sync"},
		{"ASGI", "http2", "indrik asgi", &cpu, 1.15, 0, "https/indrik asgi"},
	}},
	{"HTTP/2, 1 MB: requests/s ≥ the best of all others", against(
		&rate, 1, everyOther,
		goal{label: "WSGI", workload: "http2-1m", ours: "indrik sync"}, goal{label: "ASGI", workload: "http2-1m", ours: "indrik asgi"},
	)},
	{"server-sent events by HTTP/2: p99 ≤ that by HTTPS", []goal{
		{"ASGI", "http2-sse", "indrik asgi", &p99, 1, 0, "sse/indrik asgi"},
	}},
	{"a quarter of the slots busy: p99.9 ≤ 0.1 × gunicorn gthread, lowest of all", []goal{
		{"gthread", "mixed", "indrik gthread", &p999, 0.1, 0, "gunicorn gthread"},
		{"gthread", "mixed", "indrik gthread", &p999, 1, 0, everyOther},
	}},
	{"10 ms of sleep, 512 clients: requests/s ≥ the best of all others", against(
		&rate, 1, everyOther,
		goal{label: "WSGI", workload: "sleep-512", ours: "indrik gthread"}, goal{label: "ASGI", workload: "asgi-sleep-512", ours: "indrik asgi"},
	)},
	{"calls of a pool: p50 ≤ 0.5 × gunicorn gthread", against(
		&p50, 0.5, "gunicorn gthread",
		goal{label: "1 KB", workload: "pool-1k", ours: "indrik gthread"}, goal{label: "1 MB", workload: "pool-1m", ours: "indrik gthread"},
		goal{label: "stream", workload: "pool-stream", ours: "indrik gthread"},
	)},
	{"calls of a pool, 100 at once: requests/s ≥ 2 × gunicorn gthread", []goal{
		{"gthread", "pool-parallel", "indrik gthread", &rate, 2, 0, "gunicorn gthread"},
	}},
	{"10 000 idle connections: ≤ 8 KiB each", bound(&idleKiB, 8, goal{label: "gthread", workload: "idle", ours: "indrik gthread"})},
	{"start, and memory of a worker: ≤ gunicorn sync", []goal{
		{"ms", "start", "indrik sync", &startMillis, 1, 0, "gunicorn sync"},
		{"MiB", "memory", "indrik sync", &workerMiB, 1, 0, "gunicorn sync"},
	}},
	{"reload under load: longest wait ≤ 50 ms", bound(
		&longest, 50,
		goal{label: "sync", workload: "reload", ours: "indrik sync"}, goal{label: "gthread", workload: "reload", ours: "indrik gthread"},
		goal{label: "asgi", workload: "reload", ours: "indrik asgi"},
	)},
}

// A verdict is what has become of a goal.
type verdict struct {
	met  bool
	text string   // the figures
	than []string // servers that it compares with
}

// judge compares; nil: one of the rows was not measured.
func (g *goal) judge(r *report) *verdict {
	ours := r.row(g.workload, g.ours)
	if ours == nil || !g.figure.known(ours) {
		return nil
	}
	have, limit := g.figure.of(ours).Median, g.plus
	v := &verdict{text: fmt.Sprintf("%s: "+g.figure.format, g.label, have)}
	if g.theirs != "" {
		theirs := r.theirs(g)
		if theirs == nil || !g.figure.known(theirs) {
			return nil
		}
		other := g.figure.of(theirs).Median
		limit += g.factor * other
		v.text += fmt.Sprintf(", %.2f × %s "+g.figure.format, have/other, theirs.Peer+r.dagger(theirs.Peer), other)
		if theirs.Workload != g.workload {
			v.text += " (" + workloadOf(theirs.Workload).Title + ")"
		}
		v.than = append(v.than, theirs.Peer)
	}
	v.met = have == limit || g.figure.better(have, limit)
	return v
}

// theirs returns the row that a goal compares with, nil if there is none.
func (r *report) theirs(g *goal) *row {
	switch g.theirs {
	case everyOther:
		return g.figure.best(r.rowsOf(g.workload), anyRow)
	case survivors:
		return g.figure.best(r.rowsOf(g.workload), func(one *row) bool { return r.survives(one.Peer) })
	}
	workload, peer, found := strings.Cut(g.theirs, "/")
	if !found {
		workload, peer = g.workload, g.theirs
	}
	return r.row(workload, peer)
}
