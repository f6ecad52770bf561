package master

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"indrik/internal/listen"
	"indrik/internal/wire"
)

// upgrades starts a successor, and makes it ready.
func upgrades(w *world) *fakeSuccessor {
	w.t.Helper()
	w.signal(syscall.SIGUSR2)
	s := w.successor()
	s.conn.tell(linkMessage{Type: wire.TypeReady})
	w.wait()
	return s
}

// USR2 starts a second master on the same sockets; WINCH lets the workers leave in its
// favour, and when the old master ends nothing of its files is removed that the new one has.
func TestUpgradeHandsOver(t *testing.T) {
	inWorld(t, []string{"--graceful-timeout", "30"}, func(w *world) {
		w.hooks = []string{"pre_exec"}
		s := upgrades(w)
		if s.env[envFD] != "3" || s.env[envOrigin] != "file" || s.env[envPid] == "" || s.env[envUpgrade] == "" {
			t.Errorf("the environment of the successor: %v", s.env)
		}
		if len(w.front().told(wire.TypePeer)) != 1 {
			t.Error("the front does not know the other one")
		}
		w.busy = true
		w.signal(syscall.SIGWINCH)
		w.expectState(paused)
		w.expectWorkers(2) // there are requests
		drains := w.front().told(wire.TypeDrain)
		if len(drains) != 1 || !drains[0].Handover || drains[0].Accept != wire.AcceptStop || drains[0].Final {
			t.Errorf("the front was told %+v", drains)
		}
		w.front().conn.tell(wire.FromFront{Type: wire.TypeDrained})
		w.pass(time.Second)
		w.expectWorkers(0)
		w.busy = false
		w.signal(syscall.SIGTERM)
		w.pass(10 * time.Second)
		w.expectEnd(0)
		if _, err := os.Lstat(w.path("s")); err != nil {
			t.Error("the socket of the successor was removed")
		}
	})
}

// USR2 with another master beside this one does nothing.
func TestUpgradeTwice(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		upgrades(w)
		w.signal(syscall.SIGUSR2)
		w.expectLog("USR2 signal ignored. Child exists.")
		if len(w.successors) != 1 {
			t.Error("there is a second successor")
		}
		w.successor().die(exited(0))
		w.pass(time.Second)
		w.signal(syscall.SIGUSR2)
		if len(w.successors) != 2 {
			t.Error("no upgrade after the end of a successor")
		}
	})
}

// What keeps a successor from starting changes nothing.
func TestUpgradeFails(t *testing.T) {
	for _, name := range []string{"pair", "connect", "start successor"} {
		inWorld(t, nil, func(w *world) {
			w.refuse[name] = syscall.EMFILE
			w.signal(syscall.SIGUSR2)
			w.refuse[name] = nil
			w.expectState(running)
			w.expectLog("Upgrade failed, nothing was changed: ", "RLIMIT_NOFILE")
			if w.m.upgrader.successor != nil {
				t.Errorf("%s: there is a successor", name)
			}
		})
	}
	inWorld(t, []string{"-c", "conf.py"}, func(w *world) {
		w.hooks = []string{"pre_exec"}
		w.signal(syscall.SIGHUP)
		w.pass(time.Second)
		w.failures["pre_exec"] = "not now"
		w.signal(syscall.SIGUSR2)
		w.expectLog("Exception in pre_exec hook")
		if len(w.successors) != 0 {
			t.Error("a successor was started")
		}
	})
	inWorld(t, nil, func(w *world) {
		w.signal(syscall.SIGUSR2)
		w.successor().conn.tell(linkMessage{Type: wire.TypeFailed, Error: "no app"})
		w.successor().conn.tell(linkMessage{Type: "later"})
		w.successor().die(exited(3))
		w.pass(time.Second)
		w.expectState(running)
		w.expectLog("Upgrade failed, nothing was changed: no app", `says "later", which this version does not know`, "exited with code 3")
	})
}

// A WINCH that comes before the successor is ready waits for it; HUP takes it back, and so
// does the end of the successor.
func TestPauseWaitsForTheSuccessor(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.signal(syscall.SIGUSR2)
		w.signal(syscall.SIGWINCH)
		w.expectState(running)
		w.expectLog("The workers leave once the successor (pid:")
		w.successor().conn.tell(linkMessage{Type: wire.TypeReady})
		w.pass(time.Second)
		w.expectState(paused)
		w.expectWorkers(0)
	})
	inWorld(t, nil, func(w *world) {
		w.signal(syscall.SIGUSR2)
		w.signal(syscall.SIGWINCH)
		w.signal(syscall.SIGHUP)
		w.expectLog("The workers stay: HUP takes back the WINCH that waits for the successor")
		w.successor().conn.tell(linkMessage{Type: wire.TypeReady})
		w.pass(time.Second)
		w.expectState(running)
	})
	inWorld(t, nil, func(w *world) {
		w.signal(syscall.SIGUSR2)
		w.signal(syscall.SIGWINCH)
		w.successor().die(signaled(syscall.SIGKILL))
		w.pass(time.Second)
		w.expectState(running)
		w.expectLog("The workers stay: there is no successor to take over", "was sent SIGKILL")
	})
}

