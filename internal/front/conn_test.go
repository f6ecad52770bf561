package front

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"indrik/internal/wire"
)

func TestKeepAlive(t *testing.T) {
	r := serving(t)
	c := r.dial()
	for i := range 3 {
		c.get(fmt.Sprintf("/%d", i))
		resp := c.expect(200, fmt.Sprintf("GET /%d ", i))
		if resp.Header.Get("Connection") != "keep-alive" || resp.Header.Get("Server") != "indrik" || resp.Header.Get("Date") == "" {
			t.Errorf("head %v", resp.Header)
		}
	}
	// Longer than the front keeps a buffer for an idle connection.
	time.Sleep(bufferTime + 2*sweepEvery)
	c.get("/later")
	c.expect(200, "GET /later ")
	c.send("GET /last HTTP/1.1\nHost: a\nConnection: close\n\n")
	if resp := c.expect(200, "GET /last "); !resp.Close {
		t.Error("no Connection: close")
	}
	c.closed()
}

func TestIdleConnectionHoldsNoBuffer(t *testing.T) {
	r := serving(t)
	c := r.dial()
	c.get("/")
	c.expect(200, "*")
	kept := r.onlyConn()
	eventually(t, "an idle connection holds no buffer", func() bool { return !kept.hasBuffer.Load() })
	c.open(50 * time.Millisecond)

	// The next sweep comes when the time of the connection is over, and not a second after the one
	// before.
	since := kept.since.Load()
	for idle, want := range map[time.Duration]time.Duration{
		2 * time.Second: sweepEvery, 74 * time.Second: sweepEvery, 74300 * time.Millisecond: 700 * time.Millisecond, 74900 * time.Millisecond: 100 * time.Millisecond,
	} {
		at := since + int64(idle)
		if next, _ := r.s.endLate(at, at, r.s.config()); next != want {
			t.Errorf("%s after it became idle: in %s, want %s", idle, next, want)
		}
	}
}

func TestKeepaliveIsOverAfterItsTime(t *testing.T) {
	cfg := testConfig()
	cfg.Keepalive = 1
	r := newRig(t, 0)
	r.listen()
	r.worker(r.generation(1, cfg), 1).serve(echo)
	// At all moments between two sweeps, of connections that had one request, or several.
	var all sync.WaitGroup
	for i := range 12 {
		c := r.dial()
		var begin time.Time // before the last request, and so before the connection is idle
		for range 1 + i%3 {
			begin = time.Now()
			c.get("/")
			c.expect(200, "*")
		}
		all.Go(func() {
			c.closed()
			if d := time.Since(begin); d < 990*time.Millisecond {
				t.Errorf("connection %d was closed after %s", i, d)
			}
		})
		time.Sleep(90 * time.Millisecond)
	}
	all.Wait()
}

func TestKeepaliveZeroCloses(t *testing.T) {
	cfg := testConfig()
	cfg.Keepalive = 0
	r := newRig(t, 0)
	r.listen()
	r.worker(r.generation(1, cfg), 1).serve(echo)
	c := r.dial()
	c.get("/")
	if resp := c.expect(200, "*"); !resp.Close {
		t.Error("no Connection: close")
	}
	c.closed()
}

func TestHTTP10(t *testing.T) {
	r := serving(t)
	c := r.dial()
	c.send("GET /a HTTP/1.0\nConnection: keep-alive\n\n")
	if resp := c.expect(200, "GET /a "); resp.Header.Get("Connection") != "keep-alive" || resp.ProtoMinor != 0 {
		t.Errorf("head %v", resp)
	}
	c.send("GET /b HTTP/1.0\n\n")
	c.expect(200, "GET /b ")
	c.closed()
}

func TestPipelining(t *testing.T) {
	r := newRig(t, 0)
	r.listen()
	w := r.worker(r.generation(1, testConfig()), 2)
	c := r.dial()
	c.send("GET /1 HTTP/1.1\nHost: a\n\nPOST /2 HTTP/1.1\nHost: a\nContent-Length: 3\n\nabcGET /3 HTTP/1.1\nHost: a\n\n")
	q := w.take(0)
	if _, ok := w.receive(100 * time.Millisecond); ok {
		t.Fatal("the second request came before the first was answered")
	}
	w.say(0, echo(q))
	w.say(1, echo(w.take(1)))
	w.say(0, echo(w.take(0)))
	c.expect(200, "GET /1 ")
	c.expect(200, "POST /2 abc")
	c.expect(200, "GET /3 ")
	c.open(50 * time.Millisecond)
}

