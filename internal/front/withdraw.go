package front

import (
	"slices"
	"time"

	"indrik/internal/wire"
)

// probeAfter is how long after the end of what a client sends its request must
// have gone without an answer, to be worth asking whether the client is still
// there: a request that waits for a worker need not be run, and the app may stop.
const probeAfter = 500 * time.Millisecond

// abandon is called when the client has gone. What no worker runs is dropped, what
// one runs is told.
func (q *queue) abandon(ex *exchange) {
	q.mu.Lock()
	switch {
	case ex.place == nowhere || ex.gone: // in this order: of one that is nowhere nothing may be read
		q.mu.Unlock()
		return // the response goes nowhere
	case ex.place == waiting:
		q.unqueue(ex)
		ex.place = nowhere
		ex.release()
	default:
		if ex.at != nil {
			ex.dismiss()
		} else {
			q.dismiss(ex)
		}
		q.withdraw(ex.gen, []*exchange{ex}, func(free []*exchange) {
			for _, ex := range free {
				q.over(ex)
				ex.release()
			}
			q.pump()
		})
	}
	method, path := ex.describeLocked()
	ex.gone, ex.left = true, departed{method, path}
	q.mu.Unlock()
	q.s.log.Debugf("The client of %s %s has gone", method, path)
	ex.to.kill()
}

// unqueue takes a request out of those that wait. It is called with the mutex held.
func (q *queue) unqueue(ex *exchange) {
	if i := slices.Index(q.waiting, ex); i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	}
}

// dismiss tells the slot that runs a request that its client has gone. It is
// called with the mutex held.
func (q *queue) dismiss(ex *exchange) {
	for _, w := range q.workers {
		if w.gen != ex.gen || w.dead {
			continue
		}
		for i := range w.slots {
			if q.claimedBy(w, i) == ex {
				w.board.NotifyGone(i, ex.id)
			}
		}
	}
}

// withdraw takes requests back that wait in the kernel. free gets those that no
// slot had claimed, and no slot will, a moment later and with the mutex held;
// what was claimed goes on. It is called with the mutex held.
func (q *queue) withdraw(g *generation, exs []*exchange, free func([]*exchange)) {
	claimed := q.claimed(g)
	var mine []*exchange
	for _, ex := range exs {
		// A revocation must stay on the list until the slot has seen it.
		if ex.answered || ex.isBegun(claimed) || len(g.revoked) >= wire.MaxRevoked {
			continue
		}
		q.revoke(ex)
		g.revoked[ex.id] = ex.first
		mine = append(mine, ex)
	}
	if len(mine) == 0 {
		return
	}
	ids := idsOf(mine)
	q.acquitLater(g, mine, ids, func(acquitted []*exchange) {
		for i, ex := range mine {
			if !slices.Contains(acquitted, ex) {
				delete(g.revoked, ids[i]) // no slot will refuse it
			}
		}
		free(acquitted)
	})
}

// revoke forbids the workers that may have taken a request to run it, unless they have
// claimed it already. It is called with the mutex held.
func (q *queue) revoke(ex *exchange) {
	ex.revoked = true
	if ex.at != nil {
		if !ex.at.dead {
			ex.at.revoke(ex.id)
		}
		return
	}
	for _, w := range q.workers {
		if w.gen == ex.gen && !w.dead {
			w.revoke(ex.id)
		}
	}
}

func (w *worker) revoke(id uint32) {
	w.board.Revoke(id)
	w.revoked++
}

// dropLate answers what has waited for a worker for too long. It is called with
// the mutex held.
func (q *queue) dropLate(now time.Time) {
	late := func(ex *exchange) bool {
		t := ex.cfg.queueTimeout
		return t > 0 && now.Sub(ex.queued) >= t
	}
	n := 0
	for n < len(q.waiting) && late(q.waiting[n]) {
		n++
	}
	if n > 0 {
		q.refuse(slices.Clone(q.waiting[:n]))
		q.waiting = slices.Delete(q.waiting, 0, n)
	}
	for _, g := range q.gens {
		var exs []*exchange
		for _, ex := range q.inFlight {
			if ex.gen == g && ex.worker == nil && !ex.answered && !ex.gone && late(ex) {
				exs = append(exs, ex)
			}
		}
		if len(exs) > 0 {
			q.withdraw(g, exs, func(free []*exchange) {
				q.refuse(free)
				q.pump()
			})
		}
	}
}

// refuse answers requests that no worker will get. It is called with the mutex
// held.
func (q *queue) refuse(exs []*exchange) {
	for _, ex := range exs {
		q.over(ex)
		q.s.overload.late(len(q.waiting), time.Since(ex.queued))
		go func() {
			ex.release()
			ex.failWith(503)
		}()
	}
}

// probeLater finds out whether a client is there that sends no more: one that has
// closed its side only waits for its response, one that has closed all looks the
// same (RFC 9293 section 3.6) until something is sent to it. An interim response,
// which every client of HTTP/1.1 must be able to ignore (RFC 9110 section 15.2),
// draws a reset from the second.
func (q *queue) probeLater(ex *exchange, c *conn) {
	if !ex.req.AtLeast11() {
		return
	}
	time.AfterFunc(probeAfter, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		unanswered := ex.place == waiting || ex.place == handedOver && !ex.answered
		if unanswered && !ex.gone {
			c.out.Write(continueLine)
		}
	})
}
