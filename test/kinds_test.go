//go:build linux

package test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"indrik/test/harness"
)

// These tests are the same for every kind of worker that runs WSGI apps.

// TestKindConforms looks at an app through the eyes of wsgiref.validate.
func TestKindConforms(t *testing.T) {
	t.Parallel()
	harness.ForEachKind(t, func(t *testing.T, k harness.Kind) {
		t.Parallel()
		s := harness.Start(t, k.Options(t, "validated:app"))
		c := s.Client()
		for i := range 10 {
			if r := c.Do(t, "GET", fmt.Sprint("/", i), ""); r.Body != fmt.Sprintf("/%d\n", i) {
				t.Fatalf("%v", r)
			}
		}
		for _, lines := range []int{1, 1000, 20000} { // in a message, and in a file
			body := strings.Repeat("a line of the body\n", lines)
			if r := c.Do(t, "POST", "/post", body, "Content-Type: text/plain"); r.Body != "/post\n"+body {
				t.Errorf("POST of %d bytes: %v", len(body), r)
			}
		}
		if r := c.Do(t, "GET", "/write", ""); r.Body != "written returned" {
			t.Errorf("write(): %v", r)
		}
		if r := c.Do(t, "HEAD", "/length", ""); r.Status != 200 || r.Body != "" {
			t.Errorf("HEAD: %v", r)
		}
		if r := c.Do(t, "GET", "/"+strings.Repeat("x", 3000), "", "X-Long: "+strings.Repeat("y", 8000)); r.Status != 200 {
			t.Errorf("long head: %v", r)
		}
		s.Terminate()
	})
}

// TestKindLargeResponses has a client that does not read for a while; another one is
// served meanwhile, and the first gets every byte.
func TestKindLargeResponses(t *testing.T) {
	t.Parallel()
	harness.ForEachKind(t, func(t *testing.T, k harness.Kind) {
		t.Parallel()
		s := harness.Start(t, k.Options(t, "large:app"))
		const size = 8 << 20
		for _, query := range []string{"", "?pieces"} {
			slow := s.Client()
			slow.Send(t, harness.FormatRequest("GET", fmt.Sprint("/", size, query), ""))
			if _, err := slow.Reader.Peek(1); err != nil {
				t.Fatal(err)
			}
			quick := s.Client()
			for range 3 {
				if r := quick.Do(t, "GET", "/1600", ""); len(r.Body) != 1600 {
					t.Errorf("%v", r)
				}
			}
			if r := slow.Receive(t, "GET"); len(r.Body) != size || r.Body != strings.Repeat("0123456789abcdef", size/16) {
				t.Errorf("%s: status %d, %d bytes", query, r.Status, len(r.Body))
			}
		}
		s.Terminate()
	})
}

// TestKindLife takes workers from clients in every way there is.
func TestKindLife(t *testing.T) {
	t.Parallel()
	harness.ForEachKind(t, func(t *testing.T, k harness.Kind) {
		for _, preload := range []bool{false, true} {
			t.Run(fmt.Sprintf("preload=%t", preload), func(t *testing.T) {
				t.Parallel()
				o := k.Options(t, "webapp:app", "--workers", "2", "--max-requests", "500", "--max-requests-jitter", "200")
				if preload {
					o.Args = append(o.Args, "--preload")
				}
				o.Files = map[string]string{"webapp.py": versioned("0")}
				s := harness.Start(t, o)
				k, one := s.BothLoads(3)
				for range 2 {
					s.Reload(2)
					pid := s.Workers(2)[0]
					_ = syscall.Kill(pid, syscall.SIGTERM) // it may just have ended, after its last request
					harness.WaitGone(t, pid)
					s.Workers(2)
					k.Progress(20)
					one.Progress(20)
				}
				harness.ExpectNoneLost(t, k, one)
				s.Terminate()
			})
		}
	})
}

// TestKindEnds is about the request that runs when its worker or the server ends.
func TestKindEnds(t *testing.T) {
	t.Parallel()
	harness.ForEachKind(t, func(t *testing.T, k harness.Kind) {
		for _, c := range []struct {
			name   string
			act    func(s *harness.Server)
			status int // 0: it is cut
		}{
			{"TERM", func(s *harness.Server) { s.Signal(syscall.SIGTERM) }, 200},
			{"QUIT", func(s *harness.Server) { s.Signal(syscall.SIGQUIT) }, 0},
			{"KILL", func(s *harness.Server) { harness.Kill(s.T, s.Workers(1)[0], syscall.SIGKILL) }, 502},
		} {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				s := harness.Start(t, k.Options(t, "gated:app"))
				m := inFlight(s)
				c.act(s)
				if c.status == 200 {
					s.Log.Expect(t, handling(syscall.SIGTERM))
					m.run.Release()
				}
				if c.status != 0 {
					m.flight.Expect(c.status)
				} else if r, err := m.flight.Wait(); err == nil && r.Status != 502 {
					t.Errorf("a quick end waited for %v", r) // 502: its worker was quicker than the front
				}
				m.run.Release()
				if c.status == 502 {
					s.Get("/")
					s.Terminate()
					return
				}
				s.ExpectExit(0)
			})
		}
	})
}

// TestKindTimeout is about a request that runs too long among others that do not.
func TestKindTimeout(t *testing.T) {
	t.Parallel()
	harness.ForEachKind(t, func(t *testing.T, k harness.Kind) {
		t.Parallel()
		s := harness.Start(t, k.Options(t, "stuck:app", "--timeout", "2", "--graceful-timeout", "20"))
		began := time.Now()
		s.Begin("/stuck").Expect(504)
		if took := time.Since(began); took < 1900*time.Millisecond || took > 20*time.Second {
			t.Errorf("answered after %v", took)
		}
		s.Log.ExpectFrom(t, 0, `\[CRITICAL\] WORKER TIMEOUT \(pid:\d+\): GET /stuck after \d+\.\d s`)
		s.Log.ExpectFrom(t, 0, `in stuck_here`)
		s.Get("/")
		s.Terminate()
	})
}
