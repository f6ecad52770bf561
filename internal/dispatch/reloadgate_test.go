package dispatch

import (
	"testing"

	"indrik/internal/wire"
)

func TestReloadGate(t *testing.T) {
	var asked []int
	g := reloadGate{send: func(m wire.FromFront) { asked = append(asked, m.Check) }}
	expect := func(what string, got, want any) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	a := g.await()
	expect("checks", len(asked), 1)
	b, c := g.await(), g.await() // came after that was asked for
	expect("checks", len(asked), 1)
	expect("b and c share one", b, c)
	g.pass(1)
	expect("a", g.holds(a), false)
	expect("b", g.holds(b), true)
	expect("checks", len(asked), 2)
	g.pass(1) // again
	expect("b", g.holds(b), true)
	d := g.await()
	g.pass(2)
	expect("b", g.holds(b), false)
	expect("d", g.holds(d), true)
	g.open()
	expect("d", g.holds(d), false)
	expect("one that comes now", g.holds(g.await()), false)
	expect("checks", len(asked), 3)
}
