//go:build linux

package test

import (
	"regexp"
	"syscall"
	"testing"
	"time"

	"indrik/test/harness"
)

// TestHungProcessesAreReplaced: a spawner and a logger that hang are noticed within
// seconds; the log has their stacks, and others take their place.
func TestHungProcessesAreReplaced(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Conf: harness.TestFile(t, "configs/hanging.py"), Env: []string{"PYTHONUNBUFFERED=1"}})
	s.Workers(1)
	harness.Eventually(t, "there is a logger", func() bool { return len(s.Role("logger")) == 1 })
	logger, spawner := s.Role("logger")[0].PID, s.Role("spawner")[0].PID
	s.Get("/hang")
	harness.WaitGone(t, logger)
	harness.Eventually(t, "there is another logger", func() bool { return len(s.Role("logger")) == 1 })
	mark := s.Log.Mark()
	s.Get("/logged")
	s.Log.ExpectFrom(t, 0, `Logger \(pid:\d+\) has not answered for \d+ s$`)
	s.Log.ExpectFrom(t, 0, `in keep_the_logger$`)
	s.Log.ExpectFrom(t, mark, `GET /logged`)

	s.Signal(syscall.SIGTTIN)
	harness.WaitGone(t, spawner)
	s.Get("/") // by the workers that were there
	s.Log.ExpectFrom(t, 0, `Spawner \(pid:\d+\) has not answered for \d+ s$`)
	s.Log.ExpectFrom(t, 0, `in keep_the_interpreter$`)
	harness.Eventually(t, "there is another spawner", func() bool {
		found := s.Role("spawner")
		return len(found) == 1 && found[0].PID != spawner
	})
	s.Get("/")
	s.Terminate()
}

// TestHungLoggerAtTheEnd: a logger that hangs does not keep the server from ending; what it
// still had to write is lost, what others write is not.
func TestHungLoggerAtTheEnd(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Conf: harness.TestFile(t, "configs/hanging.py"), Env: []string{"PYTHONUNBUFFERED=1"}})
	harness.Eventually(t, "there is a logger", func() bool { return len(s.Role("logger")) == 1 })
	logger := s.Role("logger")[0].PID
	s.Get("/hang")
	began := time.Now()
	s.Terminate()
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("the end took %v", took)
	}
	harness.WaitGone(t, logger) // the signal that ends it is the last thing the master does
}

// TestStoppedProcessesGoOn: what was stopped is continued, and loses no request.
func TestStoppedProcessesGoOn(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Conf: "workers = 2\n"})
	kept := s.Client()
	kept.Do(t, "GET", "/", "")
	front, spawner := s.Role("front")[0].PID, s.Role("spawner")[0].PID
	began := time.Now()
	harness.Kill(t, front, syscall.SIGSTOP)
	harness.Kill(t, spawner, syscall.SIGSTOP)
	waiting := s.Begin("/")
	waiting.Expect(200)
	if took := time.Since(began); took > 25*time.Second {
		t.Errorf("it took %v", took)
	}
	if r := kept.Do(t, "GET", "/", ""); r.Status != 200 {
		t.Errorf("on a connection that was open: %v", r)
	}
	s.Log.ExpectFrom(t, 0, `Front \(pid:\d+\) has not answered for \d+ s, since it was stopped \(SIGSTOP\)$`)
	s.Log.ExpectFrom(t, 0, `^goroutine profile: total \d+$`)
	s.Log.ExpectFrom(t, 0, `indrik/internal/front\.\(\*server\)\.obey`)
	s.Log.ExpectFrom(t, 0, `Front \(pid:\d+\) answers again, and goes on$`)
	s.Log.ExpectFrom(t, 0, `Spawner \(pid:\d+\) answers again, and goes on$`)
	if n := s.Log.Count(regexp.QuoteMeta("is replaced")); n > 0 {
		t.Error("something was replaced")
	}
	s.Reload(2)
	s.Terminate()
}

// TestStoppedDuringReload: a spawner that is stopped while the master waits for its
// answer keeps no reload waiting.
func TestStoppedDuringReload(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "importing:app", Args: []string{"--preload"}})
	old := s.Workers(1)
	spawner := s.Role("spawner")[0].PID
	harness.Kill(t, spawner, syscall.SIGSTOP)
	s.Signal(syscall.SIGHUP)
	s.Replaced(old, 1)
	// Which of the two it is depends on whether the master had just asked it whether it lives.
	s.Log.ExpectFrom(t, 0, `Spawner \(pid:\d+\) (was stopped \(SIGSTOP\) and is continued|has not answered for \d+ s, since it was stopped \(SIGSTOP\))`)
	s.Get("/")
	s.Terminate()
}
