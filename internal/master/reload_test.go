package master

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"indrik/internal/listen"
	"indrik/internal/wire"
)

// A reload takes over in one step: every new worker takes requests before an old one is
// told to end.
func TestReload(t *testing.T) {
	inWorld(t, []string{"-c", "conf.py"}, func(w *world) {
		w.hooks = []string{"on_reload", "nworkers_changed"}
		w.file = map[string]any{"accesslog": w.path("access2")}
		w.signal(syscall.SIGHUP)
		w.expectState(reloading)
		w.expectWorkers(4)
		if n := len(w.front().told(wire.TypeRetire)); n != 0 {
			t.Errorf("%d workers were retired before the new ones were ready", n)
		}
		w.pass(w.boot + time.Second)
		w.expectState(running)
		for _, worker := range w.expectWorkers(2) {
			if worker.parent != w.spawner() {
				t.Errorf("worker %d is of the generation before", worker.age)
			}
		}
		var order []string
		for _, msg := range w.front().got {
			if msg.Type == wire.TypeActivate || msg.Type == wire.TypeRetire {
				order = append(order, msg.Type)
			}
		}
		if want := "activate activate activate retire activate retire"; strings.Join(order, " ") != want {
			t.Errorf("the front was told %s, want %s", order, want)
		}
		if !w.spawners[0].proc.gone || len(w.spawners) != 2 {
			t.Error("the spawner before is still there")
		}
		if !slices.Contains(w.called, "on_reload") {
			t.Errorf("hooks called: %v", w.called)
		}
		if len(w.spawner().told(wire.TypeAdopt)) != 1 {
			t.Error("what hooks have put on server was not carried")
		}
		w.expectLog("Hang up: Master", "Ready: 2 workers")
	})
}

// Whatever fails while a generation is made, the one before goes on as it was.
func TestReloadFails(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(*world)
		then func(*world)
		says string
	}{
		{"no spawner", func(w *world) { w.refuse["start spawner"] = syscall.EAGAIN }, nil, "cannot start Python"},
		{"config", func(w *world) { w.failures[wire.TypeConfigure] = "broken config" }, nil, "broken config"},
		{"setting", func(w *world) { w.file = map[string]any{"workers": "many"} }, nil, "workers"},
		{"chdir", func(w *world) { w.file = nil; w.refuse["chdir"] = syscall.ENOENT }, nil, "can't chdir to"},
		{"certificate", func(w *world) { w.file = map[string]any{"certfile": "none.pem", "keyfile": "none.pem"} }, nil, "none.pem"},
		{"queue", func(w *world) {
			w.sys.nameSenders = func(*os.File) error { w.refuse["pair"] = syscall.EMFILE; return nil }
		}, nil, "RLIMIT_NOFILE"},
		{"app", func(w *world) { w.failures[wire.TypePrepare] = "no such app" }, nil, "no such app"},
		{"address", func(w *world) {
			w.set("bind", []any{"unix:" + w.path("other")})
			w.sys.listen = func(listen.Address, listen.Options) (*listen.Listener, error) { return nil, syscall.EACCES }
		}, nil, "connection to"},
		{"hook", func(w *world) { w.hooks, w.failures["on_reload"] = []string{"on_reload"}, "no reload" }, nil, "no reload"},
		{"attributes", func(w *world) { w.failures[wire.TypeAdopt] = "no attributes" }, nil, "no attributes"},
		{"front and generation", func(w *world) { w.refusals[wire.TypeGeneration] = "no room" }, nil, "no room"},
		{"front and worker", func(w *world) { w.refusals[wire.TypeWorker] = "no room" }, nil, "no room"},
		{"fork", func(w *world) { w.failures[wire.TypeSpawn], w.failure = "no fork", wire.FromSpawner{Code: 3} }, nil, "no fork"},
		{"board", func(w *world) { w.sys.board = func(int) (*os.File, error) { return nil, syscall.EMFILE } }, nil, "cannot make the channels of a worker"},
		{"log", func(w *world) { w.refuse["openLog"] = syscall.EACCES }, nil, "permission denied"},
		{"pid file", func(w *world) { w.set("pidfile", "/no/dir/pid") }, nil, "/no/dir"},
		{"worker", func(w *world) { w.stuck = true }, func(w *world) { w.live()[2].die(exited(3)) }, "of the new configuration ended before it served."},
		{"breach", func(w *world) { w.stuck = true }, func(w *world) {
			worker := w.live()[2]
			worker.channel.tell(fromWorker{Sender: worker.proc.pid, Breach: "rubbish"})
		}, "of the new configuration broke the protocol."},
		{"spawner", func(w *world) { w.stuck = true }, func(w *world) { w.spawner().die(signaled(syscall.SIGSEGV)) }, "the spawner was sent SIGSEGV"},
		{"queue of the new workers", func(w *world) { w.stuck = true }, func(w *world) {
			w.front().conn.tell(wire.FromFront{Type: wire.TypeBroken, Generation: 2, Reason: "it is closed"})
		}, "The queue of the new workers is broken: it is closed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, []string{"-c", "conf.py"}, func(w *world) {
				before := w.live()
				c.make(w)
				w.signal(syscall.SIGHUP)
				if c.then != nil {
					w.expectState(reloading)
					c.then(w)
				}
				w.pass(time.Minute)
				w.expectState(running)
				w.expectLog("Reload failed, nothing was changed: the workers that were there go on.", c.says)
				if after := w.live(); !slices.Equal(after, before) {
					t.Errorf("the workers are not those that there were")
				}
				if w.m.candidate != nil || len(w.m.spawners.byPid) != 1 {
					t.Errorf("something of the new generation is left: %d spawners", len(w.m.spawners.byPid))
				}
				for _, msg := range w.front().got {
					if msg.Type == wire.TypeRetire && msg.Age <= 2 {
						t.Error("a worker that served was retired")
					}
				}
			})
		})
	}
}

