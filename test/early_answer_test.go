//go:build linux

package test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"indrik/test/harness"
)

// eachLine runs a test in plain text and over TLS.
func eachLine(t *testing.T, o harness.Options, test func(t *testing.T, s *harness.Server)) {
	t.Helper()
	t.Run("plain", func(t *testing.T) { test(t, harness.Start(t, o)) })
	t.Run("TLS", func(t *testing.T) { test(t, harness.Start(t, harness.WithTLS(t, o))) })
}

func TestContinueIsSentForABodyThatIsWanted(t *testing.T) {
	t.Parallel()
	o := harness.Options{App: "echo:app", Args: []string{"--limit-request-body", "1000", "--limit-request-fields", "20"}}
	eachLine(t, o, func(t *testing.T, s *harness.Server) {
		c := s.Client()
		for i, head := range []string{
			"Content-Length: 4\r\nExpect: 100-continue", "Transfer-Encoding: chunked\r\nExpect: 100-Continue",
			"Expect: 100-continue\r\nContent-Length: 1000",
		} {
			c.Send(t, fmt.Sprintf("POST /%d HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n", i, head))
			if r, err := harness.ReadHead(c.Reader); err != nil || r.Status != 100 {
				t.Fatalf("%q: %v, %v", head, r, err)
			}
			body := "body"
			switch {
			case strings.Contains(head, "chunked"):
				c.Send(t, "4\r\nbody\r\n0\r\n\r\n")
			case strings.Contains(head, "1000"):
				body = strings.Repeat("x", 1000)
				fallthrough
			default:
				c.Send(t, body)
			}
			if r, err := harness.ReadHead(c.Reader); err != nil || r.Status != 200 {
				t.Fatalf("%q: %v, %v", head, r, err)
			} else if err := harness.ReadBody(c.Reader, r, "POST"); err != nil || r.Body != fmt.Sprintf("/%d\n%s", i, body) {
				t.Fatalf("%q: %v, %v", head, r, err)
			}
		}
		// Without a body there is nothing to wait for.
		for _, head := range []string{"Content-Length: 0\r\nExpect: 100-continue", "Expect: 100-continue"} {
			c.Send(t, "POST /none HTTP/1.1\r\nHost: x\r\n"+head+"\r\n\r\n")
			if r := c.Receive(t, "POST"); r.Status != 200 {
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
			c := s.Client()
			c.Send(t, "POST /refused HTTP/1.1\r\nHost: x\r\n"+head+"\r\n\r\n")
			r, err := harness.ReadHead(c.Reader)
			if err != nil || r.Status != want {
				t.Errorf("%.60q: %v, %v, want %d at once", head, r, err, want)
			}
		}
		s.Get("/")
		s.Terminate()
	})
}

func TestContinueWhileTheQueueIsFull(t *testing.T) {
	t.Parallel()
	// A 503 takes the place of the 100, and the body stays with the client.
	s, g, busy := occupied(t, harness.Options{App: "gated:app", Args: []string{"--queue-limit", "1", "--control-socket", "srv.ctl"}})
	fillQueue(s, 1)
	harness.Eventually(t, "the queue is full", func() bool {
		st := statusOf(t, s)
		return st.Front != nil && st.Front.Queue.Length == 1+waitingInKernel
	})
	c := s.Client()
	c.Send(t, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n")
	if r, err := harness.ReadHead(c.Reader); err != nil || r.Status != 503 || r.Get("Retry-After") == "" {
		t.Errorf("%v, %v", r, err)
	}
	g.Release()
	busy.Expect(200)
	s.Terminate()
}

func TestEarlyAnswerIsRead(t *testing.T) {
	t.Parallel()
	// The client sends all it has to send before it reads. The answer came long
	// before, and is still there.
	o := harness.Options{App: "echo:app", Args: []string{"--limit-request-body", "1000"}}
	eachLine(t, o, func(t *testing.T, s *harness.Server) {
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
				conn := s.Client()
				body := strings.Repeat("0123456789abcdef", size/16)
				if name == "chunked" {
					conn.Send(t, c.head)
					body = chunked([]byte(body), 8000) + "0\r\n\r\n"
				} else {
					conn.Send(t, fmt.Sprintf(c.head, size))
				}
				if n, err := io.WriteString(conn, body); err != nil {
					t.Errorf("%s: after %d of %d bytes: %v", name, n, len(body), err)
				}
				r, err := harness.ReadResponse(conn.Reader, "POST")
				if err != nil || r.Status != c.status || !r.Closes() {
					t.Errorf("%s, %d bytes: %v, %v, want %d", name, size, r, err, c.status)
					continue
				}
				conn.ExpectEOF(t)
			}
		}
		s.Get("/")
		s.Terminate()
	})
}

