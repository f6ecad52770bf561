package dispatch

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"indrik/internal/wire"
)

// reports returns what the master was told of the load.
func (r *rig) reports() (all []*wire.Load) {
	for _, m := range r.host.saidOf(wire.TypeLoad) {
		all = append(all, m.Load)
	}
	return all
}

// lastReport returns the last of so many reports.
func (r *rig) lastReport(count int) *wire.Load {
	r.t.Helper()
	all := r.reports()
	if len(all) != count {
		r.t.Fatal(len(all), "reports, want", count)
	}
	return all[count-1]
}

// The master hears of the load twice in a second while there are requests, and when the last has
// ended; then no more.
func TestLoadIsReported(t *testing.T) {
	stepped(t, &Settings{ReportLoad: true}, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 1, wire.KindSync)
		time.Sleep(time.Minute)
		if n := len(r.reports()); n != 0 {
			t.Fatalf("%d reports of an idle server", n)
		}
		r.get(g, "/1")
		first := w.take(0)
		r.get(g, "/2")
		r.get(g, "/3")
		time.Sleep(loadEvery)
		synctest.Wait()
		x := r.lastReport(1)
		near := func(got, want float64) bool { return math.Abs(got-want) < 1e-6 }
		if x.Arrived != 3 || x.Ended != 0 || x.Waiting != 2 || x.InFlight != 3 || !near(x.Seconds, 0.5) || !near(x.Busy, 0.5) || !near(x.Capacity, 60.5) || !near(x.Waited, 1) || x.Served != 0 {
			t.Errorf("%+v", x)
		}
		time.Sleep(loadEvery / 2)
		w.Say(0, echo(first))
		w.deliver(0)
		for range 2 {
			q := w.take(0)
			time.Sleep(loadEvery / 4)
			w.Say(0, echo(q))
			w.deliver(0)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		all := r.reports()
		x = all[len(all)-1]
		if len(all) < 2 || len(all) > 3 || x.InFlight != 0 || x.Waiting != 0 {
			t.Fatalf("%d reports, the last is %+v", len(all), x)
		}
		ended, served := 0, 0.0
		for _, x := range all {
			ended, served = ended+x.Ended, served+x.Served
		}
		if ended != 3 || !near(served, 1.0) {
			t.Errorf("%d have ended after %v s", ended, served)
		}
		// The time in which there was nothing counts for no report.
		r.get(g, "/4")
		q := w.take(0)
		time.Sleep(loadEvery / 4)
		w.Say(0, echo(q))
		w.deliver(0)
		time.Sleep(time.Second)
		synctest.Wait()
		if x := r.lastReport(len(all) + 1); x.Seconds > 0.5 || x.Arrived != 1 || x.Ended != 1 {
			t.Errorf("%+v", x)
		}
	})
}

// A request that finds no worker is told of at once, and again while it waits; only once, though,
// at once.
func TestRequestWithoutWorkersWakes(t *testing.T) {
	stepped(t, &Settings{ReportLoad: true}, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 1, wire.KindSync)
		r.q.Retire(w.age)
		time.Sleep(time.Minute)
		r.get(g, "/1")
		synctest.Wait()
		if x := r.lastReport(1); x.Waiting != 1 || x.InFlight != 1 || x.Arrived != 1 {
			t.Errorf("%+v", x)
		}
		r.get(g, "/2")
		synctest.Wait()
		r.lastReport(1)
		time.Sleep(loadEvery)
		synctest.Wait()
		if x := r.lastReport(2); x.Waiting != 2 || x.Capacity != 0 {
			t.Errorf("%+v", x)
		}
		other := r.worker(g, 1, wire.KindSync)
		for range 2 {
			other.Say(0, echo(other.take(0)))
			other.deliver(0)
		}
		r.q.Retire(other.age)
		time.Sleep(time.Second)
		synctest.Wait()
		before := len(r.reports())
		r.get(g, "/3")
		synctest.Wait()
		r.lastReport(before + 1)
		last := r.worker(g, 1, wire.KindSync)
		last.Say(0, echo(last.take(0)))
		last.deliver(0)
	})
}

// A request that was in the queue of the last worker when that was retired is told of, too.
func TestRequestTakenBackWakes(t *testing.T) {
	stepped(t, &Settings{ReportLoad: true}, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 1, wire.KindSync)
		r.get(g, "/1")
		first := w.take(0)
		r.get(g, "/2")
		r.q.Retire(w.age)
		synctest.Wait()
		if x := r.lastReport(1); x.Waiting != 1 {
			t.Errorf("%+v", x)
		}
		w.Say(0, echo(first))
		w.deliver(0)
		other := r.worker(g, 1, wire.KindSync)
		other.Say(0, echo(other.take(0)))
		other.deliver(0)
	})
}

// Connections of which nothing is heard are told of rarely; what multiplexed workers have is told
// for each.
func TestQuietConnectionsAreReportedRarely(t *testing.T) {
	stepped(t, &Settings{ReportLoad: true}, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 1, wire.KindASGI)
		r.get(g, "/")
		w.begin()
		time.Sleep(loadEvery)
		synctest.Wait()
		before := len(r.reports())
		x := r.lastReport(before)
		if len(x.Loops) != 1 || x.Loops[0].Age != w.age || x.Loops[0].InFlight != 1 || x.Arrived != 1 {
			t.Errorf("%+v", x)
		}
		time.Sleep(10 * quietEvery)
		synctest.Wait()
		if n := len(r.reports()) - before; n < 8 || n > 11 {
			t.Errorf("%d reports in %s", n, 10*quietEvery)
		}
	})
}

// What is refused has come, too.
func TestRefusedRequestsCountAsLoad(t *testing.T) {
	stepped(t, &Settings{ReportLoad: true, QueueLimit: 1}, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 1, wire.KindSync)
		r.q.Retire(w.age)
		for range 5 {
			r.get(g, "/")
		}
		time.Sleep(loadEvery)
		synctest.Wait()
		arrived := 0
		for _, x := range r.reports() {
			arrived += x.Arrived
		}
		if arrived != 5 {
			t.Errorf("%d came", arrived)
		}
		last := r.worker(g, 1, wire.KindSync)
		last.Say(0, echo(last.take(0)))
		last.deliver(0)
	})
}

// Who has not asked is told nothing.
func TestLoadIsNotReportedUnasked(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 1, wire.KindSync)
		r.get(g, "/")
		q := w.take(0)
		time.Sleep(3 * loadEvery)
		w.Say(0, echo(q))
		w.deliver(0)
		time.Sleep(3 * loadEvery)
		synctest.Wait()
		if n := len(r.reports()); n != 0 {
			t.Errorf("%d reports", n)
		}
	})
}
