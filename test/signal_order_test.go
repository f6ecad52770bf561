//go:build linux

package test

import (
	"fmt"
	"slices"
	"syscall"
	"testing"

	"indrik/test/harness"
)

// together sends signals that the kernel delivers at the same moment, and so by their
// numbers: HUP before WINCH.
func together(s *harness.Server, sigs ...syscall.Signal) {
	s.T.Helper()
	harness.Stop(s.T, s.PID())
	for _, sig := range sigs {
		s.Signal(sig)
	}
	s.Signal(syscall.SIGCONT)
}

// TestRollbackAtOnce: WINCH, HUP and TERM to the new master without a pause lose
// nothing, although the kernel delivers HUP before WINCH.
func TestRollbackAtOnce(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "echo:app", Daemon: true, Args: []string{"--workers", "2"}})
	k, o := s.BothLoads(4)
	for round := 1; round <= 2; round++ {
		mark := s.Log.Mark()
		u := upgrade(s, 2)
		s.Log.ExpectFrom(t, mark, fmt.Sprintf(`\[%d\] \[INFO\] Ready: 2 workers`, u.successor))
		mark = s.Log.Mark()
		together(s, syscall.SIGWINCH, syscall.SIGHUP)
		harness.Kill(t, u.successor, syscall.SIGTERM)
		harness.WaitGone(t, u.successor)
		k.Progress(50)
		o.Progress(50)
		var order []string
		harness.Eventually(t, "both are handled", func() bool {
			order = order[:0]
			for _, m := range s.Log.All(`Handling signal: (hup|winch)$`) {
				order = append(order, m[1])
			}
			return len(order) == 2*round
		})
		if last := order[len(order)-2:]; !slices.Equal(last, []string{"winch", "hup"}) {
			t.Errorf("handled as %q", order)
		}
		s.Log.ExpectFrom(t, mark, `Handling signal: term$`)
		workersOf(s, s.PID(), 2)
	}
	harness.ExpectNoneLost(t, k, o)
	s.Terminate()
}

// TestSuccessorEndsAtOnce: a successor that gets TERM while connections are on their
// way to it loses none of them, and the old workers come back by themselves.
func TestSuccessorEndsAtOnce(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "echo:app", Daemon: true, Args: []string{"--workers", "2"}})
	k, o := s.BothLoads(4)
	for range 3 {
		u := upgrade(s, 2)
		k.Progress(20)
		s.Signal(syscall.SIGWINCH)
		harness.Kill(t, u.successor, syscall.SIGTERM)
		harness.WaitGone(t, u.successor)
		workersOf(s, s.PID(), 2)
		k.Progress(50)
		o.Progress(50)
	}
	harness.ExpectNoneLost(t, k, o)
	s.Terminate()
}

// TestHupTakesBackWinch: a WINCH that waits for the successor is taken back by HUP.
func TestHupTakesBackWinch(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "importing:app", Args: []string{"--pid", "srv.pid"}})
	g := s.Gate("import")
	s.Signal(syscall.SIGUSR2)
	g.Entered()
	s.Signal(syscall.SIGWINCH)
	s.Log.Expect(t, `The workers leave once the successor \(pid:\d+\) is ready$`)
	s.Signal(syscall.SIGHUP)
	s.Log.Expect(t, `The workers stay: HUP takes back the WINCH`)
	g.Release()
	u := &upgraded{s, s.WaitPIDFile("srv.pid.2")}
	workersOf(u.Server, u.successor, 1)
	workersOf(s, s.PID(), 1)
	harness.Kill(t, u.successor, syscall.SIGTERM)
	harness.WaitGone(t, u.successor)
	s.Get("/")
	s.Terminate()
	if n := s.Log.Count(`graceful stop of workers`); n > 0 {
		t.Error("the workers left")
	}
}

// TestGroupOfSignals: whatever comes together with HUP, the server goes on.
func TestGroupOfSignals(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "echo:app", Args: []string{"--workers", "1"}})
	k, o := s.BothLoads(2)
	old := s.Workers(1)
	together(s, syscall.SIGUSR1, syscall.SIGWINCH, syscall.SIGHUP)
	s.Replaced(old, 1)
	k.Progress(20)
	o.Progress(20)
	harness.ExpectNoneLost(t, k, o)
	s.Terminate()
}

// TestSignalToTheParent: an app that signals its parent, which under Gunicorn is the
// master, reads in the log what to do; it does not stop the server.
func TestSignalToTheParent(t *testing.T) {
	t.Parallel()
	app := `import os, signal

def app(environ, start_response):
    if environ["PATH_INFO"] != "/":
        os.kill(os.getppid(), getattr(signal, environ["PATH_INFO"][1:]))
    start_response("200 OK", [])
    return [b""]
`
	s := harness.Start(t, harness.Options{App: "webapp:app", Files: map[string]string{"webapp.py": app}})
	old := s.Workers(1)
	names := []string{"SIGHUP", "SIGTERM", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGTTIN", "SIGTTOU"}
	for range 2 {
		for _, name := range names {
			s.Get("/" + name)
		}
	}
	for _, name := range names {
		s.Log.ExpectFrom(t, 0, `\[WARNING\] `+name+` was sent to the spawner \(pid:\d+\), which does not act on it`)
	}
	// One that is sent to every process is the master's to answer, without a word.
	spawner := s.Role("spawner")[0].PID
	s.Signal(syscall.SIGHUP)
	_ = syscall.Kill(spawner, syscall.SIGHUP) // it may have been replaced by now
	s.Replaced(old, 1)
	s.Terminate()
	if n := s.Log.Count(`was sent to the spawner`); n != len(names) {
		t.Errorf("%d lines, want %d", n, len(names))
	}
}
