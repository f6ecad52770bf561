package dispatch

import (
	"testing"
	"time"
)

func TestWaits(t *testing.T) {
	t.Parallel()
	start := time.Now()
	var w waits
	if got := w.quantile(start, 0.5); got != 0 {
		t.Errorf("p50 of nothing is %v", got)
	}
	for range 98 {
		w.add(start, 10*time.Millisecond)
	}
	w.add(start, time.Second)
	w.add(start, 2*time.Hour)
	for _, test := range []struct {
		share, least, most float64
	}{{0.5, 0.010, 0.0125}, {0.98, 0.010, 0.0125}, {0.99, 1, 1.25}, {1, 1800 * 0.8, 1800}} {
		if got := w.quantile(start.Add(time.Second), test.share); got < test.least || got > test.most {
			t.Errorf("%v: %v s, not from %v to %v", test.share, got, test.least, test.most)
		}
	}
	// What is older than a minute does not count.
	w.add(start.Add(31*time.Second), 100*time.Millisecond)
	if got := w.quantile(start.Add(32*time.Second), 0.5); got > 0.0125 {
		t.Errorf("after half a minute p50 is %v", got)
	}
	if got := w.quantile(start.Add(62*time.Second), 0.5); got < 0.1 || got > 0.125 {
		t.Errorf("after a minute p50 is %v", got)
	}
	if got := w.quantile(start.Add(200*time.Second), 0.5); got != 0 {
		t.Errorf("after all that p50 is %v", got)
	}
}

func BenchmarkWaits(b *testing.B) {
	var w waits
	now := time.Now()
	for i := range b.N {
		w.add(now, time.Duration(i%1000)*time.Microsecond)
	}
}
