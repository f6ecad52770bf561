//go:build linux

package test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"indrik/test/harness"

	"golang.org/x/net/http2"
)

func TestHTTP2Hello(t *testing.T) {
	t.Parallel()
	harness.OverHTTP2(t, harness.Options{}, func(t *testing.T, s *harness.Server, w *harness.Web) {
		for range 20 {
			p := w.Fetch("GET", "/", "")
			if p.ProtoMajor != 2 || p.StatusCode != 200 || p.Text != "Hello, World!\n" || p.Header.Get("Server") != harness.ProgramName() || p.Header.Get("Date") == "" {
				t.Fatalf("%v", p)
			}
			if p.Header.Get("Connection") != "" {
				t.Errorf("a field of HTTP/1.1: %v", p)
			}
		}
		w.ExpectOneConnection()
		s.Get("/") // by HTTP/1.1 on the same port
		s.Terminate()
	})
}

func TestHTTP2WithCurl(t *testing.T) {
	t.Parallel()
	harness.OverHTTP2(t, harness.Options{App: "echo:app"}, func(t *testing.T, s *harness.Server, w *harness.Web) {
		args := []string{"--http2", fmt.Sprintf("https://localhost:%d/curl", s.Port)}
		if s.TLS == nil {
			args = []string{"--http2-prior-knowledge", "http://" + s.Address + "/curl"}
		}
		args = append(args, "--write-out", "%{http_version} %{http_code}")
		if got := s.Curl(args...); got != "/curl\n2 200" {
			t.Errorf("GET: %q", got)
		}
		body := strings.Repeat("0123456789abcdef", 20000)
		s.WriteFile("body", body)
		if got := s.Curl(append(args, "--data-binary", "@"+s.Path("body"))...); got != "/curl\n"+body+"2 200" {
			t.Errorf("POST: %d bytes", len(got))
		}
		s.Terminate()
	})
}

// What a page load in many browsers is like: many streams on few connections.
func TestHTTP2WithH2Load(t *testing.T) {
	t.Parallel()
	program := harness.FindProgram(t, "h2load")
	harness.OverHTTP2(t, harness.Options{App: "hello:app", Args: []string{"--workers", "2", "--threads", "2"}}, func(t *testing.T, s *harness.Server, w *harness.Web) {
		url := "http://" + s.Address + "/"
		if s.TLS != nil {
			url = fmt.Sprintf("https://localhost:%d/", s.Port)
		}
		out, err := exec.Command(program, "--requests=2000", "--clients=5", "--max-concurrent-streams=40", "--connection-inactivity-timeout=30", url).CombinedOutput()
		for _, want := range []string{"2000 succeeded, 0 failed, 0 errored, 0 timeout", "2000 2xx, 0 3xx, 0 4xx, 0 5xx"} {
			if err != nil || !strings.Contains(string(out), want) {
				t.Errorf("%v, want %q:\n%s", err, want, out)
			}
		}
		s.Terminate()
	})
}

func TestHTTP2IsOffByDefault(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.WithTLS(t, harness.Options{}))
	if p, err := s.Web(harness.WebH2).Try(t.Context(), "GET", "/", nil); err == nil {
		t.Errorf("over TLS: %v", p)
	}
	s.Terminate()
	s = harness.Start(t, harness.Options{})
	c := s.Client()
	c.Send(t, http2.ClientPreface)
	if r, err := harness.ReadResponse(c.Reader, "GET"); err != nil || r.Status != 400 {
		t.Errorf("the preface is answered with %v, %v", r, err)
	}
	s.Terminate()

	// h2 alone: no HTTP/1.1 over TLS.
	s = harness.Start(t, harness.WithTLS(t, harness.Options{Args: []string{"--http-protocols", "h2"}, NoProbe: true}))
	s.Log.Expect(t, "Booting worker")
	harness.Eventually(t, "it listens", func() bool { return harness.Listening(s.Port) })
	if p := s.Web(harness.WebH2).Fetch("GET", "/", ""); p.StatusCode != 200 {
		t.Errorf("%v", p)
	}
	if p, err := s.Web(harness.WebTLS).Try(t.Context(), "GET", "/", nil); err == nil {
		t.Errorf("HTTP/1.1 is spoken: %v", p)
	}
	s.Terminate()
}

