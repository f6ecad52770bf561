//go:build linux

package test

import (
	"syscall"
	"testing"
	"time"

	"indrik/test/harness"
)

// TestDrainDelay: after TERM the server goes on accepting, tells each client to leave its
// connection, and drains when the delay is over.
func TestDrainDelay(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "echo:app", Args: []string{"--workers", "2", "--drain-delay", "60"}})
	kept := s.Client()
	kept.Do(t, "GET", "/before", "")
	s.Signal(syscall.SIGTERM)
	s.Log.Expect(t, `Draining in 1m0s \(drain_delay\): connections are still accepted`)
	if r := kept.Do(t, "GET", "/kept", ""); r.Status != 200 || !r.Closes() {
		t.Errorf("on a kept connection: %v", r)
	}
	kept.ExpectEOF(t)
	fresh := s.Client()
	if r := fresh.Do(t, "GET", "/fresh", ""); r.Status != 200 || !r.Closes() {
		t.Errorf("on a new connection: %v", r)
	}
	// A worker or a front that dies meanwhile is replaced, and the new front knows.
	pid := s.Role("front")[0].PID
	harness.Kill(t, pid, syscall.SIGKILL)
	harness.WaitGone(t, pid)
	again := s.Client()
	if r := again.Do(t, "GET", "/again", ""); r.Status != 200 || !r.Closes() {
		t.Errorf("after the death of the front: %v", r)
	}
	s.Signal(syscall.SIGTERM)
	s.ExpectExit(0)

	s = harness.Start(t, harness.Options{App: "echo:app", Args: []string{"--drain-delay", "2"}})
	began := time.Now()
	s.Signal(syscall.SIGTERM)
	s.Log.Expect(t, `Draining in 2s`)
	for _, p := range s.Role("front") {
		_ = syscall.Kill(p.PID, syscall.SIGKILL) // the delay may be over already
	}
	s.ExpectExit(0)
	if took := time.Since(began); took < 1900*time.Millisecond {
		t.Errorf("it ended after %v", took)
	}
}

// TestDrainDelayCutShort: a second TERM drains at once, INT ends at once, and what would
// change the server is ignored.
func TestDrainDelayCutShort(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		s := harness.Start(t, harness.Options{App: "echo:app", Args: []string{"--drain-delay", "60"}})
		worker := s.Workers(1)[0]
		s.Signal(syscall.SIGTERM)
		s.Log.Expect(t, `Draining in 1m0s`)
		s.Signal(syscall.SIGHUP)
		s.Log.Expect(t, `Handling signal: hup`)
		s.Get("/served")
		if !harness.Alive(worker) {
			t.Error("the worker was replaced")
		}
		s.Signal(sig)
		s.ExpectExit(0)
	}
}

// TestDrainDelayInPods: in a pod of Kubernetes it is 5 seconds unless it is set.
func TestDrainDelayInPods(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Env: []string{"KUBERNETES_SERVICE_HOST=10.0.0.1"}})
	s.Signal(syscall.SIGTERM)
	s.Log.Expect(t, `Draining in 5s`)
	s.Signal(syscall.SIGTERM)
	s.ExpectExit(0)
	s = harness.Start(t, harness.Options{Env: []string{"KUBERNETES_SERVICE_HOST=10.0.0.1"}, Args: []string{"--drain-delay", "0"}})
	s.Signal(syscall.SIGTERM)
	s.ExpectExit(0)
	if s.Log.Count(`Draining in`) > 0 {
		t.Error("there is a delay although it is 0")
	}
}
