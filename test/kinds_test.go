//go:build linux

package test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// These tests are the same for every kind of worker that runs WSGI apps.

// TestKindConforms looks at an app through the eyes of wsgiref.validate.
func TestKindConforms(t *testing.T) {
	t.Parallel()
	forEachKind(t, func(t *testing.T, k kind) {
		t.Parallel()
		s := start(t, k.options(t, "validated:app"))
		c := s.client()
		for i := range 10 {
			if r := c.do(t, "GET", fmt.Sprint("/", i), ""); r.body != fmt.Sprintf("/%d\n", i) {
				t.Fatalf("%v", r)
			}
		}
		for _, lines := range []int{1, 1000, 20000} { // in a message, and in a file
			body := strings.Repeat("a line of the body\n", lines)
			if r := c.do(t, "POST", "/post", body, "Content-Type: text/plain"); r.body != "/post\n"+body {
				t.Errorf("POST of %d bytes: %v", len(body), r)
			}
		}
		if r := c.do(t, "GET", "/write", ""); r.body != "written returned" {
			t.Errorf("write(): %v", r)
		}
		if r := c.do(t, "HEAD", "/length", ""); r.status != 200 || r.body != "" {
			t.Errorf("HEAD: %v", r)
		}
		if r := c.do(t, "GET", "/"+strings.Repeat("x", 3000), "", "X-Long: "+strings.Repeat("y", 8000)); r.status != 200 {
			t.Errorf("long head: %v", r)
		}
		s.terminate()
	})
}

// TestKindLargeResponses has a client that does not read for a while; another one is
// served meanwhile, and the first gets every byte.
func TestKindLargeResponses(t *testing.T) {
	t.Parallel()
	forEachKind(t, func(t *testing.T, k kind) {
		t.Parallel()
		s := start(t, k.options(t, "large:app"))
		const size = 8 << 20
		for _, query := range []string{"", "?pieces"} {
			slow := s.client()
			slow.send(t, format("GET", fmt.Sprint("/", size, query), ""))
			if _, err := slow.r.Peek(1); err != nil {
				t.Fatal(err)
			}
			quick := s.client()
			for range 3 {
				if r := quick.do(t, "GET", "/1600", ""); len(r.body) != 1600 {
					t.Errorf("%v", r)
				}
			}
			if r := slow.receive(t, "GET"); len(r.body) != size || r.body != strings.Repeat("0123456789abcdef", size/16) {
				t.Errorf("%s: status %d, %d bytes", query, r.status, len(r.body))
			}
		}
		s.terminate()
	})
}

// TestKindLife takes workers from clients in every way there is.
func TestKindLife(t *testing.T) {
	t.Parallel()
	forEachKind(t, func(t *testing.T, k kind) {
		for _, preload := range []bool{false, true} {
			t.Run(fmt.Sprintf("preload=%t", preload), func(t *testing.T) {
				t.Parallel()
				o := k.options(t, "webapp:app", "--workers", "2", "--max-requests", "500", "--max-requests-jitter", "200")
				if preload {
					o.args = append(o.args, "--preload")
				}
				o.files = map[string]string{"webapp.py": versioned("0")}
				s := start(t, o)
				k, one := s.bothLoads(3)
				for range 2 {
					s.reload(2)
					pid := s.workers(2)[0]
					kill(t, pid, syscall.SIGTERM)
					waitGone(t, pid)
					s.workers(2)
					k.progress(20)
					one.progress(20)
				}
				expectNoneLost(t, k, one)
				s.terminate()
			})
		}
	})
}

// TestKindEnds is about the request that runs when its worker or the server ends.
func TestKindEnds(t *testing.T) {
	t.Parallel()
	forEachKind(t, func(t *testing.T, k kind) {
		for _, c := range []struct {
			name   string
			act    func(s *server)
			status int // 0: it is cut
		}{
			{"TERM", func(s *server) { s.signal(syscall.SIGTERM) }, 200},
			{"QUIT", func(s *server) { s.signal(syscall.SIGQUIT) }, 0},
			{"KILL", func(s *server) { kill(s.t, s.workers(1)[0], syscall.SIGKILL) }, 502},
		} {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				s := start(t, k.options(t, "gated:app"))
				m := inFlight(s)
				c.act(s)
				if c.status == 200 {
					s.log.expect(t, handling(syscall.SIGTERM))
					m.run.release()
				}
				if c.status != 0 {
					m.flight.expect(c.status)
				} else if r, err := m.flight.wait(); err == nil && r.status != 502 {
					t.Errorf("a quick end waited for %v", r) // 502: its worker was quicker than the front
				}
				m.run.release()
				if c.status == 502 {
					s.get("/")
					s.terminate()
					return
				}
				s.expectExit(0)
			})
		}
	})
}

// TestKindTimeout is about a request that runs too long among others that do not.
func TestKindTimeout(t *testing.T) {
	t.Parallel()
	forEachKind(t, func(t *testing.T, k kind) {
		t.Parallel()
		s := start(t, k.options(t, "stuck:app", "--timeout", "1", "--graceful-timeout", "20"))
		began := time.Now()
		s.begin("/stuck").expect(504)
		if took := time.Since(began); took < 900*time.Millisecond || took > 10*time.Second {
			t.Errorf("answered after %v", took)
		}
		s.log.expectFrom(t, 0, `\[CRITICAL\] WORKER TIMEOUT \(pid:\d+\): GET /stuck after \d+\.\d s`)
		s.log.expectFrom(t, 0, `in stuck_here`)
		s.get("/")
		s.terminate()
	})
}
