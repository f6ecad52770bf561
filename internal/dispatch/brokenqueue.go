package dispatch

import (
	"errors"

	"golang.org/x/sys/unix"

	"indrik/internal/wire"
)

// This file is about queues of generations that lose requests. Each worker of a generation
// can read the queue, and close it for all: then requests are gone that no worker runs.
// They are given to other workers, and if that does not help the master makes a generation
// with a queue of its own.

// maxUnclaimed is how many scans in a row may find a request unclaimed that is out of the
// queue. A slot claims it as soon as it has the message, if its process has a processor and,
// with threads, the GIL.
const maxUnclaimed = 2

var (
	errQueueClosed = errors.New("one of its workers has closed the queue")
	errQueueTaken  = errors.New("more requests were taken out of the queue than its workers can hold, and claimed by none")
)

// checkClaimsLocked looks for requests of the queues that no worker has claimed, or that
// were claimed and are not any more. Each scan does so.
// +checklocks:q.mu
func (q *Queue) checkClaimsLocked() {
	claimed := map[*generation]map[uint32]bool{}
	for _, g := range q.gens {
		if g.inFlight > 0 {
			claimed[g] = q.claimsLocked(g)
		}
	}
	missed := map[*generation][]*Job{}
	for id, j := range q.inFlight {
		switch {
		case j.assigned != nil:
		case claimed[j.gen][id]:
			j.unclaimed = 0
		default:
			if j.unclaimed++; j.unclaimed > maxUnclaimed && !j.revoked {
				missed[j.gen] = append(missed[j.gen], j)
			}
		}
	}
	for g, jobs := range missed {
		q.recoverMissedLocked(g, jobs)
	}
}

// recoverMissedLocked gives requests to other workers that were unclaimed for too long.
// +checklocks:q.mu
func (q *Queue) recoverMissedLocked(g *generation, jobs []*Job) {
	var taken []*Job
	unread := g.hasUnread()
	for _, j := range jobs {
		switch w := j.begunBy(); {
		case w == nil && unread:
			// It may wait in the queue for a slot that is free.
		case w == nil:
			taken = append(taken, j)
		case !w.dead && w.hasCaughtUp():
			q.breachLocked(w, errDropped)
		}
	}
	if unread {
		// What can be read is given out again, so the rest was taken.
		q.requeueLocked(q.readBackLocked(g)...)
		for _, j := range jobs {
			if j.stage == handedOver && j.begunBy() == nil {
				taken = append(taken, j)
			}
		}
	}
	if len(taken) > 0 {
		q.retakeLocked(g, taken)
	}
}

// hasUnread reports whether the queue of g holds a message that no worker has read.
func (g *generation) hasUnread() bool { return wire.Poll(g.receive.Fd(), unix.POLLIN) }

// probeQueueLocked finds out whether the queue of g takes messages yet, by one without
// requests.
// +checklocks:q.mu
func (q *Queue) probeQueueLocked(g *generation) {
	if wire.IsClosed(g.send.Send(wire.AppendList(nil, 0), nil)) {
		q.giveUpQueueLocked(g, errQueueClosed)
	}
}

// giveUpQueueLocked gives no more requests to the queue of g. What is in it goes to other
// generations, if need be to the one that the master now makes.
// +checklocks:q.mu
func (q *Queue) giveUpQueueLocked(g *generation, why error) {
	if g.broken {
		return
	}
	g.broken = true
	q.requeueLocked(q.readBackLocked(g)...)
	q.host.Send(wire.FromFront{Type: wire.TypeBroken, Generation: g.number, Reason: why.Error()})
}
