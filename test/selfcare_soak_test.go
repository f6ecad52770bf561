//go:build linux

package test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"indrik/test/harness"
)

// selfCare has all policies of docs/selfcare.md on.
const selfCare = `
workers = "1..4"
scale_down_delay = 10
max_requests = 500
max_requests_jitter = 500
max_worker_memory = "90M"
max_worker_memory_hard = "250M"
max_worker_age = 12
max_worker_age_jitter = 6
max_memory_use = 95
recycle_budget = 1
refork_after = 200
quarantine = "request"
quarantine_time = 20
canary = "20% for 10s"
warmup = ["/warm"]
`

// caring is the app of the soak: growing:app, whose requests wait for a while, and /check, which
// fails in a bad version.
func caring(good bool) string {
	return fmt.Sprintf(`import time, growing

GOOD = %s

def app(environ, start_response):
    if environ["PATH_INFO"] == "/check":
        start_response("200 OK" if GOOD else "500 Internal Server Error", [("Content-Length", "0")])
        return [b""]
    time.sleep(0.02)
    return growing.app(environ, start_response)
`, map[bool]string{true: "True", false: "False"}[good])
}

// A soak is a server with all that it does by itself, and those who ask it.
type soak struct {
	*harness.Server
	t    *testing.T
	stop chan struct{}
	all  sync.WaitGroup

	mu                                         sync.Mutex
	sum                                        harness.Tally
	most                                       int // workers at a time
	killed, refused                            int // requests that take far too much memory
	passed, sentBack, goodBack, broken, missed int // deploys
	checks, failed                             int
}

// every does something again and again until the end.
func (s *soak) every(d time.Duration, do func()) {
	s.all.Go(func() {
		for {
			select {
			case <-s.stop:
				return
			case <-time.After(d):
				do()
			}
		}
	})
}

// load is the load that moves: much, then little. A phase has its own clients, since none lives for
// longer than some minutes.
func (s *soak) load(phase time.Duration) {
	s.all.Go(func() {
		for much := true; ; much = !much {
			loads := []*harness.Load{s.KeepAliveLoad(1)}
			if much {
				loads = append(loads, s.KeepAliveLoad(4), s.OneShotLoad(2))
			}
			ended := false
			select {
			case <-s.stop:
				ended = true
			case <-time.After(phase):
			}
			for _, l := range loads {
				s.count(l.Finish())
			}
			if ended {
				return
			}
		}
	})
}

// count adds what became of the requests of a load.
func (s *soak) count(t harness.Tally) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sum.Sent, s.sum.OK, s.sum.Closed, s.sum.Dropped = s.sum.Sent+t.Sent, s.sum.OK+t.OK, s.sum.Closed+t.Closed, s.sum.Dropped+t.Dropped
	for how, n := range t.Lost {
		s.sum.Lost[how] += n
	}
	s.sum.Slowest = max(s.sum.Slowest, t.Slowest)
}

// poison is a client whose requests take far too much memory.
func (s *soak) poison() {
	r, err := s.Request("GET", "/hold/300", "", from("203.0.113.9"))
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil:
		s.t.Errorf("the request that takes too much memory: %v", err)
	case r.Status == 503:
		s.refused++
	case r.Status == 502:
		s.killed++
	default:
		s.t.Errorf("the request that takes too much memory: %v", r)
	}
}

// check asks what a bad version fails to answer.
func (s *soak) check() {
	r, err := s.Request("GET", "/check", "")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checks++
	if err != nil || r.Status != 200 && r.Status != 500 {
		s.t.Errorf("/check: %v, %v", r, err)
	} else if r.Status == 500 {
		s.failed++
	}
}

// version writes a version of the app. Each has a file of its own, so that workers of the one before it
// that start meanwhile do not have its code.
func (s *soak) version(n int, code string) {
	s.WriteFile(fmt.Sprintf("caring%d.py", n), code)
	s.WriteFile("gunicorn.conf.py", fmt.Sprintf("%s\nwsgi_app = 'caring%d:app'\n", selfCare, n))
}

// deploys reloads again and again: good code, code that fails, and code that cannot be imported. The
// last two are not to serve, unless there were too few requests to judge by.
func (s *soak) deploys(pause time.Duration) {
	n := 0
	s.every(pause, func() {
		n++
		code := caring(n%3 != 2)
		if n%3 == 0 {
			code = "raise RuntimeError('broken')\n"
		}
		s.version(n, code)
		out, errs, exit := indrik(s.t, s.Server, "reload")
		s.mu.Lock()
		defer s.mu.Unlock()
		switch {
		case n%3 == 0 && exit == 1 && strings.Contains(errs, "RuntimeError: broken"):
			s.broken++
		case n%3 == 2 && exit == 1 && strings.Contains(errs, "Canary failed after"):
			s.sentBack++
		case n%3 == 1 && exit == 0 && strings.Contains(out, "Canary passed after"):
			s.passed++
		case n%3 == 1 && exit == 1 && strings.Contains(errs, "slower"): // on a machine that is busy with other tests
			s.goodBack++
		case n%3 == 2 && exit == 0 && strings.Contains(out, "few requests have judged it"): // likewise
			s.missed++
		default:
			s.t.Errorf("deploy %d ended with exit code %d: %s%s", n, exit, out, errs)
		}
	})
}

