package master

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"indrik/internal/capacity"
	"indrik/internal/wire"
)

// load has the front tell of a load for a time, every half second: each slot is busy for a share
// of it, and so many requests come in a second for each that ends.
func (w *world) load(d time.Duration, busy, comes float64) {
	for range d / (500 * time.Millisecond) {
		time.Sleep(500 * time.Millisecond)
		w.wait()
		slots := float64(w.m.slots())
		x := wire.Load{Seconds: 0.5, Busy: 0.5 * slots * busy, Capacity: 0.5 * slots, Served: 0.5 * slots * busy,
			Ended: int(50 * slots * busy), Arrived: int(50 * slots * busy * comes), InFlight: int(slots)}
		if comes > 1 {
			x.Waiting, x.Waited = 10, 100
			x.InFlight += 10
		}
		w.tellLoad(x)
	}
}

// tellLoad has the front tell of a load.
func (w *world) tellLoad(x wire.Load) {
	w.front().conn.tell(wire.FromFront{Type: wire.TypeLoad, Load: &x})
	w.wait()
}

// rest has the front say that the last request has ended.
func (w *world) rest() {
	time.Sleep(250 * time.Millisecond)
	w.wait()
	w.tellLoad(wire.Load{Seconds: 0.25, Ended: 1})
}

// ready are the workers that take requests.
func (w *world) ready() (n int) {
	for _, worker := range w.m.pool.workers {
		if worker.ready && !worker.leaving {
			n++
		}
	}
	return n
}

// Where workers is a range they follow the load, with a line for each change, and the hook is told.
func TestWorkersFollowTheLoad(t *testing.T) {
	inWorld(t, []string{"-w", "2..6", "--scale-down-delay", "30"}, func(w *world) {
		w.expectWorkers(2)
		w.load(2*time.Second, 1, 3)
		w.pass(time.Second)
		w.expectWorkers(4)
		w.expectLog("Workers: from 2 to 4 (2..6): 100 % busy, requests waited")
		w.load(20*time.Second, 1, 3)
		w.expectWorkers(6)
		w.expectLog("Workers: no more of them (2..6), although the load asks for more: there are as many as there may be, 6")
		if n := strings.Count(w.log(), "although the load asks for more"); n != 1 {
			t.Errorf("the log says %d times that there are no more", n)
		}
		w.load(time.Minute, 0.1, 1)
		w.rest()
		w.pass(3 * time.Minute)
		w.expectWorkers(2)
		w.expectLog("Workers: from 6 to ")
		if w.m.scale.look != nil {
			t.Error("a server with as few workers as there may be looks at its load")
		}
	})
}

// Without a range nothing that a front tells of changes the number.
func TestLoadWithoutARange(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.load(10*time.Second, 1, 5)
		w.expectWorkers(2)
	})
}

// A server whose range begins with 0 loses its last worker when nobody asks for anything, is
// ready all the same, and gets one with the first request.
func TestIdleToZero(t *testing.T) {
	inWorld(t, []string{"-w", "0..4", "--scale-down-delay", "30"}, func(w *world) {
		w.expectWorkers(1)
		w.pass(time.Minute)
		w.expectWorkers(0)
		w.expectLog("Workers: from 1 to 0 (0..4): no request for 30s")
		least := w.front().told(wire.TypeLeast)
		if last := least[len(least)-1]; !last.Asleep {
			t.Errorf("the front was told %+v", last)
		}
		if w.m.scale.look != nil {
			t.Error("a server without workers looks at its load")
		}
		w.expectState(running)
		w.tellLoad(wire.Load{Arrived: 1, Waiting: 1, InFlight: 1})
		w.pass(10 * time.Millisecond)
		w.expectLog("Workers: from 0 to 1 (0..4): a request waits, and there are no workers")
		if least := w.front().told(wire.TypeLeast); !least[len(least)-1].Asleep {
			t.Error("the server is not ready while its first worker starts")
		}
		w.pass(time.Second)
		w.expectWorkers(1)
		if least := w.front().told(wire.TypeLeast); least[len(least)-1].Asleep {
			t.Error("the server is said to be asleep")
		}
		w.rest()
		w.pass(time.Minute)
		w.expectWorkers(0)
	})
}

