package master

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"indrik/internal/status"
	"indrik/internal/wire"
)

// Each slow request has a line, with the place where it is if it runs, and is kept for the
// status.
func TestSlowRequests(t *testing.T) {
	atStart(t, []string{"app:app"}, func(w *world) {
		w.kind = wire.KindASGI
		w.start()
		w.pass(time.Second)
		w.turns = true
		w.runs = []status.Running{{Method: "GET", Path: "/x", Seconds: 2, Number: 7}}
		worker := w.m.pool.byAge()[0]
		slow := func(number uint32, ended bool) wire.Slow {
			return wire.Slow{Age: worker.age, Number: number, Method: "GET", Path: fmt.Sprintf("/%d", number), RequestID: "id\x1b", Waited: 0.25, Ran: 1.5, Ended: ended}
		}
		w.front().conn.tell(wire.FromFront{Type: wire.TypeSlow, Others: 3, Slow: []wire.Slow{slow(7, false), slow(8, false), slow(9, true), {Age: 99, Method: "GET", Path: "/gone", Ended: true}}})
		w.pass(500 * time.Millisecond)
		pid := worker.pid
		w.expectLog(
			fmt.Sprintf("[WARNING] Slow request (pid:%d): GET /7 has run for 1.500 s after 0.250 s in the queue (request id\ufffd)\n  File \"a.py\", line 1 in awaits\n", pid),
			fmt.Sprintf("Slow request (pid:%d): GET /8 has run for 1.500 s after 0.250 s in the queue (request id\ufffd); it has ended meanwhile\n", pid),
			fmt.Sprintf("Slow request (pid:%d): GET /9 ran for 1.500 s after 0.250 s in the queue (request id\ufffd); its response has begun\n", pid),
			"Slow request: GET /gone ran for 0.000 s after 0.000 s in the queue; its worker has ended\n", "3 slow requests more, which are not listed",
		)
		s := w.m.status(nil)
		if len(s.Slow) != 4 || s.Slow[1].Path != "/7" && s.Slow[0].Path != "/7" {
			t.Errorf("%+v", s.Slow)
		}
		// Within a second no stacks are taken again; the last twenty are kept.
		w.front().conn.tell(wire.FromFront{Type: wire.TypeSlow, Slow: []wire.Slow{slow(10, false)}})
		w.pass(10 * time.Millisecond)
		w.expectLog("GET /10 has run for 1.500 s after 0.250 s in the queue (request id\ufffd); stacks are taken once a second\n")
		for range 30 {
			w.front().conn.tell(wire.FromFront{Type: wire.TypeSlow, Slow: []wire.Slow{slow(11, true)}})
		}
		w.pass(time.Second)
		if n := len(w.m.status(nil).Slow); n != maxSlow {
			t.Errorf("%d are kept", n)
		}
	})
}

func TestCallsOfSlowRequests(t *testing.T) {
	r := &status.Running{Number: 7}
	loop := status.Stack{Loop: true, Calls: []string{"in the loop"}}
	for _, c := range []struct {
		trace status.Trace
		calls string
		why   string
	}{
		{status.Trace{}, "", "the worker shows no stacks"},
		{status.Trace{Stacks: []status.Stack{loop, {Running: r, Calls: []string{"a", "b"}}}}, "a b", ""},
		{status.Trace{Stacks: []status.Stack{loop}, Stuck: true}, "in the loop", "the event loop is stuck"},
		{status.Trace{Stacks: []status.Stack{loop}}, "", "it has ended meanwhile"},
	} {
		calls, why := callsOf(&c.trace, 7)
		if strings.Join(calls, " ") != c.calls || why != c.why {
			t.Errorf("%+v: %q, %q", c.trace, calls, why)
		}
	}
}

// Stacks are taken of few workers a second, and of each of them once.
func TestSlowLog(t *testing.T) {
	var s slowLog
	now := time.Now()
	workers := make([]*worker, 20)
	allowed := 0
	for i := range workers {
		workers[i] = &worker{}
		if s.allows(workers[i], now) {
			allowed++
		}
	}
	if allowed != slowTraces || s.allows(workers[0], now.Add(slowPause/2)) || !s.allows(workers[0], now.Add(slowPause)) {
		t.Errorf("%d are allowed", allowed)
	}
}
