package status_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
	"unicode"

	"indrik/internal/status"
)

func ExampleStatus_WriteText() {
	s := &status.Status{
		Version: "1.2.3", State: "running", Role: "master", PID: 558, Uptime: 10_800, App: "shop:app", Generation: 2, Target: 1,
		Listeners: []status.Listener{{Address: "127.0.0.1:8000"}},
		Workers: []status.Worker{{
			PID: 631, Age: 3, Generation: 2, Kind: "sync", State: "ready", Uptime: 70, RSS: 16 << 20, PSS: 6 << 20, CPU: 9.1,
			Load: status.Load{Requests: 81244, Errors: 1, InFlight: 1, Running: []status.Running{{Method: "GET", Path: "/report", Client: "10.0.0.7", Seconds: 4.1}}},
		}},
		Front: &status.Front{
			Queue:       status.Queue{Length: 3, Oldest: 0.25, WaitP50: 0.00017, WaitP99: 0.002, Refused: 7},
			Connections: status.Connections{Total: 42, Idle: 40, Running: 2}, Unlisted: 2,
		},
		LastReload: &status.Reload{At: time.Date(2026, 11, 30, 1, 2, 3, 0, time.UTC), Seconds: 0.4, Reason: "Traceback\nValueError: x"},
		Deaths: []status.Death{{
			At: time.Date(2026, 11, 30, 1, 0, 0, 0, time.UTC), PID: 600, Age: 1, Reason: "was sent SIGKILL",
			Running: []status.Running{{Method: "GET", Path: "/a", Seconds: 1}, {Method: "PUT", Path: "/b", Seconds: 130}},
		}},
		Slow: []status.SlowRequest{
			{At: time.Date(2026, 11, 30, 1, 0, 0, 0, time.UTC), Method: "GET", Path: "/report", PID: 631, Ran: 1.2, Stack: []string{`File "/srv/views.py", line 7 in report`, `File "/srv/app.py", line 3 in app`}},
			{At: time.Date(2026, 11, 30, 0, 59, 0, 0, time.UTC), Method: "GET", Path: "/short", PID: 633, Ran: 1.1, Ended: true},
		},
	}
	_ = s.WriteText(os.Stdout)
	// Output:
	// indrik 1.2.3 (pid 558) is running, since 3 h: shop:app
	// Listening at 127.0.0.1:8000
	// Queue: 3 waiting, the oldest for 250 ms; in the last minute half waited up to 170 µs, 99 % up to 2 ms; 7 refused
	// Connections: 42, 40 idle, 2 waiting for a response
	// Workers: 1 of 1, generation 2
	//   PID  AGE  GEN  KIND  STATE  UPTIME  REQUESTS  ERRORS  RUNS  LAG       RSS      PSS    CPU
	//   631    3    2  sync  ready    70 s     81244       1     1    0  16.0 MiB  6.0 MiB  9.1 s
	//   631 runs GET /report for 4.1 s, for 10.0.0.7
	//   and 2 requests more
	// Last reload: failed at 2026-11-30 01:02:03, after 400 ms
	//   Traceback
	//   ValueError: x
	// Last deaths:
	//   2026-11-30 01:00:00 worker 1 (pid 600) was sent SIGKILL, while it ran GET /a (1.0 s), PUT /b (2 min)
	// Last slow requests:
	//   2026-11-30 01:00:00 worker (pid 631) had run GET /report for 1.2 s: File "/srv/views.py", line 7 in report
	//   2026-11-30 00:59:00 worker (pid 633) ran GET /short for 1.1 s
}

// What others have said does nothing to a terminal, whatever field it is in: no control
// character and no mark of direction is left, and each line is one of the server's own.
func TestPrintable(t *testing.T) {
	t.Parallel()
	const bad = "x\x1b[2J\u009b1m\x7f\r\b\x00\u202e\u2066\u200d\u00ad\u2028\ufeff\xffy"
	s := &status.Status{
		Version: bad, State: bad, Role: bad, App: bad + "\n", Listeners: []status.Listener{{Address: bad + "\n"}},
		Workers: []status.Worker{{Kind: bad, State: bad, Load: status.Load{Running: []status.Running{
			{Method: bad + "\n", Path: "/" + bad + "\n\t", Client: bad + "\n", RequestID: bad + "\n"},
		}}}},
		Deaths:     []status.Death{{Reason: bad + "\n", Running: []status.Running{{Method: bad, Path: bad + "\n"}}}},
		LastReload: &status.Reload{Reason: "Traceback\n\t" + bad}, Admin: bad + "\n",
		Slow: []status.SlowRequest{{Method: bad, Path: bad + "\n", Client: bad, ID: bad, Stack: []string{bad + "\n"}}},
	}
	running := status.Running{Method: bad + "\n", Path: bad, Client: bad + "\n", RequestID: bad}
	trace := status.Trace{Kind: bad, Running: []status.Running{running}, Stacks: []status.Stack{
		{What: bad + "\n", Calls: []string{bad + "\n"}}, {What: bad, Running: &running, Calls: []string{bad}},
	}}
	var b strings.Builder
	if err := s.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "\n"); n != 16 {
		t.Errorf("%d lines:\n%s", n, b.String())
	}
	if err := trace.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	for _, r := range b.String() {
		if r != '\n' && r != '\t' && !unicode.IsPrint(r) {
			t.Errorf("%q is left", r)
		}
	}
}

// A document is the same with its texts neutralised, for whoever reads it.
func TestPrintableJSON(t *testing.T) {
	t.Parallel()
	const bad = "x\x1b[2J\u009b\x7f\u202e\U000e0041\u2028é"
	text, err := json.Marshal(map[string]string{bad: bad})
	if err != nil {
		t.Fatal(err)
	}
	shown := status.PrintableJSON(text)
	for _, r := range string(shown) {
		if !unicode.IsPrint(r) {
			t.Errorf("%q is left in %s", r, shown)
		}
	}
	var back map[string]string
	if err := json.Unmarshal(shown, &back); err != nil || back[bad] != bad {
		t.Errorf("%s: %q, %v", shown, back, err)
	}
}

func ExampleTrace_WriteText() {
	report := &status.Running{Method: "GET", Path: "/report", Client: "10.0.0.7", Seconds: 4.1, Number: 1}
	t := &status.Trace{
		PID: 631, Kind: "gthread", Running: []status.Running{*report, {Method: "GET", Path: "/x", Seconds: 0.01, Number: 2}},
		Stacks: []status.Stack{
			{What: "Thread 0x1", Calls: []string{"File \"/srv/\x1b[2J.py\", line 1 in wait"}},
			{What: "Thread 0x2", Running: report, Calls: []string{`File "/srv/views.py", line 7 in report`, `File "/srv/app.py", line 3 in app`}},
		},
	}
	_ = t.WriteText(os.Stdout)
	_ = (&status.Trace{PID: 633, Kind: "sync"}).WriteText(os.Stdout)
	// Output:
	// Worker 631 (gthread) runs 2 requests
	//   GET /x for 10 ms, which is in no stack
	//   GET /report for 4.1 s, for 10.0.0.7, by Thread 0x2:
	//     File "/srv/views.py", line 7 in report
	//     File "/srv/app.py", line 3 in app
	//   Thread 0x1:
	//     File "/srv/�[2J.py", line 1 in wait
	// Worker 633 (sync) runs 0 requests
	//   It shows no stacks
}
