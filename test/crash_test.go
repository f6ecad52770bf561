//go:build linux

package test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"indrik/test/harness"

	"golang.org/x/sys/unix"
)

// killUnderLoad kills one of two workers, again and again, and checks that each
// kill costs no more than so many requests, with a 502. All others, on kept
// connections too, notice nothing.
func killUnderLoad(s *harness.Server, kills, each int) {
	s.T.Helper()
	k, o := s.BothLoads(4)
	for range kills {
		pid := s.Workers(2)[0]
		harness.Kill(s.T, pid, syscall.SIGKILL)
		harness.WaitGone(s.T, pid)
		s.Workers(2)
		k.Progress(10)
		o.Progress(10)
	}
	lost := 0
	for _, l := range []*harness.Load{k, o} {
		sum := l.Finish()
		s.T.Logf("load: %v", sum)
		lost += sum.Losses()
		for reason, n := range sum.Lost {
			if !strings.Contains(reason, "status 502") {
				s.T.Errorf("%d × %s", n, reason)
			}
		}
		if sum.Dropped > 0 || sum.Closed > 0 {
			s.T.Errorf("connections were closed: %v", sum)
		}
	}
	if lost > each*kills {
		s.T.Errorf("%d requests were lost in %d kills", lost, kills)
	}
	logged := func() int {
		return s.Log.Count(`\[ERROR\] Worker \(pid:\d+\) was sent SIGKILL! Perhaps out of memory\?$`)
	}
	harness.Eventually(s.T, "the kills are in the log", func() bool { return logged() >= kills })
	if n := logged(); n != kills {
		s.T.Errorf("%d kills are in the log", n)
	}
}

func TestKillWorker(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "echo:app", Args: []string{"--workers", "2"}})
	killUnderLoad(s, 8, 1) // the one that it was running
	s.Terminate()
}

func TestKillWorkerWithThreads(t *testing.T) {
	t.Parallel()
	// What was running is answered with 502; what was waiting is given to the
	// next worker; no request runs twice.
	s := harness.Start(t, harness.Options{App: "gated:app", Args: []string{"--threads", "2"}})
	pid := s.Workers(1)[0]
	a, b := s.Gate("a"), s.Gate("b")
	first, second := s.Begin("/a"), s.Begin("/b")
	a.Entered()
	b.Entered()
	waiting := s.Crowd(4, harness.FormatRequest("GET", "/", ""))
	harness.Kill(t, pid, syscall.SIGKILL)
	first.Expect(502)
	second.Expect(502)
	a.Release()
	b.Release()
	for _, c := range waiting {
		if r := c.Receive(t, "GET"); r.Status != 200 || r.Closes() {
			t.Errorf("a request that had not begun: %v", r)
		}
	}
	s.Terminate()
}

func TestKillWorkerAfterTheHead(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "streaming:app"})
	g := s.Gate("second")
	c := s.Client()
	c.Send(t, harness.FormatRequest("GET", "/", ""))
	c.ExpectHead(t, 200)
	c.ExpectChunks(t, "first")
	g.Entered()
	harness.Kill(t, s.Workers(1)[0], syscall.SIGKILL)
	c.ExpectCut(t)
	g.Release()
	s.Get("/")
	s.Terminate()
}

func TestCrashLoopBacksOff(t *testing.T) {
	t.Parallel()
	// The app imports once; from then on each new worker dies young.
	app := `import os, signal
if os.path.exists("poison"):
    os.kill(os.getpid(), signal.SIGKILL)
` + versioned("1")
	s := harness.Start(t, harness.Options{App: "webapp:app", Files: map[string]string{"webapp.py": app}})
	pid := s.Workers(1)[0]
	s.WriteFile("poison", "")
	began := time.Now()
	harness.Kill(t, pid, syscall.SIGKILL)
	waiting := s.Begin("/waits")
	const crashes = 6
	mark := 0
	for range crashes {
		_, next, ok := s.Log.Wait(mark, `was sent SIGKILL!`, harness.Patience)
		if !ok {
			t.Fatal("no further worker was tried")
		}
		mark = next
	}
	// 0, 0, 100, 200, 400 ms lie between six deaths: the first was not young.
	if took := time.Since(began); took < 650*time.Millisecond || took > harness.Patience {
		t.Errorf("%d workers died within %v", crashes, took)
	}
	harness.Must(t, os.Remove(s.Path("poison")))
	waiting.Expect(200)
	s.Terminate()
}

