//go:build linux

package test

import (
	"bytes"
	"testing"

	trace "go.opentelemetry.io/proto/otlp/trace/v1"

	"indrik/test/harness"
)

// TestAllTracingLibraries: the spans of an app that uses OpenTelemetry are below the server's,
// within its time, whether the app sets the SDK up or opentelemetry-instrument does.
func TestAllTracingLibraries(t *testing.T) {
	python := venvAll(t)
	// That is opentelemetry-instrument.
	instrument := []string{python, "-c", "from opentelemetry.instrumentation.auto_instrumentation import run; run()"}
	for name, o := range map[string]harness.Options{
		"WSGI":               {App: "libraries.spanning:wsgi", Env: []string{"OWN=1"}},
		"WSGI, threads":      {App: "libraries.spanning:wsgi", Env: []string{"OWN=1"}, Args: []string{"--threads", "4"}},
		"ASGI":               {App: "libraries.spanning:asgi", Env: []string{"OWN=1"}, Args: []string{"-k", "asgi"}},
		"WSGI, instrumented": {App: "libraries.spanning:wsgi", Wrap: instrument},
		"WSGI, preloaded":    {App: "libraries.spanning:wsgi", Wrap: instrument, Args: []string{"--preload"}},
		"ASGI, instrumented": {App: "libraries.spanning:asgi", Wrap: instrument, Args: []string{"-k", "asgi"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := harness.NewCollector(t)
			o.Python = python
			o.Env = append(c.Env("OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", "OTEL_SERVICE_NAME=shop", "OTEL_LOGS_EXPORTER=none"), o.Env...)
			s := harness.Start(t, o)
			r, err := s.Request("GET", "/traced?a=b", "", sampled)
			if err != nil || r.Status != 200 {
				t.Fatalf("%v, %v", r, err)
			}
			span := c.Served("/traced")
			if span.Trace() != theirTrace || span.Parent() != theirSpan {
				t.Errorf("the server's span: %v", span)
			}
			below := c.Await("the app's span below the server's", func(s *harness.Span) bool {
				return s.Resource["telemetry.sdk.language"] == "python" && s.Kind == trace.Span_SPAN_KIND_SERVER && bytes.Equal(s.ParentSpanId, span.SpanId)
			})
			work := c.Child(below, "work")
			// That of WSGI's middleware ends with close(), when the response is on its way already.
			if below.StartTimeUnixNano < span.StartTimeUnixNano || work.StartTimeUnixNano < below.StartTimeUnixNano || work.EndTimeUnixNano > span.EndTimeUnixNano {
				t.Errorf("%v and %v are not within %v", below, work, span)
			}
			run := c.Child(span, "app")
			if work.Millis() < 49 || run.Millis() < work.Millis() || run.Millis() > span.Millis() {
				t.Errorf("the app ran for %v ms, its work was %v ms, of %v ms", run.Millis(), work.Millis(), span.Millis())
			}
			if below.Resource["service.name"] != "shop" || span.Resource["service.name"] != "shop" {
				t.Errorf("%v, %v", below.Resource, span.Resource)
			}
			// A trace that is not sampled is sampled nowhere.
			r, err = s.Request("GET", "/unsampled", "", unsampled)
			if err != nil || r.Status != 200 {
				t.Fatalf("%v, %v", r, err)
			}
			s.Terminate()
			if c.Has("/unsampled") {
				t.Error("a trace that is not sampled was sent")
			}
		})
	}
}
