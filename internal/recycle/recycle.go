// Package recycle decides which workers are replaced, why, and when: the policy of
// docs/selfcare.md, section Recycling.
//
// It has no clock and no processes. [Policy.Review] is given the time, what is known of the
// workers and of the memory, and returns the steps to take now. A worker that has a reason to
// go but no place in the budget waits, and is named by [Policy.Due]. Try it with go test
// ./internal/recycle.
package recycle

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

const (
	// Settling is how long a worker must have been ready before it is replaced for its memory
	// (but not before it is killed for it), so that a limit that is too low does not keep the
	// server starting workers.
	Settling = 5 * time.Second
	// PressureWindow is how long the next worker is left alone after one was replaced since
	// processes wait for memory: that is an average over ten seconds (kernel,
	// Documentation/accounting/psi.rst). UseWindow is the same where memory is in use, which
	// changes at once, but is not read all the time.
	PressureWindow = 10 * time.Second
	UseWindow      = 2 * time.Second
	// A new worker takes as much as this one did when it was ready. So one must have grown by
	// LeastGain, and by a GainShare-th part, to be worth replacing: for the memory of all, and
	// for max_worker_memory if it took more than that from the beginning.
	LeastGain = 8 << 20
	GainShare = 4
)

// A Reason is why a worker is replaced: the name of the setting.
type Reason string

const (
	MaxRequests Reason = "max_requests" // or a hook
	MaxAge      Reason = "max_worker_age"
	Memory      Reason = "max_worker_memory"
	MemoryHard  Reason = "max_worker_memory_hard"
	Use         Reason = "max_memory_use"
	Pressure    Reason = "max_memory_pressure"
	Refork      Reason = "refork_after" // or a command
)

// Reasons lists all reasons.
var Reasons = []Reason{MaxRequests, MaxAge, Memory, MemoryHard, Use, Pressure, Refork}

// Limits are what the settings say. 0 is none.
type Limits struct {
	Memory, MemoryHard int64 // bytes
	Measure            string
	Use, Pressure      float64 // percent
	Budget             int     // at least 1
	Target             int     // how many workers there should be, without those that were just added
	Begin              bool    // whether workers may begin to go that have time: nothing else is under way
	Dry                bool    // of all reasons but MaxRequests and Refork only say what would be done
}

// A Phase is how far a worker is.
type Phase int

const (
	Booting   Phase = iota
	Serving         // takes requests
	Replacing       // takes requests until its successor is ready
	Leaving         // takes no more requests
)

// A Worker is what the policy knows of one.
type Worker struct {
	Age      int // its number
	Phase    Phase
	Recycled bool          // it leaves by a step of this policy, after its successor was ready
	Served   time.Duration // for how long it has been ready
	Lifetime time.Duration // max_worker_age, with its jitter; 0: none
	Asked    bool          // it has asked to be replaced
	Refork   string        // why, if a refork is the reason
	Memory   int64         // bytes; 0: not known
	Fresh    int64         // what that was first
}

// System is the memory of all.
type System struct {
	Used, Limit int64   // bytes; Limit 0: not known
	Pressure    float64 // percent of the last ten seconds in which processes waited for memory
}

// An Action is how a worker goes.
type Action int

const (
	Replace  Action = iota // when its successor is ready, after its requests
	MakeRoom               // after its requests; then its successor is started, for which there is no memory before
	Kill                   // at once
)

// A Step is something to be done now.
type Step struct {
	Age    int
	Action Action
	Dry    bool // it is only to be told
	Cause
}

// A Cause is a reason with its figures.
type Cause struct {
	Reason Reason
	Text   string // such as: its RSS is 312 MiB, max_worker_memory is 300 MiB
}

// A Policy remembers what it must from one review to the next. The zero Policy is ready.
type Policy struct {
	due     map[int]Waiting
	told    map[telling]bool
	pressed time.Time // when a worker was replaced for the memory of all last
	useless bool      // the log knows that it would not help
}

// Waiting is a worker that is to go and is yet to get a place.
type Waiting struct {
	Cause
	Since time.Time
}

type telling struct {
	age    int
	reason Reason
}

// Due returns the workers that wait, by their numbers. It is valid until the next review.
func (p *Policy) Due() map[int]Waiting { return p.due }