// Requests that come while the server without workers ends, or is upgraded, are served: it has
// promised so by taking them.
func TestWakingWhileTheServerEnds(t *testing.T) {
	for name, begin := range map[string]func(*world){
		"departing": func(w *world) { w.signal(syscall.SIGTERM) },
		"draining":  func(w *world) { w.signal(syscall.SIGTERM); w.pass(6 * time.Second) },
		"pausing": func(w *world) {
			w.signal(syscall.SIGUSR2)
			w.successor().conn.tell(linkMessage{Type: wire.TypeReady})
			w.pass(time.Millisecond)
			w.signal(syscall.SIGWINCH)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, []string{"-w", "0..4", "--scale-down-delay", "1", "--drain-delay", "5"}, func(w *world) {
				w.pass(10 * time.Second)
				w.expectWorkers(0)
				w.busy = true
				begin(w)
				w.tellLoad(wire.Load{Arrived: 1, Waiting: 1, InFlight: 1})
				w.pass(time.Second)
				w.expectWorkers(1)
				w.busy = false
				w.front().conn.tell(wire.FromFront{Type: wire.TypeDrained})
				w.pass(10 * time.Second)
				w.expectWorkers(0)
				if name == "pausing" {
					w.successor().die(exited(0))
				}
			})
		})
	}
}

// In a daemon that WINCH has paused requests wait until the workers come back, also those that
// would have woken a server.
func TestPausedServerIsNotWoken(t *testing.T) {
	atStart(t, []string{"-w", "0..4", "--scale-down-delay", "1", "--daemon", "app:app"}, func(w *world) {
		w.env[envDaemon] = "1" // no pipe: nobody waits for it
		w.m.becomeDaemon()
		w.start()
		w.pass(10 * time.Second)
		w.expectWorkers(0)
		w.signal(syscall.SIGWINCH)
		w.expectState(paused)
		w.tellLoad(wire.Load{Arrived: 1, Waiting: 1, InFlight: 1})
		w.pass(time.Second)
		w.expectWorkers(0)
		w.signal(syscall.SIGTTIN)
		w.pass(500 * time.Millisecond)
		w.expectState(running)
		w.expectWorkers(1)
	})
}

// TTIN and TTOU move the range, and HUP brings that of the configuration back.
func TestSignalsMoveTheRange(t *testing.T) {
	inWorld(t, []string{"-w", "2..4"}, func(w *world) {
		w.signal(syscall.SIGTTIN)
		w.pass(time.Second)
		w.expectWorkers(3)
		w.expectLog("Workers: the range is 3..5 now")
		w.signal(syscall.SIGTTOU, syscall.SIGTTOU, syscall.SIGTTOU, syscall.SIGTTOU, syscall.SIGTTOU)
		w.pass(time.Second)
		w.expectWorkers(1)
		w.expectLog("Workers: the range is 1..1 now")
		w.signal(syscall.SIGHUP)
		w.pass(time.Second)
		w.expectWorkers(2)
		if b := w.m.scale.bounds; b.Least != 2 || b.Most != 4 {
			t.Errorf("the range is %d..%d", b.Least, b.Most)
		}
	})
}

// A reload begins with as many workers as the load needs, within the new range; what TTIN says
// meanwhile holds for that.
func TestReloadKeepsTheNumberThatTheLoadNeeds(t *testing.T) {
	inWorld(t, []string{"-w", "1..8"}, func(w *world) {
		w.load(20*time.Second, 1, 2)
		w.expectWorkers(8)
		w.set("workers", "2..5")
		w.signal(syscall.SIGHUP)
		w.signal(syscall.SIGTTIN)
		w.pass(10 * time.Second)
		w.expectWorkers(6)
		if b := w.m.scale.bounds; b.Least != 3 || b.Most != 6 {
			t.Errorf("the range is %d..%d", b.Least, b.Most)
		}
		w.set("workers", 3)
		w.signal(syscall.SIGHUP)
		w.pass(10 * time.Second)
		w.expectWorkers(3)
		w.load(10*time.Second, 1, 2)
		w.expectWorkers(3)
	})
}

