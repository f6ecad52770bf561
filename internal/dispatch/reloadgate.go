package dispatch

import (
	"math"

	"indrik/internal/wire"
)

// A reloadGate holds requests back, with the setting reload, until the master has checked
// whether code has changed since they came: so that a browser never sees code that is older
// than what its user has saved. It is guarded by the mutex of [Queue].
type reloadGate struct {
	send    func(wire.FromFront)
	asked   int  // the number of the last check that was asked for
	checked int  // the last one that was made
	wanted  bool // a request came after the last one that was asked for
}

// await returns the number of the check that a request which comes now has to wait for.
func (g *reloadGate) await() int {
	if g.checked == math.MaxInt {
		return 0
	}
	if g.asked > g.checked {
		g.wanted = true
		return g.asked + 1
	}
	g.ask()
	return g.asked
}

func (g *reloadGate) ask() {
	g.asked++
	g.wanted = false
	g.send(wire.FromFront{Type: wire.TypeCheck, Check: g.asked})
}

// pass records that a check was made.
func (g *reloadGate) pass(n int) {
	g.checked = max(g.checked, n)
	if g.wanted && g.asked <= g.checked {
		g.ask()
	}
}

// holds reports whether a request that waits for a check has to wait on.
func (g *reloadGate) holds(check int) bool { return check > g.checked }

// open lets everything pass from now on: no checks are made any more.
func (g *reloadGate) open() { g.asked, g.checked, g.wanted = 0, math.MaxInt, false }

// Checked is called when the master has made a check.
func (q *Queue) Checked(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.gate.pass(n)
	q.pumpLocked()
}

// Unwatched is called when the master is gone.
func (q *Queue) Unwatched() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.gate.open()
	q.pumpLocked()
}