// A footprint is what the server takes.
type footprint struct {
	front, master, files, processes int
	pss                             int64 // MiB, of all
}

func (f footprint) String() string {
	return fmt.Sprintf("front %d KiB, master %d KiB with %d files, %d processes, PSS of all workers %d MiB", f.front, f.master, f.files, f.processes, f.pss)
}

func (s *soak) footprint() footprint {
	f := footprint{
		front: harness.ResidentKiB(s.Role("front")[0].PID), master: harness.ResidentKiB(s.PID()),
		files: harness.OpenFiles(s.PID()), processes: len(s.Tree()),
	}
	for _, w := range statusOf(s.t, s.Server).Workers {
		f.pss += w.PSS >> 20
	}
	return f
}

// TestSelfCareSoak: an app that leaks, a load that moves, deploys of good and of bad code, a client
// whose requests take far too much memory, and all policies on. No request of the others is lost, no
// more processes than the policies allow are there, and neither the master nor the front grows. Ten
// minutes long in make nightly; INDRIK_TEST_SELFCARE is another time.
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
	o := growing(t, 96, "--control-socket", "srv.ctl")
	o.App, o.Conf, o.Files["caring0.py"] = "-", selfCare+"\nwsgi_app = 'caring0:app'\n", caring(true)
	s := &soak{Server: harness.Start(t, o), t: t, stop: make(chan struct{}), sum: harness.Tally{Lost: map[string]int{}}}
	s.Gate("hold")
	s.load(min(last/8, 40*time.Second))
	s.every(time.Second, s.poison)
	s.every(100*time.Millisecond, s.check)
	s.every(50*time.Millisecond, func() { s.most = max(s.most, len(s.Role("worker"))) })
	s.deploys(15 * time.Second)
	var before footprint
	for i := range 4 {
		time.Sleep(last / 4)
		f := s.footprint()
		if i == 0 {
			before = f
		}
		t.Logf("after %s: %s", time.Duration(i+1)*last/4, f)
	}
	close(s.stop)
	s.all.Wait()
	st := statusOf(t, s.Server)
	harness.Eventually(t, "the workers of other generations and templates have left", func() bool {
		return len(s.Tree()) <= 3+st.Target+1+1 // master, front, spawner; a template, and one that is being replaced
	})
	after := s.footprint()
	t.Logf("at the end: %s", after)
	t.Logf("load: %v; at most %d workers", s.sum, s.most)
	t.Logf("recycled %v; grown %d times, shrunk %d times; %d reforks, %d failed; %d killed, %d refused, %d quarantines",
		st.Recycled, st.Scale.Grown, st.Scale.Shrunk, st.Reforks, st.FailedReforks, s.killed, s.refused, st.Front.Quarantines)
	t.Logf("deploys: %d passed, %d good ones sent back, %d bad ones sent back, %d missed, %d broken; %d of %d checks failed", s.passed, s.goodBack, s.sentBack, s.missed, s.broken, s.failed, s.checks)
	if s.sum.Losses() > 0 || s.sum.Closed > 0 || s.sum.Dropped > 0 {
		t.Errorf("requests or connections were lost: %v", s.sum)
	}
	// Two generations of four while one is tried, one of each that leaves in peace, and one that is
	// killed and not collected yet.
	if s.most > 2*(4+1)+1 {
		t.Errorf("there were %d workers", s.most)
	}
	if after.front > before.front+before.front/4+4096 || after.master > before.master+before.master/4+4096 || after.files > before.files+16 {
		t.Error("the front or the master has grown")
	}
	for _, reason := range []string{"max_requests", "max_worker_age", "max_worker_memory", "max_worker_memory_hard"} {
		if st.Recycled[reason] == 0 {
			t.Errorf("none was recycled for %s", reason)
		}
	}
	for what, n := range map[string]int{
		"growth": st.Scale.Grown, "shrinking": st.Scale.Shrunk, "refork": st.Reforks, "quarantine": s.refused, "good deploy": s.passed, "deploy sent back": s.sentBack, "broken deploy": s.broken,
	} {
		if n == 0 {
			t.Errorf("there was no %s", what)
		}
	}
	s.Terminate()
}
