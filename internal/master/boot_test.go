package master

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"indrik/internal/exitcode"
	"indrik/internal/listen"
	"indrik/internal/oslayer"
	"indrik/internal/wire"
)

// A start makes everything in Gunicorn's order, and connections are taken once all of
// the workers are ready.
func TestBoot(t *testing.T) {
	atStart(t, []string{"app:app"}, func(w *world) {
		w.hooks = []string{"on_starting", "when_ready", "nworkers_changed", "on_exit"}
		w.start()
		w.pass(w.boot / 2)
		w.expectState(booting)
		if n := len(w.front().told(wire.TypeListen)); n != 0 {
			t.Error("connections are taken before there is a worker")
		}
		w.pass(w.boot)
		w.expectState(running)
		w.expectWorkers(2)
		if n := len(w.front().told(wire.TypeListen)); n != 1 {
			t.Errorf("the front was given listeners %d times", n)
		}
		if n := len(w.front().told(wire.TypeActivate)); n != 2 {
			t.Errorf("%d workers take requests", n)
		}
		if pid, _ := os.ReadFile(w.path("pid")); strings.TrimSpace(string(pid)) == "" {
			t.Error("there is no pid file")
		}
		w.expectLog("Starting indrik", "Using Python: 3.99", "Listening at: unix:", "Using worker: sync", "Ready: 2 workers")
		w.signal(syscall.SIGTERM)
		w.pass(time.Second)
		w.expectEnd(exitcode.OK)
		w.expectLog("Handling signal: term", "Shutting down: Master")
		if want := []string{"nworkers_changed", "on_starting", "when_ready", "on_exit"}; !slices.Equal(w.called, want) {
			t.Errorf("hooks were called in the order %v, want %v", w.called, want)
		}
		for _, name := range []string{"pid", "s"} {
			if _, err := os.Lstat(w.path(name)); err == nil {
				t.Errorf("%s is left", name)
			}
		}
	})
}

