package dispatch

import (
	"sync/atomic"
	"time"
)

// This file is about the requests that wait for their clients. A multiplexed worker runs
// worker_connections requests at once; one that the app cannot go on with, because its
// client neither sends nor takes anything, takes none of its capacity.

const (
	// standsAfter is how long a worker must have waited for more of a body for its
	// request to give up its place: most clients only take a moment.
	standsAfter = 20 * time.Millisecond
	// reviewEvery is how often the queue looks for such requests, while others wait for
	// capacity.
	reviewEvery = 20 * time.Millisecond
)

// A ClientWait is what a request waits for that depends on its client alone.
type ClientWait uint8

const (
	ForBody   ClientWait = 1 << iota // the app wants more of the body
	ForReader                        // the app cannot send before the client has taken something
	ForFrames                        // it is an open WebSocket connection
)

// SetWait records whether a request waits for its client. It may be called when the request
// is over.
func (q *Queue) SetWait(j *Job, why ClientWait, waits bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.setWaitLocked(j, why, waits) && len(q.waiting) > 0 {
		q.pumpSoonLocked()
	}
}

// setWaitLocked is SetWait, and reports whether that has given capacity back.
// +checklocks:q.mu
func (q *Queue) setWaitLocked(j *Job, why ClientWait, waits bool) bool {
	if j.stage != handedOver || j.assigned == nil {
		return false
	}
	stood := j.standing != 0
	if waits {
		j.standing |= why
	} else {
		j.standing &^= why
	}
	stands := j.standing != 0
	switch {
	case stands && !stood:
		j.assigned.standing++
		return true
	case stood && !stands:
		j.assigned.standing--
	}
	return false
}

// reviewLaterLocked looks soon for requests that hold capacity and wait for their clients:
// others wait for capacity.
// +checklocks:q.mu
func (q *Queue) reviewLaterLocked() {
	if q.reviewing {
		return
	}
	for _, g := range q.gens {
		if len(g.multiplexed) > 0 {
			q.reviewing = true
			time.AfterFunc(reviewEvery, q.review)
			return
		}
	}
}

func (q *Queue) review() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.reviewing = false
	if len(q.waiting) == 0 {
		return
	}
	for _, j := range q.inFlight {
		if j.assigned != nil && j.standing&ForBody == 0 && j.body.waitsFor(standsAfter) {
			q.setWaitLocked(j, ForBody, true)
			j.body.stands.Store(true)
			if !j.body.waits() {
				q.setWaitLocked(j, ForBody, false) // it has just got something
			}
		}
	}
	q.pumpLocked() // which comes back here if that was not enough
}

// A bodyWait is since when a worker waits for more of a body. It is used without the
// queue's mutex, which would cost too much for each piece.
type bodyWait struct {
	since  atomic.Int64 // as a time since epoch; 0: it does not wait
	before atomic.Int64 // how long it has waited before that, with slow_request_log
	stands atomic.Bool  // the request has given up its place for that
}

// epoch is before every wait.
var epoch = time.Now().Add(-time.Second)

func (b *bodyWait) waits() bool { return b.since.Load() != 0 }

// waitsFor reports whether the worker has waited for a time.
func (b *bodyWait) waitsFor(d time.Duration) bool {
	since := b.since.Load()
	return since != 0 && since <= int64(time.Since(epoch)-d)
}

// total returns for how long the worker has waited until now, as far as that is recorded.
func (b *bodyWait) total(now time.Time) time.Duration {
	d := time.Duration(b.before.Load())
	if since := b.since.Load(); since != 0 {
		d += max(0, now.Sub(epoch)-time.Duration(since))
	}
	return d
}

// AwaitBody is called before more of the body is read from the client, which the worker
// wants, and GotBody after that.
func (j *Job) AwaitBody() { j.body.since.Store(int64(time.Since(epoch))) }

// GotBody is called when AwaitBody has got something, or the body ends.
func (q *Queue) GotBody(j *Job) {
	since := j.body.since.Swap(0)
	if j.settings.SlowRequestLog > 0 && since != 0 {
		j.body.before.Add(int64(time.Since(epoch)) - since)
	}
	if j.body.stands.Swap(false) {
		q.SetWait(j, ForBody, false)
	}
}
