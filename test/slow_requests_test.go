//go:build linux

package test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"indrik/test/harness"
)

// A slowRequest is what `indrik status --json` and the log in JSON tell of one.
type slowRequest struct {
	Method, Path, Client string
	PID                  int
	Waited, Ran          float64
	Ended                bool
	Stack                []string
}

// slowRequests returns the slow requests that `indrik status --json` tells of.
func slowRequests(t *testing.T, s *harness.Server) (slow []slowRequest) {
	t.Helper()
	var st struct{ Slow json.RawMessage }
	harness.Must(t, json.Unmarshal([]byte(done(t, s, "status", "--json")), &st))
	harness.Must(t, json.Unmarshal(st.Slow, &slow))
	return slow
}

// A request that runs for too long has one line in the log, with the place where it is, while
// it runs; the query is nowhere.
func TestSlowRequestLog(t *testing.T) {
	t.Parallel()
	harness.ForEachKind(t, func(t *testing.T, k harness.Kind) {
		t.Parallel()
		s := startTraced(t, "traced:app", []string{"a"}, k.Options(t, "", "--slow-request-log", "2", "--request-id-header", "X-Id"))
		pid := s.Workers(1)[0]
		s.Get("/")
		first := s.Begin("/wait/a?secret=1")
		s.Gates["a"].Entered() // before it is slow
		m := s.Log.Expect(t, fmt.Sprintf(`\[WARNING\] Slow request \(pid:%d\): GET /wait/a has run for (\d+\.\d{3}) s after \d+\.\d{3} s in the queue \(request [0-9a-f]{32}\)$`, pid))
		if ran, _ := strconv.ParseFloat(m[1], 64); ran < 2 || ran > 20 {
			t.Errorf("it has run for %s s", m[1])
		}
		s.Log.ExpectFrom(t, 0, `^  File ".*traced.py", line \d+ in wait_in_code$`)
		found := slices.DeleteFunc(slowRequests(t, s), func(r slowRequest) bool { return r.Path == "/" }) // the machine has other things to do
		if len(found) != 1 || found[0].Path != "/wait/a" || found[0].Method != "GET" || found[0].Client != "127.0.0.1" || found[0].PID != pid || found[0].Ended ||
			!strings.Contains(strings.Join(found[0].Stack, "\n"), "in wait_in_code") {
			t.Errorf("%+v", found)
		}
		if text := done(t, s, "status"); !strings.Contains(text, "had run GET /wait/a for ") || strings.Contains(text, "secret") {
			t.Errorf("%s", text)
		}
		s.Gates["a"].Release()
		first.Expect(200)
		s.Get("/")
		s.Terminate()
		if n := s.Log.Count(`Slow request .*/wait/a`); n != 1 {
			t.Errorf("%d lines", n)
		}
		if strings.Contains(s.Log.String(), "secret") {
			t.Error("the query is in the log")
		}
	})
}

// A request that ends before it was looked at has a line as well: each has one.
func TestSlowRequestsBetweenScans(t *testing.T) {
	t.Parallel()
	s := startTraced(t, "traced:app", nil, harness.Options{}, "--slow-request-log", "0.02", "--threads", "4")
	s.Workers(1)
	for range 10 {
		s.Get("/sleep/0.03")
	}
	harness.Eventually(t, "each has a line", func() bool { return s.Log.Count(`Slow request .* GET /sleep/0.03 (has run|ran) for \d+\.`) == 10 })
	kept := 0
	for _, r := range slowRequests(t, s) { // others may be, too: the machine has other things to do
		if r.Path == "/sleep/0.03" {
			kept++
		}
	}
	if kept != 10 {
		t.Errorf("%d are kept", kept)
	}
	s.Terminate()
}

// The slow requests of a loop show the task that runs for them; a loop that is stuck shows
// where that is. In JSON what is known is in fields.
func TestSlowRequestLogASGI(t *testing.T) {
	t.Parallel()
	s := startTraced(t, "traced:asgi", []string{"a", "b"}, harness.Options{Python: harness.Venv(t)},
		"--slow-request-log", "2", "--timeout", "0", "--log-format", "json")
	pid := s.Workers(1)[0]
	waits := s.Begin("/await_here/a")
	line := s.Log.ExpectFrom(t, 0, `^\{.*"message":"Slow request \(pid:\d+\): GET /await_here/a has run for .*\}$`)[0]
	var entry struct {
		Level       string
		SlowRequest slowRequest `json:"slow_request"`
	}
	harness.Must(t, json.Unmarshal([]byte(line), &entry))
	if r := entry.SlowRequest; entry.Level != "warning" || r.Path != "/await_here/a" || r.PID != pid || r.Ran < 2 || !strings.Contains(strings.Join(r.Stack, "\n"), "in await_here") {
		t.Errorf("%s", line)
	}
	s.Gates["a"].Release()
	waits.Expect(200)
	stuck := s.Begin("/spin/b")
	line = s.Log.ExpectFrom(t, 0, `^\{.*"message":"Slow request \(pid:\d+\): GET /spin/b has run for [^"]*; the event loop is stuck.*\}$`)[0]
	if !strings.Contains(line, "in spin_here") {
		t.Errorf("%s", line)
	}
	s.Gates["b"].Release()
	stuck.Expect(200)
	s.Terminate()
}

// Without the setting nothing is slow.
func TestNoSlowRequestLog(t *testing.T) {
	t.Parallel()
	s := startTraced(t, "traced:app", nil, harness.Options{})
	s.Workers(1)
	s.Get("/sleep/0.6")
	if found := slowRequests(t, s); len(found) != 0 {
		t.Errorf("%+v", found)
	}
	s.Terminate()
	if s.Log.Count(`Slow request`) != 0 {
		t.Error("there is a line")
	}
}
