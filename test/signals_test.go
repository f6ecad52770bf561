//go:build linux

package test

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"indrik/test/harness"

	"golang.org/x/sys/unix"
)

var masterSignals = []syscall.Signal{
	syscall.SIGQUIT, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGTTIN,
	syscall.SIGTTOU, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH,
}

func handling(sig syscall.Signal) string {
	return `\[INFO\] Handling signal: ` + strings.ToLower(strings.TrimPrefix(unix.SignalName(sig), "SIG")) + `$`
}

// A state is a moment in a master's life in which a signal may come.
type state struct {
	name  string
	enter func(t *testing.T) *moment
}

// A moment is a server in a state: what holds it there, and a request that is
// being run, if there is one.
type moment struct {
	*harness.Server
	hold   *harness.Gate
	flight *harness.Pending
	run    *harness.Gate // holds flight
	worker int           // pid of the one that served before a reload
}

var states = []state{
	{"booting", func(t *testing.T) *moment {
		s := harness.Launch(t, harness.Options{App: "importing:app", Gates: []string{"import"}, Args: []string{"--graceful-timeout", "3"}})
		s.Gates["import"].Entered()
		return &moment{Server: s, hold: s.Gates["import"]}
	}},
	{"running", func(t *testing.T) *moment {
		return inFlight(harness.Start(t, harness.Options{App: "gated:app", Args: []string{"--threads", "2", "--graceful-timeout", "60"}}))
	}},
	{"preloaded", func(t *testing.T) *moment {
		return inFlight(harness.Start(t, harness.Options{App: "gated:app", Args: []string{"--threads", "2", "--preload", "--graceful-timeout", "60"}}))
	}},
	{"reloading", func(t *testing.T) *moment {
		s := harness.Start(t, harness.Options{App: "importing:app", Args: []string{"--threads", "2", "--graceful-timeout", "60"}})
		worker := s.Workers(1)[0]
		m := inFlight(s)
		m.worker = worker
		m.hold = s.Gate("import")
		s.Signal(syscall.SIGHUP)
		s.Log.Expect(t, handling(syscall.SIGHUP))
		s.Log.Expect(t, `\[INFO\] Hang up: Master$`)
		m.hold.Entered()
		return m
	}},
	{"draining", func(t *testing.T) *moment {
		m := inFlight(harness.Start(t, harness.Options{App: "gated:app", Args: []string{"--threads", "2", "--graceful-timeout", "60"}}))
		m.Signal(syscall.SIGTERM)
		m.Log.Expect(t, handling(syscall.SIGTERM))
		return m
	}},
	{"stopping quickly", func(t *testing.T) *moment {
		m := inFlight(harness.Start(t, harness.Options{App: "gated:app", Args: []string{"--threads", "2", "--graceful-timeout", "60"}}))
		m.Signal(syscall.SIGINT)
		m.Log.Expect(t, handling(syscall.SIGINT)) // before the next signal, which could overtake it
		return m
	}},
}

func inFlight(s *harness.Server) *moment {
	s.T.Helper()
	m := &moment{Server: s, run: s.Gate("run")}
	m.flight = s.Begin("/run")
	m.run.Entered()
	return m
}

// TestSignals sends each signal in each state.
func TestSignals(t *testing.T) {
	t.Parallel()
	for _, st := range states {
		for _, sig := range masterSignals {
			t.Run(st.name+"/"+unix.SignalName(sig), func(t *testing.T) {
				t.Parallel()
				if testing.Short() && st.name != "running" {
					t.Skip("one of many")
				}
				m := st.enter(t)
				answers[st.name](t, m, sig)
			})
		}
	}
}

// answers says for each state what each signal must do.
var answers = map[string]func(*testing.T, *moment, syscall.Signal){
	"booting": func(t *testing.T, m *moment, sig syscall.Signal) {
		m.Signal(sig)
		switch sig {
		case syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT:
			m.ExpectExit(0) // the app that is being imported does not hold it up
		default:
			m.Log.Expect(t, handling(sig))
			m.hold.Release()
			m.Ready()
			if sig != syscall.SIGUSR2 { // which may be refused here, or not
				m.Workers(map[bool]int{true: 2, false: 1}[sig == syscall.SIGTTIN])
				m.Terminate()
			}
		}
	},
	"running":   runningAnswer,
	"preloaded": runningAnswer,
	"reloading": func(t *testing.T, m *moment, sig syscall.Signal) {
		m.Signal(sig)
		switch sig {
		case syscall.SIGTERM: // at once, though the reload is not over
			m.Log.Expect(t, handling(sig))
			m.run.Release()
			m.flight.Expect(200)
			m.ExpectExit(0)
		case syscall.SIGINT, syscall.SIGQUIT:
			m.ExpectExit(0)
		default:
			m.Log.Expect(t, handling(sig))
			m.Get("/") // by the old worker
			old := m.Role("worker")
			m.hold.Release()
			m.run.Release()
			m.flight.Expect(200)
			m.Get("/")
			if sig == syscall.SIGUSR2 {
				return
			}
			for _, p := range old {
				if sig == syscall.SIGHUP || p.PID == m.worker {
					harness.WaitGone(t, p.PID)
				}
			}
			m.Workers(map[bool]int{true: 2, false: 1}[sig == syscall.SIGTTIN])
			m.Terminate()
		}
	},
	"draining": func(t *testing.T, m *moment, sig syscall.Signal) {
		m.Signal(sig)
		if sig == syscall.SIGINT || sig == syscall.SIGQUIT {
			m.ExpectExit(0) // without waiting for the request
			return
		}
		m.run.Release()
		m.flight.Expect(200)
		m.ExpectExit(0)
		if n := len(m.Role("master")); n != 0 {
			t.Errorf("there are %d masters", n)
		}
	},
	"stopping quickly": func(t *testing.T, m *moment, sig syscall.Signal) {
		// The master may be gone by now.
		if err := syscall.Kill(m.PID(), sig); err != nil && err != syscall.ESRCH {
			t.Error(err)
		}
		m.ExpectExit(0)
	},
}

