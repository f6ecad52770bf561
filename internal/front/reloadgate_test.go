package front

import (
	"testing"
	"time"

	"indrik/internal/wire"
)

// With reload no request goes to a worker before the master has checked
// whether code has changed.
func TestRequestsWaitForTheCheck(t *testing.T) {
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

	// The master is gone: no checks are made any more.
	c.get("/second")
	r.hear(wire.TypeCheck)
	r.master.Close()
	w.say(0, echo(w.take(0)))
	c.expect(200, "GET /second ")
}