// HUP brings the workers back with the configuration that they had; TTIN brings one.
func TestRollback(t *testing.T) {
	for sig, n := range map[syscall.Signal]int{syscall.SIGHUP: 2, syscall.SIGTTIN: 1} {
		inWorld(t, nil, func(w *world) {
			upgrades(w)
			w.signal(syscall.SIGWINCH)
			w.pass(time.Second)
			w.expectState(paused)
			w.expectWorkers(0)
			w.signal(sig)
			w.pass(time.Second)
			w.expectState(running)
			w.expectWorkers(n)
			if len(w.spawners) != 1 || len(w.front().told(wire.TypeResume)) != 1 {
				t.Errorf("%d spawners, the front was told %v", len(w.spawners), w.front().told(wire.TypeResume))
			}
		})
	}
}

// A rollback after the spawner or the front has died makes what is missing.
func TestRollbackAfterDeaths(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		upgrades(w)
		w.signal(syscall.SIGWINCH)
		w.pass(time.Second)
		w.front().die(signaled(syscall.SIGKILL))
		w.pass(time.Minute)
		if len(w.fronts) != 1 {
			t.Error("a front was started that nobody needs")
		}
		w.signal(syscall.SIGHUP)
		w.pass(time.Second)
		w.expectState(running)
		w.expectWorkers(2)
		if len(w.fronts) != 2 {
			t.Error("there is no front")
		}
	})
	for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGTTIN} {
		inWorld(t, nil, func(w *world) {
			upgrades(w)
			w.signal(syscall.SIGWINCH)
			w.pass(time.Second)
			w.spawner().die(signaled(syscall.SIGKILL))
			w.pass(time.Minute)
			w.expectState(paused)
			w.signal(sig)
			w.pass(time.Second)
			w.expectState(running)
			w.expectWorkers(2)
			if len(w.spawners) != 2 {
				t.Error("there is no spawner")
			}
		})
	}
}

// When a successor ends, or says that it is about to, the workers come back by themselves.
func TestSuccessorGivesUp(t *testing.T) {
	for name, leave := range map[string]func(*fakeSuccessor){
		"leaves": func(s *fakeSuccessor) { s.conn.tell(linkMessage{Type: typeLeaving}) },
		"ends":   func(s *fakeSuccessor) { s.die(exited(0)) },
		"dies":   func(s *fakeSuccessor) { s.die(signaled(syscall.SIGSEGV)) },
	} {
		for _, alone := range []bool{true, false} {
			inWorld(t, nil, func(w *world) {
				s := upgrades(w)
				os.WriteFile(w.path("pid.2"), []byte(s.env["x"]), 0o600)
				w.signal(syscall.SIGWINCH)
				w.pass(time.Second)
				if !alone {
					w.spawner().die(signaled(syscall.SIGKILL))
					w.pass(time.Second)
				}
				leave(s)
				w.pass(time.Second)
				w.expectState(running)
				w.expectWorkers(2)
				if alone && !w.said("No successor serves any more: the workers come back") {
					t.Errorf("%s: the log does not say why:\n%s", name, w.log())
				}
			})
		}
	}
}

// In a daemon WINCH lets the workers leave also without a successor: connections stay.
func TestPauseOfADaemon(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.signal(syscall.SIGWINCH)
		w.expectState(running)
		w.expectLog("SIGWINCH ignored. Not daemonized")
	})
	atStart(t, []string{"--daemon", "app:app"}, func(w *world) {
		w.env[envDaemon] = "1" // no pipe: nobody waits for it
		w.m.becomeDaemon()
		w.start()
		w.pass(time.Second)
		w.expectState(running)
		w.signal(syscall.SIGWINCH)
		w.pass(time.Second)
		w.expectState(paused)
		w.expectWorkers(0)
		if len(w.front().told(wire.TypeDrain)) != 0 {
			t.Error("the front drains")
		}
		w.signal(syscall.SIGHUP) // a reload
		w.pass(time.Second)
		w.expectState(running)
		w.expectWorkers(2)
		if len(w.spawners) != 2 {
			t.Error("it was no reload")
		}
		w.signal(syscall.SIGWINCH)
		w.pass(time.Second)
		w.signal(syscall.SIGTERM)
		w.pass(time.Second)
		w.expectEnd(0)
	})
}