func runningAnswer(t *testing.T, m *moment, sig syscall.Signal) {
	before := m.Workers(1)
	m.Signal(sig)
	m.Log.Expect(t, handling(sig))
	switch sig {
	case syscall.SIGTERM:
		select {
		case <-m.Done:
			t.Error("the master did not wait for the request")
		case <-time.After(100 * time.Millisecond):
		}
		m.run.Release()
		m.flight.Expect(200)
		m.ExpectExit(0)
		return
	case syscall.SIGINT, syscall.SIGQUIT:
		m.ExpectExit(0) // though the request goes on for ever
		m.flight.Wait()
		return
	case syscall.SIGHUP:
		m.Log.Expect(t, `\[INFO\] Hang up: Master$`)
		m.Get("/")
		m.run.Release()
		m.flight.Expect(200)
		m.Replaced(before, 1)
		m.Terminate()
		return
	case syscall.SIGTTIN:
		m.Workers(2)
	case syscall.SIGUSR2:
		harness.Eventually(t, "there are two masters", func() bool { return len(m.Role("master")) == 2 })
	case syscall.SIGWINCH:
		m.Get("/") // ignored: not a daemon
	}
	m.Get("/")
	m.run.Release()
	m.flight.Expect(200)
	if sig == syscall.SIGUSR2 {
		return
	}
	if got := m.Role("worker"); !slices.ContainsFunc(got, func(p harness.Proc) bool { return p.PID == before[0] }) {
		t.Errorf("the workers are %v, there was %d", got, before[0])
	}
	m.Terminate()
}

func TestQuickShutdownIsRequested(t *testing.T) {
	t.Parallel()
	m := states[4].enter(t)
	m.Signal(syscall.SIGQUIT)
	m.ExpectExit(0)
	m.Log.Expect(t, `\[INFO\] Quick shutdown requested$`)
	m.Log.Expect(t, `\[INFO\] Shutting down: Master$`)
}

func TestInterruptFromTheTerminal(t *testing.T) {
	t.Parallel()
	// Ctrl-C goes to every process of the group at once.
	s := harness.Start(t, harness.Options{Args: []string{"--workers", "2"}})
	s.Workers(2)
	if err := syscall.Kill(-s.PID(), syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	s.ExpectExit(0)
	if s.Log.Count("KeyboardInterrupt|Traceback") > 0 {
		t.Error("the log has a traceback")
	}
}

func TestManySignalsAtOnce(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "echo:app", Args: []string{"--workers", "2"}})
	k, o := s.BothLoads(2)
	for range 3 {
		for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGTTIN, syscall.SIGUSR1, syscall.SIGHUP, syscall.SIGTTOU, syscall.SIGWINCH} {
			s.Signal(sig)
		}
	}
	k.Progress(50)
	o.Progress(50)
	s.Log.Expect(t, handling(syscall.SIGWINCH))
	// Equal signals that wait together are one (signal(7)), so that the count
	// of workers can be anything by now; a reload goes back to the setting.
	s.Signal(syscall.SIGHUP)
	s.Workers(2)
	harness.ExpectNoneLost(t, k, o)
	s.Terminate()
}

func TestTitles(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "hello:app", Args: []string{"--workers", "2"}})
	s.Workers(2)
	for role, want := range map[string]int{"master": 1, "front": 1, "spawner": 1, "worker": 2} {
		if got := s.Role(role); len(got) != want || got[0].Title != fmt.Sprintf("%s: %s [hello:app]", harness.ProgramName(), role) {
			t.Errorf("%s: %v", role, got)
		}
	}
	if ps, err := exec.LookPath("ps"); err == nil {
		out, _ := exec.Command(ps, "-o", "args=", "-p", fmt.Sprint(s.PID())).Output()
		if got := strings.TrimSpace(string(out)); got != harness.ProgramName()+": master [hello:app]" {
			t.Errorf("ps shows %q", got)
		}
	}
	s.Terminate()
}

