//go:build linux

package test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	trace "go.opentelemetry.io/proto/otlp/trace/v1"

	"indrik/test/harness"
)

const (
	theirTrace = "0af7651916cd43dd8448eb211c80319c"
	theirSpan  = "b7ad6b7169203331"
	sampled    = "traceparent: 00-" + theirTrace + "-" + theirSpan + "-01"
	unsampled  = "traceparent: 00-" + theirTrace + "-" + theirSpan + "-00"
)

// expectAttributes compares some attributes of a span.
func expectAttributes(t *testing.T, s *harness.Span, want map[string]string) {
	t.Helper()
	for name, v := range want {
		if got := s.Get(name); got != v {
			t.Errorf("%s: %s is %q, want %q", s.Name, name, got, v)
		}
	}
}

// TestSpans: a request of a client that is trusted continues its trace; the app is told of
// the server's span, and the collector gets it with the times in the queue and in the app.
func TestSpans(t *testing.T) {
	t.Parallel()
	for _, app := range []string{"showenviron:app", "asgiapps:scope"} {
		t.Run(app, func(t *testing.T) {
			c := harness.NewCollector(t)
			s := harness.Start(t, harness.Options{App: app, Conf: withIDs, Env: c.Env("OTEL_SERVICE_NAME=shop", "OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=test")})
			began := time.Now()
			r, err := s.Request("GET", "/a%20b?secret=query", "", sampled, "tracestate: other=1", "tracestate: more=2", "X-Request-Id: id-1",
				"Cookie: secret=cookie", "Authorization: Bearer secret-token", "User-Agent: "+strings.Repeat("agent", 100), "Referer: http://secret.referer/")
			harness.Must(t, err)
			span := c.Served("/a%20b")
			if span.Trace() != theirTrace || span.Parent() != theirSpan || span.Name != "GET" || span.Kind != trace.Span_SPAN_KIND_SERVER || span.Status.GetCode() != 0 {
				t.Errorf("the span: %v", span)
			}
			expectAttributes(t, span, map[string]string{
				"http.request.method": "GET", "url.path": "/a%20b", "url.scheme": "http", "server.address": "test", "network.protocol.version": "1.1",
				"http.response.status_code": "200", "client.address": "127.0.0.1", "network.peer.address": "127.0.0.1",
				"user_agent.original": strings.Repeat("agent", 100)[:256], "http.request.header.x-request-id": "id-1", "error.type": "",
			})
			if span.Resource["service.name"] != "shop" || span.Resource["deployment.environment.name"] != "test" {
				t.Errorf("the resource: %v", span.Resource)
			}
			parent := "00-" + theirTrace + "-" + span.ID() + "-01"
			if strings.Count(r.Body, parent) != 1 || strings.Contains(r.Body, theirSpan) || !strings.Contains(r.Body, "other=1,more=2") {
				t.Errorf("the app gets %s, not %s", r.Body, parent)
			}
			queue, run := c.Child(span, "queue"), c.Child(span, "app")
			for _, child := range []*harness.Span{queue, run} {
				if child.Kind != trace.Span_SPAN_KIND_INTERNAL || child.StartTimeUnixNano < span.StartTimeUnixNano || child.EndTimeUnixNano > span.EndTimeUnixNano {
					t.Errorf("%v is not within %v", child, span)
				}
			}
			if queue.EndTimeUnixNano != run.StartTimeUnixNano || span.Millis() > float64(time.Since(began).Milliseconds()+1) || span.StartTimeUnixNano < uint64(began.UnixNano()) {
				t.Errorf("times: %v, %v, %v", span, queue, run)
			}
			expectAttributes(t, run, map[string]string{"process.pid": fmt.Sprint(s.Workers(1)[0])})
			s.Terminate()
			if c.Has("secret") {
				t.Error("something secret was sent")
			}
			if req := c.Requests()[0]; !strings.HasPrefix(req.UserAgent(), "indrik/") || req.URL.Path != "/v1/traces" {
				t.Errorf("the request to the collector: %v", req)
			}
		})
	}
}

