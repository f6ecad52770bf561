package front

import (
	"sync/atomic"
	"time"

	"indrik/internal/wire"
)

// This file is about the requests that wait for their clients. An ASGI worker, or one of
// greenlets, runs worker_connections requests at once; one that the app cannot go on
// with, because its client neither sends nor takes anything, holds no place there.

const (
	// responseRoom is how many bytes of a response a worker may send before it must
	// wait for the client (docs/protocol.md).
	responseRoom = 256 << 10
	// standsAfter is how long a worker must have waited for more of a body for its
	// request to give up its place: most clients only take a moment.
	standsAfter = 20 * time.Millisecond
	// reviewEvery is how often it is looked for such requests, while others wait for a
	// place.
	reviewEvery = 20 * time.Millisecond
)

// A standing is what a request waits for that depends on its client alone.
type standing uint8

const (
	forBody   standing = 1 << iota // the app wants more of the body
	forReader                      // the app cannot send before the client has taken something
	forFrames                      // it is an open WebSocket connection
)

// stand notes whether a request waits for its client. It may be called when the
// request is over.
func (q *queue) stand(ex *exchange, why standing, waits bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.standLocked(ex, why, waits) && len(q.waiting) > 0 {
		q.pumpSoon()
	}
}

// standLocked is stand, and reports whether that has made place.
func (q *queue) standLocked(ex *exchange, why standing, waits bool) bool {
	if ex.place != handedOver || ex.at == nil {
		return false
	}
	stood := ex.standing != 0
	if waits {
		ex.standing |= why
	} else {
		ex.standing &^= why
	}
	stands := ex.standing != 0
	switch {
	case stands && !stood:
		ex.at.standing++
		return true
	case stood && !stands:
		ex.at.standing--
	}
	return false
}

// leaveLocked is called when a worker has nothing to do with a request any more.
func (ex *exchange) leaveLocked() {
	ex.at.inFlight--
	if ex.standing != 0 {
		ex.at.standing--
		ex.standing = 0
	}
}

// reviewLater looks soon for requests that hold a place and wait for their clients: others
// wait for a place. It is called with the mutex held.
func (q *queue) reviewLater() {
	if q.reviewing {
		return
	}
	for _, g := range q.gens {
		if len(g.asgi) > 0 {
			q.reviewing = true
			time.AfterFunc(reviewEvery, q.review)
			return
		}
	}
}

func (q *queue) review() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.reviewing = false
	if len(q.waiting) == 0 {
		return
	}
	t := now()
	for _, ex := range q.inFlight {
		if f := ex.feed; f != nil && ex.at != nil && ex.standing&forBody == 0 && f.reads.waitsSince(t-int64(standsAfter)) {
			q.standLocked(ex, forBody, true)
			f.reads.stands.Store(true)
			if f.reads.since.Load() == 0 {
				q.standLocked(ex, forBody, false) // it has just got something
			}
		}
	}
	q.pump() // which comes back here if that was not enough
}

// A bodyWait is since when somebody waits for more of a body.
type bodyWait struct {
	since  atomic.Int64 // as [now] has it; 0: nobody does
	stands atomic.Bool  // the request has given up its place for that
}

func (b *bodyWait) waitsSince(t int64) bool {
	since := b.since.Load()
	return since != 0 && since <= t
}

// wait is called before a feed reads from its client what the worker wants, got after
// that.
func (f *feed) wait() { f.reads.since.Store(now()) }

func (f *feed) got() {
	f.reads.since.Store(0)
	if f.reads.stands.Swap(false) {
		f.ex.s.queue.stand(f.ex, forBody, false)
	}
}

// owe notes bytes of a response that are on their way to the client, and has them
// granted again once they have gone.
func (ex *exchange) owe(n int64) {
	owed := ex.owed.Add(n)
	if owed >= responseRoom && !ex.full.Swap(true) {
		ex.s.queue.stand(ex, forReader, true)
	}
	if owed >= grantAfter {
		ex.to.whenLow(ex.grant)
	}
}

func (ex *exchange) grant() {
	n := ex.owed.Swap(0)
	if ex.full.Swap(false) {
		ex.s.queue.stand(ex, forReader, false)
	}
	if n > 0 {
		ex.at.post.send(wire.AppendCredit(nil, ex.id, n))
	}
}
