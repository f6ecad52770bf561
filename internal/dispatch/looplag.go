package dispatch

import (
	"time"

	"indrik/internal/wire"
)

const (
	// pingEvery is how long after an answer a multiplexed worker is asked again whether
	// its loop turns.
	pingEvery = time.Second
	// muchLag is the least lag that the log mentions.
	muchLag = 100 * time.Millisecond
)

// A loop is what is known of the event loop of a multiplexed worker.
type loop struct {
	ping    uint32    // the number of the last one
	sent    time.Time // when
	asked   bool      // its answer was not seen yet
	blocked bool      // it has not turned for longer than timeout
	given   uint32    // the id of the request given last before the ping
	heard   bool      // the answer was seen by the scan before this one
	lag     time.Duration
}

// lag returns how late the loop of a multiplexed worker was lately, or how long it has not
// turned by now: by what the worker says, and never more than it has let this process wait.
func (w *worker) lag(now time.Time) time.Duration {
	if l := &w.loop; l.asked && w.board.Pinged() != l.ping {
		return max(l.lag, now.Sub(l.sent))
	}
	return w.loop.lag
}

// watchLocked asks a multiplexed worker that runs requests whether its loop turns, and
// returns for how long it has not.
// +checklocks:q.mu
func (q *Queue) watchLocked(w *worker, now time.Time) time.Duration {
	if !w.board.Serves(q.front) {
		// It would read requests, and take none of them for this front's.
		q.breachLocked(w, errBoard)
		return 0
	}
	l := &w.loop
	if l.heard {
		// By now its claims are in memory, too.
		l.heard = false
		if q.hasPassedOverLocked(w) && w.hasCaughtUp() {
			q.breachLocked(w, errPassed)
			return 0
		}
	}
	if l.asked {
		if w.board.Pinged() != l.ping {
			return now.Sub(l.sent)
		}
		l.asked, l.heard = false, true
		lag, _ := w.board.Lag()
		if l.lag = min(lag, now.Sub(l.sent)); l.lag >= muchLag {
			q.host.Debugf("The event loop of worker (pid:%d) was %s late", w.pid, l.lag)
		}
	}
	if w.inFlight > 0 && !l.heard && now.Sub(l.sent) >= pingEvery {
		l.ping, l.sent, l.asked, l.given = l.ping+1, now, true, w.last
		w.sendQueue.send(wire.AppendPing(nil, l.ping, now))
	}
	return 0
}

// hasPassedOverLocked reports whether w has read a request without a claim. It reads its
// messages in order, so that its answer to a ping says that it has read what it was given
// before; and it claims each request before it looks whether it may begin it.
// +checklocks:q.mu
func (q *Queue) hasPassedOverLocked(w *worker) bool {
	_, unbegun := q.givenToLocked(w)
	for _, j := range unbegun {
		if isBehind(j.id, w.loop.given) {
			return true
		}
	}
	return false
}

// blockedLocked is called when the loop of a multiplexed worker has not turned for longer
// than timeout, and takes its requests away: those that it has begun time out, the others go
// to another worker.
// +checklocks:q.mu
func (q *Queue) blockedLocked(w *worker, d time.Duration, now time.Time) []expired {
	w.loop.blocked = true
	q.deactivateLocked(w)
	begun, _ := q.givenToLocked(w)
	ended := q.expireLocked(w, begun, 0, now)
	w.board.Stop()
	// By then its claims of requests that it began before it saw that are in memory.
	time.AfterFunc(revocationDelay, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		_, unbegun := q.givenToLocked(w)
		q.requeueLocked(unbegun...)
		q.pumpLocked()
	})
	return append(ended, expired{report: wire.FromFront{
		Type: wire.TypeTimeout, Age: w.age, Seconds: d.Seconds(), Blocked: len(begun),
	}})
}
