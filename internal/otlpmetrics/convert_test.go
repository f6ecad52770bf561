package otlpmetrics

import (
	"math"
	"slices"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"indrik/internal/dispatch"
	"indrik/internal/metrics"
	"indrik/internal/status"
)

// family returns a metric with the points of an own kind.
func family(name string, kind dto.MetricType, points ...*dto.Metric) *dto.MetricFamily {
	return &dto.MetricFamily{Name: &name, Help: new("help"), Type: &kind, Metric: points}
}

// The buckets of both forms have the same ends as those of the server, and say the same.
func TestHistograms(t *testing.T) {
	r := new(metrics.Recorder)
	c := metrics.NewCollector(r, metrics.Sources{
		Front: func() status.Front { return status.Front{} }, Usage: func() dispatch.Usage { return dispatch.Usage{} }, Ready: func() bool { return true },
	})
	took := []time.Duration{0, 100 * time.Nanosecond, time.Millisecond, time.Millisecond, 3 * time.Second, 70 * time.Second, 2 * time.Hour}
	for _, d := range took {
		r.Record(&metrics.Response{Status: 200, Ran: max(d, 1)})
	}
	families := c.Fresh(t.Context())
	for _, m := range (&Pusher{}).convert(families, time.Now()) {
		if m.Name != "indrik_http_request_app_seconds" {
			continue
		}
		p := m.GetHistogram().DataPoints[0]
		for i, end := range p.ExplicitBounds {
			want, before := uint64(0), 0.0
			if i > 0 {
				before = p.ExplicitBounds[i-1]
			}
			for _, d := range took {
				if s := max(d, 1).Seconds(); s <= end && (s > before || i == 0) {
					want++
				}
			}
			if p.BucketCounts[i] != want {
				t.Errorf("up to %g s: %d, want %d", end, p.BucketCounts[i], want)
			}
		}
		if last := p.BucketCounts[len(p.BucketCounts)-1]; last != 2 || p.Count != uint64(len(took)) || p.GetSum() < 7273 || m.Unit != "s" {
			t.Errorf("%v", p)
		}
	}
	for _, m := range (&Pusher{exponential: true}).convert(families, time.Now()) {
		if m.Name != "indrik_http_request_app_seconds" {
			continue
		}
		p := m.GetExponentialHistogram().DataPoints[0]
		count := p.ZeroCount
		base := math.Exp2(math.Exp2(-float64(p.Scale)))
		for i, n := range p.Positive.BucketCounts {
			low, high := math.Pow(base, float64(p.Positive.Offset)+float64(i)), math.Pow(base, float64(p.Positive.Offset)+float64(i)+1)
			want := uint64(0)
			for _, d := range took {
				// The last bucket of the server is for all that takes longer.
				if s := min(max(d, 1).Seconds(), 4200); s > p.ZeroThreshold && s > low && s <= high {
					want++
				}
			}
			if n != want {
				t.Errorf("from %g to %g s: %d, want %d", low, high, n, want)
			}
			count += n
		}
		if count != p.Count || p.ZeroCount != 2 {
			t.Errorf("%v", p)
		}
	}
}

// What the app has may be anything that its workers have written.
func TestMetricsOfTheApp(t *testing.T) {
	label := []*dto.LabelPair{{Name: new("a"), Value: new("b\xff")}}
	huge := &dto.Histogram{
		Schema: new(int32(3)), PositiveSpan: []*dto.BucketSpan{{Offset: new(int32(0)), Length: new(uint32(1))}, {Offset: new(int32(math.MaxInt32)), Length: new(uint32(math.MaxUint32))}},
		PositiveDelta: []int64{1, -5},
	}
	falling := &dto.Histogram{SampleCount: new(uint64(1)), Bucket: []*dto.Bucket{
		{UpperBound: new(1.0), CumulativeCount: new(uint64(5))}, {UpperBound: new(2.0), CumulativeCount: new(uint64(3))}, {UpperBound: new(math.Inf(1)), CumulativeCount: new(uint64(2))},
	}}
	families := []*dto.MetricFamily{
		family("app_total", dto.MetricType_COUNTER, &dto.Metric{Label: label, Counter: &dto.Counter{Value: new(2.0)}}),
		family("app_bytes", dto.MetricType_UNTYPED, &dto.Metric{Untyped: &dto.Untyped{Value: new(3.0)}}, &dto.Metric{}),
		family("app_seconds", dto.MetricType_SUMMARY, &dto.Metric{Summary: &dto.Summary{SampleCount: new(uint64(4)), Quantile: []*dto.Quantile{{Quantile: new(0.5), Value: new(1.0)}}}}, &dto.Metric{}),
		family("app_falling", dto.MetricType_HISTOGRAM, &dto.Metric{Histogram: falling}, &dto.Metric{}),
		family("app_huge", dto.MetricType_HISTOGRAM, &dto.Metric{Histogram: huge}),
		family("app_none", dto.MetricType_GAUGE_HISTOGRAM, &dto.Metric{}),
		family("app_empty", dto.MetricType_HISTOGRAM),
	}
	for _, exponential := range []bool{false, true} {
		got := (&Pusher{exponential: exponential}).convert(families, time.Now())
		if len(got) != len(families)-1 {
			t.Fatalf("%d metrics", len(got))
		}
		p := got[0].GetSum().DataPoints[0]
		if p.GetAsDouble() != 2 || p.Attributes[0].Value.GetStringValue() != "b\uFFFD" || p.StartTimeUnixNano != 0 {
			t.Errorf("%v", p)
		}
		if got[1].Unit != "By" || got[1].GetGauge().DataPoints[0].GetAsDouble() != 3 || got[2].GetSummary().DataPoints[0].Count != 4 {
			t.Errorf("%v, %v", got[1], got[2])
		}
		if h := got[3].GetHistogram().DataPoints[0]; !slices.Equal(h.BucketCounts, []uint64{5, 0, 0}) || h.Count != 5 {
			t.Errorf("%v", h)
		}
	}
}
