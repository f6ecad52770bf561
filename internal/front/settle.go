package front

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"indrik/internal/wire"
)

// revocationDelay is how long after a revocation the claims are looked at: by
// then every slot that did not see it has its claim in memory.
const revocationDelay = 2 * time.Millisecond

// died is called when nothing more comes from a worker: all that it said has
// been read.
func (q *queue) died(w *worker) {
	q.mu.Lock()
	if !q.clearShelves(w) {
		q.mu.Unlock()
		return // more slots came since its last one ended
	}
	w.dead = true
	delete(q.workers, w.number)
	q.deactivate(w)
	var lost []*exchange
	if w.asgi.Load() {
		w.post.close()
		begun, unbegun := q.givenTo(w)
		for _, ex := range begun {
			q.over(ex)
		}
		lost = begun
		q.again(unbegun...)
	} else {
		for i := range w.slots {
			if id, token := w.board.Claim(i); q.tokenOf(id) == token {
				w.gen.forgetBehind(id)
			}
		}
		lost = q.held(w)
		for _, ex := range lost {
			q.over(ex)
		}
		clear(w.gen.taken) // it may have been the one that took them
		if !w.exited && !w.gen.broken {
			q.probeQueue(w.gen)
		}
		q.settle(w.gen)
		if w.leaving {
			w.gen.leaving -= len(w.slots)
		}
	}
	w.gen.workers--
	report := w.lostReport(lost, time.Now())
	q.pump()
	q.dropUnused()
	q.mu.Unlock()

	q.s.send(report)
	for _, ex := range lost {
		ex.release()
		ex.workerDied()
	}
	for _, sl := range w.slots {
		sl.file.Close()
	}
	w.board.Close()
}

// mostLost is how many of the requests that died with a worker the master is told.
const mostLost = 3

// lostReport is what the master is told of a worker that has died, and of the requests
// that it ran. It is called with the mutex held.
func (w *worker) lostReport(lost []*exchange, now time.Time) wire.FromFront {
	report := wire.FromFront{Type: wire.TypeLost, Age: w.number, Served: w.served}
	for _, ex := range lost {
		if len(report.Running) == mostLost || ex.socket != nil { // of which the head is not kept
			report.Others++
			continue
		}
		since := ex.claimedAt
		if since.IsZero() {
			since = ex.start // it was not seen to begin
		}
		method, path := ex.describeLocked()
		report.Running = append(report.Running, wire.Running{Method: method, Path: path, Seconds: now.Sub(since).Seconds()})
	}
	return report
}

// held lists the requests that a worker which reads the queue has begun and not answered, by
// its claims and by what it has said. It is called with the mutex held.
func (q *queue) held(w *worker) []*exchange {
	var exs []*exchange
	for _, ex := range q.inFlight {
		if ex.at == nil && ex.begunBy() == w {
			exs = append(exs, ex)
		}
	}
	for i := range w.slots {
		ex := q.claimedBy(w, i)
		if ex == nil {
			continue
		}
		// It has begun those before that one in its message, too.
		for id := ex.first; id <= ex.id; id++ {
			if before := q.inFlight[id]; before != nil && before.first == ex.first && before.begunBy() == nil {
				exs = append(exs, before)
			}
		}
	}
	return exs
}

// claimedBy returns the request that a slot of a worker has claimed last, nil if that is over
// or not its own. It is called with the mutex held.
func (q *queue) claimedBy(w *worker, slot int) *exchange {
	id, token := w.board.Claim(slot)
	if ex := q.inFlight[id]; ex != nil && ex.at == nil && ex.token == token {
		return ex
	}
	return nil
}

// clearShelves acts on the answers that a worker which has died did not send; false
// if it has not, or another call does so. It is called with the mutex held, which
// it gives up meanwhile.
func (q *queue) clearShelves(w *worker) bool {
	if w.dead || w.dying || w.reading.Load() > 0 {
		return false
	}
	w.dying = true
	for i := 0; i < len(w.slots) && !w.broken.Load(); i++ {
		sl := w.slots[i]
		q.mu.Unlock()
		sl.takeFromShelf(w.board.AppendJournal(nil, i))
		q.mu.Lock()
	}
	w.dying = false
	return w.reading.Load() == 0
}

// forgetBehind forgets what was withdrawn of the message that a dead slot had begun:
// it will refuse nothing any more.
func (g *generation) forgetBehind(claimed uint32) {
	for id, first := range g.revoked {
		if first <= claimed && claimed < id && id < first+parcelMost {
			delete(g.revoked, id)
		}
	}
}

// settle finds out which requests of a generation a dead worker may have taken
// without a claim. It is called with the mutex held.
func (q *queue) settle(g *generation) {
	if len(q.suspects(g)) == 0 {
		return
	}
	// What can be read again has certainly not been taken.
	q.again(q.takeBack(g)...)
	suspects := q.suspects(g)
	if len(suspects) == 0 {
		return
	}
	for _, ex := range suspects {
		q.revoke(ex)
	}
	q.acquitLater(g, suspects, idsOf(suspects), q.retry)
}

