package dispatch

import (
	"maps"
	"slices"
	"time"

	"indrik/internal/wire"
)

// scanEvery is how often the claims are looked at while requests are in flight, which is
// how exact the setting timeout is.
const scanEvery = 250 * time.Millisecond

// An expired request is one whose time is over. It was taken from its worker.
type expired struct {
	j       *Job           // nil: there is only the report
	started bool           // some of the response was sent
	report  wire.FromFront // for the master, if it has a type
}

// +checklocks:q.mu
func (q *Queue) scanLaterLocked() {
	if len(q.inFlight)+len(q.waiting) > 0 && !q.scanning {
		q.scanning = true
		q.scanned = time.Now()
		q.load.resume(q.scanned)
		time.AfterFunc(scanEvery, q.scan)
	}
}

// scan looks at all requests: it ends those that run for longer than timeout, refuses those
// that have waited for too long, and finds requests and workers that were lost sight of.
func (q *Queue) scan() {
	ended, settled, reports := q.scanAt(time.Now())
	for _, report := range reports {
		q.host.Send(report)
	}
	q.end(ended)
	for _, age := range settled {
		q.host.Send(wire.FromFront{Type: wire.TypeSettled, Age: age})
	}
}

// scanAt returns the requests whose time is over, the ages of the workers that run nothing
// else any more, and what there is to tell the master: of slow requests, and of the load.
func (q *Queue) scanAt(now time.Time) (ended []expired, settled []int, reports []wire.FromFront) {
	q.mu.Lock()
	defer q.mu.Unlock()
	again := false
	q.recordBegunLocked(now)
	q.checkClaimsLocked()
	for _, w := range q.workers {
		if w.dead {
			continue
		}
		if w.multiplexed.Load() {
			late := q.scanMultiplexedLocked(w, now)
			q.countTimeOutsLocked(late, now)
			ended = append(ended, late...)
			continue
		}
		running := q.runningLocked(w, now)
		q.findSlowLocked(w, running, now)
		over := overTime(running, now)
		late := q.expireLocked(w, over, len(running)-len(over), now)
		q.countTimeOutsLocked(late, now)
		ended = append(ended, late...)
		if w.expired > 0 && !w.settled {
			if len(running) == len(over) {
				w.settled = true
				settled = append(settled, w.age)
			} else {
				again = true
			}
		}
	}
	for _, g := range q.gens {
		g.measure(now.Sub(q.scanned))
	}
	for _, e := range ended {
		if e.j != nil {
			q.counts.TimedOut++
		}
	}
	q.measureLocked(now)
	q.dropLateLocked(now)
	again = again || len(q.inFlight)+len(q.waiting) > 0
	q.scanning, q.scanned = again, now
	if again {
		time.AfterFunc(scanEvery, q.scan)
	}
	q.pumpLocked()
	return ended, settled, append(q.slowReportLocked(), q.loadReportLocked(now)...)
}

// scanMultiplexedLocked returns the requests of a multiplexed worker whose time is over.
// +checklocks:q.mu
func (q *Queue) scanMultiplexedLocked(w *worker, now time.Time) []expired {
	d := q.watchLocked(w, now)
	if d > 0 || !w.hasCapacity() {
		w.engaged += max(now.Sub(q.scanned), 0)
	}
	if w.gen.settings.SlowRequestLog > 0 {
		begun, _ := q.givenToLocked(w)
		q.findSlowLocked(w, begun, now)
	}
	if t := w.gen.settings.Timeout; t > 0 && d >= t && !w.loop.blocked {
		return q.blockedLocked(w, d, now)
	}
	if w.kind == wire.KindGevent && d == 0 {
		return q.endGreenletsLocked(w, now)
	}
	return nil
}

// runningLocked lists the requests that a worker runs, and records since when.
// +checklocks:q.mu
func (q *Queue) runningLocked(w *worker, now time.Time) []*Job {
	if w.multiplexed.Load() {
		begun, _ := q.givenToLocked(w)
		return begun
	}
	var jobs []*Job
	for i := range w.slots {
		j := q.claimedByLocked(w, i)
		if j == nil {
			continue
		}
		q.beganLocked(j, w, i, now)
		jobs = append(jobs, j)
	}
	return jobs
}

// beganLocked records that a slot runs a request, and tells the slot until when it may.
// +checklocks:q.mu
func (q *Queue) beganLocked(j *Job, w *worker, index int, now time.Time) {
	if j.claimant != nil {
		return
	}
	j.claimant, j.claimSlot = w, index
	j.freedLocked(w.slots[index])
	if t := w.gen.settings.Timeout; t > 0 && w.kind != wire.KindASGI && j.reply != replyOpen {
		j.setDeadlineLocked(w, index, now.Add(t))
	}
}