func TestWorkerCount(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "echo:app", Conf: "def nworkers_changed(server, new, old):\n    server.log.info('workers: %s to %s', old, new)\n"})
	k, o := s.BothLoads(2)
	for i := range 3 {
		s.Signal(syscall.SIGTTIN) // one at a time: equal signals that wait are one (signal(7))
		s.Workers(2 + i)
	}
	s.Log.Expect(t, `workers: 3 to 4`)
	k.Progress(20)
	s.Signal(syscall.SIGTTOU)
	s.Workers(3)
	s.Signal(syscall.SIGHUP)
	s.Workers(1)
	s.Signal(syscall.SIGTTOU)
	s.Log.Expect(t, handling(syscall.SIGTTOU))
	s.Log.Expect(t, handling(syscall.SIGTTOU))
	s.Workers(1)
	o.Progress(20)
	harness.ExpectNoneLost(t, k, o)
	s.Terminate()
}

func TestSignalsToWorkers(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{
		syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGINT, syscall.SIGKILL, syscall.SIGSEGV,
		syscall.SIGUSR1, syscall.SIGWINCH, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGHUP,
	} {
		t.Run(unix.SignalName(sig), func(t *testing.T) {
			t.Parallel()
			s := harness.Start(t, harness.Options{App: "gated:app"})
			pid := s.Workers(1)[0]
			m := inFlight(s)
			harness.Kill(t, pid, sig)
			switch sig {
			case syscall.SIGTERM:
				m.run.Release()
				m.flight.Expect(200)
				s.Log.Expect(t, fmt.Sprintf(`\[%d\] \[INFO\] Worker exiting \(pid: %d\)$`, pid, pid))
				s.Replaced([]int{pid}, 1)
			case syscall.SIGQUIT, syscall.SIGINT:
				s.Replaced([]int{pid}, 1)
				if r, err := m.flight.Wait(); err != nil || r.Status/100 != 5 {
					t.Errorf("the request that was cut is answered with %v, %v", r, err)
				}
			case syscall.SIGKILL:
				m.flight.Expect(502)
				s.Log.Expect(t, fmt.Sprintf(`\[ERROR\] Worker \(pid:%d\) was sent SIGKILL! Perhaps out of memory\?$`, pid))
				s.Replaced([]int{pid}, 1)
			case syscall.SIGSEGV:
				m.flight.Expect(502)
				s.Log.Expect(t, fmt.Sprintf(`\[WARNING\] Worker \(pid:%d\) was sent SIGSEGV!$`, pid))
				s.Replaced([]int{pid}, 1)
			case syscall.SIGHUP: // Gunicorn's workers die of it; ours need not
				m.run.Release()
				m.flight.Wait()
			default:
				m.run.Release()
				m.flight.Expect(200)
				if s.Workers(1)[0] != pid {
					t.Error("the worker was replaced")
				}
			}
			m.run.Release()
			s.Get("/")
			s.Workers(1)
			s.Terminate()
		})
	}
}

func TestTermToWorkersUnderLoad(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "echo:app", Args: []string{"--workers", "2"}})
	k, o := s.BothLoads(3)
	for range 6 {
		pids := s.Workers(2)
		harness.Kill(t, pids[0], syscall.SIGTERM)
		harness.WaitGone(t, pids[0])
		s.Workers(2)
		k.Progress(10)
	}
	harness.ExpectNoneLost(t, k, o)
	s.Terminate()
}

func TestStopUnderLoad(t *testing.T) {
	t.Parallel()
	// A request that was accepted is answered; a keep-alive client learns by
	// Connection: close that it was the last one.
	s := harness.Start(t, harness.Options{App: "echo:app", Args: []string{"--workers", "2"}})
	k, o := s.BothLoads(4)
	s.Terminate()
	for _, l := range []*harness.Load{k, o} {
		sum := l.Finish()
		t.Logf("load: %v", sum)
		for reason, n := range sum.Lost {
			if reason != "connect: refused" && reason != "idle connection closed by the server" && reason != "kept connection: closed without an answer" &&
				reason != "kept connection: reset" && reason != "kept connection: broken pipe" {
				t.Errorf("%d × %s", n, reason)
			}
		}
	}
}

func TestIdleClientsDoNotHoldTheDrain(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "echo:app", Args: []string{"--graceful-timeout", "60"}})
	for range 20 {
		s.Client().Do(t, "GET", "/", "")
	}
	s.Client()
	s.Terminate() // would take longer than a test waits
}

func TestGracefulTimeout(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "gated:app", Args: []string{"--threads", "2", "--graceful-timeout", "5"}})
	m := inFlight(s)
	quick := s.Gate("quick")
	other := s.Begin("/quick")
	quick.Entered()
	began := time.Now()
	s.Signal(syscall.SIGTERM)
	s.Log.Expect(t, handling(syscall.SIGTERM))
	quick.Release()
	other.Expect(200)
	m.flight.Expect(504)
	s.ExpectExit(0)
	if took := time.Since(began); took < 4500*time.Millisecond || took > 25*time.Second {
		t.Errorf("the drain took %v, want about 5 s", took)
	}
}
