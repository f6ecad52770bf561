package dispatch

import (
	"testing"
	"testing/synctest"
	"time"

	"indrik/internal/wire"
	"indrik/internal/wire/wiretest"
)

// A request that runs for longer than timeout is answered with 504; the master is told, and
// also when nothing else runs in that worker.
func TestTimeout(t *testing.T) {
	stepped(t, &Settings{Timeout: time.Second}, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 2, wire.KindSync)
		late, begun := r.get(g, "/late"), r.get(g, "/begun")
		w.take(0)
		time.Sleep(scanEvery)
		q := w.take(1)
		w.Say(1, wiretest.Start(q.id, "200 OK", nil, "part"))
		w.deliver(1)
		late.expect(504, "")
		if told := r.host.saidOf(wire.TypeTimeout); len(told) != 1 || told[0].Path != "/late" || told[0].Others != 1 || told[0].Seconds < 1 {
			t.Errorf("the master is told %+v", told)
		}
		if len(r.host.saidOf(wire.TypeSettled)) > 0 {
			t.Error("it is settled while a request runs")
		}
		begun.expect(0, "part")
		if settled := r.host.saidOf(wire.TypeSettled); len(settled) != 1 || settled[0].Age != w.age {
			t.Errorf("settled: %+v", settled)
		}
	})
}

// An app may ask for more time; less than it has changes nothing.
func TestExtendedTimeout(t *testing.T) {
	stepped(t, &Settings{Timeout: time.Second}, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 1, wire.KindSync)
		c := r.get(g, "/")
		q := w.take(0)
		w.Say(0, append(wiretest.Extend(q.id, 3000), wiretest.Extend(q.id, 10)...))
		w.deliver(0)
		if id := w.Word(wiretest.SlotWord(0, wiretest.WordDeadline)) >> 32; id != uint64(q.id) {
			t.Errorf("the slot is told the deadline of %d", id)
		}
		begun := time.Now()
		c.expect(504, "")
		if d := time.Since(begun); d < 3*time.Second || d > 3*time.Second+2*scanEvery {
			t.Errorf("it had %s", d)
		}
		w.Say(0, wiretest.Extend(q.id, 3000)) // which comes too late
		w.deliver(0)
		r.expectHonest()
	})
}

// Greenlets are ended one by one, and their worker is told which.
func TestLateGreenlet(t *testing.T) {
	stepped(t, &Settings{Timeout: time.Second}, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 1, wire.KindGevent)
		c := r.get(g, "/")
		id := w.begin().id
		time.Sleep(scanEvery)
		w.SetWord(wiretest.WordPing, uint64(w.event(wire.EventPing).id))
		c.expect(504, "")
		if e := w.event(wire.EventLate); e.id != id {
			t.Errorf("request %d is late, want %d", e.id, id)
		}
		r.expectHonest()
	})
}

// A worker whose loop does not turn loses its requests: those that it has begun time out, the
// others go to another worker.
func TestBlockedLoop(t *testing.T) {
	stepped(t, &Settings{Timeout: time.Second}, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 1, wire.KindASGI)
		begun := r.get(g, "/begun")
		w.begin()
		unread := r.get(g, "/unread")
		begun.expect(504, "")
		told := r.host.saidOf(wire.TypeTimeout)
		if len(told) != 1 || told[0].Blocked != 1 || told[0].Age != w.age {
			t.Errorf("the master is told %+v", told)
		}
		if w.Word(wiretest.WordFront) != 0 {
			t.Error("the worker may begin others")
		}
		other := r.worker(g, 1, wire.KindASGI)
		time.Sleep(2 * revocationDelay)
		other.Say(0, echo(other.begin()))
		other.deliver(0)
		unread.expect(200, "/unread")
	})
}

// Requests that wait for too long are refused, here and in the queue of the generation, and are
// not run.
func TestQueueTimeout(t *testing.T) {
	stepped(t, &Settings{QueueTimeout: time.Second}, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 1, wire.KindSync)
		running := r.get(g, "/running")
		q := w.take(0)
		var late []*call
		for range 3 {
			late = append(late, r.get(g, "/late"))
		}
		for _, c := range late {
			c.expect(503, "")
		}
		w.Say(0, echo(q))
		w.deliver(0)
		running.expect(200, "/running")
		for _, q := range w.receiveAll(0) {
			if w.Claim(0, q.id) {
				t.Errorf("request %d may be run", q.id)
			}
			w.Say(0, wiretest.Refused(q.id))
		}
		w.deliverAll()
		r.expectHonest()
	})
}

// The queue is full for those that come, after it has handed over what it could.
func TestFullQueue(t *testing.T) {
	s := &Settings{QueueLimit: 2}
	stepped(t, s, func(r *rig, g *fakeGeneration) {
		for range 2 {
			if r.q.RefuseIfFull(g.settings) {
				t.Error("it is full")
			}
			r.get(g, "/waits")
		}
		if !r.q.RefuseIfFull(g.settings) {
			t.Error("it is not full")
		}
		r.get(g, "/refused").expect(503, "")
		w := r.worker(g, 1, wire.KindSync)
		if r.q.RefuseIfFull(g.settings) {
			t.Error("it is full, and there is a worker")
		}
		for range 2 {
			w.Say(0, echo(w.take(0)))
			w.deliver(0)
		}
	})
}

// With the setting, nobody waits for a worker while there is none.
func TestNoWorkers(t *testing.T) {
	stepped(t, &Settings{NoWorkers: true}, func(r *rig, g *fakeGeneration) {
		r.get(g, "/").expect(503, "")
	})
}

// How long nothing has been finished counts from the last question of the master that found
// nothing to do, or something finished. A request that is given out again is not finished.
func TestStalled(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		expect := func(want time.Duration) {
			t.Helper()
			if d := r.q.Stalled(time.Now()); d != want {
				t.Errorf("stalled for %s, want %s", d, want)
			}
		}
		w := r.worker(g, 1, wire.KindSync)
		expect(0)
		time.Sleep(time.Minute)
		expect(0)
		r.get(g, "/running")
		q := w.take(0)
		r.get(g, "/waits in the queue")
		time.Sleep(time.Minute)
		expect(time.Minute)
		w.Say(0, echo(q))
		w.deliver(0)
		expect(0)
	})
}

// Whether a client is there that sends no more is asked once its request has waited for a while.
func TestProbeLater(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 2, wire.KindSync)
		probed := map[string]bool{}
		probe := func(c *call) { r.q.ProbeLater(&c.Job, func() { probed[c.path] = true }) }
		answered, running, waiting := r.get(g, "/answered"), r.get(g, "/running"), r.get(g, "/waiting")
		left := r.get(g, "/left")
		for _, c := range []*call{answered, running, waiting, left} {
			probe(c)
		}
		w.Say(0, echo(w.take(0)))
		w.take(1)
		w.deliver(0)
		r.q.CancelByClient(&left.Job)
		time.Sleep(2 * probeAfter)
		synctest.Wait()
		if len(probed) != 2 || !probed["/running"] || !probed["/waiting"] {
			t.Errorf("%v are probed", probed)
		}
	})
}
