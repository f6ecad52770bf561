package master

import (
	"os"
	"syscall"
	"testing"
	"time"

	"indrik/internal/wire"
)

func withLogger(t *testing.T, test func(*world)) {
	t.Helper()
	atStart(t, []string{"app:app"}, func(w *world) {
		w.logged = true
		w.start()
		w.pass(time.Second)
		w.expectState(running)
		test(w)
		for _, l := range w.loggers {
			l.die()
		}
	})
}

// Where Python decides what becomes of log lines the front is told of its process, which
// ends last.
func TestLogger(t *testing.T) {
	withLogger(t, func(w *world) {
		logs := w.front().told(wire.TypeLogs)
		if last := logs[len(logs)-1]; !last.Logger || last.Access || last.Level != "info" && last.Level != "INFO" {
			t.Errorf("the front was told %+v", last)
		}
		w.signal(syscall.SIGUSR1)
		if got := w.logger().proc.got; len(got) != 1 || got[0] != syscall.SIGUSR1 {
			t.Errorf("it got %v", got)
		}
		w.signal(syscall.SIGTERM)
		w.pass(time.Second)
		if w.code >= 0 {
			t.Error("it was not waited for")
		}
		w.logger().die()
		w.wait()
		w.expectEnd(0)
	})
}

// A logger that hangs at the end is killed.
func TestLoggerHangsAtTheEnd(t *testing.T) {
	withLogger(t, func(w *world) {
		w.signal(syscall.SIGTERM)
		w.pass(quitGrace + time.Second)
		w.expectEnd(0)
		if !w.logger().proc.gone {
			t.Error("it is still there")
		}
	})
}

// A logger that dies, or hangs, is replaced; lines go to the files until then.
func TestLoggerDies(t *testing.T) {
	withLogger(t, func(w *world) {
		w.logger().die()
		w.wait()
		w.expectLog("The logger (pid:", "has ended: until there is another one, lines go to errorlog and accesslog")
		w.pass(time.Second)
		if len(w.loggers) != 2 || w.m.logging.logger == nil {
			t.Errorf("%d loggers", len(w.loggers))
		}
		w.mute["logger"] = true
		w.pass(probeEvery + strikesMost*strikeEvery + stackGrace + 100*time.Millisecond)
		w.expectLog("Logger (pid:", "has not answered for 6 s", "is replaced")
		w.mute["logger"] = false
		w.pass(time.Second)
		if len(w.loggers) != 3 || w.m.logging.logger == nil {
			t.Errorf("%d loggers", len(w.loggers))
		}
		w.failures[wire.TypeLogger] = "no logger"
		w.logger().die()
		w.pass(time.Second)
		w.expectLog("The logger cannot be started: no logger")
		w.expectState(running)
	})
}

// A reload has a logger of its own; the one before has time to write what it has.
func TestReloadReplacesTheLogger(t *testing.T) {
	withLogger(t, func(w *world) {
		before := w.logger()
		w.signal(syscall.SIGHUP)
		w.pass(time.Second)
		w.expectState(running)
		if len(w.loggers) != 2 || before.proc.gone {
			t.Errorf("%d loggers; the first one has ended: %v", len(w.loggers), before.proc.gone)
		}
		w.pass(spawnerGrace)
		if !before.proc.gone {
			t.Error("the one before is still there")
		}
		w.logged = false
		w.signal(syscall.SIGHUP)
		w.pass(time.Second)
		if w.m.logging.logger != nil {
			t.Error("there is a logger that nobody needs")
		}
	})
}

// A hook that changes what becomes of log lines gets another logger.
func TestHookChangesTheLogger(t *testing.T) {
	atStart(t, []string{"app:app"}, func(w *world) {
		w.hooks = []string{"on_starting"}
		w.failures["on_starting"] = "silent"
		w.start()
		w.wait()
		call := w.spawner().told(wire.TypeHook)[0].Call
		w.spawner().conn.tell(wire.FromSpawner{Type: wire.TypeOK, Call: call, Logger: true})
		w.pass(time.Second)
		w.expectState(running)
		if w.m.logging.logger == nil {
			t.Error("there is no logger")
		}
		w.logger().die()
		w.wait()
	})
}

// What a logger cannot be made without ends the start.
func TestNoLogger(t *testing.T) {
	for _, n := range []int{1, 2} {
		atStart(t, []string{"app:app"}, func(w *world) {
			w.logged = true
			pair := w.sys.pair
			calls := 0
			w.sys.pair = func() (a, b *os.File, err error) {
				if calls++; calls == 2+n { // the spawner's and the queue's come first
					return nil, nil, syscall.EMFILE
				}
				return pair()
			}
			w.start()
			w.pass(time.Second)
			w.expectEnd(71)
			w.expectLog("the logger cannot be reached")
		})
	}
}
