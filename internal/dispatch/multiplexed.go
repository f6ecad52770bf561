package dispatch

import (
	"errors"
	"time"

	"indrik/internal/wire"
)

// This file is about multiplexed workers: those of ASGI and of greenlets. Each runs many
// requests at once, and gets them one by one instead of reading the queue of its
// generation.

// leaveGrace is how much longer than graceful_timeout a worker may be there that has said
// that it leaves.
const leaveGrace = 5 * time.Second

var errStays = errors.New("it takes no more requests, and does not end")

// A load is how much a multiplexed worker has to do.
type load struct {
	requests int  // in flight
	behind   bool // it has not begun all of them: its loop is busy at this moment
}

// less reports whether a worker with load l is to get a request before one with o.
func (l load) less(o load) bool {
	if l.behind != o.behind {
		return o.behind
	}
	return l.requests < o.requests
}

// leastBusy returns the multiplexed worker that takes the next request, nil if none has
// capacity. Among equals they take turns.
func (g *generation) leastBusy() *worker {
	var best *worker
	var least load
	n := len(g.multiplexed)
	for i := range n {
		w := g.multiplexed[(g.turn+i)%n]
		if !w.hasCapacity() {
			continue
		}
		l := load{w.inFlight, w.inFlight > 0 && w.board.Claimed(0) != w.last}
		if best == nil || l.less(least) {
			best, least = w, l
		}
	}
	return best
}

// hasCapacity reports whether a multiplexed worker may have another request.
func (w *worker) hasCapacity() bool {
	most := w.gen.settings.WorkerConnections
	return (most <= 0 || w.inFlight-w.standing < most) && !w.sendQueue.isFull()
}

// multiplexLocked makes w a worker that gets its requests itself. What an earlier front
// gave it is over.
// +checklocks:q.mu
func (q *Queue) multiplexLocked(w *worker, k wire.Kind) {
	if len(w.slots) > 0 && !w.multiplexed.Load() {
		w.kind = k
		w.loop = loop{ping: w.board.Pinged()}
		w.multiplexed.Store(true)
		w.sendQueue.begin()
		w.sendQueue.send(wire.AppendReset(nil, q.front))
	}
}

// has reports whether a multiplexed worker has begun a request that it was given. A worker
// reads messages in order and ids grow by one, so its last claim says how far it has got.
// Only ids more than half the id space old are ambiguous; the scan has recorded those long
// before.
func (w *worker) has(j *Job) bool {
	if j.claimant == w || j.answered {
		return true
	}
	last := w.board.Claimed(0) // perhaps of another front, which has died
	return last != 0 && last>>wire.IDBits == j.id>>wire.IDBits && isBehind(j.id, last)
}

// givenToLocked lists the requests that a multiplexed worker was given and has not
// answered.
// +checklocks:q.mu
func (q *Queue) givenToLocked(w *worker) (begun, unbegun []*Job) {
	for _, j := range q.inFlight {
		switch {
		case j.assigned != w:
		case w.has(j):
			begun = append(begun, j)
		default:
			unbegun = append(unbegun, j)
		}
	}
	byStart(unbegun)
	return begun, unbegun
}

// removeLocked forgets a request of a multiplexed worker.
func (w *worker) removeLocked(j *Job) {
	w.inFlight--
	if j.standing != 0 {
		w.standing--
		j.standing = 0
	}
}

// leaves is called when a worker has said, in reply to a request, that it begins no more of
// them. One that reads the queue says so of an accepted WebSocket connection.
func (q *Queue) leaves(m *wire.Reply, sl *slot) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	j, err := q.lookupLocked(m, sl)
	if err != nil {
		return err
	}
	if j != nil && j.assigned == nil && j.reply != replyOpen {
		return errOutOfPlace(m.Kind)
	}
	if w := sl.w; w.active {
		// It leaves by a signal that was not the master's. Its requests may take long,
		// but not for ever.
		s := w.gen.settings
		time.AfterFunc(s.GracefulTimeout+s.WebSocketDrainMax+leaveGrace, func() { q.breach(w, errStays) })
	}
	q.deactivateLocked(sl.w)
	if j != nil && !j.answered {
		q.requeueLocked(j)
	}
	q.pumpLocked()
	return nil
}

// recordBegunLocked records which requests multiplexed workers have begun.
// +checklocks:q.mu
func (q *Queue) recordBegunLocked(now time.Time) {
	for _, j := range q.inFlight {
		if j.assigned != nil && j.claimant == nil && j.assigned.has(j) {
			q.beganLocked(j, j.assigned, 0, now)
		}
	}
}
