package liveview

import (
	"math"
	"testing"
)

func TestQuantiles(t *testing.T) {
	t.Parallel()
	h := Histogram{Bounds: []float64{0.1, 0.2, 0.4}, Counts: []uint64{10, 0, 10, 0}}
	got := h.quantiles(0.25, 0.5, 0.75, 1)
	for i, want := range []float64{0.05, 0.1, 0.3, 0.4} {
		if math.Abs(got[i]-want) > 1e-9 {
			t.Errorf("quantiles %v, want %v at %d", got, want, i)
		}
	}
	// What is longer than the last bound counts as that.
	if got := (Histogram{Bounds: []float64{1, 2}, Counts: []uint64{0, 0, 5}}).quantiles(0.5); got[0] != 2 {
		t.Errorf("beyond the last bound: %v", got)
	}
	if got := (Histogram{Bounds: []float64{1, 2}, Counts: []uint64{0, 0, 0}}).quantiles(0.5); got != nil {
		t.Errorf("of nothing: %v", got)
	}
}

// A counter that has begun again is not one that has gone back.
func TestCountersThatBeginAgain(t *testing.T) {
	t.Parallel()
	before := Histogram{Bounds: []float64{1}, Counts: []uint64{5, 7}}
	diff := Histogram{Bounds: []float64{1}, Counts: []uint64{8, 3}}.since(before)
	if diff.Counts[0] != 3 || diff.Counts[1] != 3 {
		t.Errorf("grown by %v", diff.Counts)
	}
	// The first state, before there was any.
	if first := before.since(Histogram{}); first.Counts[0] != 5 || first.Counts[1] != 7 {
		t.Errorf("the first: %v", first.Counts)
	}
}
