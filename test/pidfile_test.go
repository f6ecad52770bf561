//go:build linux

package test

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"syscall"
	"testing"
)

func TestPidFile(t *testing.T) {
	t.Parallel()
	s := start(t, options{args: []string{"--pid", "srv.pid"}})
	if got := s.read("srv.pid"); got != fmt.Sprintf("%d\n", s.pid()) {
		t.Errorf("the pid file holds %q", got)
	}
	st, err := os.Stat(s.path("srv.pid"))
	if err != nil || st.Mode() != 0o644 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	s.reload(1)
	if got := s.read("srv.pid"); got != fmt.Sprintf("%d\n", s.pid()) {
		t.Errorf("after a reload the pid file holds %q", got)
	}
	s.terminate()
	if _, err := os.Stat(s.path("srv.pid")); err == nil {
		t.Error("the pid file is still there")
	}
}

func TestPidFileMoves(t *testing.T) {
	t.Parallel()
	s := start(t, options{conf: "pidfile = 'one.pid'\n"})
	s.write("gunicorn.conf.py", "pidfile = 'two.pid'\n")
	s.reload(1)
	eventually(t, "the pid file has moved", func() bool { return s.read("two.pid") != "" && s.read("one.pid") == "" })
	s.terminate()
}

func TestPidFileOfTheLiving(t *testing.T) {
	t.Parallel()
	s := start(t, options{args: []string{"--pid", "srv.pid"}})
	second := launch(t, options{args: []string{"--pid", s.path("srv.pid")}})
	second.expectExit(1)
	want := fmt.Sprintf(`^Error: Already running on PID %d \(or pid file '%s' is stale\)$`, s.pid(), regexp.QuoteMeta(s.path("srv.pid")))
	second.log.expect(t, want)
	if got := s.read("srv.pid"); got != fmt.Sprintf("%d\n", s.pid()) {
		t.Errorf("the pid file holds %q", got)
	}
	s.get("/")
	s.terminate()
}

func TestStalePidFiles(t *testing.T) {
	t.Parallel()
	dead := exec.Command("true")
	must(t, dead.Run())
	for name, text := range map[string]string{
		"dead": fmt.Sprintf("%d\n", dead.Process.Pid), "empty": "", "garbage": "not a pid\n", "huge": "99999999999999999999\n", "negative": "-1\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, options{args: []string{"--pid", "srv.pid"}, files: map[string]string{"srv.pid": text}})
			if got := s.read("srv.pid"); got != fmt.Sprintf("%d\n", s.pid()) {
				t.Errorf("the pid file holds %q", got)
			}
			s.terminate()
		})
	}
}

func TestPidFileOfSomebodyElse(t *testing.T) {
	t.Parallel()
	// Who overwrote the file owns it: it is not removed at the end.
	s := start(t, options{args: []string{"--pid", "srv.pid"}, mayLeave: true})
	s.write("srv.pid", "1\n")
	s.signal(syscall.SIGTERM)
	s.expectExit(0)
	if got := s.read("srv.pid"); got != "1\n" {
		t.Errorf("the pid file holds %q", got)
	}
}
