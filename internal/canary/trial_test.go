package canary

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"
)

// A stream is the requests of a server while it tries a new generation.
type stream struct {
	plan    Plan
	rate    float64 // requests a second
	oldRate float64 // share of them that fails
	newRate float64
	oldTime func(*rand.Rand) time.Duration
	newTime func(*rand.Rand) time.Duration
	outage  time.Duration // in which all requests fail, whoever runs them, after a third of the window
	deaths  int           // of new workers
	hiccup  time.Duration // that each new request takes in a quarter of a second, in the middle
}

// often is a latency with a median, as most are: the logarithm is normal, so that the 95th
// percentile is 3.6 times the median.
func often(median time.Duration) func(*rand.Rand) time.Duration {
	return func(r *rand.Rand) time.Duration {
		return time.Duration(float64(median) * math.Exp(0.78*r.NormFloat64()))
	}
}

// tail is a latency of which a share takes so many times as long.
func tail(usual func(*rand.Rand) time.Duration, share, times float64) func(*rand.Rand) time.Duration {
	return func(r *rand.Rand) time.Duration {
		d := usual(r)
		if r.Float64() < share {
			d = time.Duration(times * float64(d))
		}
		return d
	}
}

// steady is a latency that hardly differs.
func steady(r *rand.Rand) time.Duration {
	return time.Duration(float64(20*time.Millisecond) * (0.9 + 0.2*r.Float64()))
}

// run has the trial judged four times a second, as the master does, until there is a verdict.
func (s stream) run(seed uint64) (v Verdict, why string, after time.Duration, t *Trial) {
	r := rand.New(rand.NewPCG(seed, 1))
	if s.oldTime == nil {
		s.oldTime = often(20 * time.Millisecond)
	}
	if s.newTime == nil {
		s.newTime = s.oldTime
	}
	t = &Trial{Plan: s.plan}
	deck := NewDeck(s.plan.Share, r.IntN)
	const look = 250 * time.Millisecond
	due := 0.0
	for after = look; ; after += look {
		var report Report
		for due += s.rate * look.Seconds(); due >= 1; due-- {
			side, rate, latency := &report.Old, s.oldRate, s.oldTime
			if deck.Draw() {
				side, rate, latency = &report.New, s.newRate, s.newTime
				if s.hiccup > 0 && after == s.plan.Window/2 {
					latency = func(*rand.Rand) time.Duration { return s.hiccup }
				}
			}
			side.Requests++
			if out := after - s.plan.Window/3; r.Float64() < rate || out > 0 && out <= s.outage {
				side.Errors++
			}
			side.Latency.Count(latency(r))
		}
		if after == look {
			report.New.Deaths = s.deaths
		}
		t.Add(report)
		if v, why = t.Judge(after); v != Undecided {
			return v, why, after, t
		}
	}
}

var minute = Plan{Share{1, 20}, time.Minute}

// TestGoodDeploys checks that hardly any of many good deploys, a thousand in make nightly, is sent
// back, whatever the traffic, the failures that there are anyway, and the latency.
func TestGoodDeploys(t *testing.T) {
	deploys, few, more := 60, 1, 2
	if os.Getenv("INDRIK_TEST_LONG") != "" {
		deploys, few, more = 1000, 3, 10 // of the level 0.001 more are one of thirty
	}
	for name, s := range map[string]stream{
		"nothing fails":              {plan: minute, rate: 100},
		"few requests":               {plan: minute, rate: 5, oldRate: 0.01, newRate: 0.01},
		"one of a hundred fails":     {plan: minute, rate: 100, oldRate: 0.01, newRate: 0.01},
		"one of five fails":          {plan: minute, rate: 50, oldRate: 0.2, newRate: 0.2},
		"two seconds":                {plan: Plan{Share{1, 20}, 2 * time.Second}, rate: 500, oldRate: 0.01, newRate: 0.01},
		"a half":                     {plan: Plan{Share{1, 2}, 10 * time.Second}, rate: 50, oldRate: 0.05, newRate: 0.05},
		"an outage of a second":      {plan: minute, rate: 100, outage: time.Second},
		"a third slower":             {plan: minute, rate: 100, newTime: often(26 * time.Millisecond)},
		"fast, and twice as slow":    {plan: minute, rate: 100, oldTime: often(time.Millisecond), newTime: often(2 * time.Millisecond)},
		"fewer failures than before": {plan: minute, rate: 100, oldRate: 0.05, newRate: 0.01},
		"a long tail":                {plan: minute, rate: 100, oldTime: tail(often(20*time.Millisecond), 0.03, 20)},
		"two classes of requests":    {plan: minute, rate: 100, oldTime: tail(steady, 0.05, 10)},
		"a hiccup":                   {plan: minute, rate: 400, hiccup: 2 * time.Second},
		"a tail a third slower":      {plan: minute, rate: 100, oldTime: tail(steady, 0.05, 15), newTime: tail(steady, 0.05, 20)},
	} {
		back := 0
		for seed := range uint64(deploys) {
			if v, why, after, trial := s.run(seed); v != Passed {
				if back++; back <= 3 {
					t.Logf("%s: seed %d: after %s: %s. %s", name, seed, after, why, trial.Report)
				}
			}
		}
		most := few
		if name == "few requests" {
			most = more
		}
		t.Logf("%s: %d of %d were sent back", name, back, deploys)
		if back > most {
			t.Errorf("%s: %d good deploys of %d were sent back", name, back, deploys)
		}
	}
}

