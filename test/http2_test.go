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

	"golang.org/x/net/http2"
)

func TestHTTP2Hello(t *testing.T) {
	t.Parallel()
	overHTTP2(t, options{}, func(t *testing.T, s *server, w *web) {
		for range 20 {
			p := w.do("GET", "/", "")
			if p.ProtoMajor != 2 || p.StatusCode != 200 || p.body != "Hello, World!\n" || p.Header.Get("Server") != name() || p.Header.Get("Date") == "" {
				t.Fatalf("%v", p)
			}
			if p.Header.Get("Connection") != "" {
				t.Errorf("a field of HTTP/1.1: %v", p)
			}
		}
		w.expectOneConnection()
		s.get("/") // by HTTP/1.1 on the same port
		s.terminate()
	})
}

func TestHTTP2WithCurl(t *testing.T) {
	t.Parallel()
	overHTTP2(t, options{app: "echo:app"}, func(t *testing.T, s *server, w *web) {
		args := []string{"--http2", fmt.Sprintf("https://localhost:%d/curl", s.port)}
		if s.o.tls == nil {
			args = []string{"--http2-prior-knowledge", "http://" + s.addr() + "/curl"}
		}
		args = append(args, "--write-out", "%{http_version} %{http_code}")
		if got := s.curl(args...); got != "/curl\n2 200" {
			t.Errorf("GET: %q", got)
		}
		body := strings.Repeat("0123456789abcdef", 20000)
		s.write("body", body)
		if got := s.curl(append(args, "--data-binary", "@"+s.path("body"))...); got != "/curl\n"+body+"2 200" {
			t.Errorf("POST: %d bytes", len(got))
		}
		s.terminate()
	})
}

// What a page load in many browsers is like: many streams on few connections.
func TestHTTP2WithH2Load(t *testing.T) {
	t.Parallel()
	program := find(t, "h2load")
	overHTTP2(t, options{app: "hello:app", args: []string{"--workers", "2", "--threads", "2"}}, func(t *testing.T, s *server, w *web) {
		url := "http://" + s.addr() + "/"
		if s.o.tls != nil {
			url = fmt.Sprintf("https://localhost:%d/", s.port)
		}
		out, err := exec.Command(program, "--requests=2000", "--clients=5", "--max-concurrent-streams=40", "--connection-inactivity-timeout=30", url).CombinedOutput()
		for _, want := range []string{"2000 succeeded, 0 failed, 0 errored, 0 timeout", "2000 2xx, 0 3xx, 0 4xx, 0 5xx"} {
			if err != nil || !strings.Contains(string(out), want) {
				t.Errorf("%v, want %q:\n%s", err, want, out)
			}
		}
		s.terminate()
	})
}

func TestHTTP2IsOffByDefault(t *testing.T) {
	t.Parallel()
	s := start(t, withTLS(t, options{}))
	if p, err := s.web(webH2).try(t.Context(), "GET", "/", nil); err == nil {
		t.Errorf("over TLS: %v", p)
	}
	s.terminate()
	s = start(t, options{})
	c := s.client()
	c.send(t, http2.ClientPreface)
	if r, err := readResponse(c.r, "GET"); err != nil || r.status != 400 {
		t.Errorf("the preface is answered with %v, %v", r, err)
	}
	s.terminate()

	// h2 alone: no HTTP/1.1 over TLS.
	s = start(t, withTLS(t, options{args: []string{"--http-protocols", "h2"}, noProbe: true}))
	s.log.expect(t, "Booting worker")
	eventually(t, "it listens", func() bool { return listening(s.port) })
	if p := s.web(webH2).do("GET", "/", ""); p.StatusCode != 200 {
		t.Errorf("%v", p)
	}
	if p, err := s.web(webTLS).try(t.Context(), "GET", "/", nil); err == nil {
		t.Errorf("HTTP/1.1 is spoken: %v", p)
	}
	s.terminate()
}

