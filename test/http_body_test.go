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

// A large answer needs no descriptor: an app that has used up all of them can give one.
func TestLargeAnswersWithoutDescriptors(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"--threads", "2"}} {
		s := harness.Start(t, harness.Options{App: "descriptors:app", Args: args,
			Wrap: []string{"sh", "-c", `ulimit -n 128; exec "$@"`, "sh"}})
		for path, size := range map[string]int{"/": 1, "/whole": 200000, "/parts": 300000} {
			for range 3 {
				if r, err := s.Request("GET", path, ""); err != nil || r.Status != 200 || len(r.Body) != size {
					t.Errorf("%q %s: %v", args, path, err)
				}
			}
		}
		s.Terminate()
	}
}
