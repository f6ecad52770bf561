//go:build linux

package test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"indrik/test/harness"
)

// A workerTrace is what tests look at of `indrik trace --json`.
type workerTrace struct {
	PID     int
	Kind    string
	Running []tracedRequest
	Stacks  []struct {
		What    string
		Running *tracedRequest
		Calls   []string
	}
}

type tracedRequest struct {
	Method, Path, Client string
	Seconds              float64
}

// traces runs `indrik trace --json` with arguments.
func traces(t *testing.T, s *harness.Server, args ...string) []workerTrace {
	t.Helper()
	var answer struct{ Workers []workerTrace }
	harness.Must(t, json.Unmarshal([]byte(done(t, s, append([]string{"trace", "--json"}, args...)...)), &answer))
	return answer.Workers
}

// callOf returns the innermost call in the app of the stacks of a request, "" if there is none.
func (w *workerTrace) callOf(path string) string {
	for _, s := range w.Stacks {
		if s.Running == nil || s.Running.Path != path {
			continue
		}
		for _, c := range s.Calls {
			if strings.Contains(c, "traced.py") {
				return c[strings.LastIndex(c, " ")+1:]
			}
		}
	}
	return ""
}

func startTraced(t *testing.T, app string, gates []string, o harness.Options, args ...string) *harness.Server {
	t.Helper()
	o.App, o.Gates = app, gates
	o.Args = append(append(o.Args, "--control-socket", "srv.ctl"), args...)
	return harness.Start(t, o)
}

// The stacks of a worker say where each of its requests is, in C or in a loop, and it goes on.
func TestTrace(t *testing.T) {
	t.Parallel()
	harness.ForEachKind(t, func(t *testing.T, k harness.Kind) {
		t.Parallel()
		s := startTraced(t, "traced:app", []string{"a", "b"}, k.Options(t, "", "--timeout", "0"))
		pid := strconv.Itoa(s.Workers(1)[0])
		first := s.Begin("/wait/a?secret=1")
		s.Gates["a"].Entered()
		var spins *harness.Pending
		if k.Name == "gthread" {
			spins = s.Begin("/spin/b")
			harness.Eventually(t, "both run", func() bool {
				w := traces(t, s, pid)[0]
				return len(w.Running) == 2 && w.callOf("/spin/b") == "spin_here"
			})
		}
		for _, args := range [][]string{{pid}, {}, {"--slow", "0"}} {
			w := traces(t, s, args...)[0]
			if fmt.Sprint(w.PID) != pid || w.Kind != k.Name || !slices.ContainsFunc(w.Running, func(r tracedRequest) bool { return r.Path == "/wait/a" }) {
				t.Errorf("%v: %+v", args, w)
			}
			if call := w.callOf("/wait/a"); call != "wait_in_code" {
				t.Errorf("%v: /wait/a is in %q: %+v", args, call, w.Stacks)
			}
			if call := w.callOf("/spin/b"); spins != nil && call != "spin_here" {
				t.Errorf("%v: /spin/b is in %q: %+v", args, call, w.Stacks)
			}
		}
		text := done(t, s, "trace", pid)
		for _, part := range []string{"Worker " + pid + " (" + k.Name + ") runs ", "GET /wait/a for ", ", for 127.0.0.1, by ", "in wait_in_code"} {
			if !strings.Contains(text, part) || strings.Contains(text, "secret") {
				t.Errorf("no %q in %q", part, text)
			}
		}
		if out := done(t, s, "trace", "--slow", "3600"); out != "no worker runs such a request\n" {
			t.Errorf("%q", out)
		}
		s.Gates["a"].Release()
		s.Gates["b"].Release()
		first.Expect(200)
		if spins != nil {
			spins.Expect(200)
		}
		if got := s.Workers(1)[0]; fmt.Sprint(got) != pid {
			t.Errorf("worker %d serves, it was %s", got, pid)
		}
		s.Terminate()
	})
}

// Of ASGI the stacks are those of tasks, also of those that requests have begun, and of threads
// that they wait for; where the loop is stuck, that of its thread.
func testTraceASGI(t *testing.T, python string, args ...string) {
	ways := map[string]string{"await_here": "await_here", "in_a_task": "await_here"}
	name := filepath.Base(python)
	if !strings.HasPrefix(name, "pypy") { // whose generators do not say what they wait for
		ways["through_a_generator"] = "await_here"
	}
	if !strings.HasSuffix(name, "t") { // threads run while others look, without the GIL
		ways["in_a_thread"] = "wait_in_code"
	}
	var gates []string
	for way := range ways {
		gates = append(gates, way)
	}
	s := startTraced(t, "traced:asgi", append(gates, "stuck"), harness.Options{Python: python}, append(args, "--timeout", "0")...)
	pid := strconv.Itoa(s.Workers(1)[0])
	traces(t, s, pid) // from now on tasks and threads know their request
	var all []*harness.Pending
	for way := range ways {
		all = append(all, s.Begin("/"+way+"/"+way))
	}
	if ways["in_a_thread"] != "" {
		s.Gates["in_a_thread"].Entered()
	}
	var w workerTrace
	lacks := func() (missing []string) {
		w = traces(t, s, pid)[0]
		for way, call := range ways {
			found := false
			for _, st := range w.Stacks {
				if st.Running != nil && st.Running.Path == "/"+way+"/"+way && slices.ContainsFunc(st.Calls, func(c string) bool { return strings.HasSuffix(c, " in "+call) }) {
					found = true
				}
			}
			if !found {
				missing = append(missing, way+" with "+call)
			}
		}
		return missing
	}
	// A request runs for a while before it is where it stays.
	if !harness.Within(harness.Patience, func() bool { return len(lacks()) == 0 && len(w.Running) == len(ways) }) {
		t.Errorf("no stack of %q in %+v of %+v", lacks(), w.Stacks, w.Running)
	}
	stuck := s.Begin("/spin/stuck")
	harness.Eventually(t, "the loop is stuck", func() bool {
		w := traces(t, s, pid)[0]
		return slices.ContainsFunc(w.Stacks, func(st struct {
			What    string
			Running *tracedRequest
			Calls   []string
		}) bool {
			return len(st.Calls) > 0 && strings.HasSuffix(st.Calls[0], " in spin_here") || len(st.Calls) > 1 && strings.HasSuffix(st.Calls[1], " in spin_here")
		})
	})
	for _, g := range s.Gates {
		g.Release()
	}
	for _, p := range append(all, stuck) {
		p.Expect(200)
	}
	if w := traces(t, s, pid); len(w) != 1 || len(w[0].Stacks) == 0 {
		t.Errorf("%+v", w)
	}
	s.Terminate()
}