// What keeps the server from starting ends it with a code and a reason, and nothing is
// left running.
func TestBootFails(t *testing.T) {
	worker := func(status int) func(*world) {
		return func(w *world) {
			w.stuck = true
			w.start()
			w.pass(time.Second)
			w.workers[0].die(status)
		}
	}
	fails := func(what, text string, how wire.FromSpawner, hooks ...string) func(*world) {
		return func(w *world) { w.hooks, w.failures[what], w.failure = hooks, text, how }
	}
	for _, c := range []struct {
		name string
		args []string
		make func(*world)
		code int
		says string
	}{
		{"no Python", nil, func(w *world) { w.refuse["start spawner"] = syscall.ENOENT }, exitcode.Config, "cannot start Python: no such file"},
		{"no descriptor for Python", nil, func(w *world) { w.refuse["start spawner"] = syscall.EMFILE }, exitcode.Resources, "RLIMIT_NOFILE"},
		{"no channel", nil, func(w *world) { w.refuse["pair"] = syscall.EMFILE }, exitcode.Resources, "RLIMIT_NOFILE"},
		{"no conn", nil, func(w *world) { w.refuse["connect"] = syscall.EMFILE }, exitcode.Resources, "RLIMIT_NOFILE"},
		{"no names", nil, func(w *world) { w.refuse["nameSenders"] = syscall.EPERM }, exitcode.Config, "not permitted"},
		{"no dump file", nil, func(w *world) { w.refuse["growing"] = syscall.EMFILE }, exitcode.Resources, "RLIMIT_NOFILE"},
		{"config", nil, fails(wire.TypeConfigure, "broken config", wire.FromSpawner{Stage: "config", Code: 1}), exitcode.Config, "broken config"},
		{"setting", []string{"-c", "conf.py"}, func(w *world) { w.file = map[string]any{"workers": "many"} }, exitcode.Config, "workers"},
		{"toml", []string{"-c", "none.toml"}, nil, exitcode.Config, "'none.toml' doesn't exist"},
		{"chdir", nil, func(w *world) { w.refuse["chdir"] = syscall.ENOENT }, exitcode.Config, "can't chdir to"},
		{"chdir without descriptors", nil, func(w *world) { w.refuse["chdir"] = syscall.EMFILE }, exitcode.Resources, "RLIMIT_NOFILE"},
		{"log", nil, func(w *world) { w.refuse["openLog"] = syscall.EACCES }, exitcode.Config, "permission denied"},
		{"certificate", []string{"--certfile", "none.pem", "--keyfile", "none.pem"}, nil, exitcode.Config, "none.pem"},
		{"app", []string{"--preload"}, fails(wire.TypePrepare, "no such app", wire.FromSpawner{Stage: "load", Code: 4}), exitcode.AppLoad, "no such app"},
		{"app that exits with 0", []string{"--preload"}, fails(wire.TypePrepare, "exit", wire.FromSpawner{Stage: "load"}), exitcode.OK, "exit"},
		{"logger", nil, func(w *world) {
			w.logged = true
			fails(wire.TypeLogger, "no logger", wire.FromSpawner{Code: 1})(w)
		}, exitcode.Config, "no logger"},
		{"on_starting", nil, fails("on_starting", "no start", wire.FromSpawner{Code: 1}, "on_starting"), exitcode.Config, "no start"},
		{"nworkers_changed", nil, fails("nworkers_changed", "no number", wire.FromSpawner{Code: 1}, "nworkers_changed"), exitcode.Config, "no number"},
		{"when_ready", nil, fails("when_ready", "no ready", wire.FromSpawner{Code: 1}, "when_ready"), exitcode.Config, "no ready"},
		{"pre_fork", nil, fails(wire.TypeSpawn, "no fork", wire.FromSpawner{Stage: "hook", Code: 1}), exitcode.Internal, "The hook pre_fork raised."},
		{"fork", nil, fails(wire.TypeSpawn, "no fork", wire.FromSpawner{Stage: "fork", Code: 3}), exitcode.WorkerBoot, "Worker failed to boot."},
		{"fork of an app", nil, fails(wire.TypeSpawn, "no fork", wire.FromSpawner{Stage: "fork", Code: 4}), exitcode.AppLoad, "App failed to load."},
		{"fork without processes", nil, fails(wire.TypeSpawn, "no fork", wire.FromSpawner{Errno: int(syscall.EMFILE)}), exitcode.Resources, "RLIMIT_NOFILE"},
		{"front", nil, func(w *world) { w.refuse["start front"] = syscall.EAGAIN }, exitcode.Resources, "cannot start the front"},
		{"front and generation", nil, func(w *world) { w.refusals[wire.TypeGeneration] = "no room" }, exitcode.Resources, "no room"},
		{"front and worker", nil, func(w *world) { w.refusals[wire.TypeWorker] = "no room" }, exitcode.Resources, "no room"},
		{"worker does not boot", nil, worker(exited(exitcode.WorkerBoot)), exitcode.WorkerBoot, "Worker failed to boot."},
		{"app does not load", nil, worker(exited(exitcode.AppLoad)), exitcode.AppLoad, "App failed to load."},
		{"worker crashes", nil, worker(signaled(syscall.SIGSEGV)), 128 + int(syscall.SIGSEGV), "Worker was sent SIGSEGV before it was ready."},
		{"worker exits with 0", nil, worker(exited(0)), exitcode.OK, "exited with code 0 before it was ready."},
		{"worker exits with 7", nil, worker(exited(7)), 7, "Worker exited with code 7 before it was ready."},
		{"spawner crashes", nil, func(w *world) {
			w.stuck = true
			w.start()
			w.pass(time.Second)
			w.spawner().die(signaled(syscall.SIGSEGV))
		}, exitcode.WorkerBoot, "The spawner died."},
		{"spawner crashes while it prepares", nil, func(w *world) {
			w.failures[wire.TypePrepare] = "silent"
			w.start()
			w.pass(time.Second)
			w.spawner().die(exited(5))
		}, 5, "the spawner exited with code 5"},
		{"Python is unfit", nil, func(w *world) {
			w.failures[wire.TypeConfigure] = "silent"
			w.start()
			w.wait()
			w.spawner().conn.tell(wire.FromSpawner{Type: wire.TypeUnfit, Error: "it is too old"})
			w.spawner().die(exited(1))
		}, exitcode.Config, "is not a Python that can run the app: it exited with code 1\n  it is too old"},
		{"address", nil, func(w *world) {
			w.sys.listen = func(listen.Address, listen.Options) (*listen.Listener, error) { return nil, syscall.EADDRINUSE }
		}, exitcode.Config, "Connection in use"},
		{"address of another host", nil, func(w *world) {
			w.sys.listen = func(listen.Address, listen.Options) (*listen.Listener, error) { return nil, syscall.EADDRNOTAVAIL }
		}, exitcode.Config, "Invalid address"},
		{"pid file of another", nil, func(w *world) {
			os.WriteFile(w.path("pid"), fmt.Appendf(nil, "%d\n", os.Getppid()), 0o600)
		}, exitcode.Config, "pid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			atStart(t, append(c.args, "app:app"), func(w *world) {
				if c.make != nil {
					c.make(w)
				}
				if len(w.spawners) == 0 {
					w.start()
				}
				w.pass(30 * time.Second)
				w.expectEnd(c.code)
				w.expectLog(c.says)
				if live := w.expectWorkers(0); len(live) > 0 || len(w.fronts) > 0 && !w.front().proc.gone {
					t.Error("a process is left")
				}
			})
		})
	}
}

