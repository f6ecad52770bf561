//go:build linux

package test

import (
	"syscall"
	"testing"
	"time"
)

// TestDrainDelay: after TERM the server goes on accepting, tells each client to leave its
// connection, and drains when the delay is over.
func TestDrainDelay(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "echo:app", args: []string{"--workers", "2", "--drain-delay", "2"}})
	kept := s.client()
	kept.do(t, "GET", "/before", "")
	s.signal(syscall.SIGTERM)
	s.log.expect(t, `Draining in 2s \(drain_delay\): connections are still accepted`)
	began := time.Now()
	if r := kept.do(t, "GET", "/kept", ""); r.status != 200 || !r.closes() {
		t.Errorf("on a kept connection: %v", r)
	}
	kept.expectEOF(t)
	fresh := s.client()
	if r := fresh.do(t, "GET", "/fresh", ""); r.status != 200 || !r.closes() {
		t.Errorf("on a new connection: %v", r)
	}
	// A worker or a front that dies meanwhile is replaced, and the new front knows.
	pid := s.role("front")[0].pid
	kill(t, pid, syscall.SIGKILL)
	waitGone(t, pid)
	again := s.client()
	if r := again.do(t, "GET", "/again", ""); r.status != 200 || !r.closes() {
		t.Errorf("after the death of the front: %v", r)
	}
	s.expectExit(0)
	if took := time.Since(began); took < 1500*time.Millisecond {
		t.Errorf("it ended after %v", took)
	}
}

// TestDrainDelayCutShort: a second TERM drains at once, INT ends at once, and what would
// change the server is ignored.
func TestDrainDelayCutShort(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		s := start(t, options{app: "echo:app", args: []string{"--drain-delay", "60"}})
		worker := s.workers(1)[0]
		s.signal(syscall.SIGTERM)
		s.log.expect(t, `Draining in 1m0s`)
		s.signal(syscall.SIGHUP)
		s.log.expect(t, `Handling signal: hup`)
		s.get("/served")
		if !alive(worker) {
			t.Error("the worker was replaced")
		}
		s.signal(sig)
		s.expectExit(0)
	}
}

// TestDrainDelayInPods: in a pod of Kubernetes it is 5 seconds unless it is set.
func TestDrainDelayInPods(t *testing.T) {
	t.Parallel()
	s := start(t, options{env: []string{"KUBERNETES_SERVICE_HOST=10.0.0.1"}})
	s.signal(syscall.SIGTERM)
	s.log.expect(t, `Draining in 5s`)
	s.signal(syscall.SIGTERM)
	s.expectExit(0)
	s = start(t, options{env: []string{"KUBERNETES_SERVICE_HOST=10.0.0.1"}, args: []string{"--drain-delay", "0"}})
	s.signal(syscall.SIGTERM)
	s.expectExit(0)
	if s.log.count(`Draining in`) > 0 {
		t.Error("there is a delay although it is 0")
	}
}