func TestStopDuringCrashLoop(t *testing.T) {
	t.Parallel()
	app := "import os, signal\nif os.path.exists('poison'):\n    os.kill(os.getpid(), signal.SIGKILL)\n" + versioned("1")
	s := harness.Start(t, harness.Options{App: "webapp:app", Files: map[string]string{"webapp.py": app}})
	s.WriteFile("poison", "")
	harness.Kill(t, s.Workers(1)[0], syscall.SIGKILL)
	for range 4 {
		s.Log.Expect(t, `was sent SIGKILL!`)
	}
	s.Signal(syscall.SIGTERM)
	s.ExpectExit(0)
}

func TestBrokenCodeAtRespawnDoesNotEndTheServer(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "webapp:app", Args: []string{"--workers", "2"}, Files: map[string]string{"webapp.py": versioned("1")}})
	pids := s.Workers(2)
	s.WriteFile("webapp.py", "raise RuntimeError('broken since')\n")
	harness.Kill(t, pids[0], syscall.SIGKILL)
	s.Log.Expect(t, `RuntimeError: broken since`)
	for range 20 {
		if got := s.Get("/version"); got != "1" {
			t.Errorf("version %s", got)
		}
	}
	s.WriteFile("webapp.py", versioned("1"))
	s.Workers(2)
	harness.Eventually(t, "both workers serve", func() bool { return s.Log.Count("Booting worker") > 3 || len(s.Role("worker")) == 2 })
	s.Terminate()
}

// TestKillLoop kills processes of one kind, again and again, under load.
func TestKillLoop(t *testing.T) {
	t.Parallel()
	length := 6 * time.Second
	if os.Getenv("INDRIK_TEST_LONG") == "1" {
		length = time.Minute
	}
	if testing.Short() {
		length = 2 * time.Second
	}
	for _, role := range []string{"front", "spawner", "worker"} {
		t.Run(role, func(t *testing.T) {
			s := harness.Start(t, harness.Options{App: "echo:app", Args: []string{"--workers", "2"}})
			s.Workers(2)
			k, o := s.BothLoads(3)
			files, memory := 0, 0
			kills := 0
			var slowest time.Duration
			for end := time.Now().Add(length); time.Now().Before(end); kills++ {
				var victim int
				harness.Eventually(t, "there is a "+role+" to kill", func() bool {
					found := s.Role(role)
					if len(found) > 0 {
						victim = found[kills%len(found)].PID
					}
					return len(found) > 0
				})
				harness.Kill(t, victim, syscall.SIGKILL)
				harness.WaitGone(t, victim)
				back := time.Now()
				k.Progress(5)
				o.Progress(5)
				slowest = max(slowest, time.Since(back))
				waitWhole(s, 2)
				if kills == 3 {
					files, memory = harness.OpenFiles(s.PID()), harness.ResidentKiB(s.PID())
				}
			}
			k.Progress(20)
			o.Progress(20)
			for _, l := range []*harness.Load{k, o} {
				sum := l.Finish()
				t.Logf("%d kills, slowest return %v, load: %v", kills, slowest, sum)
				if sum.Sent != sum.OK+sum.Losses() {
					t.Errorf("the counts do not add up: %v", sum)
				}
				if role == "spawner" && sum.Losses() > 0 {
					t.Error("the death of a spawner is no client's business")
				}
			}
			// Nothing waits until a time is over, of which the shortest is that between two workers
			// that cannot be started. The rest is what the machine is late by.
			if slowest > 10*time.Second {
				t.Errorf("the service was away for %v", slowest)
			}
			waitWhole(s, 2)
			now := 0
			if files > 0 && !harness.Within(harness.Patience, func() bool { now = harness.OpenFiles(s.PID()); return now <= files+4 }) {
				t.Errorf("the master has %d open files, had %d after three kills", now, files)
			}
			if now := harness.ResidentKiB(s.PID()); memory > 0 && now > memory*3/2+16<<10 {
				t.Errorf("the master has %d KiB, had %d after three kills", now, memory)
			}
			s.Terminate()
		})
	}
}

