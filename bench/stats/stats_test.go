package stats

import (
	"math"
	"slices"
	"testing"
)

func TestSummarize(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   Summary
		spread float64
	}{
		{nil, Summary{}, 0},
		{[]float64{7}, Summary{7, 7, 7}, 0},
		{[]float64{12, 8, 10}, Summary{10, 8, 12}, 0.4},
		{[]float64{4, 1, 3, 2}, Summary{2.5, 1, 4}, 1.2},
		{[]float64{0, 0, 0}, Summary{}, 0},
	} {
		given := slices.Clone(c.values)
		got := Summarize(c.values)
		if got != c.want {
			t.Errorf("Summarize(%v) = %v, want %v", c.values, got, c.want)
		}
		if s := got.Spread(); math.Abs(s-c.spread) > 1e-12 {
			t.Errorf("spread of %v = %v, want %v", c.values, s, c.spread)
		}
		if !slices.Equal(given, c.values) {
			t.Errorf("Summarize changed its argument to %v", c.values)
		}
	}
}

func TestPercentile(t *testing.T) {
	thousand := make([]int, 1000)
	for i := range thousand {
		thousand[i] = i + 1
	}
	for _, c := range []struct {
		sorted []int
		p      float64
		want   int
	}{
		{nil, 50, 0},
		{[]int{5}, 0, 5},
		{[]int{5}, 99.9, 5},
		{[]int{1, 2}, 50, 1},
		{[]int{1, 2, 3}, 50, 2},
		{[]int{1, 2, 3}, 99, 3},
		{thousand, 50, 500},
		{thousand, 99, 990},
		{thousand, 99.9, 999},
		{thousand, 100, 1000},
	} {
		if got := Percentile(c.sorted, c.p); got != c.want {
			t.Errorf("percentile %v of %d values = %d, want %d", c.p, len(c.sorted), got, c.want)
		}
	}
}

func TestMedianInterval(t *testing.T) {
	// The ranks are those of the usual tables for the sign test at 95 %.
	for _, c := range []struct{ n, low, high int }{
		{1, 1, 1}, {5, 1, 5}, {6, 1, 6}, {8, 1, 8}, {9, 2, 8}, {11, 2, 10}, {12, 3, 10}, {15, 4, 12}, {20, 6, 15},
	} {
		values := make([]float64, c.n)
		for i := range values {
			values[i] = float64(c.n - i)
		}
		if low, high := MedianInterval(values); low != float64(c.low) || high != float64(c.high) {
			t.Errorf("of %d values: ranks %v to %v, want %d to %d", c.n, low, high, c.low, c.high)
		}
	}
	if low, high := MedianInterval(nil); low != 0 || high != 0 {
		t.Errorf("of no values: %v to %v", low, high)
	}
}
