//go:build linux

package test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"indrik/test/harness"
)

// This file is about the processes of pools: reloads, deaths, signals, the end.

// poolWorkers waits until there are n workers of the pool dirty, and returns their pids.
func poolWorkers(t *testing.T, s *harness.Server, n int) []int {
	t.Helper()
	var pids []int
	harness.Eventually(t, fmt.Sprintf("there are %d workers of the pool", n), func() bool {
		pids = pidsOf(s.Role("dirty-worker"))
		return len(pids) == n
	})
	return pids
}

// who asks a worker of the pool for its pid.
func who(t *testing.T, s *harness.Server) int {
	t.Helper()
	a := callPool(t, s, poolCall{Action: "who"})
	pid, _ := a.Result.(float64)
	if pid == 0 {
		t.Fatalf("%v", a)
	}
	return int(pid)
}

// A reload puts new pools beside new workers. What calls has begun is finished by the old ones.
func TestPoolReload(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "pooled:app", Args: poolArgs(2, 1, "--threads", "4", "--graceful-timeout", "100", "--dirty-graceful-timeout", "100")})
	old := poolWorkers(t, s, 2)
	for i := range 3 {
		g := s.Gate(fmt.Sprint("g", i))
		running := beginCall(t, s, poolCall{Action: "wait", Args: []any{fmt.Sprint("g", i)}})
		g.Entered()
		s.Signal(syscall.SIGHUP)
		harness.Eventually(t, "the new pool serves", func() bool { return !slices.Contains(old, who(t, s)) })
		g.Release()
		a := readPoolAnswer(t, running.Receive(t, "POST"))
		if pid, _ := a.Result.(float64); !slices.Contains(old, int(pid)) {
			t.Errorf("the call that ran was answered so: %v", a)
		}
		for _, pid := range old {
			harness.WaitGone(t, pid)
		}
		old = poolWorkers(t, s, 2)
	}
	s.Terminate()
}

// A pool that cannot start fails the start, and a reload, which then changes nothing.
func TestPoolThatDoesNotBoot(t *testing.T) {
	t.Parallel()
	bad := "from indrik.pools import DirtyApp\nclass Broken(DirtyApp):\n    def init(self):\n        raise RuntimeError('no model')\n"
	conf := func(app string) string {
		return fmt.Sprintf("dirty_apps = [%q]\ndirty_workers = 1\n", app)
	}
	files := map[string]string{"broken.py": bad}
	for app, text := range map[string]string{"broken:Broken": "RuntimeError: no model", "nothing:App": "nothing:App", "broken:Other": "broken:Other"} {
		t.Run(app, func(t *testing.T) {
			t.Parallel()
			s := harness.Launch(t, harness.Options{App: "pooled:app", Conf: conf(app), Files: files})
			s.ExpectExit(3)
			s.Log.Expect(t, `failed to boot`)
			if !strings.Contains(s.Log.String(), text) {
				t.Errorf("%q is not in the log", text)
			}
		})
	}
	t.Run("reload", func(t *testing.T) {
		t.Parallel()
		s := harness.Start(t, harness.Options{App: "pooled:app", Conf: conf("pooled:Pooled"), Files: files})
		pid := who(t, s)
		s.WriteFile("gunicorn.conf.py", conf("broken:Broken"))
		s.Signal(syscall.SIGHUP)
		s.Log.Expect(t, `RuntimeError: no model`)
		s.Log.Expect(t, `Reload failed, nothing was changed`)
		if now := who(t, s); now != pid {
			t.Errorf("process %d answers instead of %d", now, pid)
		}
		harness.Eventually(t, "what was made has gone", func() bool {
			return len(s.Role("dirty-arbiter")) == 1 && len(s.Role("dirty-worker")) == 1 && len(s.Role("spawner")) == 1
		})
		s.Terminate()
	})
}

// A worker that dies, and then cannot boot: callers get its traceback, until one can.
func TestPoolThatDoesNotComeBack(t *testing.T) {
	t.Parallel()
	app := `
import os
from indrik.pools import DirtyApp
class Sick(DirtyApp):
    def init(self):
        if os.path.exists("sick"):
            raise RuntimeError("the model has gone")
    def who(self):
        return os.getpid()
`
	s := harness.Start(t, harness.Options{
		App: "pooled:app", Args: []string{"--dirty-app", "sick:Sick", "--dirty-workers", "1"}, Files: map[string]string{"sick.py": app},
	})
	call := poolCall{App: "sick:Sick", Action: "who"}
	s.WriteFile("sick", "")
	harness.Kill(t, poolWorkers(t, s, 1)[0], syscall.SIGKILL)
	var answer poolAnswer
	harness.Eventually(t, "no call goes to the worker that has died", func() bool {
		answer = callPool(t, s, call)
		return answer.Error != "DirtyWorkerError"
	})
	answer.expect(t, "DirtyNoWorkersAvailableError", "sick:Sick", "RuntimeError: the model has gone")
	s.Log.Expect(t, `Workers of the pool dirty keep failing: the next one is started in`)
	harness.Must(t, os.Remove(s.Path("sick")))
	harness.Eventually(t, "there is a worker again", func() bool { return callPool(t, s, call).Error == "" })
	s.Terminate()
}

