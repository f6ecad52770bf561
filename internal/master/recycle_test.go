package master

import (
	"syscall"
	"testing"
	"time"

	"indrik/internal/capacity"
	"indrik/internal/settings"
	"indrik/internal/status"
	"indrik/internal/wire"
)

// statusOf returns what the status says about a worker.
func (w *world) statusOf(worker *fakeWorker) status.Worker {
	w.t.Helper()
	for _, s := range w.m.status(nil).Workers {
		if s.Age == worker.age {
			return s
		}
	}
	w.t.Fatalf("the status has no worker %d", worker.age)
	return status.Worker{}
}

// A worker that takes too much memory is replaced: its successor is ready before it is told to
// leave, and the log says why.
func TestMaxWorkerMemory(t *testing.T) {
	inWorld(t, []string{"--max-worker-memory", "100M"}, func(w *world) {
		fat, thin := w.live()[0], w.live()[1]
		w.grow(thin, 99)
		w.pass(10 * time.Second)
		w.expectWorkers(2)
		w.grow(fat, 312)
		w.stuck = true
		w.pass(2 * time.Second)
		w.expectWorkers(3)
		if fat.proc.gone || len(w.front().told(wire.TypeRetire)) != 0 {
			t.Error("it has left, or was told to, before its successor was ready")
		}
		if r := w.statusOf(fat).Replacement; r == nil || r.Reason != "max_worker_memory" || r.Waits != 0 {
			t.Errorf("the status says %+v", r)
		}
		w.live()[2].ready()
		w.pass(time.Second)
		if !fat.proc.gone || thin.proc.gone {
			t.Error("the wrong worker has left, or none")
		}
		w.expectLog("is replaced: its RSS is 312 MiB, max_worker_memory is 100 MiB")
		if s := w.m.status(nil); s.Recycled["max_worker_memory"] != 1 || len(s.Deaths) != 0 {
			t.Errorf("%v, deaths %v", s.Recycled, s.Deaths)
		}
	})
}

func TestMaxWorkerMemoryAsShareAndPSS(t *testing.T) {
	inWorld(t, []string{"--max-worker-memory", "25%", "--worker-memory-measure", "pss"}, func(w *world) {
		w.use = capacity.Use{Used: 1, Limit: 1 << 30}
		w.pass(10 * time.Second)
		fat := w.live()[0]
		w.grow(fat, 500) // 250 MiB PSS
		w.pass(10 * time.Second)
		if fat.proc.gone {
			t.Error("it has left")
		}
		w.grow(fat, 514)
		w.pass(10 * time.Second)
		if !fat.proc.gone {
			t.Error("it is still there")
		}
		w.expectLog("its PSS is 257 MiB, max_worker_memory is 256 MiB")
	})
}

// One that takes far too much is killed at once, and its place is filled; the next one only
// when that is so.
func TestMaxWorkerMemoryHard(t *testing.T) {
	inWorld(t, []string{"--max-worker-memory-hard", "200M"}, func(w *world) {
		w.pass(5 * time.Second)
		first, second := w.live()[0], w.live()[1]
		w.stuck = true
		w.grow(first, 300)
		w.grow(second, 250)
		w.pass(2 * time.Second)
		if !first.proc.gone || second.proc.gone {
			t.Error("not the one that took most was killed, or both")
		}
		if r := w.statusOf(second).Replacement; r == nil || r.Reason != "max_worker_memory_hard" || r.Waits == 0 {
			t.Errorf("the status says %+v", r)
		}
		w.expectWorkers(2)
		w.front().conn.tell(wire.FromFront{Type: wire.TypeLost, Age: first.age, Served: 7, Running: []wire.Running{{Method: "POST", Path: "/upload", Seconds: 3}}})
		w.pass(2 * time.Second)
		w.expectLog("is killed: its RSS was 300 MiB, max_worker_memory_hard is 200 MiB",
			"was killed, since its RSS was 300 MiB, max_worker_memory_hard is 200 MiB, after ", "and 7 requests, while it ran POST /upload (3.0 s)")
		w.stuck = false
		w.live()[1].ready()
		w.pass(3 * time.Second)
		if !second.proc.gone {
			t.Error("the second one is still there")
		}
		w.expectWorkers(2)
		if s := w.m.status(nil); s.Recycled["max_worker_memory_hard"] != 2 || s.DeathsByCause[status.CauseMemoryHard] != 2 {
			t.Errorf("%v, deaths %v", s.Recycled, s.DeathsByCause)
		}
	})
}

