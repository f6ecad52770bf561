package master

import (
	"fmt"
	"strings"
	"time"

	"indrik/internal/autoscale"
	"indrik/internal/settings"
	"indrik/internal/status"
	"indrik/internal/wire"
)

const (
	// loadBoundary is how many requests, and how many seconds, a report of the front may tell
	// of at most. More cannot be, and would only spoil sums.
	loadBoundary = 1e7
	// leastSpan is the least time between two reports that are counted. A front sends two in
	// a second, and one at once when requests find no worker.
	leastSpan = 50 * time.Millisecond
	// leastLook is the least time until the load is looked at again without a report.
	leastLook = 500 * time.Millisecond
	// lateLoop is for how long an event loop has to be late to count as busy. It is asked once
	// a second.
	lateLoop = 2500 * time.Millisecond
	// heldAgain is how long the log says nothing more of the same reason for which there are
	// no more workers.
	heldAgain = time.Minute
)

// A scaling is how the number of workers follows the load, where workers is a range. What it
// decides by is the front's word, within bounds that this process knows itself, and what the
// kernel says of the processes.
type scaling struct {
	base
	on     bool // workers is a range
	dry    bool // it only says what it would do
	bounds autoscale.Bounds
	lowest int // Least of the setting: TTOU does not allow for less than one worker if that does not
	scaler autoscale.Scaler
	slept  bool        // there are to be no workers, since nobody has asked for anything, or the first is on its way
	look   *time.Timer // looks at the load without a report
	heard  time.Time   // when the last report came
	known  wire.Load   // what it said
	cpu    cpuMeter
	memory memoryMeter

	verdict autoscale.Verdict
	wanted  int      // with dry: how many workers there would be
	held    struct { // what the log has said last of why there are no more
		why string
		at  time.Time
	}
	ups, downs int
	lastChange *status.ScaleChange
}

// adopt begins with the range of a configuration, if it has one; change is by how much TTIN and
// TTOU have moved it.
func (s *scaling) adopt(cfg *settings.Config, change int) {
	r, on := cfg.WorkerRange()
	s.on, s.dry, s.lowest = on, cfg.DryRun(settings.PolicyScale), r.Least
	s.bounds = autoscale.Bounds{Least: r.Least, Most: r.Most, DownDelay: time.Duration(cfg.ScaleDownDelay() * float64(time.Second))}
	s.reset()
	if change != 0 {
		s.shift(change)
	}
}

// reset forgets the load that was: the workers are others now.
func (s *scaling) reset() {
	s.scaler.Reset()
	s.verdict, s.wanted, s.known, s.cpu = autoscale.Verdict{}, 0, wire.Load{}, cpuMeter{}
	s.stop()
}

// stop ends the looks without a report.
func (s *scaling) stop() {
	if s.look != nil {
		s.look.Stop()
		s.look = nil
	}
}

// begin returns with how many workers a generation of cfg begins, when there are now workers for
// the load.
func (s *scaling) begin(cfg *settings.Config, now int) int {
	if r, ok := cfg.WorkerRange(); ok {
		return max(r.Start(), r.Clamp(now))
	}
	return cfg.Workers()
}

// shift moves the range (TTIN, TTOU).
func (s *scaling) shift(by int) {
	if !s.on {
		return
	}
	s.bounds.Least = max(min(1, s.lowest), s.bounds.Least+by)
	s.bounds.Most = max(1, s.bounds.Least, s.bounds.Most+by)
	s.log.Infof("Workers: the range is %s now", s.rangeText())
}

// set makes the range another one.
func (s *scaling) set(least, most int) {
	s.bounds.Least, s.bounds.Most, s.lowest = least, most, least
	s.log.Infof("Workers: the range is %s now", s.rangeText())
}

// clamp returns the number of the range that is nearest to n, if there is a range.
func (s *scaling) clamp(n int) int {
	if !s.on {
		return n
	}
	return min(max(n, s.bounds.Least), s.bounds.Most)
}

func (s *scaling) rangeText() string {
	return fmt.Sprintf("%d..%d", s.bounds.Least, s.bounds.Most)
}

