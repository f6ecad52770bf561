//go:build linux

package test

import (
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

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
	*server
	hold   *gate
	flight *pending
	run    *gate // holds flight
}

var states = []state{
	{"booting", func(t *testing.T) *moment {
		s := launch(t, options{app: "importing:app", gates: []string{"import"}, args: []string{"--graceful-timeout", "3"}})
		s.gates["import"].entered()
		return &moment{server: s, hold: s.gates["import"]}
	}},
	{"running", func(t *testing.T) *moment {
		return inFlight(start(t, options{app: "gated:app", args: []string{"--threads", "2", "--graceful-timeout", "60"}}))
	}},
	{"preloaded", func(t *testing.T) *moment {
		return inFlight(start(t, options{app: "gated:app", args: []string{"--threads", "2", "--preload", "--graceful-timeout", "60"}}))
	}},
	{"reloading", func(t *testing.T) *moment {
		s := start(t, options{app: "importing:app", args: []string{"--threads", "2", "--graceful-timeout", "60"}})
		m := inFlight(s)
		m.hold = s.gate("import")
		s.signal(syscall.SIGHUP)
		s.log.expect(t, handling(syscall.SIGHUP))
		s.log.expect(t, `\[INFO\] Hang up: Master$`)
		m.hold.entered()
		return m
	}},
	{"draining", func(t *testing.T) *moment {
		m := inFlight(start(t, options{app: "gated:app", args: []string{"--threads", "2", "--graceful-timeout", "60"}}))
		m.signal(syscall.SIGTERM)
		m.log.expect(t, handling(syscall.SIGTERM))
		return m
	}},
	{"stopping quickly", func(t *testing.T) *moment {
		m := inFlight(start(t, options{app: "gated:app", args: []string{"--threads", "2", "--graceful-timeout", "60"}}))
		m.signal(syscall.SIGINT)
		m.log.expect(t, handling(syscall.SIGINT)) // before the next signal, which could overtake it
		return m
	}},
}

func inFlight(s *server) *moment {
	s.t.Helper()
	m := &moment{server: s, run: s.gate("run")}
	m.flight = s.begin("/run")
	m.run.entered()
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
		m.signal(sig)
		switch sig {
		case syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT:
			m.expectExit(0) // the app that is being imported does not hold it up
		default:
			m.log.expect(t, handling(sig))
			m.hold.release()
			m.ready()
			if sig != syscall.SIGUSR2 { // which may be refused here, or not
				m.workers(map[bool]int{true: 2, false: 1}[sig == syscall.SIGTTIN])
				m.terminate()
			}
		}
	},
	"running":   runningAnswer,
	"preloaded": runningAnswer,
	"reloading": func(t *testing.T, m *moment, sig syscall.Signal) {
		m.signal(sig)
		switch sig {
		case syscall.SIGTERM: // at once, though the reload is not over
			m.log.expect(t, handling(sig))
			m.run.release()
			m.flight.expect(200)
			m.expectExit(0)
		case syscall.SIGINT, syscall.SIGQUIT:
			m.expectExit(0)
		default:
			m.log.expect(t, handling(sig))
			m.get("/") // by the old worker
			old := m.role("worker")
			m.hold.release()
			m.run.release()
			m.flight.expect(200)
			m.get("/")
			if sig == syscall.SIGUSR2 {
				return
			}
			for _, p := range old {
				if sig == syscall.SIGHUP || p.pid == oldest(old) {
					waitGone(t, p.pid)
				}
			}
			m.workers(map[bool]int{true: 2, false: 1}[sig == syscall.SIGTTIN])
			m.terminate()
		}
	},
	"draining": func(t *testing.T, m *moment, sig syscall.Signal) {
		m.signal(sig)
		if sig == syscall.SIGINT || sig == syscall.SIGQUIT {
			m.expectExit(0) // without waiting for the request
			return
		}
		m.run.release()
		m.flight.expect(200)
		m.expectExit(0)
		if n := len(m.role("master")); n != 0 {
			t.Errorf("there are %d masters", n)
		}
	},
	"stopping quickly": func(t *testing.T, m *moment, sig syscall.Signal) {
		// The master may be gone by now.
		if err := syscall.Kill(m.pid(), sig); err != nil && err != syscall.ESRCH {
			t.Error(err)
		}
		m.expectExit(0)
	},
}

