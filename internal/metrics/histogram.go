package metrics

import (
	"math"
	"sync/atomic"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// The buckets of a Histogram are those of Prometheus' native histograms: a bucket i ends at
// 2^(i/8) seconds, with that included, and begins where the one before ends.
const (
	schema      = 3 // 2^3 buckets an octave, so that each is 9 % wider than the one before
	perOctave   = 1 << schema
	firstOctave = -20 // what takes 2^-20 s, a microsecond, or less is one bucket
	lastOctave  = 12  // what takes more than 2^12 s, an hour and eight minutes, too
	buckets     = (lastOctave-firstOctave)*perOctave + 2

	// Those who read the classic form get a bucket an octave, from 2^-13 s (0.12 ms) to
	// 2^6 s (64 s).
	classicFirst, classicLast = -13, 6
)

// A Histogram counts how long things took. Any number of goroutines may use it, and no one
// waits for another.
type Histogram struct {
	counts [buckets]atomic.Uint64 // the first is for 2^firstOctave s or less, the last for more than 2^lastOctave s
	sum    atomic.Uint64          // nanoseconds that are not in summed
	summed float64                // seconds; of whoever calls write
}

// Observe counts something that took d.
func (h *Histogram) Observe(d time.Duration) {
	h.counts[bucketOf(d)].Add(1)
	h.sum.Add(uint64(max(d, 0)))
}

// mantissas are the upper ends of the buckets of an octave as the mantissa of a float64 has
// them, and behind them a value that no mantissa exceeds. below is how many of them are below
// each sixteenth of an octave, or at its start; in each there is one at most.
var mantissas, below = func() (ends [perOctave + 1]uint64, below [16]uint8) {
	ends[perOctave] = math.MaxUint64
	for i := range perOctave {
		ends[i] = math.Float64bits(math.Exp2(float64(i)/perOctave)) & mantissaMask
	}
	for part := range below {
		for i := range perOctave {
			if ends[i] < uint64(part)<<(mantissaBits-4) {
				below[part]++
			}
		}
	}
	return ends, below
}()

const (
	mantissaBits = 52
	mantissaMask = 1<<mantissaBits - 1
	exponentBias = 1023
)

// bucketOf returns the index in counts for something that took d.
func bucketOf(d time.Duration) int {
	if d <= 0 {
		return 0
	}
	bits := math.Float64bits(float64(d) * 1e-9) // of a positive number that is not denormal
	octave := int(bits>>mantissaBits) - exponentBias
	mantissa := bits & mantissaMask
	i := int(below[mantissa>>(mantissaBits-4)])
	if mantissa > mantissas[i] {
		i++
	}
	return min(max((octave-firstOctave)*perOctave+i, 0), buckets-1)
}

// Counts returns how many took how long: Bounds says up to how long each.
func (h *Histogram) Counts() []uint64 {
	counts := make([]uint64, buckets)
	for i := range counts {
		counts[i] = h.counts[i].Load()
	}
	return counts
}

// Bounds returns the upper ends of the buckets of histograms in seconds, which are included.
// The last bucket has none.
func Bounds() []float64 {
	bounds := make([]float64, buckets-1)
	for i := range bounds {
		bounds[i] = math.Exp2(firstOctave + float64(i)/perOctave)
	}
	return bounds
}

// write returns what was counted so far, in both forms. One goroutine at a time calls it.
func (h *Histogram) write() *dto.Histogram {
	counts, total := h.Counts(), uint64(0)
	for _, n := range counts {
		total += n
	}
	// What is taken out of the sum may be of something that is not counted yet: the next
	// reader finds that.
	h.summed += float64(h.sum.Swap(0)) * 1e-9
	out := &dto.Histogram{
		SampleCount: new(total), SampleSum: new(h.summed),
		Schema: new(int32(schema)), ZeroThreshold: new(math.Exp2(firstOctave)), ZeroCount: new(counts[0]),
	}
	writeNative(out, counts[1:])
	cumulative, next := uint64(0), 0
	for octave := classicFirst; octave <= classicLast; octave++ {
		for end := (octave - firstOctave) * perOctave; next <= end; next++ {
			cumulative += counts[next]
		}
		out.Bucket = append(out.Bucket, &dto.Bucket{UpperBound: new(math.Exp2(float64(octave))), CumulativeCount: new(cumulative)})
	}
	return out
}

// writeNative adds counts, those of the buckets from the first octave on, as spans of buckets
// that are not empty, each as the difference to the one before.
func writeNative(out *dto.Histogram, counts []uint64) {
	var span *dto.BucketSpan
	end := 0 // the bucket behind the last span, as Prometheus numbers them
	last := int64(0)
	for i, n := range counts {
		if n == 0 {
			span = nil
			continue
		}
		index := firstOctave*perOctave + i + 1
		if span == nil {
			span = &dto.BucketSpan{Offset: new(int32(index - end)), Length: new(uint32(0))}
			out.PositiveSpan = append(out.PositiveSpan, span)
		}
		*span.Length++
		out.PositiveDelta = append(out.PositiveDelta, int64(n)-last)
		last, end = int64(n), index+1
	}
	if out.PositiveSpan == nil {
		// A native histogram without any span would be taken for a classic one.
		out.PositiveSpan = []*dto.BucketSpan{{Offset: new(int32(0)), Length: new(uint32(0))}}
	}
}
