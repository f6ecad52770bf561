//go:build linux

package test

import (
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"indrik/test/harness"
)

// Clients stay with the worker that has what they need in its memory, as long as it
// lives, in each kind of worker that gets its requests one by one.
func TestWorkerAffinity(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ affinity, kind, app string }{
		{"cookie", "asgi", "asgiapps:scope"},
		{"connection", "asgi", "asgiapps:scope"},
		{"address", "asgi", "asgiapps:scope"},
		{"cookie", "gevent", "greenlets:app"},
	} {
		t.Run(tt.affinity+" "+tt.kind, func(t *testing.T) {
			t.Parallel()
			o := harness.Options{App: tt.app, Args: []string{"-k", tt.kind, "-w", "3", "--worker-affinity", tt.affinity}}
			if tt.kind == "gevent" {
				o.Python = harness.Venv(t)
			}
			s := harness.Start(t, o)
			c := s.Client() // one connection, which net/http's client does not promise
			var fields []string
			pid := func() string {
				r := c.Do(t, "GET", "/", "", fields...)
				m := regexp.MustCompile(`(?:'pid': |^)(\d+)`).FindStringSubmatch(r.Body)
				if r.Status != 200 || m == nil {
					t.Fatalf("no pid: %v", r)
				}
				if r.Has("Set-Cookie") {
					cookie, _, _ := strings.Cut(r.Get("Set-Cookie"), ";")
					fields = []string{"Cookie: " + cookie}
				}
				return m[1]
			}
			home := pid()
			for range 8 {
				if got := pid(); got != home {
					t.Fatalf("worker %s, and then %s", home, got)
				}
			}
			// When it has died another one takes its place, for good.
			n, _ := strconv.Atoi(home)
			harness.Kill(t, n, syscall.SIGKILL)
			s.Log.Expect(t, `Worker \(pid:`+home+`\) was sent SIGKILL`)
			next := pid()
			for range 8 {
				if got := pid(); got != next || got == home {
					t.Fatalf("after %s had died: worker %s, and then %s", home, next, got)
				}
			}
			s.Terminate()
		})
	}
	s := harness.Start(t, harness.Options{Args: []string{"--worker-affinity", "cookie"}})
	s.Log.Expect(t, `WARNING\] worker_affinity = cookie has no effect: workers of kind sync take their requests from one queue`)
	s.Terminate()
}
