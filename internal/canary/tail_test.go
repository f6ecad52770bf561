package canary

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// TestTailIsLevel checks that the test of the tail fails no more trials than its level says,
// whatever the share and the number of requests.
func TestTailIsLevel(t *testing.T) {
	const runs, level = 500, 0.01
	for _, c := range []struct {
		share    float64
		requests int
		latency  func(*rand.Rand) time.Duration
	}{
		{0.05, 400, often(20 * time.Millisecond)},
		{0.05, 4000, often(20 * time.Millisecond)},
		{0.5, 1000, often(20 * time.Millisecond)},
		{0.2, 1000, tail(steady, 0.05, 10)},
	} {
		r := rand.New(rand.NewPCG(5, 5))
		crossed := 0
		for range runs {
			var trial Trial
			var report Report
			for i := range c.requests {
				report.Of(r.Float64() < c.share).Latency.Count(c.latency(r))
				if i%25 == 24 {
					trial.Add(report)
					report = Report{}
				}
			}
			if trial.hasWorseTail(0, level) {
				crossed++
			}
		}
		// Three standard deviations above the level.
		if most := level*runs + 3*math.Sqrt(level*runs); float64(crossed) > most {
			t.Errorf("%+v: %d of %d had a worse tail by chance", c, crossed, runs)
		}
	}
}

// TestAtLeast compares the chances with those that follow from all combinations.
func TestAtLeast(t *testing.T) {
	choose := func(n, k int) float64 {
		if k < 0 || k > n {
			return 0
		}
		c := 1.0
		for i := range k {
			c = c * float64(n-i) / float64(i+1)
		}
		return c
	}
	for _, c := range []struct{ x, t, m, all int }{{3, 4, 20, 400}, {5, 10, 10, 40}, {10, 10, 10, 40}, {1, 1, 1, 100}, {7, 12, 30, 60}} {
		want := 0.0
		for k := c.x; k <= c.t; k++ {
			want += choose(c.m, k) * choose(c.all-c.m, c.t-k) / choose(c.all, c.t)
		}
		if got := atLeast(float64(c.x), float64(c.t), float64(c.m), float64(c.all)); math.Abs(got-want) > 1e-9*want {
			t.Errorf("%+v: %g, not %g", c, got, want)
		}
	}
	if got := atLeast(5, 100, 50, 1000); got != 1 {
		t.Errorf("what is to be expected anyway has the chance %g", got)
	}
	if got := atLeast(1e9, 1e9, 1e10, 1e12); !(got >= 0 && got < 1e-300) {
		t.Errorf("of very many: %g", got)
	}
}

// TestSpans checks that nothing is lost when spans are joined, and that those of the end are no
// longer than the others.
func TestSpans(t *testing.T) {
	var trial Trial
	for i := range 1000 {
		var r Report
		r.New.Latency.Count(time.Second)
		r.Old.Latency.Count(time.Millisecond)
		trial.Add(r)
		latest, old := 0, 0
		for _, s := range trial.spans.all {
			latest, old = latest+s.latest.Total(), old+s.old.Total()
			if n := s.latest.Total(); n > trial.spans.reports {
				t.Fatalf("after %d reports a span has %d of them, the others %d", i+1, n, trial.spans.reports)
			}
		}
		if n := len(trial.spans.all); latest != i+1 || old != i+1 || n > maxSpans || i >= maxSpans && n < maxSpans/2 {
			t.Fatalf("after %d reports %d spans have %d and %d latencies", i+1, n, latest, old)
		}
	}
}

// TestTailOfAMoment checks that what is slow in one moment alone is no worse tail, and that the
// same number of slow requests is if they come all the time.
func TestTailOfAMoment(t *testing.T) {
	for _, atOnce := range []bool{true, false} {
		trial := Trial{Plan: minute}
		for i := range 240 {
			var r Report
			for range 95 {
				r.Old.Latency.Count(20 * time.Millisecond)
			}
			for range 5 {
				r.New.Latency.Count(20 * time.Millisecond)
			}
			r.New.Requests, r.Old.Requests = 5, 95
			if atOnce && i == 100 {
				for range 60 {
					r.New.Latency.Count(2 * time.Second)
				}
			} else if !atOnce && i%4 == 0 {
				r.New.Latency.Count(2 * time.Second)
			}
			trial.Add(r)
		}
		v, why := trial.Judge(time.Minute)
		if atOnce && v != Passed || !atOnce && (v != Failed || why != "its slowest requests are slower") {
			t.Errorf("at once %v: %v, %s", atOnce, v, why)
		}
	}
}