func TestHTTP2Environ(t *testing.T) {
	t.Parallel()
	// It differs from that of HTTP/1.1 in SERVER_PROTOCOL alone.
	harness.OverHTTP2(t, harness.Options{App: "showenviron:app", Args: []string{"--workers", "2"}}, func(t *testing.T, s *harness.Server, w *harness.Web) {
		way := harness.WebTLS
		if s.TLS == nil {
			way = harness.WebH1
		}
		ask := func(w *harness.Web, method, target string, body io.Reader) map[string]any {
			t.Helper()
			p, err := w.Try(t.Context(), method, target, body, "X-Twice", "one", "X-Twice", "two", "Cookie", "a=1; b=2; c=3",
				"Content-Type", "text/x", "X-Empty", "", "Under_Score", "no", "X-Latin", "caf\xe9", "User-Agent", "tester")
			harness.Must(t, err)
			var got map[string]any
			harness.Must(t, json.Unmarshal([]byte(p.Text), &got))
			return got
		}
		for _, c := range []struct{ method, target, body string }{
			{"GET", "/a%20b/%C3%A9//x?x=1&y=%20", ""}, {"POST", "/", "abc"}, {"PUT", "/;p=1?", strings.Repeat("x", 100000)}, {"OPTIONS", "/", ""},
			{"DELETE", "/?a?b", ""}, {"PROPFIND", "/", ""},
		} {
			reader := func() io.Reader {
				if c.body == "" {
					return nil
				}
				return strings.NewReader(c.body)
			}
			one, two := ask(s.Web(way), c.method, c.target, reader()), ask(w, c.method, c.target, reader())
			if one["SERVER_PROTOCOL"] != "HTTP/1.1" || two["SERVER_PROTOCOL"] != "HTTP/2.0" {
				t.Errorf("%s %s: SERVER_PROTOCOL is %v and %v", c.method, c.target, one["SERVER_PROTOCOL"], two["SERVER_PROTOCOL"])
			}
			for _, got := range []map[string]any{one, two} {
				maps.DeleteFunc(got, func(key string, _ any) bool { return key == "SERVER_PROTOCOL" || key == "REMOTE_PORT" })
			}
			for key := range merge(one, two) {
				if fmt.Sprint(one[key]) != fmt.Sprint(two[key]) {
					t.Errorf("%s %s: %s is %#v with HTTP/1.1, %#v with HTTP/2", c.method, c.target, key, one[key], two[key])
				}
			}
		}
		// A body of a length that nobody told.
		got := ask(w, "POST", "/", io.MultiReader(strings.NewReader("abc"), strings.NewReader("de")))
		expectEnviron(t, got, map[string]any{"CONTENT_LENGTH": "5", "HTTP_TRANSFER_ENCODING": nil, "HTTP_COOKIE": "a=1; b=2; c=3"})
		s.Terminate()
	})
}

