package otlpmetrics

import (
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	pb "go.opentelemetry.io/proto/otlp/metrics/v1"

	"indrik/internal/otlp"
)

// convert returns metrics as OTLP has them, with the names that they have.
func (p *Pusher) convert(families []*dto.MetricFamily, now time.Time) []*pb.Metric {
	c := converter{exponential: p.exponential, now: uint64(now.UnixNano())}
	for _, f := range families {
		switch f.GetName() {
		case "indrik_front_start_time_seconds":
			c.frontStart = nanos(f.Metric[0].GetGauge().GetValue())
		case "indrik_start_time_seconds":
			c.serverStart = nanos(f.Metric[0].GetGauge().GetValue())
		}
	}
	metrics := make([]*pb.Metric, 0, len(families))
	for _, f := range families {
		if m := c.family(f); m != nil {
			metrics = append(metrics, m)
		}
	}
	return metrics
}

type converter struct {
	exponential             bool
	now                     uint64 // nanoseconds since 1970, like the next two
	frontStart, serverStart uint64
}

func nanos(seconds float64) uint64 { return uint64(max(seconds, 0) * 1e9) }

// start returns since when a counter counts, 0 if that is not known.
func (c *converter) start(name string) uint64 {
	for _, prefix := range []string{"indrik_reloads_", "indrik_workers_", "indrik_worker_deaths_"} {
		if strings.HasPrefix(name, prefix) {
			return c.serverStart
		}
	}
	if strings.HasPrefix(name, "indrik_") && !strings.HasPrefix(name, "indrik_worker_") {
		return c.frontStart
	}
	return 0
}

// unit returns the unit that a name says, in UCUM.
func unit(name string) string {
	name = strings.TrimSuffix(name, "_total")
	switch {
	case strings.HasSuffix(name, "_seconds"):
		return "s"
	case strings.HasSuffix(name, "_bytes"):
		return "By"
	case strings.HasSuffix(name, "_ratio"):
		return "1"
	}
	return ""
}

// family returns a metric with all its points, nil if OTLP has no form for it.
func (c *converter) family(f *dto.MetricFamily) *pb.Metric {
	m := &pb.Metric{Name: f.GetName(), Description: f.GetHelp(), Unit: unit(f.GetName())}
	start := c.start(f.GetName())
	const cumulative = pb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE
	switch f.GetType() {
	case dto.MetricType_COUNTER:
		points := c.numbers(f, start, func(m *dto.Metric) float64 { return m.GetCounter().GetValue() })
		m.Data = &pb.Metric_Sum{Sum: &pb.Sum{DataPoints: points, AggregationTemporality: cumulative, IsMonotonic: true}}
	case dto.MetricType_GAUGE:
		m.Data = &pb.Metric_Gauge{Gauge: &pb.Gauge{DataPoints: c.numbers(f, 0, func(m *dto.Metric) float64 { return m.GetGauge().GetValue() })}}
	case dto.MetricType_UNTYPED:
		m.Data = &pb.Metric_Gauge{Gauge: &pb.Gauge{DataPoints: c.numbers(f, 0, func(m *dto.Metric) float64 { return m.GetUntyped().GetValue() })}}
	case dto.MetricType_HISTOGRAM:
		if c.exponential && len(f.Metric) > 0 && f.Metric[0].GetHistogram().Schema != nil {
			points := make([]*pb.ExponentialHistogramDataPoint, len(f.Metric))
			for i, m := range f.Metric {
				points[i] = c.exponentialPoint(m, start)
			}
			m.Data = &pb.Metric_ExponentialHistogram{ExponentialHistogram: &pb.ExponentialHistogram{DataPoints: points, AggregationTemporality: cumulative}}
			return m
		}
		points := make([]*pb.HistogramDataPoint, len(f.Metric))
		for i, m := range f.Metric {
			points[i] = c.explicitPoint(m, start)
		}
		m.Data = &pb.Metric_Histogram{Histogram: &pb.Histogram{DataPoints: points, AggregationTemporality: cumulative}}
	case dto.MetricType_SUMMARY:
		points := make([]*pb.SummaryDataPoint, len(f.Metric))
		for i, m := range f.Metric {
			points[i] = c.summaryPoint(m, start)
		}
		m.Data = &pb.Metric_Summary{Summary: &pb.Summary{DataPoints: points}}
	default: // histograms of gauges
		return nil
	}
	return m
}