// loadTold is called when the front tells of the load.
func (m *Master) loadTold(load *wire.Load) {
	s := &m.scale
	now := m.now()
	if !s.on || load == nil || now.Sub(s.heard) < leastSpan && m.pool.target > 0 {
		return
	}
	s.known = bounded(*load, now.Sub(s.heard), m.slots())
	s.heard = now
	m.readWorkerMemory()
	m.on(loadKnown, occurrence{load: m.sample(now)})
}

// slots is how many requests the workers of the serving generation can run at once, at most.
func (m *Master) slots() int {
	n := 0
	for _, w := range m.pool.workers {
		if w.ready {
			n += w.slots
		}
	}
	return n
}

// bounded returns a report with what can be true of it: since the last one some time has passed,
// and there are so many slots. Workers may have left in that time.
func bounded(l wire.Load, passed time.Duration, slots int) wire.Load {
	within := func(x, most float64) float64 {
		if !(x > 0) { // also what is no number
			return 0
		}
		return min(x, most)
	}
	l.Seconds = within(l.Seconds, passed.Seconds())
	l.Capacity = within(l.Capacity, loadBoundary)
	l.Busy = within(l.Busy, min(l.Capacity, max(l.Seconds, 0)*float64(2*slots)))
	l.Served, l.Waited = within(l.Served, loadBoundary), within(l.Waited, loadBoundary)
	for _, n := range []*int{&l.Arrived, &l.Ended, &l.Waiting, &l.InFlight} {
		*n = min(max(*n, 0), loadBoundary)
	}
	for i := range l.Loops {
		loop := &l.Loops[i]
		loop.Engaged, loop.Lag = within(loop.Engaged, l.Seconds), within(loop.Lag, loadBoundary)
		loop.InFlight = min(max(loop.InFlight, 0), loadBoundary)
	}
	return l
}

// sample returns what the policy is told of the last report.
func (m *Master) sample(now time.Time) *autoscale.Sample {
	l := &m.scale.known
	x := &autoscale.Sample{
		At: now, Span: time.Duration(l.Seconds * float64(time.Second)), Slots: m.gen.cfg.Slots(),
		Busy: l.Busy, Capacity: l.Capacity, Served: l.Served, Waited: l.Waited,
		Arrived: l.Arrived, Ended: l.Ended, Waiting: l.Waiting, InFlight: l.InFlight,
	}
	cpu := m.scale.cpu.read(m, now)
	if kind := m.gen.kind; kind == nil || !kind.IsMultiplexed() {
		return x
	}
	// An event loop is busy while it uses a processor, or can begin no request; and all of the
	// time if it has been late for a while, whatever the reason.
	x.Slots, x.Busy, x.Capacity = 1, 0, 0
	var lag float64
	for _, loop := range l.Loops {
		w := m.pool.workers[loop.Age]
		if w == nil || w.gen != m.gen || !w.ready || w.leaving {
			continue
		}
		busy := min(max(loop.Engaged, cpu[w.pid]*l.Seconds), l.Seconds)
		if w.isLate(loop.Lag, now) {
			busy = l.Seconds
		}
		x.Busy += busy
		x.Capacity += l.Seconds
		lag += loop.Lag
	}
	if x.Capacity > 0 {
		x.Lag = time.Duration(lag / x.Capacity * l.Seconds * float64(time.Second))
	}
	x.Served = x.Busy
	return x
}

// isLate reports whether the event loop of w has been late for a while: longer than a single call
// that blocks it.
func (w *worker) isLate(lag float64, now time.Time) bool {
	switch {
	case lag <= autoscale.GrowWait.Seconds():
		w.lateSince = time.Time{}
	case w.lateSince.IsZero():
		w.lateSince = now
	}
	return !w.lateSince.IsZero() && now.Sub(w.lateSince) >= lateLoop
}