func merge(a, b map[string]any) map[string]any {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

func TestHTTP2Bodies(t *testing.T) {
	t.Parallel()
	harness.OverHTTP2(t, harness.Options{App: "digest:app"}, func(t *testing.T, s *harness.Server, w *harness.Web) {
		for _, size := range []int{0, 1, 16<<10 - 1, 16 << 10, 16<<10 + 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 1 << 20, 5 << 20, 20 << 20} {
			data := noise(size)
			for _, body := range []io.Reader{bytes.NewReader(data), io.MultiReader(bytes.NewReader(data))} {
				if p, err := w.Try(t.Context(), "POST", "/read", body); err != nil || p.Text != digest(data) {
					t.Errorf("%d bytes: %v, %v", size, p, err)
				}
			}
			if p := w.Fetch("POST", "/none", string(data)); p.StatusCode != 200 {
				t.Errorf("%d bytes that the app does not read: %v", size, p)
			}
		}
		w.ExpectOneConnection()
		s.Terminate()
	})
}

func TestHTTP2Responses(t *testing.T) {
	t.Parallel()
	harness.OverHTTP2(t, harness.Options{App: "large:app"}, func(t *testing.T, s *harness.Server, w *harness.Web) {
		for _, target := range []string{"/0", "/16", "/65536", "/1048576", "/52428800", "/16777216?pieces"} {
			var size int
			fmt.Sscanf(target, "/%d", &size)
			want := bytes.Repeat([]byte("0123456789abcdef"), size/16)
			if p := w.Fetch("GET", target, ""); p.Text != string(want) {
				t.Errorf("%s: %d bytes", target, len(p.Text))
			}
		}
		// A reader that opens no window holds neither the worker nor other streams.
		f := s.H2Conn()
		f.Hold = true
		slow := f.Open("GET", "/52428800", true)
		f.Until("the window's worth", func() bool { return len(f.Stream(slow).Body) == 65535 })
		for range 10 {
			s.Get("/16")
		}
		f.Hold = false
		harness.Must(t, f.Framer.WriteWindowUpdate(0, 1<<20))
		if other := f.Response(f.Open("GET", "/16", true)); len(other.Body) != 16 {
			t.Errorf("another stream: %v", other)
		}
		harness.Must(t, f.Framer.WriteWindowUpdate(slow, 1<<20))
		if r := f.Response(slow); len(r.Body) != 52428800 || r.Reset != nil {
			t.Errorf("the slow stream: %v", r)
		}
		s.Terminate()
	})
}

func TestHTTP2Files(t *testing.T) {
	t.Parallel()
	data := noise(3 << 20)
	o := harness.Options{App: "files:app", Files: map[string]string{"data.bin": string(data), "empty.bin": ""}}
	harness.OverHTTP2(t, o, func(t *testing.T, s *harness.Server, w *harness.Web) {
		for path, want := range map[string][]byte{
			"/whole": data, "/rest": data[1000:], "/part": data[:5000], "/memory": data, "/unsized": data, "/empty": nil,
		} {
			if p := w.Fetch("GET", path, ""); p.Text != string(want) {
				t.Errorf("%s: %d bytes, want %d", path, len(p.Text), len(want))
			}
		}
		s.Terminate()
	})
}

func TestHTTP2StreamsRunInParallel(t *testing.T) {
	t.Parallel()
	// Two workers, one connection, two requests that are run at the same time.
	harness.OverHTTP2(t, harness.Options{App: "gated:app", Args: []string{"--workers", "2"}}, func(t *testing.T, s *harness.Server, w *harness.Web) {
		s.Workers(2)
		w.Fetch("GET", "/", "")
		one, two := s.Gate("one"), s.Gate("two")
		first, second := w.Begin(t.Context(), "/one"), w.Begin(t.Context(), "/two")
		one.Entered()
		two.Entered()
		two.Release()
		w.Expect(second, 200) // before the first one
		one.Release()
		w.Expect(first, 200)
		w.ExpectOneConnection()
		s.Terminate()
	})
}

func TestHTTP2ManyStreams(t *testing.T) {
	t.Parallel()
	harness.OverHTTP2(t, harness.Options{App: "echo:app", Args: []string{"--threads", "4"}}, func(t *testing.T, s *harness.Server, w *harness.Web) {
		w.Fetch("GET", "/", "")
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				for j := range 5 {
					target, body := fmt.Sprintf("/%d/%d", i, j), strings.Repeat("x", 300*i)
					p, err := w.Try(t.Context(), "POST", target, strings.NewReader(body))
					if err != nil || p.Text != target+"\n"+body {
						t.Errorf("%s: %v, %v", target, p, err)
					}
				}
			})
		}
		all.Wait()
		w.ExpectOneConnection()
		s.Terminate()
	})
}

func TestHTTP2StreamLimit(t *testing.T) {
	t.Parallel()
	o := harness.Options{App: "recording:app", Args: []string{"--http2-max-concurrent-streams", "3"}}
	harness.OverHTTP2(t, o, func(t *testing.T, s *harness.Server, w *harness.Web) {
		g := s.Gate("busy")
		f := s.H2Conn()
		var open []uint32
		open = append(open, f.Open("GET", "/busy", true))
		g.Entered()
		for i := range 2 {
			open = append(open, f.Open("GET", fmt.Sprint("/", i), true))
		}
		over := f.Open("GET", "/over", true)
		r := f.Response(over)
		if r.Reset == nil || *r.Reset != http2.ErrCodeRefusedStream && *r.Reset != http2.ErrCodeProtocol {
			t.Errorf("a stream beyond the limit: %v", r)
		}
		g.Release()
		for _, id := range open {
			if r := f.Response(id); r.Status() != "200" {
				t.Errorf("stream %d: %v", id, r)
			}
		}
		s.Terminate()
		if s.Log.Count("ran /over") > 0 {
			t.Error("it was run")
		}
	})
}

