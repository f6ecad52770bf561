//go:build linux

package test

import (
	"strconv"
	"testing"
	"time"

	"indrik/test/harness"
)

// TestDeadline is about what an app can ask about its request.
func TestDeadline(t *testing.T) {
	t.Parallel()
	harness.ForEachKind(t, func(t *testing.T, k harness.Kind) {
		t.Parallel()
		s := harness.Start(t, k.Options(t, "asking:app", "--timeout", "4"))
		left, err := strconv.ParseFloat(s.Get("/"), 64)
		if err != nil || left < 0 || left > 4.01 {
			t.Errorf("%g s are left, %v", left, err)
		}

		// One that asked for more time gets it, beyond timeout.
		g := s.Gate("long")
		long := s.Begin("/long")
		g.Entered()
		time.Sleep(4600 * time.Millisecond)
		g.Release()
		left, err = strconv.ParseFloat(long.Expect(200).Body, 64)
		if err != nil || left < 1 || left > 60.01 {
			t.Errorf("after an extension %g s are left, %v", left, err)
		}

		// One whose client has left is told.
		begun, gone := s.Gate("begun"), s.Gate("gone")
		c := s.Client()
		c.Send(t, harness.FormatRequest("GET", "/gone", ""))
		begun.Entered()
		begun.Release()
		c.Close()
		gone.Entered()
		gone.Release()
		s.Get("/")
		s.Terminate()
		if n := s.Log.Count("WORKER TIMEOUT"); n > 0 {
			t.Errorf("%d timeouts", n)
		}
	})
}
