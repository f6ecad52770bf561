package otlp

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// A testLog keeps lines.
type testLog struct{ lines []string }

func (l *testLog) Warnf(format string, args ...any) {
	l.lines = append(l.lines, fmt.Sprintf(format, args...))
}

func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for _, p := range pairs {
			if key, value, _ := strings.Cut(p, "="); key == name {
				return value
			}
		}
		return ""
	}
}

// Where a signal goes, by the variables that are set; nowhere if it is empty.
func TestEndpoints(t *testing.T) {
	for variables, want := range map[string]string{
		"": "",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318":                                                        "http://c:4318/v1/traces",
		"OTEL_EXPORTER_OTLP_ENDPOINT=https://c/base/":                                                      "https://c/base/v1/traces",
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://c:4318":                                                 "http://c:4318/",
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://t/x OTEL_EXPORTER_OTLP_ENDPOINT=http://c":               "http://t/x",
		"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=http://m/x":                                                   "",
		"OTEL_TRACES_EXPORTER=otlp":                                                                        "http://localhost:4318/v1/traces",
		"OTEL_TRACES_EXPORTER=console,otlp":                                                                "http://localhost:4318/v1/traces",
		"OTEL_TRACES_EXPORTER=none OTEL_EXPORTER_OTLP_ENDPOINT=http://c":                                   "",
		"OTEL_SDK_DISABLED=TRUE OTEL_EXPORTER_OTLP_ENDPOINT=http://c":                                      "",
		"OTEL_SDK_DISABLED=no OTEL_EXPORTER_OTLP_ENDPOINT=http://c OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=":    "http://c/v1/traces",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://c OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=":                         "http://c/v1/traces",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://c OTEL_METRICS_EXPORTER=none":                                  "http://c/v1/traces",
		"OTEL_EXPORTER_OTLP_ENDPOINT=grpc://c OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://c:1/v1/traces?k=v": "http://c:1/v1/traces?k=v",
	} {
		s, err := New(environment(strings.Fields(variables)...), Traces, nil)
		got := ""
		if s != nil {
			got = s.url.String()
		}
		if err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", variables, got, err, want)
		}
	}
}

func TestHeaders(t *testing.T) {
	v := variables{environment("OTEL_EXPORTER_OTLP_HEADERS=a=1, b = c%20d ,,empty=,x=y=z"), Traces}
	h, err := v.headers()
	if err != nil || h.Get("a") != "1" || h.Get("b") != "c d" || h.Get("x") != "y=z" || len(h["Empty"]) != 1 {
		t.Errorf("%v, %v", h, err)
	}
	for _, bad := range []string{"secret", "a=1,secret", "=secret", "a b=secret", "a=%zz", "a=b%0d%0asecret: x", "a:=secret"} {
		v := variables{environment("OTEL_EXPORTER_OTLP_HEADERS=" + bad), Traces}
		if _, err := v.headers(); err == nil || strings.Contains(err.Error(), "secret") && !strings.Contains(err.Error(), "api-key=secret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// A collector that refuses for good is not asked again; one that is busy is, when it wants to
// be. What it rejects of a message is said once.
func TestSend(t *testing.T) {
	message := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), rejection(3, "too old"))
	for name, c := range map[string]struct {
		answers []func(w http.ResponseWriter)
		asked   int
		lines   []string
	}{
		"taken":    {[]func(http.ResponseWriter){status(200)}, 1, nil},
		"for good": {[]func(http.ResponseWriter){status(400), status(200)}, 1, []string{"does not take spans: it answers 400 Bad Request."}},
		"moved":    {[]func(http.ResponseWriter){status(307), status(200)}, 1, []string{"it answers 307 Temporary Redirect."}},
		"busy":     {[]func(http.ResponseWriter){status(503), status(429), status(200)}, 3, []string{"it answers 503", "takes spans again; 0 were dropped"}},
		"in part":  {[]func(http.ResponseWriter){func(w http.ResponseWriter) { w.Write(message) }}, 1, []string{`it takes all but 3: "too old".`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if body, err := io.ReadAll(r.Body); err != nil || string(body) != "message" {
					t.Errorf("%q, %v", body, err)
				}
				c.answers[asked](w)
				asked++
			}))
			defer collector.Close()
			log := &testLog{}
			s, err := New(environment("OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL), Traces, log)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			s.Send(ctx, []byte("message"), 7)
			if asked != c.asked || len(log.lines) != len(c.lines) {
				t.Errorf("asked %d times: %q", asked, log.lines)
			}
			for i := range min(len(log.lines), len(c.lines)) {
				if !strings.Contains(log.lines[i], c.lines[i]) {
					t.Errorf("%q", log.lines[i])
				}
			}
			s.Close()
		})
	}
}

func status(code int) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(code)
	}
}

func rejection(n uint64, text string) []byte {
	b := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), n)
	return protowire.AppendString(protowire.AppendTag(b, 2, protowire.BytesType), text)
}

func FuzzRejected(f *testing.F) {
	f.Add([]byte{})
	f.Add(protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), rejection(3, "too old")))
	f.Add([]byte{0x0a, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, answer []byte) {
		if _, text := rejected(answer); len(text) > len(answer) {
			t.Errorf("%q of %q", text, answer)
		}
	})
}