// TestSampling: who is trusted decides whether the trace is recorded; else the environment
// does. A trace that others name is not continued.
func TestSampling(t *testing.T) {
	t.Parallel()
	told := func(r *harness.Response) (traceID, spanID, flags string) {
		t.Helper()
		e := variablesOf(t, r)
		text, _ := e["HTTP_TRACEPARENT"].(string)
		parts := strings.Split(text, "-")
		if len(parts) != 4 || parts[0] != "00" || len(parts[1]) != 32 || len(parts[2]) != 16 || strings.Contains(text, ",") {
			t.Fatalf("the app gets traceparent %q", text)
		}
		return parts[1], parts[2], parts[3]
	}
	c := harness.NewCollector(t)
	s := harness.Start(t, harness.Options{App: "showenviron:app", Env: c.Env()})
	client := s.Client()
	if id, span, flags := told(client.Do(t, "GET", "/unsampled", "", unsampled)); id != theirTrace || span == theirSpan || flags != "00" {
		t.Errorf("of a trace that is not sampled: %s %s %s", id, span, flags)
	}
	for _, field := range []string{"A: b", "traceparent: none", "traceparent: 00-" + theirTrace + "-0000000000000000-01", sampled + "\r\n" + sampled} {
		if id, _, flags := told(client.Do(t, "GET", "/new", "", field)); id == theirTrace || flags != "01" {
			t.Errorf("%s: %s %s", field, id, flags)
		}
	}
	c.Served("/new")
	s.Terminate()
	for _, span := range c.Spans() {
		if span.Get("url.path") == "/unsampled" {
			t.Errorf("%v", span)
		}
	}

	// Nobody is trusted.
	c = harness.NewCollector(t)
	s = harness.Start(t, harness.Options{App: "showenviron:app", Env: c.Env(), Args: []string{"--forwarded-allow-ips", "192.0.2.1"}})
	id, spanID, flags := told(s.Client().Do(t, "GET", "/theirs", "", unsampled, "tracestate: theirs=1"))
	if id == theirTrace || flags != "01" {
		t.Errorf("of a client that is not trusted: %s %s", id, flags)
	}
	span := c.Served("/theirs")
	if span.Trace() != id || span.ID() != spanID || span.Parent() != "" || len(span.Links) != 1 || fmt.Sprintf("%x", span.Links[0].TraceId) != theirTrace {
		t.Errorf("%v", span)
	}
	s.Terminate()
	if c.Has("theirs=1") {
		t.Error("the trace state of a client that is not trusted was sent on")
	}

	// The environment samples nothing.
	c = harness.NewCollector(t)
	s = harness.Start(t, harness.Options{App: "showenviron:app", Env: c.Env("OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=0")})
	client = s.Client()
	if _, _, flags := told(client.Do(t, "GET", "/own", "")); flags != "00" {
		t.Errorf("flags %s", flags)
	}
	if id, _, flags := told(client.Do(t, "GET", "/sampled", "", sampled)); id != theirTrace || flags != "01" {
		t.Errorf("the decision of a trusted client does not count: %s %s", id, flags)
	}
	c.Served("/sampled")
	s.Terminate()
	for _, span := range c.Spans() {
		if span.Get("url.path") == "/own" {
			t.Errorf("%v", span)
		}
	}
}