// Whichever process dies, the service comes back, and nobody else's call is harmed.
func TestPoolProcessesDie(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "pooled:app", Args: poolArgs(2, 1, "--threads", "4")})
	kill := func(role string) {
		t.Helper()
		victim := s.Role(role)[0].PID
		harness.Kill(t, victim, syscall.SIGKILL)
		harness.Eventually(t, "another "+role+" takes its place", func() bool {
			pids := pidsOf(s.Role(role))
			return len(pids) > 0 && !slices.Contains(pids, victim)
		})
	}
	for _, role := range []string{"dirty-arbiter", "front", "spawner", "dirty-arbiter"} {
		kill(role)
		harness.Eventually(t, "calls are answered after the death of "+role, func() bool {
			r, err := s.Request("POST", "/call", poolCall{Action: "who"}.String())
			return err == nil && r.Status == 200 && strings.Contains(r.Body, "result")
		})
		harness.Eventually(t, "there are two workers of one pool", func() bool {
			return len(s.Role("dirty-worker")) == 2 && len(s.Role("dirty-arbiter")) == 1
		})
	}
	s.Log.Expect(t, `The spawner of the pools died|Spawner \(pid:\d+\) was sent SIGKILL`)
	s.Terminate()
}

// The front holds the calls: they end with it, and what runs in the pool is cancelled, or passed over.
func TestPoolFrontDiesInACall(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "pooled:app", Args: poolArgs(1, 1, "--threads", "2")})
	g := s.Gate("g")
	beginCall(t, s, poolCall{Action: "wait", Args: []any{"g"}})
	g.Entered()
	pid := poolWorkers(t, s, 1)[0]
	front := s.Role("front")[0].PID
	harness.Kill(t, front, syscall.SIGKILL)
	harness.WaitGone(t, front)
	g.Release()
	harness.Eventually(t, "the worker answers calls of the new front", func() bool {
		r, err := s.Request("POST", "/call", poolCall{Action: "who"}.String())
		return err == nil && r.Status == 200 && r.Body == fmt.Sprintf(`{"result": %d}`, pid)
	})
	s.Terminate()
}

// TTIN and TTOU of the arbiter change the number of workers, down to what the apps need.
func TestPoolSignals(t *testing.T) {
	t.Parallel()
	app := "from indrik.pools import DirtyApp\nclass Few(DirtyApp):\n    workers = 2\n    def who(self):\n        return 1\n"
	s := harness.Start(t, harness.Options{
		App: "pooled:app", Args: poolArgs(3, 1, "--dirty-app", "few:Few"), Files: map[string]string{"few.py": app},
	})
	arbiter := s.Role("dirty-arbiter")[0].PID
	poolWorkers(t, s, 3)
	harness.Kill(t, arbiter, syscall.SIGTTIN)
	poolWorkers(t, s, 4)
	s.Log.Expect(t, `SIGTTIN: Increasing dirty workers to 4`)
	for n := 3; n >= 2; n-- {
		harness.Kill(t, arbiter, syscall.SIGTTOU)
		poolWorkers(t, s, n)
	}
	harness.Kill(t, arbiter, syscall.SIGTTOU)
	s.Log.Expect(t, `SIGTTOU: Cannot decrease below 2 workers \(required by app specs\)`)
	if n := len(poolWorkers(t, s, 2)); n != 2 {
		t.Errorf("%d workers", n)
	}
	if a := callPool(t, s, poolCall{App: "few:Few", Action: "who"}); a.Error != "" {
		t.Errorf("%v", a)
	}
	// An operator who ends a worker gets another one, and no call is lost.
	old := poolWorkers(t, s, 2)
	harness.Kill(t, old[0], syscall.SIGTERM)
	harness.WaitGone(t, old[0])
	poolWorkers(t, s, 2)
	who(t, s)
	s.Terminate()
}

// Gunicorn's tool shows the workers of the pool, and changes their number.
func TestGunicorncPools(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "pooled:app", Args: append(poolArgs(2, 1), "--control-socket", "srv.ctl")})
	run := func(command string) string {
		t.Helper()
		return harness.Output(t, s.Dir, os.Environ(), filepath.Join(filepath.Dir(harness.Venv(t)), "gunicornc"), "-s", "srv.ctl", "-c", command)
	}
	pids := poolWorkers(t, s, 2)
	for command, want := range map[string]string{
		"show dirty": fmt.Sprint(pids[0]), "show all": fmt.Sprint(s.Role("dirty-arbiter")[0].PID), "dirty add 2": `"spawned": 2`,
	} {
		if out := run(command); !strings.Contains(out, want) {
			t.Errorf("%s lacks %q:\n%s", command, want, out)
		}
	}
	poolWorkers(t, s, 4)
	run("dirty remove 3")
	poolWorkers(t, s, 1)
	s.Terminate()
}

