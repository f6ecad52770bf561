package dispatch

import (
	"slices"
	"time"

	"indrik/internal/wire"
)

// This file is about requests that are to be run no more: a client that leaves cancels its
// request, the front takes one back in order to answer it itself, and one that has waited
// for too long is refused. What is with a worker already has to be revoked first.

// probeAfter is how long after the end of what a client sends its request must have gone
// without a reply, to be worth asking whether the client is still there: a request that waits
// for a worker need not be run, and the app may stop.
const probeAfter = 500 * time.Millisecond

// CancelByClient is called when the client has left. A request that no worker runs is
// dropped; a worker that runs it is told.
func (q *Queue) CancelByClient(j *Job) {
	asked, cancelled := q.cancel(j)
	if cancelled {
		q.host.Debugf("The client of %s has gone", asked)
		j.request.Kill()
	}
}

func (q *Queue) cancel(j *Job) (asked Description, cancelled bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case j.stage == idle || j.left: // in this order: of one that is idle nothing may be read
		return asked, false // the response goes nowhere
	case j.stage == waiting:
		q.unqueueLocked(j)
		j.stage = idle
		q.counts.Cancelled++
		j.request.Release()
	default:
		q.countLeftLocked(j, time.Now())
		if j.assigned != nil {
			j.notifyGone()
		} else {
			q.notifySlotLocked(j)
		}
		q.revokeLocked(j.gen, []*Job{j}, func(free []*Job) {
			for _, j := range free {
				q.removeLocked(j)    // +checklocksignore
				q.counts.Cancelled++ // +checklocksignore
				j.request.Release()
			}
			q.pumpLocked() // +checklocksignore
		})
	}
	asked = j.describeLocked()
	j.left, j.asked = true, asked
	return asked, true
}

// notifySlotLocked tells the slot that runs a request that its client has left.
// +checklocks:q.mu
func (q *Queue) notifySlotLocked(j *Job) {
	for _, w := range q.workers {
		if w.gen != j.gen || w.dead {
			continue
		}
		for i := range w.slots {
			if q.claimedByLocked(w, i) == j {
				w.board.NotifyGone(i, j.id)
			}
		}
	}
}

// TakeBack takes a request from its worker, for a response of this process; false if the
// worker has begun to answer. The request must be one whose body streams, which no queue of a
// generation has: a claim there would not be known any more.
func (q *Queue) TakeBack(j *Job) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if j.stage == idle || j.answered {
		return false
	}
	if j.stage == waiting {
		q.unqueueLocked(j)
	} else if j.assigned != nil {
		j.notifyGone()
	}
	q.removeLocked(j)
	j.request.Release()
	q.pumpLocked()
	return true
}

// A revocation says where a revoked request is.
type revocation struct {
	first uint32  // the id of the first request in its message
	w     *worker // the multiplexed worker that it was given to, nil if it went to the queue
}

// maxAwaited is how many revocations may be in the ring of a worker that must stay there: with
// one place less than the ring has, the next one always finds a place.
const maxAwaited = wire.MaxRevoked - 1

// revokeLocked takes requests back that wait in the kernel. A moment later thenLocked gets
// those that no slot had claimed, and none will; a claimed one goes on.
// +checklocks:q.mu
func (q *Queue) revokeLocked(g *generation, jobs []*Job, thenLocked func(free []*Job)) {
	claimed := q.claimsLocked(g)
	var revoked []*Job
	for _, j := range jobs {
		// A revocation must stay in the ring until the slot has seen it.
		if j.answered || j.isBegun(claimed) || len(g.revoked) >= maxAwaited {
			continue
		}
		q.forbidLocked(j)
		g.revoked[j.id] = revocation{j.first, j.assigned}
		revoked = append(revoked, j)
	}
	if len(revoked) == 0 {
		return
	}
	ids := idsOf(revoked)
	q.confirmUnclaimedLater(g, revoked, ids, func(free []*Job) {
		for i, j := range revoked {
			if !slices.Contains(free, j) {
				delete(g.revoked, ids[i]) // no slot will refuse it
			}
		}
		thenLocked(free)
	})
}

// forbidLocked tells the workers that may have taken a request not to run it, unless they
// have claimed it already.
// +checklocks:q.mu
func (q *Queue) forbidLocked(j *Job) {
	j.revoked = true
	if j.assigned != nil {
		if !j.assigned.dead {
			j.assigned.forbid(j.id)
		}
		return
	}
	for _, w := range q.workers {
		if w.gen == j.gen && !w.dead {
			w.forbid(j.id)
		}
	}
}

// hasWaitedTooLong reports whether a request has waited for a worker for longer than it may.
func (j *Job) hasWaitedTooLong(now time.Time) bool {
	t := j.settings.QueueTimeout
	return t > 0 && now.Sub(j.queued) >= t
}

// dropLateLocked refuses requests that have waited for a worker for too long.
// +checklocks:q.mu
func (q *Queue) dropLateLocked(now time.Time) {
	n := 0
	for n < len(q.waiting) && q.waiting[n].hasWaitedTooLong(now) {
		n++
	}
	if n > 0 {
		q.refuseLocked(slices.Clone(q.waiting[:n]))
		q.waiting = slices.Delete(q.waiting, 0, n)
	}
	for _, g := range q.gens {
		var jobs []*Job
		for _, j := range q.inFlight {
			if j.gen == g && j.claimant == nil && !j.answered && !j.left && j.hasWaitedTooLong(now) {
				jobs = append(jobs, j)
			}
		}
		if len(jobs) > 0 {
			q.revokeLocked(g, jobs, func(free []*Job) {
				q.refuseLocked(free) // +checklocksignore
				q.pumpLocked()       // +checklocksignore
			})
		}
	}
}

// refuseLocked answers requests that no worker will get.
// +checklocks:q.mu
func (q *Queue) refuseLocked(jobs []*Job) {
	now := time.Now()
	for _, j := range jobs {
		q.removeLocked(j)
		j.unservedLocked(now)
		q.overload.late(len(q.waiting), now.Sub(j.queued))
		go j.request.Fail(503)
	}
}

// ProbeLater finds out whether a client is there that sends no more: one that has closed
// its side only waits for its response, one that has closed all looks the same (RFC 9293
// section 3.6) until something is sent to it. probeLocked does so, with the mutex held.
func (q *Queue) ProbeLater(j *Job, probeLocked func()) {
	time.AfterFunc(probeAfter, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		unanswered := j.stage == waiting || j.stage == handedOver && !j.answered
		if unanswered && !j.left {
			probeLocked()
		}
	})
}