// TestSpansOfFailures: what the server answers itself has a span too, with what went wrong.
func TestSpansOfFailures(t *testing.T) {
	t.Parallel()
	c := harness.NewCollector(t)
	s := harness.Start(t, harness.Options{App: "dying:app", Args: []string{"-k", "asgi", "--health-path", "/-/health", "--limit-request-body", "5", "--timeout", "5"}, Env: c.Env()})
	failed := func(path, status string) *harness.Span {
		t.Helper()
		span := c.Served(path)
		want := ""
		if status >= "500" {
			want = status
		}
		expectAttributes(t, span, map[string]string{"http.response.status_code": status, "error.type": want})
		if (want != "") != (span.Status.GetCode() == trace.Status_STATUS_CODE_ERROR) {
			t.Errorf("%s: %v", path, span.Status)
		}
		return span
	}
	// Its body is too large; its method is its own.
	r, err := s.Request("PROPFIND", "/large", "more than five")
	if err != nil || r.Status != 413 {
		t.Errorf("%v, %v", r, err)
	}
	span := failed("/large", "413")
	expectAttributes(t, span, map[string]string{"http.request.method": "_OTHER", "http.request.method_original": "PROPFIND"})
	if span.Name != "HTTP" {
		t.Errorf("its name is %s", span.Name)
	}
	// Its worker is killed while it runs.
	g := s.Gate("wait")
	lost := s.Begin("/wait")
	g.Entered()
	harness.Kill(t, s.Workers(1)[0], syscall.SIGKILL)
	lost.Expect(502)
	g.Release()
	failed("/wait", "502")
	// Its worker is blocked.
	blocked := s.Begin("/block")
	blocked.Expect(504)
	span = failed("/block", "504")
	if run := c.Child(span, "app"); run.Millis() < 4900 {
		t.Errorf("it ran for %v ms", run.Millis())
	}
	// Its client leaves.
	g = s.Gate("wait")
	client := s.Client()
	client.Send(t, harness.FormatRequest("GET", "/stream", ""))
	client.ExpectHead(t, 200)
	g.Entered()
	client.Close()
	span = c.Served("/stream")
	expectAttributes(t, span, map[string]string{"error.type": "cut_off"})
	g.Release()
	// Nobody needs spans of probes.
	if r, err := s.Request("GET", "/-/health/readyz", ""); err != nil || r.Status != 200 {
		t.Errorf("%v, %v", r, err)
	}
	s.Terminate()
	for _, span := range c.Spans() {
		if strings.HasPrefix(span.Get("url.path"), "/-/") {
			t.Errorf("%v", span)
		}
	}
}

// TestSpansOverHTTP2 and of WebSockets: those of a handshake end with it.
func TestSpansOverHTTP2(t *testing.T) {
	t.Parallel()
	c := harness.NewCollector(t)
	harness.OverHTTP2(t, harness.Options{App: "showenviron:app", Env: c.Env()}, func(t *testing.T, s *harness.Server, w *harness.Web) {
		path := "/" + strings.TrimPrefix(s.Options.App, "showenviron:") + fmt.Sprint(s.Port)
		p := w.Fetch("GET", path, "", "traceparent", strings.TrimPrefix(sampled, "traceparent: "))
		span := c.Served(path)
		expectAttributes(t, span, map[string]string{"network.protocol.version": "2", "http.response.status_code": "200"})
		if span.Parent() != theirSpan || strings.Count(p.Text, span.ID()) != 1 {
			t.Errorf("%v: %s", span, p.Text)
		}
		s.Terminate()
	})
	s := harness.Start(t, harness.Options{App: "sockets:app", Args: []string{"-k", "asgi"}, Env: c.Env()})
	ws, err := s.TryWebSocket("/echo", sampled)
	harness.Must(t, err)
	span := c.Served("/echo")
	expectAttributes(t, span, map[string]string{"http.response.status_code": "101"})
	if span.Parent() != theirSpan {
		t.Errorf("%v", span)
	}
	ws.SendFrame(harness.Fin|harness.OpText, "still there")
	ws.ExpectMessage(harness.OpText, "still there")
	ws.Close()
	s.Terminate()
}

