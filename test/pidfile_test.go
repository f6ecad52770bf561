//go:build linux

package test

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"syscall"
	"testing"

	"indrik/test/harness"
)

func TestPidFile(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Args: []string{"--pid", "srv.pid"}})
	if got := s.ReadFile("srv.pid"); got != fmt.Sprintf("%d\n", s.PID()) {
		t.Errorf("the pid file holds %q", got)
	}
	st, err := os.Stat(s.Path("srv.pid"))
	if err != nil || st.Mode() != 0o644 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	s.Reload(1)
	if got := s.ReadFile("srv.pid"); got != fmt.Sprintf("%d\n", s.PID()) {
		t.Errorf("after a reload the pid file holds %q", got)
	}
	s.Terminate()
	if _, err := os.Stat(s.Path("srv.pid")); err == nil {
		t.Error("the pid file is still there")
	}
}

func TestPidFileMoves(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Conf: "pidfile = 'one.pid'\n"})
	s.WriteFile("gunicorn.conf.py", "pidfile = 'two.pid'\n")
	s.Reload(1)
	harness.Eventually(t, "the pid file has moved", func() bool { return s.ReadFile("two.pid") != "" && s.ReadFile("one.pid") == "" })
	s.Terminate()
}

func TestPidFileOfTheLiving(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Args: []string{"--pid", "srv.pid"}})
	second := harness.Launch(t, harness.Options{Args: []string{"--pid", s.Path("srv.pid")}})
	second.ExpectExit(1)
	want := fmt.Sprintf(`^Error: Already running on PID %d \(or pid file '%s' is stale\)$`, s.PID(), regexp.QuoteMeta(s.Path("srv.pid")))
	second.Log.Expect(t, want)
	if got := s.ReadFile("srv.pid"); got != fmt.Sprintf("%d\n", s.PID()) {
		t.Errorf("the pid file holds %q", got)
	}
	s.Get("/")
	s.Terminate()
}

func TestStalePidFiles(t *testing.T) {
	t.Parallel()
	dead := exec.Command("true")
	harness.Must(t, dead.Run())
	for name, text := range map[string]string{
		"dead": fmt.Sprintf("%d\n", dead.Process.Pid), "empty": "", "garbage": "not a pid\n", "huge": "99999999999999999999\n", "negative": "-1\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := harness.Start(t, harness.Options{Args: []string{"--pid", "srv.pid"}, Files: map[string]string{"srv.pid": text}})
			if got := s.ReadFile("srv.pid"); got != fmt.Sprintf("%d\n", s.PID()) {
				t.Errorf("the pid file holds %q", got)
			}
			s.Terminate()
		})
	}
}

func TestPidFileOfSomebodyElse(t *testing.T) {
	t.Parallel()
	// Who overwrote the file owns it: it is not removed at the end.
	s := harness.Start(t, harness.Options{Args: []string{"--pid", "srv.pid"}, MayLeave: true})
	s.WriteFile("srv.pid", "1\n")
	s.Signal(syscall.SIGTERM)
	s.ExpectExit(0)
	if got := s.ReadFile("srv.pid"); got != "1\n" {
		t.Errorf("the pid file holds %q", got)
	}
}
