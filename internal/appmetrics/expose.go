package appmetrics

import (
	"math"

	dto "github.com/prometheus/client_model/go"
)

// Expose returns metrics in the form in which Prometheus has them.
func Expose(families []Family) []*dto.MetricFamily {
	exposed := make([]*dto.MetricFamily, 0, len(families))
	for i := range families {
		f := &families[i]
		out := &dto.MetricFamily{Name: &f.Name, Help: &f.Help, Type: f.Type.exposed().Enum()}
		for j := range f.Series {
			out.Metric = append(out.Metric, f.Series[j].expose(f.Type))
		}
		exposed = append(exposed, out)
	}
	return exposed
}

func (t Type) exposed() dto.MetricType {
	switch t {
	case Counter:
		return dto.MetricType_COUNTER
	case Histogram:
		return dto.MetricType_HISTOGRAM
	case Summary:
		return dto.MetricType_SUMMARY
	case Gauge:
	}
	return dto.MetricType_GAUGE
}

func (s *Series) expose(t Type) *dto.Metric {
	m := &dto.Metric{}
	for i := range s.Labels {
		m.Label = append(m.Label, &dto.LabelPair{Name: &s.Labels[i].Name, Value: &s.Labels[i].Value})
	}
	switch t {
	case Counter:
		m.Counter = &dto.Counter{Value: &s.Value}
	case Histogram:
		h := &dto.Histogram{SampleCount: whole(s.Count), SampleSum: &s.Sum}
		for i := range s.Buckets {
			h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: &s.Buckets[i].Bound, CumulativeCount: whole(s.Buckets[i].Count)})
		}
		m.Histogram = h
	case Summary:
		m.Summary = &dto.Summary{SampleCount: whole(s.Count), SampleSum: &s.Sum}
	default:
		m.Gauge = &dto.Gauge{Value: &s.Value}
	}
	return m
}

// whole returns a number of observations. Only a file that no library has written has another
// number there than one from 0 on.
func whole(n float64) *uint64 {
	var u uint64
	if n > 0 { // and a number
		u = uint64(math.Min(n, 1<<53))
	}
	return &u
}
