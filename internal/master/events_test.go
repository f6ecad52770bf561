package master

import (
	"syscall"
	"testing"
	"time"

	"indrik/internal/codewatch"
	"indrik/internal/wire"
)

// into brings a master that runs into a state.
var into = map[state]func(*world){
	running: func(*world) {},
	reloading: func(w *world) {
		w.stuck = true
		w.signal(syscall.SIGHUP)
		w.stuck = false
	},
	paused: func(w *world) {
		upgrades(w)
		w.busy = true
		w.signal(syscall.SIGWINCH)
	},
	departing: func(w *world) {
		w.busy = true
		w.signal(syscall.SIGTERM)
	},
	draining: func(w *world) {
		w.busy = true
		w.signal(syscall.SIGTERM)
		w.signal(syscall.SIGTERM)
	},
	quitting: func(w *world) {
		w.stubborn = true
		w.signal(syscall.SIGTERM)
		w.signal(syscall.SIGTERM)
	},
}

// inState runs a test with a master in each of states.
func inState(t *testing.T, test func(*world, state), states ...state) {
	t.Helper()
	for _, s := range states {
		t.Run(s.String(), func(t *testing.T) {
			inWorld(t, []string{"--drain-delay", "600", "--graceful-timeout", "60"}, func(w *world) {
				into[s](w)
				w.expectState(s)
				test(w, s)
			})
		})
	}
}

var afterBoot = []state{running, reloading, paused, departing, draining, quitting}

// A dead worker is replaced as long as requests may come, also while they drain; at the
// end it is not.
func TestWorkerExitedInEachState(t *testing.T) {
	inState(t, func(w *world, s state) {
		n := len(w.live())
		w.live()[0].die(exited(0))
		w.pass(2 * w.boot)
		want := n
		if s == quitting {
			want--
		}
		if s == reloading { // the new one serves, and so does the old generation
			want = 4
		}
		w.expectWorkers(want)
		w.expectState(s)
		if s == reloading {
			w.live()[2].die(exited(0)) // one of the candidate
			w.pass(time.Second)
			w.expectState(running)
			w.expectLog("of the new configuration ended before it served.")
		}
	}, afterBoot...)
}

// A worker that is ready serves, counts for the reload, or is too late.
func TestWorkerReadyInEachState(t *testing.T) {
	inState(t, func(w *world, s state) {
		w.stuck = true
		w.live()[0].die(exited(0))
		w.pass(time.Second)
		if s == quitting {
			return // none was made
		}
		active := len(w.front().told(wire.TypeActivate))
		w.workers[len(w.workers)-1].ready()
		w.wait()
		if got := len(w.front().told(wire.TypeActivate)); got != active+1 {
			t.Errorf("%s: %d workers were told to the front", s, got-active)
		}
		if s == reloading {
			w.workers[2].ready() // of two of the candidate
			w.wait()
			if got := len(w.front().told(wire.TypeActivate)); got != active+1 {
				t.Errorf("a worker of a candidate serves")
			}
			w.expectState(reloading)
			w.workers[3].ready()
			w.wait()
			w.expectState(running)
		}
	}, afterBoot...)
	inState(t, func(w *world, s state) {
		w.workers[0].die(exited(0))
		w.wait()
		active := len(w.front().told(wire.TypeActivate))
		w.workers[1].ready() // it was ready before: a breach
		w.pass(time.Second)
		if got := len(w.front().told(wire.TypeActivate)); got != active {
			t.Errorf("%d workers were told to the front", got-active)
		}
	}, quitting)
}

// A spawner that dies has another one made only by a server that runs.
func TestSpawnerExitedInEachState(t *testing.T) {
	inState(t, func(w *world, s state) {
		before := len(w.spawners)
		w.spawners[0].die(signaled(syscall.SIGKILL))
		w.pass(w.boot / 2)
		want := before
		if s == running {
			want++
		}
		if len(w.spawners) != want {
			t.Errorf("%d spawners, want %d", len(w.spawners), want)
		}
		if told := w.said("Spawner (pid:"); told != (s != quitting) {
			t.Errorf("the log says it: %v", told)
		}
		for _, worker := range w.live() {
			if worker.parent == w.spawners[0] && s != quitting && len(worker.proc.got) > 0 && worker.proc.got[0] == syscall.SIGTERM {
				t.Errorf("worker %d was ended", worker.age)
			}
		}
	}, afterBoot...)
}