// A reload of a server without workers shows whether the new code works, by one that leaves later.
func TestReloadOfASleepingServer(t *testing.T) {
	inWorld(t, []string{"-w", "0..4", "--scale-down-delay", "5"}, func(w *world) {
		w.pass(time.Minute)
		w.expectWorkers(0)
		w.signal(syscall.SIGHUP)
		w.pass(2 * time.Second)
		w.expectWorkers(1)
		w.pass(time.Minute)
		w.expectWorkers(0)
		w.expectState(running)
		w.signal(syscall.SIGTTIN)
		w.pass(time.Minute)
		w.expectWorkers(1)
		w.signal(syscall.SIGTTOU)
		w.pass(time.Minute)
		w.expectWorkers(0)
	})
}

// Workers that are added while a reload is under way are not fewer when it has taken over.
func TestGrowthDuringAReload(t *testing.T) {
	inWorld(t, []string{"-w", "1..8"}, func(w *world) {
		w.boot = 20 * time.Second
		w.signal(syscall.SIGHUP)
		w.expectState(reloading)
		w.load(15*time.Second, 1, 4)
		if w.m.pool.target < 4 {
			t.Fatalf("%d workers are wanted", w.m.pool.target)
		}
		target := w.m.pool.target
		w.pass(30 * time.Second)
		w.expectState(running)
		if w.m.pool.target != target || w.ready() != target {
			t.Errorf("%d workers are wanted, %d are ready, want %d", w.m.pool.target, w.ready(), target)
		}
	})
}

// The successor of an upgrade begins with as many workers as there are.
func TestSuccessorHasAsManyWorkers(t *testing.T) {
	inWorld(t, []string{"-w", "1..8"}, func(w *world) {
		w.load(20*time.Second, 1, 2)
		w.signal(syscall.SIGUSR2)
		if got := w.successor().env[envTarget]; got != "8" {
			t.Errorf("it was told %q", got)
		}
		w.successor().die(exited(0))
		w.pass(time.Second)
	})
	for told, want := range map[string]int{"6": 6, "99": 8, "0": 1, "": 1, "many": 1, "-3": 1} {
		atStart(t, []string{"-w", "1..8", "app:app"}, func(w *world) {
			inherit(w, strconv.Itoa(upgradeProtocol))
			w.env[envTarget] = told
			w.start()
			w.pass(time.Second)
			w.expectWorkers(want)
		})
	}
}

// With selfcare_dry_run nothing changes, and the log and the status say what would.
func TestDryRunOfScaling(t *testing.T) {
	inWorld(t, []string{"-w", "2..6", "--selfcare-dry-run", "scale"}, func(w *world) {
		w.load(20*time.Second, 1, 3)
		w.expectWorkers(2)
		w.expectLog("Workers: there would be 4 instead of 2 (2..6), if selfcare_dry_run did not have scale: 100 % busy")
		if n := strings.Count(w.log(), "there would be"); n != 1 {
			t.Errorf("the log says it %d times", n)
		}
		if s := w.m.status(nil).Scale; s == nil || !s.DryRun || s.Wanted != 4 || s.Grown != 0 {
			t.Errorf("the status has %+v", s)
		}
	})
}

// The processors that the kernel says are used, and the memory that workers have, hold growth.
func TestMachineHoldsGrowth(t *testing.T) {
	inWorld(t, []string{"-w", "2..6"}, func(w *world) {
		w.machine = capacity.Machine{CPUs: 2}
		done := make(chan struct{})
		for range 20 {
			for _, worker := range w.live() {
				w.cpus[worker.proc.pid] += 500 * time.Millisecond
			}
			w.load(500*time.Millisecond, 1, 3)
		}
		close(done)
		w.expectWorkers(2)
		w.expectLog("although the load asks for more: the processors are busy: 100 % of what the server may use")
	})
	inWorld(t, []string{"-w", "2..6"}, func(w *world) {
		w.use = capacity.Use{Used: 700 << 20, Limit: 1000 << 20}
		for _, worker := range w.live() {
			w.grow(worker, 200) // 100 MiB PSS
		}
		w.load(4*time.Second, 1, 3)
		if n := w.m.pool.target; n != 4 {
			t.Errorf("%d workers are wanted", n)
		}
		for _, worker := range w.live() { // now that there are two more
			w.grow(worker, 200)
		}
		w.use.Used = 900 << 20
		w.load(30*time.Second, 1, 3)
		if n := w.m.pool.target; n != 4 {
			t.Errorf("%d workers are wanted", n)
		}
		w.expectLog("although the load asks for more: memory: a worker takes 100 MiB (PSS), and 700 MiB of 1000 MiB are in use")
	})
}

