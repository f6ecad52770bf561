//go:build linux

package test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"indrik/test/harness"
)

// growing returns the options of a server of the app that keeps memory: leak KiB a request.
func growing(t testing.TB, leak int, args ...string) harness.Options {
	t.Helper()
	return harness.Options{
		App: "growing:app", Args: args, Env: []string{fmt.Sprintf("LEAK_KIB=%d", leak)},
		Files: map[string]string{"growing.py": harness.TestFile(t, "apps/growing.py"), "gate.py": harness.TestFile(t, "apps/gate.py")},
	}
}

// mostWorkers returns the greatest number of workers that were there at a time, seen again and
// again until done. Replacing several workers, one after the other, takes long on a busy machine.
func mostWorkers(s *harness.Server, done func() bool) (most int) {
	for limit := time.Now().Add(4 * harness.Patience); !done() && time.Now().Before(limit); time.Sleep(5 * time.Millisecond) {
		most = max(most, len(s.Role("worker")))
	}
	return most
}

// TestMaxWorkerMemory: workers of an app that leaks are replaced one after the other, no request
// is lost, and none takes much more than it may.
func TestMaxWorkerMemory(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"sync": {"--workers", "3"}, "gthread": {"--workers", "2", "--threads", "3"}, "asgi": {"--workers", "2"}, "pss": {"--workers", "2", "--preload", "--worker-memory-measure", "pss"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := growing(t, 64, append(args, "--max-worker-memory", "80M", "--control-socket", "srv.ctl")...)
			if name == "asgi" {
				o.App = "growing:asgi"
			}
			s := harness.Start(t, o)
			k, l := s.BothLoads(2)
			replaced := `Worker \(pid:\d+\) is replaced: its [RP]SS is (\d+) MiB, max_worker_memory is 80 MiB`
			n := mostWorkers(s, func() bool { return s.Log.Count(replaced) >= 3 })
			harness.ExpectNoneLost(t, k, l)
			if got := s.Log.Count(replaced); got < 3 {
				t.Fatalf("%d workers were replaced", got)
			}
			if st := statusOf(t, s); n > st.Target+1 || st.Recycled["max_worker_memory"] < 3 || len(st.Deaths) > 0 {
				t.Errorf("%d workers at a time of %d; recycled %v, deaths %v", n, st.Target, st.Recycled, st.Deaths)
			}
			s.Terminate()
		})
	}
}

// TestMaxWorkerMemoryHard: a worker that takes far too much while it runs a request is killed, the
// client gets 502, the others lose nothing, and the log has the figures.
func TestMaxWorkerMemoryHard(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, growing(t, 0, "--workers", "3", "--max-worker-memory-hard", "150M", "--control-socket", "srv.ctl"))
	s.Gate("hold")
	k, l := s.BothLoads(2)
	for range 2 {
		s.Begin("/hold/200").Expect(502)
	}
	harness.ExpectNoneLost(t, k, l)
	s.Log.Expect(t, `\[ERROR\] Worker \(pid:\d+\) is killed: its RSS was (1[5-9]|2\d)\d MiB, max_worker_memory_hard is 150 MiB`)
	s.Log.Expect(t, `\[ERROR\] Worker \(pid:\d+\) was killed, since its RSS was (1[5-9]|2\d)\d MiB, max_worker_memory_hard is 150 MiB, after \S+ s and \d+ requests?, while it ran GET /hold/200 \(`)
	s.Workers(3)
	harness.Eventually(t, "status counts both", func() bool { return statusOf(t, s).DeathsByCause["max_worker_memory_hard"] >= 2 })
	st := statusOf(t, s)
	if st.Recycled["max_worker_memory_hard"] != 2 || st.DeathsByCause["max_worker_memory_hard"] != 2 {
		t.Errorf("recycled %v, deaths %v", st.Recycled, st.DeathsByCause)
	}
	s.Terminate()
}

// TestMaxWorkerAge: workers that have become old are replaced, though all of them became old at
// about the same time, one after the other.
func TestMaxWorkerAge(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "echo:app", Args: []string{"--workers", "4", "--max-worker-age", "2", "--max-worker-age-jitter", "1"}})
	k, l := s.BothLoads(2)
	replaced := `Worker \(pid:\d+\) is replaced: it has served for \d+ s, max_worker_age with its jitter is [23] s`
	n := mostWorkers(s, func() bool { return s.Log.Count(replaced) >= 8 })
	harness.ExpectNoneLost(t, k, l)
	if got := s.Log.Count(replaced); got < 8 || n > 5 {
		t.Errorf("%d were replaced, %d workers at a time", got, n)
	}
	s.Terminate()
}

