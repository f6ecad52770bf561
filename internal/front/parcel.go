package front

// This file is about messages that hold several requests. They save most of the
// system calls, and of the sleeping and waking of processes, that a request takes
// with a fast app; but they are run one after the other by one worker, and so
// only requests that would wait anyway go together, while all are answered fast.
// stuck.go is what happens when one turns out not to be.

const (
	// parcelMost is how many requests go in one message, at most, and parcelBytes
	// up to which size of the message there are several.
	parcelMost  = 8
	parcelBytes = 64 << 10
)

// formFor is the form of the messages to w, or of the queue if that is nil.
func formFor(w *worker) form {
	if w == nil {
		return forQueue
	}
	return w.form
}

// isFast tells whether each worker of g answers more than one request in a
// millisecond, as most apps have the GIL, and each slot more than one in two: many
// threads that wait answer as many together.
func (g *generation) isFast() bool { return g.quick > max(g.slots, prefetch*g.active) }

// gathers tells whether a request for w, or if that is nil for the queue of g,
// should wait for those that come with it. Not if somebody has nothing to do.
func (g *generation) gathers(w *worker) bool {
	if w != nil {
		return w.inFlight > 0
	}
	return g.isFast() && !g.isSlow() && g.inFlight >= g.slots
}

// together is how many of those that wait go to w, or if that is nil to the queue
// of g, in one message: its share of them. It is called with the mutex held.
func (q *queue) together(g *generation, w *worker) int {
	most, takers := parcelMost, len(g.asgi)
	if w == nil {
		if !g.isFast() || g.isSlow() {
			return 1
		}
		most, takers = min(most, g.room()-g.inFlight), g.active
	} else if limit := g.cfg.WorkerConnections; limit > 0 {
		most = min(most, limit-w.inFlight)
	}
	most = min(most, (len(q.waiting)+takers-1)/max(takers, 1))
	size := 0
	for i, ex := range q.waiting[:max(most, 1)] {
		size += len(ex.message)
		if ex.form != formFor(w) || len(ex.files) > 0 || ex.body.inStore() || size > parcelBytes || q.lookout.holds(ex.look) {
			return max(i, 1)
		}
	}
	return max(most, 1)
}
