//go:build linux

package test

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"indrik/test/harness"
)

// TestFrontKnowsTheKindOfTheApp: a front that takes the place of one that died must
// not take an ASGI app, which shows only when it is imported, for one of WSGI: a
// handshake of WebSocket would get a 200.
func TestFrontKnowsTheKindOfTheApp(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "sockets:app"})
	var wrong, opened atomic.Int32
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				ws, err := s.TryWebSocket("/echo")
				if err != nil {
					continue // the front has just died
				}
				if ws.Head.Status == 200 {
					wrong.Add(1)
				} else {
					opened.Add(1)
				}
				ws.Close()
			}
		})
	}
	for range 6 {
		front := s.Role("front")[0].PID
		harness.Kill(t, front, syscall.SIGKILL)
		harness.WaitGone(t, front)
		before := opened.Load()
		harness.Eventually(t, "handshakes succeed again", func() bool { return opened.Load() > before+5 })
	}
	close(stop)
	wg.Wait()
	if n := wrong.Load(); n > 0 {
		t.Errorf("%d handshakes got a 200, %d a connection", n, opened.Load())
	}
	s.Terminate()
}

// descriptors is how many a process has open.
func descriptors(pid int) int {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return len(entries)
}

// TestReloadsKeepNoDescriptors: what belonged to processes that have ended is closed
// with them, and not when the garbage collector finds it.
func TestReloadsKeepNoDescriptors(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Args: []string{"--threads", "2"}})
	s.Reload(1)
	harness.Eventually(t, "one spawner is left", func() bool { return len(s.Role("spawner")) == 1 })
	before := descriptors(s.PID())
	for range 8 {
		s.Reload(1)
	}
	front := s.Role("front")[0].PID
	harness.Kill(t, front, syscall.SIGKILL)
	harness.WaitGone(t, front)
	s.Get("/")
	last := 0
	if !harness.Within(harness.Patience, func() bool { last = descriptors(s.PID()); return last <= before }) {
		t.Errorf("the master has %d descriptors, %d before the reloads", last, before)
	}
	s.Terminate()
}
