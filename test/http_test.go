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
)

func TestKeepAlive(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "echo:app"})
	c := s.client()
	for i := range 50 {
		if r := c.do(t, "GET", fmt.Sprint("/", i), ""); r.body != fmt.Sprintf("/%d\n", i) || r.closes() {
			t.Fatalf("request %d: %v", i, r)
		}
	}
	if r := c.do(t, "GET", "/", "", "Connection: Close"); !r.closes() {
		t.Errorf("Connection: Close is answered with %v", r)
	}
	c.expectEOF(t)

	c = s.client()
	c.send(t, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
	if r := c.receive(t, "GET"); r.proto != "HTTP/1.0" && r.proto != "HTTP/1.1" || r.closes() {
		t.Errorf("HTTP/1.0 with keep-alive: %v", r)
	}
	c.send(t, "GET / HTTP/1.0\r\n\r\n")
	if r := c.receive(t, "GET"); r.status != 200 {
		t.Errorf("HTTP/1.0: %v", r)
	}
	c.expectEOF(t)
	s.terminate()
}

func TestIdleConnectionIsKept(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "echo:app"})
	once, twice := s.client(), s.client()
	s.client() // never sends anything
	once.do(t, "GET", "/", "")
	twice.do(t, "GET", "/", "")
	twice.do(t, "GET", "/", "")
	time.Sleep(2500 * time.Millisecond) // longer than what is looked at every second
	for name, c := range map[string]*client{"once": once, "twice": twice} {
		if closedByPeer(c) {
			t.Errorf("an idle connection that was used %s was closed", name)
			continue
		}
		c.do(t, "GET", "/", "")
	}
	s.terminate()
}

func TestKeepAliveTimeout(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "echo:app", args: []string{"--keep-alive", "1"}})
	c := s.client()
	c.do(t, "GET", "/", "")
	began := time.Now()
	c.expectEOF(t)
	if took := time.Since(began); took < 500*time.Millisecond || took > 10*time.Second {
		t.Errorf("an idle connection was closed after %v, want 1 s", took)
	}
	s.terminate()

	s = start(t, options{app: "echo:app", args: []string{"--keep-alive", "0"}})
	c = s.client()
	if r := c.do(t, "GET", "/", ""); !r.closes() {
		t.Errorf("keepalive 0: %v", r)
	}
	c.expectEOF(t)
	s.terminate()
}

func TestPipelining(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "echo:app", args: []string{"--workers", "2"}})
	c := s.client()
	var all strings.Builder
	for i := range 40 {
		if i%3 == 2 {
			all.WriteString(format("POST", fmt.Sprint("/", i), strings.Repeat("b", i)))
		} else {
			all.WriteString(format("GET", fmt.Sprint("/", i), ""))
		}
	}
	c.send(t, all.String())
	for i := range 40 {
		want := fmt.Sprintf("/%d\n", i)
		if i%3 == 2 {
			want += strings.Repeat("b", i)
		}
		if r := c.receive(t, "GET"); r.body != want {
			t.Fatalf("response %d: %v, want %q", i, r, want)
		}
	}
	s.terminate()
}

func TestByteByByte(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "echo:app"})
	c := s.client()
	for _, b := range []byte(format("POST", "/slow", "body")) {
		c.send(t, string(b))
	}
	if r := c.receive(t, "POST"); r.body != "/slow\nbody" {
		t.Errorf("%v", r)
	}
	s.terminate()
}

func TestNoBodyStatuses(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "statuses:app"})
	c := s.client()
	for _, status := range []string{"204", "304", "200", "404"} {
		r := c.do(t, "GET", "/"+status, "")
		if fmt.Sprint(r.status) != status || r.reason != "Some Reason" || r.get("X-Case") != "as Given" {
			t.Errorf("%s: %v", status, r)
		}
		if r.framing == "none" && (r.has("Transfer-Encoding") || status == "204" && r.has("Content-Length")) {
			t.Errorf("%s must have no body: %v", status, r)
		}
		if r.framing != "none" && r.body != "body" {
			t.Errorf("%s: %v", status, r)
		}
		if r := c.do(t, "HEAD", "/"+status, ""); fmt.Sprint(r.status) != status {
			t.Errorf("HEAD %s: %v", status, r)
		}
	}
	s.terminate()
}