// Each worker of a pool has a token of its own, and who takes its place gets that.
func TestPoolSlots(t *testing.T) {
	t.Parallel()
	conf := `pools = {"gpu": {"app": "pooled:Pooled", "workers": 2, "threads": 1, "slots": {"gpu": [0, 1], "PORT": ["a", "b", "c"]}}}`
	s := harness.Start(t, harness.Options{App: "pooled:app", Conf: conf})
	tokens := func(name string) map[string]bool {
		found := map[string]bool{}
		for range 12 {
			a := callPool(t, s, poolCall{App: "gpu", Action: "environment", Args: []any{name}})
			found[fmt.Sprint(a.Result)] = true
		}
		return found
	}
	if found := tokens("CUDA_VISIBLE_DEVICES"); len(found) != 2 || !found["0"] || !found["1"] {
		t.Errorf("%v", found)
	}
	victim := s.Role("pool-worker gpu")[0].PID
	harness.Kill(t, victim, syscall.SIGKILL)
	harness.WaitGone(t, victim)
	harness.Eventually(t, "the token is used again", func() bool {
		found := tokens("CUDA_VISIBLE_DEVICES")
		return len(found) == 2 && found["0"] && found["1"]
	})
	harness.Kill(t, s.Role("dirty-arbiter")[0].PID, syscall.SIGTTIN)
	s.Log.Expect(t, `SIGTTIN: Cannot increase above 2 workers: the slots of the pool gpu have no more tokens`)
	s.Terminate()
}

// A server that ends lets calls finish that requests wait for.
func TestPoolAtTheEnd(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "pooled:app", Args: poolArgs(2, 1)})
	g := s.Gate("g")
	running := beginCall(t, s, poolCall{Action: "wait", Args: []any{"g"}})
	g.Entered()
	s.Signal(syscall.SIGTERM)
	s.Log.Expect(t, `Handling signal: term`)
	g.Release()
	if a := readPoolAnswer(t, running.Receive(t, "POST")); a.Error != "" {
		t.Errorf("%v", a)
	}
	s.ExpectExit(0)
	s.Log.Expect(t, `Dirty worker \d+ exiting`)
	s.Log.Expect(t, `Dirty arbiter exiting`)
}

// A quick end waits for no call.
func TestPoolQuit(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "pooled:app", Args: poolArgs(2, 1)})
	g := s.Gate("g")
	beginCall(t, s, poolCall{Action: "wait", Args: []any{"g"}})
	g.Entered()
	s.Signal(syscall.SIGQUIT)
	s.ExpectExit(0)
}

// When the master is killed nothing is left.
func TestPoolMasterDies(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "pooled:app", Args: poolArgs(2, 1, "--dirty-graceful-timeout", "1"), MayLeave: true})
	g := s.Gate("g")
	beginCall(t, s, poolCall{Action: "wait", Args: []any{"g"}})
	g.Entered()
	procs := s.Tree()
	s.Signal(syscall.SIGKILL)
	for _, p := range procs {
		harness.WaitGone(t, p.PID)
	}
	s.Log.Expect(t, `Parent changed, shutting down dirty arbiter`)
}

// An upgrade has pools of its own, and the old ones end with the old workers.
func TestPoolUpgrade(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "pooled:app", Args: poolArgs(1, 1, "--pid", "srv.pid")})
	old := who(t, s)
	u := upgrade(s, 1)
	s.Signal(syscall.SIGWINCH)
	harness.WaitGone(t, old) // nobody calls it any more
	if pid := who(t, s); pid == old {
		t.Error("the old pool answers")
	}
	harness.Kill(t, u.successor, syscall.SIGQUIT) // the old workers come back
	harness.Eventually(t, "the pool is back", func() bool {
		r, err := s.Request("POST", "/call", poolCall{Action: "who"}.String())
		return err == nil && r.Status == 200 && strings.Contains(r.Body, "result")
	})
	s.Terminate()
}

// The hooks of dirty workers run where and when Gunicorn runs them.
func TestPoolHooks(t *testing.T) {
	t.Parallel()
	conf := `
import os
def note(*words):
    with open("hooks", "a") as f:
        f.write(" ".join(map(str, words)) + "\n")
def on_dirty_starting(arbiter):
    note("starting", arbiter.pid == os.getpid(), arbiter.cfg.dirty_workers)
def dirty_post_fork(arbiter, worker):
    note("post_fork", arbiter.pid == os.getpid(), worker.pid in arbiter.workers, worker.app_paths)
def dirty_worker_init(worker):
    note("init", worker.pid == os.getpid(), sorted(worker.apps))
def dirty_worker_exit(arbiter, worker):
    note("exit", arbiter.pid == os.getpid(), worker.age)
`
	s := harness.Start(t, harness.Options{App: "pooled:app", Conf: conf, Args: poolArgs(1, 1)})
	s.Terminate()
	lines := strings.Split(strings.TrimSpace(s.ReadFile("hooks")), "\n")
	slices.Sort(lines[1:3])
	want := []string{"starting True 1", "init True ['pooled:Pooled']", "post_fork True True ['pooled:Pooled']", "exit True 1"}
	if !slices.Equal(lines, want) {
		t.Errorf("%q, want %q", lines, want)
	}
}