func TestHTTP2Environ(t *testing.T) {
	t.Parallel()
	// It differs from that of HTTP/1.1 in SERVER_PROTOCOL alone.
	overHTTP2(t, options{app: "showenviron:app", args: []string{"--workers", "2"}}, func(t *testing.T, s *server, w *web) {
		way := webTLS
		if s.o.tls == nil {
			way = webH1
		}
		ask := func(w *web, method, target string, body io.Reader) map[string]any {
			t.Helper()
			p, err := w.try(t.Context(), method, target, body, "X-Twice", "one", "X-Twice", "two", "Cookie", "a=1; b=2; c=3",
				"Content-Type", "text/x", "X-Empty", "", "Under_Score", "no", "X-Latin", "caf\xe9", "User-Agent", "tester")
			must(t, err)
			var got map[string]any
			must(t, json.Unmarshal([]byte(p.body), &got))
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
			one, two := ask(s.web(way), c.method, c.target, reader()), ask(w, c.method, c.target, reader())
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
		s.terminate()
	})
}

func merge(a, b map[string]any) map[string]any {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

func TestHTTP2Bodies(t *testing.T) {
	t.Parallel()
	overHTTP2(t, options{app: "digest:app"}, func(t *testing.T, s *server, w *web) {
		for _, size := range []int{0, 1, 16<<10 - 1, 16 << 10, 16<<10 + 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 1 << 20, 5 << 20, 20 << 20} {
			data := noise(size)
			for _, body := range []io.Reader{bytes.NewReader(data), io.MultiReader(bytes.NewReader(data))} {
				if p, err := w.try(t.Context(), "POST", "/read", body); err != nil || p.body != digest(data) {
					t.Errorf("%d bytes: %v, %v", size, p, err)
				}
			}
			if p := w.do("POST", "/none", string(data)); p.StatusCode != 200 {
				t.Errorf("%d bytes that the app does not read: %v", size, p)
			}
		}
		w.expectOneConnection()
		s.terminate()
	})
}

func TestHTTP2Responses(t *testing.T) {
	t.Parallel()
	overHTTP2(t, options{app: "large:app"}, func(t *testing.T, s *server, w *web) {
		for _, target := range []string{"/0", "/16", "/65536", "/1048576", "/52428800", "/16777216?pieces"} {
			var size int
			fmt.Sscanf(target, "/%d", &size)
			want := bytes.Repeat([]byte("0123456789abcdef"), size/16)
			if p := w.do("GET", target, ""); p.body != string(want) {
				t.Errorf("%s: %d bytes", target, len(p.body))
			}
		}
		// A reader that opens no window holds neither the worker nor other streams.
		f := s.framed()
		f.hold = true
		slow := f.open("GET", "/52428800", true)
		f.until("the window's worth", func() bool { return len(f.stream(slow).body) == 65535 })
		for range 10 {
			s.get("/16")
		}
		f.hold = false
		must(t, f.fr.WriteWindowUpdate(0, 1<<20))
		if other := f.response(f.open("GET", "/16", true)); len(other.body) != 16 {
			t.Errorf("another stream: %v", other)
		}
		must(t, f.fr.WriteWindowUpdate(slow, 1<<20))
		if r := f.response(slow); len(r.body) != 52428800 || r.reset != nil {
			t.Errorf("the slow stream: %v", r)
		}
		s.terminate()
	})
}

func TestHTTP2Files(t *testing.T) {
	t.Parallel()
	data := noise(3 << 20)
	o := options{app: "files:app", files: map[string]string{"data.bin": string(data), "empty.bin": ""}}
	overHTTP2(t, o, func(t *testing.T, s *server, w *web) {
		for path, want := range map[string][]byte{
			"/whole": data, "/rest": data[1000:], "/part": data[:5000], "/memory": data, "/unsized": data, "/empty": nil,
		} {
			if p := w.do("GET", path, ""); p.body != string(want) {
				t.Errorf("%s: %d bytes, want %d", path, len(p.body), len(want))
			}
		}
		s.terminate()
	})
}

func TestHTTP2StreamsRunInParallel(t *testing.T) {
	t.Parallel()
	// Two workers, one connection, two requests that are run at the same time.
	overHTTP2(t, options{app: "gated:app", args: []string{"--workers", "2"}}, func(t *testing.T, s *server, w *web) {
		s.workers(2)
		w.do("GET", "/", "")
		one, two := s.gate("one"), s.gate("two")
		first, second := w.begin(t.Context(), "/one"), w.begin(t.Context(), "/two")
		one.entered()
		two.entered()
		two.release()
		w.expect(second, 200) // before the first one
		one.release()
		w.expect(first, 200)
		w.expectOneConnection()
		s.terminate()
	})
}

func TestHTTP2ManyStreams(t *testing.T) {
	t.Parallel()
	overHTTP2(t, options{app: "echo:app", args: []string{"--threads", "4"}}, func(t *testing.T, s *server, w *web) {
		w.do("GET", "/", "")
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				for j := range 5 {
					target, body := fmt.Sprintf("/%d/%d", i, j), strings.Repeat("x", 300*i)
					p, err := w.try(t.Context(), "POST", target, strings.NewReader(body))
					if err != nil || p.body != target+"\n"+body {
						t.Errorf("%s: %v, %v", target, p, err)
					}
				}
			})
		}
		all.Wait()
		w.expectOneConnection()
		s.terminate()
	})
}

