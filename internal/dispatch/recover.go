package dispatch

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"indrik/internal/wire"
)

const (
	// revocationDelay is how long after a revocation the claims are looked at: by then
	// every slot that did not see it has its claim in memory.
	revocationDelay = 2 * time.Millisecond
	// maxRetries is how often a request is given to another worker that was taken out of
	// the queue and not claimed. A worker can hide its claim: then the request may be what
	// ends it.
	maxRetries = 2
	// maxReported is how many of the requests that were lost with a worker the master
	// is told.
	maxReported = 3
)

// died is called when nothing more comes from a worker: all that it said has been read.
func (q *Queue) died(w *worker) {
	q.mu.Lock()
	if w.dead || w.dying || w.reading.Load() > 0 {
		q.mu.Unlock()
		return
	}
	// Acting on replies that it has made and not sent needs the mutex of each slot,
	// which comes before this one. More slots may come meanwhile.
	w.dying = true
	for i := 0; i < len(w.slots) && !w.broken.Load(); i++ {
		sl := w.slots[i]
		q.mu.Unlock()
		sl.actOnJournal(w.board.AppendJournal(nil, i))
		q.mu.Lock()
	}
	w.dying = false
	if w.reading.Load() > 0 {
		q.mu.Unlock()
		return
	}
	lost := q.buryLocked(w)
	now := time.Now()
	for _, j := range lost {
		j.overLocked(now)
	}
	report := w.lostReportLocked(lost, now)
	ran := make([]Ran, len(lost))
	for i, j := range lost {
		ran[i] = Ran{j.describeLocked(), j.began}
	}
	q.pumpLocked()
	q.dropUnusedLocked()
	q.mu.Unlock()

	q.host.Died(w.age, ran)
	q.host.Send(report)
	for _, j := range lost {
		j.request.Fail(502)
	}
	for _, sl := range w.slots {
		sl.file.Close()
	}
	w.board.Close()
}

// buryLocked forgets a worker, and returns the requests that it had begun.
// +checklocks:q.mu
func (q *Queue) buryLocked(w *worker) (lost []*Job) {
	w.dead = true
	delete(q.workers, w.age)
	q.deactivateLocked(w)
	w.gen.workers--
	if w.multiplexed.Load() {
		w.sendQueue.close()
		begun, unbegun := q.givenToLocked(w)
		for _, j := range begun {
			q.removeLocked(j)
		}
		w.gen.dropRevocationsOf(w)
		q.requeueLocked(unbegun...)
		return begun
	}
	for i := range w.slots {
		if id, token := w.board.Claim(i); q.tokenOfLocked(id) == token {
			w.gen.dropRevocationsBehind(id)
		}
	}
	lost = q.begunByLocked(w)
	for _, j := range lost {
		q.removeLocked(j)
	}
	clear(w.gen.taken) // it may have been the one that took them
	if !w.exited && !w.gen.broken {
		q.probeQueueLocked(w.gen)
	}
	q.recoverLocked(w.gen)
	if !q.hasHandsLocked(w.gen) && len(w.gen.revoked) > 0 {
		q.requeueLocked(q.readBackLocked(w.gen)...)
		w.gen.dropRevocationsOf(nil) // nobody has any of it
	}
	if w.leaving {
		w.gen.leaving -= len(w.slots)
	}
	return lost
}

// lostReportLocked is what the master is told of a worker that has died, and of the
// requests that it ran.
func (w *worker) lostReportLocked(lost []*Job, now time.Time) wire.FromFront {
	report := wire.FromFront{Type: wire.TypeLost, Age: w.age, Served: w.served}
	for _, j := range lost {
		if len(report.Running) == maxReported || j.request.IsWebSocket() { // whose head is not kept
			report.Others++
			continue
		}
		d := j.describeLocked()
		report.Running = append(report.Running, wire.Running{
			Method: d.Method, Path: d.Path, RequestID: d.RequestID, Seconds: now.Sub(j.began).Seconds(),
		})
	}
	return report
}

// begunByLocked lists the requests that a worker which reads the queue has begun and not
// answered, by its claims and by what it has said.
// +checklocks:q.mu
func (q *Queue) begunByLocked(w *worker) []*Job {
	var jobs []*Job
	for _, j := range q.inFlight {
		if j.assigned == nil && j.begunBy() == w {
			jobs = append(jobs, j)
		}
	}
	for i := range w.slots {
		for _, j := range q.reachedLocked(w, i) {
			if j.begunBy() == nil {
				j.freedLocked(w.slots[i])
				jobs = append(jobs, j)
			}
		}
	}
	return jobs
}

