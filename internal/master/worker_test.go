package master

import (
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"indrik/internal/status"
	"indrik/internal/wire"
)

// A worker can be ready before its spawner has answered that it was forked. When
// the spawner dies in between, the worker is known, and must be retired like any
// other later on: retire passes over those that are leaving already.
func TestSpawnerDiesAfterTheWorkerSpoke(t *testing.T) {
	lost := wire.FromSpawner{Type: wire.TypeFailed, Stage: "spawner", Error: "was sent SIGKILL"}
	known, unknown := &worker{age: 1, pid: 4148, ready: true}, &worker{age: 2}
	m := bareMaster(io.Discard, realSystem())
	m.pool.workers = map[int]*worker{1: known, 2: unknown}
	m.spawnAnswered(known, lost)
	m.spawnAnswered(unknown, lost)
	if known.leaving {
		t.Error("a worker that is known to be there is taken for one that is leaving")
	}
	if !unknown.leaving {
		t.Error("a worker of which nothing is known would be kept when it turns up")
	}
}

// A worker that dies is replaced at once, and its obituary says what it ran.
func TestWorkerDies(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		worker := w.live()[0]
		worker.dump.WriteString("Fatal Python error: Segmentation fault\n\nCurrent thread\n")
		w.pass(3 * time.Minute)
		worker.die(signaled(syscall.SIGSEGV))
		w.wait()
		w.front().conn.tell(wire.FromFront{Type: wire.TypeLost, Age: worker.age, Served: 7, Running: []wire.Running{{Method: "GET", Path: "/x", Seconds: 1}}})
		w.pass(time.Second)
		w.expectWorkers(2)
		w.expectLog("was sent SIGSEGV!", "was sent SIGSEGV after 3 min and 7 requests, while it ran GET /x (1.0 s).", "at most 2 MiB", "Fatal Python error")
	})
}

// The obituary comes also if the front does not say what a worker ran, or says it first.
func TestObituaryInAnyOrder(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.sys.oomKills = func() int { return 1 }
		w.live()[0].die(signaled(syscall.SIGKILL))
		w.pass(obituaryWait - 100*time.Millisecond)
		if w.said("was sent SIGKILL after") {
			t.Error("the front was not waited for")
		}
		w.pass(time.Second)
		w.expectLog("was sent SIGKILL! Perhaps out of memory?", "was sent SIGKILL after 0.9 s.", "oom_kill 1")
		worker := w.live()[0]
		w.front().conn.tell(wire.FromFront{Type: wire.TypeLost, Age: worker.age, Served: 3})
		w.wait()
		worker.die(exited(9))
		w.wait()
		w.expectLog("exited with code 9.", "exited with code 9 after 2.9 s and 3 requests")
	})
}

// Each death of a worker that was not to end has a cause, and is counted by it.
func TestCausesOfDeaths(t *testing.T) {
	inWorld(t, []string{"--graceful-timeout", "1"}, func(w *world) {
		seen := 0
		expect := func(cause status.Cause, reason string) {
			t.Helper()
			w.pass(20 * time.Second)
			seen++
			s := w.m.status(nil)
			if s.DeathsByCause[cause] != 1 || len(s.Deaths) != seen || s.Deaths[0].Cause != cause || s.Deaths[0].Reason != reason {
				t.Errorf("%s: %v, the last of %d is %+v", cause, s.DeathsByCause, len(s.Deaths), s.Deaths[0])
			}
		}
		w.live()[0].die(exited(9))
		expect(status.CauseExit, "exited with code 9")
		w.live()[0].die(signaled(syscall.SIGSEGV))
		expect(status.CauseSignal, "was sent SIGSEGV")
		w.sys.oomKills = func() int { return 1 }
		w.live()[0].die(signaled(syscall.SIGKILL))
		expect(status.CauseMemory, "was sent SIGKILL")
		w.front().conn.tell(wire.FromFront{Type: wire.TypeTimeout, Age: w.live()[0].age, Method: "GET", Path: "/slow", Seconds: 30})
		expect(status.CauseTimeout, "was aborted, since a request was over timeout")
		if d := w.m.status(nil).Deaths[0]; len(d.Running) != 1 || d.Running[0].Path != "/slow" {
			t.Errorf("%+v", d)
		}
		w.live()[0].say(wire.FromWorker{Type: wire.TypeReady})
		expect(status.CauseProtocol, "broke the protocol: it sent the master `ready` a second time")
		w.live()[0].stubborn = true
		w.live()[0].say(wire.FromWorker{Type: wire.TypeRecycle})
		expect(status.CauseGraceful, "was aborted, since it had not ended after graceful_timeout")
		w.stuck = true // the next one does not become ready
		w.live()[0].die(signaled(syscall.SIGTERM))
		w.pass(time.Second)
		late := w.workers[len(w.workers)-1]
		late.dump.WriteString(bootReportHead + "Traceback\nImportError: \x1b[2J\n")
		late.die(exited(3))
		expect(status.CauseBoot, "exited with code 3 before it was ready: ImportError: \ufffd[2J")
		s := w.m.status(nil)
		total := 0
		for _, n := range s.DeathsByCause {
			total += n
		}
		if total != seen || len(s.DeathsByCause) != len(status.Causes) || s.Recycled["max_requests"] != 1 {
			t.Errorf("%v, %v recycled", s.DeathsByCause, s.Recycled)
		}
	})
}

