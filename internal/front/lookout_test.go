package front

import (
	"testing"
	"time"

	"indrik/internal/wire"
)

func TestLookout(t *testing.T) {
	var asked []int
	l := lookout{send: func(m wire.FromFront) { asked = append(asked, m.Check) }}
	expect := func(what string, got, want any) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	a := l.await()
	expect("questions", len(asked), 1)
	b, c := l.await(), l.await() // came after the question
	expect("questions", len(asked), 1)
	expect("b and c share one", b, c)
	l.answered(1)
	expect("a", l.holds(a), false)
	expect("b", l.holds(b), true)
	expect("questions", len(asked), 2)
	l.answered(1) // again
	expect("b", l.holds(b), true)
	d := l.await()
	l.answered(2)
	expect("b", l.holds(b), false)
	expect("d", l.holds(d), true)
	l.end()
	expect("d", l.holds(d), false)
	expect("one that comes now", l.holds(l.await()), false)
	expect("questions", len(asked), 3)
}

// With reload no request goes to a worker before the master has looked.
func TestRequestsWaitForTheLook(t *testing.T) {
	r := newRig(t, 0)
	r.listen()
	cfg := testConfig()
	cfg.Reload = true
	w := r.worker(r.generation(1, cfg), 1)
	c := r.dial()
	c.get("/first")
	m := r.hear(wire.TypeCheck)
	if q, ok := w.receive(50 * time.Millisecond); ok {
		t.Fatalf("the worker got %v", q)
	}
	r.tell(wire.ToFront{Type: wire.TypeChecked, Check: m.Check})
	w.say(0, echo(w.take(0)))
	c.expect(200, "GET /first ")

	// The master is gone: nobody looks any more.
	c.get("/second")
	r.hear(wire.TypeCheck)
	r.master.Close()
	w.say(0, echo(w.take(0)))
	c.expect(200, "GET /second ")
}