// One empty line before a request is passed over, and a connection on which nothing
// else has come is idle: it is closed when its time is over, without a word.
func TestEmptyLine(t *testing.T) {
	cfg := testConfig()
	cfg.Keepalive = 2
	r := newRig(t, 0)
	r.listen()
	r.worker(r.generation(1, cfg), 1).serve(echo)
	for name, pieces := range map[string][]string{
		"behind the body":      {"\nPOST /a HTTP/1.1\nHost: a\nContent-Length: 3\n\nabc\n"},
		"after the response":   {"POST /a HTTP/1.1\nHost: a\nContent-Length: 3\n\nabc", "\n"},
		"before the next":      {"POST /a HTTP/1.1\nHost: a\nContent-Length: 3\n\nabc", "\nPOST /a HTTP/1.1\nHost: a\nContent-Length: 3\n\nabc"},
		"of two in a row":      {"POST /a HTTP/1.1\nHost: a\nContent-Length: 3\n\nabc\nPOST /a HTTP/1.1\nHost: a\nContent-Length: 3\n\nabc\n"},
		"with a chunked body":  {"POST /a HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n3\nabc\n0\n\n\n"},
		"before the first one": {"\n", "POST /a HTTP/1.1\nHost: a\nContent-Length: 3\n\nabc\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := r.dial()
			answers := 0
			for _, piece := range pieces {
				c.send("%s", piece)
				for range strings.Count(piece, "POST") {
					c.expect(200, "POST /a abc")
					answers++
				}
			}
			begin := time.Now()
			c.closed()
			if d := time.Since(begin); answers == 0 || d > 30*time.Second { // header_timeout is twice that
				t.Errorf("closed after %d answers and %s", answers, d)
			}
		})
	}
	for _, lines := range []string{"\n\n", "\nPOST /a HTTP/1.1\nHost: a\nContent-Length: 3\n\nabc\n\n"} {
		c := r.dial()
		c.send("%sGET / HTTP/1.1\nHost: a\n\n", lines)
		if strings.Contains(lines, "POST") {
			c.expect(200, "POST /a abc")
		}
		c.expect(400, "*")
		c.closed()
	}
}

// The head may come in any pieces.
func TestHeadInPieces(t *testing.T) {
	r := serving(t)
	c := r.dial()
	for _, b := range "POST /p HTTP/1.1\nHost: a\nContent-Length: 5\n\nhello" {
		c.send("%c", b)
		time.Sleep(200 * time.Microsecond)
	}
	c.expect(200, "POST /p hello")
	long := strings.Repeat("x", 8000)
	c.send("GET /q HTTP/1.1\nHost: a\nX-A: %s\nX-B: %s\nX-C: %s\n\n", long, long, long)
	c.expect(200, "GET /q ")
}

func TestBodies(t *testing.T) {
	r := newRig(t, 0)
	r.listen()
	type seen struct {
		sum          [32]byte
		file, stored bool
		length       string
	}
	got := make(chan seen, 1)
	r.worker(r.generation(1, testConfig()), 1).serve(func(q request) []byte {
		got <- seen{sha256.Sum256(q.body), q.file, q.inArena, q.environ["CONTENT_LENGTH"]}
		return response(q.id, "204 No Content", nil, "")
	})
	for _, size := range []int{0, 1, 4000, inlineBody, inlineBody + 1, 3 << 20, maxInArena, maxInArena + 1} {
		body := bytes.Repeat([]byte("0123456789abcde\n"), size/16+1)[:size]
		for _, chunked := range []bool{false, true} {
			c := r.dial()
			if chunked {
				c.send("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n")
				go func() {
					for rest := body; len(rest) > 0; {
						n := min(len(rest), 50_000)
						fmt.Fprintf(c.nc, "%x;ext=1\r\n%s\r\n", n, rest[:n])
						rest = rest[n:]
					}
					io.WriteString(c.nc, "0\r\nTrailer-A: b\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n")
				}()
			} else {
				c.send("POST / HTTP/1.1\nHost: a\nContent-Length: %d\n\n", size)
				go func() {
					c.nc.Write(body)
					io.WriteString(c.nc, "GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
				}()
			}
			s := <-got
			if s.sum != sha256.Sum256(body) || s.length != fmt.Sprint(size) || s.file != (size > maxInArena) || s.stored != (size > inlineBody && !s.file) {
				t.Errorf("%d bytes, chunked %v: length %s, file %v, stored %v", size, chunked, s.length, s.file, s.stored)
			}
			c.expect(204, "")
			<-got
			c.expect(204, "")
			c.nc.Close()
		}
	}
}

func TestExpect(t *testing.T) {
	r := serving(t)
	c := r.dial()
	c.send("POST /e HTTP/1.1\nHost: a\nContent-Length: 3\nExpect: 100-Continue\n\n")
	line, err := c.br.ReadString('\n')
	must(t, err)
	if line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("got %q", line)
	}
	c.br.ReadString('\n')
	c.send("abc")
	c.expect(200, "POST /e abc")
	// The body is there already: no need to ask for it.
	c.send("POST /f HTTP/1.1\nHost: a\nContent-Length: 3\nExpect: 100-continue\n\nabc")
	c.expect(200, "POST /f abc")
	c.send("POST /g HTTP/1.1\nHost: a\nContent-Length: 3\nExpect: more\n\n")
	c.expect(417, "*")
	c.closed()
}

