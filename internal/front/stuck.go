package front

import "time"

const (
	// lookEvery is how often the slots of a fast app are looked at: one that is at
	// the same request for two looks in a row is stuck.
	lookEvery = 5 * time.Millisecond
	// A request is slow when slowAfter looks have found its slot stuck, and an app when
	// slowMost are, none longer than slowFor after the one before: then requests go
	// one by one until slowFor after the last. Where processors are scarce a process
	// waits for one for some milliseconds, and a request that is slow now and then
	// delays few.
	slowAfter = 4
	slowMost  = 3
	slowFor   = 500 * time.Millisecond
)

// A look is what was seen of a slot, for the next one to compare. It belongs to
// the queue's mutex.
type look struct {
	claimed uint32
	stuck   int    // looks that found it stuck
	shelf   []byte // what was there when the first did
}

// A find is what was on the shelf of a slot that is stuck.
type find struct {
	sl    *slot
	shelf []byte
}

// isWatched tells whether the slots of g are to be looked at.
func (g *generation) isWatched() bool { return g.shared > 0 || g.inFlight > 0 && g.isFast() }

// lookLater has the slots of g looked at in a while, if need be. It is called with
// the mutex held.
func (q *queue) lookLater(g *generation) {
	if !q.looking && g.isWatched() {
		q.looking = true
		time.AfterFunc(lookEvery, q.look)
	}
}

// look finds slots that have been at one request for a while. Requests that came
// in the same message and wait behind it go to other slots, and answers to those
// before it, which the slot has not sent yet, are taken from its shelf.
func (q *queue) look() {
	now := time.Now()
	var finds []find
	q.mu.Lock()
	q.looking = false
	for _, g := range q.gens {
		if g.isWatched() {
			finds = q.lookAt(g, now, finds)
			q.lookLater(g)
		}
		if now.Sub(g.slowAt) > slowFor {
			g.slow = 0
		}
	}
	q.mu.Unlock()
	for _, f := range finds {
		f.sl.takeFromShelf(f.shelf)
	}
}

func (q *queue) lookAt(g *generation, now time.Time, finds []find) []find {
	for _, w := range q.workers {
		if w.gen != g || w.dead || w.asgi.Load() {
			continue
		}
		for i, sl := range w.slots {
			var claimed uint32
			ex := q.claimedBy(w, i)
			if ex != nil {
				claimed = ex.id
			}
			if claimed != sl.look.claimed {
				sl.look = look{claimed: claimed, shelf: sl.look.shelf[:0]}
				continue
			}
			if ex == nil {
				continue // it has nothing to do
			}
			sl.look.stuck++
			switch {
			case sl.look.stuck == 1:
				sl.look.shelf = w.board.AppendJournal(sl.look.shelf[:0], i)
				q.relieve(g, ex)
			case len(sl.look.shelf) > 0:
				// All of it was there by then: a processor does not hold back
				// a store for that long.
				finds = append(finds, find{sl, sl.look.shelf})
				sl.look.shelf = nil
			}
			if sl.look.stuck >= slowAfter {
				g.noteSlow(now, sl.look.stuck == slowAfter)
			}
		}
	}
	return finds
}

// noteSlow notes that a request is slow; first: it was not yet.
func (g *generation) noteSlow(now time.Time, first bool) {
	g.slowAt = now
	if first {
		g.slow++
	}
}

// isSlow tells whether there are so many slow requests that others are not to wait
// behind them even for a moment.
func (g *generation) isSlow() bool { return g.slow >= slowMost }

// relieve gives the requests behind one in its message to other slots. It is
// called with the mutex held.
func (q *queue) relieve(g *generation, stuck *exchange) {
	var behind []*exchange
	for id := stuck.id + 1; id < stuck.first+parcelMost; id++ {
		if ex := q.inFlight[id]; ex != nil && ex.gen == g && ex.first == stuck.first {
			behind = append(behind, ex)
		}
	}
	if len(behind) > 0 {
		q.withdraw(g, behind, func(free []*exchange) {
			q.again(free...)
			q.pump()
		})
	}
}
