//go:build linux

package test

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// eachLine runs a test in plain text and over TLS.
func eachLine(t *testing.T, o options, test func(t *testing.T, s *server)) {
	t.Helper()
	t.Run("plain", func(t *testing.T) { test(t, start(t, o)) })
	t.Run("TLS", func(t *testing.T) { test(t, start(t, withTLS(t, o))) })
}

func TestContinueIsSentForABodyThatIsWanted(t *testing.T) {
	t.Parallel()
	o := options{app: "echo:app", args: []string{"--limit-request-body", "1000", "--limit-request-fields", "20"}}
	eachLine(t, o, func(t *testing.T, s *server) {
		c := s.client()
		for i, head := range []string{
			"Content-Length: 4\r\nExpect: 100-continue", "Transfer-Encoding: chunked\r\nExpect: 100-Continue",
			"Expect: 100-continue\r\nContent-Length: 1000",
		} {
			c.send(t, fmt.Sprintf("POST /%d HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n", i, head))
			if r, err := readHead(c.r); err != nil || r.status != 100 {
				t.Fatalf("%q: %v, %v", head, r, err)
			}
			body := "body"
			switch {
			case strings.Contains(head, "chunked"):
				c.send(t, "4\r\nbody\r\n0\r\n\r\n")
			case strings.Contains(head, "1000"):
				body = strings.Repeat("x", 1000)
				fallthrough
			default:
				c.send(t, body)
			}
			if r, err := readHead(c.r); err != nil || r.status != 200 {
				t.Fatalf("%q: %v, %v", head, r, err)
			} else if err := readBody(c.r, r, "POST"); err != nil || r.body != fmt.Sprintf("/%d\n%s", i, body) {
				t.Fatalf("%q: %v, %v", head, r, err)
			}
		}
		// Without a body there is nothing to wait for.
		for _, head := range []string{"Content-Length: 0\r\nExpect: 100-continue", "Expect: 100-continue"} {
			c.send(t, "POST /none HTTP/1.1\r\nHost: x\r\n"+head+"\r\n\r\n")
			if r := c.receive(t, "POST"); r.status != 200 {
				t.Errorf("%q: %v", head, r)
			}
		}
		// What is refused is not asked for.
		for head, want := range map[string]int{
			"Content-Length: 1001\r\nExpect: 100-continue":                                    413,
			"Content-Length: 99999999999\r\nExpect: 100-continue":                             413,
			"Content-Length: 4\r\nExpect: a-miracle":                                          417,
			"Content-Length: 4\r\nExpect: 100-continue, a-miracle":                            417,
			"Content-Length: 4\r\nContent-Length: 5\r\nExpect: 100-continue":                  400,
			"Transfer-Encoding: chunked\r\nContent-Length: 4\r\nExpect: 100-continue":         400,
			"Content-Length: 4\r\nExpect: 100-continue" + strings.Repeat("\r\nX-Many: x", 20): 431,
		} {
			c := s.client()
			c.send(t, "POST /refused HTTP/1.1\r\nHost: x\r\n"+head+"\r\n\r\n")
			r, err := readHead(c.r)
			if err != nil || r.status != want {
				t.Errorf("%.60q: %v, %v, want %d at once", head, r, err, want)
			}
		}
		s.get("/")
		s.terminate()
	})
}

