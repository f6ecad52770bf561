//go:build linux

package test

import (
	"strings"
	"syscall"
	"testing"

	"indrik/test/harness"
)

// This file is about pools beside what the server does by itself: docs/selfcare.md.

// Without a worker that could call them the pools stay, also if theirs die meanwhile, or the server is
// reloaded; whoever wakes the server finds them.
func TestPoolsOfASleepingServer(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "pooled:app", Args: poolArgs(2, 1, "--workers", "0..2", "--scale-down-delay", "1", "--control-socket", "srv.ctl")})
	for name, meanwhile := range map[string]func(){
		"nothing": func() { poolWorkers(t, s, 2) },
		"all workers of the pool die": func() {
			for _, pid := range poolWorkers(t, s, 2) {
				harness.Kill(t, pid, syscall.SIGKILL)
				harness.WaitGone(t, pid)
			}
		},
		"a reload": func() {
			old := poolWorkers(t, s, 2)
			done(t, s, "reload")
			for _, pid := range old {
				harness.WaitGone(t, pid)
			}
			s.Workers(0) // the one by which the reload has tried the app leaves
		},
		"the front dies": func() {
			pid := s.Role("front")[0].PID
			harness.Kill(t, pid, syscall.SIGKILL)
			harness.WaitGone(t, pid)
		},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			s.Workers(0)
			meanwhile()
			harness.Eventually(t, "the status has the pool", func() bool { return strings.Contains(done(t, s, "status"), "Pool dirty: ") })
			if r, err := s.Request("POST", "/call", poolCall{Action: "echo", Args: []any{"a"}}.String()); err != nil || r.Status != 200 || !strings.Contains(r.Body, `"a"`) {
				t.Errorf("%v, %v", r, err)
			}
			poolWorkers(t, s, 2)
		})
	}
	s.Workers(0)
	s.Terminate()
}

// While new workers are tried all of the old ones can die at once, those of their pools, too: they
// come back, with their pools, and serve on when the new ones are sent back.
func TestPoolsInACanary(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{
		App: "pooled:app", Args: poolArgs(1, 1, "--workers", "1", "--control-socket", "srv.ctl"), Conf: "canary = '50% for 1h'\n",
	})
	old, oldPool := s.Workers(1)[0], poolWorkers(t, s, 1)[0]
	s.Signal(syscall.SIGHUP)
	s.Log.Expect(t, `Canary: generation 2 gets 50% of the requests`)
	fresh, freshPool := 0, 0
	for _, pid := range s.Workers(2) {
		if pid != old {
			fresh = pid
		}
	}
	for _, pid := range poolWorkers(t, s, 2) {
		if pid != oldPool {
			freshPool = pid
		}
	}
	other := func(pids []int, than int) int {
		if pids[0] == than {
			return pids[1]
		}
		return pids[0]
	}
	// From the second death on there is a pause before the next worker is started: then there is
	// none, of either sort.
	for range 4 {
		for _, pid := range []int{other(poolWorkers(t, s, 2), freshPool), other(s.Workers(2), fresh)} {
			harness.Kill(t, pid, syscall.SIGKILL)
			harness.WaitGone(t, pid)
		}
	}
	s.Workers(2)
	poolWorkers(t, s, 2)
	harness.Eventually(t, "both generations call their pools", func() bool {
		seen := map[int]bool{}
		for range 8 {
			pid, ok := callPool(t, s, poolCall{Action: "who"}).Result.(float64)
			if !ok {
				return false // it has no worker yet
			}
			seen[int(pid)] = true
		}
		return len(seen) == 2
	})
	if n := s.Log.Count(`there is no pool`); n > 0 {
		t.Errorf("%d times the front did not know the pool", n)
	}
	s.Terminate()
}
