//go:build linux

package test

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"indrik/test/harness"
)

// newRequests is how many requests new workers had, in the line of a verdict.
var newRequests = regexp.MustCompile(`Canary (passed|failed) after ([0-9.]+) s.* New: (\d+) requests?, (\d+) failed`)

// A verdict is what such a line says.
type verdict struct {
	passed   bool
	after    float64 // seconds
	requests int
	line     string
}

// deploy reloads, and returns the verdict.
func deploy(t *testing.T, s *harness.Server) verdict {
	t.Helper()
	out, errs, _ := indrik(t, s, "reload")
	m := newRequests.FindStringSubmatch(out + errs)
	if m == nil {
		t.Fatalf("no verdict: %s%s", out, errs)
	}
	after, _ := strconv.ParseFloat(m[2], 64)
	requests, _ := strconv.Atoi(m[3])
	return verdict{m[1] == "passed", after, requests, m[0]}
}

// patchy is an app that takes some milliseconds, as most do, and fails a share of requests.
func patchy(version string, fails string) string {
	return "import random\n" + tried("gthread", version, `time.sleep(min(0.2, random.lognormvariate(-5, 0.7))); status = "500 Internal Server Error" if random.random() < `+fails+` else status`)
}

// Hardly any good deploy is sent back, with windows of two seconds and an app of which one
// request in a hundred fails in any case; and code that fails two of a hundred requests is found, as
// is code of which one request in twenty takes much longer.
// It runs alone, since how long requests take counts.
func TestCanaryLong(t *testing.T) {
	if os.Getenv("INDRIK_TEST_LONG") == "" {
		t.Skip("make nightly runs it")
	}
	const good, bad = 100, 20
	s := harness.Start(t, harness.Options{
		App: "webapp:app", Args: strings.Fields("--workers 2 --threads 8 --control-socket srv.ctl"),
		Conf:  "canary = '20% for 2s'\n",
		Files: map[string]string{"webapp.py": patchy("0", "0.01")},
	})
	load := s.KeepAliveLoad(12)
	load.Progress(200)
	// A load ends after some minutes.
	renew := func() {
		for how, n := range load.Finish().Lost {
			if !strings.HasSuffix(how, "status 500") {
				t.Errorf("%d were lost: %s", n, how)
			}
		}
		load = s.KeepAliveLoad(12)
	}
	begun, total, back := time.Now(), 0, 0
	for i := range good {
		if i%20 == 19 {
			renew()
		}
		s.WriteFile("webapp.py", patchy(strconv.Itoa(i+1), "0.01"))
		v := deploy(t, s)
		total += v.requests
		if !v.passed {
			back++
			t.Logf("good deploy %d: %s", i, v.line)
		}
	}
	t.Logf("%d of %d good deploys were sent back, of %.0f requests to the new workers each, in %s", back, good, float64(total)/good, time.Since(begun).Round(time.Second))
	if back > 1 {
		t.Errorf("%d of %d good deploys were sent back", back, good)
	}
	s.WriteFile("webapp.py", patchy("good", "0"))
	s.WriteFile("gunicorn.conf.py", "canary = '20% for 30s'\n")
	for { // a good one, until it is there
		if v := deploy(t, s); v.passed {
			break
		}
	}
	found, missed := []float64{}, 0
	for range bad {
		renew()
		s.WriteFile("webapp.py", patchy("bad", "0.02"))
		v := deploy(t, s)
		switch {
		case !v.passed:
			found = append(found, v.after)
		case v.requests >= 1000: // of which less than 6 fail in one case of ten thousand
			missed++
			t.Errorf("bad deploy: %s", v.line)
			fallthrough
		default:
			s.WriteFile("webapp.py", patchy("good", "0"))
			deploy(t, s)
		}
	}
	if len(found) > 0 {
		slices.Sort(found)
		t.Logf("%d of %d deploys that fail 2 %% were sent back, after %.1f s in the median, %.1f s at most; %d were missed with many requests", len(found), bad, found[len(found)/2], found[len(found)-1], missed)
	}
	// The same for code of which one request in twenty takes thirty times as long.
	const slow = 10
	s.WriteFile("gunicorn.conf.py", "canary = '20% for 10s'\n")
	s.WriteFile("webapp.py", patchy("good", "0"))
	for {
		if v := deploy(t, s); v.passed {
			break
		}
	}
	found, missed = found[:0], 0
	for range slow {
		renew()
		s.WriteFile("webapp.py", strings.Replace(patchy("slow", "0"), "time.sleep(", "time.sleep((0.2 if random.random() < 0.05 else 0) + ", 1))
		if v := deploy(t, s); !v.passed {
			t.Log(v.line)
			found = append(found, v.after)
		} else {
			missed++
			t.Logf("missed: %s", v.line)
			s.WriteFile("webapp.py", patchy("good", "0"))
			deploy(t, s)
		}
	}
	slices.Sort(found)
	t.Logf("%d of %d deploys with a long tail were sent back", len(found), slow)
	if missed > slow/5 {
		t.Errorf("%d of %d deploys with a long tail were missed", missed, slow)
	}
	renew()
	load.Finish()
	s.Terminate()
}
