package front

import (
	"testing"
	"time"

	"indrik/internal/http1"
	"indrik/internal/tracing"
	"indrik/internal/wire"
)

// introduced returns a function that introduces a request of a client that sends some fields
// of its own, and is trusted.
func introduced(t testing.TB, s *server, w *wire.FrontConfig) func() *exchange {
	t.Helper()
	cfg, err := newConfig(w)
	must(t, err)
	head := []byte("GET /a?b=c HTTP/1.1\r\nHost: h\r\nX-Request-Id: theirs\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00\r\n\r\n")
	req := &http1.Request{}
	ex := &exchange{s: s, info: &connInfo{}, req: req}
	return func() *exchange {
		_, err := http1.ParseRequest(&cfg.http, head, req)
		must(t, err)
		ex.begin(cfg)
		ex.introduce()
		return ex
	}
}

// Without the settings and the variables a request costs two comparisons more.
func TestIntroduceCostsNothingUnlessAsked(t *testing.T) {
	introduce := introduced(t, &server{}, testConfig())
	if n := testing.AllocsPerRun(100, func() { introduce() }); n != 0 {
		t.Errorf("%g allocations", n)
	}
	if ex := introduce(); len(ex.req.Fields) != 3 || ex.requestID != nil || ex.span != nil {
		t.Errorf("%q", ex.req.Fields)
	}
}

// An id costs one allocation: its own memory.
func TestAnIDCostsOneAllocation(t *testing.T) {
	w := testConfig()
	w.RequestIDHeader = "X-Request-Id"
	introduce := introduced(t, &server{}, w)
	if n := testing.AllocsPerRun(100, func() { introduce() }); n != 1 {
		t.Errorf("%g allocations", n)
	}
	if ex := introduce(); string(ex.requestID) != "theirs" || len(ex.req.Fields) != 3 {
		t.Errorf("%q", ex.req.Fields)
	}
}

func BenchmarkIntroduce(b *testing.B) {
	ids := testConfig()
	ids.RequestIDHeader = "X-Request-Id"
	b.Run("nothing", func(b *testing.B) { benchmarkIntroduce(b, introduced(b, &server{}, testConfig())) })
	b.Run("ids", func(b *testing.B) { benchmarkIntroduce(b, introduced(b, &server{}, ids)) })
	b.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	tracer, err := tracing.New(noLog{})
	must(b, err)
	defer tracer.Close(b.Context())
	b.Run("not sampled", func(b *testing.B) { benchmarkIntroduce(b, introduced(b, &server{tracer: tracer}, testConfig())) })
	b.Setenv("OTEL_TRACES_SAMPLER", "always_on")
	sampled, err := tracing.New(noLog{})
	must(b, err)
	defer sampled.Close(b.Context())
	introduce := introduced(b, &server{tracer: sampled}, testConfig())
	b.Run("sampled", func(b *testing.B) {
		benchmarkIntroduce(b, func() *exchange {
			ex := introduce()
			ex.span.End(&tracing.Response{Status: 200, Queued: ex.Start, Waited: time.Microsecond, Ran: time.Microsecond})
			return ex
		})
	})
}

type noLog struct{}

func (noLog) Warnf(string, ...any) {}

func benchmarkIntroduce(b *testing.B, introduce func() *exchange) {
	b.ReportAllocs()
	for b.Loop() {
		introduce()
	}
}
