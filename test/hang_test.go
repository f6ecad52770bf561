//go:build linux

package test

import (
	"regexp"
	"syscall"
	"testing"
	"time"
)

// A logger class of one's own makes a process that writes all lines; one line keeps it
// for ever.
const hangingConf = `import ctypes, threading, time
from indrik.glogging import Logger

class Mine(Logger):
    def warning(self, msg, *args, **kwargs):
        if "Reloader" in str(msg):
            return
        super().warning(msg, *args, **kwargs)

    def access(self, resp, req, environ, request_time):
        if environ["PATH_INFO"] == "/hang":
            def keep_the_logger():
                time.sleep(600)
            keep_the_logger()
        super().access(resp, req, environ, request_time)

logger_class = Mine
accesslog = "-"

def nworkers_changed(server, new, old):
    if new == 2:
        # In a thread, and after the hook has ended; with the interpreter held.
        def keep_the_interpreter():
            time.sleep(0.5)
            ctypes.PyDLL(None).sleep(600)
        threading.Thread(target=keep_the_interpreter, daemon=True).start()
`

// TestHungProcessesAreReplaced: a spawner and a logger that hang are noticed within
// seconds; the log has their stacks, and others take their place.
func TestHungProcessesAreReplaced(t *testing.T) {
	t.Parallel()
	s := start(t, options{conf: hangingConf, env: []string{"PYTHONUNBUFFERED=1"}})
	s.workers(1)
	eventually(t, "there is a logger", func() bool { return len(s.role("logger")) == 1 })
	logger, spawner := s.role("logger")[0].pid, s.role("spawner")[0].pid
	s.get("/hang")
	waitGone(t, logger)
	eventually(t, "there is another logger", func() bool { return len(s.role("logger")) == 1 })
	mark := s.log.mark()
	s.get("/logged")
	s.log.expectFrom(t, 0, `Logger \(pid:\d+\) has not answered for \d+ s$`)
	s.log.expectFrom(t, 0, `in keep_the_logger$`)
	s.log.expectFrom(t, mark, `GET /logged`)

	s.signal(syscall.SIGTTIN)
	waitGone(t, spawner)
	s.get("/") // by the workers that were there
	s.log.expectFrom(t, 0, `Spawner \(pid:\d+\) has not answered for \d+ s$`)
	s.log.expectFrom(t, 0, `in keep_the_interpreter$`)
	eventually(t, "there is another spawner", func() bool {
		found := s.role("spawner")
		return len(found) == 1 && found[0].pid != spawner
	})
	s.get("/")
	s.terminate()
}

// TestStoppedProcessesGoOn: what was stopped is continued, and loses no request.
func TestStoppedProcessesGoOn(t *testing.T) {
	t.Parallel()
	s := start(t, options{conf: "workers = 2\n"})
	kept := s.client()
	kept.do(t, "GET", "/", "")
	front, spawner := s.role("front")[0].pid, s.role("spawner")[0].pid
	began := time.Now()
	kill(t, front, syscall.SIGSTOP)
	kill(t, spawner, syscall.SIGSTOP)
	waiting := s.begin("/")
	waiting.expect(200)
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
	if r := kept.do(t, "GET", "/", ""); r.status != 200 {
		t.Errorf("on a connection that was open: %v", r)
	}
	s.log.expectFrom(t, 0, `Front \(pid:\d+\) has not answered for \d+ s, since it was stopped \(SIGSTOP\)$`)
	s.log.expectFrom(t, 0, `^goroutine profile: total \d+$`)
	s.log.expectFrom(t, 0, `indrik/internal/front\.\(\*server\)\.obey`)
	s.log.expectFrom(t, 0, `Front \(pid:\d+\) answers again, and goes on$`)
	s.log.expectFrom(t, 0, `Spawner \(pid:\d+\) answers again, and goes on$`)
	if n := s.log.count(regexp.QuoteMeta("is replaced")); n > 0 {
		t.Error("something was replaced")
	}
	s.reload(2)
	s.terminate()
}

// TestStoppedDuringReload: a spawner that is stopped while the master waits for its
// answer keeps no reload waiting.
func TestStoppedDuringReload(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "importing:app", args: []string{"--preload"}})
	old := s.workers(1)
	spawner := s.role("spawner")[0].pid
	kill(t, spawner, syscall.SIGSTOP)
	s.signal(syscall.SIGHUP)
	s.replaced(old, 1)
	s.log.expectFrom(t, 0, `Spawner \(pid:\d+\) was stopped \(SIGSTOP\) and is continued`)
	s.get("/")
	s.terminate()
}