// Workers that die young are forked after longer and longer pauses; one that lived well
// ends that.
func TestCrashLoop(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.stuck = true
		var pauses []time.Duration
		for range 6 {
			begun, n := time.Now(), len(w.workers)
			w.workers[n-1].die(exited(3))
			for len(w.workers) == n {
				w.pass(10 * time.Millisecond)
			}
			pauses = append(pauses, time.Since(begun).Truncate(100*time.Millisecond))
		}
		want := []time.Duration{0, 100, 200, 400, 800, 1600}
		for i := range want {
			if pauses[i] != want[i]*time.Millisecond {
				t.Errorf("pauses %v, want %v ms", pauses, want)
				break
			}
		}
		w.expectLog("Workers keep failing: the next one is started in 100ms")
		w.workers[len(w.workers)-1].ready()
		w.pass(2 * time.Second)
		n := len(w.workers)
		w.workers[n-1].die(exited(3))
		w.pass(10 * time.Millisecond)
		if len(w.workers) != n+1 {
			t.Error("a worker that lived well is not replaced at once")
		}
	})
}

// A worker that asks to be recycled serves until another one is ready.
func TestRecycle(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		worker := w.live()[0]
		worker.say(wire.FromWorker{Type: wire.TypeRecycle})
		w.wait()
		w.expectWorkers(3)
		if len(w.front().told(wire.TypeRetire)) != 0 {
			t.Error("it was retired before another one was ready")
		}
		w.pass(time.Second)
		w.expectWorkers(2)
		if !worker.proc.gone {
			t.Error("it is still there")
		}
	})
}

// A request that ran too long ends its worker, whose stacks are logged.
func TestTimeout(t *testing.T) {
	inWorld(t, []string{"--graceful-timeout", "10"}, func(w *world) {
		first, second := w.live()[0], w.live()[1]
		w.front().conn.tell(wire.FromFront{Type: wire.TypeTimeout, Age: first.age, Method: "GET", Path: "/slow", Seconds: 30})
		w.pass(time.Second)
		w.expectLog("WORKER TIMEOUT", "GET /slow after 30.0 s\nthe stacks")
		w.expectWorkers(2)
		if !first.proc.gone {
			t.Error("the worker is still there")
		}
		// Another one runs other requests: it is aborted when these are done.
		second.stubborn = true
		w.front().conn.tell(wire.FromFront{Type: wire.TypeTimeout, Age: second.age, Seconds: 30, Blocked: 3, Others: 1})
		w.front().conn.tell(wire.FromFront{Type: wire.TypeTimeout, Age: second.age, Method: "GET", Path: "/other", Seconds: 30, Others: 1})
		w.front().conn.tell(wire.FromFront{Type: wire.TypeTimeout, Age: 99})
		w.pass(time.Second)
		w.expectLog("the event loop has been blocked for 30.0 s, with 3 requests", "GET /other")
		if second.proc.gone {
			t.Error("it was aborted although it runs something else")
		}
		w.front().conn.tell(wire.FromFront{Type: wire.TypeSettled, Age: second.age})
		w.pass(time.Second)
		if !second.proc.gone {
			t.Error("it is still there although it has nothing to do")
		}
		// And without that after graceful_timeout.
		third := w.live()[0]
		third.stubborn = true
		w.front().conn.tell(wire.FromFront{Type: wire.TypeTimeout, Age: third.age, Method: "GET", Path: "/", Seconds: 30, Others: 1})
		w.pass(15 * time.Second)
		if !third.proc.gone {
			t.Error("it outlives graceful_timeout")
		}
	})
}

