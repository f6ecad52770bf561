package front

import (
	"time"

	"indrik/internal/wire"
)

const (
	// pingAfter is how long after an answer an ASGI worker is asked again whether
	// its loop turns.
	pingAfter = time.Second
	// muchLag is from when on the log speaks of it.
	muchLag = 100 * time.Millisecond
)

// A loop is what is known of the event loop of an ASGI worker.
type loop struct {
	ping    uint32    // the number of the last one
	sent    time.Time // when
	asked   bool      // its answer was not seen yet
	blocked bool      // it has not turned for longer than timeout
	given   uint32    // the id of the request given last before the ping
	heard   bool      // the answer was seen by the scan before this one
}

// watch asks an ASGI worker that runs requests whether its loop turns, and returns
// for how long it has not. It is called with the mutex held.
func (q *queue) watch(w *worker, now time.Time) time.Duration {
	if !w.board.Serves(q.number) {
		// It would read requests, and take none of them for this front's.
		q.breachLocked(w, errBoard)
		return 0
	}
	l := &w.loop
	if l.heard {
		// By now its claims are in memory, too.
		l.heard = false
		if q.passedOver(w) && w.hasCaughtUp() {
			q.breachLocked(w, errPassed)
			return 0
		}
	}
	if l.asked {
		if w.board.Pinged() != l.ping {
			return now.Sub(l.sent)
		}
		l.asked, l.heard = false, true
		if lag, _ := w.board.Lag(); lag >= muchLag {
			q.s.log.Debugf("The event loop of worker (pid:%d) was %s late", w.pid, lag)
		}
	}
	if w.inFlight > 0 && now.Sub(l.sent) >= pingAfter {
		l.ping, l.sent, l.asked, l.given = l.ping+1, now, true, w.last
		w.post.send(wire.AppendPing(nil, l.ping, now))
	}
	return 0
}

// passedOver reports whether w has read a request without a claim. It reads its messages in
// order, so that its answer to a ping says that it has read what it was given before; and it
// claims each request before it looks whether it may begin it. It is called with the mutex
// held.
func (q *queue) passedOver(w *worker) bool {
	const half = 1 << (idBits - 1)
	_, unbegun := q.givenTo(w)
	for _, ex := range unbegun {
		if (w.loop.given-ex.id)&(1<<idBits-1) < half {
			return true
		}
	}
	return false
}

// blocked is called when the loop of an ASGI worker has not turned for longer than
// timeout, and takes its requests away: what it has begun is answered, what it
// has not goes to another. It is called with the mutex held.
func (q *queue) blocked(w *worker, d time.Duration, now time.Time) []late {
	w.loop.blocked = true
	q.deactivate(w)
	begun, _ := q.givenTo(w)
	lates := q.expireOf(w, begun, 0, now)
	w.board.Stop()
	// By then it has in memory what it began before it saw that.
	time.AfterFunc(revocationDelay, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		_, unbegun := q.givenTo(w)
		q.again(unbegun...)
		q.pump()
	})
	return append(lates, late{report: wire.FromFront{
		Type: wire.TypeTimeout, Age: w.number, Seconds: d.Seconds(), Blocked: len(begun),
	}})
}

// noteBegun notes which requests ASGI workers have begun. It is called with the
// mutex held.
func (q *queue) noteBegun(now time.Time) {
	for _, ex := range q.inFlight {
		if ex.at != nil && ex.worker == nil && ex.at.has(ex) {
			q.began(ex, ex.at, 0, now)
		}
	}
}