// waitWhole waits until a server has one process of each role, n workers, and
// nothing else.
func waitWhole(s *harness.Server, n int) {
	s.T.Helper()
	var tree []harness.Proc
	whole := func() bool {
		tree = s.Tree()
		return len(tree) == 3+n && len(s.Role("front")) == 1 && len(s.Role("spawner")) == 1 && len(s.Role("worker")) == n
	}
	if !harness.Within(harness.Patience, whole) {
		s.T.Fatalf("the server does not become whole again:\n%s", harness.ProcLines(tree))
	}
}

func TestKillSpawner(t *testing.T) {
	t.Parallel()
	// Its workers serve until the new ones are ready.
	s := harness.Start(t, harness.Options{App: "gated:app", Args: []string{"--threads", "2"}})
	m := inFlight(s)
	old := s.Workers(1)[0]
	spawner := s.Role("spawner")[0].PID
	harness.Kill(t, spawner, syscall.SIGKILL)
	harness.WaitGone(t, spawner)
	s.Get("/")
	m.run.Release()
	m.flight.Expect(200)
	s.Replaced([]int{old}, 1)
	s.Get("/")
	s.Reload(1)
	s.Terminate()
}

// TestHungSpawner: one that cannot tell of the ends of its workers does not keep the
// server from its own.
func TestHungSpawner(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(unix.SignalName(sig), func(t *testing.T) {
			t.Parallel()
			s := harness.Start(t, harness.Options{Args: []string{"--workers", "2", "--graceful-timeout", "1"}})
			harness.Kill(t, s.Role("spawner")[0].PID, syscall.SIGSTOP)
			s.Signal(sig)
			s.ExpectExit(0)
		})
	}
}

func TestKillFront(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "gated:app", Args: []string{"--threads", "2"}})
	worker := s.Workers(1)[0]
	m := inFlight(s)
	front := s.Role("front")[0].PID
	harness.Kill(t, front, syscall.SIGKILL)
	if r, err := m.flight.Wait(); err == nil {
		t.Errorf("the connection of a front that died gave %v", r)
	}
	waiting := s.Begin("/")
	waiting.Expect(200) // by the free thread
	m.run.Release()
	for range 10 {
		s.Get("/")
	}
	if got := s.Workers(1)[0]; got != worker {
		t.Errorf("the worker was replaced: %d, was %d", got, worker)
	}
	s.Terminate()
}

// Nothing is left to wait for when the front of a server that drains has died: the worker
// finishes what it does, and the server ends.
func TestKillFrontThatDrains(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "gated:app", Args: []string{"--graceful-timeout", "100"}})
	m := inFlight(s)
	front := s.Role("front")[0].PID
	s.Signal(syscall.SIGTERM)
	s.Log.Expect(t, handling(syscall.SIGTERM))
	harness.Eventually(t, "nobody listens", func() bool { return !harness.Listening(s.Port) })
	harness.Kill(t, front, syscall.SIGKILL)
	if r, err := m.flight.Wait(); err == nil {
		t.Errorf("the connection of a front that died gave %v", r)
	}
	m.run.Release()
	s.ExpectExit(0)
	s.Log.ExpectFrom(t, 0, `\[ERROR\] Front \(pid:\d+\) was sent SIGKILL`)
	if n := len(s.Role("front")); n != 0 {
		t.Errorf("there are %d fronts", n)
	}
}

func TestKillMaster(t *testing.T) {
	t.Parallel()
	// Nothing goes on without a master; what it left does not stop the next one.
	s := harness.Start(t, harness.Options{App: "echo:app", Bind: []string{"unix:DIR/web.sock"}, Args: []string{"--workers", "2", "--pid", "srv.pid"}})
	s.Workers(2)
	s.Signal(syscall.SIGKILL)
	if code := s.Exit(); code != 128+int(syscall.SIGKILL) {
		t.Errorf("exit code %d", code)
	}
	harness.Eventually(t, "every process has ended", func() bool { return len(s.Tree()) == 0 })
	if s.ReadFile("srv.pid") != fmt.Sprintf("%d\n", s.Cmd.Process.Pid) {
		t.Errorf("the pid file holds %q", s.ReadFile("srv.pid"))
	}
	again := harness.Start(t, harness.Options{App: "echo:app", Bind: []string{"unix:" + s.Path("web.sock")}, Args: []string{"--pid", s.Path("srv.pid")}})
	again.Get("/")
	again.Terminate()
}