// TestRecycleBudget: workers that all want to go at once, for two reasons, go one or two at a time.
func TestRecycleBudget(t *testing.T) {
	t.Parallel()
	for budget, most := range map[string]int{"1": 5, "50%": 6} {
		t.Run(budget, func(t *testing.T) {
			t.Parallel()
			app := "import time\ntime.sleep(0.3)\nfrom echo import app\n"
			s := harness.Start(t, harness.Options{
				App: "slowly:app", Args: []string{"--workers", "4", "--max-requests", "20", "--max-worker-age", "3", "--recycle-budget", budget},
				Files: map[string]string{"slowly.py": app, "echo.py": harness.TestFile(t, "apps/echo.py")},
			})
			k, l := s.BothLoads(3)
			n := mostWorkers(s, func() bool { return s.Log.Count(`is replaced: `) >= 10 })
			harness.ExpectNoneLost(t, k, l)
			if got := s.Log.Count(`is replaced: it has asked for it \(max_requests, or a hook\)`); got == 0 || n > most {
				t.Errorf("%d were replaced for max_requests; %d workers at a time, want at most %d", got, n, most)
			}
			s.Terminate()
		})
	}
}

// TestRecycleDryRun: what would be done is in the log, the status and the metrics, and is not done.
func TestRecycleDryRun(t *testing.T) {
	t.Parallel()
	o := growing(t, 0, "--workers", "2", "--max-worker-memory", "100M", "--max-worker-memory-hard", "150M", "--selfcare-dry-run", "recycle", "--control-socket", "srv.ctl")
	s, admin := withAdmin(t, o)
	before := s.Workers(2)
	harness.Eventually(t, "both workers have taken memory", func() bool {
		for _, pid := range before {
			if harness.ResidentKiB(pid) < 160<<10 {
				s.Get("/take/200")
				return false
			}
		}
		return true
	})
	harness.Eventually(t, "the log says what would be done", func() bool {
		return s.Log.Count(`\[INFO\] Dry run: recycle would kill worker \(pid:\d+\): its RSS was \d+ MiB, max_worker_memory_hard is 150 MiB`) == 2
	})
	if after := s.Workers(2); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("workers %v, before %v", after, before)
	}
	if st := statusOf(t, s); st.WouldRecycle["max_worker_memory_hard"] != 2 || st.Recycled["max_worker_memory_hard"] != 0 {
		t.Errorf("would %v, did %v", st.WouldRecycle, st.Recycled)
	}
	harness.Eventually(t, "the metrics have it", func() bool {
		return metrics(t, admin)[`indrik_workers_recycle_dry_run_total{reason="max_worker_memory_hard"}`] == 2
	})
	s.Terminate()
}

// A memoryGroup is a control group of version 1 with a limit, for a server.
type memoryGroup struct{ dir string }

// newMemoryGroup makes one below that of this process.
func newMemoryGroup(t *testing.T, mib int) memoryGroup {
	t.Helper()
	if os.Getenv("INDRIK_TEST_ALL") == "" {
		t.Skip("a part of make test-all")
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	harness.Must(t, err)
	path := ""
	for line := range strings.Lines(string(own)) {
		if parts := strings.SplitN(strings.TrimSpace(line), ":", 3); len(parts) == 3 && parts[1] == "memory" {
			path = parts[2]
		}
	}
	g := memoryGroup{fmt.Sprintf("/sys/fs/cgroup/memory%s/indrik-test-%d-%d", strings.TrimSuffix(path, "/"), os.Getpid(), time.Now().UnixNano())}
	if path == "" || os.Getuid() != 0 {
		t.Skip("needs root and a machine with control groups of version 1")
	}
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		t.Skipf("no control groups can be made here: %s", err)
	}
	t.Cleanup(func() {
		harness.Within(harness.Patience, func() bool { return os.Remove(g.dir) == nil })
	})
	if err := os.WriteFile(g.dir+"/memory.limit_in_bytes", fmt.Appendf(nil, "%dM", mib), 0); err != nil {
		t.Skipf("no limit can be set here: %s", err)
	}
	return g
}

// wrap is the command that starts a server in the group.
func (g memoryGroup) wrap() []string {
	return []string{"/bin/sh", "-c", `echo $$ > "$0/cgroup.procs" && exec "$@"`, g.dir}
}

