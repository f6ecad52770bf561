//go:build linux

package test

import (
	"fmt"
	"strings"
	"testing"

	"indrik/test/harness"
)

func gevent(t *testing.T, args ...string) harness.Options {
	return harness.Options{App: "greenlets:app", Python: harness.Venv(t), Args: append([]string{"-k", "gevent"}, args...)}
}

// One request that is over its time costs neither the others nor the worker.
func TestGeventTimeout(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, gevent(t, "--timeout", "4"))
	pid := s.Get("/")
	s.Begin("/stuck").Expect(504)
	s.Log.Expect(t, fmt.Sprintf(`\[%s\] \[CRITICAL\] WORKER TIMEOUT \(pid:%s\): GET /stuck after`, pid, pid))
	s.Log.Expect(t, `time\.sleep\(3600\)`)
	s.Log.Expect(t, `^ended$`)
	if got := s.Get("/"); got != pid {
		t.Errorf("worker %s was replaced by %s", pid, got)
	}
	s.Terminate()
}

// A hub that is blocked is noticed, and its worker replaced.
func TestGeventBlocked(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, gevent(t, "--timeout", "5"))
	old := s.Workers(1)[0]
	waits := s.Gate("other")
	other := s.Begin("/wait/other")
	waits.Entered()
	spin := s.Begin("/spin")
	s.Log.Expect(t, fmt.Sprintf(`\[CRITICAL\] WORKER TIMEOUT \(pid:%d\): the event loop has been blocked for \d+\.\d s, with 2 requests`, old))
	s.Log.Expect(t, `in spin_here`)
	spin.Expect(504)
	other.Expect(504)
	waits.Release()
	s.Replaced([]int{old}, 1)
	s.Get("/")
	s.Terminate()
}

// Hundreds of requests wait in one worker, as many as worker_connections; the rest
// wait in the front.
func TestGeventManyAtOnce(t *testing.T) {
	t.Parallel()
	const most = 100
	s := harness.Start(t, gevent(t, "--worker-connections", fmt.Sprint(most)))
	g := s.Gate("all")
	var waiting []*harness.Pending
	for range most {
		waiting = append(waiting, s.Begin("/wait/all"))
	}
	g.Entered()
	pid := ""
	one := s.Begin("/")
	g.Release()
	for _, p := range append(waiting, one) {
		r := p.Expect(200)
		if pid == "" {
			pid = r.Body
		}
		if strings.TrimSpace(r.Body) != pid {
			t.Errorf("answered by %s, want %s", r.Body, pid)
		}
	}
	s.Terminate()
}
