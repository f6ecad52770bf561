//go:build linux

package test

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"indrik/test/harness"
)

// TestPauseAfterARollback: requests have the whole of graceful_timeout, also if one from
// an earlier WINCH ends meanwhile.
func TestPauseAfterARollback(t *testing.T) {
	t.Parallel()
	const graceful = 6 * time.Second
	s := harness.Start(t, harness.Options{App: "gated:app", Args: []string{"--pid", "srv.pid", "--graceful-timeout", "6"}})
	u := upgrade(s, 1)
	began := time.Now()
	s.Signal(syscall.SIGWINCH)
	workersOf(s, s.PID(), 0)
	s.Signal(syscall.SIGHUP)
	workersOf(s, s.PID(), 1)
	time.Sleep(time.Until(began.Add(graceful - 2*time.Second)))
	fronts := s.Role("front")
	front := fronts[slices.IndexFunc(fronts, func(p harness.Proc) bool { return masterOf(p) == u.successor })].PID
	harness.Stop(t, front) // so that the old one gets the request
	m := inFlight(s)
	harness.Kill(t, front, syscall.SIGCONT)
	s.Signal(syscall.SIGWINCH)
	time.Sleep(time.Until(began.Add(graceful + time.Second/2)))
	m.run.Release()
	m.flight.Expect(200)
	workersOf(s, s.PID(), 0)
	harness.Kill(t, u.successor, syscall.SIGKILL)
	workersOf(s, s.PID(), 1)
	s.Terminate()
}

func TestRollbackAfterKill(t *testing.T) {
	t.Parallel()
	// The new master does not react to TERM and QUIT: KILL ends it, and what
	// it had started ends too.
	s := harness.Start(t, harness.Options{App: "echo:app", Daemon: true, Args: []string{"--workers", "2"}})
	u := upgrade(s, 2)
	harness.Kill(t, u.successor, syscall.SIGKILL)
	harness.WaitGone(t, u.successor)
	harness.Eventually(t, "only the old processes are left", func() bool {
		return len(s.Role("worker")) == 2 && len(s.Role("front")) == 1 && len(s.Role("spawner")) == 1
	})
	workersOf(s, s.PID(), 2)
	s.Get("/")
	u = upgrade(s, 2) // and it can be tried again
	harness.Kill(t, u.successor, syscall.SIGQUIT)
	harness.WaitGone(t, u.successor)
	harness.Eventually(t, "the successor's pid file is gone", func() bool { return s.ReadFile("srv.pid.2") == "" })
	s.Get("/")
	s.Terminate()
}

func TestUpgradeRightAfterARollback(t *testing.T) {
	t.Parallel()
	// USR2 reaches the old master before the news that its successor has ended.
	s := harness.Start(t, harness.Options{App: "echo:app", Daemon: true})
	u := upgrade(s, 1)
	harness.Stop(t, s.PID())
	harness.Kill(t, u.successor, syscall.SIGTERM)
	harness.WaitGone(t, u.successor)
	before := s.ReadFile("srv.pid.2")
	s.Signal(syscall.SIGUSR2)
	s.Signal(syscall.SIGCONT)
	u = successor(s, before, 1)
	harness.Kill(t, u.successor, syscall.SIGTERM)
	harness.WaitGone(t, u.successor)
	s.Get("/")
	s.Terminate()
}

func TestUpgradeAfterTheOldMasterWasKilled(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "echo:app", Daemon: true})
	old := s.PID()
	u := upgrade(s, 1)
	harness.Kill(t, old, syscall.SIGKILL)
	harness.WaitGone(t, old)
	u.become()
	s.Log.Expect(t, `Master has been promoted\.$`)
	harness.Eventually(t, "only the new processes are left", func() bool {
		return len(s.Role("worker")) == 1 && len(s.Role("front")) == 1 && len(s.Role("spawner")) == 1
	})
	s.Get("/")
	s.Terminate()
}

func TestUpgradeIsRefused(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "echo:app", Daemon: true})
	u := upgrade(s, 1)
	s.Signal(syscall.SIGUSR2)
	s.Log.Expect(t, `\[WARNING\] USR2 signal ignored\. Child exists\.$`)
	harness.Kill(t, u.successor, syscall.SIGUSR2)
	s.Log.Expect(t, `\[WARNING\] USR2 signal ignored\. Parent exists\.$`)
	if n := len(s.Role("master")); n != 2 {
		t.Errorf("there are %d masters", n)
	}
	harness.Kill(t, u.successor, syscall.SIGTERM)
	harness.WaitGone(t, u.successor)
	s.Terminate()
}

func TestUpgradeThatFails(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]map[string]string{
		"broken config": {"gunicorn.conf.py": "this is no Python\n"},
		"broken app":    {"webapp.py": "raise RuntimeError('broken')\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s := harness.Start(t, harness.Options{App: "webapp:app", Daemon: true, Conf: "workers = 1\n", Files: map[string]string{"webapp.py": versioned("1")}})
			k, o := s.BothLoads(2)
			for file, text := range broken {
				s.WriteFile(file, text)
			}
			s.Signal(syscall.SIGUSR2)
			s.Log.Expect(t, handling(syscall.SIGUSR2))
			s.Log.Expect(t, `\[ERROR\] The successor \(pid:\d+\) exited with code [13]`)
			harness.Eventually(t, "the successor has ended", func() bool { return len(s.Role("master")) == 1 && s.ReadFile("srv.pid.2") == "" })
			k.Progress(20)
			o.Progress(20)
			s.WriteFile("gunicorn.conf.py", "workers = 1\n")
			s.WriteFile("webapp.py", versioned("2"))
			old := s.PID()
			u := upgrade(s, 1)
			s.Signal(syscall.SIGTERM)
			harness.WaitGone(t, old)
			u.become()
			k.Progress(20)
			harness.ExpectNoneLost(t, k, o)
			s.Terminate()
		})
	}
}
