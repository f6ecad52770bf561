//go:build linux

package test

import (
	"strconv"
	"testing"
	"time"
)

// TestDeadline is about what an app can ask about its request.
func TestDeadline(t *testing.T) {
	t.Parallel()
	forEachKind(t, func(t *testing.T, k kind) {
		t.Parallel()
		s := start(t, k.options(t, "asking:app", "--timeout", "2"))
		left, err := strconv.ParseFloat(s.get("/"), 64)
		if err != nil || left < 0 || left > 2.01 {
			t.Errorf("%g s are left, %v", left, err)
		}

		// One that asked for more time gets it, beyond timeout.
		g := s.gate("long")
		long := s.begin("/long")
		g.entered()
		time.Sleep(2600 * time.Millisecond)
		g.release()
		left, err = strconv.ParseFloat(long.expect(200).body, 64)
		if err != nil || left < 1 || left > 60.01 {
			t.Errorf("after an extension %g s are left, %v", left, err)
		}

		// One whose client has left is told.
		begun, gone := s.gate("begun"), s.gate("gone")
		c := s.client()
		c.send(t, format("GET", "/gone", ""))
		begun.entered()
		begun.release()
		c.Close()
		gone.entered()
		gone.release()
		if n := s.log.count("WORKER TIMEOUT"); n > 0 {
			t.Errorf("%d timeouts", n)
		}
		s.get("/")
		s.terminate()
	})
}