func (c *converter) numbers(f *dto.MetricFamily, start uint64, value func(*dto.Metric) float64) []*pb.NumberDataPoint {
	points := make([]*pb.NumberDataPoint, len(f.Metric))
	for i, m := range f.Metric {
		points[i] = &pb.NumberDataPoint{
			Attributes: attributes(m), StartTimeUnixNano: start, TimeUnixNano: c.now,
			Value: &pb.NumberDataPoint_AsDouble{AsDouble: value(m)},
		}
	}
	return points
}

func attributes(m *dto.Metric) []*common.KeyValue {
	list := make([]*common.KeyValue, len(m.Label))
	for i, l := range m.Label {
		list[i] = otlp.Text(l.GetName(), l.GetValue())
	}
	return list
}

// explicitPoint returns a histogram with the buckets of its classic form. Those count what is
// in the buckets before as well, and there may be none for infinity.
func (c *converter) explicitPoint(m *dto.Metric, start uint64) *pb.HistogramDataPoint {
	h := m.GetHistogram()
	point := &pb.HistogramDataPoint{
		Attributes: attributes(m), StartTimeUnixNano: start, TimeUnixNano: c.now, Count: h.GetSampleCount(), Sum: new(h.GetSampleSum()),
	}
	before := uint64(0)
	for _, b := range h.GetBucket() {
		if b.GetUpperBound() > maxBound {
			break
		}
		point.ExplicitBounds = append(point.ExplicitBounds, b.GetUpperBound())
		point.BucketCounts = append(point.BucketCounts, max(b.GetCumulativeCount(), before)-before)
		before = max(b.GetCumulativeCount(), before)
	}
	point.BucketCounts = append(point.BucketCounts, max(h.GetSampleCount(), before)-before)
	point.Count = max(h.GetSampleCount(), before)
	return point
}

// maxBound is the greatest end of a bucket that is not infinity.
const maxBound = 1.7976931348623157e308

// maxBuckets is the largest number of buckets of a histogram; those of the server have 258.
const maxBuckets = 4096

// exponentialPoint returns a histogram with the buckets of its native form. Those are the
// same; OTLP numbers a bucket by its lower end, Prometheus by its upper one.
func (c *converter) exponentialPoint(m *dto.Metric, start uint64) *pb.ExponentialHistogramDataPoint {
	h := m.GetHistogram()
	point := &pb.ExponentialHistogramDataPoint{
		Attributes: attributes(m), StartTimeUnixNano: start, TimeUnixNano: c.now, Count: h.GetSampleCount(), Sum: new(h.GetSampleSum()),
		Scale: h.GetSchema(), ZeroCount: h.GetZeroCount(), ZeroThreshold: h.GetZeroThreshold(),
		Positive: &pb.ExponentialHistogramDataPoint_Buckets{},
	}
	next, first := int32(0), true // the number of the bucket behind the last one, as Prometheus has it
	last := int64(0)
	deltas := h.GetPositiveDelta()
	for _, span := range h.GetPositiveSpan() {
		next += span.GetOffset()
		if span.GetLength() == 0 {
			continue
		}
		if first {
			point.Positive.Offset, first = next-1, false
		} else if gap := int(max(span.GetOffset(), 0)); gap+len(point.Positive.BucketCounts) > maxBuckets {
			break
		} else {
			point.Positive.BucketCounts = append(point.Positive.BucketCounts, make([]uint64, gap)...)
		}
		for range span.GetLength() {
			if len(deltas) == 0 {
				break
			}
			last += deltas[0]
			deltas = deltas[1:]
			point.Positive.BucketCounts = append(point.Positive.BucketCounts, uint64(max(last, 0)))
			next++
		}
	}
	return point
}

func (c *converter) summaryPoint(m *dto.Metric, start uint64) *pb.SummaryDataPoint {
	s := m.GetSummary()
	point := &pb.SummaryDataPoint{
		Attributes: attributes(m), StartTimeUnixNano: start, TimeUnixNano: c.now, Count: s.GetSampleCount(), Sum: s.GetSampleSum(),
	}
	for _, q := range s.GetQuantile() {
		point.QuantileValues = append(point.QuantileValues, &pb.SummaryDataPoint_ValueAtQuantile{Quantile: q.GetQuantile(), Value: q.GetValue()})
	}
	return point
}