// TestBadDeploys checks that nearly all deploys that are bad are sent back, and how soon.
func TestBadDeploys(t *testing.T) {
	const deploys = 300
	for name, c := range map[string]struct {
		stream
		least float64       // share that is found
		soon  time.Duration // in the median
	}{
		"two of a hundred fail":              {stream{plan: minute, rate: 200, newRate: 0.02}, 0.98, 30 * time.Second},
		"two of a hundred fail, 100/s":       {stream{plan: minute, rate: 100, newRate: 0.02}, 0.9, time.Minute},
		"two of a hundred fail, in 2 s":      {stream{plan: Plan{Share{1, 5}, 2 * time.Second}, rate: 1000, newRate: 0.02}, 0.85, 2 * time.Second},
		"two of a hundred beside one of 500": {stream{plan: minute, rate: 500, oldRate: 0.002, newRate: 0.02}, 0.98, 30 * time.Second},
		"all fail":                           {stream{plan: minute, rate: 100, newRate: 1}, 1, 2 * time.Second},
		"all fail, of a few":                 {stream{plan: minute, rate: 2, newRate: 1}, 0.98, time.Minute},
		"three deaths":                       {stream{plan: minute, rate: 50, deaths: 3}, 1, 5 * time.Second},
		"twice as slow":                      {stream{plan: minute, rate: 100, newTime: often(40 * time.Millisecond)}, 0.98, time.Minute},
		"a tail alone, 100/s":                {stream{plan: minute, rate: 100, newTime: tail(often(20*time.Millisecond), 0.05, 30)}, 0.95, time.Minute},
		"a tail alone, 500/s":                {stream{plan: minute, rate: 500, newTime: tail(often(20*time.Millisecond), 0.02, 20)}, 0.95, time.Minute},
		"a tail alone, of a half":            {stream{plan: Plan{Share{1, 2}, 30 * time.Second}, rate: 100, newTime: tail(often(20*time.Millisecond), 0.05, 20)}, 0.95, 30 * time.Second},
		"ten times as slow":                  {stream{plan: minute, rate: 100, newTime: often(200 * time.Millisecond)}, 1, 20 * time.Second},
	} {
		found := 0
		var sum time.Duration
		for seed := range uint64(deploys) {
			if v, _, after, _ := c.run(seed); v == Failed {
				found++
				sum += after
			}
		}
		mean := sum / time.Duration(max(found, 1))
		t.Logf("%s: %d of %d were sent back, after %s in the mean", name, found, deploys, mean.Round(time.Millisecond))
		if float64(found) < c.least*deploys || mean > c.soon {
			t.Errorf("%s: %d of %d were sent back, after %s in the mean; should be %.0f %%, within %s", name, found, deploys, mean, 100*c.least, c.soon)
		}
	}
}

// TestEvidenceIsBounded checks Ville's inequality: looked at after each failure, the evidence
// against a generation that is just as bad as tolerated reaches 1/α in α of all cases at most.
func TestEvidenceIsBounded(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for _, share := range []float64{0.01, 0.05, 0.3, 0.5} {
		q0 := tolerated * share / (tolerated*share + 1 - share)
		for _, level := range []float64{0.1, 0.01} {
			const runs = 1000
			crossed := 0
			for range runs {
				for x, y := 0, 0; x+y < 200; {
					if r.Float64() < q0 {
						x++
					} else {
						y++
					}
					if Evidence(x, y, share) >= 1/level {
						crossed++
						break
					}
				}
			}
			// Three standard deviations above the level.
			if most := level*runs + 3*math.Sqrt(level*runs); float64(crossed) > most {
				t.Errorf("share %v, level %v: %d of %d crossed", share, level, crossed, runs)
			}
		}
	}
}