// Workers that were added and take long to start are not missed: one that takes too much meanwhile is
// killed at once.
func TestRecyclingWhileWorkersAreAdded(t *testing.T) {
	inWorld(t, []string{"--max-worker-memory-hard", "200M"}, func(w *world) {
		w.pass(5 * time.Second)
		first, second := w.live()[0], w.live()[1]
		w.stuck = true
		w.signal(syscall.SIGTTIN, syscall.SIGTTIN)
		w.expectWorkers(4)
		w.grow(first, 300)
		w.pass(2 * time.Second)
		if !first.proc.gone {
			t.Error("the one that takes too much was not killed")
		}
		w.expectWorkers(4)
		// Now one is missed.
		w.grow(second, 300)
		w.pass(2 * time.Second)
		if second.proc.gone {
			t.Error("another one was killed before the first has a successor")
		}
		w.stuck = false
		for _, worker := range w.live() {
			if worker != second {
				worker.ready()
			}
		}
		w.pass(2 * time.Second)
		if !second.proc.gone {
			t.Error("the other one was not killed")
		}
	})
}

// Workers that are over the hard limit as soon as they are ready are forked after longer and
// longer pauses.
func TestHardLimitThatIsTooLow(t *testing.T) {
	inWorld(t, []string{"--max-worker-memory-hard", "1K"}, func(w *world) {
		w.pass(time.Minute)
		if n := len(w.workers); n > 20 {
			t.Errorf("%d workers were started in a minute", n)
		}
		if w.m.state != running {
			t.Errorf("the state is %s", w.m.state)
		}
	})
}

func TestMaxWorkerAge(t *testing.T) {
	inWorld(t, []string{"--max-worker-age", "60", "--max-worker-age-jitter", "30", "--workers", "4"}, func(w *world) {
		w.pass(58 * time.Second)
		first := w.expectWorkers(4)
		most := 0
		for range 60 {
			w.pass(time.Second)
			most = max(most, len(w.live()))
		}
		for _, worker := range first {
			if !worker.proc.gone {
				t.Errorf("worker %d is still there", worker.age)
			}
		}
		if most > 5 {
			t.Errorf("there were %d workers", most)
		}
		w.expectLog("is replaced: it has served for ", "max_worker_age with its jitter is ")
	})
}

// Whatever the reasons, one goes after the other.
func TestRecycleBudget(t *testing.T) {
	for budget, most := range map[string]int{"1": 5, "50%": 6, "3": 7} {
		t.Run(budget, func(t *testing.T) {
			inWorld(t, []string{"--recycle-budget", budget, "--workers", "4", "--max-worker-age", "30", "--max-worker-memory", "100M"}, func(w *world) {
				w.pass(25 * time.Second)
				first, seen := w.live(), 0
				w.grow(first[0], 200)
				for _, worker := range first[1:] {
					worker.say(wire.FromWorker{Type: wire.TypeRecycle})
				}
				for range 400 {
					w.pass(10 * time.Millisecond)
					seen = max(seen, len(w.live()))
				}
				if seen != most {
					t.Errorf("there were %d workers, want %d", seen, most)
				}
				for _, worker := range first {
					if !worker.proc.gone {
						t.Errorf("worker %d is still there", worker.age)
					}
				}
			})
		})
	}
}

// A worker that has asked to go while a reload is under way waits for its end.
func TestRecycleDuringReload(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		old := w.live()
		w.stuck = true
		w.signal(syscall.SIGHUP)
		w.pass(time.Second)
		w.expectState(reloading)
		old[0].say(wire.FromWorker{Type: wire.TypeRecycle})
		w.pass(2 * time.Second)
		w.expectWorkers(4)
		if r := w.statusOf(old[0]).Replacement; r == nil || r.Waits == 0 {
			t.Errorf("the status says %+v", r)
		}
		w.stuck = false
		fresh := w.live()[3]
		w.m.post(func() { fresh.die(exited(3)) }) // the reload fails
		w.pass(3 * time.Second)
		w.expectState(running)
		w.expectWorkers(2)
		if !old[0].proc.gone || old[1].proc.gone {
			t.Error("the one that has asked is still there, or the other one is not")
		}
	})
}

// Where the memory of all is short the worker that takes most goes; before its successor comes
// if there is no room for both.
func TestMemoryPressure(t *testing.T) {
	for _, c := range []struct {
		name, setting string
		use           capacity.Use
		room          bool
		text          string
	}{
		{"pressure", "--max-memory-pressure=20", capacity.Use{Used: 100 << 20, Limit: 1 << 30, Pressure: 33.3}, true,
			"is replaced: processes have waited for memory for 33.3 % of the last 10 s, max_memory_pressure is 20 %; of all workers it takes most, RSS 300 MiB"},
		{"use", "--max-memory-use=90", capacity.Use{Used: 950 << 20, Limit: 1000 << 20}, true, "is replaced: 950 MiB of 1000 MiB are in use, max_memory_use is 90 %"},
		{"no room", "--max-memory-use=90", capacity.Use{Used: 1000 << 20, Limit: 1000 << 20}, false, "leaves before its successor is started: 1000 MiB of 1000 MiB are in use"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, []string{c.setting}, func(w *world) {
				w.pass(10 * time.Second)
				fat := w.live()[0]
				fat.stubborn = !c.room
				w.grow(fat, 300)
				w.grow(w.live()[1], 200)
				w.mu.Lock()
				w.use = c.use
				w.mu.Unlock()
				w.stuck = true
				w.pass(3 * time.Second)
				w.expectLog(c.text)
				w.stuck = false // those that come now
				if c.room {
					w.expectWorkers(3)
					w.live()[2].ready()
				} else {
					w.expectWorkers(2) // no successor is made before
					if len(w.front().told(wire.TypeRetire)) != 1 {
						t.Error("it was not told to leave")
					}
					w.m.post(func() { fat.die(exited(0)) })
				}
				w.pass(3 * time.Second)
				if !fat.proc.gone {
					t.Error("it is still there")
				}
				w.pass(3 * time.Second)
				if n := len(w.workers); c.use.Pressure > 0 && n != 3 {
					t.Errorf("%d workers were made within the ten seconds that the figures need", n)
				}
			})
		})
	}
}

