//go:build linux

package test

import (
	"strconv"
	"strings"
	"testing"

	"indrik/test/harness"
)

// poisoned returns the options of a server of the app that some requests end.
func poisoned(t testing.TB, args ...string) harness.Options {
	t.Helper()
	return harness.Options{
		App: "poisoned:app", Args: args,
		Files: map[string]string{"poisoned.py": harness.TestFile(t, "apps/poisoned.py"), "gate.py": harness.TestFile(t, "apps/gate.py")},
	}
}

// from is the field by which the trusted proxy that the tests are names a client.
func from(client string) string { return "X-Forwarded-For: " + client }

// expectStatus asks for a target as a client and fails the test unless the status is as wanted.
func expectStatus(t *testing.T, s *harness.Server, client, target string, want int) *harness.Response {
	t.Helper()
	r, err := s.Request("GET", target, "", from(client))
	if err != nil || r.Status != want {
		t.Fatalf("%s from %s: %v, %v, want %d", target, client, r, err, want)
	}
	return r
}

// runs returns how many requests have ended a worker.
func runs(s *harness.Server) int { return strings.Count(s.ReadFile("runs"), "\n") }

// TestPoisonRequestRunsOnce: what has ended a worker is not given to another one.
func TestPoisonRequestRunsOnce(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{"sync": nil, "gthread": {"--threads", "4"}, "asgi": {"-k", "asgi"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := poisoned(t, append(args, "--workers", "3")...)
			if name == "asgi" {
				o.App = "poisoned:asgi"
			}
			s := harness.Start(t, o)
			for i, target := range []string{"/poison", "/exit", "/poison"} {
				if r, err := s.Request([]string{"GET", "POST"}[i%2], target, strings.Repeat("x", i)); err != nil || r.Status != 502 {
					t.Errorf("%s: %v, %v", target, r, err)
				}
				if got := runs(s); got != i+1 {
					t.Errorf("%s has run %d times", target, got-i)
				}
			}
			s.Workers(3)
			s.Terminate()
		})
	}
}

// TestQuarantine: who has ended three workers is refused, whether he asks again or has asked
// already; the others get their answers, and may even ask for the same; later he may again.
func TestQuarantine(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{"sync": nil, "gthread": {"--threads", "4"}, "asgi": {"-k", "asgi"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := poisoned(t, append(args, "--workers", "3", "--quarantine", "request", "--quarantine-time", "9", "--quarantine-window", "300", "--control-socket", "srv.ctl")...)
			if name == "asgi" {
				o.App = "poisoned:asgi"
			}
			s := harness.Start(t, o)
			for range 3 {
				expectStatus(t, s, "203.0.113.1", "/poison", 502)
			}
			s.Log.Expect(t, `\[WARNING\] Quarantine: answering requests of 203\.0\.113\.1 to /poison with 503 for 9 s: 3 workers have died of them in \d`)
			for _, form := range []string{"/poison", "/poison?other=query", "/%70oison"} {
				if after := expectStatus(t, s, "203.0.113.1", form, 503).Get("Retry-After"); after == "" || len(after) > 1 || after < "1" {
					t.Errorf("Retry-After: %s", after)
				}
			}
			harness.Eventually(t, "the status has it", func() bool {
				front := statusOf(t, s).Front // nil if it has not answered the master in time
				return front != nil && len(front.Quarantine) == 1 && front.Quarantine[0].Client == "203.0.113.1" && front.Quarantine[0].Refused >= 3 && front.Quarantines == 1
			})
			expectStatus(t, s, "203.0.113.1", "/else", 200)
			expectStatus(t, s, "203.0.113.2", "/poison", 502)
			if got := runs(s); got != 4 {
				t.Errorf("it has run %d times", got)
			}
			s.Log.Expect(t, `\[INFO\] Quarantine: requests of 203\.0\.113\.1 to /poison are answered again; \d+ were refused`)
			expectStatus(t, s, "203.0.113.1", "/poison", 502)
			s.Workers(3)
			s.Terminate()
		})
	}
}