func TestRefused(t *testing.T) {
	r := serving(t)
	for _, tt := range []struct {
		in, log string
		status  int
	}{
		{"GET /\n\n", "Invalid HTTP request line: 'GET /'", 400},
		{"GET / HTTP/1.1\nA B: c\n\n", "Invalid HTTP header name: 'A B'", 400},
		{"GET / HTTP/1.1\nA: " + strings.Repeat("x", 9000) + "\n\n", "limit request headers fields size", 431},
		{"GET / HTTP/1.1\n" + strings.Repeat("A: "+strings.Repeat("x", 8000)+"\n", 5), "limit request head size", 431},
		{"POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\nzz\n", "Invalid chunk size", 400},
		{"GET / HTTP/1.1\nA: b\n\n", "Invalid HTTP Header: 'HOST' is missing", 400},
		{"GET / HTTP/1.1\nTransfer-Encoding: x\n\n", "Unsupported transfer coding: 'x'", 501},
	} {
		c := r.dial()
		c.send("%s", tt.in)
		c.expect(tt.status, "*")
		c.closed()
		if !strings.Contains(r.log.String(), "[WARNING] Invalid request from ip=127.0.0.1: "+tt.log) {
			t.Errorf("%q is not in the log:\n%s", tt.log, r.log)
		}
	}
	// What is refused can be read although the client goes on sending.
	c := r.dial()
	c.send("GET /\n\n%s", strings.Repeat("x", 100_000))
	c.expect(400, "*")
}

// A client that ends its side still gets its answer, one that resets does not,
// and its request is not run if no worker has it.
func TestClientGone(t *testing.T) {
	r := newRig(t, 0)
	r.listen()
	g := r.generation(1, testConfig())
	w := r.worker(g, 1)
	half := r.dial()
	half.get("/half")
	half.nc.(*net.TCPConn).CloseWrite()
	q := w.take(0)
	time.Sleep(50 * time.Millisecond)
	w.say(0, echo(q))
	half.expect(200, "GET /half ")
	half.closed()

	// Two are with the worker, the third waits in the front.
	a, b, gone := r.dial(), r.dial(), r.dial()
	a.get("/a")
	qa := w.take(0)
	b.get("/b")
	eventually(t, "b is handed over", func() bool { return r.inFlight() == 2 })
	gone.get("/gone")
	eventually(t, "a request waits", func() bool { return r.waiting() == 1 })
	gone.nc.(*net.TCPConn).SetLinger(0)
	gone.nc.Close()
	eventually(t, "it is dropped", func() bool { return r.waiting() == 0 })
	w.say(0, echo(qa))
	a.expect(200, "GET /a ")
	w.say(0, echo(w.take(0)))
	b.expect(200, "GET /b ")
	if q, ok := w.receive(100 * time.Millisecond); ok {
		t.Errorf("request %v was run for nobody", q.environ["RAW_URI"])
	}

	// One that runs is counted until it is answered.
	gone = r.dial()
	gone.get("/gone")
	q = w.take(0)
	gone.nc.(*net.TCPConn).SetLinger(0)
	gone.nc.Close()
	time.Sleep(50 * time.Millisecond)
	if r.inFlight() != 1 {
		t.Error("a running request is forgotten")
	}
	w.say(0, echo(q))
	eventually(t, "it is over", func() bool { return r.inFlight() == 0 })
	eventually(t, "all connections but two are gone", func() bool { return len(r.s.all()) == 2 })
}

func TestUnixSocket(t *testing.T) {
	r := newRig(t, 0)
	path := t.TempDir() + "/s"
	ln, err := net.Listen("unix", path)
	must(t, err)
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	f, err := ln.(*net.UnixListener).File()
	must(t, err)
	ln.Close()
	r.tell(wire.ToFront{Type: wire.TypeListen, Listeners: []wire.Listener{{ID: 1, Bind: "unix:" + path, Network: "unix"}}}, f)
	env := make(chan map[string]string, 1)
	r.worker(r.generation(1, testConfig()), 1).serve(func(q request) []byte {
		env <- q.environ
		return echo(q)
	})
	nc, err := net.Dial("unix", path)
	must(t, err)
	defer nc.Close()
	io.WriteString(nc, "GET / HTTP/1.1\r\nHost: site:81\r\nX-Forwarded-Proto: https\r\n\r\n")
	e := <-env
	for k, want := range map[string]string{
		"REMOTE_ADDR": "", "SERVER_NAME": "site", "SERVER_PORT": "81", "wsgi.url_scheme": "https",
	} {
		if e[k] != want {
			t.Errorf("%s is %q, want %q", k, e[k], want)
		}
	}
	if _, has := e["REMOTE_PORT"]; has {
		t.Error("REMOTE_PORT on a unix socket")
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}
