package front

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"indrik/internal/http1"
	"indrik/internal/otlpmetrics"
	"indrik/internal/tracing"
)

// This file makes the spans of requests where the environment asks for them (OTEL_*), and
// tells the app of them.

var (
	traceparentName = []byte("traceparent")
	tracestateName  = []byte("tracestate")
)

// lastTelemetry is how long this process waits for the collector to take the last spans and
// metrics.
const lastTelemetry = time.Second

// startTelemetry makes the tracer, and what sends metrics, if there are to be any.
func (s *server) startTelemetry() {
	var err error
	if s.tracer, err = tracing.New(s.log); err != nil {
		s.log.Errorf("OpenTelemetry: no spans are sent: %s", err)
	}
	if s.pusher, err = otlpmetrics.New(os.Getenv, s.gatherer.Fresh, s.log); err != nil {
		s.log.Errorf("OpenTelemetry: no metrics are sent: %s", err)
	}
	if s.pusher != nil {
		s.beginMetrics()
		s.pusher.Start()
	}
}

// stopTelemetry sends the last spans and metrics.
func (s *server) stopTelemetry() {
	s.end()
	ctx, cancel := context.WithTimeout(context.Background(), lastTelemetry)
	defer cancel()
	var ends sync.WaitGroup
	ends.Go(func() { s.tracer.Close(ctx) })
	ends.Go(func() { s.pusher.Close(ctx) })
	ended := make(chan struct{})
	go func() {
		ends.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
}

// startSpan begins the span of a request, and puts it into the head in the place of what the
// client says of its own: so the app's spans become a part of it. A request about the
// server's health has none.
func (ex *exchange) startSpan() {
	if h := ex.cfg.healthPath; len(h) > 0 && bytes.HasPrefix(ex.req.Path, append(h[:len(h):len(h)], '/')) {
		return
	}
	req, info := ex.req, ex.info
	r := tracing.Request{
		At: ex.Start, Trusted: ex.cfg.trusts(info.client), Version: versionOf(req),
		Method: req.Method, Path: req.Path, Scheme: ex.spanScheme(), Host: req.Get("Host"), UserAgent: req.Get("User-Agent"),
		Peer: info.peer(),
	}
	if ex.requestID != nil {
		r.IDHeader, r.ID = strings.ToLower(string(ex.cfg.requestIDHeader)), ex.requestID
	}
	fields, parents := req.Fields[:0], 0
	for _, f := range req.Fields {
		switch {
		case bytes.EqualFold(f.Name, traceparentName):
			parents++
			r.Traceparent = f.Value
		case !bytes.EqualFold(f.Name, tracestateName):
			fields = append(fields, f)
		case r.Tracestate == nil:
			r.Tracestate = f.Value
		default: // https://www.w3.org/TR/trace-context/#combined-header-value
			r.Tracestate = append(append(bytes.Clone(r.Tracestate), ','), f.Value...)
		}
	}
	if parents != 1 {
		r.Traceparent = nil
	}
	ex.span = ex.s.tracer.Start(&r)
	parent, state := ex.span.Headers()
	fields = append(fields, http1.Field{Name: traceparentName, Value: parent})
	if state != nil {
		fields = append(fields, http1.Field{Name: tracestateName, Value: state})
	}
	req.Fields = fields
}

// spanScheme returns the scheme that the client used, as far as it can be told.
func (ex *exchange) spanScheme() []byte {
	scheme, err := ex.scheme(ex.cfg.trusts(ex.info.peerAddr))
	if err != nil { // the request is about to be refused for that
		return ex.info.scheme()
	}
	return scheme
}

// peer returns the other end of the socket, an invalid address on a unix socket.
func (info *connInfo) peer() netip.AddrPort {
	if info.proxied {
		return netip.AddrPortFrom(info.peerAddr, 0)
	}
	return netip.AddrPortFrom(info.peerAddr, uint16(info.port))
}

func versionOf(req *http1.Request) string {
	if req.Major == 2 {
		return "2"
	}
	return strconv.Itoa(req.Major) + "." + strconv.Itoa(req.Minor)
}

// endSpan ends the span of a request with its response.
func (ex *exchange) endSpan() {
	r := tracing.Response{Status: ex.status, Bytes: ex.sent, Client: ex.remote(), PID: ex.PID, Waited: ex.Waited(), Ran: ex.Ran()}
	if r.Waited > 0 {
		r.Queued = ex.Queued()
	}
	ex.span.End(&r)
}

// cutSpan ends the span of a request that is not answered, if it has not ended.
func (ex *exchange) cutSpan() {
	if ex.span != nil {
		ex.span.Cut()
	}
}

// traceID returns the number of the trace of a request, nil if there is none.
func (ex *exchange) traceID() []byte {
	if ex.span == nil {
		return nil
	}
	return ex.span.TraceID()
}
