//go:build linux

package test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"indrik/test/harness"
)

func TestKeepAlive(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "echo:app"})
	c := s.Client()
	for i := range 50 {
		if r := c.Do(t, "GET", fmt.Sprint("/", i), ""); r.Body != fmt.Sprintf("/%d\n", i) || r.Closes() {
			t.Fatalf("request %d: %v", i, r)
		}
	}
	if r := c.Do(t, "GET", "/", "", "Connection: Close"); !r.Closes() {
		t.Errorf("Connection: Close is answered with %v", r)
	}
	c.ExpectEOF(t)

	c = s.Client()
	c.Send(t, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
	if r := c.Receive(t, "GET"); r.Proto != "HTTP/1.0" && r.Proto != "HTTP/1.1" || r.Closes() {
		t.Errorf("HTTP/1.0 with keep-alive: %v", r)
	}
	c.Send(t, "GET / HTTP/1.0\r\n\r\n")
	if r := c.Receive(t, "GET"); r.Status != 200 {
		t.Errorf("HTTP/1.0: %v", r)
	}
	c.ExpectEOF(t)
	s.Terminate()
}

func TestIdleConnectionIsKept(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "echo:app"})
	once, twice := s.Client(), s.Client()
	s.Client() // never sends anything
	once.Do(t, "GET", "/", "")
	twice.Do(t, "GET", "/", "")
	twice.Do(t, "GET", "/", "")
	time.Sleep(2500 * time.Millisecond) // longer than what is looked at every second
	for name, c := range map[string]*harness.Client{"once": once, "twice": twice} {
		if harness.ClosedByPeer(c) {
			t.Errorf("an idle connection that was used %s was closed", name)
			continue
		}
		c.Do(t, "GET", "/", "")
	}
	s.Terminate()
}

func TestKeepAliveTimeout(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "echo:app", Args: []string{"--keep-alive", "1"}})
	c := s.Client()
	began := time.Now()
	c.Do(t, "GET", "/", "")
	c.ExpectEOF(t)
	if took := time.Since(began); took < 500*time.Millisecond || took > 20*time.Second {
		t.Errorf("an idle connection was closed after %v, want 1 s", took)
	}
	s.Terminate()

	s = harness.Start(t, harness.Options{App: "echo:app", Args: []string{"--keep-alive", "0"}})
	c = s.Client()
	if r := c.Do(t, "GET", "/", ""); !r.Closes() {
		t.Errorf("keepalive 0: %v", r)
	}
	c.ExpectEOF(t)
	s.Terminate()
}

func TestPipelining(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "echo:app", Args: []string{"--workers", "2"}})
	c := s.Client()
	var all strings.Builder
	for i := range 40 {
		if i%3 == 2 {
			all.WriteString(harness.FormatRequest("POST", fmt.Sprint("/", i), strings.Repeat("b", i)))
		} else {
			all.WriteString(harness.FormatRequest("GET", fmt.Sprint("/", i), ""))
		}
	}
	c.Send(t, all.String())
	for i := range 40 {
		want := fmt.Sprintf("/%d\n", i)
		if i%3 == 2 {
			want += strings.Repeat("b", i)
		}
		if r := c.Receive(t, "GET"); r.Body != want {
			t.Fatalf("response %d: %v, want %q", i, r, want)
		}
	}
	s.Terminate()
}

func TestByteByByte(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "echo:app"})
	c := s.Client()
	for _, b := range []byte(harness.FormatRequest("POST", "/slow", "body")) {
		c.Send(t, string(b))
	}
	if r := c.Receive(t, "POST"); r.Body != "/slow\nbody" {
		t.Errorf("%v", r)
	}
	s.Terminate()
}

func TestNoBodyStatuses(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "statuses:app"})
	c := s.Client()
	for _, status := range []string{"204", "304", "200", "404"} {
		r := c.Do(t, "GET", "/"+status, "")
		if fmt.Sprint(r.Status) != status || r.Reason != "Some Reason" || r.Get("X-Case") != "as Given" {
			t.Errorf("%s: %v", status, r)
		}
		if r.Framing == "none" && (r.Has("Transfer-Encoding") || status == "204" && r.Has("Content-Length")) {
			t.Errorf("%s must have no body: %v", status, r)
		}
		if r.Framing != "none" && r.Body != "body" {
			t.Errorf("%s: %v", status, r)
		}
		if r := c.Do(t, "HEAD", "/"+status, ""); fmt.Sprint(r.Status) != status {
			t.Errorf("HEAD %s: %v", status, r)
		}
	}
	s.Terminate()
}

