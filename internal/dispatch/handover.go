package dispatch

import (
	"os"
	"time"

	"indrik/internal/wire"
)

// This file gives requests to the workers, in messages of one request or of several.

// handOverLocked gives requests to w, or, if that is nil, to the queue of g, in one
// message. Several must be such as batchSizeLocked allows.
// +checklocks:q.mu
func (q *Queue) handOverLocked(jobs []*Job, g *generation, w *worker) error {
	first := q.newIDsLocked(len(jobs))
	message, files, err := q.encodeLocked(jobs, g, w, first)
	if err != nil {
		return err
	}
	if w != nil {
		err = w.sendQueue.try(message, files)
	} else {
		err = g.send.Send(message, files)
	}
	if err != nil {
		return err
	}
	last := first + uint32(len(jobs)) - 1
	for _, j := range jobs {
		j.stage, j.gen, j.assigned, j.claimant = handedOver, g, w, nil
		j.deadline = time.Time{}
		j.first, j.last, j.shared = first, last, len(jobs) > 1
		j.slot, j.reply, j.revoked, j.unclaimed, j.hints = nil, replyNone, false, 0, 0
		q.enterTrialLocked(j, g)
		q.inFlight[j.id] = j
	}
	if w != nil {
		w.inFlight += len(jobs)
		w.last = last
		g.turn++
	} else {
		g.inFlight += len(jobs)
		if len(jobs) > 1 {
			g.shared += len(jobs)
		}
		q.probeStallsLaterLocked(g)
	}
	return nil
}

// encodeLocked gives requests ids from first on, and tokens, and returns the message.
// +checklocks:q.mu
func (q *Queue) encodeLocked(jobs []*Job, g *generation, w *worker, first uint32) (message []byte, files []*os.File, err error) {
	if len(jobs) > 1 {
		q.batch = wire.AppendList(q.batch[:0], len(jobs))
	}
	for i, j := range jobs {
		j.id, j.token = first+uint32(i), 0
		if w == nil {
			j.token = q.tokenOfLocked(j.id)
		}
		message, files, err = j.request.EncodeLocked(kindOf(w), g.settings.Arena, j.id, j.token)
		if err != nil {
			return nil, nil, err
		}
		if len(jobs) > 1 {
			q.batch = append(q.batch, message[wire.ListHeader:]...)
		}
	}
	if len(jobs) > 1 {
		return q.batch, nil, nil
	}
	return message, files, nil
}

// newIDsLocked returns the first of n ids in a row.
// +checklocks:q.mu
func (q *Queue) newIDsLocked(n int) uint32 {
	for {
		if q.lastID+uint32(n) > idMask {
			q.lastID = 0
			q.round++
		}
		first := q.idPrefix | (q.lastID + 1)
		q.lastID += uint32(n)
		free := true
		for i := range uint32(n) {
			free = free && q.inFlight[first+i] == nil
		}
		if free {
			return first
		}
	}
}

// isBehind reports whether the request with id a was handed over before the one with id
// b, or is that. Ids begin anew: of two that are more than half of all apart, the larger
// is the older.
func isBehind(a, b uint32) bool {
	const half = 1 << (wire.IDBits - 1)
	return (b-a)&idMask < half
}