func TestHTTP2StreamLimit(t *testing.T) {
	t.Parallel()
	o := options{app: "recording:app", args: []string{"--http2-max-concurrent-streams", "3"}}
	overHTTP2(t, o, func(t *testing.T, s *server, w *web) {
		g := s.gate("busy")
		f := s.framed()
		var open []uint32
		open = append(open, f.open("GET", "/busy", true))
		g.entered()
		for i := range 2 {
			open = append(open, f.open("GET", fmt.Sprint("/", i), true))
		}
		over := f.open("GET", "/over", true)
		r := f.response(over)
		if r.reset == nil || *r.reset != http2.ErrCodeRefusedStream && *r.reset != http2.ErrCodeProtocol {
			t.Errorf("a stream beyond the limit: %v", r)
		}
		g.release()
		for _, id := range open {
			if r := f.response(id); r.status() != "200" {
				t.Errorf("stream %d: %v", id, r)
			}
		}
		s.terminate()
		if s.log.count("ran /over") > 0 {
			t.Error("it was run")
		}
	})
}

func TestHTTP2EarlyHints(t *testing.T) {
	t.Parallel()
	overHTTP2(t, options{app: "hints:app"}, func(t *testing.T, s *server, w *web) {
		g := s.gate("hints")
		hints := make(chan string, 1)
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				hints <- fmt.Sprint(code, " ", h.Get("Link"))
				return nil
			},
		})
		answer := w.begin(ctx, "/")
		if got := <-hints; got != "103 </style.css>; rel=preload" {
			t.Errorf("the hint is %q", got)
		}
		g.entered()
		g.release()
		if p := w.expect(answer, 200); p.body != "answer" {
			t.Errorf("%v", p)
		}
		s.terminate()
	})
}

func TestHTTP2NoBody(t *testing.T) {
	t.Parallel()
	overHTTP2(t, options{app: "statuses:app"}, func(t *testing.T, s *server, w *web) {
		for _, method := range []string{"GET", "HEAD"} {
			for _, status := range []string{"204", "304", "200", "404"} {
				p := w.do(method, "/"+status, "")
				body := ""
				if method == "GET" && status != "204" && status != "304" {
					body = "body"
				}
				if fmt.Sprint(p.StatusCode) != status || p.body != body || p.Header.Get("X-Case") != "as Given" {
					t.Errorf("%s %s: %v", method, status, p)
				}
			}
		}
		w.expectOneConnection()
		s.terminate()
	})
}

func TestHTTP2Errors(t *testing.T) {
	t.Parallel()
	overHTTP2(t, options{app: "failing:app"}, func(t *testing.T, s *server, w *web) {
		for _, path := range []string{"/before", "/twice", "/never", "/bad-name", "/bad-value", "/bad-status"} {
			if p := w.do("GET", path, ""); p.StatusCode != 500 || p.Header.Get("X-Injected") != "" {
				t.Errorf("%s: %v", path, p)
			}
		}
		f := s.framed()
		for _, path := range []string{"/after", "/exc-info-late", "/too-short"} {
			r := f.response(f.open("GET", path, true))
			if r.status() != "200" || r.reset == nil || *r.reset != http2.ErrCodeInternal {
				t.Errorf("%s: %v, want a stream that is reset", path, r)
			}
		}
		if p := w.do("GET", "/too-long", ""); p.body != "12345" {
			t.Errorf("a body longer than its Content-Length: %v", p)
		}
		if r := f.response(f.open("GET", "/", true)); r.status() != "200" {
			t.Errorf("after the errors: %v", r)
		}
		w.expectOneConnection()
		s.terminate()
	})
}

func TestHTTP2Trailers(t *testing.T) {
	t.Parallel()
	overHTTP2(t, options{app: "showenviron:app"}, func(t *testing.T, s *server, w *web) {
		req, err := http.NewRequestWithContext(context.Background(), "POST", w.url+"/", io.MultiReader(strings.NewReader("body")))
		must(t, err)
		req.Trailer = http.Header{"X-Late": {"late"}, "X-Forwarded-Proto": {"https"}}
		p, err := w.send(req)
		must(t, err)
		if p.StatusCode != 200 || strings.Contains(p.body, "X_LATE") || strings.Contains(p.body, "FORWARDED") {
			t.Errorf("%v", p)
		}
		s.terminate()
	})
}

func TestHTTP2AccessLog(t *testing.T) {
	t.Parallel()
	o := options{app: "echo:app", args: []string{"--access-logfile", "access.log"}}
	overHTTP2(t, o, func(t *testing.T, s *server, w *web) {
		w.do("GET", "/path?query=1", "", "User-Agent", "tester")
		eventually(t, "the access log has the request", func() bool {
			return strings.Contains(s.read("access.log"), `"GET /path?query=1 HTTP/2.0" 200 6 "-" "tester"`)
		})
		s.terminate()
	})
}