// TestQuarantineOfWhatWaits: a client has a hundred requests in the queue that each end a worker.
// They do not end them one after the other.
func TestQuarantineOfWhatWaits(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, poisoned(t, "--workers", "2", "--quarantine", "request", "--quarantine-time", "300"))
	gate := s.Gate("wait")
	held := []*harness.Pending{s.Begin("/wait"), s.Begin("/wait")}
	gate.Entered()
	bad := make([]*harness.Client, 100)
	for i := range bad {
		bad[i] = s.Client()
		bad[i].Send(t, harness.FormatRequest("GET", "/poison", "", from("203.0.113.1")))
	}
	good := make([]*harness.Client, 20)
	for i := range good {
		good[i] = s.Client()
		good[i].Send(t, harness.FormatRequest("GET", "/good", "", from("203.0.113.2")))
	}
	gate.Release()
	for _, p := range held {
		p.Expect(200)
	}
	byStatus := map[int]int{}
	for _, c := range bad {
		byStatus[c.Receive(t, "GET").Status]++
	}
	for _, c := range good {
		if r := c.Receive(t, "GET"); r.Status != 200 {
			t.Errorf("another client got %v", r)
		}
	}
	// Three deaths, and what the slots had claimed meanwhile: the front hears of a death before
	// the master has judged it.
	if n := runs(s); n > 20 || byStatus[502] != n || byStatus[503] != len(bad)-n {
		t.Errorf("%d have run; by status: %v", n, byStatus)
	}
	t.Logf("%d of %d have run", runs(s), len(bad))
	s.Workers(2)
	s.Terminate()
}

// TestQuarantineScopes: a client with many paths, a path with many clients; and SIGKILL from
// outside is nobody's fault.
func TestQuarantineScopes(t *testing.T) {
	t.Parallel()
	t.Run("client", func(t *testing.T) {
		t.Parallel()
		s := harness.Start(t, poisoned(t, "--workers", "2", "--quarantine", "request,client", "--quarantine-deaths", "2"))
		expectStatus(t, s, "203.0.113.1", "/poison", 502)
		expectStatus(t, s, "203.0.113.1", "/exit", 502)
		s.Log.Expect(t, `Quarantine: answering requests of 203\.0\.113\.1 with 503 for 60 s: 2 workers have died of them`)
		expectStatus(t, s, "203.0.113.1", "/", 503)
		expectStatus(t, s, "203.0.113.2", "/", 200)
		s.Terminate()
	})
	t.Run("path", func(t *testing.T) {
		t.Parallel()
		s := harness.Start(t, poisoned(t, "--workers", "2", "--quarantine", "path", "--quarantine-deaths", "2"))
		for range 3 {
			expectStatus(t, s, "203.0.113.1", "/exit", 502) // one client alone cannot close it
		}
		expectStatus(t, s, "203.0.113.2", "/exit", 502)
		s.Log.Expect(t, `Quarantine: answering requests to /exit with 503 for 60 s: 2 workers have died of them`)
		expectStatus(t, s, "203.0.113.3", "/exit", 503)
		expectStatus(t, s, "203.0.113.3", "/poison", 502)
		s.Terminate()
	})
	t.Run("dry run", func(t *testing.T) {
		t.Parallel()
		s := harness.Start(t, poisoned(t, "--workers", "2", "--quarantine", "request", "--quarantine-deaths", "2", "--selfcare-dry-run", "all"))
		for range 4 {
			expectStatus(t, s, "203.0.113.1", "/exit", 502)
		}
		s.Log.Expect(t, `Dry run: quarantine would answer requests of 203\.0\.113\.1 to /exit with 503 for 60 s: 2 workers have died of them`)
		s.Terminate()
	})
	t.Run("killed", func(t *testing.T) {
		t.Parallel()
		s := harness.Start(t, poisoned(t, "--workers", "1", "--quarantine", "request,client,path", "--quarantine-deaths", "1"))
		for i := range 3 {
			gate := s.Gate("wait")
			p := s.Begin("/wait?" + strconv.Itoa(i))
			gate.Entered()
			harness.Kill(t, s.Workers(1)[0], 9)
			p.Expect(502)
			gate.Release()
		}
		s.Get("/wait")
		if n := s.Log.Count("Quarantine"); n > 0 {
			t.Errorf("%d quarantines", n)
		}
		s.Terminate()
	})
}
