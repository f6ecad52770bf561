//go:build linux

package test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// killUnderLoad kills one of two workers, again and again, and checks that each
// kill costs no more than so many requests, with a 502. All others, on kept
// connections too, notice nothing.
func killUnderLoad(s *server, kills, each int) {
	s.t.Helper()
	k, o := s.bothLoads(4)
	for range kills {
		pid := s.workers(2)[0]
		kill(s.t, pid, syscall.SIGKILL)
		waitGone(s.t, pid)
		s.workers(2)
		k.progress(10)
		o.progress(10)
	}
	lost := 0
	for _, l := range []*load{k, o} {
		sum := l.finish()
		s.t.Logf("load: %v", sum)
		lost += sum.losses()
		for reason, n := range sum.lost {
			if !strings.Contains(reason, "status 502") {
				s.t.Errorf("%d × %s", n, reason)
			}
		}
		if sum.dropped > 0 || sum.closed > 0 {
			s.t.Errorf("connections were closed: %v", sum)
		}
	}
	if lost > each*kills {
		s.t.Errorf("%d requests were lost in %d kills", lost, kills)
	}
	if n := s.log.count(`\[ERROR\] Worker \(pid:\d+\) was sent SIGKILL! Perhaps out of memory\?$`); n != kills {
		s.t.Errorf("%d kills are in the log", n)
	}
}

func TestKillWorker(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "echo:app", args: []string{"--workers", "2"}})
	killUnderLoad(s, 8, 1) // the one that it was running
	s.terminate()
}

func TestKillWorkerWithThreads(t *testing.T) {
	t.Parallel()
	// What was running is answered with 502; what was waiting is given to the
	// next worker; no request runs twice.
	s := start(t, options{app: "gated:app", args: []string{"--threads", "2"}})
	pid := s.workers(1)[0]
	a, b := s.gate("a"), s.gate("b")
	first, second := s.begin("/a"), s.begin("/b")
	a.entered()
	b.entered()
	waiting := s.crowd(4, format("GET", "/", ""))
	kill(t, pid, syscall.SIGKILL)
	first.expect(502)
	second.expect(502)
	a.release()
	b.release()
	for _, c := range waiting {
		if r := c.receive(t, "GET"); r.status != 200 || r.closes() {
			t.Errorf("a request that had not begun: %v", r)
		}
	}
	s.terminate()
}

func TestKillWorkerAfterTheHead(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "streaming:app"})
	g := s.gate("second")
	c := s.client()
	c.send(t, format("GET", "/", ""))
	c.expectHead(t, 200)
	c.expectChunks(t, "first")
	g.entered()
	kill(t, s.workers(1)[0], syscall.SIGKILL)
	c.expectCut(t)
	g.release()
	s.get("/")
	s.terminate()
}

func TestCrashLoopBacksOff(t *testing.T) {
	t.Parallel()
	// The app imports once; from then on each new worker dies young.
	app := `import os, signal
if os.path.exists("poison"):
    os.kill(os.getpid(), signal.SIGKILL)
` + versioned("1")
	s := start(t, options{app: "webapp:app", files: map[string]string{"webapp.py": app}})
	pid := s.workers(1)[0]
	s.write("poison", "")
	began := time.Now()
	kill(t, pid, syscall.SIGKILL)
	waiting := s.begin("/waits")
	const crashes = 6
	mark := 0
	for range crashes {
		_, next, ok := s.log.wait(mark, `was sent SIGKILL!`, patience)
		if !ok {
			t.Fatal("no further worker was tried")
		}
		mark = next
	}
	// 0, 0, 100, 200, 400 ms lie between six deaths: the first was not young.
	if took := time.Since(began); took < 650*time.Millisecond || took > 15*time.Second {
		t.Errorf("%d workers died within %v", crashes, took)
	}
	must(t, os.Remove(s.path("poison")))
	waiting.expect(200)
	s.terminate()
}

func TestStopDuringCrashLoop(t *testing.T) {
	t.Parallel()
	app := "import os, signal\nif os.path.exists('poison'):\n    os.kill(os.getpid(), signal.SIGKILL)\n" + versioned("1")
	s := start(t, options{app: "webapp:app", files: map[string]string{"webapp.py": app}})
	s.write("poison", "")
	kill(t, s.workers(1)[0], syscall.SIGKILL)
	for mark := 0; mark < 4; mark++ {
		s.log.expect(t, `was sent SIGKILL!`)
	}
	s.signal(syscall.SIGTERM)
	s.expectExit(0)
}