func TestStreaming(t *testing.T) {
	t.Parallel()
	for _, app := range []string{"streaming:app", "streaming:writing"} {
		s := harness.Start(t, harness.Options{App: app})
		g := s.Gate("second")
		c := s.Client()
		c.Send(t, harness.FormatRequest("GET", "/", ""))
		r, err := harness.ReadHead(c.Reader)
		harness.Must(t, err)
		if r.Get("Transfer-Encoding") != "chunked" {
			t.Errorf("%s: %v", app, r)
		}
		if chunk, err := harness.ReadChunk(c.Reader); chunk != "first" {
			t.Errorf("%s: first chunk %q, %v", app, chunk, err)
		}
		g.Entered() // only now: what was read came before the app went on
		g.Release()
		if chunk, err := harness.ReadChunk(c.Reader); chunk != "second" {
			t.Errorf("%s: second chunk %q, %v", app, chunk, err)
		}
		if chunk, err := harness.ReadChunk(c.Reader); chunk != "" || err != nil {
			t.Errorf("%s: last chunk %q, %v", app, chunk, err)
		}
		c.Send(t, "GET / HTTP/1.0\r\n\r\n")
		if r := c.Receive(t, "GET"); r.Framing != "close" || r.Body != "firstsecond" {
			t.Errorf("%s: HTTP/1.0: %v", app, r)
		}
		s.Terminate()
	}
}

func TestEarlyHints(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "hints:app"})
	g := s.Gate("hints")
	c := s.Client()
	c.Send(t, harness.FormatRequest("GET", "/", ""))
	r, err := harness.ReadHead(c.Reader)
	if err != nil || r.Status != 103 || r.Get("Link") != "</style.css>; rel=preload" {
		t.Errorf("%v, %v", r, err)
	}
	g.Entered()
	g.Release()
	if r := c.Receive(t, "GET"); r.Body != "answer" {
		t.Errorf("%v", r)
	}
	s.Terminate()
}

func TestFileWrapper(t *testing.T) {
	t.Parallel()
	data := noise(3 << 20)
	s := harness.Start(t, harness.Options{App: "files:app", Files: map[string]string{"data.bin": string(data), "empty.bin": ""}})
	c := s.Client()
	for path, want := range map[string][]byte{
		"/whole": data, "/rest": data[1000:], "/part": data[:5000], "/memory": data, "/unsized": data, "/empty": nil,
	} {
		if r := c.Do(t, "GET", path, ""); r.Body != string(want) {
			t.Errorf("%s: %d bytes, want %d: %v", path, len(r.Body), len(want), r)
		}
		if r := c.Do(t, "HEAD", path, ""); r.Status != 200 {
			t.Errorf("HEAD %s: %v", path, r)
		}
	}
	if n := harness.OpenFiles(s.Workers(1)[0]); n > 60 {
		t.Errorf("the worker has %d open files", n)
	}
	s.Terminate()
}

func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "echo:app"})
	for request, status := range map[string]int{
		"nonsense\r\n\r\n":                                                                      400,
		"get / HTTP/1.1\r\nHost: x\r\n\r\n":                                                     400,
		"GET / HTTP/1.1\r\n\r\n":                                                                400,
		"GET / HTTP/2.0\r\n\r\n":                                                                400,
		"GET / HTTP/1.1\r\nHost: x\r\nBad Name: x\r\n\r\n":                                      400,
		"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n folded\r\n\r\n":                                  400,
		"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n":                               400,
		"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\n":                             400,
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: x\r\n\r\n":                            501,
		"GET /" + strings.Repeat("x", 5000) + " HTTP/1.1\r\n":                                   414,
		"GET / HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("x", 9000):                          431,
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n": 400,
	} {
		mark := s.Log.Mark()
		c := s.Client()
		c.Send(t, request)
		r, err := harness.ReadResponse(c.Reader, "GET")
		if err != nil || r.Status != status || !r.Closes() || r.Get("Content-Type") != "text/html" {
			t.Errorf("%.40q: %v, %v, want %d", request, r, err, status)
			continue
		}
		c.ExpectEOF(t)
		s.Log.ExpectFrom(t, mark, `\[WARNING\] Invalid request from ip=127\.0\.0\.1: `)
	}
	s.Get("/still-there")
	s.Terminate()
}

func TestClientGoesAway(t *testing.T) {
	t.Parallel()
	// Clients that leave at each point do not disturb those who stay.
	s := harness.Start(t, harness.Options{App: "gated:app"})
	s.Client().Close()
	c := s.Client()
	c.Send(t, "GET / HT")
	c.Close()
	c = s.Client()
	c.Send(t, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
	c.Close()

	g := s.Gate("gone")
	c = s.Client()
	c.Send(t, harness.FormatRequest("GET", "/gone", ""))
	g.Entered()
	waiting := s.Client()
	waiting.Send(t, harness.FormatRequest("GET", "/", "")) // waits for the only worker
	c.Close()
	g.Release()
	if r := waiting.Receive(t, "GET"); r.Status != 200 {
		t.Errorf("%v", r)
	}
	s.Terminate()
	if s.Log.Count("Traceback") > 0 {
		t.Error("a client that leaves is no error")
	}
}
