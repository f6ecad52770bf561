//go:build linux

package test

import (
	"os"
	"testing"
	"time"

	"indrik/test/harness"
)

// selfCare are the settings of all policies of docs/selfcare.md that the soak has on.
var selfCare = []string{
	"--max-requests", "1500", "--max-requests-jitter", "1500", "--max-worker-memory", "80M", "--max-worker-memory-hard", "250M",
	"--max-worker-age", "20", "--max-worker-age-jitter", "10", "--max-memory-use", "95", "--recycle-budget", "1",
	"--quarantine", "request", "--quarantine-time", "20",
}

// TestSelfCareSoak: an app that leaks, a client whose requests take far too much memory, and all
// policies on. No request of the others is lost, no more processes than the budget allows are
// there, and neither the master nor the front grows. Ten minutes long in make nightly;
// INDRIK_TEST_SELFCARE is another time.
func TestSelfCareSoak(t *testing.T) {
	t.Parallel()
	last := 10 * time.Minute
	if text := os.Getenv("INDRIK_TEST_SELFCARE"); text != "" {
		var err error
		last, err = time.ParseDuration(text)
		harness.Must(t, err)
	} else if os.Getenv("INDRIK_TEST_LONG") == "" {
		t.Skip("ten minutes: a part of make nightly")
	}
	s := harness.Start(t, growing(t, 32, append([]string{"--workers", "3", "--control-socket", "srv.ctl"}, selfCare...)...))
	s.Gate("hold")
	k, l := s.BothLoads(2)
	grown := func() (front, master int) {
		return harness.ResidentKiB(s.Role("front")[0].PID), harness.ResidentKiB(s.PID())
	}
	var front, master, most, refused, killed int
	begun := time.Now()
	for time.Since(begun) < last {
		r, err := s.Request("GET", "/hold/300", "", from("203.0.113.9"))
		switch {
		case err != nil:
			t.Fatal(err)
		case r.Status == 503:
			refused++
		case r.Status == 502:
			killed++
		default:
			t.Fatalf("%v", r)
		}
		for range 20 { // the pace of that client, and looks at how many workers there are
			most = max(most, len(s.Role("worker")))
			time.Sleep(50 * time.Millisecond)
		}
		if front == 0 && time.Since(begun) > last/4 {
			front, master = grown()
		}
	}
	f, m := grown()
	harness.ExpectNoneLost(t, k, l)
	st := statusOf(t, s)
	t.Logf("recycled %v; %d killed, %d refused; at most %d workers; front %d KiB, then %d; master %d KiB, then %d; %v", st.Recycled, killed, refused, most, front, f, master, m, k.Now())
	if most > st.Target+2 { // one that leaves in peace, and one that is killed and not collected yet
		t.Errorf("there were %d workers", most)
	}
	if f > front+front/4+4096 || m > master+master/4+4096 {
		t.Error("the front or the master has grown")
	}
	for _, reason := range []string{"max_worker_memory", "max_worker_memory_hard"} {
		if st.Recycled[reason] == 0 {
			t.Errorf("none was recycled for %s", reason)
		}
	}
	if refused == 0 {
		t.Error("the client whose requests end workers was never refused")
	}
	s.Terminate()
}