func TestEvidenceOfMuch(t *testing.T) {
	for _, c := range []struct{ x, y int }{{0, 0}, {0, 1 << 30}, {1 << 30, 0}, {1 << 30, 1 << 30}} {
		if e := Evidence(c.x, c.y, 0.05); math.IsNaN(e) || e < 0 {
			t.Errorf("%v: %v", c, e)
		}
	}
	if Evidence(0, 0, 0.05) != 1 || Evidence(5, 5, 0) != 1 || Evidence(5, 5, 1) != 1 {
		t.Error("nothing is evidence")
	}
	if Evidence(3, 0, 0.05) < enoughEvidence || Evidence(2, 0, 0.05) > enoughEvidence {
		t.Errorf("at 5%% the third failure beside none is to decide: %v, %v", Evidence(2, 0, 0.05), Evidence(3, 0, 0.05))
	}
}

// TestSlowerIsLevel checks the level of the test of latencies, with ties and with few values.
func TestSlowerIsLevel(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for _, n := range []int{latencyLeast, 20, 500} {
		const runs = 1000
		crossed := 0
		for range runs {
			var a, b Histogram
			for range n {
				a.Count(often(20 * time.Millisecond)(r))
			}
			for range 20 * n {
				b.Count(often(20 * time.Millisecond)(r))
			}
			if z, _ := slower(a, b, 0); z > 2.3263 { // the level 0.01
				crossed++
			}
		}
		if crossed > 22 {
			t.Errorf("%d values: %d of %d were slower by chance", n, crossed, runs)
		}
	}
	one := Histogram{0, 5}
	if z, _ := slower(one, one, 0); z != 0 {
		t.Errorf("of equal times: %v", z)
	}
	for _, pair := range [][2]Histogram{{nil, one}, {one, nil}, {nil, nil}} {
		if z, effect := slower(pair[0], pair[1], 0); z != 0 || effect != 0.5 {
			t.Errorf("nothing is slower: %v, %v", z, effect)
		}
	}
}

// TestHanging checks that a generation is sent back whose requests are not answered at all.
func TestHanging(t *testing.T) {
	trial := Trial{Plan: minute}
	for range 2000 {
		trial.Old.Requests++
		trial.Old.Latency.Count(20 * time.Millisecond)
	}
	for range latencyLeast {
		trial.New.Running.Count(3 * time.Second)
	}
	if v, why := trial.Judge(4 * time.Second); v != Failed || why != "it is slower" {
		t.Errorf("%v, %s", v, why)
	}
}

func TestEndOfTheWindow(t *testing.T) {
	for _, c := range []struct {
		name     string
		requests int
		errors   int
		old      int
		after    time.Duration
		want     Verdict
		why      string
	}{
		{"nothing yet", 0, 0, 0, time.Second, Undecided, ""},
		{"nothing at all", 0, 0, 500, time.Minute, Passed, "had no request"},
		{"few, and good", 30, 0, 500, time.Minute, Passed, "few requests"},
		{"few, one failed", 30, 1, 570, time.Minute, Passed, "few requests"},
		{"few, two failed, not yet over", 30, 2, 570, 59 * time.Second, Undecided, ""},
		{"few, two failed", 30, 2, 570, time.Minute, Failed, "fails more often"},
		{"enough, two failed", 200, 2, 3800, time.Minute, Passed, ""},
		{"three failed", 200, 3, 3800, time.Second, Failed, "fails more often"},
		{"three failed of very many", 100_000, 3, 1_900_000, time.Minute, Passed, ""},
	} {
		trial := Trial{Plan: minute}
		trial.New.Requests, trial.New.Errors, trial.Old.Requests = c.requests, c.errors, c.old
		if v, why := trial.Judge(c.after); v != c.want || !strings.Contains(why, c.why) || c.why == "" && why != "" {
			t.Errorf("%s: %v, %q", c.name, v, why)
		}
	}
}

func TestText(t *testing.T) {
	var r Report
	r.New = Side{Requests: 412, Errors: 8, TimedOut: 1, Deaths: 1}
	r.Old = Side{Requests: 1}
	for range 100 {
		r.New.Latency.Count(20 * time.Millisecond)
	}
	want := "New: 412 requests, 10 failed (2.43 %, 8 errors, 1 over time, 1 deaths), median 22 ms, p95 22 ms, p99 22 ms. Old: 1 request, 0 failed (0.00 %)"
	if got := r.String(); got != want {
		t.Errorf("%s", got)
	}
}

func FuzzDecodeReport(f *testing.F) {
	f.Add([]byte(`{"new":{"requests":1,"latency":[0,1]},"old":{}}`))
	f.Add([]byte(`{"new":{"requests":-1}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := DecodeReport(data)
		if err != nil {
			return
		}
		trial := Trial{Plan: minute}
		for range 100 {
			trial.Add(r)
		}
		trial.Judge(time.Hour)
		_ = trial.String()
		if _, err := json.Marshal(r); err != nil {
			t.Error(err)
		}
	})
}