// oldest is the worker that was booted first.
func oldest(procs []proc) int {
	pid := procs[0].pid
	for _, p := range procs {
		pid = min(pid, p.pid)
	}
	return pid
}

func runningAnswer(t *testing.T, m *moment, sig syscall.Signal) {
	before := m.workers(1)
	m.signal(sig)
	m.log.expect(t, handling(sig))
	switch sig {
	case syscall.SIGTERM:
		select {
		case <-m.done:
			t.Error("the master did not wait for the request")
		case <-time.After(100 * time.Millisecond):
		}
		m.run.release()
		m.flight.expect(200)
		m.expectExit(0)
		return
	case syscall.SIGINT, syscall.SIGQUIT:
		m.expectExit(0) // though the request goes on for ever
		m.flight.wait()
		return
	case syscall.SIGHUP:
		m.log.expect(t, `\[INFO\] Hang up: Master$`)
		m.get("/")
		m.run.release()
		m.flight.expect(200)
		m.replaced(before, 1)
		m.terminate()
		return
	case syscall.SIGTTIN:
		m.workers(2)
	case syscall.SIGUSR2:
		eventually(t, "there are two masters", func() bool { return len(m.role("master")) == 2 })
	case syscall.SIGWINCH:
		m.get("/") // ignored: not a daemon
	}
	m.get("/")
	m.run.release()
	m.flight.expect(200)
	if sig == syscall.SIGUSR2 {
		return
	}
	if got := m.role("worker"); got[0].pid != before[0] {
		t.Errorf("the worker is %v, was %d", got, before[0])
	}
	m.terminate()
}

func TestQuickShutdownIsRequested(t *testing.T) {
	t.Parallel()
	m := states[4].enter(t)
	m.signal(syscall.SIGQUIT)
	m.expectExit(0)
	m.log.expect(t, `\[INFO\] Quick shutdown requested$`)
	m.log.expect(t, `\[INFO\] Shutting down: Master$`)
}

func TestInterruptFromTheTerminal(t *testing.T) {
	t.Parallel()
	// Ctrl-C goes to every process of the group at once.
	s := start(t, options{args: []string{"--workers", "2"}})
	s.workers(2)
	if err := syscall.Kill(-s.pid(), syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	s.expectExit(0)
	if s.log.count("KeyboardInterrupt|Traceback") > 0 {
		t.Error("the log has a traceback")
	}
}

func TestManySignalsAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "echo:app", args: []string{"--workers", "2"}})
	k, o := s.bothLoads(2)
	for range 3 {
		for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGTTIN, syscall.SIGUSR1, syscall.SIGHUP, syscall.SIGTTOU, syscall.SIGWINCH} {
			s.signal(sig)
		}
	}
	k.progress(50)
	o.progress(50)
	s.log.expect(t, handling(syscall.SIGWINCH))
	// Equal signals that wait together are one (signal(7)), so that the count
	// of workers can be anything by now; a reload goes back to the setting.
	s.signal(syscall.SIGHUP)
	s.workers(2)
	expectNoneLost(t, k, o)
	s.terminate()
}

func TestTitles(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "hello:app", args: []string{"--workers", "2"}})
	s.workers(2)
	for role, want := range map[string]int{"master": 1, "front": 1, "spawner": 1, "worker": 2} {
		if got := s.role(role); len(got) != want || got[0].title != fmt.Sprintf("%s: %s [hello:app]", name(), role) {
			t.Errorf("%s: %v", role, got)
		}
	}
	if ps, err := exec.LookPath("ps"); err == nil {
		out, _ := exec.Command(ps, "-o", "args=", "-p", fmt.Sprint(s.pid())).Output()
		if got := strings.TrimSpace(string(out)); got != name()+": master [hello:app]" {
			t.Errorf("ps shows %q", got)
		}
	}
	s.terminate()
}

func TestWorkerCount(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "echo:app", conf: "def nworkers_changed(server, new, old):\n    server.log.info('workers: %s to %s', old, new)\n"})
	k, o := s.bothLoads(2)
	for i := range 3 {
		s.signal(syscall.SIGTTIN) // one at a time: equal signals that wait are one (signal(7))
		s.workers(2 + i)
	}
	s.log.expect(t, `workers: 3 to 4`)
	k.progress(20)
	s.signal(syscall.SIGTTOU)
	s.workers(3)
	s.signal(syscall.SIGHUP)
	s.workers(1)
	s.signal(syscall.SIGTTOU)
	s.log.expect(t, handling(syscall.SIGTTOU))
	s.log.expect(t, handling(syscall.SIGTTOU))
	s.workers(1)
	o.progress(20)
	expectNoneLost(t, k, o)
	s.terminate()
}