// Of two reloads the second counts.
func TestReloadAgain(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.stuck = true
		w.signal(syscall.SIGHUP)
		w.expectWorkers(4)
		w.stuck = false
		w.signal(syscall.SIGHUP)
		w.pass(time.Second)
		w.expectState(running)
		for _, worker := range w.expectWorkers(2) {
			if worker.parent != w.spawners[2] {
				t.Error("the first reload has made the workers")
			}
		}
		if len(w.m.spawners.byPid) != 1 {
			t.Errorf("%d spawners", len(w.m.spawners.byPid))
		}
	})
}

// A preloaded app stays with its spawner, unless another app is to be served.
func TestReloadOfPreloadedApp(t *testing.T) {
	inWorld(t, []string{"--preload", "-c", "conf.py"}, func(w *world) {
		w.signal(syscall.SIGHUP)
		w.pass(time.Second)
		w.expectState(running)
		if len(w.spawners) != 1 {
			t.Errorf("%d spawners were started", len(w.spawners))
		}
		if prepared := w.spawner().told(wire.TypePrepare); len(prepared) != 2 || !prepared[0].Load || prepared[1].Load {
			t.Errorf("the app was loaded again: %+v", prepared)
		}
		w.file = map[string]any{"pythonpath": "/elsewhere"}
		w.signal(syscall.SIGHUP)
		w.pass(time.Second)
		w.expectState(running)
		w.expectWorkers(2)
		if len(w.spawners) != 2 || !w.spawners[0].proc.gone {
			t.Error("the spawner was kept for another path")
		}
	})
}

// Addresses, the pid file and the number of workers are those of the new configuration;
// TTIN and TTOU count that came meanwhile.
func TestReloadChangesSettings(t *testing.T) {
	inWorld(t, []string{"-c", "conf.py", "--workers", "2"}, func(w *world) {
		w.set("bind", []any{"unix:" + w.path("other")})
		w.set("pidfile", w.path("pid2"))
		w.set("workers", 3)
		w.signal(syscall.SIGHUP)
		w.signal(syscall.SIGTTIN)
		w.signal(syscall.SIGTTIN)
		w.signal(syscall.SIGTTOU)
		w.pass(time.Second)
		w.expectState(running)
		w.expectWorkers(4)
		w.expectLog("Listening at: unix:" + w.path("other"))
		for name, want := range map[string]bool{"other": true, "s": false, "pid2": true, "pid": false} {
			if _, err := os.Lstat(w.path(name)); (err == nil) != want {
				t.Errorf("%s is there: %v", name, err == nil)
			}
		}
	})
}

// Where the service manager listens no other address is opened.
func TestTooManyAddresses(t *testing.T) {
	inWorld(t, []string{"-c", "conf.py"}, func(w *world) {
		var many []any
		for range wire.MaxDescriptors + 1 {
			many = append(many, "127.0.0.1:0")
		}
		w.set("bind", many)
		w.signal(syscall.SIGHUP)
		w.pass(time.Second)
		w.expectState(running)
		w.expectLog("201 addresses to listen on, there can be 200")
	})
}

// A spawner in which hooks have left something running outlives the reload, and is told of
// the workers of the others. At the end it ends.
func TestSpawnerLingers(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.lingering = true
		w.signal(syscall.SIGHUP)
		w.pass(time.Minute)
		w.expectWorkers(2)
		if w.spawners[0].proc.gone {
			t.Error("it has ended")
		}
		told := w.spawners[0].told(wire.TypeWorkers)
		if len(told) == 0 || len(told[len(told)-1].Workers) != 2 {
			t.Errorf("it was told of %v", told)
		}
		w.lingering = false
		w.signal(syscall.SIGTERM)
		w.pass(time.Second)
		w.expectEnd(0)
	})
}

// A spawner that was told to end and hangs is killed.
func TestSpawnerThatDoesNotEnd(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.failures[wire.TypeExit] = "silent"
		old := w.spawner()
		old.conn.hear = func([]byte, []*os.File) {}
		for _, worker := range w.live() {
			worker.parent = old
		}
		w.signal(syscall.SIGHUP)
		w.pass(attributesTime + w.boot + time.Second)
		w.expectState(running)
		if old.proc.gone {
			t.Error("it was killed at once")
		}
		w.pass(spawnerGrace)
		if !old.proc.gone {
			t.Error("it is still there")
		}
		w.failures[wire.TypeExit] = ""
	})
}