// claimedByLocked returns the request that the slot of a worker with an index has claimed last, nil if that
// is over or not its own.
// +checklocks:q.mu
func (q *Queue) claimedByLocked(w *worker, index int) *Job {
	id, token := w.board.Claim(index)
	if j := q.inFlight[id]; j != nil && j.assigned == nil && j.token == token {
		return j
	}
	return nil
}

// reachedLocked returns the requests that are not over of the message that a slot is at: the
// one that it has claimed last, and those before it, whose replies may be in its journal. The
// claimed one may be over while these are not: one that was revoked is claimed before it is
// refused.
//
// +checklocks:q.mu
func (q *Queue) reachedLocked(w *worker, index int) []*Job {
	claimed, token := w.board.Claim(index)
	if q.tokenOfLocked(claimed) != token {
		return nil
	}
	var jobs []*Job
	for id := claimed - maxBatch + 1; id != claimed+1; id++ {
		if j := q.inFlight[id]; j != nil && j.assigned == nil && j.last-claimed < maxBatch {
			jobs = append(jobs, j)
		}
	}
	return jobs
}

// dropRevocationsBehind forgets what was revoked of the message that a dead slot had
// begun: it will refuse nothing any more.
func (g *generation) dropRevocationsBehind(claimed uint32) {
	for id, r := range g.revoked {
		if r.w == nil && r.first <= claimed && claimed < id && id < r.first+maxBatch {
			delete(g.revoked, id)
		}
	}
}

// dropRevocationsOf forgets what was revoked of what a worker has that is dead, or, with nil,
// of what slots had taken that are all dead.
func (g *generation) dropRevocationsOf(w *worker) {
	for id, r := range g.revoked {
		if r.w == w {
			delete(g.revoked, id)
		}
	}
}

// hasHandsLocked reports whether a worker lives that reads the queue of g.
// +checklocks:q.mu
func (q *Queue) hasHandsLocked(g *generation) bool {
	for _, w := range q.workers {
		if w.gen == g && !w.dead && !w.multiplexed.Load() {
			return true
		}
	}
	return false
}

// recoverLocked gives the requests of a generation to other workers that a dead one may
// have taken without a claim.
// +checklocks:q.mu
func (q *Queue) recoverLocked(g *generation) {
	if len(q.unclaimedLocked(g)) == 0 {
		return
	}
	// No worker has taken what can be read again.
	q.requeueLocked(q.readBackLocked(g)...)
	unclaimed := q.unclaimedLocked(g)
	if len(unclaimed) == 0 {
		return
	}
	for _, j := range unclaimed {
		q.forbidLocked(j)
	}
	q.confirmUnclaimedLater(g, unclaimed, idsOf(unclaimed), q.retryLocked)
}

// retryLocked gives requests to other workers that were taken out of the queue and not
// begun, as far as can be told.
// +checklocks:q.mu
func (q *Queue) retryLocked(jobs []*Job) {
	again := make([]*Job, 0, len(jobs))
	for _, j := range jobs {
		if j.retries++; j.retries <= maxRetries {
			again = append(again, j)
			continue
		}
		q.removeLocked(j)
		go j.request.Fail(502)
	}
	q.requeueLocked(again...)
	q.pumpLocked()
}

// confirmUnclaimedLater finds out which revoked requests no slot has claimed, once that is
// certain, and then calls thenLocked for them. ids are those that they had when they were
// revoked.
func (q *Queue) confirmUnclaimedLater(g *generation, jobs []*Job, ids []uint32, thenLocked func(free []*Job)) {
	time.AfterFunc(revocationDelay, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		claimed := q.claimsLocked(g)
		if !q.haveCaughtUpLocked(g) {
			q.confirmUnclaimedLater(g, jobs, ids, thenLocked)
			return
		}
		var free []*Job
		for i, j := range jobs {
			// A slot that has claimed it runs it, or will refuse it.
			if q.inFlight[ids[i]] == j && !j.answered && !j.isBegun(claimed) {
				free = append(free, j)
			}
		}
		thenLocked(free)
	})
}

