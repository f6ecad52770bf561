//go:build linux

package test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"indrik/test/harness"
)

// tried is an app whose answers tell which text it was loaded from, and which load clients
// accept. Requests for anything else than its version run extra first: Python with the name n,
// the number of such requests that the worker has had, this one included.
func tried(kind, version, extra string) string {
	if kind != "asgi" {
		return fmt.Sprintf(`import itertools, os, time
VERSION = %q
COUNT = itertools.count(1)

def app(environ, start_response):
    path, status = environ["PATH_INFO"], "200 OK"
    if path == "/version":
        body = VERSION.encode()
    else:
        n = next(COUNT)
        body = path.encode("latin-1") + b"\n" + environ["wsgi.input"].read()
        %s
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
`, version, extra)
	}
	return fmt.Sprintf(`import itertools, os, time
VERSION = %q
COUNT = itertools.count(1)

async def app(scope, receive, send):
    assert scope["type"] == "http"
    path, status, body, more = scope["path"], "200 OK", b"", True
    while more:
        event = await receive()
        body, more = body + event.get("body", b""), event.get("more_body", False)
    if path == "/version":
        body = VERSION.encode()
    else:
        n = next(COUNT)
        body = path.encode("latin-1") + b"\n" + body
        %s
    await send({"type": "http.response.start", "status": int(status[:3]), "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
`, version, extra)
}

// expectLostBy fails the test if requests were lost in other ways than one.
func expectLostBy(t *testing.T, reason *regexp.Regexp, loads ...*harness.Load) (n int) {
	t.Helper()
	for _, l := range loads {
		sum := l.Finish()
		t.Logf("%v", sum)
		for how, count := range sum.Lost {
			if !reason.MatchString(how) {
				t.Errorf("%d were lost: %s", count, how)
			}
			n += count
		}
	}
	return n
}

// passedAfter reports whether a text has the verdict that new workers are good, after so many
// seconds or a little more.
func passedAfter(text string, seconds float64) bool {
	m := regexp.MustCompile(`Canary passed after ([0-9.]+) s`).FindStringSubmatch(text)
	if m == nil {
		return false
	}
	after, err := strconv.ParseFloat(m[1], 64)
	return err == nil && after >= seconds
}

// Good code takes over, bad code is sent back, and nothing is lost but what the bad code itself
// has lost.
func TestCanaryUnderLoad(t *testing.T) {
	t.Parallel()
	for kind, args := range map[string]string{"sync": "--workers 2", "gthread": "--workers 2 --threads 4", "asgi": "--workers 2 -k asgi"} {
		for _, c := range []struct {
			name  string
			plan  string // of bad code: long enough for some requests, however few there are; it need not be over
			extra string
			says  string // by the verdict, if it is a bad one
			lost  string // how requests may be lost
		}{
			{"good", "20% for 3s", "pass", "", "^$"},
			{"fails", "20% for 60s", `status = "500 Internal Server Error" if n % 3 == 0 else status`, "it fails more often", "^(kept connection: |new connection: )?status 500"},
			{"dies", "20% for 60s", `os._exit(3) if n % 5 == 0 else None`, "it fails more often", "^(kept connection: |new connection: )?status 502"},
			{"slow", "20% for 30s", `time.sleep(0.3)`, "slower", "^$"},
		} {
			t.Run(kind+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				s := harness.Start(t, harness.Options{
					App: "webapp:app", Args: strings.Fields(args + " --control-socket srv.ctl --keep-alive 75"),
					Conf:  "canary = '" + c.plan + "'\n",
					Files: map[string]string{"webapp.py": tried(kind, "old", "pass")},
				})
				before := s.Workers(2)
				k, o := s.BothLoads(4)
				k.Progress(50)
				s.WriteFile("webapp.py", tried(kind, "new", c.extra))
				out, errs, code := indrik(t, s, "reload")
				for range 9 { // a machine that is busy with other tests can make new workers slower in earnest
					if c.says != "" || code == 0 || !strings.Contains(errs, "slower") {
						break
					}
					out, errs, code = indrik(t, s, "reload")
				}
				k.Progress(50)
				o.Progress(50)
				want := "new"
				if c.says == "" {
					if code != 0 || !passedAfter(out, 3) {
						t.Errorf("exit code %d, %s%s", code, out, errs)
					}
					s.Replaced(before, 2)
				} else {
					want = "old"
					if code != 1 || !strings.Contains(errs, "Canary failed after") || !strings.Contains(errs, c.says) {
						t.Errorf("exit code %d, %s%s", code, out, errs)
					}
					harness.Eventually(t, "the old workers are the only ones", func() bool {
						now := s.Role("worker")
						return len(now) == 2 && now[0].PID == before[0] && now[1].PID == before[1] && len(s.Role("spawner")) == 1
					})
				}
				for range 20 {
					if got := s.Get("/version"); got != want {
						t.Errorf("after it the app is version %s", got)
					}
				}
				lost := expectLostBy(t, regexp.MustCompile(c.lost), k, o)
				if (c.name == "fails" || c.name == "dies") && lost == 0 {
					t.Error("the bad code has lost nothing")
				}
				s.Terminate()
			})
		}
	}
}

