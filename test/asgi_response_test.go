//go:build linux

package test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"indrik/test/harness"
)

// What an app of ASGI may send, and what the client gets of it.
func TestASGIResponses(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "asgiapps:reactions", Files: map[string]string{"data": "0123456789"}})
	source, err := os.ReadFile(filepath.Join(harness.Repository, "test", "apps", "asgiapps.py"))
	harness.Must(t, err)
	c := s.Client()
	for _, test := range []struct {
		path, method, framing string
		status                int
		body                  string
	}{
		{"/", "GET", "length", 200, "ok"},
		{"/", "HEAD", "none", 200, ""},
		{"/whole_large", "GET", "length", 200, strings.Repeat("0123456789", 500_000)},
		{"/head_only", "HEAD", "none", 200, ""},
		{"/no_content", "GET", "none", 204, ""},
		{"/odd_types", "GET", "chunked", 201, "bytearray,memoryview"},
		{"/trailers", "GET", "length", 200, "no trailers"},
		{"/path", "GET", "length", 200, string(source)},
		{"/path", "HEAD", "none", 200, ""},
		{"/no_path", "GET", "length", 200, "there is no such file"},
		{"/zerocopy", "GET", "chunked", 200, "<0123489>"},
		{"/zerocopy_whole", "GET", "length", 200, "23456789"},
		{"/zerocopy_whole", "HEAD", "none", 200, ""},
		{"/hints", "GET", "chunked", 200, "hinted"},
		{"/after_end", "GET", "length", 200, "end"},
	} {
		if test.path == "/whole_large" {
			test.framing = "chunked" // it came in parts
		}
		r := c.Do(t, test.method, test.path, "")
		if r.Status != test.status || r.Framing != test.framing || r.Body != test.body {
			t.Errorf("%s %s: %v", test.method, test.path, r)
		}
		if r.Closes() {
			c = s.Client()
		}
	}
	s.Log.Expect(t, `^after the end: http\.disconnect$`)
	if n := s.Log.Count(`ERROR`); n > 0 {
		t.Errorf("%d errors", n)
	}
	s.Terminate()
}

// The mistakes of an app are answered as far as they can be, and logged.
func TestASGIMistakes(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "asgiapps:reactions"})
	worker := s.Workers(1)[0]
	for _, test := range []struct {
		path   string
		status int
		log    string
	}{
		{"/raise", 500, `ValueError: raised before the start`},
		{"/raise_after_start", 500, `ValueError: raised after the start`},
		{"/raise_in_body", 0, `ValueError: raised in the body`},
		{"/exit", 500, `SystemExit: 7`},
		{"/return", 500, `Error in ASGI application: it returned without a response`},
		{"/return_after_start", 500, `it returned without the body of its response`},
		{"/return_in_body", 0, `it returned without the end of its response`},
		{"/bad_header", 500, `invalid value of the response's header x`},
		{"/text_header", 500, `TypeError: the header \('x', 1\) is not made of bytes`},
		{"/text_body", 500, `TypeError: 'text' is not made of bytes`},
		{"/bad_status", 500, `ValueError: 42 is not a status`},
		{"/twice", 500, `RuntimeError: 'http\.response\.start' is not expected after http\.response\.start`},
		{"/body_first", 500, `RuntimeError: 'http\.response\.body' is not expected before http\.response\.start`},
		{"/cancelled", 500, `Error in ASGI application: its task was cancelled`},
		{"/unknown", 500, `KeyError: 'react_unknown'`},
	} {
		from := s.Log.Mark()
		r, err := s.Request("GET", test.path, "")
		if test.status == 0 && (err == nil || r == nil || r.Status != 200) || test.status != 0 && (err != nil || r.Status != test.status) {
			t.Errorf("%s: %v, %v", test.path, r, err)
		}
		s.Log.ExpectFrom(t, from, test.log)
	}
	s.Log.Expect(t, `\[ERROR\] Error in ASGI application$`)
	if got := s.Workers(1)[0]; got != worker {
		t.Error("the worker was replaced")
	}
	s.Get("/")
	s.Terminate()
}

