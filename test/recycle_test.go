//go:build linux

package test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"indrik/test/harness"
)

func TestMaxRequests(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"--workers 2", "--threads 4", "--workers 2 --max-requests-jitter 50"} {
		t.Run(args, func(t *testing.T) {
			s := harness.Start(t, harness.Options{App: "echo:app", Args: append(strings.Fields(args), "--max-requests", "200")})
			k, o := s.BothLoads(4)
			recycled := func() int {
				return s.Log.Count(`\[INFO\] Autorestarting worker after current request\.$`)
			}
			// How many requests that takes depends on how soon successors are ready: until then a
			// worker at its limit goes on.
			harness.Eventually(t, "eight workers are at their limit", func() bool { return recycled() >= 8 })
			k.Progress(100)
			o.Progress(100)
			harness.ExpectNoneLost(t, k, o)
			if n, total := recycled(), k.Now().OK+o.Now().OK; n > total/200+1 {
				t.Errorf("%d workers were recycled in %d requests", n, total)
			}
			s.Terminate()
			if booted, gone := s.Log.Count("Booting worker with pid"), s.Log.Count("Worker exiting"); booted != gone {
				t.Errorf("%d workers were booted, %d have ended", booted, gone)
			}
		})
	}
}

func TestMaxRequestsWithSlowImport(t *testing.T) {
	t.Parallel()
	// A worker at its limit goes on until its successor is ready.
	app := "import os, time\nif os.path.exists('slow'):\n    time.sleep(5)\n" + versioned("1")
	s := harness.Start(t, harness.Options{App: "webapp:app", Args: []string{"--max-requests", "100"}, Files: map[string]string{"webapp.py": app}})
	s.WriteFile("slow", "")
	old := s.Workers(1)[0]
	k := s.KeepAliveLoad(2)
	harness.WaitGone(t, old)
	k.Progress(10)
	harness.ExpectNoneLost(t, k)
	if sum := k.Now(); sum.Slowest > 4*time.Second {
		t.Errorf("a client waited: %v", sum)
	}
	s.Terminate()
}

func TestStopWhileRecycling(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "importing:app", Args: []string{"--max-requests", "10", "--graceful-timeout", "5"}})
	g := s.Gate("import")
	for range 12 {
		s.Get("/")
	}
	g.Entered()
	s.Get("/")
	s.Signal(syscall.SIGTERM)
	s.ExpectExit(0)
}
