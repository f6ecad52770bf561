package autoscale

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

func bounds(least, most int) Bounds { return Bounds{least, most, time.Minute} }

// A load that steps up gets the workers that it needs within seconds, no more than half too
// many, and keeps them; when it steps down they leave again.
func TestStep(t *testing.T) {
	for _, boot := range []time.Duration{200 * time.Millisecond, 2 * time.Second, 20 * time.Second} {
		for _, slots := range []int{1, 4} {
			t.Run(fmt.Sprintf("boot %s, %d slots", boot, slots), func(t *testing.T) {
				// 0.1 s each: 10 in a second keep one slot busy, so this is for 1, 8, 1 workers.
				one := 10 * float64(slots)
				m := &model{bounds: bounds(2, 32), boot: boot, slots: slots, service: 100 * time.Millisecond,
					load: steps([]float64{one, 8 * one, one}, 2*time.Minute, 7*time.Minute)}
				m.start(2).run(2 * time.Minute)
				m.expect(t, m.target <= 4, "%d workers for a load of one", m.target)
				before := len(m.targets)
				m.run(7 * time.Minute)
				m.expect(t, m.target >= 10 && m.most() <= 18, "%d workers for a load of eight, %d at most", m.target, m.most())
				m.expect(t, m.reached(10) <= 2*time.Minute+10*time.Second, "ten workers after %s", m.reached(10))
				m.expect(t, len(m.queue) < 20*slots, "%d wait", len(m.queue))
				m.expect(t, len(m.targets)-before <= 8, "%d changes", len(m.targets)-before)
				m.run(10 * time.Minute)
				m.expect(t, m.target <= 4, "%d workers for a load of one again", m.target)
				m.expect(t, m.turns() <= 3, "%d turns", m.turns())
			})
		}
	}
}

// A steady load, however large, leads to a number of workers that stays.
func TestNoOscillation(t *testing.T) {
	for _, erlangs := range []float64{0.3, 0.72, 1.4, 3.5, 7.7} {
		for _, service := range []time.Duration{20 * time.Millisecond, 200 * time.Millisecond, 3 * time.Second} {
			m := &model{bounds: bounds(1, 64), boot: 3 * time.Second, service: service, load: constant(erlangs / service.Seconds())}
			m.start(1).run(5 * time.Minute)
			settled := len(m.targets)
			m.run(20 * time.Minute)
			m.expect(t, len(m.targets)-settled <= 9 && m.turns() <= 7, "%v Erlang of %s: %d changes and %d turns in 15 minutes", erlangs, service, len(m.targets)-settled, m.turns())
			m.expect(t, float64(m.target) >= erlangs && float64(m.most()) <= 5+2.4*erlangs, "%v Erlang of %s: %d workers, %d at most", erlangs, service, m.target, m.most())
		}
	}
}

// Clients that wait for their answer offer no more than what the workers take: then their
// number is what counts.
func TestClosedLoop(t *testing.T) {
	m := &model{bounds: bounds(1, 32), boot: time.Second, service: 100 * time.Millisecond, clients: 8}
	m.start(1).run(5 * time.Minute)
	m.expect(t, m.target >= 9 && m.most() <= 13, "%d workers for 8 clients, %d at most", m.target, m.most())
	m.expect(t, m.turns() == 0, "%d turns", m.turns())
}

// A load that swings is followed if it swings slowly. If it swings faster than DownDelay the
// workers for its crest stay.
func TestSine(t *testing.T) {
	for _, period := range []time.Duration{30 * time.Second, 10 * time.Minute} {
		swings := func(at time.Duration) float64 {
			return 10 * (5 - 4*math.Cos(2*math.Pi*at.Seconds()/period.Seconds())) // between 1 and 9 Erlang
		}
		m := &model{bounds: bounds(1, 32), boot: 2 * time.Second, service: 100 * time.Millisecond, load: swings}
		m.start(1).run(60 * time.Minute)
		most := 3
		if period > time.Minute {
			most = 2*6 + 1 // up and down once each
		}
		m.expect(t, m.turns() <= most, "a period of %s: %d turns", period, m.turns())
		m.expect(t, m.most() <= 20, "a period of %s: %d workers", period, m.most())
		m.expect(t, len(m.queue) < 20, "%d wait", len(m.queue))
	}
}