// followLoad has as many workers as the load needs. o.load is what was counted, nil: nothing was
// since the last time.
func (m *Master) followLoad(o occurrence) {
	s := &m.scale
	pool := autoscale.Pool{Target: m.pool.target, CPU: s.cpu.share, Room: s.memory.room(m.now(), m.pool.target)}
	for _, w := range m.pool.workers {
		if w.gen == m.gen && w.ready && !w.leaving {
			pool.Ready++
		}
	}
	v := s.scaler.Decide(m.now(), o.load, s.bounds, pool)
	s.verdict = v
	s.tellHeld(v.Held)
	if v.Target != m.pool.target {
		m.rescale(v)
	}
	m.lookAgain()
}

// rescale carries a verdict out, or says what it is.
func (m *Master) rescale(v autoscale.Verdict) {
	s, from := &m.scale, m.pool.target
	if s.dry {
		if s.wanted != v.Target {
			s.log.Infof("Workers: there would be %d instead of %d (%s), if selfcare_dry_run did not have scale: %s", v.Target, from, s.rangeText(), v.Why)
		}
		s.wanted = v.Target
		return
	}
	s.log.Infof("Workers: from %d to %d (%s): %s", from, v.Target, s.rangeText(), v.Why)
	if v.Target > from {
		s.ups++
	} else {
		s.downs++
	}
	s.lastChange = &status.ScaleChange{At: m.now(), From: from, To: v.Target, Why: v.Why}
	s.slept = v.Target == 0 || from == 0
	m.setTarget(v.Target)
	m.balance()
}

// tellHeld logs why there are no more workers, although the load asks for them.
func (s *scaling) tellHeld(why string) {
	kind, _, _ := strings.Cut(why, ":")
	if why == "" || s.held.why == kind && s.now().Sub(s.held.at) < heldAgain {
		return
	}
	s.held.why, s.held.at = kind, s.now()
	s.log.Infof("Workers: no more of them (%s), although the load asks for more: %s", s.rangeText(), why)
}

// lookAgain has the load looked at without a report, when that could change something: an idle
// front says nothing.
func (m *Master) lookAgain() {
	s := &m.scale
	s.stop()
	if !s.on || s.dry {
		return
	}
	at, ok := s.scaler.Next(s.bounds, m.pool.target)
	if !ok {
		return
	}
	s.look = m.after(max(leastLook, at.Sub(m.now())), func() {
		s.look = nil
		if s.on {
			m.on(loadKnown, occurrence{load: m.idleSample()})
		}
	})
}

// idleSample is what is known without a report: requests that are in flight still are.
func (m *Master) idleSample() *autoscale.Sample {
	if m.scale.known.InFlight == 0 {
		return nil
	}
	return &autoscale.Sample{At: m.now(), Slots: m.gen.cfg.Slots(), InFlight: m.scale.known.InFlight}
}

// wakeForLoad makes a worker for requests that wait while the server ends, or pauses, and has
// none: what has come is answered.
func (m *Master) wakeForLoad(o occurrence) {
	s := &m.scale
	if !s.slept || m.pool.target > 0 || o.load == nil || o.load.Waiting == 0 || m.state == paused && !m.upgrader.pausing {
		return
	}
	s.log.Infof("Workers: from 0 to 1 (%s): a request waits, and there are no workers", s.rangeText())
	m.setTarget(1)
	m.balance()
}

// isAsleep reports whether it is in order that no worker is ready: nobody has asked for anything
// for a while, and who does wakes the server.
func (m *Master) isAsleep() bool {
	if m.pool.target > 0 && m.pool.countServing() > 0 {
		m.scale.slept = false
	}
	return m.scale.slept
}

// shownScale is what a status tells of the range, nil if there is none.
func (m *Master) shownScale() *status.Scale {
	s := &m.scale
	if !s.on {
		return nil
	}
	shown := &status.Scale{
		Least: s.bounds.Least, Most: s.bounds.Most, DryRun: s.dry, Busy: s.verdict.Busy, Wait: s.verdict.Wait.Seconds(),
		Offered: s.verdict.Offered, Held: s.verdict.Held, Grown: s.ups, Shrunk: s.downs, Last: s.lastChange,
	}
	if s.dry {
		shown.Wanted = max(s.wanted, 0)
	}
	return shown
}

// frontGone forgets what a front that has ended has told.
func (s *scaling) frontGone() { s.known = wire.Load{} }