func TestTraceASGI(t *testing.T) {
	t.Parallel()
	for _, loop := range []string{"asyncio", "uvloop"} {
		t.Run(loop, func(t *testing.T) {
			t.Parallel()
			testTraceASGI(t, harness.Venv(t), "--asgi-loop", loop)
		})
	}
}

func TestTracePythonVersions(t *testing.T) {
	t.Parallel()
	forEachInterpreter(t, unlike, traceOfVersion)
}

func traceOfVersion(t *testing.T, path string) {
	s := startTraced(t, "traced:app", []string{"a"}, harness.Options{Python: path}, "--threads", "2")
	pid := strconv.Itoa(s.Workers(1)[0])
	first := s.Begin("/wait/a")
	s.Gates["a"].Entered()
	w := traces(t, s, pid)[0]
	if call := w.callOf("/wait/a"); call != "wait_in_code" {
		t.Errorf("/wait/a is in %q: %+v", call, w)
	}
	s.Gates["a"].Release()
	first.Expect(200)
	s.Terminate()
	testTraceASGI(t, path)
}

// A server under load that is asked for stacks again and again loses no request, and the
// memory for the stacks stays bounded.
func TestTraceUnderLoad(t *testing.T) {
	t.Parallel()
	for app, o := range map[string]harness.Options{
		"echo:app": {Args: []string{"--threads", "3"}}, "asgiapps:echo": {Python: harness.Venv(t)},
	} {
		t.Run(app, func(t *testing.T) {
			t.Parallel()
			s := startTraced(t, app, nil, o, "--workers", "2")
			old := s.Workers(2)
			keepAlive, oneShot := s.BothLoads(3)
			for range 50 {
				for _, w := range traces(t, s) {
					if len(w.Stacks) == 0 {
						t.Fatalf("worker %d shows no stacks", w.PID)
					}
				}
			}
			harness.ExpectNoneLost(t, keepAlive, oneShot)
			if now := s.Workers(2); !slices.Equal(now, old) {
				t.Errorf("workers %v, they were %v", now, old)
			}
			s.Terminate()
		})
	}
}

// What is wrong with a command is said in one line.
func TestTraceRefuses(t *testing.T) {
	t.Parallel()
	s := startTraced(t, "hello:app", nil, harness.Options{})
	s.Workers(1)
	for _, c := range []struct {
		args []string
		want string
		code int
	}{
		{[]string{"trace", "1"}, "indrik trace: Worker 1 not found\n", 1},
		{[]string{"trace", "x"}, "indrik trace: Invalid argument: \"x\" is not a number from 1 on\n", 1},
		{[]string{"trace", "--slow", "x"}, "invalid value \"x\" for flag -slow: it is not a number of seconds\n", 2},
		{[]string{"trace", "1", "--slow", "1"}, "Usage: indrik trace [PID | --slow SECONDS]", 2},
	} {
		out, errs, code := indrik(t, s, c.args...)
		if code != c.code || !strings.HasPrefix(errs, c.want) || out != "" {
			t.Errorf("%v: exit code %d, %q, %q", c.args, code, out, errs)
		}
	}
	s.Terminate()
}

// Whatever a worker does with the file for its stacks, the master goes on, and nothing of it
// does anything to a terminal or to the log.
func TestHostileStacks(t *testing.T) {
	t.Parallel()
	harmless := func(t *testing.T, text string) {
		t.Helper()
		for _, r := range text {
			if r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 || r == 0x202e {
				t.Fatalf("%U in %.300q", r, text)
			}
		}
	}
	for _, way := range []string{"escapes", "huge", "sealed", "moved", "restless", "silent"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			s := harness.Start(t, harness.Options{
				App: "dumping:app", Args: []string{"--control-socket", "srv.ctl", "--timeout", "3"},
			})
			pid := s.Workers(1)[0]
			s.Get("/" + way)
			for range 3 {
				began := time.Now()
				text := done(t, s, "trace", strconv.Itoa(pid))
				harmless(t, text)
				if took := time.Since(began); took > 20*time.Second || len(text) > 1<<20 {
					t.Errorf("%d bytes after %s", len(text), took)
				}
			}
			s.Get("/")
			if r, err := s.Request("GET", "/stuck", ""); err != nil || r.Status != 504 {
				t.Errorf("%v, %v", r, err)
			}
			s.Log.Expect(t, fmt.Sprintf(`WORKER TIMEOUT \(pid:%d\): GET /stuck after`, pid))
			s.Replaced([]int{pid}, 1)
			harmless(t, s.Log.String())
			s.Get("/")
			s.Reload(1)
			s.Terminate()
		})
	}
}
