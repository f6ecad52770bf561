package dispatch

import "indrik/internal/wire"

// This file is about messages that hold several requests. They save most of the system
// calls, and of the sleeping and waking of processes, that a request takes with a fast app;
// but one worker runs these requests one after the other. Therefore only requests that
// would wait anyway go together, while all are answered fast. stall.go is what happens when
// one turns out not to be.

const (
	// maxBatch is how many requests go in one message, and maxBatchBytes up to which
	// size of the message there are several.
	maxBatch      = 8
	maxBatchBytes = 64 << 10
)

// kindOf returns the kind of w, or that of the workers that read the queue if w is nil.
func kindOf(w *worker) wire.Kind {
	if w == nil {
		return wire.KindSync
	}
	return w.kind
}

// gathers reports whether a request for w, or if that is nil for the queue of g, should
// wait for those that come with it. It should not while a worker has nothing to do.
func (g *generation) gathers(w *worker) bool {
	if w != nil {
		return w.inFlight > 0
	}
	return g.isFast() && !g.isSlow() && g.inFlight >= g.slots
}

// batchSizeLocked returns how many of the requests that wait go to w, or if that is nil to
// the queue of g, in one message: its share of them.
// +checklocks:q.mu
func (q *Queue) batchSizeLocked(g *generation, w *worker) int {
	most, takers := maxBatch, len(g.multiplexed)
	if w == nil {
		if !g.isFast() || g.isSlow() {
			return 1
		}
		most, takers = min(most, g.capacity()-g.inFlight), g.active
	} else if limit := g.settings.WorkerConnections; limit > 0 {
		most = min(most, limit-w.inFlight)
	}
	most = min(most, (len(q.waiting)+takers-1)/max(takers, 1))
	if most <= 1 {
		return 1
	}
	total := 0
	for i, j := range q.waiting[:most] {
		if i > 0 && q.trial != nil && q.isForTriedLocked(j) != q.isTriedLocked(g) {
			return i
		}
		size := j.request.BatchSizeLocked(kindOf(w))
		total += size
		if size == 0 || total > maxBatchBytes || q.gate.holds(j.check) {
			return max(i, 1)
		}
	}
	return most
}