// Review returns what is to be done now, and a note for the log, mostly empty. The order of
// workers does not matter.
//
// The budget bounds how many workers are being replaced, and how many are missing: those that
// have died, or were killed here, and whose successors are not ready. Who must go at once is
// only held up by those that are missing.
func (p *Policy) Review(now time.Time, l Limits, workers []Worker, sys System) (steps []Step, note string) {
	waiting := p.wait(now, l, workers)
	missing, leaving := count(l.Target, workers)
	if l.Dry {
		steps = p.pretend(l, workers)
	}
	for _, w := range waiting {
		step := Step{Age: w.Age, Cause: p.due[w.Age].Cause}
		switch {
		case step.Reason == MemoryHard && w.Phase == Leaving:
			step.Action = Kill // nobody misses it
		case step.Reason == MemoryHard && missing < l.Budget:
			step.Action = Kill
			missing++
		case step.Reason != MemoryHard && l.Begin && missing+leaving < l.Budget:
			leaving++
		default:
			continue // it waits
		}
		delete(p.due, w.Age)
		steps = append(steps, step)
	}
	if !l.Begin || !l.Dry && len(steps) > 0 || missing+leaving > 0 {
		return steps, ""
	}
	step, note, ok := p.relieve(now, l, workers, sys)
	if ok {
		steps = append(steps, step)
	}
	return steps, note
}

// wait finds the workers that are to go, and returns them in the order in which they do.
func (p *Policy) wait(now time.Time, l Limits, workers []Worker) []Worker {
	due := make(map[int]Waiting, len(p.due))
	var list []Worker
	for _, w := range workers {
		cause, ok := l.cause(w)
		if l.Dry {
			cause, ok = asked(w)
		}
		if !ok {
			continue
		}
		since := now
		if before, ok := p.due[w.Age]; ok && before.Reason == cause.Reason {
			since = before.Since
		}
		due[w.Age] = Waiting{cause, since}
		list = append(list, w)
	}
	p.due = due
	p.forget(workers)
	slices.SortFunc(list, func(a, b Worker) int {
		x, y := due[a.Age], due[b.Age]
		byMemory := x.Reason == y.Reason && (x.Reason == Memory || x.Reason == MemoryHard)
		switch {
		case urgency(x.Reason) != urgency(y.Reason):
			return urgency(x.Reason) - urgency(y.Reason)
		case byMemory && a.Memory != b.Memory:
			return cmp.Compare(b.Memory, a.Memory)
		case !x.Since.Equal(y.Since):
			return x.Since.Compare(y.Since)
		}
		return a.Age - b.Age
	})
	return list
}

// urgency orders reasons: who takes memory from the others goes first.
func urgency(r Reason) int {
	switch r {
	case MemoryHard:
		return 0
	case Memory:
		return 1
	default:
		return 2
	}
}

// cause returns why w is to go.
func (l *Limits) cause(w Worker) (Cause, bool) {
	soft := l.Memory
	if w.Fresh >= soft {
		soft = w.grown()
	}
	switch {
	case w.Phase == Booting:
		return Cause{}, false
	case l.MemoryHard > 0 && w.Memory >= l.MemoryHard:
		return Cause{MemoryHard, fmt.Sprintf("its %s was %s, max_worker_memory_hard is %s", l.Measure, mib(w.Memory), mib(l.MemoryHard))}, true
	case w.Phase != Serving:
		return Cause{}, false
	case l.Memory > 0 && w.Memory >= soft && w.Served >= Settling:
		return Cause{Memory, fmt.Sprintf("its %s is %s, max_worker_memory is %s", l.Measure, mib(w.Memory), mib(l.Memory))}, true
	case w.Lifetime > 0 && w.Served >= w.Lifetime:
		return Cause{MaxAge, fmt.Sprintf("it has served for %.0f s, max_worker_age with its jitter is %.0f s", w.Served.Seconds(), w.Lifetime.Seconds())}, true
	}
	return asked(w)
}

// grown returns from what memory on a worker is worth replacing.
func (w *Worker) grown() int64 { return w.Fresh + max(LeastGain, w.Fresh/GainShare) }

// asked returns the cause of a worker that has asked to go, or that an operator has replaced.
func asked(w Worker) (Cause, bool) {
	switch {
	case w.Phase != Serving:
		return Cause{}, false
	case w.Asked:
		return Cause{MaxRequests, "it has asked for it (max_requests, or a hook)"}, true
	}
	return Cause{Refork, w.Refork}, w.Refork != ""
}