func TestSignalsToWorkers(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{
		syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGINT, syscall.SIGKILL, syscall.SIGSEGV,
		syscall.SIGUSR1, syscall.SIGWINCH, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGHUP,
	} {
		t.Run(unix.SignalName(sig), func(t *testing.T) {
			t.Parallel()
			s := start(t, options{app: "gated:app"})
			pid := s.workers(1)[0]
			m := inFlight(s)
			kill(t, pid, sig)
			switch sig {
			case syscall.SIGTERM:
				m.run.release()
				m.flight.expect(200)
				s.log.expect(t, fmt.Sprintf(`\[%d\] \[INFO\] Worker exiting \(pid: %d\)$`, pid, pid))
				s.replaced([]int{pid}, 1)
			case syscall.SIGQUIT, syscall.SIGINT:
				s.replaced([]int{pid}, 1)
				if r, err := m.flight.wait(); err != nil || r.status/100 != 5 {
					t.Errorf("the request that was cut is answered with %v, %v", r, err)
				}
			case syscall.SIGKILL:
				m.flight.expect(502)
				s.log.expect(t, fmt.Sprintf(`\[ERROR\] Worker \(pid:%d\) was sent SIGKILL! Perhaps out of memory\?$`, pid))
				s.replaced([]int{pid}, 1)
			case syscall.SIGSEGV:
				m.flight.expect(502)
				s.log.expect(t, fmt.Sprintf(`\[WARNING\] Worker \(pid:%d\) was sent SIGSEGV!$`, pid))
				s.replaced([]int{pid}, 1)
			case syscall.SIGHUP: // Gunicorn's workers die of it; ours need not
				m.run.release()
				m.flight.wait()
			default:
				m.run.release()
				m.flight.expect(200)
				if s.workers(1)[0] != pid {
					t.Error("the worker was replaced")
				}
			}
			m.run.release()
			s.get("/")
			s.workers(1)
			s.terminate()
		})
	}
}

func TestTermToWorkersUnderLoad(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "echo:app", args: []string{"--workers", "2"}})
	k, o := s.bothLoads(3)
	for range 6 {
		pids := s.workers(2)
		kill(t, pids[0], syscall.SIGTERM)
		waitGone(t, pids[0])
		s.workers(2)
		k.progress(10)
	}
	expectNoneLost(t, k, o)
	s.terminate()
}

func TestStopUnderLoad(t *testing.T) {
	t.Parallel()
	// A request that was accepted is answered; a keep-alive client learns by
	// Connection: close that it was the last one.
	s := start(t, options{app: "echo:app", args: []string{"--workers", "2"}})
	k, o := s.bothLoads(4)
	s.terminate()
	for _, l := range []*load{k, o} {
		sum := l.finish()
		t.Logf("load: %v", sum)
		for reason, n := range sum.lost {
			if reason != "connect: refused" && reason != "idle connection closed by the server" && reason != "kept connection: closed without an answer" &&
				reason != "kept connection: reset" && reason != "kept connection: send: broken pipe" {
				t.Errorf("%d × %s", n, reason)
			}
		}
	}
}

func TestIdleClientsDoNotHoldTheDrain(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "echo:app", args: []string{"--graceful-timeout", "60"}})
	for range 20 {
		s.client().do(t, "GET", "/", "")
	}
	s.client()
	s.terminate() // would take longer than a test waits
}

func TestGracefulTimeout(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "gated:app", args: []string{"--threads", "2", "--graceful-timeout", "1"}})
	m := inFlight(s)
	quick := s.gate("quick")
	other := s.begin("/quick")
	quick.entered()
	began := time.Now()
	s.signal(syscall.SIGTERM)
	s.log.expect(t, handling(syscall.SIGTERM))
	quick.release()
	other.expect(200)
	m.flight.expect(504)
	s.expectExit(0)
	if took := time.Since(began); took < 900*time.Millisecond || took > 10*time.Second {
		t.Errorf("the drain took %v, want about 1 s", took)
	}
}