// A worker whose channel to the front ends is ended if that is a breach, and retired if it
// ends its app by itself.
func TestSlotClosed(t *testing.T) {
	for _, kind := range []wire.Kind{wire.KindSync, wire.KindASGI} {
		atStart(t, []string{"app:app"}, func(w *world) {
			w.kind = kind
			w.start()
			w.pass(time.Second)
			worker := w.live()[0]
			worker.stubborn = true
			w.front().conn.tell(wire.FromFront{Type: wire.TypeClosed, Age: worker.age})
			w.pass(silentGrace + time.Second)
			if breach := w.said("it closed its channel to the front"); breach != (kind == wire.KindSync) {
				t.Errorf("kind %q: a breach: %v", kind, breach)
			}
			w.pass(10 * time.Second)
			if kind == wire.KindSync && !worker.proc.gone || kind != wire.KindSync && worker.proc.got[0] != syscall.SIGTERM {
				t.Errorf("kind %q: it got %v", kind, worker.proc.got)
			}
			w.expectState(running)
		})
	}
}

// A worker may speak before its spawner says that it was forked, and it may be that the
// spawner never does.
func TestWorkerSpeaksFirst(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.failures[wire.TypeSpawn] = "silent"
		w.live()[0].die(exited(0))
		w.pass(time.Second)
		age := w.m.pool.lastAge
		end := w.m.pool.workers[age].channel.(*fakeChannel).end
		p := w.process(func(p *fakeProcess, sig syscall.Signal) { w.exit(p, signaled(sig)) })
		end.tell(fromWorker{FromWorker: wire.FromWorker{Type: wire.TypeReady}, Sender: p.pid})
		w.wait()
		if worker := w.m.pool.workers[age]; worker.pid != p.pid || !worker.active {
			t.Errorf("%+v", worker)
		}
		w.failures[wire.TypeSpawn] = ""
		w.spawner().die(signaled(syscall.SIGKILL))
		w.pass(10 * time.Second)
		w.expectState(running)
		w.expectWorkers(2)
		end.Close()
	})
}

// What a worker cannot be made without is missing: it is tried again after a pause.
func TestWorkerCannotBeMade(t *testing.T) {
	for _, c := range []struct{ refuse, failure, says string }{
		{"pair", "", "cannot make the channels of a worker"},
		{"channel", "", "cannot make the channels of a worker"},
		{"growing", "", "cannot make the channels of a worker"},
		{"", "no fork", "Cannot start a worker: no fork"},
	} {
		inWorld(t, nil, func(w *world) {
			w.refuse[c.refuse], w.failures[wire.TypeSpawn] = syscall.EMFILE, c.failure
			w.live()[0].die(exited(0))
			w.pass(time.Second)
			w.expectLog(c.says)
			w.expectWorkers(1)
			w.refuse[c.refuse], w.failures[wire.TypeSpawn] = nil, ""
			w.pass(longestPause)
			w.expectWorkers(2)
		})
	}
}

// TTIN and TTOU change the number of workers, which is never less than one.
func TestMoreAndFewer(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.signal(syscall.SIGTTIN)
		w.pass(time.Second)
		w.expectWorkers(3)
		for range 4 {
			w.signal(syscall.SIGTTOU)
		}
		w.pass(time.Second)
		w.expectWorkers(1)
	})
}

// Which kind of worker is used is told once, also when the app decides it.
func TestKindOfTheApp(t *testing.T) {
	atStart(t, []string{"--worker-affinity", "cookie", "app:app"}, func(w *world) {
		w.kind = wire.KindASGI
		w.start()
		w.pass(time.Second)
		w.expectState(running)
		w.expectLog("Using worker: asgi, since app:app is an ASGI app")
		if strings.Count(w.log(), "Using worker") != 1 {
			t.Error(w.log())
		}
	})
	inWorld(t, []string{"--worker-affinity", "cookie"}, func(w *world) {
		w.expectLog("worker_affinity = cookie has no effect: workers of kind sync take their requests from one queue.")
	})
}