// pretend returns the steps that a dry run is yet to tell of.
func (p *Policy) pretend(l Limits, workers []Worker) (steps []Step) {
	for _, w := range workers {
		cause, ok := l.cause(w)
		step := Step{Age: w.Age, Dry: true, Cause: cause}
		if cause.Reason == MemoryHard {
			step.Action = Kill
		}
		if ok && cause.Reason != MaxRequests && cause.Reason != Refork && p.tell(step) {
			steps = append(steps, step)
		}
	}
	return steps
}

// count returns how many workers are missing, and how many are on their way out though they
// are not.
func count(target int, workers []Worker) (missing, leaving int) {
	missing = target
	for _, w := range workers {
		if w.Phase == Serving || w.Phase == Replacing {
			missing--
		}
		if w.Phase == Replacing || w.Phase == Leaving && w.Recycled {
			leaving++
		}
	}
	return max(0, missing), leaving
}

// relieve replaces the worker that has grown most if the memory of all is short. It does so
// for one at a time, and not again before the figures can have changed.
func (p *Policy) relieve(now time.Time, l Limits, workers []Worker, sys System) (step Step, note string, ok bool) {
	cause, short := l.shortage(sys)
	if !short {
		p.useless = false
		return Step{}, "", false
	}
	window := PressureWindow
	if cause.Reason == Use {
		window = UseWindow
	}
	if !p.pressed.IsZero() && now.Sub(p.pressed) < window {
		return Step{}, "", false
	}
	var fattest Worker
	var fresh int64  // what a new worker takes
	settles := false // a worker has grown that is yet to settle
	for _, w := range workers {
		fresh = max(fresh, w.Fresh)
		switch {
		case w.Phase != Serving || w.Memory < w.grown():
		case w.Served < Settling:
			settles = true
		case w.Memory > fattest.Memory:
			fattest = w
		}
	}
	if fattest.Age == 0 {
		if p.useless || settles {
			return Step{}, "", false
		}
		p.useless = true
		return Step{}, "Memory is short (" + cause.Text + "), but no worker has grown: to replace one would not help", false
	}
	step = Step{Age: fattest.Age, Dry: l.Dry, Cause: cause}
	step.Text += fmt.Sprintf("; of all workers it takes most, %s %s", l.Measure, mib(fattest.Memory))
	if sys.Limit > 0 && sys.Limit-sys.Used < fresh {
		step.Action = MakeRoom
		step.Text += ", and a new one has no room beside it"
	}
	if !step.Dry {
		p.pressed = now
		return step, "", true
	}
	return step, "", p.tell(step)
}

// shortage says whether the memory of all is short.
func (l *Limits) shortage(sys System) (Cause, bool) {
	switch {
	case l.Pressure > 0 && sys.Pressure >= l.Pressure:
		return Cause{Pressure, fmt.Sprintf("processes have waited for memory for %.1f %% of the last 10 s, max_memory_pressure is %.0f %%", sys.Pressure, l.Pressure)}, true
	case l.Use > 0 && sys.Limit > 0 && float64(sys.Used)*100 >= l.Use*float64(sys.Limit):
		return Cause{Use, fmt.Sprintf("%s of %s are in use, max_memory_use is %.0f %%", mib(sys.Used), mib(sys.Limit), l.Use)}, true
	}
	return Cause{}, false
}

// tell reports whether a step that is only told was not told yet.
func (p *Policy) tell(s Step) bool {
	key := telling{s.Age, s.Reason}
	if p.told[key] {
		return false
	}
	if p.told == nil {
		p.told = map[telling]bool{}
	}
	p.told[key] = true
	return true
}

// forget drops what was told of workers that are gone.
func (p *Policy) forget(workers []Worker) {
	for key := range p.told {
		if !slices.ContainsFunc(workers, func(w Worker) bool { return w.Age == key.age }) {
			delete(p.told, key)
		}
	}
}

// Next returns how long it takes until the first worker is old enough to go; ok is false if
// none ever is.
func Next(workers []Worker) (wait time.Duration, ok bool) {
	for _, w := range workers {
		if left := w.Lifetime - w.Served; w.Phase == Serving && w.Lifetime > 0 && left > 0 && (!ok || left < wait) {
			wait, ok = left, true
		}
	}
	return wait, ok
}

func mib(n int64) string {
	if n >= 10<<30 {
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
}
