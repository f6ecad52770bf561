package dispatch

import (
	"testing"
	"time"

	"indrik/internal/wire"
	"indrik/internal/wire/wiretest"
)

// expectTimes checks for how long a request has waited and run.
func (c *call) expectTimes(waited, ran time.Duration) {
	c.t.Helper()
	const exact = time.Microsecond
	if (c.Waited()-waited).Abs() > exact || (c.Ran()-ran).Abs() > exact {
		c.t.Errorf("%s has waited %s and run %s, want %s and %s", c.path, c.Waited(), c.Ran(), waited, ran)
	}
}

// A request begins when its slot has answered the one before, although it was handed over
// before that.
func TestTimesOfRequestsInARow(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 1, wire.KindSync)
		first, second, third := r.get(g, "/1"), r.get(g, "/2"), r.get(g, "/3")
		for _, c := range []*call{first, second, third} {
			if c.Waited() != 0 || c.Ran() != 0 {
				t.Error("something is known before a worker has said it")
			}
			q := w.take(0)
			time.Sleep(time.Second)
			w.Say(0, echo(q))
			w.deliver(0)
		}
		first.expectTimes(0, time.Second)
		second.expectTimes(time.Second, time.Second)
		third.expectTimes(2*time.Second, time.Second)
		time.Sleep(time.Minute) // the slot has nothing to do
		fourth := r.get(g, "/4")
		q := w.take(0)
		time.Sleep(time.Millisecond)
		w.Say(0, echo(q))
		w.deliver(0)
		fourth.expectTimes(0, time.Millisecond)
	})
}

// While a response is sent, it has run up to what the worker has said last.
func TestTimesOfAResponseInParts(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 1, wire.KindSync)
		c := r.get(g, "/")
		q := w.take(0)
		for i, message := range [][]byte{
			wiretest.Start(q.id, "200 OK", nil, "begin"), wiretest.Chunk(q.id, "more"), wiretest.End(q.id),
		} {
			time.Sleep(time.Second)
			w.Say(0, message)
			w.deliver(0)
			c.expectTimes(0, time.Duration(i+1)*time.Second)
		}
	})
}

// What was run one after the other and answered in one message shares the time.
func TestTimesOfABatch(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		w, calls, qs := r.batch(g, 4)
		time.Sleep(4 * time.Millisecond)
		w.answer(qs)
		for i, c := range calls {
			c.expectTimes(time.Duration(i)*time.Millisecond, time.Millisecond)
		}
	})
}

// What a slot has answered twice, by its journal and by a message, counts once.
func TestTimesOfAStalledBatch(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		w, calls, qs := r.batch(g, 2)
		w.Claim(0, qs[0].id)
		w.SetJournal(0, echo(qs[0]))
		w.Claim(0, qs[1].id)
		time.Sleep(time.Second)
		w.Say(0, append(echo(qs[0]), echo(qs[1])...))
		w.deliver(0)
		if got := calls[0].Ran(); got <= 0 || got > 4*probeStallsEvery {
			t.Errorf("the fast one has run %s", got)
		}
		calls[1].expectTimes(calls[0].Ran(), time.Second-calls[0].Ran())
	})
}

// Multiplexed workers run requests beside each other.
func TestTimesOfAMultiplexedWorker(t *testing.T) {
	stepped(t, &Settings{WorkerConnections: 2}, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 1, wire.KindASGI)
		first, second, third := r.get(g, "/1"), r.get(g, "/2"), r.get(g, "/3")
		time.Sleep(time.Second)
		w.Say(0, echo(w.begin()))
		w.deliver(0)
		r.letGo()
		time.Sleep(time.Second)
		w.Say(0, append(echo(w.begin()), echo(w.begin())...))
		w.deliver(0)
		first.expectTimes(0, time.Second)
		second.expectTimes(0, 2*time.Second)
		third.expectTimes(time.Second, time.Second)
	})
}

// A request that ends without a reply has run until then.
func TestTimesWithoutAReply(t *testing.T) {
	stepped(t, &Settings{Timeout: 2 * time.Second}, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 1, wire.KindSync)
		late := r.get(g, "/late")
		w.take(0)
		begun := time.Now()
		late.expect(504, "")
		late.expectTimes(0, time.Since(begun))

		other := r.worker(g, 1, wire.KindSync)
		before, lost := r.get(g, "/before"), r.get(g, "/lost")
		q := other.take(0)
		time.Sleep(time.Second)
		other.Say(0, echo(q))
		other.deliver(0)
		before.expect(200, "/before")
		other.take(0)
		time.Sleep(time.Second)
		other.kill()
		other.deliverAll()
		lost.expect(502, "")
		lost.expectTimes(time.Second, time.Second)
	})
}

// Of a request that no worker gets it is known how long it has waited.
func TestTimesOfUnservedRequests(t *testing.T) {
	stepped(t, &Settings{QueueTimeout: time.Second, QueueLimit: 1}, func(r *rig, g *fakeGeneration) {
		late := r.get(g, "/late")
		refused := r.get(g, "/refused")
		begun := time.Now()
		late.expect(503, "")
		late.expectTimes(time.Since(begun), 0)
		refused.expect(503, "")
		refused.expectTimes(0, 0)

		stopped := r.get(g, "/stopped")
		time.Sleep(time.Second / 2)
		r.q.Expire(0)
		stopped.expect(503, "")
		stopped.expectTimes(time.Second/2, 0)
		if stopped.Begin(stopped, g.settings, &Home{}, 1); stopped.Waited() != 0 {
			t.Error("the next request has the times of the one before")
		}
	})
}