// A burst that is over before workers could have started starts none.
func TestShortBursts(t *testing.T) {
	m := &model{bounds: bounds(2, 16), boot: time.Second, service: 50 * time.Millisecond, load: func(at time.Duration) float64 {
		if at%(20*time.Second) < 300*time.Millisecond {
			return 100
		}
		return 2
	}}
	m.start(2).run(20 * time.Minute)
	m.expect(t, m.most() <= 4, "%d workers for bursts of 0.3 s", m.most())
	m.expect(t, m.turns() <= 10, "%d turns", m.turns())
}

// Bursts that last are served, by workers that stay from one to the next.
func TestLongBursts(t *testing.T) {
	m := &model{bounds: bounds(2, 16), boot: time.Second, service: 50 * time.Millisecond, load: func(at time.Duration) float64 {
		if at%(40*time.Second) < 10*time.Second {
			return 120
		}
		return 10
	}}
	m.start(2).run(20 * time.Minute)
	m.expect(t, m.target >= 8 && m.most() <= 14, "%d workers for bursts of six, %d at most", m.target, m.most())
	m.expect(t, m.turns() <= 2, "%d turns", m.turns())
}

// While workers start what has gathered does not count as demand, nor do those that start count as
// missing: there are hardly more than a quarter too many, seldom half too many.
func TestSlowStartDoesNotOvershoot(t *testing.T) {
	sum, runs := 0.0, 0.0
	for _, boot := range []time.Duration{time.Second, 5 * time.Second, 20 * time.Second} {
		for _, erlangs := range []float64{3, 8, 20} {
			for _, service := range []time.Duration{50 * time.Millisecond, 500 * time.Millisecond} {
				m := &model{bounds: bounds(1, 100), boot: boot, service: service, load: constant(erlangs / service.Seconds())}
				m.start(1).run(2*time.Minute + 3*boot)
				fair := erlangs * (1 + modelStep.Seconds()/2/service.Seconds()) / AimBusy // requests end at the end of a step
				what := fmt.Sprintf("%v Erlang of %s, workers start in %s", erlangs, service, boot)
				m.expect(t, float64(m.most()) <= 1.5*fair+3, "%s: %d workers at most, fair is %.1f", what, m.most(), fair)
				m.expect(t, float64(m.target) >= erlangs && len(m.queue) < 50, "%s: %d workers, %d wait", what, m.target, len(m.queue))
				m.expect(t, m.turns() <= 2, "%s: %d turns", what, m.turns())
				sum, runs = sum+float64(m.most()-1)/fair, runs+1
			}
		}
	}
	t.Logf("on average %.0f %% of what is fair, besides one", 100*sum/runs)
	if sum/runs > 1.25 {
		t.Errorf("on average %.2f times as many as are fair, besides one", sum/runs)
	}
}

// Requests that get slower need more workers, although no more of them come.
func TestRequestsGetSlower(t *testing.T) {
	m := &model{bounds: bounds(1, 32), boot: time.Second, service: 50 * time.Millisecond, load: constant(10)}
	m.start(1).run(2 * time.Minute)
	m.service = 800 * time.Millisecond
	m.run(4 * time.Minute)
	m.expect(t, m.target >= 10 && m.most() <= 18, "%d workers for eight Erlang, %d at most", m.target, m.most())
}

// Requests that take very long, and occupy all slots, lead to more workers for the others,
// although hardly any of them ends.
func TestLongRequestsOccupyAllSlots(t *testing.T) {
	m := &model{bounds: bounds(2, 16), boot: time.Second, service: 20 * time.Millisecond, load: constant(40)}
	m.start(2).run(time.Minute)
	m.long, m.longEvery = 2*time.Minute, 400 // one in ten seconds: twelve at a time
	m.run(5 * time.Minute)
	m.expect(t, m.target >= 13 && len(m.queue) < 5, "%d workers, %d wait", m.target, len(m.queue))
}

// Where the requests only use processors, no more workers are made than keep these busy.
func TestBusyProcessorsHoldGrowth(t *testing.T) {
	m := &model{bounds: bounds(1, 64), boot: time.Second, service: 50 * time.Millisecond, cpus: 4, load: constant(200)} // 10 CPUs would be needed
	m.start(1).run(3 * time.Minute)
	m.expect(t, m.target >= 4 && m.most() <= 8, "%d workers for 4 processors, %d at most", m.target, m.most())
	m.expect(t, strings.Contains(m.held, "processors are busy"), "held: %q", m.held)
}

// Memory that has room for two more workers gets two more.
func TestMemoryHoldsGrowth(t *testing.T) {
	m := &model{bounds: bounds(1, 64), boot: time.Second, service: 100 * time.Millisecond, load: constant(100)}
	m.room = func() Room { return Room{3 - m.target, "no room"} }
	m.start(1).run(time.Minute)
	m.expect(t, m.most() == 3 && m.target == 3, "%d workers, %d at most", m.target, m.most())
	m.expect(t, m.held == "no room", "held: %q", m.held)
}

