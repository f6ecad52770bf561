//go:build linux

package test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"indrik/test/harness"

	"golang.org/x/net/http2"
)

func TestHTTP2Drain(t *testing.T) {
	t.Parallel()
	// TERM says GOAWAY, and what has begun is finished.
	harness.OverHTTP2(t, harness.Options{App: "gated:app"}, func(t *testing.T, s *harness.Server, w *harness.Web) {
		idle := s.H2Conn()
		idle.Response(idle.Open("GET", "/", true))
		g := s.Gate("run")
		f := s.H2Conn()
		running := f.Open("GET", "/run", true)
		g.Entered()
		queued := f.Open("GET", "/", true)
		f.Ping()
		s.Signal(syscall.SIGTERM)
		f.Until("GOAWAY", func() bool { return f.GoAway != nil })
		idle.Until("GOAWAY", func() bool { return idle.GoAway != nil })
		if f.GoAway.Code != http2.ErrCodeNo || idle.GoAway.Code != http2.ErrCodeNo {
			t.Errorf("%+v, %+v", f.GoAway, idle.GoAway)
		}
		idle.ExpectEnd()
		g.Release()
		for _, id := range []uint32{running, queued} {
			if r := f.Response(id); r.Status() != "200" || !r.Ended {
				t.Errorf("stream %d: %v", id, r)
			}
		}
		if f.GoAway.Last < queued {
			t.Errorf("the last stream is said to be %d, but %d was answered", f.GoAway.Last, queued)
		}
		f.ExpectEnd()
		s.ExpectExit(0)
	})
}

func TestHTTP2Reload(t *testing.T) {
	t.Parallel()
	// Connections stay when the workers are exchanged: no GOAWAY.
	o := harness.Options{App: "webapp:app", Files: map[string]string{"webapp.py": versioned("old")}}
	harness.OverHTTP2(t, o, func(t *testing.T, s *harness.Server, w *harness.Web) {
		f := s.H2Conn()
		ask := func(want string) {
			t.Helper()
			if r := f.Response(f.Open("GET", "/version", true)); string(r.Body) != want {
				t.Errorf("%v, want version %s", r, want)
			}
		}
		ask("old")
		s.WriteFile("webapp.py", versioned("new"))
		s.Reload(1)
		ask("new")
		s.Reload(1) // changes nothing
		ask("new")
		f.Ping()
		if f.GoAway != nil {
			t.Errorf("GOAWAY: %+v", f.GoAway)
		}
		s.Terminate()
	})
}

func TestHTTP2ReloadUnderLoad(t *testing.T) {
	t.Parallel()
	o := harness.Options{App: "webapp:app", Args: []string{"--workers", "2"}, Files: map[string]string{"webapp.py": versioned("0")}}
	for _, way := range []string{harness.WebH2, harness.WebH2C} {
		t.Run(way, func(t *testing.T) {
			s := harness.Start(t, harness.WithHTTP2(t, way, o))
			l := s.WebLoad(8, way)
			l.Progress(20)
			for i := range 3 {
				s.WriteFile("webapp.py", versioned(fmt.Sprint(i+1)))
				s.Reload(2)
				l.Progress(50)
			}
			l.ExpectNoneLost(t)
			s.Terminate()
		})
	}
}

func TestHTTP2Upgrade(t *testing.T) {
	t.Parallel()
	o := harness.Options{App: "webapp:app", Daemon: true, Args: []string{"--workers", "2"}, Files: map[string]string{"webapp.py": versioned("old")}}
	for _, way := range []string{harness.WebH2, harness.WebH2C} {
		t.Run(way, func(t *testing.T) {
			s := harness.Start(t, harness.WithHTTP2(t, way, o))
			var loads []*harness.Load
			for range 3 { // connections
				loads = append(loads, s.WebLoad(3, way))
			}
			for _, version := range []string{"new", "newer"} {
				s.WriteFile("webapp.py", versioned(version))
				old := s.PID()
				u := upgrade(s, 2)
				for _, l := range loads {
					l.Progress(20)
				}
				s.Signal(syscall.SIGTERM)
				harness.WaitGone(t, old)
				u.become()
				for _, l := range loads {
					l.Progress(20)
				}
				if got := s.Get("/version"); got != version {
					t.Errorf("after the upgrade version %s serves", got)
				}
			}
			for _, l := range loads {
				l.ExpectNoneLost(t)
			}
			s.Terminate()
		})
	}
}

func TestHTTP2KillWorker(t *testing.T) {
	t.Parallel()
	harness.OverHTTP2(t, harness.Options{App: "gated:app"}, func(t *testing.T, s *harness.Server, w *harness.Web) {
		g := s.Gate("run")
		f := s.H2Conn()
		running := f.Open("GET", "/run", true)
		g.Entered()
		queued := f.Open("GET", "/", true)
		f.Ping()
		harness.Kill(t, s.Workers(1)[0], syscall.SIGKILL)
		if r := f.Response(running); r.Status() != "502" {
			t.Errorf("the request of the worker that died: %v", r)
		}
		g.Release()
		if r := f.Response(queued); r.Status() != "200" {
			t.Errorf("the one that waited: %v", r)
		}
		s.Terminate()
	})
}

func TestHTTP2Timeout(t *testing.T) {
	t.Parallel()
	harness.OverHTTP2(t, harness.Options{App: "stuck:app", Args: []string{"--timeout", "2"}}, func(t *testing.T, s *harness.Server, w *harness.Web) {
		f := s.H2Conn()
		if r := f.Response(f.Open("GET", "/stuck", true)); r.Status() != "504" {
			t.Errorf("%v", r)
		}
		if r := f.Response(f.Open("GET", "/", true)); r.Status() != "200" {
			t.Errorf("on the same connection: %v", r)
		}
		s.Terminate()
	})
}

func TestHTTP2IdleTimeout(t *testing.T) {
	t.Parallel()
	harness.OverHTTP2(t, harness.Options{App: "gated:app", Args: []string{"--http2-idle-timeout", "2"}}, func(t *testing.T, s *harness.Server, w *harness.Web) {
		g := s.Gate("run")
		busy := s.H2Conn()
		running := busy.Open("GET", "/run", true)
		g.Entered()
		began := time.Now()
		f := s.H2Conn()
		f.Until("GOAWAY", func() bool { return f.GoAway != nil })
		f.ExpectEnd()
		if took := time.Since(began); took < 1700*time.Millisecond || took > 20*time.Second {
			t.Errorf("an idle connection was closed after %v, want 2 s", took)
		}
		g.Release() // a request is not idle
		if r := busy.Response(running); r.Status() != "200" {
			t.Errorf("%v", r)
		}
		s.Terminate()
	})
}
