package front

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"

	"indrik/internal/wire"
)

// This file is about queues that do not do what they are there for. Each worker of a
// generation can read the queue, and close it for all: then requests are gone that nobody
// runs. They are given to other workers, and if that does not help the master makes a
// generation with a queue of its own.

// missedMost is how many scans in a row must not find a request claimed that is out of the
// queue. A slot claims it as soon as it has the message, if its process has a processor
// and, with threads, the GIL.
const missedMost = 2

var (
	errQueueClosed = errors.New("one of its workers has closed the queue")
	errQueueTaken  = errors.New("more requests were taken out of the queue than its workers can hold, and claimed by none")
)

// missClaims looks for requests of the queues that nobody has claimed, or that were claimed
// and are not any more. It is called by the scan, with the mutex held.
func (q *queue) missClaims() {
	claimed := map[*generation]map[uint32]bool{}
	for _, g := range q.gens {
		if g.inFlight > 0 {
			claimed[g] = q.claimed(g)
		}
	}
	missed := map[*generation][]*exchange{}
	for id, ex := range q.inFlight {
		switch {
		case ex.at != nil:
		case claimed[ex.gen][id]:
			ex.missed = 0
		default:
			if ex.missed++; ex.missed > missedMost && !ex.revoked {
				missed[ex.gen] = append(missed[ex.gen], ex)
			}
		}
	}
	for g, exs := range missed {
		q.giveAnew(g, exs)
	}
}

// giveAnew gives requests to other workers that nobody has claimed for too long.
func (q *queue) giveAnew(g *generation, exs []*exchange) {
	var taken []*exchange
	unread := pending(g)
	for _, ex := range exs {
		switch w := ex.begunBy(); {
		case w == nil && unread:
			// It may wait in the queue for a slot that is free.
		case w == nil:
			taken = append(taken, ex)
		case !w.dead && w.hasCaughtUp():
			q.breachLocked(w, errDropped)
		}
	}
	if unread {
		// What can be read is given out again, so the rest was taken.
		back := q.takeBack(g)
		q.again(back...)
		for _, ex := range exs {
			if ex.place == handedOver && ex.begunBy() == nil {
				taken = append(taken, ex)
			}
		}
	}
	if len(taken) == 0 {
		return
	}
	inOrder(taken)
	for _, ex := range taken {
		g.taken[ex.first] = true
		q.revoke(ex)
	}
	if len(g.taken) > g.slots+g.leaving {
		// Each slot has one message in its hand at most.
		q.abandonQueue(g, errQueueTaken)
	}
	messages := make([]uint32, len(taken))
	for i, ex := range taken {
		messages[i] = ex.first
	}
	q.acquitLater(g, taken, idsOf(taken), func(free []*exchange) {
		for i, ex := range taken {
			if !slices.Contains(free, ex) {
				delete(g.taken, messages[i]) // it was claimed in the last moment
			}
		}
		q.retry(free)
	})
}

// begunBy returns the worker that has begun a request of the queue, nil if none was seen to.
func (ex *exchange) begunBy() *worker {
	if ex.slot != nil {
		return ex.slot.w
	}
	return ex.worker
}

// hasCaughtUp reports whether all that a worker has said was acted on.
func (w *worker) hasCaughtUp() bool {
	for _, sl := range w.slots {
		if !sl.caughtUp() {
			return false
		}
	}
	return true
}

// pending reports whether the queue of g holds a message that nobody has read.
func pending(g *generation) bool {
	fds := []unix.PollFd{{Fd: int32(g.receive.Fd()), Events: unix.POLLIN}}
	_, err := unix.Poll(fds, 0)
	return err == nil && fds[0].Revents&unix.POLLIN != 0
}

// probeQueue finds out whether the queue of g takes messages yet, by one without requests.
func (q *queue) probeQueue(g *generation) {
	switch wire.SendNow(g.sendFD, wire.AppendList(nil, 0), nil) {
	case unix.EPIPE, unix.ECONNRESET, unix.ECONNREFUSED:
		q.abandonQueue(g, errQueueClosed)
	}
}

// abandonQueue gives no more requests to the queue of g. What is in it goes to other
// generations, if need be to the one that the master now makes. It is called with the mutex
// held.
func (q *queue) abandonQueue(g *generation, why error) {
	if g.broken {
		return
	}
	g.broken = true
	q.again(q.takeBack(g)...)
	q.s.send(wire.FromFront{Type: wire.TypeBroken, Generation: g.number, Reason: why.Error()})
}
