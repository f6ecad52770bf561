package dispatch

import "time"

const (
	// probeStallsEvery is how often the slots of a fast app are looked at. A slot that
	// is at the same request two times in a row is stalled.
	probeStallsEvery = 5 * time.Millisecond
	// A request is slow when slowProbes have found its slot stalled, and an app when
	// slowRequests are slow, each seen at most slowFor after the one before: then
	// requests go one by one until slowFor after the last. Where processors are scarce
	// a process waits for one for some milliseconds, and a request that is slow now and
	// then delays few.
	slowProbes   = 4
	slowRequests = 3
	slowFor      = 500 * time.Millisecond
)

// A stallProbe is what was seen of a slot, for the next probe to compare. It is guarded by
// the queue's mutex.
type stallProbe struct {
	claimed uint32
	stalled int    // probes that found the slot stalled
	journal []byte // what was there when the first did
}

// A heldReply is replies that a stalled slot has not sent.
type heldReply struct {
	sl      *slot
	journal []byte
}

// isProbed reports whether the slots of g may stall others.
func (g *generation) isProbed() bool { return g.shared > 0 || g.inFlight > 0 && g.isFast() }

// probeStallsLaterLocked has the slots of g looked at in a while, if need be.
// +checklocks:q.mu
func (q *Queue) probeStallsLaterLocked(g *generation) {
	if !q.probing && g.isProbed() {
		q.probing = true
		time.AfterFunc(probeStallsEvery, q.probeStalls)
	}
}

// probeStalls finds slots that have been at one request for a while. Requests that came in
// the same message and wait behind it go to other slots, and replies to those before it,
// which the slot has not sent yet, are taken from its journal.
func (q *Queue) probeStalls() {
	for _, held := range q.findStalls(time.Now()) {
		held.sl.actOnJournal(held.journal)
	}
}

func (q *Queue) findStalls(now time.Time) (held []heldReply) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.probing = false
	for _, g := range q.gens {
		if g.isProbed() {
			held = q.findStallsOfLocked(g, now, held)
			q.probeStallsLaterLocked(g)
		}
		if now.Sub(g.slowAt) > slowFor {
			g.slow = 0
		}
	}
	return held
}

// +checklocks:q.mu
func (q *Queue) findStallsOfLocked(g *generation, now time.Time, held []heldReply) []heldReply {
	for _, w := range q.workers {
		if w.gen != g || w.dead || w.multiplexed.Load() {
			continue
		}
		for i, sl := range w.slots {
			p := &sl.probe
			// The claimed one may be over; the others of its message need not be.
			var claimed, first uint32
			if j := q.claimedByLocked(w, i); j != nil {
				claimed, first = j.id, j.first
			} else if reached := q.reachedLocked(w, i); len(reached) > 0 {
				claimed, first = w.board.Claimed(i), reached[0].first
			}
			if claimed != p.claimed {
				*p = stallProbe{claimed: claimed, journal: p.journal[:0]}
				continue
			}
			if claimed == 0 {
				continue // it has nothing to do
			}
			p.stalled++
			switch {
			case p.stalled == 1:
				p.journal = w.board.AppendJournal(p.journal[:0], i)
				q.reassignBehindLocked(g, first, claimed)
			case len(p.journal) > 0 && sl.hasCaughtUp():
				// All of it was there by then: a processor does not hold back
				// a store for that long. What the slot has sent comes first.
				held = append(held, heldReply{sl, p.journal})
				p.journal = nil
			}
			if p.stalled >= slowProbes {
				g.recordSlow(now, p.stalled == slowProbes)
			}
		}
	}
	return held
}

// reassignBehindLocked gives the requests behind one in its message, which has the first id, to
// other slots.
// +checklocks:q.mu
func (q *Queue) reassignBehindLocked(g *generation, first, stalled uint32) {
	var behind []*Job
	for id := stalled + 1; id < first+maxBatch; id++ {
		if j := q.inFlight[id]; j != nil && j.gen == g && j.first == first {
			behind = append(behind, j)
		}
	}
	if len(behind) > 0 {
		q.revokeLocked(g, behind, func(free []*Job) {
			q.requeueLocked(free...) // +checklocksignore
			q.pumpLocked()           // +checklocksignore
		})
	}
}
