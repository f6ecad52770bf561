package canary

import (
	"math"
	"slices"
	"time"
)

// A Side is what is known of one of the two generations.
type Side struct {
	Requests int `json:"requests"`  // that were answered, or whose clients left, or that were over time
	Errors   int `json:"errors"`    // responses of 5xx, and those that broke off
	TimedOut int `json:"timed_out"` // requests over timeout
	Deaths   int `json:"deaths"`    // of workers

	Latency Histogram `json:"latency"` // of those requests whose latency counts
	Running Histogram `json:"running"` // requests that have run for more than a second at this moment
}

// Add adds what has happened since to what was known. Of Running only the last counts.
func (s *Side) Add(o Side) {
	s.Requests += o.Requests
	s.Errors += o.Errors
	s.TimedOut += o.TimedOut
	s.Deaths += o.Deaths
	s.Latency.merge(o.Latency)
	s.Running = o.Running
}

// Failed is how many requests have failed.
func (s *Side) Failed() int { return s.Errors + s.TimedOut + s.Deaths }

// rate is the share of requests that have failed.
func (s *Side) rate() float64 { return float64(s.Failed()) / float64(max(s.Requests, s.Failed(), 1)) }

// latencies are those of the requests that are over and of those that run.
func (s *Side) latencies() Histogram {
	all := slices.Clone(s.Latency)
	all.merge(s.Running)
	return all
}

// valid reports whether no number is negative or too large to be added up.
func (s *Side) valid() bool {
	const most = 1 << 30
	for _, n := range []int{s.Requests, s.Errors, s.TimedOut, s.Deaths} {
		if n < 0 || n > most {
			return false
		}
	}
	return s.Latency.valid() && s.Running.valid()
}

// A Histogram counts times: the first bucket those up to leastTime, each further one those up
// to 1.5^⅓ as long, the last all others. Buckets at its end that are empty may be missing.
type Histogram []int

const (
	leastTime  = 100 * time.Microsecond
	perFactor  = 3   // buckets in which times grow by factor
	factor     = 1.5 //
	maxBuckets = 100 // the last is for more than a minute
)

// bounds are the upper ends of the buckets.
var bounds = func() (b [maxBuckets]time.Duration) {
	for i := range b {
		b[i] = time.Duration(float64(leastTime) * math.Pow(factor, float64(i)/perFactor))
	}
	return b
}()

// Count counts a time.
func (h *Histogram) Count(d time.Duration) {
	i, _ := slices.BinarySearch(bounds[:], d)
	i = min(i, maxBuckets-1)
	h.grow(i + 1)
	(*h)[i]++
}

func (h *Histogram) grow(n int) {
	if len(*h) < n {
		*h = append(*h, make([]int, n-len(*h))...)
	}
}

func (h *Histogram) merge(o Histogram) {
	h.grow(len(o))
	for i, n := range o {
		(*h)[i] += n
	}
}

func (h Histogram) valid() bool {
	for _, n := range h {
		if n < 0 || n > 1<<30 {
			return false
		}
	}
	return len(h) <= maxBuckets
}

// Total is how many times were counted.
func (h Histogram) Total() (n int) {
	for _, c := range h {
		n += c
	}
	return n
}

// Quantile returns the time that a share of the times did not exceed, up to the width of a
// bucket; 0 if there are none.
func (h Histogram) Quantile(share float64) time.Duration {
	total, seen := float64(h.Total()), 0.0
	for i, n := range h {
		if seen += float64(n); n > 0 && seen >= share*total {
			return bounds[i]
		}
	}
	return 0
}
