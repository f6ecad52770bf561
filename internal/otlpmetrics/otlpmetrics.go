// Package otlpmetrics sends the metrics of the server to a collector of OpenTelemetry, where
// the environment asks for it: the same ones that Prometheus reads at the admin address, by
// the same names, once in an interval.
//
// The variables are those of OpenTelemetry's SDKs: OTEL_METRICS_EXPORTER,
// OTEL_EXPORTER_OTLP_METRICS_*, OTEL_METRIC_EXPORT_INTERVAL and OTEL_METRIC_EXPORT_TIMEOUT,
// OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION. A [Pusher] that is nil is off.
//
// Try it with go test ./internal/otlpmetrics.
package otlpmetrics

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"
	pb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/proto"

	"indrik/internal/otlp"
)

// A Source gives metrics, sorted by name. They are not changed.
type Source func(context.Context) []*dto.MetricFamily

// A Pusher sends metrics.
type Pusher struct {
	sender            *otlp.Sender
	source            Source
	exponential       bool
	interval, timeout time.Duration

	running context.Context // until it is to end
	end     context.CancelFunc
	ended   sync.WaitGroup
}

// New returns what sends the metrics of a source, nil if the environment wants none to be sent.
// The error says which variable is wrong.
func New(getenv func(string) string, source Source, log otlp.Log) (*Pusher, error) {
	sender, err := otlp.New(getenv, otlp.Metrics, log)
	if sender == nil || err != nil {
		return nil, err
	}
	p := &Pusher{sender: sender, source: source}
	p.running, p.end = context.WithCancel(context.Background())
	if p.interval, err = millis(getenv, "OTEL_METRIC_EXPORT_INTERVAL", time.Minute); err != nil {
		return nil, err
	}
	if p.timeout, err = millis(getenv, "OTEL_METRIC_EXPORT_TIMEOUT", 30*time.Second); err != nil {
		return nil, err
	}
	const temporality = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
	if value := strings.TrimSpace(getenv(temporality)); value != "" && !strings.EqualFold(value, "cumulative") {
		return nil, fmt.Errorf("%s=%s: the server sends cumulative ones; a collector can make others of them", temporality, value)
	}
	const aggregation = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"
	switch value := strings.TrimSpace(getenv(aggregation)); strings.ToLower(value) {
	case "", "explicit_bucket_histogram":
	case "base2_exponential_bucket_histogram":
		p.exponential = true
	default:
		return nil, fmt.Errorf("%s=%s: explicit_bucket_histogram and base2_exponential_bucket_histogram are known", aggregation, value)
	}
	return p, nil
}

func millis(getenv func(string) string, name string, usual time.Duration) (time.Duration, error) {
	text := strings.TrimSpace(getenv(name))
	if text == "" {
		return usual, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 || n > int(24*time.Hour/time.Millisecond) {
		return 0, fmt.Errorf("%s=%s: not a number of milliseconds", name, text)
	}
	return time.Duration(n) * time.Millisecond, nil
}

// Start sends metrics from now on.
func (p *Pusher) Start() {
	p.ended.Go(func() {
		t := time.NewTicker(p.interval)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				ctx, cancel := context.WithTimeout(p.running, p.timeout)
				p.push(ctx)
				cancel()
			case <-p.running.Done():
				return
			}
		}
	})
}

// push sends the metrics as they are now.
func (p *Pusher) push(ctx context.Context) {
	families := p.source(ctx)
	message, err := proto.Marshal(&pb.MetricsData{ResourceMetrics: []*pb.ResourceMetrics{{
		Resource:     otlp.ResourceMessage(),
		ScopeMetrics: []*pb.ScopeMetrics{{Scope: otlp.Scope(), Metrics: p.convert(families, time.Now())}},
	}}})
	if err == nil {
		p.sender.Send(ctx, message, len(families))
	}
}

// Close sends the last metrics, for as long as ctx allows, and ends.
func (p *Pusher) Close(ctx context.Context) {
	if p == nil {
		return
	}
	p.end()
	p.ended.Wait()
	p.push(ctx)
	p.sender.Close()
}
