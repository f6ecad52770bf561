package master

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"indrik/internal/exitcode"
	"indrik/internal/wire"
)

// TERM ends the server when the front has finished its requests.
func TestDrain(t *testing.T) {
	inWorld(t, []string{"--graceful-timeout", "20"}, func(w *world) {
		w.busy = true
		w.signal(syscall.SIGTERM)
		w.expectState(draining)
		w.pass(10 * time.Second)
		w.expectState(draining)
		if drains := w.front().told(wire.TypeDrain); len(drains) != 1 || !drains[0].Final || drains[0].Handover || drains[0].Accept != wire.AcceptEmpty {
			t.Errorf("the front was told %+v", drains)
		}
		w.expectWorkers(2)
		w.signal(syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR2, syscall.SIGWINCH, syscall.SIGTTIN, syscall.SIGTTOU)
		w.expectState(draining)
		w.front().conn.tell(wire.FromFront{Type: wire.TypeDrained})
		w.pass(time.Second)
		w.expectEnd(exitcode.OK)
	})
}

// What runs after graceful_timeout is answered with 504, and a front that does not get
// there is not waited for.
func TestGracefulTimeout(t *testing.T) {
	inWorld(t, []string{"--graceful-timeout", "20"}, func(w *world) {
		w.busy = true
		w.signal(syscall.SIGTERM)
		w.pass(19 * time.Second)
		if len(w.front().told(wire.TypeExpire)) != 0 {
			t.Error("the front was told too early")
		}
		w.pass(1*time.Second + expireGrace - 50*time.Millisecond)
		if len(w.front().told(wire.TypeExpire)) != 1 {
			t.Error("the front was not told that time is over")
		}
		w.expectState(draining)
		w.pass(5 * time.Second)
		w.expectEnd(exitcode.OK)
	})
}

// drain_delay keeps accepting for a while; a second TERM ends the delay.
func TestDrainDelay(t *testing.T) {
	for _, again := range []bool{false, true} {
		inWorld(t, []string{"--drain-delay", "10"}, func(w *world) {
			w.signal(syscall.SIGTERM)
			w.expectState(departing)
			w.signal(syscall.SIGHUP, syscall.SIGTTIN, syscall.SIGWINCH)
			w.expectState(departing)
			w.expectLog("Draining in 10s (drain_delay): connections are still accepted")
			if len(w.front().told(wire.TypeDepart)) != 1 || len(w.front().told(wire.TypeDrain)) != 0 {
				t.Error("the front does not tell its clients")
			}
			w.busy = true
			w.front().die(signaled(syscall.SIGKILL)) // the next one is told, too
			w.pass(time.Second)
			if len(w.front().told(wire.TypeDepart)) != 1 {
				t.Error("the second front does not tell its clients")
			}
			if again {
				w.signal(syscall.SIGTERM)
			} else {
				w.pass(9 * time.Second)
			}
			w.expectState(draining)
			w.busy = false
		})
	}
}

// INT ends a drain, and everything else, at once.
func TestQuit(t *testing.T) {
	for _, first := range []syscall.Signal{0, syscall.SIGTERM, syscall.SIGHUP} {
		inWorld(t, nil, func(w *world) {
			w.busy, w.stuck = true, true
			if first != 0 {
				w.signal(first)
			}
			w.signal(syscall.SIGINT)
			w.pass(time.Second)
			w.expectEnd(exitcode.OK)
			for _, worker := range w.workers {
				if worker.proc.got[0] != syscall.SIGQUIT {
					t.Errorf("after %v: worker %d got %v", first, worker.age, worker.proc.got)
				}
			}
		})
	}
}

// A worker that does not leave is reminded, then aborted, then killed.
func TestStubbornWorkerAtTheEnd(t *testing.T) {
	inWorld(t, []string{"--graceful-timeout", "5"}, func(w *world) {
		w.stubborn = true
		w.signal(syscall.SIGTERM)
		w.pass(time.Second)
		w.expectState(quitting)
		got := w.workers[0].proc.got
		if len(got) < 3 || slices.ContainsFunc(got, func(sig syscall.Signal) bool { return sig != syscall.SIGTERM }) {
			t.Errorf("it got %v", got)
		}
		w.pass(4 * time.Second)
		w.expectLog("Worker graceful timeout (pid:")
		w.pass(10 * time.Second)
		w.expectEnd(exitcode.OK)
	})
}

// INT while workers run what is to be run at their end.
func TestHasten(t *testing.T) {
	inWorld(t, []string{"--graceful-timeout", "60"}, func(w *world) {
		w.stubborn = true
		w.signal(syscall.SIGTERM)
		w.expectState(quitting)
		w.signal(syscall.SIGINT)
		w.expectLog("Quick shutdown requested")
		w.signal(syscall.SIGINT)
		w.pass(quitGrace + time.Second)
		w.expectEnd(exitcode.OK)
	})
}

// A spawner that hangs at the end is killed, with the workers that it does not tell of.
func TestHangingSpawnerAtTheEnd(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.spawner().conn.hear = nil
		w.workers[0].stubborn = true
		for _, worker := range w.workers {
			worker.proc.obey = func(syscall.Signal) {}
		}
		w.signal(syscall.SIGTERM)
		w.pass(2 * time.Minute)
		if w.code >= 0 || !w.spawner().proc.gone {
			w.t.Fatalf("code %d, the spawner has ended: %v", w.code, w.spawner().proc.gone)
		}
		for _, worker := range w.workers { // they are the master's children now
			worker.die(signaled(syscall.SIGKILL))
		}
		w.pass(time.Minute)
		w.expectEnd(exitcode.OK)
	})
}

// USR1 opens the log files again in every process.
func TestReopenLogs(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.signal(syscall.SIGUSR1)
		if len(w.front().told(wire.TypeLogs)) != 2 || len(w.spawner().told(wire.TypeReopen)) != 1 {
			t.Error("front or spawner was not told")
		}
		for _, worker := range w.workers {
			if !slices.Equal(worker.proc.got, []syscall.Signal{syscall.SIGUSR1}) {
				t.Errorf("worker %d got %v", worker.age, worker.proc.got)
			}
		}
		w.refuse["openLog"] = syscall.ENOENT
		w.signal(syscall.SIGUSR1)
		w.expectLog("Cannot open the log files again, the old ones are kept: ")
	})
}
