package dispatch

import (
	"time"

	"indrik/internal/wire"
)

// This file tells the master of the load, so that it can have as many workers as that needs
// (workers = MIN..MAX). There are reports only while there are requests, and one when the last
// has ended: an idle front says nothing and wakes for nothing.

const (
	// loadEvery is the least time between two reports, and quietEvery that while requests are
	// in flight of which nothing was heard, such as WebSocket connections.
	loadEvery  = 500 * time.Millisecond
	quietEvery = 5 * time.Second
	// maxLoops is how many multiplexed workers one report names.
	maxLoops = 500
)

// A loadReport is what the master was told of the load last.
type loadReport struct {
	on   bool      // the master wants to know
	at   time.Time // from when on counts what the next report says; zero: nothing has come yet
	rest bool      // there were no requests then
	woke bool      // the master knows that requests wait and there is no worker

	waited, used, capacity, served float64 // of the meter, as it was then
	arrived, ended                 int
}

// resume begins a span of time when requests come after there were none.
func (l *loadReport) resume(now time.Time) {
	if l.rest || l.at.IsZero() {
		l.at, l.rest = now, false
	}
}

// wakeLocked tells the master at once, and only once, that requests wait and there is no worker
// that could take them. It is called when some wait.
// +checklocks:q.mu
func (q *Queue) wakeLocked() {
	if !q.load.on || q.load.woke {
		return
	}
	for _, w := range q.workers {
		if w.active {
			return
		}
	}
	q.load.woke = true
	now := time.Now()
	q.load.resume(now)
	q.host.Send(q.countLoadLocked(now))
}

// loadReportLocked returns the message about the load, none if it is not time for one. Each scan
// calls it.
// +checklocks:q.mu
func (q *Queue) loadReportLocked(now time.Time) []wire.FromFront {
	l := &q.load
	if !l.on || l.at.IsZero() || l.rest {
		return nil
	}
	idle := len(q.inFlight)+len(q.waiting) == 0
	since := now.Sub(l.at)
	quiet := !idle && len(q.waiting) == 0 && l.arrived == q.meter.arrived && l.ended == q.meter.ended && q.meter.busy == 0
	if !idle && (since < loadEvery || quiet && since < quietEvery) {
		return nil
	}
	return []wire.FromFront{q.countLoadLocked(now)}
}

// countLoadLocked returns the message about the load since the last one.
// +checklocks:q.mu
func (q *Queue) countLoadLocked(now time.Time) wire.FromFront {
	q.measureLocked(now)
	l, m := &q.load, &q.meter
	load := &wire.Load{
		Seconds: max(0, now.Sub(l.at).Seconds()),
		Busy:    m.used - l.used, Capacity: m.capacity - l.capacity, Waited: m.waited - l.waited, Served: m.served - l.served,
		Arrived: m.arrived - l.arrived, Ended: m.ended - l.ended, Waiting: m.waiting, InFlight: len(q.waiting) + len(q.inFlight),
	}
	for _, g := range q.gens {
		for _, w := range g.multiplexed {
			if len(load.Loops) < maxLoops {
				load.Loops = append(load.Loops, wire.LoopLoad{Age: w.age, InFlight: w.inFlight, Lag: w.lag(now).Seconds(), Engaged: (w.engaged - w.toldEngaged).Seconds()})
			}
			w.toldEngaged = w.engaged
		}
	}
	*l = loadReport{
		on: true, at: now, rest: load.InFlight == 0, woke: l.woke,
		waited: m.waited, used: m.used, capacity: m.capacity, served: m.served, arrived: m.arrived, ended: m.ended,
	}
	return wire.FromFront{Type: wire.TypeLoad, Load: load}
}
