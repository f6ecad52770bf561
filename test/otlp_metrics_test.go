//go:build linux

package test

import (
	"fmt"
	"testing"

	otlppb "go.opentelemetry.io/proto/otlp/metrics/v1"

	"indrik/test/harness"
)

// pushing are the variables of a server that sends metrics, often, and no spans.
func pushing(c *harness.Collector, more ...string) []string {
	return append([]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + c.URL, "OTEL_TRACES_EXPORTER=none", "OTEL_METRIC_EXPORT_INTERVAL=100", "OTEL_SERVICE_NAME=shop",
	}, more...)
}

// TestMetricsByOTLP: a collector gets the same metrics as Prometheus, with counts that agree
// with the clients', up to the last request.
func TestMetricsByOTLP(t *testing.T) {
	t.Parallel()
	for _, exponential := range []bool{false, true} {
		t.Run(fmt.Sprint(exponential), func(t *testing.T) {
			c := harness.NewCollector(t)
			var more []string
			if exponential {
				more = append(more, "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION=base2_exponential_bucket_histogram")
			}
			s := harness.Start(t, harness.Options{App: "statuses:app", Env: pushing(c, more...), NoProbe: true})
			s.Workers(1)
			harness.Eventually(t, "metrics come", func() bool {
				m, _ := c.Metrics()
				return m["indrik_workers"] != nil
			})
			m, resource := c.Metrics()
			if resource["service.name"] != "shop" || len(resource["service.instance.id"]) != 32 {
				t.Errorf("the resource: %v", resource)
			}
			ready := 0.0
			for _, p := range m["indrik_workers"].GetGauge().DataPoints {
				if harness.Attributes(p.Attributes)["state"] == "ready" {
					ready = p.GetAsDouble()
				}
			}
			if ready > 1 {
				t.Errorf("%v workers are ready", ready)
			}
			const n = 17
			for range n {
				r, err := s.Request("GET", "/", "")
				if err != nil || r.Status != 200 {
					t.Fatalf("%v, %v", r, err)
				}
			}
			s.Terminate() // the last ones are sent at the end
			m, _ = c.Metrics()
			requests := m["indrik_http_requests_total"]
			if requests == nil {
				t.Fatalf("no indrik_http_requests_total among %d metrics", len(m))
			}
			sum := requests.GetSum()
			if sum == nil || !sum.IsMonotonic || sum.AggregationTemporality != otlppb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE || len(sum.DataPoints) != 1 {
				t.Fatalf("%v", requests)
			}
			p := sum.DataPoints[0]
			if a := harness.Attributes(p.Attributes); p.GetAsDouble() != n || a["method"] != "GET" || a["status"] != "200" || a["kind"] != "http1" {
				t.Errorf("%v", p)
			}
			if p.StartTimeUnixNano == 0 || p.StartTimeUnixNano > p.TimeUnixNano {
				t.Errorf("from %d to %d", p.StartTimeUnixNano, p.TimeUnixNano)
			}
			took := m["indrik_http_request_app_seconds"]
			if took.Unit != "s" || took.Description == "" {
				t.Errorf("%v", took)
			}
			var counts []uint64
			var count uint64
			if exponential {
				p := took.GetExponentialHistogram().DataPoints[0]
				if p.Scale != 3 {
					t.Errorf("%v", p)
				}
				counts, count = append(p.Positive.BucketCounts, p.ZeroCount), p.Count
			} else {
				p := took.GetHistogram().DataPoints[0]
				if len(p.BucketCounts) != len(p.ExplicitBounds)+1 {
					t.Errorf("%v", p)
				}
				counts, count = p.BucketCounts, p.Count
			}
			for _, in := range counts {
				count -= in
			}
			if count != 0 {
				t.Errorf("the buckets do not add up: %v", took)
			}
			if len(c.Spans()) != 0 {
				t.Errorf("%d spans", len(c.Spans()))
			}
		})
	}
}

// TestBadMetricsVariables: each is a line, and the server goes on without.
func TestBadMetricsVariables(t *testing.T) {
	t.Parallel()
	c := harness.NewCollector(t)
	for variable, why := range map[string]string{
		"OTEL_METRIC_EXPORT_INTERVAL=often":                                "not a number of milliseconds",
		"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=delta":          "the server sends cumulative ones; a collector can make others of them",
		"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION=squares": "explicit_bucket_histogram and base2_exponential_bucket_histogram are known",
		"OTEL_METRICS_EXPORTER=prometheus":                                 "the server sends otlp, or none",
	} {
		s := harness.Start(t, harness.Options{Env: pushing(c, variable)})
		s.Log.ExpectFrom(t, 0, `\[ERROR\] OpenTelemetry: no metrics are sent: `+variable+": "+why+"$")
		s.Terminate()
		if n := s.Log.Count("OpenTelemetry"); n != 1 {
			t.Errorf("%s: %d lines", variable, n)
		}
	}
	if m, _ := c.Metrics(); len(m) > 0 {
		t.Errorf("%d metrics came", len(m))
	}
}
