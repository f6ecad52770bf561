//go:build linux

package test

import (
	"slices"
	"syscall"
	"testing"
)

// together sends signals that the kernel delivers at the same moment, and so by their
// numbers: HUP before WINCH.
func (s *server) together(sigs ...syscall.Signal) {
	s.t.Helper()
	s.signal(syscall.SIGSTOP)
	eventually(s.t, "the master stands still", func() bool {
		p, _ := readProc(s.pid())
		return p.state == 'T'
	})
	for _, sig := range sigs {
		s.signal(sig)
	}
	s.signal(syscall.SIGCONT)
}

// TestRollbackAtOnce: WINCH, HUP and TERM to the new master without a pause lose
// nothing, although the kernel delivers HUP before WINCH.
func TestRollbackAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "echo:app", daemon: true, args: []string{"--workers", "2"}})
	k, o := s.bothLoads(4)
	for range 2 {
		u := s.upgrade(2)
		eventually(t, "the successor serves", func() bool { return s.log.count(`Booting worker`) >= 4 })
		mark := s.log.mark()
		s.together(syscall.SIGWINCH, syscall.SIGHUP)
		kill(t, u.successor, syscall.SIGTERM)
		waitGone(t, u.successor)
		k.progress(50)
		o.progress(50)
		var order []string
		for _, m := range s.log.all(`Handling signal: (hup|winch)$`) {
			order = append(order, m[1])
		}
		if last := order[len(order)-2:]; !slices.Equal(last, []string{"winch", "hup"}) {
			t.Errorf("handled as %q", order)
		}
		s.log.expectFrom(t, mark, `Handling signal: term$`)
		s.workersOf(s.pid(), 2)
	}
	expectNoneLost(t, k, o)
	s.terminate()
}

// TestSuccessorEndsAtOnce: a successor that gets TERM while connections are on their
// way to it loses none of them, and the old workers come back by themselves.
func TestSuccessorEndsAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "echo:app", daemon: true, args: []string{"--workers", "2"}})
	k, o := s.bothLoads(4)
	for range 3 {
		u := s.upgrade(2)
		k.progress(20)
		s.signal(syscall.SIGWINCH)
		kill(t, u.successor, syscall.SIGTERM)
		waitGone(t, u.successor)
		s.workersOf(s.pid(), 2)
		k.progress(50)
		o.progress(50)
	}
	expectNoneLost(t, k, o)
	s.terminate()
}

// TestHupTakesBackWinch: a WINCH that waits for the successor is taken back by HUP.
func TestHupTakesBackWinch(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "importing:app", args: []string{"--pid", "srv.pid"}})
	g := s.gate("import")
	s.signal(syscall.SIGUSR2)
	g.entered()
	s.signal(syscall.SIGWINCH)
	s.log.expect(t, `The workers leave once the successor \(pid:\d+\) is ready$`)
	s.signal(syscall.SIGHUP)
	s.log.expect(t, `The workers stay: HUP takes back the WINCH`)
	g.release()
	u := &upgraded{s, s.waitPidFile("srv.pid.2")}
	u.workersOf(u.successor, 1)
	s.workersOf(s.pid(), 1)
	kill(t, u.successor, syscall.SIGTERM)
	waitGone(t, u.successor)
	s.get("/")
	s.terminate()
	if n := s.log.count(`graceful stop of workers`); n > 0 {
		t.Error("the workers left")
	}
}

// TestGroupOfSignals: whatever comes together with HUP, the server goes on.
func TestGroupOfSignals(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "echo:app", args: []string{"--workers", "1"}})
	k, o := s.bothLoads(2)
	old := s.workers(1)
	s.together(syscall.SIGUSR1, syscall.SIGWINCH, syscall.SIGHUP)
	s.replaced(old, 1)
	k.progress(20)
	o.progress(20)
	expectNoneLost(t, k, o)
	s.terminate()
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
	s := start(t, options{app: "webapp:app", files: map[string]string{"webapp.py": app}})
	old := s.workers(1)
	names := []string{"SIGHUP", "SIGTERM", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGTTIN", "SIGTTOU"}
	for range 2 {
		for _, name := range names {
			s.get("/" + name)
		}
	}
	for _, name := range names {
		s.log.expectFrom(t, 0, `\[WARNING\] `+name+` was sent to the spawner \(pid:\d+\), which does not act on it`)
	}
	// One that is sent to every process is the master's to answer, without a word.
	s.signal(syscall.SIGHUP)
	kill(t, s.role("spawner")[0].pid, syscall.SIGHUP)
	s.replaced(old, 1)
	s.terminate()
	if n := s.log.count(`was sent to the spawner`); n != len(names) {
		t.Errorf("%d lines, want %d", n, len(names))
	}
}