func TestBrokenCodeAtRespawnDoesNotEndTheServer(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "webapp:app", args: []string{"--workers", "2"}, files: map[string]string{"webapp.py": versioned("1")}})
	pids := s.workers(2)
	s.write("webapp.py", "raise RuntimeError('broken since')\n")
	kill(t, pids[0], syscall.SIGKILL)
	s.log.expect(t, `RuntimeError: broken since`)
	for range 20 {
		if got := s.get("/version"); got != "1" {
			t.Errorf("version %s", got)
		}
	}
	s.write("webapp.py", versioned("1"))
	s.workers(2)
	eventually(t, "both workers serve", func() bool { return s.log.count("Booting worker") > 3 || len(s.role("worker")) == 2 })
	s.terminate()
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
			s := start(t, options{app: "echo:app", args: []string{"--workers", "2"}})
			s.workers(2)
			k, o := s.bothLoads(3)
			files, memory := 0, 0
			kills := 0
			var slowest time.Duration
			for end := time.Now().Add(length); time.Now().Before(end); kills++ {
				var victim int
				eventually(t, "there is a "+role+" to kill", func() bool {
					found := s.role(role)
					if len(found) > 0 {
						victim = found[kills%len(found)].pid
					}
					return len(found) > 0
				})
				kill(t, victim, syscall.SIGKILL)
				waitGone(t, victim)
				back := time.Now()
				k.progress(5)
				o.progress(5)
				slowest = max(slowest, time.Since(back))
				s.waitWhole(2)
				if kills == 3 {
					files, memory = openFiles(s.pid()), residentKiB(s.pid())
				}
			}
			k.progress(20)
			o.progress(20)
			for _, l := range []*load{k, o} {
				sum := l.finish()
				t.Logf("%d kills, slowest return %v, load: %v", kills, slowest, sum)
				if sum.sent != sum.ok+sum.losses() {
					t.Errorf("the counts do not add up: %v", sum)
				}
				if role == "spawner" && sum.losses() > 0 {
					t.Error("the death of a spawner is no client's business")
				}
			}
			// A second for the service, and what the machine is late by.
			if slowest > 2*time.Second {
				t.Errorf("the service was away for %v", slowest)
			}
			s.waitWhole(2)
			if now := openFiles(s.pid()); files > 0 && now > files+4 {
				t.Errorf("the master has %d open files, had %d after three kills", now, files)
			}
			if now := residentKiB(s.pid()); memory > 0 && now > memory*3/2+16<<10 {
				t.Errorf("the master has %d KiB, had %d after three kills", now, memory)
			}
			s.terminate()
		})
	}
}

// waitWhole waits until a server has one process of each role, n workers, and
// nothing else.
func (s *server) waitWhole(n int) {
	s.t.Helper()
	var tree []proc
	whole := func() bool {
		tree = s.tree()
		return len(tree) == 3+n && len(s.role("front")) == 1 && len(s.role("spawner")) == 1 && len(s.role("worker")) == n
	}
	if !within(patience, whole) {
		s.t.Fatalf("the server does not become whole again:\n%s", lines(tree))
	}
}

func TestKillSpawner(t *testing.T) {
	t.Parallel()
	// Its workers serve until the new ones are ready.
	s := start(t, options{app: "gated:app", args: []string{"--threads", "2"}})
	m := inFlight(s)
	old := s.workers(1)[0]
	spawner := s.role("spawner")[0].pid
	kill(t, spawner, syscall.SIGKILL)
	waitGone(t, spawner)
	s.get("/")
	m.run.release()
	m.flight.expect(200)
	s.replaced([]int{old}, 1)
	s.get("/")
	s.reload(1)
	s.terminate()
}

// TestHungSpawner: one that cannot tell of the ends of its workers does not keep the
// server from its own.
func TestHungSpawner(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(unix.SignalName(sig), func(t *testing.T) {
			t.Parallel()
			s := start(t, options{args: []string{"--workers", "2", "--graceful-timeout", "1"}})
			kill(t, s.role("spawner")[0].pid, syscall.SIGSTOP)
			s.signal(sig)
			s.expectExit(0)
		})
	}
}

func TestKillFront(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "gated:app", args: []string{"--threads", "2"}})
	worker := s.workers(1)[0]
	m := inFlight(s)
	front := s.role("front")[0].pid
	kill(t, front, syscall.SIGKILL)
	if r, err := m.flight.wait(); err == nil {
		t.Errorf("the connection of a front that died gave %v", r)
	}
	waiting := s.begin("/")
	waiting.expect(200) // by the free thread
	m.run.release()
	for range 10 {
		s.get("/")
	}
	if got := s.workers(1)[0]; got != worker {
		t.Errorf("the worker was replaced: %d, was %d", got, worker)
	}
	s.terminate()
}

func TestKillMaster(t *testing.T) {
	t.Parallel()
	// Nothing goes on without a master; what it left does not stop the next one.
	s := start(t, options{app: "echo:app", bind: []string{"unix:DIR/web.sock"}, args: []string{"--workers", "2", "--pid", "srv.pid"}})
	s.workers(2)
	s.signal(syscall.SIGKILL)
	if code := s.exit(); code != 128+int(syscall.SIGKILL) {
		t.Errorf("exit code %d", code)
	}
	eventually(t, "every process has ended", func() bool { return len(s.tree()) == 0 })
	if s.read("srv.pid") != fmt.Sprintf("%d\n", s.cmd.Process.Pid) {
		t.Errorf("the pid file holds %q", s.read("srv.pid"))
	}
	again := start(t, options{app: "echo:app", bind: []string{"unix:" + s.path("web.sock")}, args: []string{"--pid", s.path("srv.pid")}})
	again.get("/")
	again.terminate()
}