// TestLastSpans: what waits when the server ends is sent, and so is what waits at a reload.
func TestLastSpans(t *testing.T) {
	t.Parallel()
	c := harness.NewCollector(t)
	s := harness.Start(t, harness.Options{Env: c.Env("OTEL_BSP_SCHEDULE_DELAY=60000", "OTEL_EXPORTER_OTLP_COMPRESSION=gzip", "OTEL_EXPORTER_OTLP_HEADERS=api-key=a%20b,other=c")})
	s.Get("/first")
	s.Reload(1)
	s.Get("/last")
	s.Terminate()
	c.Served("/first")
	c.Served("/last")
	if h := c.Requests()[0].Header; h.Get("Api-Key") != "a b" || h.Get("Other") != "c" || h.Get("Content-Encoding") != "gzip" {
		t.Errorf("%v", h)
	}
}

// TestTracesInLogs: the access log has the number of the trace.
func TestTracesInLogs(t *testing.T) {
	t.Parallel()
	c := harness.NewCollector(t)
	s := harness.Start(t, harness.Options{Env: c.Env(), Args: []string{"--log-format", "json", "--access-logfile", "-"}})
	_, err := s.Request("GET", "/logged", "", sampled)
	harness.Must(t, err)
	m := s.Log.Expect(t, `^{.*"path":"/logged".*}$`)
	var line struct {
		TraceID string `json:"trace_id"`
	}
	if err := json.Unmarshal([]byte(m[0]), &line); err != nil || line.TraceID != theirTrace {
		t.Errorf("%s: %v", m[0], err)
	}
	s.Terminate()
}

// TestWithoutTracing: unless it is asked for there is none, and what is asked for wrongly is
// one line.
func TestWithoutTracing(t *testing.T) {
	t.Parallel()
	c := harness.NewCollector(t)
	for _, env := range [][]string{nil, c.Env("OTEL_SDK_DISABLED=true"), c.Env("OTEL_TRACES_EXPORTER=none")} {
		s := harness.Start(t, harness.Options{App: "showenviron:app", Env: env})
		variablesOf(t, s.Client().Do(t, "GET", "/", "", sampled)).expect(t, variables{"HTTP_TRACEPARENT": strings.TrimPrefix(sampled, "traceparent: ")})
		s.Terminate()
		if n := s.Log.Count("OpenTelemetry"); n != 0 {
			t.Errorf("%q: %s", env, s.Log)
		}
	}
	for variable, why := range map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=collector:4318":               `"collector:4318" is no URL such as http://localhost:4318`,
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=ftp://x/":              `"ftp://x/" is no URL such as http://localhost:4318`,
		"OTEL_EXPORTER_OTLP_PROTOCOL=grpc":                         `OTEL_EXPORTER_OTLP_PROTOCOL=grpc: the server speaks http/protobuf alone`,
		"OTEL_EXPORTER_OTLP_TIMEOUT=soon":                          `OTEL_EXPORTER_OTLP_TIMEOUT=soon: not a number of milliseconds`,
		"OTEL_EXPORTER_OTLP_HEADERS=secret":                        `OTEL_EXPORTER_OTLP_HEADERS: not a list such as api-key=secret,other=value`,
		"OTEL_EXPORTER_OTLP_COMPRESSION=zstd":                      `OTEL_EXPORTER_OTLP_COMPRESSION=zstd: the server knows gzip and none`,
		"OTEL_EXPORTER_OTLP_CERTIFICATE=/nowhere":                  `OTEL_EXPORTER_OTLP_CERTIFICATE: open /nowhere: no such file`,
		"OTEL_EXPORTER_OTLP_CLIENT_KEY=/nowhere":                   `OTEL_EXPORTER_OTLP_CLIENT_KEY: a client's certificate and its key need each other`,
		"OTEL_BSP_MAX_QUEUE_SIZE=many":                             `OTEL_BSP_MAX_QUEUE_SIZE=many: not a number from 1 to 65536`,
		"OTEL_TRACES_EXPORTER=zipkin":                              `OTEL_TRACES_EXPORTER=zipkin: the server sends otlp, or none`,
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://[::1/v1/traces": `is no URL`,
	} {
		s := harness.Start(t, harness.Options{Env: c.Env(variable)})
		s.Log.ExpectFrom(t, 0, `\[ERROR\] OpenTelemetry: no spans are sent: .*`+strings.NewReplacer("[", `\[`, "(", `\(`).Replace(why))
		s.Get("/served")
		s.Terminate()
		if n := s.Log.Count("OpenTelemetry"); n != 1 {
			t.Errorf("%s: %d lines", variable, n)
		}
	}
	s := harness.Start(t, harness.Options{Env: c.Env("OTEL_TRACES_SAMPLER=some")})
	s.Log.ExpectFrom(t, 0, `\[WARNING\] OpenTelemetry: unsupported sampler: some`)
	s.Get("/sampled")
	c.Served("/sampled")
	s.Terminate()
}