// kills returns how many processes of the group the kernel has ended for want of memory.
func (g memoryGroup) kills(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(g.dir + "/memory.oom_control")
	harness.Must(t, err)
	_, n, _ := strings.Cut(string(text), "oom_kill ")
	return strings.TrimSpace(n)
}

// TestAllOOMKill: the kernel ends a worker for want of memory; the log and the status know it.
func TestAllOOMKill(t *testing.T) {
	t.Parallel()
	g := newMemoryGroup(t, 250)
	o := growing(t, 0, "--workers", "2", "--control-socket", "srv.ctl")
	o.Wrap = g.wrap()
	s := harness.Start(t, o)
	s.Gate("hold")
	k := s.KeepAliveLoad(2)
	s.Begin("/hold/400").Expect(502)
	s.Log.Expect(t, `\[ERROR\] Worker \(pid:\d+\) was sent SIGKILL after \S+ s and \d+ requests?, while it ran GET /hold/400 \(.*\)\. Out of memory: oom_kill 1 in its control group`)
	if n := g.kills(t); n != "1" {
		t.Errorf("the group counts %s kills", n)
	}
	harness.Eventually(t, "status has its death", func() bool { return statusOf(t, s).DeathsByCause["oom"] == 1 })
	harness.ExpectNoneLost(t, k)
	s.Workers(2)
	s.Terminate()
}

// TestAllMemoryUse: an app that leaks, in a control group that it would fill within seconds: its
// workers are replaced before the kernel kills any.
func TestAllMemoryUse(t *testing.T) {
	t.Parallel()
	g := newMemoryGroup(t, 400)
	o := growing(t, 0, "--workers", "2", "--max-memory-use", "60")
	o.Wrap = g.wrap()
	s := harness.Start(t, o)
	replaced := `Worker \(pid:\d+\) is replaced: \d+ MiB of 400 MiB are in use, max_memory_use is 60 %; of all workers it takes most, RSS \d+ MiB`
	for i := range 3 {
		k := s.KeepAliveLoad(1)
		harness.Eventually(t, "a worker is replaced", func() bool {
			if s.Log.Count(replaced) > i {
				return true
			}
			s.Get("/take/4")
			time.Sleep(100 * time.Millisecond) // 40 MiB a second
			return false
		})
		harness.ExpectNoneLost(t, k)
	}
	if n := g.kills(t); n != "0" {
		t.Errorf("the kernel has killed %s processes", n)
	}
	s.Terminate()
}

// TestAllMemoryPressure: a tree of files stands for control groups of version 2, and says that
// processes wait for memory.
func TestAllMemoryPressure(t *testing.T) {
	t.Parallel()
	if os.Getenv("INDRIK_TEST_ALL") == "" || os.Getuid() != 0 {
		t.Skip("a part of make test-all; needs root")
	}
	unshare := harness.NeedsProgram(t, "unshare")
	tree := harness.TempDir(t)
	write := func(name, text string) { harness.Must(t, os.WriteFile(tree+"/"+name, []byte(text+"\n"), 0o644)) }
	write("memory.max", "1073741824")
	write("memory.current", "104857600")
	write("memory.stat", "inactive_file 0")
	write("memory.events", "oom_kill 0")
	write("memory.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=0")
	o := growing(t, 0, "--workers", "2", "--max-memory-pressure", "20", "--control-socket", "srv.ctl")
	o.Wrap = []string{unshare, "-m", "/bin/sh", "-c", `mount --bind "$0" /sys/fs/cgroup && exec "$@"`, tree}
	s := harness.Start(t, o)
	k := s.KeepAliveLoad(2)
	k.Progress(10)
	if n := s.Log.Count("is replaced"); n > 0 {
		t.Errorf("%d were replaced without pressure", n)
	}
	write("memory.pressure", "some avg10=45.25 avg60=9.00 avg300=0.00 total=0")
	harness.Eventually(t, "a worker that has grown is replaced", func() bool {
		s.Get("/take/10")
		return s.Log.Count("is replaced") == 1
	})
	s.Log.Expect(t, `Worker \(pid:\d+\) is replaced: processes have waited for memory for 45\.2 % of the last 10 s, max_memory_pressure is 20 %; of all workers it takes most, RSS \d+ MiB`)
	write("memory.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=0")
	harness.Eventually(t, "it has left", func() bool { return s.Log.Count("Worker exiting") == 1 })
	harness.ExpectNoneLost(t, k)
	if st := statusOf(t, s); st.Recycled["max_memory_pressure"] != 1 {
		t.Errorf("recycled %v", st.Recycled)
	}
	s.Terminate()
}