func TestASGIStream(t *testing.T) {
	t.Parallel()
	eachLine(t, harness.Options{App: "asgiapps:streaming"}, func(t *testing.T, s *harness.Server) {
		g := s.Gate("second")
		c := s.Client()
		c.Send(t, "GET /second HTTP/1.1\r\nHost: x\r\n\r\n")
		r, err := harness.ReadHead(c.Reader)
		harness.Must(t, err)
		if r.Status != 200 || r.Get("Transfer-Encoding") != "chunked" {
			t.Fatalf("%v", r)
		}
		c.ExpectChunks(t, "first")
		g.Entered()
		s.Get("/") // the worker is not held up
		g.Release()
		c.ExpectChunks(t, "second", "")
		if r := c.Do(t, "GET", "/", ""); r.Status != 200 {
			t.Errorf("%v", r)
		}
		s.Terminate()
	})
}

func TestASGITrailers(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "asgiapps:reactions", Args: []string{"--asgi-extensions", "trailers"}})
	c := s.Client()
	c.Send(t, "GET /trailers HTTP/1.1\r\nHost: x\r\nTE: deflate;q=0.5, Trailers\r\nConnection: TE\r\n\r\n")
	r, err := harness.ReadHead(c.Reader)
	harness.Must(t, err)
	if r.Get("Trailer") != "x-sum, x-more" {
		t.Errorf("%v", r)
	}
	if got := untilEmptyLine(t, c.Reader); got != "4\r\ndata\r\n4\r\nmore\r\n0\r\nx-sum: 8\r\nx-more: yes\r\n" {
		t.Errorf("%q", got)
	}
	c.Send(t, "GET /bad_trailers HTTP/1.1\r\nHost: x\r\nTE: trailers\r\n\r\n")
	if r := c.Receive(t, "GET"); r.Body != "data" {
		t.Errorf("%v", r)
	}
	s.Log.Expect(t, `\[WARNING\] Trailers of GET /bad_trailers dropped: content-length cannot be a trailer`)
	// HTTP/1.0 has none, whatever the client says.
	c.Send(t, "GET /trailers HTTP/1.0\r\nTE: trailers\r\n\r\n")
	if r := c.Receive(t, "GET"); r.Body != "no trailers" {
		t.Errorf("%v", r)
	}
	s.Terminate()
}

func untilEmptyLine(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		harness.Must(t, err)
		if line == "\r\n" {
			return b.String()
		}
		b.WriteString(line)
	}
}

func TestASGIEarlyHints(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "asgiapps:reactions"})
	c := s.Client()
	c.Send(t, "GET /hints HTTP/1.1\r\nHost: x\r\n\r\n")
	for _, want := range []string{"</a.css>; rel=preload", "</b.css>; rel=preload"} {
		r, err := harness.ReadHead(c.Reader)
		if err != nil || r.Status != 103 || r.Get("link") != want {
			t.Fatalf("%v, %v, want %s", r, err, want)
		}
	}
	if r := c.Receive(t, "GET"); r.Status != 200 || r.Body != "hinted" {
		t.Errorf("%v", r)
	}
	s.Terminate()
}

// A client that reads slowly costs the front no more than a window, and holds up
// nobody.
func TestASGISlowReader(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "hundredmb:app"})
	front := s.Role("front")[0].PID
	c := s.Client()
	c.Send(t, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
	r := c.ExpectHead(t, 200)
	// It comes to rest long before all is sent: 100 MB.
	quiet, last := 0, -1
	harness.Eventually(t, "the app waits", func() bool {
		n := s.Log.Count(`^sent \d+$`)
		if n == last {
			quiet++
		} else {
			quiet, last = 0, n
		}
		s.Get("/") // others are served
		return quiet > 50
	})
	if last > 30 {
		t.Errorf("the app has sent %d MB to a client that does not read", last)
	}
	if files, err := filepath.Glob(s.Path("tmp/*")); err != nil || len(files) > 0 {
		t.Errorf("files %q", files)
	}
	for _, fd := range openTemporaries(front) {
		t.Errorf("the front keeps %s", fd)
	}
	c.SetDeadline(time.Now().Add(2 * harness.Patience))
	if err := harness.ReadBody(c.Reader, r, "GET"); err != nil || len(r.Body) != 100_000_003 {
		t.Errorf("%d bytes, %v", len(r.Body), err)
	}
	s.Terminate()
}

// openTemporaries lists the unlinked temporary files that a process has open.
func openTemporaries(pid int) (names []string) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if name, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && strings.Contains(name, "/indrik-") && strings.HasPrefix(name, "/") && !strings.HasPrefix(name, "/memfd:") {
			names = append(names, name)
		}
	}
	return names
}
