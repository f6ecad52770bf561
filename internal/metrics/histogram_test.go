package metrics

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// A bucket has what is longer than its lower end, and no longer than its upper end.
func TestBucketOf(t *testing.T) {
	t.Parallel()
	end := func(i int) float64 { return math.Exp2(firstOctave + float64(i)/perOctave) }
	check := func(d time.Duration) {
		t.Helper()
		i := bucketOf(d)
		// A nanosecond is not a binary fraction of a second: ends are exact to a few bits.
		const much = 1 + 1e-15
		if i < buckets-1 && d.Seconds() > end(i)*much || i > 0 && d.Seconds()*much < end(i-1) {
			t.Errorf("%s is in bucket %d, from %v s to %v s", d, i, end(i-1), end(i))
		}
	}
	for d := time.Duration(1); d < 1000; d++ {
		check(d)
	}
	for i := range buckets - 1 {
		at := time.Duration(end(i) * 1e9)
		for d := at - 3; d <= at+3; d++ {
			check(d)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		check(time.Duration(math.Exp2(random.Float64() * 50)))
	}
	for _, d := range []time.Duration{math.MinInt64, -1, 0} {
		if i := bucketOf(d); i != 0 {
			t.Errorf("%s is in bucket %d", d, i)
		}
	}
	if i := bucketOf(math.MaxInt64); i != buckets-1 {
		t.Errorf("three centuries are in bucket %d", i)
	}
	for _, exact := range []time.Duration{time.Second, time.Second / 2, 64 * time.Second} {
		if i := bucketOf(exact); end(i) != exact.Seconds() || bucketOf(exact+1) != i+1 {
			t.Errorf("%s is in bucket %d, which ends at %v s", exact, i, end(i))
		}
	}
}

// decode returns the counts of a native histogram by the number of the bucket.
func decode(h *dto.Histogram) map[int]int64 {
	counts := map[int]int64{}
	index, n, at := 0, int64(0), 0
	for _, span := range h.PositiveSpan {
		index += int(span.GetOffset())
		for range span.GetLength() {
			n += h.PositiveDelta[at]
			counts[index] = n
			index, at = index+1, at+1
		}
	}
	return counts
}

// Both forms have all that was observed, by any number of goroutines, while others read.
func TestHistogram(t *testing.T) {
	t.Parallel()
	var h Histogram
	seen := []time.Duration{0, 500 * time.Nanosecond, time.Millisecond, time.Millisecond, 3 * time.Millisecond, time.Second, time.Minute, 2 * time.Minute, 3 * time.Hour}
	const rounds, observers = 100, 8
	var observing sync.WaitGroup
	for range observers {
		observing.Go(func() {
			for range rounds {
				for _, d := range seen {
					h.Observe(d)
				}
			}
		})
	}
	stop, reading := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(reading)
		for last := uint64(0); ; {
			out := h.write()
			if out.GetSampleCount() < last {
				t.Error("a count has become smaller")
			}
			last = out.GetSampleCount()
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	observing.Wait()
	close(stop)
	<-reading
	out := h.write()
	const each = rounds * observers
	if got := out.GetSampleCount(); got != each*uint64(len(seen)) {
		t.Errorf("%d are counted", got)
	}
	sum := 0.0
	for _, d := range seen {
		sum += each * d.Seconds()
	}
	if got := out.GetSampleSum(); math.Abs(got-sum) > 1e-3 {
		t.Errorf("they took %v s, want %v s", got, sum)
	}
	counts := decode(out)
	native := int64(out.GetZeroCount())
	for _, n := range counts {
		native += n
	}
	if uint64(native) != out.GetSampleCount() || out.GetZeroCount() != 2*each {
		t.Errorf("the native form has %d, and %d are about 0", native, out.GetZeroCount())
	}
	for index, want := range map[int]int64{0: each, -79: 2 * each, 97: each} { // 1 s, 1 ms, too long
		if counts[index] != want {
			t.Errorf("bucket %d has %d, want %d: %v", index, counts[index], want, counts)
		}
	}
	for _, test := range []struct {
		bound float64
		want  uint64
	}{{math.Exp2(-13), 2}, {math.Exp2(-10), 2}, {math.Exp2(-9), 4}, {0.5, 5}, {1, 6}, {32, 6}, {64, 7}} {
		found := false
		for _, b := range out.Bucket {
			if b.GetUpperBound() == test.bound {
				found = true
				if b.GetCumulativeCount() != test.want*each {
					t.Errorf("%v s: %d, want %d", test.bound, b.GetCumulativeCount(), test.want*each)
				}
			}
		}
		if !found {
			t.Errorf("there is no bucket up to %v s", test.bound)
		}
	}
}

// An empty histogram is a native one, too.
func TestEmptyHistogram(t *testing.T) {
	t.Parallel()
	var h Histogram
	if out := h.write(); len(out.PositiveSpan) != 1 || out.GetSampleCount() != 0 || len(out.Bucket) != classicLast-classicFirst+1 {
		t.Errorf("%v", out)
	}
}

func BenchmarkObserve(b *testing.B) {
	var h Histogram
	d := 123 * time.Microsecond
	for b.Loop() {
		h.Observe(d)
		d += 17
	}
}