// inherit makes the environment of a master that another one has started, with a
// listener at path.
func inherit(w *world, version string) {
	l, err := listen.Open(listen.Address{Network: listen.Unix, Path: w.path("s")}, listen.Options{Backlog: 8, UID: -1, GID: -1})
	if err != nil {
		w.t.Fatal(err)
	}
	null := devNull()
	fd := func(f *os.File) string {
		dup, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			w.t.Fatal(err)
		}
		return strconv.Itoa(dup)
	}
	w.env = map[string]string{envPid: "77", envFD: fd(l.File), envOrigin: "file", envLink: fd(null), envPeer: fd(null), envUpgrade: version}
	l.Close()
}

// runAsSuccessor starts the master, whose environment is that of a successor. What it tells the
// master before it is added to told as it comes.
func (w *world) runAsSuccessor() (told *[]linkMessage) {
	told = &[]linkMessage{}
	w.start()
	w.wait()
	w.link.hear = func(data []byte, _ []*os.File) {
		var msg linkMessage
		json.Unmarshal(data, &msg)
		*told = append(*told, msg)
	}
	w.pass(time.Second)
	return told
}

// A successor takes the sockets of the master before it, tells it that it is ready, and
// becomes the only one when that ends.
func TestPromotion(t *testing.T) {
	atStart(t, []string{"app:app"}, func(w *world) {
		inherit(w, strconv.Itoa(upgradeProtocol))
		told := w.runAsSuccessor()
		w.expectState(running)
		if len(*told) != 1 || (*told)[0].Type != wire.TypeReady {
			t.Errorf("the predecessor was told %v", *told)
		}
		if _, err := os.Lstat(w.path("pid.2")); err != nil {
			t.Error("there is no pid.2")
		}
		if len(w.env) != 0 {
			t.Errorf("children would inherit %v", w.env)
		}
		w.expectLog("Listening at: unix:" + w.path("s"))
		w.signal(syscall.SIGUSR2)
		w.expectLog("USR2 signal ignored. Parent exists.")
		w.link.Close()
		w.pass(time.Second)
		w.expectLog("Master has been promoted.")
		if _, err := os.Lstat(w.path("pid")); err != nil {
			t.Error("the pid file is not called pid")
		}
		for _, worker := range w.workers {
			if len(worker.proc.got) == 0 || worker.proc.got[0] != syscall.SIGWINCH {
				t.Errorf("worker %d does not hear of it", worker.age)
			}
		}
		if last := w.titles[len(w.titles)-1]; last != "indrik: master [app:app]" || w.titles[0] != "indrik: master [app:app.2]" {
			t.Errorf("titles %q", w.titles)
		}
	})
}

// A successor that cannot start says so to the master before it, in whose log the
// operator looks.
func TestSuccessorTellsWhyItCannotStart(t *testing.T) {
	for _, name := range []string{"config", "worker"} {
		atStart(t, []string{"app:app"}, func(w *world) {
			inherit(w, strconv.Itoa(upgradeProtocol))
			if name == "config" {
				w.failures[wire.TypeConfigure] = "broken"
			} else {
				w.failures[wire.TypeSpawn], w.failure = "broken", wire.FromSpawner{Errno: int(syscall.EMFILE)}
			}
			connect := w.sys.connect
			told := false
			w.sys.connect = func(f *os.File) (controlConn, error) {
				c, err := connect(f)
				if f.Name() == "link" {
					w.link.hear = func(data []byte, _ []*os.File) {
						told = told || strings.Contains(string(data), "broken")
					}
				}
				return c, err
			}
			w.start()
			w.pass(10 * time.Second)
			if w.code == 0 || !told {
				t.Errorf("%s: code %d, told %v", name, w.code, told)
			}
		})
	}
}

// What a master finds in its environment has to make sense.
func TestInherit(t *testing.T) {
	for name, c := range map[string]struct{ value, says string }{
		envPid:     {"x", "is not a pid"},
		envFD:      {"1,2", "is not a list of descriptors"},
		envLink:    {"", "not two descriptors"},
		envPeer:    {"x", "not two descriptors"},
		envUpgrade: {"99", "restart the server instead"},
		envTickets: {"x", "is not a list of descriptors"},
	} {
		atStart(t, []string{"app:app"}, func(w *world) {
			inherit(w, "1")
			w.env[name] = c.value
			w.start()
			w.pass(time.Second)
			w.expectEnd(1)
			w.expectLog(c.says)
		})
	}
}
