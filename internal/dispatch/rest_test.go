package dispatch

import (
	"fmt"
	"testing"
	"time"

	"indrik/internal/wire"
	"indrik/internal/wire/wiretest"
)

// setRate has the generations answer so many requests in a millisecond, as far as the queue knows.
func (q *Queue) setRate(n float64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, g := range q.gens {
		g.rate = n
	}
}

// mayRest returns for how long the front may rest.
func (q *Queue) mayRest() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.restLocked()
}

// expectRest checks whether the front may rest.
func (r *rig) expectRest(when string, want bool) {
	r.t.Helper()
	got := r.q.mayRest()
	if got > 0 != want {
		r.t.Errorf("%s the front may rest for %s", when, got)
	}
	if got > maxRest || got > 0 && got < minRest {
		r.t.Errorf("%s it may rest for %s", when, got)
	}
}

// The front rests while each loop works, and has enough left that does not wait.
func TestRestWithLoops(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		one, other := r.worker(g, 1, wire.KindASGI), r.worker(g, 1, wire.KindASGI)
		r.q.setRate(15) // each answers in 133 µs
		var calls []*call
		for i := range 20 {
			calls = append(calls, r.get(g, fmt.Sprintf("/%d", i)))
		}
		r.patience()
		r.expectRest("before the workers have read anything", false)
		one.SetWord(wiretest.WordTurn, 1)
		r.expectRest("while one loop may be idle", false)
		other.SetWord(wiretest.WordTurn, 1)
		r.expectRest("while both work on ten requests each", true)
		r.q.setRate(0)
		r.expectRest("with requests whose time is not known", false)
		r.q.setRate(300) // in 7 µs
		r.expectRest("with requests that end very soon", false)
		r.q.setRate(1.5) // in more than a millisecond
		r.expectRest("where nothing comes in the meantime", false)
		r.q.setRate(15)
		other.SetWord(wiretest.WordTurn, 1+9)
		r.expectRest("while all but one request wait for something", false)
		for _, wrong := range []uint64{1 + 11, 1 << 63, 1<<64 - 1} {
			other.SetWord(wiretest.WordTurn, wrong)
			r.expectRest(fmt.Sprintf("with the word %#x of a hostile worker", wrong), false)
		}
		other.SetWord(wiretest.WordTurn, 1)
		r.expectRest("again", true)
		one.SetWord(wiretest.WordTurn, 0)
		r.expectRest("after the turn of a loop", false)
		one.SetWord(wiretest.WordTurn, 1)
		r.generation(2, nil)
		r.expectRest("with a generation that has no workers", true)
		r.q.Retire(one.age)
		r.q.Retire(other.age)
		r.expectRest("while all workers leave", false)
		for _, w := range []*fakeWorker{one, other} {
			w.SetWord(wiretest.WordTurn, 0)
			for _, e := range w.events() {
				w.WriteClaim(0, e.id)
			}
		}
		for _, c := range calls {
			r.q.CancelByClient(&c.Job)
		}
	})
}

// The front does not rest where workers read a queue.
func TestNoRestWithSlots(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		w, calls, qs := r.batch(g, 8)
		w.Claim(0, qs[0].id)
		w.SetWord(wiretest.WordTurn, 1)
		r.q.setRate(15)
		r.expectRest("while a slot has seven more", false)
		w.Say(0, echoes(qs))
		w.deliver(0)
		for i, c := range calls {
			c.expect(200, fmt.Sprintf("/%d", i))
		}
	})
}

// echoes answers requests in one message.
func echoes(qs []request) (message []byte) {
	for _, q := range qs {
		message = append(message, echo(q)...)
	}
	return message
}

// After a turn in which much came there is no rest.
func TestNoRestAfterBusyTurn(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 1, wire.KindASGI)
		r.q.setRate(15)
		w.SetWord(wiretest.WordTurn, 1)
		r.get(g, "/first") // which goes at once
		for _, c := range []struct {
			events int
			rests  bool
		}{{restEvents, true}, {restEvents + 1, false}} {
			r.q.mu.Lock()
			r.q.pumping, r.q.events = true, 0 // there is no goroutine that would pump
			r.q.mu.Unlock()
			for i := range c.events {
				r.get(g, fmt.Sprintf("/%d", i))
			}
			if rest := r.q.pumpGathered(); rest > 0 != c.rests {
				t.Errorf("after %d events the front rests for %s", c.events, rest)
			}
		}
	})
}