// Without an app there is nothing to start.
func TestBootWithoutApp(t *testing.T) {
	atStart(t, nil, func(w *world) {
		w.start()
		w.pass(time.Second)
		w.expectEnd(exitcode.Config)
		w.expectLog("No application module specified.")
	})
}

// An address that is in use is tried again each second, five times.
func TestBindTriesAgain(t *testing.T) {
	atStart(t, []string{"app:app"}, func(w *world) {
		tries := 0
		w.sys.listen = func(a listen.Address, o listen.Options) (*listen.Listener, error) {
			if tries++; tries < bindTries {
				return nil, syscall.EADDRINUSE
			}
			return listen.Open(a, o)
		}
		w.start()
		w.pass(bindPause * (bindTries - 2))
		w.expectState(booting)
		if tries != bindTries-1 {
			t.Errorf("%d tries", tries)
		}
		w.pass(bindPause + w.boot)
		w.expectState(running)
	})
}

// A worker that somebody else ends before it is ready is replaced.
func TestOperatorEndsWorkerWhileBooting(t *testing.T) {
	for _, status := range []int{exited(128 + int(syscall.SIGTERM)), signaled(syscall.SIGKILL)} {
		atStart(t, []string{"app:app"}, func(w *world) {
			w.stuck = true
			w.start()
			w.pass(time.Second)
			w.stuck = false
			w.workers[0].die(status)
			w.pass(time.Second)
			w.workers[1].ready()
			w.pass(time.Second)
			w.expectState(running)
			w.expectWorkers(2)
		})
	}
}

// TTIN and TTOU count from the first moment, and HUP once the server runs.
func TestSignalsWhileBooting(t *testing.T) {
	atStart(t, []string{"app:app"}, func(w *world) {
		w.hooks = []string{"on_starting"}
		w.failures["on_starting"] = "silent"
		w.start()
		w.wait()
		w.signal(syscall.SIGTTIN)
		w.signal(syscall.SIGTTIN)
		w.signal(syscall.SIGTTOU)
		w.signal(syscall.SIGHUP)
		w.expectState(booting)
		call := w.spawner().told(wire.TypeHook)[0].Call
		w.hooks, w.failures["on_starting"] = nil, ""
		w.spawner().conn.tell(wire.FromSpawner{Type: wire.TypeOK, Call: call})
		w.pass(w.boot + time.Millisecond)
		w.expectState(reloading)
		w.expectWorkers(3 + 2)
		w.pass(time.Second)
		w.expectState(running)
		w.expectWorkers(2) // a reload forgets the number before
		w.expectLog("Hang up: Master")
	})
}

// A start can be ended at any moment.
func TestEndWhileBooting(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT} {
		for _, typ := range []string{wire.TypeConfigure, wire.TypePrepare, wire.TypeSpawn} {
			atStart(t, []string{"app:app"}, func(w *world) {
				w.failures[typ] = "silent"
				w.start()
				w.pass(time.Second)
				w.signal(sig)
				w.pass(time.Minute)
				if w.code < 0 {
					t.Errorf("%s at %s: the master is still %s", sig, typ, w.m.state)
				}
			})
		}
	}
}

