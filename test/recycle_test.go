//go:build linux

package test

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestMaxRequests(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"--workers 2", "--threads 4", "--workers 2 --max-requests-jitter 50"} {
		t.Run(args, func(t *testing.T) {
			s := start(t, options{app: "echo:app", args: append(strings.Fields(args), "--max-requests", "200")})
			k, o := s.bothLoads(4)
			k.progress(1500)
			o.progress(500)
			expectNoneLost(t, k, o)
			recycled := s.log.count(`\[INFO\] Autorestarting worker after current request\.$`)
			if total := k.now().ok + o.now().ok; recycled < total/250-4 || recycled > total/200+1 {
				t.Errorf("%d workers were recycled in %d requests", recycled, total)
			}
			s.terminate()
			if booted, gone := s.log.count("Booting worker with pid"), s.log.count("Worker exiting"); booted != gone {
				t.Errorf("%d workers were booted, %d have ended", booted, gone)
			}
		})
	}
}

func TestMaxRequestsWithSlowImport(t *testing.T) {
	t.Parallel()
	// A worker at its limit goes on until its successor is ready.
	app := "import os, time\nif os.path.exists('slow'):\n    time.sleep(2)\n" + versioned("1")
	s := start(t, options{app: "webapp:app", args: []string{"--max-requests", "100"}, files: map[string]string{"webapp.py": app}})
	s.write("slow", "")
	old := s.workers(1)[0]
	k := s.keepAliveLoad(2)
	waitGone(t, old)
	k.progress(10)
	expectNoneLost(t, k)
	if sum := k.now(); sum.slowest > time.Second {
		t.Errorf("a client waited: %v", sum)
	}
	s.terminate()
}

func TestStopWhileRecycling(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "importing:app", args: []string{"--max-requests", "10", "--graceful-timeout", "5"}})
	g := s.gate("import")
	for range 12 {
		s.get("/")
	}
	g.entered()
	s.get("/")
	s.signal(syscall.SIGTERM)
	s.expectExit(0)
}
