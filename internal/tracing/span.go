package tracing

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// How much of what a client sends is in a span, in bytes.
const (
	longestPath  = 1024
	longestHost  = 255
	longestAgent = 256
)

// A Request is what a span says of a request. Its slices are the caller's.
type Request struct {
	At time.Time // when its head had come

	Traceparent, Tracestate []byte // nil: the client sent none
	Trusted                 bool   // the client may say what trace the request belongs to

	Method, Path, Scheme, Host, UserAgent []byte // the path has no query
	Version                               string // of HTTP: 1.1
	Peer                                  netip.AddrPort

	IDHeader string // the field with the id of the request, in lower case; empty: it has none
	ID       []byte
}

// A Response is what a span says of how a request ended.
type Response struct {
	Status      int
	Bytes       int64 // of its body
	Client      string
	Queued      time.Time // when the request was submitted
	Waited, Ran time.Duration
	PID         int // of the worker
}

// A Span is that of one request. It is nil if there is no tracer.
type Span struct {
	t    *Tracer
	ctx  context.Context
	span trace.Span
}

// Start begins the span of a request. What a trusted client says of its trace is continued,
// with its decision about sampling; that of others begins a new trace, which refers to
// theirs: else anybody could have all requests recorded, or fill others' traces.
func (t *Tracer) Start(r *Request) *Span {
	ctx := context.Background()
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(r.At)}
	if r.Traceparent != nil {
		theirs := propagation.TraceContext{}.Extract(ctx, carrier{r})
		if r.Trusted {
			ctx = theirs
		} else if c := trace.SpanContextFromContext(theirs); c.IsValid() {
			options = append(options, trace.WithLinks(trace.Link{SpanContext: c.WithTraceState(trace.TraceState{})}))
		}
	}
	method, original := knownMethod(r.Method)
	name := method
	if original != nil {
		name = "HTTP"
	}
	s := &Span{t: t}
	s.ctx, s.span = t.tracer.Start(ctx, name, options...)
	if s.span.IsRecording() {
		s.span.SetAttributes(r.attributes(method, original)...)
	}
	return s
}

// A carrier gives the fields of a request to the reader of trace contexts.
type carrier struct{ r *Request }

func (c carrier) Get(key string) string {
	switch key {
	case "traceparent":
		return string(c.r.Traceparent)
	case "tracestate":
		return string(c.r.Tracestate)
	}
	return ""
}

func (c carrier) Set(string, string) {}

func (c carrier) Keys() []string { return []string{"traceparent", "tracestate"} }

// attributes returns those of the semantic conventions for servers
// (https://opentelemetry.io/docs/specs/semconv/http/http-spans/).
func (r *Request) attributes(method string, original []byte) []attribute.KeyValue {
	list := make([]attribute.KeyValue, 0, 12)
	list = append(list,
		semconv.HTTPRequestMethodKey.String(method),
		semconv.URLPath(text(r.Path, longestPath)),
		semconv.URLScheme(string(r.Scheme)),
		semconv.NetworkProtocolVersion(r.Version))
	if original != nil {
		list = append(list, semconv.HTTPRequestMethodOriginal(text(original, longestHost)))
	}
	if r.Host != nil {
		host, port := splitHost(text(r.Host, longestHost))
		list = append(list, semconv.ServerAddress(host))
		if n, err := strconv.ParseUint(port, 10, 16); err == nil {
			list = append(list, semconv.ServerPort(int(n)))
		}
	}
	if r.Peer.IsValid() {
		list = append(list, semconv.NetworkPeerAddress(r.Peer.Addr().String()), semconv.NetworkPeerPort(int(r.Peer.Port())))
	}
	if r.UserAgent != nil {
		list = append(list, semconv.UserAgentOriginal(text(r.UserAgent, longestAgent)))
	}
	if r.IDHeader != "" {
		list = append(list, semconv.HTTPRequestHeader(r.IDHeader, string(r.ID)))
	}
	return list
}

// text returns what a client sent as valid UTF-8, which Protocol Buffers want, and cut.
func text(b []byte, most int) string {
	return strings.ToValidUTF8(string(b[:min(len(b), most)]), "\uFFFD")
}

func splitHost(s string) (host, port string) {
	if host, port, err := net.SplitHostPort(s); err == nil {
		return host, port
	}
	return strings.Trim(s, "[]"), ""
}

// knownMethod returns a method as spans have it: others than these could be any number.
func knownMethod(method []byte) (name string, original []byte) {
	switch name := string(method); name {
	case "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY":
		return name, nil
	}
	return "_OTHER", method
}

// TraceID returns the number of the trace, in hexadecimal.
func (s *Span) TraceID() []byte {
	return []byte(s.span.SpanContext().TraceID().String())
}

// Headers returns the values of the fields by which the app's spans become children of this
// one (https://www.w3.org/TR/trace-context/). state is nil if there is none.
func (s *Span) Headers() (parent, state []byte) {
	c := s.span.SpanContext()
	flags := "-00"
	if c.IsSampled() {
		flags = "-01"
	}
	traceID, spanID := c.TraceID(), c.SpanID()
	parent = append(make([]byte, 0, 55), "00-"...)
	parent = append(append(parent, traceID.String()...), '-')
	parent = append(append(parent, spanID.String()...), flags...)
	if c.TraceState().Len() > 0 {
		state = []byte(c.TraceState().String())
	}
	return parent, state
}

// End ends the span with the response, and tells of the times in the queue and in the app.
func (s *Span) End(r *Response) {
	if !s.span.IsRecording() {
		return
	}
	list := make([]attribute.KeyValue, 0, 4)
	list = append(list, semconv.HTTPResponseStatusCode(r.Status), semconv.HTTPResponseBodySize(int(r.Bytes)))
	if r.Client != "" {
		list = append(list, semconv.ClientAddress(r.Client))
	}
	if r.Status >= 500 {
		list = append(list, semconv.ErrorTypeKey.String(strconv.Itoa(r.Status)))
		s.span.SetStatus(codes.Error, "")
	}
	s.span.SetAttributes(list...)
	if r.Waited > 0 {
		begun := r.Queued.Add(r.Waited)
		s.child("queue", r.Queued, begun)
		if r.Ran > 0 {
			s.child("app", begun, begun.Add(r.Ran), semconv.ProcessPID(r.PID))
		}
	}
	s.span.End()
}

func (s *Span) child(name string, from, to time.Time, attributes ...attribute.KeyValue) {
	_, c := s.t.tracer.Start(s.ctx, name, trace.WithTimestamp(from), trace.WithAttributes(attributes...))
	c.End(trace.WithTimestamp(to))
}

// Cut ends the span of a request whose response was cut off, or whose client has left. Any
// goroutine may call it; if the span has ended already it does nothing.
func (s *Span) Cut() {
	s.span.SetAttributes(semconv.ErrorTypeKey.String("cut_off"))
	s.span.SetStatus(codes.Error, "the response was cut off")
	s.span.End()
}
