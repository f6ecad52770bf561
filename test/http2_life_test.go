//go:build linux

package test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

func TestHTTP2Drain(t *testing.T) {
	t.Parallel()
	// TERM says GOAWAY, and what has begun is finished.
	overHTTP2(t, options{app: "gated:app"}, func(t *testing.T, s *server, w *web) {
		idle := s.framed()
		idle.response(idle.open("GET", "/", true))
		g := s.gate("run")
		f := s.framed()
		running := f.open("GET", "/run", true)
		g.entered()
		queued := f.open("GET", "/", true)
		f.ping()
		s.signal(syscall.SIGTERM)
		f.until("GOAWAY", func() bool { return f.goaway != nil })
		idle.until("GOAWAY", func() bool { return idle.goaway != nil })
		if f.goaway.code != http2.ErrCodeNo || idle.goaway.code != http2.ErrCodeNo {
			t.Errorf("%+v, %+v", f.goaway, idle.goaway)
		}
		idle.expectEnd()
		g.release()
		for _, id := range []uint32{running, queued} {
			if r := f.response(id); r.status() != "200" || !r.ended {
				t.Errorf("stream %d: %v", id, r)
			}
		}
		if f.goaway.last < queued {
			t.Errorf("the last stream is said to be %d, but %d was answered", f.goaway.last, queued)
		}
		f.expectEnd()
		s.expectExit(0)
	})
}

func TestHTTP2Reload(t *testing.T) {
	t.Parallel()
	// Connections stay when the workers are exchanged: no GOAWAY.
	o := options{app: "webapp:app", files: map[string]string{"webapp.py": versioned("old")}}
	overHTTP2(t, o, func(t *testing.T, s *server, w *web) {
		f := s.framed()
		ask := func(want string) {
			t.Helper()
			if r := f.response(f.open("GET", "/version", true)); string(r.body) != want {
				t.Errorf("%v, want version %s", r, want)
			}
		}
		ask("old")
		s.write("webapp.py", versioned("new"))
		s.reload(1)
		ask("new")
		s.reload(1) // changes nothing
		ask("new")
		f.ping()
		if f.goaway != nil {
			t.Errorf("GOAWAY: %+v", f.goaway)
		}
		s.terminate()
	})
}

func TestHTTP2ReloadUnderLoad(t *testing.T) {
	t.Parallel()
	o := options{app: "webapp:app", args: []string{"--workers", "2"}, files: map[string]string{"webapp.py": versioned("0")}}
	for _, way := range []string{webH2, webH2C} {
		t.Run(way, func(t *testing.T) {
			s := start(t, withHTTP2(t, way, o))
			l := s.webLoad(8, way)
			l.progress(20)
			for i := range 3 {
				s.write("webapp.py", versioned(fmt.Sprint(i+1)))
				s.reload(2)
				l.progress(50)
			}
			l.expectNoneLost(t)
			s.terminate()
		})
	}
}

func TestHTTP2Upgrade(t *testing.T) {
	t.Parallel()
	o := options{app: "webapp:app", daemon: true, args: []string{"--workers", "2"}, files: map[string]string{"webapp.py": versioned("old")}}
	for _, way := range []string{webH2, webH2C} {
		t.Run(way, func(t *testing.T) {
			s := start(t, withHTTP2(t, way, o))
			var loads []*load
			for range 3 { // connections
				loads = append(loads, s.webLoad(3, way))
			}
			for _, version := range []string{"new", "newer"} {
				s.write("webapp.py", versioned(version))
				old := s.pid()
				u := s.upgrade(2)
				for _, l := range loads {
					l.progress(20)
				}
				s.signal(syscall.SIGTERM)
				waitGone(t, old)
				u.become()
				for _, l := range loads {
					l.progress(20)
				}
				if got := s.get("/version"); got != version {
					t.Errorf("after the upgrade version %s serves", got)
				}
			}
			for _, l := range loads {
				l.expectNoneLost(t)
			}
			s.terminate()
		})
	}
}

func TestHTTP2KillWorker(t *testing.T) {
	t.Parallel()
	overHTTP2(t, options{app: "gated:app"}, func(t *testing.T, s *server, w *web) {
		g := s.gate("run")
		f := s.framed()
		running := f.open("GET", "/run", true)
		g.entered()
		queued := f.open("GET", "/", true)
		f.ping()
		kill(t, s.workers(1)[0], syscall.SIGKILL)
		if r := f.response(running); r.status() != "502" {
			t.Errorf("the request of the worker that died: %v", r)
		}
		g.release()
		if r := f.response(queued); r.status() != "200" {
			t.Errorf("the one that waited: %v", r)
		}
		s.terminate()
	})
}

func TestHTTP2Timeout(t *testing.T) {
	t.Parallel()
	overHTTP2(t, options{app: "stuck:app", args: []string{"--timeout", "1"}}, func(t *testing.T, s *server, w *web) {
		f := s.framed()
		if r := f.response(f.open("GET", "/stuck", true)); r.status() != "504" {
			t.Errorf("%v", r)
		}
		if r := f.response(f.open("GET", "/", true)); r.status() != "200" {
			t.Errorf("on the same connection: %v", r)
		}
		s.terminate()
	})
}

func TestHTTP2IdleTimeout(t *testing.T) {
	t.Parallel()
	overHTTP2(t, options{app: "gated:app", args: []string{"--http2-idle-timeout", "1"}}, func(t *testing.T, s *server, w *web) {
		g := s.gate("run")
		busy := s.framed()
		running := busy.open("GET", "/run", true)
		g.entered()
		f := s.framed()
		began := time.Now()
		f.until("GOAWAY", func() bool { return f.goaway != nil })
		f.expectEnd()
		if took := time.Since(began); took < 700*time.Millisecond || took > 10*time.Second {
			t.Errorf("an idle connection was closed after %v, want 1 s", took)
		}
		g.release() // a request is not idle
		if r := busy.response(running); r.status() != "200" {
			t.Errorf("%v", r)
		}
		s.terminate()
	})
}

// TestH2Spec runs h2spec, the conformance test for servers of HTTP/2, as
// INDRIK_TEST_H2SPEC names it. It makes its own mistakes on purpose, some
// thousand of them.
func TestH2Spec(t *testing.T) {
	t.Parallel()
	program := os.Getenv("INDRIK_TEST_H2SPEC")
	if program == "" {
		t.Skip("INDRIK_TEST_H2SPEC names no h2spec; make blackbox builds one")
	}
	// With h1 a port without TLS answers a malformed preface in HTTP/1.1.
	overHTTP2(t, options{app: "echo:app", args: []string{"--http-protocols", "h2"}, noProbe: true}, func(t *testing.T, s *server, w *web) {
		s.workers(1)
		args := []string{"--host", "127.0.0.1", "--port", fmt.Sprint(s.port), "--timeout", "5"}
		if s.o.tls != nil {
			args = append(args, "--tls", "--insecure")
		}
		out, err := exec.Command(program, args...).CombinedOutput()
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		summary := lines[len(lines)-1]
		if err != nil || !strings.Contains(summary, " passed, ") || !strings.HasSuffix(summary, " 0 failed") {
			t.Errorf("%v: %s", err, out)
		}
		t.Log(summary)
		s.terminate()
	})
}
