//go:build linux

package test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"indrik/test/harness"
)

func TestDaemon(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "echo:app", Daemon: true, Args: []string{"--workers", "2"}})
	s.Workers(2)
	p, _ := harness.ReadProc(s.PID())
	if p.Title != harness.ProgramName()+": master [echo:app]" {
		t.Errorf("the pid file names %v", p)
	}
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.PID()))
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if tty := fields[4]; tty != "0" {
		t.Errorf("the daemon has a terminal: %s", tty)
	}
	for fd := range 3 {
		if target, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", s.PID(), fd)); target != "/dev/null" && target != s.Path("err.log") {
			t.Errorf("descriptor %d of the daemon is %s", fd, target)
		}
	}
	if umask := harness.ProcStatus(s.PID(), "Umask"); umask != "" && umask != "0022" {
		t.Errorf("the umask of the daemon is %s", umask)
	}
	s.Get("/")
	s.Reload(2)
	s.Get("/")
	s.Log.Expect(t, `Listening at: `)
	s.Terminate()
	s.Log.Expect(t, `Shutting down: Master$`)
}

func TestDaemonWithoutLog(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "echo:app", Daemon: true, Args: []string{"--error-logfile", "-"}})
	s.Get("/")
	s.Terminate()
}

func TestWinchToDaemon(t *testing.T) {
	t.Parallel()
	// Its workers leave, the master stays, and what arrives meanwhile waits.
	s := harness.Start(t, harness.Options{App: "gated:app", Daemon: true, Args: []string{"--workers", "2"}})
	m := inFlight(s)
	s.Signal(syscall.SIGWINCH)
	s.Log.Expect(t, handling(syscall.SIGWINCH))
	s.Log.Expect(t, `\[INFO\] graceful stop of workers$`)
	m.run.Release()
	m.flight.Expect(200)
	s.Workers(0)
	if !harness.Alive(s.PID()) || !harness.Listening(s.Port) {
		t.Fatal("the master or its listener is gone")
	}
	waiting := s.Begin("/")
	s.Signal(syscall.SIGWINCH)
	s.Signal(syscall.SIGUSR1)
	s.Log.Expect(t, handling(syscall.SIGUSR1))
	s.Workers(0)
	s.Signal(syscall.SIGHUP)
	waiting.Expect(200)
	s.Workers(2)
	s.Signal(syscall.SIGWINCH)
	s.Workers(0)
	s.Signal(syscall.SIGTTIN)
	s.Workers(1)
	s.Get("/")
	s.Signal(syscall.SIGWINCH)
	s.Workers(0)
	s.Terminate()
}

func TestDaemonThatCannotStart(t *testing.T) {
	t.Parallel()
	// The command that starts the daemon waits until it serves, and tells its
	// caller if it does not come to that.
	s := harness.Launch(t, harness.Options{App: "no_such_module:app", Args: []string{"--daemon", "--error-logfile", "DIR/err.log", "--pid", "srv.pid"}})
	s.ExpectExit(3)
	if !strings.Contains(s.ReadFile("err.log"), "Reason: Worker failed to boot.") {
		t.Error("the log does not say why")
	}
}

// With -R what the app prints stays visible.
func TestDaemonKeepsItsOutput(t *testing.T) {
	t.Parallel()
	app := `
import sys
def app(environ, start_response):
    print("printed", flush=True)
    print("complained", file=sys.stderr, flush=True)
    start_response("200 OK", [])
    return [b"ok"]
`
	for _, keep := range []bool{true, false} {
		o := harness.Options{App: "webapp:app", Daemon: true, Files: map[string]string{"webapp.py": app},
			Wrap: []string{"sh", "-c", `exec "$@" >out.log 2>err.out`, "sh"}}
		if keep {
			o.Args = []string{"-R"}
		}
		s := harness.Start(t, o)
		s.Get("/")
		if keep {
			harness.Eventually(t, "the app's output is there", func() bool {
				return strings.Contains(s.ReadFile("out.log"), "printed") && strings.Contains(s.ReadFile("err.out"), "complained")
			})
		}
		s.Terminate()
		if !keep && s.ReadFile("out.log")+s.ReadFile("err.out") != "" {
			t.Errorf("the output of the app: %q %q", s.ReadFile("out.log"), s.ReadFile("err.out"))
		}
	}
}