// Workers that run many requests at once are busy by the processor time that the kernel tells of.
func TestEventLoopsAreBusyByTheKernelsWord(t *testing.T) {
	atStart(t, []string{"-w", "1..4", "-k", "asgi", "app:app"}, func(w *world) {
		w.kind = wire.KindASGI
		w.machine = capacity.Machine{CPUs: 64}
		w.start()
		w.pass(time.Second)
		w.expectWorkers(1)
		tell := func(share float64) {
			for range 20 {
				time.Sleep(500 * time.Millisecond)
				x := wire.Load{Seconds: 0.5, Capacity: 0.5, Arrived: 100, Ended: 100, InFlight: 3}
				for _, worker := range w.live() {
					w.cpus[worker.proc.pid] += time.Duration(share * float64(500*time.Millisecond))
					x.Loops = append(x.Loops, wire.LoopLoad{Age: worker.age, InFlight: 1})
				}
				w.tellLoad(x)
			}
			w.wait()
		}
		tell(0.5)
		w.expectWorkers(1)
		for range 3 {
			tell(0.95)
		}
		if n := len(w.live()); n != 4 {
			t.Errorf("%d workers", n)
		}
	})
}

// A loop that is late for longer than one call that blocks it is a busy one, also if it uses no
// processor.
func TestLateLoopsAreBusy(t *testing.T) {
	atStart(t, []string{"-w", "1..4", "-k", "asgi", "app:app"}, func(w *world) {
		w.kind = wire.KindASGI
		w.start()
		w.pass(time.Second)
		tell := func(seconds int, lag float64) {
			for range 2 * seconds {
				time.Sleep(500 * time.Millisecond)
				x := wire.Load{Seconds: 0.5, Capacity: 0.5, Arrived: 100, Ended: 100, InFlight: 3}
				for _, worker := range w.live() {
					x.Loops = append(x.Loops, wire.LoopLoad{Age: worker.age, InFlight: 1, Lag: lag})
				}
				w.tellLoad(x)
			}
		}
		for range 10 { // now and then something blocks it
			tell(1, 0.5)
			tell(3, 0)
		}
		w.expectWorkers(1)
		tell(5, 0.2)
		w.pass(time.Second)
		if n := len(w.live()); n < 2 {
			t.Errorf("%d workers", n)
		}
	})
}

// What a front tells of that cannot be true does not make the server leave its range, fail, or
// change its mind all the time.
func TestHostileFrontTellsOfLoads(t *testing.T) {
	inWorld(t, []string{"-w", "1..4", "--scale-down-delay", "10"}, func(w *world) {
		huge := int(1 << 62)
		for i, x := range []wire.Load{
			{Seconds: 1e300, Busy: 1e300, Capacity: 1e300, Served: 1e300, Waited: 1e300, Arrived: huge, Ended: huge, Waiting: huge, InFlight: huge},
			{Seconds: -1, Busy: -1, Capacity: -1, Served: -1, Waited: -1, Arrived: -1, Ended: -1, Waiting: -1, InFlight: -1},
			{Seconds: 0.5, Loops: []wire.LoopLoad{{Age: -1, Engaged: 1e300, Lag: -1e300, InFlight: huge}, {Age: 1 << 30}}},
			{},
		} {
			for range 500 { // far more often than a front does
				w.tellLoad(x)
				time.Sleep(time.Millisecond)
			}
			w.pass(3 * time.Second)
			if n := w.m.pool.target; n < 1 || n > 4 {
				t.Fatalf("%d: %d workers", i, n)
			}
		}
		w.front().conn.tell(wire.FromFront{Type: wire.TypeLoad})
		w.wait()
		if n := strings.Count(w.log(), "Workers: from"); n > 6 {
			t.Errorf("%d changes", n)
		}
		w.expectState(running)
	})
}