func TestStreaming(t *testing.T) {
	t.Parallel()
	for _, app := range []string{"streaming:app", "streaming:writing"} {
		s := start(t, options{app: app})
		g := s.gate("second")
		c := s.client()
		c.send(t, format("GET", "/", ""))
		r, err := readHead(c.r)
		must(t, err)
		if r.get("Transfer-Encoding") != "chunked" {
			t.Errorf("%s: %v", app, r)
		}
		if chunk, err := readChunk(c.r); chunk != "first" {
			t.Errorf("%s: first chunk %q, %v", app, chunk, err)
		}
		g.entered() // only now: what was read came before the app went on
		g.release()
		if chunk, err := readChunk(c.r); chunk != "second" {
			t.Errorf("%s: second chunk %q, %v", app, chunk, err)
		}
		if chunk, err := readChunk(c.r); chunk != "" || err != nil {
			t.Errorf("%s: last chunk %q, %v", app, chunk, err)
		}
		c.send(t, "GET / HTTP/1.0\r\n\r\n")
		if r := c.receive(t, "GET"); r.framing != "close" || r.body != "firstsecond" {
			t.Errorf("%s: HTTP/1.0: %v", app, r)
		}
		s.terminate()
	}
}

func TestEarlyHints(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "hints:app"})
	g := s.gate("hints")
	c := s.client()
	c.send(t, format("GET", "/", ""))
	r, err := readHead(c.r)
	if err != nil || r.status != 103 || r.get("Link") != "</style.css>; rel=preload" {
		t.Errorf("%v, %v", r, err)
	}
	g.entered()
	g.release()
	if r := c.receive(t, "GET"); r.body != "answer" {
		t.Errorf("%v", r)
	}
	s.terminate()
}

func TestFileWrapper(t *testing.T) {
	t.Parallel()
	data := noise(3 << 20)
	s := start(t, options{app: "files:app", files: map[string]string{"data.bin": string(data), "empty.bin": ""}})
	c := s.client()
	for path, want := range map[string][]byte{
		"/whole": data, "/rest": data[1000:], "/part": data[:5000], "/memory": data, "/unsized": data, "/empty": nil,
	} {
		if r := c.do(t, "GET", path, ""); r.body != string(want) {
			t.Errorf("%s: %d bytes, want %d: %v", path, len(r.body), len(want), r)
		}
		if r := c.do(t, "HEAD", path, ""); r.status != 200 {
			t.Errorf("HEAD %s: %v", path, r)
		}
	}
	if n := openFiles(s.workers(1)[0]); n > 60 {
		t.Errorf("the worker has %d open files", n)
	}
	s.terminate()
}

func TestBodies(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "digest:app"})
	c := s.client()
	for _, size := range []int{0, 1, 1000, 65535, 65536, 65537, 1 << 20} {
		data := noise(size)
		want := digest(data)
		for _, path := range []string{"/read", "/sizes", "/readline", "/readlines", "/iterate"} {
			if r := c.do(t, "POST", path, string(data)); r.body != want {
				t.Errorf("%s of %d bytes: %v, want %s", path, size, r, want)
			}
			c.send(t, "POST "+path+" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n"+chunked(data, 10000)+"0\r\nX-T: v\r\n\r\n")
			if r := c.receive(t, "POST"); r.body != want {
				t.Errorf("chunked %s of %d bytes: %v, want %s", path, size, r, want)
			}
		}
		if r := c.do(t, "POST", "/none", string(data)); r.status != 200 {
			t.Errorf("a body of %d bytes that the app does not read: %v", size, r)
		}
	}
	c.send(t, "POST /readline-limit HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;name=\"v;x\"\r\nab\ncd\r\n00A\r\n0123456789\r\n0\r\n\r\n")
	if r := c.receive(t, "POST"); r.body != digest([]byte("ab\ncd0123456789")) {
		t.Errorf("chunk extensions: %v", r)
	}
	s.terminate()
}

func TestLargeUpload(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "digest:app"})
	data := noise(48 << 20)
	want := digest(data)
	front := 0
	for i := range 2 {
		c := s.client()
		if i == 0 {
			c.send(t, fmt.Sprintf("POST /sizes HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", len(data)))
			c.Write(data)
		} else {
			c.send(t, "POST /sizes HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
			c.send(t, chunked(data, 100000)+"0\r\n\r\n")
		}
		if r := c.receive(t, "POST"); r.body != want {
			t.Errorf("upload %d: %v, want %s", i, r, want)
		}
		c.Close()
		for _, p := range s.role("front") {
			front = max(front, residentKiB(p.pid))
		}
	}
	t.Logf("the front grew to %d KiB", front)
	s.terminate()
}