// setDeadlineLocked bounds a request. A slot that runs one at a time is told.
func (j *Job) setDeadlineLocked(w *worker, index int, t time.Time) {
	j.deadline = t
	if j.assigned == nil {
		w.board.SetDeadline(index, j.id, t)
	}
}

// overTime returns the requests in running that are past their deadline.
func overTime(running []*Job, now time.Time) []*Job {
	var over []*Job
	for _, j := range running {
		if !j.deadline.IsZero() && !now.Before(j.deadline) {
			over = append(over, j)
		}
	}
	return over
}

// endGreenletsLocked takes the requests whose time is over away from a worker of
// greenlets, and has it end these alone. While its hub is blocked it could not: see
// blockedLocked.
// +checklocks:q.mu
func (q *Queue) endGreenletsLocked(w *worker, now time.Time) []expired {
	begun, _ := q.givenToLocked(w)
	late := overTime(begun, now)
	ended := make([]expired, 0, len(late))
	for _, j := range late {
		q.removeLocked(j)
		j.overLocked(now)
		j.toldGone.Store(true)
		w.sendQueue.send(wire.AppendLate(nil, j.id))
		ended = append(ended, expired{j: j, started: j.answered})
	}
	return ended
}

// extend lets a slot run a request for longer from now on, as the app asks.
func (q *Queue) extend(m *wire.Reply, sl *slot) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	j, err := q.lookupLocked(m, sl)
	if j == nil || err != nil {
		return err
	}
	q.beganLocked(j, sl.w, sl.index, sl.heard)
	until := sl.heard.Add(time.Duration(m.Count) * time.Millisecond)
	if !j.deadline.IsZero() && until.After(j.deadline) {
		j.setDeadlineLocked(sl.w, sl.index, until)
	}
	return nil
}

// expireLocked takes requests away from a worker, which runs so many others.
// +checklocks:q.mu
func (q *Queue) expireLocked(w *worker, over []*Job, others int, now time.Time) []expired {
	var ended []expired
	for _, j := range over {
		q.removeLocked(j)
		j.overLocked(now)
		if j.assigned != nil {
			// Many requests of one loop are one thing to report, see blockedLocked,
			// or the end of streams that are in nobody's way.
			j.notifyGone()
			ended = append(ended, expired{j: j, started: j.answered})
			continue
		}
		d := j.describeLocked()
		ended = append(ended, expired{j, j.answered, wire.FromFront{
			Type: wire.TypeTimeout, Age: w.age, Method: d.Method, Path: d.Path, RequestID: d.RequestID,
			Seconds: now.Sub(j.began).Seconds(), Others: others,
		}})
		w.expired++
	}
	return ended
}

// end answers requests whose time is over, and tells the master.
func (q *Queue) end(ended []expired) {
	for _, e := range ended {
		if e.report.Type != "" {
			q.host.Send(e.report)
		}
		if e.j != nil {
			e.j.request.TimeOut(e.started)
		}
	}
}

// Expire ends the requests that the worker of an age runs, or, if it is 0, all requests.
func (q *Queue) Expire(age int) {
	ended, unserved := q.takeAway(age, time.Now())
	q.end(ended)
	for _, j := range unserved {
		j.request.Fail(503)
	}
}

// takeAway takes requests from the worker of an age, or from all, and then also those that
// no worker has claimed.
func (q *Queue) takeAway(age int, now time.Time) (ended []expired, unserved []*Job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	begun := map[uint32]bool{}
	for _, g := range q.gens {
		if age == 0 {
			maps.Copy(begun, q.claimsLocked(g))
		}
	}
	for _, w := range q.workers {
		if age == 0 || w.age == age {
			ended = append(ended, q.expireLocked(w, q.runningLocked(w, now), 0, now)...)
		}
	}
	if age != 0 {
		q.counts.Overdue += uint64(len(ended))
		return ended, nil
	}
	for _, g := range q.gens {
		q.requeueLocked(q.readBackLocked(g)...)
	}
	unserved = slices.Clone(q.waiting)
	q.waiting = nil
	// What is left was taken by a worker that has not claimed it yet, or its reply is on the
	// way, or in a journal.
	for _, g := range q.gens {
		certain := q.haveCaughtUpLocked(g)
		for id, j := range q.inFlight {
			if j.gen != g || j.answered {
				continue
			}
			q.forbidLocked(j)
			if begun[id] || j.assigned == nil && !certain {
				q.removeLocked(j)
				j.overLocked(now)
				ended = append(ended, expired{j: j})
			} else {
				unserved = append(unserved, j)
			}
		}
	}
	for _, j := range unserved {
		q.removeLocked(j)
		j.unservedLocked(now)
	}
	q.counts.Unserved += uint64(len(unserved))
	q.counts.Overdue += uint64(len(ended))
	return ended, unserved
}
