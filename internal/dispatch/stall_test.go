package dispatch

import (
	"fmt"
	"testing"
	"time"

	"indrik/internal/wire"
	"indrik/internal/wire/wiretest"
)

// A worker that stays at one request holds up neither the replies to those before it nor the
// requests behind it.
func TestStalledSlot(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		stalled, other, calls, qs := r.shared(g)
		stalled.Claim(0, qs[0].id)
		stalled.SetJournal(0, echo(qs[0]))
		stalled.Claim(0, qs[1].id)
		calls[0].expect(200, "/0")
		answered := map[string]bool{}
		for range 6 {
			q := other.take(0)
			other.Say(0, echo(q))
			other.deliver(0)
			answered[q.path] = true
		}
		for i := 2; i < 8; i++ {
			if path := fmt.Sprintf("/%d", i); !answered[path] {
				t.Errorf("%s did not go to the other worker", path)
			}
			calls[i].expect(200, fmt.Sprintf("/%d", i))
		}

		eventually(t, "the request counts as slow", func() bool {
			r.q.hurry()
			r.q.mu.Lock()
			defer r.q.mu.Unlock()
			return r.q.gens[0].slow == 1
		})

		// When there were some of these, requests go one by one.
		more := r.gathered(stalled.g, 2)
		r.q.mu.Lock()
		r.q.gens[0].slow = slowRequests
		r.q.mu.Unlock()
		r.letGo()
		for i, c := range more {
			q := other.message(1)[0]
			other.Claim(0, q.id)
			other.Say(0, echo(q))
			other.deliver(0)
			c.expect(200, fmt.Sprintf("/%d", i))
		}

		// What it sends at last has been answered, except for its own.
		stalled.Say(0, append(echo(qs[0]), echo(qs[1])...))
		stalled.SetJournal(0, nil)
		stalled.deliver(0)
		calls[1].expect(200, "/1")
		for _, q := range qs[2:] {
			if stalled.Claim(0, q.id) {
				t.Errorf("request %d may be run by two", q.id)
			}
			stalled.Say(0, wiretest.Refused(q.id))
			stalled.deliver(0)
		}
		eventually(t, "the app counts as fast again", func() bool {
			r.q.hurry()
			c := r.get(stalled.g, "/again")
			q := other.take(0)
			other.Say(0, echo(q))
			other.deliver(0)
			c.expect(200, "/again")
			r.q.mu.Lock()
			defer r.q.mu.Unlock()
			return !r.q.gens[0].isSlow()
		})
	})
}

// A slot that is stalled at a request which is over, since it was taken back, holds no reply to
// one before it.
func TestStalledAtARequestThatIsOver(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		w, calls, qs := r.batch(g, 3)
		r.q.CancelByClient(&calls[1].Job)
		w.Claim(0, qs[0].id)
		time.Sleep(2 * revocationDelay)
		w.SetJournal(0, echo(qs[0]))
		if w.Claim(0, qs[1].id) {
			t.Error("a request may be run whose client has left")
		}
		other := r.worker(g, 1, wire.KindSync)
		time.Sleep(6 * probeStallsEvery) // it does not come to refuse it
		calls[0].expect(200, "/0")
		q := other.take(0)
		if q.path != "/2" {
			t.Errorf("%s is given to another worker", q.path)
		}
		other.Say(0, echo(q))
		other.deliver(0)
		calls[2].expect(200, "/2")
		// What it says at last is late.
		w.Say(0, append(echo(qs[0]), wiretest.Refused(qs[1].id)...))
		w.SetJournal(0, nil)
		w.deliver(0)
		if w.Claim(0, qs[2].id) {
			t.Error("a request is run twice")
		}
		w.Say(0, wiretest.Refused(qs[2].id))
		w.deliver(0)
		r.expectHonest()
	})
}