// TestCollectorThatIsAway: it costs spans and a line of the log, and one when it is back.
func TestCollectorThatIsAway(t *testing.T) {
	t.Parallel()
	c := harness.NewCollector(t)
	asked := make(chan struct{}, 1)
	c.Refuse(func(w http.ResponseWriter, _ *http.Request) bool {
		select {
		case asked <- struct{}{}:
		default: // nobody counts them
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	s := harness.Start(t, harness.Options{Env: c.Env("OTEL_BSP_MAX_QUEUE_SIZE=30")})
	<-asked
	s.Log.ExpectFrom(t, 0, `\[WARNING\] OpenTelemetry: http://127\.0\.0\.1:\d+/v1/traces does not take spans: it answers 503 Service Unavailable\. They are dropped until it does$`)
	// Three spans each; the queue has room for ten requests with that of the probe.
	for i := range 50 {
		s.Get(fmt.Sprint("/", i))
	}
	c.Refuse(nil)
	m := s.Log.Expect(t, `\[WARNING\] OpenTelemetry: http://127\.0\.0\.1:\d+/v1/traces takes spans again; (\d+) were dropped$`)
	var dropped int
	fmt.Sscan(m[1], &dropped)
	harness.Eventually(t, "all that was kept has come", func() bool { return len(c.Spans())+dropped == 51*3 })
	if dropped < 40*3 || dropped >= 51*3 {
		t.Errorf("%d were dropped", dropped)
	}
	s.Get("/after")
	c.Served("/after")
	s.Terminate()
	if n := s.Log.Count("OpenTelemetry"); n != 2 {
		t.Errorf("%d lines", n)
	}

	// Nobody listens, and it is the port for another protocol; the server ends soon all the same.
	s = harness.Start(t, harness.Options{Env: []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://user:pass@127.0.0.2:4317", "OTEL_BSP_SCHEDULE_DELAY=50"}})
	s.Log.ExpectFrom(t, 0, `OpenTelemetry: http://user:xxxxx@127\.0\.0\.2:4317/ does not take spans: .*connection refused \(4317 is the port for gRPC; OTLP over HTTP has 4318\)`)
	s.Get("/")
	began := time.Now()
	s.Terminate()
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("the end took %v", took)
	}
}

// TestCollectorThatIsSlow: nobody waits for it.
func TestCollectorThatIsSlow(t *testing.T) {
	t.Parallel()
	c := harness.NewCollector(t)
	asked, release := make(chan struct{}, 1), make(chan struct{})
	c.Refuse(func(_ http.ResponseWriter, r *http.Request) bool {
		select {
		case asked <- struct{}{}:
		default: // as above
		}
		select {
		case <-release:
		case <-r.Context().Done():
		}
		return false
	})
	s := harness.Start(t, harness.Options{App: "echo:app", Env: c.Env("OTEL_BSP_MAX_QUEUE_SIZE=30", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=10", "OTEL_EXPORTER_OTLP_TIMEOUT=60000")})
	<-asked
	load := s.KeepAliveLoad(2)
	load.Progress(500)
	harness.ExpectNoneLost(t, load)
	close(release)
	harness.Eventually(t, "it has what was kept", func() bool { return len(c.Spans()) >= 30 })
	s.Terminate()
}