// The range is never left, and a number outside is brought into it at once.
func TestRangeHolds(t *testing.T) {
	m := &model{bounds: bounds(2, 5), boot: time.Second, service: 100 * time.Millisecond, load: steps([]float64{80, 0.1}, time.Minute)}
	m.start(2).run(time.Minute)
	m.expect(t, m.target == 5 && m.most() == 5, "%d workers", m.target)
	m.expect(t, strings.Contains(m.held, "as many as there may be"), "held: %q", m.held)
	m.run(10 * time.Minute)
	m.expect(t, m.target == 2, "%d workers", m.target)
	for b, want := range map[Bounds]int{bounds(3, 6): 3, bounds(2, 4): 2, bounds(1, 1): 1} {
		if v := m.scaler.Decide(epoch.Add(m.now), nil, b, Pool{Target: 2, Ready: 2}); v.Target != want || (v.Why == "") != (want == 2) {
			t.Errorf("%+v: %+v", b, v)
		}
	}
}

// A server that nobody asks anything has no workers, as soon as its range allows, and the first
// request brings one back.
func TestIdleToZero(t *testing.T) {
	m := &model{bounds: bounds(0, 8), boot: 2 * time.Second, service: 100 * time.Millisecond,
		load: steps([]float64{30, 0, 3, 0}, 2*time.Minute, 10*time.Minute, 11*time.Minute)}
	m.start(1).run(2 * time.Minute)
	m.expect(t, m.target >= 4, "%d workers", m.target)
	m.run(4 * time.Minute)
	m.expect(t, m.target == 0, "%d workers of an idle server", m.target)
	if _, ok := m.scaler.Next(m.bounds, 0); ok {
		t.Error("a server without workers looks at its load")
	}
	before := len(m.targets)
	m.run(10*time.Minute + 5*time.Second)
	m.expect(t, m.target >= 1, "%d workers", m.target)
	m.expect(t, len(m.targets) > before && m.targets[before].to == 1 && strings.Contains(m.targets[before].why, "a request waits"), "how it woke")
	m.run(13 * time.Minute)
	m.expect(t, m.target == 0, "%d workers", m.target)
	m.expect(t, len(m.queue) == 0 && m.longest < 4*time.Second, "%d wait, the longest wait was %s", len(m.queue), m.longest)
}

// A request that is in flight, such as a WebSocket that says nothing, keeps the last worker.
func TestStandingConnectionKeepsAWorker(t *testing.T) {
	var s Scaler
	b, now := bounds(0, 4), epoch
	target := 2
	for range 1000 {
		now = now.Add(modelReport)
		x := Sample{At: now, Span: modelReport, Slots: 1, Capacity: 1, InFlight: 1}
		target = s.Decide(now, &x, b, Pool{Target: target, Ready: target}).Target
	}
	if target != 1 {
		t.Errorf("%d workers", target)
	}
}

// Nothing that is said to have been counted makes the policy leave its range, or loop.
func FuzzSamples(f *testing.F) {
	f.Add(int64(500), 1.0, 2.0, 3.0, 4, 5, 6, 7, 1, 8)
	f.Add(int64(-1), math.Inf(1), 0.0, -3.0, -4, 0, 1<<30, 7, 0, 0)
	f.Fuzz(func(t *testing.T, span int64, busy, capacity, waited float64, arrived, ended, waiting, inFlight, least, most int) {
		b := Bounds{min(max(least, 0), 100), 0, time.Second}
		b.Most = max(1, b.Least, min(most, 200))
		var s Scaler
		target := b.Least
		now := epoch
		for i := range 50 {
			now = now.Add(modelReport)
			x := Sample{At: now, Span: time.Duration(span), Slots: 1 + i%3, Busy: busy, Served: busy, Capacity: capacity, Waited: waited, Arrived: arrived, Ended: ended, Waiting: waiting, InFlight: inFlight}
			v := s.Decide(now, &x, b, Pool{Target: target, Ready: target, CPU: busy})
			if v.Target < b.Least || v.Target > b.Most || v.Target != target && v.Why == "" {
				t.Fatalf("%+v", v)
			}
			if v.Target > max(1, b.Least, 2*target) && target > 0 {
				t.Fatalf("from %d to %d", target, v.Target)
			}
			target = v.Target
		}
	})
}