func TestContinueWhileTheQueueIsFull(t *testing.T) {
	t.Parallel()
	// A 503 takes the place of the 100, and the body stays with the client.
	s, g, busy := occupied(t, options{app: "gated:app", args: []string{"--queue-limit", "1"}})
	s.fillQueue(1)
	c := s.client()
	c.send(t, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n")
	if r, err := readHead(c.r); err != nil || r.status != 503 || r.get("Retry-After") == "" {
		t.Errorf("%v, %v", r, err)
	}
	g.release()
	busy.expect(200)
	s.terminate()
}

func TestEarlyAnswerIsRead(t *testing.T) {
	t.Parallel()
	// The client sends all it has to send before it reads. The answer came long
	// before, and is still there.
	o := options{app: "echo:app", args: []string{"--limit-request-body", "1000"}}
	eachLine(t, o, func(t *testing.T, s *server) {
		for name, c := range map[string]struct {
			head   string
			status int
		}{
			"announced":   {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", 413},
			"chunked":     {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", 413},
			"malformed":   {"POST / HTTP/1.1\r\nHost : x\r\nContent-Length: %d\r\n\r\n", 400},
			"expectation": {"POST / HTTP/1.1\r\nHost: x\r\nExpect: x\r\nContent-Length: %d\r\n\r\n", 417},
			"large head":  {"POST / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 10000) + "\r\nContent-Length: %d\r\n\r\n", 431},
		} {
			for _, size := range []int{2000, 100 << 10, 1 << 20, 8 << 20} {
				conn := s.client()
				body := strings.Repeat("0123456789abcdef", size/16)
				if name == "chunked" {
					conn.send(t, c.head)
					body = chunked([]byte(body), 8000) + "0\r\n\r\n"
				} else {
					conn.send(t, fmt.Sprintf(c.head, size))
				}
				if n, err := io.WriteString(conn, body); err != nil {
					t.Errorf("%s: after %d of %d bytes: %v", name, n, len(body), err)
				}
				r, err := readResponse(conn.r, "POST")
				if err != nil || r.status != c.status || !r.closes() {
					t.Errorf("%s, %d bytes: %v, %v, want %d", name, size, r, err, c.status)
					continue
				}
				conn.expectEOF(t)
			}
		}
		s.get("/")
		s.terminate()
	})
}

func TestEarlyAnswerToACurlThatUploads(t *testing.T) {
	t.Parallel()
	o := options{app: "echo:app", args: []string{"--limit-request-body", "1000"}}
	eachLine(t, o, func(t *testing.T, s *server) {
		url := "http://" + s.addr()
		if s.o.tls != nil {
			url = fmt.Sprintf("https://localhost:%d", s.port)
		}
		s.write("body", strings.Repeat("x", 5<<20))
		for _, expect := range []string{"Expect: 100-continue", "Expect:"} {
			got := s.curl("--data-binary", "@"+s.path("body"), "--header", expect, "--write-out", " %{http_code}", url)
			if !strings.HasSuffix(got, " 413") {
				t.Errorf("%s: %q", expect, got)
			}
		}
		s.terminate()
	})
}

func TestEarlyAnswerEndsNoPipeline(t *testing.T) {
	t.Parallel()
	// What comes before the refused request is answered, in order; what comes after
	// it is not, since nobody can tell where it begins.
	eachLine(t, options{app: "echo:app", args: []string{"--limit-request-body", "1000"}}, func(t *testing.T, s *server) {
		c := s.client()
		c.send(t, format("GET", "/1", "")+format("POST", "/2", "two")+format("POST", "/3", strings.Repeat("x", 1001))+format("GET", "/4", ""))
		for _, want := range []string{"/1\n", "/2\ntwo"} {
			if r := c.receive(t, "GET"); r.body != want {
				t.Errorf("%v, want %q", r, want)
			}
		}
		if r := c.receive(t, "POST"); r.status != 413 || !r.closes() {
			t.Errorf("%v", r)
		}
		c.expectEOF(t)
		s.terminate()
	})
}

func TestPipelineWaitsForItsFirst(t *testing.T) {
	t.Parallel()
	// The second request could be answered at once by the other worker; its answer
	// comes second all the same.
	eachLine(t, options{app: "gated:app", args: []string{"--workers", "2"}}, func(t *testing.T, s *server) {
		s.workers(2)
		first, second := s.gate("first"), s.gate("second")
		c := s.client()
		c.send(t, format("GET", "/first", "")+format("HEAD", "/", "")+format("GET", "/second", ""))
		first.entered()
		s.get("/") // the other worker is free
		if second.reached() {
			t.Error("the third request runs before the first is answered")
		}
		first.release()
		for _, method := range []string{"GET", "HEAD"} {
			if r := c.receive(t, method); r.status != 200 {
				t.Errorf("%s: %v", method, r)
			}
		}
		second.entered()
		second.release()
		if r := c.receive(t, "GET"); r.status != 200 {
			t.Errorf("%v", r)
		}
		s.terminate()
	})
}
