//go:build linux

package test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestDaemon(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "echo:app", daemon: true, args: []string{"--workers", "2"}})
	s.workers(2)
	p, _ := readProc(s.pid())
	if p.title != name()+": master [echo:app]" {
		t.Errorf("the pid file names %v", p)
	}
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.pid()))
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if tty := fields[4]; tty != "0" {
		t.Errorf("the daemon has a terminal: %s", tty)
	}
	for fd := range 3 {
		if target, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", s.pid(), fd)); target != "/dev/null" && target != s.path("err.log") {
			t.Errorf("descriptor %d of the daemon is %s", fd, target)
		}
	}
	if umask := status(s.pid(), "Umask"); umask != "" && umask != "0022" {
		t.Errorf("the umask of the daemon is %s", umask)
	}
	s.get("/")
	s.reload(2)
	s.get("/")
	s.log.expect(t, `Listening at: `)
	s.terminate()
	s.log.expect(t, `Shutting down: Master$`)
}

func TestDaemonWithoutLog(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "echo:app", daemon: true, args: []string{"--error-logfile", "-"}})
	s.get("/")
	s.terminate()
}

func TestWinchToDaemon(t *testing.T) {
	t.Parallel()
	// Its workers leave, the master stays, and what arrives meanwhile waits.
	s := start(t, options{app: "gated:app", daemon: true, args: []string{"--workers", "2"}})
	m := inFlight(s)
	s.signal(syscall.SIGWINCH)
	s.log.expect(t, handling(syscall.SIGWINCH))
	s.log.expect(t, `\[INFO\] graceful stop of workers$`)
	m.run.release()
	m.flight.expect(200)
	s.workers(0)
	if !alive(s.pid()) || !listening(s.port) {
		t.Fatal("the master or its listener is gone")
	}
	waiting := s.begin("/")
	s.signal(syscall.SIGWINCH)
	s.signal(syscall.SIGUSR1)
	s.log.expect(t, handling(syscall.SIGUSR1))
	s.workers(0)
	s.signal(syscall.SIGHUP)
	waiting.expect(200)
	s.workers(2)
	s.signal(syscall.SIGWINCH)
	s.workers(0)
	s.signal(syscall.SIGTTIN)
	s.workers(1)
	s.get("/")
	s.signal(syscall.SIGWINCH)
	s.workers(0)
	s.terminate()
}

func TestDaemonThatCannotStart(t *testing.T) {
	t.Parallel()
	// The command that starts the daemon waits until it serves, and tells its
	// caller if it does not come to that.
	s := launch(t, options{app: "no_such_module:app", args: []string{"--daemon", "--error-logfile", "DIR/err.log", "--pid", "srv.pid"}})
	s.expectExit(3)
	if !strings.Contains(s.read("err.log"), "Reason: Worker failed to boot.") {
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
		o := options{app: "webapp:app", daemon: true, files: map[string]string{"webapp.py": app},
			wrap: []string{"sh", "-c", `exec "$@" >out.log 2>err.out`, "sh"}}
		if keep {
			o.args = []string{"-R"}
		}
		s := start(t, o)
		s.get("/")
		if keep {
			eventually(t, "the app's output is there", func() bool {
				return strings.Contains(s.read("out.log"), "printed") && strings.Contains(s.read("err.out"), "complained")
			})
		}
		s.terminate()
		if !keep && s.read("out.log")+s.read("err.out") != "" {
			t.Errorf("the output of the app: %q %q", s.read("out.log"), s.read("err.out"))
		}
	}
}