// haveCaughtUpLocked reports whether every reply that a slot of g gave before its last claim
// is known here. Otherwise a request could look unclaimed because its slot has answered it,
// claimed another since, and the reply is still unread.
// +checklocks:q.mu
func (q *Queue) haveCaughtUpLocked(g *generation) bool {
	for _, w := range q.workers {
		if w.gen != g || w.dead || w.multiplexed.Load() {
			continue
		}
		for i, sl := range w.slots {
			if j := q.claimedByLocked(w, i); j != nil && j.answered {
				continue // so is all that came before that reply
			}
			if !sl.hasCaughtUp() {
				return false
			}
		}
	}
	return true
}

// unclaimedLocked returns the requests that the queue of a generation was given and that no
// live slot has claimed, in their order.
// +checklocks:q.mu
func (q *Queue) unclaimedLocked(g *generation) []*Job {
	var jobs []*Job
	claimed := q.claimsLocked(g)
	for id, j := range q.inFlight {
		if j.gen == g && j.assigned == nil && !j.answered && !claimed[id] {
			jobs = append(jobs, j)
		}
	}
	byStart(jobs)
	return jobs
}

// claimsLocked returns the ids of the requests that the slots of g have claimed and not
// answered, and of others before these in their messages.
// +checklocks:q.mu
func (q *Queue) claimsLocked(g *generation) map[uint32]bool {
	ids := map[uint32]bool{}
	for _, w := range q.workers {
		if w.gen != g || w.dead {
			continue
		}
		for i := range w.slots {
			for _, j := range q.reachedLocked(w, i) {
				ids[j.id] = true
			}
		}
	}
	return ids
}

// readBackLocked reads what no worker has taken out of the queue of a generation, and
// returns the requests, for other workers.
// +checklocks:q.mu
func (q *Queue) readBackLocked(g *generation) []*Job {
	var jobs []*Job
	var in wire.Receiver
	buf := make([]byte, wire.RequestIDOffset+4) // the rest of a message is not needed
	for {
		in.Receive(g.receive.Fd(), buf, unix.MSG_DONTWAIT)
		if in.Err != nil || in.N == 0 {
			return jobs
		}
		if f := in.File(); f != nil {
			f.Close()
		}
		first, count := wire.RequestIDs(buf[:in.N])
		for id := first; id < first+uint32(count); id++ {
			j := q.inFlight[id]
			if j == nil {
				delete(g.revoked, id)
			} else if !j.answered {
				jobs = append(jobs, j)
			}
		}
	}
}

// refused is called when a slot did not run a request because it was revoked. If it was not
// given to another worker yet, it is now.
func (q *Queue) refused(m *wire.Reply, sl *slot) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	j, err := q.lookupLocked(m, sl)
	if err != nil {
		return err
	}
	g, w := sl.w.gen, sl.w
	delete(g.revoked, m.ID)
	delete(g.taken, m.ID)
	if j == nil {
		return nil
	}
	if !j.allows(m.Kind) {
		return errOutOfPlace(m.Kind)
	}
	// A slot that finds the revocation ring full refuses what it has in its hand.
	if !j.revoked {
		if w.unasked++; w.unasked > maxBatch*len(w.slots)*(1+w.revoked/wire.MaxRevoked) {
			return errRefuses
		}
	}
	q.requeueLocked(j)
	q.pumpLocked()
	return nil
}

// retakeLocked gives requests that were taken out of the queue of g, and claimed by no
// worker for too long, to other workers.
// +checklocks:q.mu
func (q *Queue) retakeLocked(g *generation, taken []*Job) {
	byStart(taken)
	for _, j := range taken {
		g.taken[j.first] = true
		q.forbidLocked(j)
	}
	if len(g.taken) > g.slots+g.leaving {
		// Each slot has one message in its hand at most.
		q.giveUpQueueLocked(g, errQueueTaken)
	}
	messages := make([]uint32, len(taken))
	for i, j := range taken {
		messages[i] = j.first
	}
	q.confirmUnclaimedLater(g, taken, idsOf(taken), func(free []*Job) {
		for i, j := range taken {
			if !slices.Contains(free, j) {
				delete(g.taken, messages[i]) // it was claimed in the last moment
			}
		}
		q.retryLocked(free) // +checklocksignore
	})
}
