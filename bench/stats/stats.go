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
