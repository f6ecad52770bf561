//go:build linux

package test

import (
	"fmt"
	"strings"
	"testing"
)

func gevent(t *testing.T, args ...string) options {
	return options{app: "greenlets:app", python: venv(t), args: append([]string{"-k", "gevent"}, args...)}
}

// One request that is over its time costs neither the others nor the worker.
func TestGeventTimeout(t *testing.T) {
	t.Parallel()
	s := start(t, gevent(t, "--timeout", "1"))
	pid := s.get("/")
	s.begin("/stuck").expect(504)
	s.log.expect(t, fmt.Sprintf(`\[%s\] \[CRITICAL\] WORKER TIMEOUT \(pid:%s\): GET /stuck after`, pid, pid))
	s.log.expect(t, `time\.sleep\(3600\)`)
	s.log.expect(t, `^ended$`)
	if got := s.get("/"); got != pid {
		t.Errorf("worker %s was replaced by %s", pid, got)
	}
	s.terminate()
}

// A hub that is blocked is noticed, and its worker replaced.
func TestGeventBlocked(t *testing.T) {
	t.Parallel()
	s := start(t, gevent(t, "--timeout", "2"))
	old := s.workers(1)[0]
	waits := s.gate("other")
	other := s.begin("/wait/other")
	waits.entered()
	spin := s.begin("/spin")
	s.log.expect(t, fmt.Sprintf(`\[CRITICAL\] WORKER TIMEOUT \(pid:%d\): the event loop has been blocked for \d+\.\d s, with 2 requests`, old))
	s.log.expect(t, `in spin_here`)
	spin.expect(504)
	other.expect(504)
	waits.release()
	s.replaced([]int{old}, 1)
	s.get("/")
	s.terminate()
}

// Hundreds of requests wait in one worker, as many as worker_connections; the rest
// wait in the front.
func TestGeventManyAtOnce(t *testing.T) {
	t.Parallel()
	const most = 100
	s := start(t, gevent(t, "--worker-connections", fmt.Sprint(most)))
	g := s.gate("all")
	var waiting []*pending
	for range most {
		waiting = append(waiting, s.begin("/wait/all"))
	}
	g.entered()
	pid := ""
	one := s.begin("/")
	g.release()
	for _, p := range append(waiting, one) {
		r := p.expect(200)
		if pid == "" {
			pid = r.body
		}
		if strings.TrimSpace(r.body) != pid {
			t.Errorf("answered by %s, want %s", r.body, pid)
		}
	}
	s.terminate()
}
