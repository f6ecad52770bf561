//go:build linux

package test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
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
	c.Do(t, "GET", "/", "")
	began := time.Now()
	c.ExpectEOF(t)
	if took := time.Since(began); took < 500*time.Millisecond || took > 10*time.Second {
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

func TestBodies(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "digest:app"})
	c := s.Client()
	for _, size := range []int{0, 1, 1000, 65535, 65536, 65537, 1 << 20} {
		data := noise(size)
		want := digest(data)
		for _, path := range []string{"/read", "/sizes", "/readline", "/readlines", "/iterate"} {
			if r := c.Do(t, "POST", path, string(data)); r.Body != want {
				t.Errorf("%s of %d bytes: %v, want %s", path, size, r, want)
			}
			c.Send(t, "POST "+path+" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n"+chunked(data, 10000)+"0\r\nX-T: v\r\n\r\n")
			if r := c.Receive(t, "POST"); r.Body != want {
				t.Errorf("chunked %s of %d bytes: %v, want %s", path, size, r, want)
			}
		}
		if r := c.Do(t, "POST", "/none", string(data)); r.Status != 200 {
			t.Errorf("a body of %d bytes that the app does not read: %v", size, r)
		}
	}
	c.Send(t, "POST /readline-limit HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;name=\"v;x\"\r\nab\ncd\r\n00A\r\n0123456789\r\n0\r\n\r\n")
	if r := c.Receive(t, "POST"); r.Body != digest([]byte("ab\ncd0123456789")) {
		t.Errorf("chunk extensions: %v", r)
	}
	s.Terminate()
}

func TestLargeUpload(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "digest:app"})
	data := noise(48 << 20)
	want := digest(data)
	front := 0
	for i := range 2 {
		c := s.Client()
		if i == 0 {
			c.Send(t, fmt.Sprintf("POST /sizes HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", len(data)))
			c.Write(data)
		} else {
			c.Send(t, "POST /sizes HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
			c.Send(t, chunked(data, 100000)+"0\r\n\r\n")
		}
		if r := c.Receive(t, "POST"); r.Body != want {
			t.Errorf("upload %d: %v, want %s", i, r, want)
		}
		c.Close()
		for _, p := range s.Role("front") {
			front = max(front, harness.ResidentKiB(p.PID))
		}
	}
	t.Logf("the front grew to %d KiB", front)
	s.Terminate()
}

func TestSlowClientsHoldNoWorker(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "large:app"}) // one sync worker
	// A head that does not end, a body that does not come, a response that
	// nobody reads, and a connection without a request.
	head := s.Client()
	head.Send(t, "GET /16 HTTP/1.1\r\nHost:")
	body := s.Client()
	body.Send(t, "POST /16 HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nonly the beginning")
	s.Client()
	reader := s.Client()
	reader.Conn.(*net.TCPConn).SetReadBuffer(32 << 10)
	reader.Send(t, harness.FormatRequest("GET", "/1048576", ""))
	for range 20 {
		if got := s.Get("/32"); len(got) != 32 {
			t.Fatalf("%d bytes", len(got))
		}
	}
	if r := reader.Receive(t, "GET"); len(r.Body) != 1<<20 {
		t.Errorf("the slow reader got %d bytes", len(r.Body))
	}
	head.Send(t, " x\r\n\r\n")
	if r := head.Receive(t, "GET"); r.Status != 200 {
		t.Errorf("the slow head: %v", r)
	}
	body.Send(t, strings.Repeat("x", 100000-len("only the beginning")))
	if r := body.Receive(t, "POST"); r.Status != 200 {
		t.Errorf("the slow body: %v", r)
	}
	s.Terminate()
}

func TestLargeResponses(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "large:app"})
	const size = 64 << 20
	want := sha256.Sum256(bytes.Repeat([]byte("0123456789abcdef"), size/16))
	for _, target := range []string{fmt.Sprintf("/%d", size), fmt.Sprintf("/%d?pieces", size)} {
		c := s.Client()
		c.Reader = bufio.NewReaderSize(slowReader{c.Conn}, 64<<10)
		if r := c.Do(t, "GET", target, ""); sha256.Sum256([]byte(r.Body)) != want {
			t.Errorf("%s: %v", target, r)
		}
		c.Close()
	}
	for _, p := range s.Role("front") {
		t.Logf("the front has %d KiB", harness.ResidentKiB(p.PID))
	}
	s.Terminate()
}

// slowReader is a client that takes a pause now and then.
type slowReader struct{ r io.Reader }

func (s slowReader) Read(p []byte) (int, error) {
	if rand.IntN(64) == 0 {
		time.Sleep(time.Millisecond)
	}
	return s.r.Read(p)
}

func TestExpect(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "echo:app"})
	c := s.Client()
	c.Send(t, "POST /e HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-Continue\r\n\r\n")
	r, err := harness.ReadHead(c.Reader)
	if err != nil || r.Status != 100 || len(r.Fields) != 0 {
		t.Errorf("interim response: %v, %v", r, err)
	}
	c.Send(t, "body")
	if r := c.Receive(t, "POST"); r.Body != "/e\nbody" {
		t.Errorf("%v", r)
	}
	// The body has come with the head: no interim response is needed, one does no harm.
	c.Send(t, "POST /f HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbody")
	if r := c.Receive(t, "POST"); r.Body != "/f\nbody" {
		t.Errorf("%v", r)
	}
	c.Send(t, "POST /g HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbody")
	if r, err := harness.ReadHead(c.Reader); err != nil || r.Status != 200 {
		t.Errorf("HTTP/1.0: %v, %v", r, err)
	}
	c = s.Client()
	if r := c.Do(t, "GET", "/", "", "Expect: a miracle"); r.Status != 417 || !r.Closes() {
		t.Errorf("unknown expectation: %v", r)
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

func TestBodyThatDoesNotFitInMemoryTwice(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("sends 200 MB")
	}
	s := harness.Start(t, harness.Options{App: "digest:app"})
	c := s.Client()
	const size = 200 << 20
	c.Send(t, fmt.Sprintf("POST /sizes HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", size))
	block := noise(1 << 20)
	sum := sha256.New()
	for range size / len(block) {
		sum.Write(block)
		if _, err := c.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	if r := c.Receive(t, "POST"); r.Body != fmt.Sprintf("%d %x\n", size, sum.Sum(nil)) {
		t.Errorf("%v", r)
	}
	for _, p := range append(s.Role("front"), s.Role("worker")...) {
		if kib := harness.ResidentKiB(p.PID); kib > 200<<10 {
			t.Errorf("%v has %d KiB in memory", p, kib)
		}
	}
	s.Terminate()
	if entries, _ := os.ReadDir(s.Path("tmp")); len(entries) > 0 {
		t.Errorf("left behind: %v", entries)
	}
}

func noise(n int) []byte {
	b := make([]byte, n)
	src := rand.NewChaCha8([32]byte{1})
	src.Read(b)
	return b
}

func digest(b []byte) string { return fmt.Sprintf("%d %x\n", len(b), sha256.Sum256(b)) }

func chunked(b []byte, size int) string {
	var out strings.Builder
	for len(b) > 0 {
		n := min(size, len(b))
		fmt.Fprintf(&out, "%x\r\n%s\r\n", n, b[:n])
		b = b[n:]
	}
	return out.String()
}