// retriesMost is how often a request is given to another worker that was taken out of the
// queue and not claimed. A worker can hide its claim: then the request may be what ends it.
const retriesMost = 2

// retry gives requests to other workers that were taken out of the queue and not begun, as
// far as can be told. It is called with the mutex held.
func (q *queue) retry(exs []*exchange) {
	again := make([]*exchange, 0, len(exs))
	for _, ex := range exs {
		if ex.retries++; ex.retries <= retriesMost {
			again = append(again, ex)
			continue
		}
		q.over(ex)
		go func() {
			ex.release()
			ex.workerDied()
		}()
	}
	q.again(again...)
	q.pump()
}

func idsOf(exs []*exchange) []uint32 {
	ids := make([]uint32, len(exs))
	for i, ex := range exs {
		ids[i] = ex.id
	}
	return ids
}

// acquitLater finds out which revoked requests no slot has claimed, once it is
// certain, and has then called for them with the mutex held.
func (q *queue) acquitLater(g *generation, suspects []*exchange, ids []uint32, then func(free []*exchange)) {
	time.AfterFunc(revocationDelay, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		claimed := q.claimed(g)
		if !q.caughtUp(g) {
			q.acquitLater(g, suspects, ids, then)
			return
		}
		var free []*exchange
		for i, ex := range suspects {
			// A slot that has claimed it runs it, or will refuse it.
			if q.inFlight[ids[i]] == ex && !ex.answered && !ex.isBegun(claimed) {
				free = append(free, ex)
			}
		}
		then(free)
	})
}

// caughtUp tells whether every answer that a slot of g gave before its last
// claim is known here. Otherwise a request could look unclaimed because its
// slot has answered it, claimed another since, and the answer is still unread.
func (q *queue) caughtUp(g *generation) bool {
	for _, w := range q.workers {
		if w.gen != g || w.dead || w.asgi.Load() {
			continue
		}
		for i, sl := range w.slots {
			if ex := q.claimedBy(w, i); ex != nil && ex.answered {
				continue // so is all that came before that answer
			}
			if !sl.caughtUp() {
				return false
			}
		}
	}
	return true
}

// suspects are the requests that a generation was given and that no live slot
// has claimed, in their order.
func (q *queue) suspects(g *generation) []*exchange {
	var exs []*exchange
	claimed := q.claimed(g)
	for id, ex := range q.inFlight {
		if ex.gen == g && ex.at == nil && !ex.answered && !claimed[id] {
			exs = append(exs, ex)
		}
	}
	inOrder(exs)
	return exs
}

func inOrder(exs []*exchange) {
	slices.SortFunc(exs, func(a, b *exchange) int { return a.start.Compare(b.start) })
}

// claimed are the requests that the slots of g have claimed and not answered, and others
// before these in their messages.
func (q *queue) claimed(g *generation) map[uint32]bool {
	ids := map[uint32]bool{}
	for _, w := range q.workers {
		if w.gen != g || w.dead {
			continue
		}
		for i := range w.slots {
			if ex := q.claimedBy(w, i); ex != nil {
				// Answers to those before it in its message come before its own.
				for id := ex.first; id <= ex.id; id++ {
					ids[id] = true
				}
			}
		}
	}
	return ids
}

// takeBack reads what no worker has taken out of the queue of a generation. It is
// called with the mutex held; the caller gives the requests to another worker.
func (q *queue) takeBack(g *generation) []*exchange {
	var exs []*exchange
	var in wire.Receiver
	buf := make([]byte, idOffset+4) // the rest of a message is not needed
	for {
		in.Receive(g.receive.Fd(), buf, unix.MSG_DONTWAIT)
		if in.Err != nil || in.N == 0 {
			return exs
		}
		if f := in.File(); f != nil {
			f.Close()
		}
		first, count := messageIDs(buf[:in.N])
		for id := first; id < first+uint32(count); id++ {
			ex := q.inFlight[id]
			if ex == nil {
				delete(g.revoked, id) // withdrawn
			} else if !ex.answered {
				exs = append(exs, ex)
			}
		}
	}
}

// refused is called when a slot did not run a request because it was revoked.
// If it was not given to another worker yet, it is now.
func (q *queue) refused(m *wire.Reply, sl *slot) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	ex, err := q.given(m, sl)
	if err != nil {
		return err
	}
	g, w := sl.w.gen, sl.w
	delete(g.revoked, m.ID)
	delete(g.taken, m.ID)
	if ex == nil {
		return nil
	}
	if !ex.allows(m.Kind) {
		return errOutOfPlace(m.Kind)
	}
	// A slot that finds the list of revocations full refuses what it has in its hand.
	if !ex.revoked {
		if w.unasked++; w.unasked > parcelMost*len(w.slots)*(1+w.revoked/wire.MaxRevoked) {
			return errRefuses
		}
	}
	q.again(ex)
	q.pump()
	return nil
}