// A dry run says what it would do, once, and does what is no policy of ours.
func TestRecycleDryRun(t *testing.T) {
	inWorld(t, []string{"--selfcare-dry-run", "recycle", "--max-worker-memory", "100M", "--max-worker-memory-hard", "200M", "--max-worker-age", "20"}, func(w *world) {
		first := w.live()
		w.grow(first[0], 150)
		w.grow(first[1], 250)
		w.pass(40 * time.Second)
		for _, text := range []string{
			"Dry run: recycle would replace worker (pid:", "its RSS is 150 MiB, max_worker_memory is 100 MiB",
			"Dry run: recycle would kill worker (pid:", "its RSS was 250 MiB, max_worker_memory_hard is 200 MiB",
		} {
			w.expectLog(text)
		}
		w.expectWorkers(2)
		s := w.m.status(nil)
		if s.WouldRecycle["max_worker_memory"] != 1 || s.WouldRecycle["max_worker_memory_hard"] != 1 || s.Recycled["max_worker_memory"] != 0 {
			t.Errorf("%v, %v", s.WouldRecycle, s.Recycled)
		}
		first[0].say(wire.FromWorker{Type: wire.TypeRecycle})
		w.pass(2 * time.Second)
		if !first[0].proc.gone || first[1].proc.gone || !w.m.cfg.DryRun(settings.PolicyRecycle) {
			t.Error("max_requests has no effect, or the dry run has one")
		}
	})
}

// A process whose memory the kernel does not tell keeps nobody else from being replaced.
func TestMemoryThatIsNotTold(t *testing.T) {
	inWorld(t, []string{"--max-worker-memory", "100M"}, func(w *world) {
		w.pass(10 * time.Second)
		mute, fat := w.live()[0], w.live()[1]
		asked := make(chan struct{})
		defer close(asked)
		w.wait()
		w.sys.rss = func(pid int) int64 {
			if pid == mute.proc.pid {
				<-asked
				return 0
			}
			return w.memoryOf(pid)
		}
		w.grow(fat, 200)
		w.pass(5 * time.Second)
		if !fat.proc.gone || mute.proc.gone {
			t.Error("the other one is still there")
		}
	})
}

// An idle server without these settings is not woken.
func TestNothingIsMeasuredUnasked(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.sys.rss = func(int) int64 { t.Error("it was measured"); return 0 }
		w.pass(time.Minute)
		if w.m.recycler.timer != nil {
			t.Error("there is a timer")
		}
	})
}

// The front is told of which deaths what a worker ran is to blame: a crash, an exit with an
// error, and max_worker_memory_hard, but not a signal that somebody has sent.
func TestBlame(t *testing.T) {
	inWorld(t, []string{"--max-worker-memory-hard", "200M"}, func(w *world) {
		blamed := 0
		for _, c := range []struct {
			name   string
			status int
			blame  bool
		}{
			{"a crash", signaled(syscall.SIGSEGV), true},
			{"an exit", exited(3), true},
			{"SIGKILL", signaled(syscall.SIGKILL), false},
			{"SIGTERM", signaled(syscall.SIGTERM), false},
		} {
			w.pass(2 * time.Second)
			worker := w.live()[0]
			w.m.post(func() { worker.die(c.status) })
			w.wait()
			w.front().conn.tell(wire.FromFront{Type: wire.TypeLost, Age: worker.age, Served: 1})
			w.wait()
			if c.blame {
				blamed++
			}
			if got := len(w.front().told(wire.TypeBlame)); got != blamed {
				t.Errorf("%s: the front was told %d times, want %d", c.name, got, blamed)
			}
		}
		w.pass(5 * time.Second)
		fat := w.live()[0]
		w.grow(fat, 300)
		w.pass(2 * time.Second)
		w.front().conn.tell(wire.FromFront{Type: wire.TypeLost, Age: fat.age, Served: 1})
		w.wait()
		if got := w.front().told(wire.TypeBlame); len(got) != blamed+1 || got[blamed].Age != fat.age {
			t.Errorf("max_worker_memory_hard: the front was told %+v", got)
		}
	})
}
