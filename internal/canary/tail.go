package canary

import (
	"math"
	"slices"
)

const (
	// tailFloor is the latency below which none is in the tail.
	tailFloor = 41 // up to 25.5 ms
	// leastTail is how many times as many of its requests a new generation has to have in the
	// tail.
	leastTail = 1.5
	// maxSpans is the number of spans of time into which a trial is divided at most; half as
	// many at least, once there were so many reports. worstSpans of them count no more than the
	// next.
	maxSpans   = 20
	worstSpans = 2
)

// tailShares are the shares of the requests of both sides that are the tail: the slowest.
var tailShares = [...]float64{0.02, 0.005, 0.001}

// A span is the latencies of both sides in a part of a trial.
type span struct{ latest, old Histogram }

// spans are the latencies of a trial, by time.
type spans struct {
	all     []span
	reports int // that a span has
	had     int // that the last span has, so far
}

// last returns the span that the next report belongs to.
func (s *spans) last() *span {
	if len(s.all) == 0 || s.had == s.reports {
		if len(s.all) == maxSpans {
			s.halve()
		}
		s.reports = max(s.reports, 1)
		s.all, s.had = append(s.all, span{}), 0
	}
	return &s.all[len(s.all)-1]
}

// turn is called when a report is complete.
func (s *spans) turn() { s.had++ }

// halve makes one span of each two.
func (s *spans) halve() {
	for i := range maxSpans / 2 {
		two := s.all[2*i]
		two.latest.merge(s.all[2*i+1].latest)
		two.old.merge(s.all[2*i+1].old)
		s.all[i] = two
	}
	s.all = s.all[:maxSpans/2]
	s.reports *= 2
}

// A part is how many requests there were in a span, and how many of them were in the tail.
type part struct{ latest, all, latestTail, tail float64 }

// hasWorseTail reports whether more of the slowest requests of both sides are the new
// generation's than its share of the requests is, when its latencies are moved down by so many
// buckets, at a level: see the package comment.
func (t *Trial) hasWorseTail(down int, level float64) bool {
	a, m := t.New.latencies().folded(down, tailFloor)
	b, n := t.Old.latencies().folded(0, tailFloor)
	if min(m, n) < latencyLeast {
		return false
	}
	level /= float64(len(tailShares))
	first, sum := maxBuckets, part{latest: m, all: m + n}
	for i := len(tailShares) - 1; i >= 0; i-- {
		for first > tailFloor+1 && sum.tail < tailShares[i]*sum.all {
			first--
			sum.latestTail += a[first]
			sum.tail += a[first] + b[first]
		}
		if sum.isWorse(level) && t.withoutWorst(first, down, sum).isWorse(level) {
			return true
		}
	}
	return false
}

// withoutWorst returns what a tail that begins with the bucket first is when the spans in which the
// new generation had most of it count no more than the next: what was slow in a moment may have one
// cause.
func (t *Trial) withoutWorst(first, down int, sum part) part {
	counts := make([]float64, len(t.spans.all))
	for i, s := range t.spans.all {
		latest := s.latest
		if i == len(counts)-1 { // those that run yet are of now
			latest = slices.Clone(latest)
			latest.merge(t.New.Running)
		}
		a, _ := latest.folded(down, tailFloor)
		for _, n := range a[first:] {
			counts[i] += n
		}
	}
	slices.Sort(counts)
	slices.Reverse(counts)
	for i := range min(worstSpans, len(counts)) {
		more := counts[i]
		if len(counts) > worstSpans {
			more -= counts[worstSpans]
		}
		sum.latest -= more
		sum.all -= more
		sum.latestTail -= more
		sum.tail -= more
	}
	return sum
}

// isWorse reports whether the new generation has too many of the tail, by Fisher's exact test.
func (p part) isWorse(level float64) bool {
	old := p.all - p.latest
	if p.latestTail*old < leastTail*(p.tail-p.latestTail)*p.latest {
		return false
	}
	return atLeast(p.latestTail, p.tail, p.latest, p.all) < level
}

// atLeast returns the chance that of so many requests, of which m are the new generation's, x or more
// of t that are drawn from them are the new generation's (the hypergeometric distribution).
func atLeast(x, t, m, all float64) float64 {
	if x*all <= t*m {
		return 1
	}
	choose := func(n, k float64) float64 {
		a, _ := math.Lgamma(n + 1)
		b, _ := math.Lgamma(k + 1)
		c, _ := math.Lgamma(n - k + 1)
		return a - b - c
	}
	p := math.Exp(choose(m, x) + choose(all-m, t-x) - choose(all, t))
	sum := 0.0
	for k := x; k <= min(t, m) && p > sum*1e-12; k++ {
		sum += p
		p *= (m - k) * (t - k) / ((k + 1) * (all - m - t + k + 1))
	}
	return sum
}
