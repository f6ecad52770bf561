// Package stats has the few figures that the bench's tables are made of:
// medians and spreads of rounds, percentiles of latencies.
//
// No function keeps or changes what it is given.
package stats

import (
	"cmp"
	"math"
	"slices"
)

// Summary is what a table shows of the same figure in several rounds.
type Summary struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// Summarize returns the zero Summary for no values at all.
func Summarize(values []float64) Summary {
	if len(values) == 0 {
		return Summary{}
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	median := sorted[middle]
	if len(sorted)%2 == 0 {
		median = (sorted[middle-1] + sorted[middle]) / 2
	}
	return Summary{Median: median, Min: sorted[0], Max: sorted[len(sorted)-1]}
}

// Spread is the distance from the lowest to the highest value as a part of
// the median: 0.2 is 20 %.
func (s Summary) Spread() float64 {
	if s.Median == 0 {
		return 0
	}
	return (s.Max - s.Min) / s.Median
}

// MedianInterval returns an interval that holds the median of what values are a sample
// of, with a confidence of at least 95 %: the order statistics of the sign test, which
// asks nothing of the distribution. Fewer than six values cannot give that confidence;
// then it is their range. It is 0, 0 for none.
func MedianInterval(values []float64) (low, high float64) {
	if len(values) == 0 {
		return 0, 0
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	// The number of values below the median is binomial with p = 1/2: cut is how many can
	// be left out at each end before 2.5 % are reached.
	cut := 0
	probability := math.Pow(0.5, float64(n)) // of exactly cut values below
	for below := probability; below <= 0.025; below += probability {
		cut++
		probability *= float64(n-cut+1) / float64(cut)
	}
	cut = max(cut-1, 0)
	return sorted[cut], sorted[n-1-cut]
}

// Percentile is the nearest-rank percentile: the smallest value that at least
// p percent of the values do not exceed. sorted must be in ascending order;
// it is the zero value for none.
func Percentile[T cmp.Ordered](sorted []T, p float64) T {
	if len(sorted) == 0 {
		var none T
		return none
	}
	// p/100·n is seldom exact in binary: 99.9 % of 1000 must be rank 999.
	rank := int(math.Ceil(p/100*float64(len(sorted)) - 1e-9))
	return sorted[min(max(rank, 1), len(sorted))-1]
}