// A front that dies is replaced, unless nobody needs one.
func TestFrontExitedInEachState(t *testing.T) {
	inState(t, func(w *world, s state) {
		w.front().die(signaled(syscall.SIGKILL))
		w.pass(time.Second)
		want := 2
		if s == paused || s == draining || s == quitting {
			want = 1
		}
		if len(w.fronts) != want {
			t.Errorf("%d fronts, want %d", len(w.fronts), want)
		}
		switch s {
		case draining:
			w.expectEnd(0) // there is nothing left to drain
		case paused:
			w.expectWorkers(0)
		case booting, running, reloading, departing, quitting:
			w.expectState(s)
		}
	}, running, paused, departing, draining)
}

// A front that says that it has drained is heard only when it was told to drain.
func TestDrainedInEachState(t *testing.T) {
	inState(t, func(w *world, s state) {
		n := len(w.live())
		w.front().conn.tell(wire.FromFront{Type: wire.TypeDrained})
		w.pass(10 * time.Millisecond)
		switch s {
		case paused:
			w.expectState(paused)
			w.expectWorkers(0)
		case draining:
			w.pass(time.Second)
			w.expectEnd(0)
		case booting, running, reloading, departing, quitting:
			w.expectState(s)
			w.expectWorkers(n)
		}
	}, running, reloading, paused, departing, draining)
}

// A drain that takes too long is given up, whatever it was for; one that is over is not.
func TestDrainExpiredInEachState(t *testing.T) {
	inState(t, func(w *world, s state) {
		w.pass(60*time.Second - 100*time.Millisecond)
		if len(w.front().told(wire.TypeExpire)) != 0 {
			t.Error("too early")
		}
		w.pass(200 * time.Millisecond)
		if len(w.front().told(wire.TypeExpire)) != 1 {
			t.Error("the front was not told that time is over")
		}
		w.expectState(s)
		w.pass(expireGrace + time.Second)
		if s == draining {
			w.expectEnd(0)
		} else {
			w.expectWorkers(0)
		}
	}, paused, draining)
	inState(t, func(w *world, _ state) {
		w.signal(syscall.SIGHUP) // a rollback: that drain is over
		w.pass(2 * time.Minute)
		w.expectState(running)
		if len(w.front().told(wire.TypeExpire)) != 0 {
			t.Error("the front was told that time is over")
		}
	}, paused)
}

// A logger that dies is replaced, except at the end, which goes on.
func TestLoggerExitedInEachState(t *testing.T) {
	for _, s := range afterBoot {
		t.Run(s.String(), func(t *testing.T) {
			atStart(t, []string{"--drain-delay", "600", "--graceful-timeout", "60", "app:app"}, func(w *world) {
				w.logged = true
				w.start()
				w.pass(time.Second)
				into[s](w)
				w.expectState(s)
				n := len(w.loggers)
				w.loggers[0].die()
				w.pass(time.Second)
				if replaced := len(w.loggers) > n; replaced != (s != quitting) {
					t.Errorf("%d loggers, %d before", len(w.loggers), n)
				}
				for range 3 {
					for _, l := range w.loggers {
						l.die()
					}
					w.logged = false
					w.stubborn, w.busy = false, false
					w.signal(syscall.SIGQUIT)
					w.pass(time.Second)
				}
			})
		})
	}
}