func TestEarlyAnswerToACurlThatUploads(t *testing.T) {
	t.Parallel()
	o := harness.Options{App: "echo:app", Args: []string{"--limit-request-body", "1000"}}
	eachLine(t, o, func(t *testing.T, s *harness.Server) {
		url := "http://" + s.Address
		if s.TLS != nil {
			url = fmt.Sprintf("https://localhost:%d", s.Port)
		}
		s.WriteFile("body", strings.Repeat("x", 5<<20))
		for _, expect := range []string{"Expect: 100-continue", "Expect:"} {
			got := s.Curl("--data-binary", "@"+s.Path("body"), "--header", expect, "--write-out", " %{http_code}", url)
			if !strings.HasSuffix(got, " 413") {
				t.Errorf("%s: %q", expect, got)
			}
		}
		s.Terminate()
	})
}

func TestEarlyAnswerEndsNoPipeline(t *testing.T) {
	t.Parallel()
	// What comes before the refused request is answered, in order; what comes after
	// it is not, since nobody can tell where it begins.
	eachLine(t, harness.Options{App: "echo:app", Args: []string{"--limit-request-body", "1000"}}, func(t *testing.T, s *harness.Server) {
		c := s.Client()
		c.Send(t, harness.FormatRequest("GET", "/1", "")+harness.FormatRequest("POST", "/2", "two")+harness.FormatRequest("POST", "/3", strings.Repeat("x", 1001))+harness.FormatRequest("GET", "/4", ""))
		for _, want := range []string{"/1\n", "/2\ntwo"} {
			if r := c.Receive(t, "GET"); r.Body != want {
				t.Errorf("%v, want %q", r, want)
			}
		}
		if r := c.Receive(t, "POST"); r.Status != 413 || !r.Closes() {
			t.Errorf("%v", r)
		}
		c.ExpectEOF(t)
		s.Terminate()
	})
}

func TestPipelineWaitsForItsFirst(t *testing.T) {
	t.Parallel()
	// The second request could be answered at once by the other worker; its answer
	// comes second all the same.
	eachLine(t, harness.Options{App: "gated:app", Args: []string{"--workers", "2"}}, func(t *testing.T, s *harness.Server) {
		s.Workers(2)
		first, second := s.Gate("first"), s.Gate("second")
		c := s.Client()
		c.Send(t, harness.FormatRequest("GET", "/first", "")+harness.FormatRequest("HEAD", "/", "")+harness.FormatRequest("GET", "/second", ""))
		first.Entered()
		s.Get("/") // the other worker is free
		if second.Reached() {
			t.Error("the third request runs before the first is answered")
		}
		first.Release()
		for _, method := range []string{"GET", "HEAD"} {
			if r := c.Receive(t, method); r.Status != 200 {
				t.Errorf("%s: %v", method, r)
			}
		}
		second.Entered()
		second.Release()
		if r := c.Receive(t, "GET"); r.Status != 200 {
			t.Errorf("%v", r)
		}
		s.Terminate()
	})
}
