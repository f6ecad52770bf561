// Package tracing makes spans of requests, as OpenTelemetry has them: for each sampled
// request one of the server, and below it how long it has waited and run.
//
// It does so by the SDK of OpenTelemetry and its exporter (otlptrace); the variables of the
// environment are those of that SDK. A [Tracer] that is nil is off, and costs a comparison.
//
// Spans wait in memory, OTEL_BSP_MAX_QUEUE_SIZE at most, and go to the collector from a
// goroutine of their own: no request waits for that. What does not fit is dropped and
// counted. Texts that clients have sent are cut, and there are neither queries nor cookies
// nor credentials among them.
//
// Try it with go test ./internal/tracing.
package tracing

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	proto "go.opentelemetry.io/proto/otlp/trace/v1"
	protobuf "google.golang.org/protobuf/proto"

	"indrik/internal/otlp"
	"indrik/internal/version"
)

// A Tracer makes spans.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
}

// limits are those of the batch processor, with its defaults.
type limits struct {
	queue, batch   int // spans
	delay, timeout int // milliseconds
}

// New returns a tracer as the environment wants it, nil if it wants none. The error says
// which variable is wrong.
func New(log otlp.Log) (*Tracer, error) {
	sender, err := otlp.New(os.Getenv, otlp.Traces, log)
	if sender == nil || err != nil {
		return nil, err
	}
	l := limits{queue: sdk.DefaultMaxQueueSize, batch: sdk.DefaultMaxExportBatchSize, delay: sdk.DefaultScheduleDelay, timeout: sdk.DefaultExportTimeout}
	for name, value := range map[string]*int{
		"MAX_QUEUE_SIZE": &l.queue, "MAX_EXPORT_BATCH_SIZE": &l.batch, "SCHEDULE_DELAY": &l.delay, "EXPORT_TIMEOUT": &l.timeout,
	} {
		text := strings.TrimSpace(os.Getenv("OTEL_BSP_" + name))
		if text == "" {
			continue
		}
		if *value, err = strconv.Atoi(text); err != nil || *value <= 0 || *value > maxLimit {
			return nil, fmt.Errorf("OTEL_BSP_%s=%s: not a number from 1 to %d", name, text, maxLimit)
		}
	}
	l.batch = min(l.batch, l.queue)
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warnf("OpenTelemetry: %s", err) }))

	b := &boundedQueue{limit: int64(l.queue), sender: sender}
	exporter := otlptrace.NewUnstarted(&upload{sender: sender, queue: b})
	if err := exporter.Start(context.Background()); err != nil {
		return nil, err
	}
	b.SpanProcessor = sdk.NewBatchSpanProcessor(exporter,
		sdk.WithMaxQueueSize(l.queue), sdk.WithMaxExportBatchSize(l.batch),
		sdk.WithBatchTimeout(time.Duration(l.delay)*time.Millisecond), sdk.WithExportTimeout(time.Duration(l.timeout)*time.Millisecond))
	provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(b), sdk.WithResource(otlp.Resource()))
	return &Tracer{
		provider: provider,
		tracer:   provider.Tracer(otlp.ScopeName, trace.WithInstrumentationVersion(version.Version), trace.WithSchemaURL(semconv.SchemaURL)),
	}, nil
}

// maxLimit bounds what the variables of the batch processor say: a span takes up to some
// kilobytes.
const maxLimit = 1 << 16

// Close sends what waits, for as long as ctx allows, and ends the tracer.
func (t *Tracer) Close(ctx context.Context) {
	if t != nil {
		_ = t.provider.Shutdown(ctx) // what is not sent by then is lost
	}
}

// A boundedQueue passes spans on to the batch processor, and drops those that do not fit its
// queue: the processor would do that itself, and not say how many.
type boundedQueue struct {
	sdk.SpanProcessor
	limit  int64
	held   atomic.Int64 // spans that wait or are being sent
	sender *otlp.Sender
}

// OnEnd implements [sdk.SpanProcessor].
func (b *boundedQueue) OnEnd(s sdk.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	if b.held.Add(1) > b.limit {
		b.held.Add(-1)
		b.sender.Lose(1)
		return
	}
	b.SpanProcessor.OnEnd(s)
}

// An upload is the way from the exporter to the collector. It implements [otlptrace.Client].
type upload struct {
	sender *otlp.Sender
	queue  *boundedQueue
}

func (u *upload) Start(context.Context) error { return nil }

func (u *upload) Stop(context.Context) error {
	u.sender.Close()
	return nil
}

// UploadTraces sends spans. The sender has told the operator of what fails.
func (u *upload) UploadTraces(ctx context.Context, spans []*proto.ResourceSpans) error {
	n := 0
	for _, r := range spans {
		for _, s := range r.ScopeSpans {
			n += len(s.Spans)
		}
	}
	defer u.queue.held.Add(int64(-n))
	// TracesData has the fields of ExportTraceServiceRequest; with that one comes gRPC.
	message, err := protobuf.Marshal(&proto.TracesData{ResourceSpans: spans})
	if err != nil {
		return err
	}
	u.sender.Send(ctx, message, n)
	return nil
}