// The share is exact, and the status, the metrics and the log show what is under way; a dry run
// says what it would do, and does not do it.
func TestCanaryShare(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{
		App: "webapp:app", Args: strings.Fields("--workers 2 --control-socket srv.ctl"),
		Conf:  "canary = '10% for 1h'\nselfcare_dry_run = 'canary'\n",
		Files: map[string]string{"webapp.py": tried("sync", "old", "pass")},
	})
	s.WriteFile("webapp.py", tried("sync", "new", `status = "500 Internal Server Error"`))
	s.Signal(syscall.SIGHUP)
	s.Log.Expect(t, `Canary: generation 2 gets 10% of the requests for 3600 s \(dry run: it takes over in any case\)`)
	c := s.Client()
	harness.Eventually(t, "new workers get requests", func() bool { return c.Do(t, "GET", "/version", "").Body == "new" })
	share := 0
	for range 200 {
		if c.Do(t, "GET", "/version", "").Body == "new" {
			share++
		}
	}
	if share < 19 || share > 21 { // the first ten of ten may have begun before
		t.Errorf("%d of 200 requests went to the new workers", share)
	}
	harness.Eventually(t, "the status has them", func() bool {
		st := statusOf(t, s)
		return st.State == "judging" && st.Canary != nil && st.Canary.New.Requests > share && st.Canary.New.Requests+st.Canary.Old.Requests > 200
	})
	if out := done(t, s, "status"); !strings.Contains(out, "Canary: generation 2 has had 10 % of the requests") || !strings.Contains(out, fmt.Sprintf("new: %d requests, 0 failed", share+1)) {
		t.Errorf("the status for people:\n%s", out)
	}
	harness.Eventually(t, "it is judged", func() bool {
		for range 40 {
			c.Do(t, "GET", "/", "")
		}
		return statusOf(t, s).Canaries.WouldFail == 1
	})
	s.Log.Expect(t, `Canary \(dry run\) would have failed after .* s: it fails more often \(evidence .*\)\. New: .* requests, .* failed .*\. Old: .* requests, 0 failed`)
	if got := s.Get("/version"); got != "new" {
		t.Errorf("after a dry run the app is version %s", got)
	}
	s.Terminate()
}

