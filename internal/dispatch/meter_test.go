package dispatch

import (
	"math"
	"testing"
	"time"

	"indrik/internal/wire"
	"indrik/internal/wire/wiretest"
)

// expectUsage checks how many seconds slots were busy, and how many there were, since a usage.
func (r *rig) expectUsage(since Usage, busy, capacity float64) {
	r.t.Helper()
	u := r.q.Usage(time.Now())
	if b, c := u.Busy-since.Busy, u.Capacity-since.Capacity; math.Abs(b-busy) > 1e-6 || math.Abs(c-capacity) > 1e-6 {
		r.t.Errorf("%v s of %v s were used, want %v s of %v s", b, c, busy, capacity)
	}
}

// A slot is busy as long as it has a request; what waits behind that makes it no busier.
func TestUsageOfSlots(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		r.q.Measure()
		time.Sleep(time.Minute)
		r.expectUsage(Usage{}, 0, 0) // there is no worker
		w := r.worker(g, 2, wire.KindSync)
		time.Sleep(time.Second)
		r.expectUsage(Usage{}, 0, 2)
		u := r.q.Usage(time.Now())
		for range 5 {
			r.get(g, "/")
			time.Sleep(time.Second)
		}
		r.expectUsage(u, 1+2*4, 2*5)
		u = r.q.Usage(time.Now())
		for i := range 5 {
			w.Say(0, echo(w.take(0)))
			w.deliver(0)
			if i < 4 {
				time.Sleep(time.Second)
			}
		}
		r.expectUsage(u, 3*2+1, 4*2)
		u = r.q.Usage(time.Now())
		other := r.worker(g, 1, wire.KindSync)
		time.Sleep(time.Second)
		other.kill()
		other.deliverAll()
		time.Sleep(time.Second)
		r.q.Retire(w.age)
		time.Sleep(time.Second)
		r.expectUsage(u, 0, 3+2)
	})
}

// A multiplexed worker is engaged while its loop does not turn, and while it has as many
// requests as it may have.
func TestEngagedLoops(t *testing.T) {
	stepped(t, &Settings{WorkerConnections: 2}, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 1, wire.KindASGI)
		time.Sleep(time.Second)
		r.q.Measure()
		r.expectUsage(Usage{}, 0, 0) // nobody has asked for it before
		engaged := func() time.Duration {
			loops := r.q.Usage(time.Now()).Loops
			if len(loops) != 1 || loops[0].Age != w.age || loops[0].PID != 1000+w.age {
				t.Fatalf("%+v", loops)
			}
			return loops[0].Engaged
		}
		r.get(g, "/1")
		first := w.begin()
		time.Sleep(scanEvery)
		ping := w.event(wire.EventPing)
		time.Sleep(2 * time.Second)
		if d := engaged(); d < 2*time.Second-2*scanEvery || d > 2*time.Second {
			t.Errorf("it did not turn for two seconds, and was engaged for %s", d)
		}
		w.SetWord(wiretest.WordPing, uint64(ping.id))
		time.Sleep(3 * scanEvery)
		before := engaged()
		r.get(g, "/2")
		second := w.begin()
		r.get(g, "/3")
		time.Sleep(4 * scanEvery)
		if d := engaged() - before; d < 3*scanEvery || d > 5*scanEvery {
			t.Errorf("it had two requests for a second, and was engaged for %s", d)
		}
		w.Say(0, append(echo(first), echo(second)...))
		w.deliver(0)
		r.letGo()
		w.Say(0, echo(w.begin()))
		w.deliver(0)
		before = engaged()
		time.Sleep(time.Minute)
		if d := engaged() - before; d > scanEvery {
			t.Errorf("it had nothing to do, and was engaged for %s", d)
		}
		r.expectUsage(Usage{Capacity: r.q.Usage(time.Now()).Capacity - 1}, 0, 1)
	})
}

// What a worker says of its lag is not more than the time in which it can have been late, and
// a loop that does not turn has a lag before it has said so.
func TestLagIsBounded(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 1, wire.KindASGI)
		lag := func() time.Duration {
			_, loads, _ := r.q.Status(time.Now())
			return time.Duration(loads[w.age].Lag * float64(time.Second))
		}
		r.get(g, "/")
		q := w.begin()
		time.Sleep(scanEvery)
		ping := w.event(wire.EventPing)
		time.Sleep(2 * time.Second)
		if d := lag(); d < 2*time.Second-scanEvery {
			t.Errorf("it has not turned for two seconds, and its lag is %s", d)
		}
		w.SetWord(wiretest.WordLag, math.MaxUint64)
		w.SetWord(wiretest.WordPing, uint64(ping.id))
		time.Sleep(scanEvery)
		if d := lag(); d > 2*time.Second+2*scanEvery {
			t.Errorf("its lag is %s", d)
		}
		w.Say(0, echo(q))
		w.deliver(0)
	})
}

// Each request that no worker has completed is counted for one reason.
func TestCountsOfUnfinishedRequests(t *testing.T) {
	stepped(t, &Settings{QueueLimit: 2, QueueTimeout: time.Second, Timeout: 2 * time.Second}, func(r *rig, g *fakeGeneration) {
		expect := func(what string, got, want uint64) {
			t.Helper()
			if got != want {
				t.Errorf("%s: %d, want %d", what, got, want)
			}
		}
		left := r.get(g, "/left")
		r.get(g, "/late")
		r.get(g, "/full").expect(503, "")
		r.q.CancelByClient(&left.Job)
		time.Sleep(2 * time.Second)
		u := r.q.Usage(time.Now())
		expect("cancelled", u.Cancelled, 1)
		expect("late", u.QueueLate, 1)
		expect("full", u.QueueFull, 1)

		w := r.worker(g, 1, wire.KindSync)
		over := r.get(g, "/over")
		w.take(0)
		behind := r.get(g, "/behind")
		r.q.CancelByClient(&behind.Job)
		over.expect(504, "")
		u = r.q.Usage(time.Now())
		expect("timed out", u.TimedOut, 1)
		expect("cancelled", u.Cancelled, 2)

		other := r.worker(g, 1, wire.KindSync)
		running := r.get(g, "/running")
		q := other.take(0)
		for q.path != "/running" {
			q = other.take(0)
		}
		r.q.Expire(0)
		running.expect(504, "")
		r.get(g, "/unserved") // it is in the queue of the generation
		r.q.Expire(0)
		u = r.q.Usage(time.Now())
		expect("overdue", u.Overdue, 1)
		expect("unserved", u.Unserved, 1)
	})
	stepped(t, &Settings{NoWorkers: true}, func(r *rig, g *fakeGeneration) {
		r.get(g, "/").expect(503, "")
		if n := r.q.Usage(time.Now()).NoWorkers; n != 1 {
			t.Errorf("%d found no worker", n)
		}
	})
}

func BenchmarkMeasure(b *testing.B) {
	q := NewQueue(&fakeHost{}, 0)
	q.Measure()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.gens = []*generation{{slots: 2}}
	now := time.Now()
	for b.Loop() {
		now = now.Add(1000)
		q.measureLocked(now)
	}
}
