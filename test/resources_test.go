//go:build linux

package test

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"indrik/test/harness"

	"golang.org/x/sys/unix"
)

// spare leaves a process so many descriptors more than it has.
func spare(t *testing.T, pid, free int) (restore func()) {
	t.Helper()
	var was unix.Rlimit
	harness.Must(t, unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &was))
	low := was
	// The limit is one more than the greatest descriptor: all holes are below it.
	low.Cur = uint64(descriptors(pid) + free)
	harness.Must(t, unix.Prlimit(pid, unix.RLIMIT_NOFILE, &low, nil))
	return func() { harness.Must(t, unix.Prlimit(pid, unix.RLIMIT_NOFILE, &was, nil)) }
}

// TestReloadWithoutDescriptors: whatever is missing, in the master or in the front, a
// reload is done whole or fails whole, and says why.
func TestReloadWithoutDescriptors(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"master", "front"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			s := harness.Start(t, harness.Options{Args: []string{"--threads", "3"}})
			c := s.Client() // it needs no descriptor later
			c.Do(t, "GET", "/", "")
			pid := s.PID()
			if role == "front" {
				pid = s.Role("front")[0].PID
			}
			failures := 0
			// Each step of the reload meets the end of the descriptors once.
			for _, free := range []int{0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 18} {
				old := s.Workers(1)
				mark := s.Log.Mark()
				restore := spare(t, pid, free)
				s.Signal(syscall.SIGHUP)
				failed := false
				if !harness.Within(harness.Patience, func() bool {
					_, _, failed = s.Log.Wait(mark, `Reload failed, nothing was changed`, 1)
					now := s.Role("worker")
					return failed || len(now) == 1 && now[0].PID != old[0]
				}) {
					t.Fatalf("with %d descriptors left the reload neither succeeds nor fails", free)
				}
				if failed {
					failures++
					s.Log.ExpectFrom(t, mark, `the limit is RLIMIT_NOFILE \d+, how many descriptors`)
					if got := s.Workers(1); !slices.Equal(got, old) {
						t.Errorf("with %d left: worker %d serves, %d did before", free, got, old)
					}
				}
				harness.Must(t, c.SetDeadline(time.Now().Add(harness.Patience)))
				for range 3 {
					if r := c.Do(t, "GET", "/", ""); r.Status != 200 {
						t.Errorf("with %d left: %v", free, r)
					}
				}
				restore()
			}
			if failures < 3 {
				t.Errorf("only %d reloads have failed", failures)
			}
			s.Reload(1)
			s.Get("/")
			s.Terminate()
		})
	}
}

// TestStartWithoutResources: a start that lacks something ends, with a code that is
// documented and the name of the limit, and leaves nothing behind.
func TestStartWithoutResources(t *testing.T) {
	t.Parallel()
	for _, limit := range []string{"-n 12", "-n 18", "-n 21", "-n 24", "-n 28", "-n 34", "-f 2", "-f 10", "-f 900"} {
		t.Run(limit, func(t *testing.T) {
			t.Parallel()
			s := harness.Launch(t, harness.Options{Wrap: []string{"sh", "-c", "ulimit " + limit + `; exec "$@"`, "sh"}, Args: []string{"--threads", "3"}})
			served := false
			if !harness.Within(harness.Patience, func() bool {
				if !s.Running() {
					return true
				}
				r, err := s.Request("GET", "/", "")
				served = err == nil && r.Status == 200
				return served
			}) {
				t.Fatalf("it neither serves nor ends:\n%s", harness.ProcLines(s.Tree()))
			}
			if served {
				s.Terminate()
				return
			}
			code := s.Exit()
			s.ExpectExit(code)
			name := map[string]string{"-n": "RLIMIT_NOFILE|Too many open files|too many open files", "-f": "RLIMIT_FSIZE"}[limit[:2]]
			if s.Log.Count(name) == 0 {
				t.Errorf("no line says which limit")
			}
			if !slices.Contains([]int{1, 3, 71}, code) || strings.HasPrefix(limit, "-f") && code != 71 {
				t.Errorf("code %d", code)
			}
		})
	}
}

// TestStartWithoutProcesses: where nothing can be forked the start ends, with the name
// of the limit.
func TestStartWithoutProcesses(t *testing.T) {
	t.Parallel()
	if syscall.Getuid() != 0 {
		t.Skip("another user's processes would count")
	}
	python := harness.SystemPython()
	if python == "" {
		t.Skip("no Python that every user can run")
	}
	const uid = 41234
	// preload_app: the app takes the rest of what the user may have, so that it is
	// the fork of a worker that fails.
	app := "import resource\nresource.setrlimit(resource.RLIMIT_NPROC, (1, 1))\n" + versioned("1")
	s := harness.Launch(t, harness.Options{
		App: "webapp:app", UID: uid, Python: python, Args: []string{"--preload"}, Files: map[string]string{"webapp.py": app},
	})
	s.ExpectExit(71)
	s.Log.Expect(t, `cannot fork a worker: .*RLIMIT_NPROC`)
	if n := s.Log.Count(`Traceback`); n > 0 {
		t.Errorf("%d tracebacks", n)
	}
}