// The settings are looked at, and the app is loaded, but nothing is started.
func TestCheckConfig(t *testing.T) {
	for _, c := range []struct {
		args []string
		make func(*world)
		code int
		says []string
	}{
		{[]string{"--check-config", "app:app"}, nil, exitcode.OK, []string{"OK: app:app, 2 workers of kind sync, unix:", "Python 3.99", "Hooks were not called: on_exit"}},
		{[]string{"--check-config", "--workers", "1", "-b", "127.0.0.1:1", "app:app"}, nil, exitcode.OK, []string{"1 worker of", "http://127.0.0.1:1"}},
		{[]string{"--print-config", "app:app"}, nil, exitcode.OK, []string{"graceful_timeout"}},
		{[]string{"--check-config"}, nil, exitcode.Config, []string{"No application module specified."}},
		{[]string{"--check-config", "--certfile", "none.pem", "--keyfile", "none.pem", "app:app"}, nil, exitcode.Config, []string{"none.pem"}},
		{[]string{"--check-config", "-c", "conf.py", "app:app"}, func(w *world) { w.file = map[string]any{"workers": "many"} }, exitcode.Config, []string{"workers"}},
		{[]string{"--check-config", "-c", "conf.py", "app:app"}, func(w *world) { w.file = map[string]any{"chdir": "/no/dir"} }, exitcode.Config, []string{"/no/dir"}},
		{[]string{"--check-config", "app:app"}, func(w *world) {
			w.failures[wire.TypePrepare], w.failure = "no such app", wire.FromSpawner{Stage: "load", Code: 4}
		}, exitcode.Config, []string{"Error while loading the application:", "no such app"}},
		{[]string{"--check-config", "app:app"}, func(w *world) {
			w.failures[wire.TypePrepare], w.failure = "no such kind", wire.FromSpawner{Stage: "config", Code: 1}
		}, exitcode.Config, []string{"no such kind"}},
	} {
		atStart(t, c.args, func(w *world) {
			w.hooks = []string{"on_exit"}
			if c.make != nil {
				c.make(w)
			}
			w.start()
			w.pass(10 * time.Second)
			w.expectEnd(c.code)
			w.expectLog(c.says...)
			if len(w.fronts)+len(w.workers)+len(w.called) > 0 {
				t.Errorf("%q: %d fronts, %d workers, hooks %v", c.args, len(w.fronts), len(w.workers), w.called)
			}
		})
	}
}

// The command that starts a daemon ends with it, or when it serves. The pipe between them
// is a real one, so the clock is, too.
func TestDaemonize(t *testing.T) {
	for _, c := range []struct {
		name string
		act  func(w *world, pipe *os.File)
		code int
	}{
		{"serves", func(w *world, pipe *os.File) { pipe.Write([]byte{1}) }, exitcode.OK},
		{"fails", func(w *world, _ *os.File) { w.exit(w.daemons[0], exited(3)) }, 3},
		{"crashes", func(w *world, _ *os.File) { w.exit(w.daemons[0], signaled(syscall.SIGSEGV)) }, exitcode.Config},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, "--daemon", "--enable-stdio-inheritance", "app:app")
			pipes := make(chan *os.File, 1)
			w.sys.start = func(c oslayer.Command) (process, error) {
				p, err := w.startProcess(c)
				if len(w.daemons) > 0 {
					pipe, _ := real.duplicate(c.Files[3])
					pipes <- pipe
				}
				return p, err
			}
			w.start()
			pipe := <-pipes
			w.m.post(func() { c.act(w, pipe) })
			w.code = <-w.end
			pipe.Close()
			w.expectEnd(c.code)
		})
	}
	for _, name := range []string{"pipe", "start"} {
		w := newWorld(t, "--daemon", "app:app")
		if name == "pipe" {
			w.sys.pipe = func() (r, wr *os.File, err error) { return nil, nil, syscall.EMFILE }
		} else {
			w.refuse["start daemon"] = syscall.EMFILE
		}
		w.start()
		w.code = <-w.end
		w.expectEnd(exitcode.Resources)
	}
}