// Code that changes is reloaded by a server that runs, and by no other.
func TestCodeChangedInEachState(t *testing.T) {
	for _, s := range afterBoot {
		t.Run(s.String(), func(t *testing.T) {
			inWorld(t, []string{"--reload", "--drain-delay", "600"}, func(w *world) {
				into[s](w)
				w.expectState(s)
				before := len(w.spawners)
				w.watchers[0].options.Changed(codewatch.Change{Path: "/app.py", What: "modified"})
				w.pass(10 * time.Millisecond)
				if reloads := len(w.spawners) > before; reloads != (s == running || s == reloading) {
					t.Errorf("it is reloaded: %v", reloads)
				}
				if w.code < 0 && w.m.reloader.due {
					t.Error("requests wait for a reload that does not come")
				}
			})
		})
	}
}

// What a successor says, and its end, matters to a server whose workers wait for it.
func TestSuccessorInEachState(t *testing.T) {
	says := map[string]func(*fakeSuccessor){
		"ready":  func(s *fakeSuccessor) { s.conn.tell(linkMessage{Type: wire.TypeReady}) },
		"leaves": func(s *fakeSuccessor) { s.conn.tell(linkMessage{Type: typeLeaving}) },
		"exits":  func(s *fakeSuccessor) { s.die(exited(0)) },
	}
	for name, say := range says {
		for _, s := range []state{running, reloading, draining, quitting} {
			t.Run(name+"/"+s.String(), func(t *testing.T) {
				inWorld(t, []string{"--graceful-timeout", "60"}, func(w *world) {
					w.signal(syscall.SIGUSR2)
					w.signal(syscall.SIGWINCH) // it waits
					switch s {
					case reloading:
						w.m.post(func() { w.m.renew() })
						w.stuck = true
						w.wait()
					case draining:
						w.busy = true
						w.signal(syscall.SIGTERM)
					case quitting:
						w.stubborn = true
						w.signal(syscall.SIGTERM)
					case booting, running, paused, departing:
					}
					w.expectState(s)
					say(w.successor())
					w.pass(10 * time.Millisecond)
					want := s
					if name == "ready" && (s == running || s == reloading) {
						want = paused
					}
					w.expectState(want)
					waits := name == "leaves" && (s == draining || s == quitting)
					if w.m.upgrader.pauseLater != waits {
						t.Errorf("WINCH waits: %v", !waits)
					}
					dropped := w.said("The workers stay: there is no successor to take over")
					if dropped != (name != "ready" && !waits) {
						t.Errorf("the log says that it is dropped: %v", dropped)
					}
				})
			})
		}
	}
}

// A successor is promoted in each state, unless it ends itself.
func TestPromotedInEachState(t *testing.T) {
	for _, s := range []state{booting, running, reloading, draining, quitting} {
		t.Run(s.String(), func(t *testing.T) {
			atStart(t, []string{"--graceful-timeout", "60", "app:app"}, func(w *world) {
				inherit(w, "1")
				w.stuck = s == booting
				w.start()
				w.pass(time.Second)
				if s != booting {
					into[s](w)
				}
				w.expectState(s)
				w.link.Close()
				w.pass(10 * time.Millisecond)
				if promoted := w.said("Master has been promoted."); promoted != (s != draining && s != quitting) {
					t.Errorf("promoted: %v", promoted)
				}
				if w.m.upgrader.shared() {
					t.Error("the predecessor is not forgotten")
				}
			})
		})
	}
}

// Cells that nothing leads to do nothing.
func TestCellsWithoutAWayToThem(t *testing.T) {
	for e, states := range map[event][]state{
		candidateReady:  {booting, departing, draining, quitting}, // a candidate is discarded before
		candidateFailed: {booting, departing, draining, quitting},
		generationLost:  {quitting},
		delayOver:       {booting, running, reloading, paused}, // departing leads to the end only
		drainExpired:    {booting, running, reloading, departing, quitting},
		drainOverdue:    {booting, running, reloading, departing, quitting},
		drained:         {booting, running, reloading, departing, quitting},
	} {
		for _, s := range states {
			if name := events[e][s].name; name != nothing.name {
				t.Errorf("%s while %s: %s", e, s, name)
			}
		}
	}
}
