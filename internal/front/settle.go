package front

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// revocationDelay is how long after a revocation the claims are looked at: by
// then every slot that did not see it has its claim in memory.
const revocationDelay = 2 * time.Millisecond

// died is called when nothing more comes from a worker: all that it said has
// been read.
func (q *queue) died(w *worker) {
	q.mu.Lock()
	w.dead = true
	delete(q.workers, w.number)
	q.deactivate(w)
	var lost []*exchange
	for i := range w.slots {
		if ex := q.inFlight[w.board.Claimed(i)]; ex != nil && ex.gen == w.gen {
			q.over(ex)
			lost = append(lost, ex)
		}
	}
	q.settle(w.gen)
	w.gen.workers--
	q.pump()
	q.dropUnused()
	q.mu.Unlock()

	for _, ex := range lost {
		ex.release()
		ex.workerDied()
	}
	for _, sl := range w.slots {
		sl.file.Close()
	}
	w.board.Close()
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
		g.page.Revoke(ex.id)
	}
	ids := make([]uint32, len(suspects))
	for i, ex := range suspects {
		ids[i] = ex.id
	}
	time.AfterFunc(revocationDelay, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		var free []*exchange
		claimed := q.claimed(g)
		for i, ex := range suspects {
			// A slot that has claimed it runs it, or will refuse it.
			if q.inFlight[ids[i]] == ex && !ex.answered && !claimed[ids[i]] {
				free = append(free, ex)
			}
		}
		q.again(free...)
		q.pump()
	})
}

// suspects are the requests that a generation was given and that no live slot
// has claimed, in their order.
func (q *queue) suspects(g *generation) []*exchange {
	var exs []*exchange
	claimed := q.claimed(g)
	for id, ex := range q.inFlight {
		if ex.gen == g && !ex.answered && !claimed[id] {
			exs = append(exs, ex)
		}
	}
	slices.SortFunc(exs, func(a, b *exchange) int { return a.start.Compare(b.start) })
	return exs
}

func (q *queue) claimed(g *generation) map[uint32]bool {
	ids := map[uint32]bool{}
	for _, w := range q.workers {
		if w.gen != g || w.dead {
			continue
		}
		for i := range w.slots {
			ids[w.board.Claimed(i)] = true
		}
	}
	return ids
}

// takeBack reads what no worker has taken out of the queue of a generation. It is
// called with the mutex held; the caller gives the requests to another worker.
func (q *queue) takeBack(g *generation) []*exchange {
	var exs []*exchange
	buf := make([]byte, idOffset+4)
	oob := make([]byte, unix.CmsgSpace(4*4))
	for {
		n, oobn, _, _, err := unix.Recvmsg(int(g.receive.Fd()), buf, oob, recvFlags|unix.MSG_DONTWAIT)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return exs
		}
		sl := slot{oob: oob, oobn: oobn}
		if f := sl.received(); f != nil {
			f.Close()
		}
		if ex := q.inFlight[messageID(buf[:n])]; ex != nil && !ex.answered {
			exs = append(exs, ex)
		}
	}
}

// refused is called when a slot did not run a request because it was revoked.
// If it was not given to another worker yet, it is now.
func (q *queue) refused(id uint32) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if ex := q.inFlight[id]; ex != nil && !ex.answered {
		q.again(ex)
		q.pump()
	}
}

// failClaimed answers the request that a slot runs, which has sent nonsense.
func (q *queue) failClaimed(w *worker, index int) {
	q.mu.Lock()
	ex := q.inFlight[w.board.Claimed(index)]
	if ex != nil {
		q.over(ex)
		q.pump()
	}
	q.mu.Unlock()
	if ex != nil {
		ex.release()
		ex.workerDied()
	}
}
