//go:build linux

package harness

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// A Collector takes what servers send by OTLP over HTTP.
type Collector struct {
	*httptest.Server
	t testing.TB

	mu       sync.Mutex
	requests []*http.Request
	bodies   [][]byte
	spans    []*Span
	metrics  []*metrics.ResourceMetrics
	refuse   func(w http.ResponseWriter, r *http.Request) bool
}

// A Span is one that came.
type Span struct {
	*trace.Span
	Resource map[string]string
}

// NewCollector starts a collector, which ends with the test.
func NewCollector(t testing.TB) *Collector {
	t.Helper()
	c := &Collector{t: t}
	c.Server = httptest.NewServer(http.HandlerFunc(c.take))
	t.Cleanup(c.Close)
	return c
}

// Env returns the variables of a program that is to send its spans here, soon.
func (c *Collector) Env(more ...string) []string {
	return append([]string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + c.URL, "OTEL_BSP_SCHEDULE_DELAY=50", "OTEL_METRICS_EXPORTER=none"}, more...)
}

// Refuse has f answer requests, as long as it returns true.
func (c *Collector) Refuse(f func(w http.ResponseWriter, r *http.Request) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuse = f
}

func (c *Collector) take(w http.ResponseWriter, r *http.Request) {
	message, err := io.ReadAll(r.Body) // then the server sees when the client leaves
	c.mu.Lock()
	refuse := c.refuse
	c.mu.Unlock()
	if refuse != nil && refuse(w, r) {
		return
	}
	if r.Header.Get("Content-Encoding") == "gzip" {
		var z *gzip.Reader
		if z, err = gzip.NewReader(bytes.NewReader(message)); err == nil {
			message, err = io.ReadAll(z)
		}
	}
	if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-protobuf" {
		http.Error(w, "not a message", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests, c.bodies = append(c.requests, r), append(c.bodies, message)
	if r.URL.Path == "/v1/metrics" {
		var m metrics.MetricsData
		if err := proto.Unmarshal(message, &m); err != nil {
			c.t.Errorf("the collector got %q: %s", message, err)
		}
		c.metrics = append(c.metrics, m.ResourceMetrics...)
		return
	}
	var traces trace.TracesData
	if err := proto.Unmarshal(message, &traces); err != nil {
		c.t.Errorf("the collector got %q: %s", message, err)
	}
	for _, resource := range traces.ResourceSpans {
		names := Attributes(resource.Resource.Attributes)
		for _, scope := range resource.ScopeSpans {
			for _, s := range scope.Spans {
				c.spans = append(c.spans, &Span{s, names})
			}
		}
	}
}

// Spans returns those that came so far.
func (c *Collector) Spans() []*Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*Span(nil), c.spans...)
}

// Metrics returns the metrics that were made last, by name, and the resource that they are of.
func (c *Collector) Metrics() (last map[string]*metrics.Metric, resource map[string]string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	last = map[string]*metrics.Metric{}
	if len(c.metrics) == 0 {
		return last, nil
	}
	// Those of a request that its sender has given up for the next one may come behind these.
	m := slices.MaxFunc(c.metrics, func(a, b *metrics.ResourceMetrics) int { return cmp.Compare(madeAt(a), madeAt(b)) })
	for _, scope := range m.ScopeMetrics {
		for _, one := range scope.Metrics {
			last[one.Name] = one
		}
	}
	return last, Attributes(m.Resource.Attributes)
}

// madeAt returns when metrics were made, in nanoseconds: that of the gauges in them.
func madeAt(m *metrics.ResourceMetrics) uint64 {
	for _, scope := range m.ScopeMetrics {
		for _, one := range scope.Metrics {
			if points := one.GetGauge().GetDataPoints(); len(points) > 0 {
				return points[0].TimeUnixNano
			}
		}
	}
	return 0
}

// Requests returns those that the collector has taken.
func (c *Collector) Requests() []*http.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*http.Request(nil), c.requests...)
}

// Has reports whether a text was in anything that came.
func (c *Collector) Has(text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.bodies {
		if bytes.Contains(b, []byte(text)) {
			return true
		}
	}
	return false
}

// Await waits for a span that matches.
func (c *Collector) Await(what string, matches func(*Span) bool) *Span {
	c.t.Helper()
	var found *Span
	Eventually(c.t, what, func() bool {
		for _, s := range c.Spans() {
			if matches(s) {
				found = s
				return true
			}
		}
		return false
	})
	return found
}

// Served waits for the span of a request to a path.
func (c *Collector) Served(path string) *Span {
	c.t.Helper()
	return c.Await("the span of "+path, func(s *Span) bool {
		return s.Kind == trace.Span_SPAN_KIND_SERVER && s.Resource["telemetry.sdk.language"] == "go" && s.Get("url.path") == path
	})
}

// Child waits for the span with a name below another one.
func (c *Collector) Child(of *Span, name string) *Span {
	c.t.Helper()
	return c.Await(name+" below "+of.Name, func(s *Span) bool {
		return s.Name == name && bytes.Equal(s.ParentSpanId, of.SpanId) && bytes.Equal(s.TraceId, of.TraceId)
	})
}

// Get returns an attribute as text, empty if there is none.
func (s *Span) Get(name string) string { return Attributes(s.Attributes)[name] }

// ID returns the number of the span, in hexadecimal.
func (s *Span) ID() string { return hex.EncodeToString(s.SpanId) }

// Trace returns the number of its trace.
func (s *Span) Trace() string { return hex.EncodeToString(s.TraceId) }

// Parent returns the number of the span above it, empty if there is none.
func (s *Span) Parent() string { return hex.EncodeToString(s.ParentSpanId) }

// Millis returns how long it took.
func (s *Span) Millis() float64 { return float64(s.EndTimeUnixNano-s.StartTimeUnixNano) / 1e6 }

// Attributes returns attributes as text by their names.
func Attributes(list []*common.KeyValue) map[string]string {
	m := map[string]string{}
	for _, a := range list {
		m[a.Key] = valueText(a.Value)
	}
	return m
}

func valueText(v *common.AnyValue) string {
	switch v.Value.(type) {
	case *common.AnyValue_StringValue:
		return v.GetStringValue()
	case *common.AnyValue_ArrayValue:
		var parts []string
		for _, part := range v.GetArrayValue().Values {
			parts = append(parts, valueText(part))
		}
		return strings.Join(parts, ",")
	}
	_, text, _ := strings.Cut(v.String(), ":")
	return text
}