// Whatever else the operator does while new workers are tried, nothing is lost.
func TestCanaryInterrupted(t *testing.T) {
	t.Parallel()
	for name, interrupt := range map[string]func(*testing.T, *harness.Server){
		"HUP": func(t *testing.T, s *harness.Server) {
			s.WriteFile("webapp.py", tried("sync", "newer", "pass"))
			s.Signal(syscall.SIGHUP)
			s.Log.Expect(t, `Canary: generation 3 gets`)
		},
		"TTIN": func(t *testing.T, s *harness.Server) {
			s.Signal(syscall.SIGTTIN)
			s.Workers(5)
		},
		"a worker killed": func(t *testing.T, s *harness.Server) {
			all := s.Role("worker")
			harness.Kill(t, all[len(all)-1].PID, syscall.SIGTERM)
			harness.Eventually(t, "another is in its place", func() bool {
				now := s.Role("worker")
				return len(now) == 4 && now[3].PID != all[3].PID
			})
		},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			s := harness.Start(t, harness.Options{
				App: "webapp:app", Args: strings.Fields("--workers 2 --control-socket srv.ctl"),
				Conf:  "canary = '20% for 12s'\n", // in which the interruption comes
				Files: map[string]string{"webapp.py": tried("sync", "old", "pass")},
			})
			before := s.Workers(2)
			k, o := s.BothLoads(3)
			s.WriteFile("webapp.py", tried("sync", "new", "pass"))
			s.Signal(syscall.SIGHUP)
			s.Log.Expect(t, `Canary: generation 2 gets`)
			k.Progress(20)
			interrupt(t, s)
			k.Progress(20)
			s.Log.Expect(t, `Canary (passed|failed) after`)
			if s.Log.Count(`Canary failed after .* slower`) > 0 {
				// It is, on a machine that is busy with other tests.
				harness.ExpectNoneLost(t, k, o)
				s.Terminate()
				return
			}
			n := 2
			if name == "TTIN" {
				n = 3
			}
			s.Replaced(before, n)
			harness.ExpectNoneLost(t, k, o)
			s.Terminate()
		})
	}
}

// reload --canary tries new workers though the setting does not, and waits for the verdict.
func TestReloadCanary(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{
		App: "webapp:app", Args: strings.Fields("--workers 1 --control-socket srv.ctl"),
		Files: map[string]string{"webapp.py": tried("sync", "old", "pass")},
	})
	s.WriteFile("webapp.py", tried("sync", "new", "pass"))
	begun := time.Now()
	out := done(t, s, "reload", "--canary", "50%", "for", "2s")
	if !passedAfter(out, 2) || !strings.Contains(out, "nothing has judged it") {
		t.Errorf("%s", out)
	}
	if d := time.Since(begun); d < 2*time.Second {
		t.Errorf("it has taken %s", d)
	}
	if got := s.Get("/version"); got != "new" {
		t.Errorf("the app is version %s", got)
	}
	for text, want := range map[string]string{
		"often":      "not a share and a time, such as 5% for 60s",
		"70% for 2s": "is not between 0.1% and 50%",
	} {
		if _, errs, code := indrik(t, s, "reload", "--canary", text); code != 1 || !strings.Contains(errs, want) {
			t.Errorf("%s: exit code %d, %s", text, code, errs)
		}
	}
	s.WriteFile("webapp.py", tried("sync", "worse", `status = "503 Service Unavailable"`))
	ended := make(chan int, 1)
	go func() {
		_, _, code := indrik(t, s, "reload", "--canary", "50% for 60s")
		ended <- code
	}()
	s.Log.Expect(t, `Canary: generation 3 gets 50% of the requests for 60 s`)
	c := s.Client()
	for code := -1; code < 0; {
		c.Do(t, "GET", "/", "")
		select {
		case code = <-ended:
			if code != 1 {
				t.Errorf("a canary that fails: exit code %d", code)
			}
		default:
		}
	}
	if got := s.Get("/version"); got != "new" {
		t.Errorf("the app is version %s", got)
	}
	if n := s.Log.Count(`Canary failed after .*evidence`); n != 1 {
		t.Errorf("%d lines of the verdict", n)
	}
	s.Terminate()
}
