package master

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"indrik/internal/stacktext"
	"indrik/internal/status"
	"indrik/internal/wire"
)

const (
	// traceWait is how long the front has to say what a worker runs.
	traceWait = 2 * time.Second
	// maxTraced is how many workers one command shows the stacks of.
	maxTraced = 64
)

// trace finds out where w is, without stopping it, and calls next with that. Who asks for the
// same worker meanwhile gets the same answer.
//
// A loop that turns writes the stacks of its tasks or greenlets itself. For other workers, and
// if it does not, faulthandler writes those of the threads.
func (m *Master) trace(w *worker, next func(*status.Trace)) {
	w.tracing = append(w.tracing, next)
	if len(w.tracing) > 1 {
		return
	}
	t := &status.Trace{PID: w.pid, Age: w.age, Kind: m.kindOf(w), Running: []status.Running{}, Stacks: []status.Stack{}}
	give := func(text string) {
		t.Stacks = m.attribute(w, t.Running, stacktext.Parse(text))
		tracing := w.tracing
		w.tracing = nil
		for _, next := range tracing {
			next(t)
		}
	}
	m.stacks.traces++
	number := m.stacks.traces
	ask := func(then func()) {
		m.askFront(wire.ToFront{Type: wire.TypeTrace, Age: w.age, Trace: number}, traceWait, func(f *status.Front) {
			if f != nil && f.Loads[w.age].Running != nil {
				t.Running = f.Loads[w.age].Running
			}
			then()
		})
	}
	if !w.kind.IsMultiplexed() {
		ask(func() { m.stacks.of(w, give) })
		return
	}
	m.stacks.section(w.dump, number, func() { ask(func() {}) }, func(text string) {
		if text != "" || !m.pool.has(w) {
			give(text)
			return
		}
		t.Stuck = true
		m.stacks.of(w, give)
	})
}

// kindOf returns the kind of a worker as a status names it.
func (m *Master) kindOf(w *worker) string {
	if w.kind != "" {
		return string(w.kind)
	}
	return w.gen.cfg.Kind()
}

// attribute says which of the stacks of w belong to the requests that it runs.
func (m *Master) attribute(w *worker, running []status.Running, found []stacktext.Stack) []status.Stack {
	threads := map[uint64]*status.Running{}
	var loop uint64
	if w.kind.IsMultiplexed() && m.pool.has(w) {
		loop = w.boardMem.Thread(0)
	}
	requests := map[uint32]*status.Running{}
	for i := range running {
		r := &running[i]
		requests[r.Number] = r
		if r.Slot >= 0 && r.Slot < w.slots && m.pool.has(w) && !w.kind.IsMultiplexed() {
			threads[w.boardMem.Thread(r.Slot)] = r
		}
	}
	all := make([]status.Stack, 0, len(found))
	for _, f := range found {
		s := status.Stack{What: f.What, Calls: f.Calls, Loop: f.Thread != 0 && f.Thread == loop}
		switch {
		case f.Request != 0:
			s.Running = requests[f.Request]
		case f.Thread != 0:
			s.Running = threads[f.Thread]
		}
		if s.Calls == nil {
			s.Calls = []string{}
		}
		all = append(all, s)
	}
	return all
}

// traceCommand answers with the traces of one worker, or of all.
func (m *Master) traceCommand(r *commandRun) {
	if len(r.args) > 0 {
		w, err := m.workerWithPid(r)
		if err != nil {
			r.answer(nil, err)
			return
		}
		m.traceAll(r, []*worker{w}, func(*status.Trace) bool { return true })
		return
	}
	var workers []*worker
	for _, w := range m.pool.byAge() {
		if w.ready {
			workers = append(workers, w)
		}
	}
	if len(workers) > maxTraced {
		r.answer(nil, fmt.Errorf("There are %d workers, and one command traces %d at most: name one by its pid", len(workers), maxTraced))
		return
	}
	m.traceAll(r, workers, func(*status.Trace) bool { return true })
}

// traceSlow answers with the stacks of requests that have run for some time.
func (m *Master) traceSlow(r *commandRun) {
	if len(r.args) == 0 {
		r.answer(nil, fmt.Errorf("Invalid argument: Missing number of seconds"))
		return
	}
	seconds, err := strconv.ParseFloat(r.args[0], 64)
	if err != nil || math.IsNaN(seconds) || seconds < 0 {
		r.answer(nil, fmt.Errorf("Invalid argument: %q is not a number of seconds", r.args[0]))
		return
	}
	m.frontStatus(func(f *status.Front) {
		if f == nil {
			r.answer(nil, fmt.Errorf("The front does not say what runs: try again"))
			return
		}
		var workers []*worker
		for _, w := range m.pool.byAge() {
			if slices.ContainsFunc(f.Loads[w.age].Running, func(run status.Running) bool { return run.Seconds >= seconds }) {
				workers = append(workers, w)
			}
		}
		m.traceAll(r, workers[:min(len(workers), maxTraced)], func(t *status.Trace) bool { return keepSlow(t, seconds) })
	})
}

// keepSlow leaves in a trace what has run for some time, and reports whether that is anything.
// If none of its stacks is known to belong to such a request, all of them stay.
func keepSlow(t *status.Trace, seconds float64) bool {
	t.Running = slices.DeleteFunc(slices.Clone(t.Running), func(r status.Running) bool { return r.Seconds < seconds })
	slow := func(s status.Stack) bool { return s.Running != nil && s.Running.Seconds >= seconds }
	if slices.ContainsFunc(t.Stacks, slow) {
		t.Stacks = slices.DeleteFunc(slices.Clone(t.Stacks), func(s status.Stack) bool { return !slow(s) })
	}
	return len(t.Running) > 0
}

// traceAll answers a command with the traces of workers that keep accepts, the oldest worker
// first. keep may leave something out of a trace.
func (m *Master) traceAll(r *commandRun, workers []*worker, keep func(*status.Trace) bool) {
	traces := []*status.Trace{}
	left := len(workers)
	finish := func() {
		slices.SortFunc(traces, func(a, b *status.Trace) int { return cmp.Compare(a.Age, b.Age) })
		r.answer(map[string]any{"workers": traces}, nil)
	}
	if left == 0 {
		finish()
		return
	}
	for _, w := range workers {
		m.trace(w, func(t *status.Trace) {
			own := *t // others may get the same
			if keep(&own) {
				traces = append(traces, &own)
			}
			if left--; left == 0 {
				finish()
			}
		})
	}
}