func TestHTTP2EarlyHints(t *testing.T) {
	t.Parallel()
	harness.OverHTTP2(t, harness.Options{App: "hints:app"}, func(t *testing.T, s *harness.Server, w *harness.Web) {
		g := s.Gate("hints")
		hints := make(chan string, 1)
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				hints <- fmt.Sprint(code, " ", h.Get("Link"))
				return nil
			},
		})
		answer := w.Begin(ctx, "/")
		if got := <-hints; got != "103 </style.css>; rel=preload" {
			t.Errorf("the hint is %q", got)
		}
		g.Entered()
		g.Release()
		if p := w.Expect(answer, 200); p.Text != "answer" {
			t.Errorf("%v", p)
		}
		s.Terminate()
	})
}

func TestHTTP2NoBody(t *testing.T) {
	t.Parallel()
	harness.OverHTTP2(t, harness.Options{App: "statuses:app"}, func(t *testing.T, s *harness.Server, w *harness.Web) {
		for _, method := range []string{"GET", "HEAD"} {
			for _, status := range []string{"204", "304", "200", "404"} {
				p := w.Fetch(method, "/"+status, "")
				body := ""
				if method == "GET" && status != "204" && status != "304" {
					body = "body"
				}
				if fmt.Sprint(p.StatusCode) != status || p.Text != body || p.Header.Get("X-Case") != "as Given" {
					t.Errorf("%s %s: %v", method, status, p)
				}
			}
		}
		w.ExpectOneConnection()
		s.Terminate()
	})
}

func TestHTTP2Errors(t *testing.T) {
	t.Parallel()
	harness.OverHTTP2(t, harness.Options{App: "failing:app"}, func(t *testing.T, s *harness.Server, w *harness.Web) {
		for _, path := range []string{"/before", "/twice", "/never", "/bad-name", "/bad-value", "/bad-status"} {
			if p := w.Fetch("GET", path, ""); p.StatusCode != 500 || p.Header.Get("X-Injected") != "" {
				t.Errorf("%s: %v", path, p)
			}
		}
		f := s.H2Conn()
		for _, path := range []string{"/after", "/exc-info-late", "/too-short"} {
			r := f.Response(f.Open("GET", path, true))
			if r.Status() != "200" || r.Reset == nil || *r.Reset != http2.ErrCodeInternal {
				t.Errorf("%s: %v, want a stream that is reset", path, r)
			}
		}
		if p := w.Fetch("GET", "/too-long", ""); p.Text != "12345" {
			t.Errorf("a body longer than its Content-Length: %v", p)
		}
		if r := f.Response(f.Open("GET", "/", true)); r.Status() != "200" {
			t.Errorf("after the errors: %v", r)
		}
		w.ExpectOneConnection()
		s.Terminate()
	})
}

func TestHTTP2Trailers(t *testing.T) {
	t.Parallel()
	harness.OverHTTP2(t, harness.Options{App: "showenviron:app"}, func(t *testing.T, s *harness.Server, w *harness.Web) {
		req, err := http.NewRequestWithContext(context.Background(), "POST", w.URL+"/", io.MultiReader(strings.NewReader("body")))
		harness.Must(t, err)
		req.Trailer = http.Header{"X-Late": {"late"}, "X-Forwarded-Proto": {"https"}}
		p, err := w.Send(req)
		harness.Must(t, err)
		if p.StatusCode != 200 || strings.Contains(p.Text, "X_LATE") || strings.Contains(p.Text, "FORWARDED") {
			t.Errorf("%v", p)
		}
		s.Terminate()
	})
}

func TestHTTP2AccessLog(t *testing.T) {
	t.Parallel()
	o := harness.Options{App: "echo:app", Args: []string{"--access-logfile", "access.log"}}
	harness.OverHTTP2(t, o, func(t *testing.T, s *harness.Server, w *harness.Web) {
		w.Fetch("GET", "/path?query=1", "", "User-Agent", "tester")
		harness.Eventually(t, "the access log has the request", func() bool {
			return strings.Contains(s.ReadFile("access.log"), `"GET /path?query=1 HTTP/2.0" 200 6 "-" "tester"`)
		})
		s.Terminate()
	})
}