// Each value of a report has bounds, also what JSON cannot say.
func TestReportsAreBounded(t *testing.T) {
	l := bounded(wire.Load{Seconds: math.NaN(), Busy: math.Inf(1), Capacity: math.NaN(), Waited: math.Inf(1), Arrived: -5}, time.Second, 2)
	if l.Seconds != 0 || l.Busy != 0 || l.Capacity != 0 || l.Waited != loadBoundary || l.Arrived != 0 {
		t.Errorf("%+v", l)
	}
	l = bounded(wire.Load{Seconds: 5, Busy: 50, Capacity: 60}, time.Second, 2)
	if l.Seconds != 1 || l.Busy != 4 {
		t.Errorf("%+v", l)
	}
}

// The commands of an operator set the range, or move it.
func TestCommandsSetTheRange(t *testing.T) {
	inWorld(t, []string{"-w", "1..4"}, func(w *world) {
		r := w.command("scale and wait 2..6")
		w.pass(time.Second)
		w.expectReply(r, `"workers":2`)
		r = w.command("worker add 2")
		w.expectReply(r, `"added":2`)
		if b := w.m.scale.bounds; b.Least != 4 || b.Most != 8 {
			t.Errorf("the range is %d..%d", b.Least, b.Most)
		}
		r = w.command("scale and wait 3")
		w.pass(time.Second)
		w.expectReply(r, `"workers":3`)
		w.load(10*time.Second, 1, 3)
		w.expectWorkers(3)
		for arg, want := range map[string]string{"4..2": "less than the first", "1..auto": "how many workers there are at most", "0": "not a number from 1 on"} {
			w.expectReply(w.command("scale and wait "+arg), want)
		}
		var shown map[string]any
		data, _ := json.Marshal(w.m.status(nil).Scale)
		if err := json.Unmarshal(data, &shown); err != nil || shown["least"] != 3.0 || shown["most"] != 3.0 {
			t.Errorf("the status has %s", data)
		}
	})
	inWorld(t, nil, func(w *world) {
		w.expectReply(w.command("scale and wait 1..4"), "the setting workers is no range")
		if w.m.status(nil).Scale != nil {
			t.Error("the status has a range")
		}
	})
}

// A front that takes the place of another knows that the server may be without workers.
func TestFrontOfASleepingServerIsReplaced(t *testing.T) {
	inWorld(t, []string{"-w", "0..4", "--scale-down-delay", "1"}, func(w *world) {
		w.pass(10 * time.Second)
		w.expectWorkers(0)
		w.front().die(signaled(syscall.SIGSEGV))
		w.pass(2 * time.Second)
		if least := w.front().told(wire.TypeLeast); len(least) == 0 || !least[len(least)-1].Asleep {
			t.Errorf("the new front was told %+v", least)
		}
		if len(w.front().told(wire.TypeGeneration)) != 1 {
			t.Error("the new front does not know the generation")
		}
		w.tellLoad(wire.Load{Arrived: 1, Waiting: 1, InFlight: 1})
		w.pass(time.Second)
		w.expectWorkers(1)
	})
}

// A spawner that dies while there are no workers is replaced, as any other.
func TestSpawnerOfASleepingServerDies(t *testing.T) {
	inWorld(t, []string{"-w", "0..4", "--scale-down-delay", "1"}, func(w *world) {
		w.pass(10 * time.Second)
		w.expectWorkers(0)
		w.spawner().die(signaled(syscall.SIGKILL))
		w.tellLoad(wire.Load{Arrived: 1, Waiting: 1, InFlight: 1})
		w.pass(500 * time.Millisecond)
		w.expectWorkers(1)
		w.expectState(running)
	})
}

// The hook nworkers_changed hears of each change by the load.
func TestHookHearsOfScaling(t *testing.T) {
	atStart(t, []string{"-w", "1..4", "-c", "conf.py", "app:app"}, func(w *world) {
		w.hooks = []string{"nworkers_changed"}
		w.start()
		w.pass(time.Second)
		w.load(20*time.Second, 1, 3)
		w.expectWorkers(4)
		var changes [][]any
		for _, msg := range w.spawner().told(wire.TypeHook) {
			changes = append(changes, msg.Args)
		}
		if len(changes) < 3 || !slices.ContainsFunc(changes, func(args []any) bool { return args[0] == 4.0 && args[1] == 2.0 }) {
			t.Errorf("the hook got %v", changes)
		}
	})
}