func TestSlowClientsHoldNoWorker(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "large:app"}) // one sync worker
	// A head that does not end, a body that does not come, a response that
	// nobody reads, and a connection without a request.
	head := s.client()
	head.send(t, "GET /16 HTTP/1.1\r\nHost:")
	body := s.client()
	body.send(t, "POST /16 HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nonly the beginning")
	s.client()
	reader := s.client()
	reader.Conn.(*net.TCPConn).SetReadBuffer(32 << 10)
	reader.send(t, format("GET", "/1048576", ""))
	for range 20 {
		if got := s.get("/32"); len(got) != 32 {
			t.Fatalf("%d bytes", len(got))
		}
	}
	if r := reader.receive(t, "GET"); len(r.body) != 1<<20 {
		t.Errorf("the slow reader got %d bytes", len(r.body))
	}
	head.send(t, " x\r\n\r\n")
	if r := head.receive(t, "GET"); r.status != 200 {
		t.Errorf("the slow head: %v", r)
	}
	body.send(t, strings.Repeat("x", 100000-len("only the beginning")))
	if r := body.receive(t, "POST"); r.status != 200 {
		t.Errorf("the slow body: %v", r)
	}
	s.terminate()
}

func TestLargeResponses(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "large:app"})
	const size = 64 << 20
	want := sha256.Sum256(bytes.Repeat([]byte("0123456789abcdef"), size/16))
	for _, target := range []string{fmt.Sprintf("/%d", size), fmt.Sprintf("/%d?pieces", size)} {
		c := s.client()
		c.r = bufio.NewReaderSize(slowReader{c.Conn}, 64<<10)
		if r := c.do(t, "GET", target, ""); sha256.Sum256([]byte(r.body)) != want {
			t.Errorf("%s: %v", target, r)
		}
		c.Close()
	}
	for _, p := range s.role("front") {
		t.Logf("the front has %d KiB", residentKiB(p.pid))
	}
	s.terminate()
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
	s := start(t, options{app: "echo:app"})
	c := s.client()
	c.send(t, "POST /e HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-Continue\r\n\r\n")
	r, err := readHead(c.r)
	if err != nil || r.status != 100 || len(r.fields) != 0 {
		t.Errorf("interim response: %v, %v", r, err)
	}
	c.send(t, "body")
	if r := c.receive(t, "POST"); r.body != "/e\nbody" {
		t.Errorf("%v", r)
	}
	// The body has come with the head: no interim response is needed, one does no harm.
	c.send(t, "POST /f HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbody")
	if r := c.receive(t, "POST"); r.body != "/f\nbody" {
		t.Errorf("%v", r)
	}
	c.send(t, "POST /g HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbody")
	if r, err := readHead(c.r); err != nil || r.status != 200 {
		t.Errorf("HTTP/1.0: %v, %v", r, err)
	}
	c = s.client()
	if r := c.do(t, "GET", "/", "", "Expect: a miracle"); r.status != 417 || !r.closes() {
		t.Errorf("unknown expectation: %v", r)
	}
	s.terminate()
}

func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "echo:app"})
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
		mark := s.log.mark()
		c := s.client()
		c.send(t, request)
		r, err := readResponse(c.r, "GET")
		if err != nil || r.status != status || !r.closes() || r.get("Content-Type") != "text/html" {
			t.Errorf("%.40q: %v, %v, want %d", request, r, err, status)
			continue
		}
		c.expectEOF(t)
		s.log.expectFrom(t, mark, `\[WARNING\] Invalid request from ip=127\.0\.0\.1: `)
	}
	s.get("/still-there")
	s.terminate()
}

func TestClientGoesAway(t *testing.T) {
	t.Parallel()
	// Clients that leave at each point do not disturb those who stay.
	s := start(t, options{app: "gated:app"})
	s.client().Close()
	c := s.client()
	c.send(t, "GET / HT")
	c.Close()
	c = s.client()
	c.send(t, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
	c.Close()

	g := s.gate("gone")
	c = s.client()
	c.send(t, format("GET", "/gone", ""))
	g.entered()
	waiting := s.client()
	waiting.send(t, format("GET", "/", "")) // waits for the only worker
	c.Close()
	g.release()
	if r := waiting.receive(t, "GET"); r.status != 200 {
		t.Errorf("%v", r)
	}
	s.terminate()
	if s.log.count("Traceback") > 0 {
		t.Error("a client that leaves is no error")
	}
}

func TestBodyThatDoesNotFitInMemoryTwice(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("sends 200 MB")
	}
	s := start(t, options{app: "digest:app"})
	c := s.client()
	const size = 200 << 20
	c.send(t, fmt.Sprintf("POST /sizes HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", size))
	block := noise(1 << 20)
	sum := sha256.New()
	for range size / len(block) {
		sum.Write(block)
		if _, err := c.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	if r := c.receive(t, "POST"); r.body != fmt.Sprintf("%d %x\n", size, sum.Sum(nil)) {
		t.Errorf("%v", r)
	}
	for _, p := range append(s.role("front"), s.role("worker")...) {
		if kib := residentKiB(p.pid); kib > 200<<10 {
			t.Errorf("%v has %d KiB in memory", p, kib)
		}
	}
	s.terminate()
	if entries, _ := os.ReadDir(s.path("tmp")); len(entries) > 0 {
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
