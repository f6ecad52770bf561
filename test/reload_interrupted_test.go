//go:build linux

package test

import (
	"syscall"
	"testing"

	"indrik/test/harness"
)

// beginReload changes the app of a server and begins a reload that waits at the gate "import".
func beginReload(s *harness.Server) *harness.Gate {
	s.T.Helper()
	g := s.Gate("import")
	s.WriteFile("webapp.py", "import gate\ngate.wait('import')\n"+versioned("new"))
	s.Signal(syscall.SIGHUP)
	g.Entered()
	return g
}

// TestEndDuringAReload: TERM in the midst of a reload gives up what was being made, and what
// serves goes on for drain_delay.
func TestEndDuringAReload(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "webapp:app", Args: []string{"--drain-delay", "8"}, Files: map[string]string{"webapp.py": versioned("old")}})
	old := s.Workers(1)[0]
	g := beginReload(s)
	s.Signal(syscall.SIGTERM)
	s.Log.Expect(t, `Draining in 8s`)
	if !harness.Alive(old) || s.Get("/version") != "old" {
		t.Error("the old code does not serve any more")
	}
	g.Release()
	s.ExpectExit(0)
	if n := s.Log.Count(`Ready: `); n != 1 {
		t.Errorf("it was ready %d times", n)
	}
}

// TestPauseDuringAReload: WINCH to a daemon in the midst of a reload gives it up; HUP after
// that loads the new code.
func TestPauseDuringAReload(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "webapp:app", Daemon: true, Files: map[string]string{"webapp.py": versioned("old")}})
	g := beginReload(s)
	s.Signal(syscall.SIGWINCH)
	s.Log.Expect(t, `\[INFO\] graceful stop of workers$`)
	g.Release()
	s.Workers(0)
	waiting := s.Begin("/version")
	s.Signal(syscall.SIGHUP)
	if r := waiting.Expect(200); r != nil && r.Body != "new" {
		t.Errorf("%v", r)
	}
	s.Workers(1)
	s.Terminate()
}

// TestReloadWithoutAnApp: a config file that names none any more changes nothing.
func TestReloadWithoutAnApp(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "-", Conf: "wsgi_app = 'hello:app'\n"})
	old := s.Workers(1)[0]
	s.WriteFile("gunicorn.conf.py", "workers = 2\n")
	s.Signal(syscall.SIGHUP)
	s.Log.Expect(t, `\[ERROR\] Reload failed, nothing was changed`)
	s.Log.Expect(t, `No application module specified`)
	s.Get("/")
	if now := s.Workers(1)[0]; now != old {
		t.Errorf("worker %d was replaced by %d", old, now)
	}
	s.Terminate()
}
