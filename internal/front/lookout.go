package front

import (
	"math"

	"indrik/internal/wire"
)

// A lookout keeps requests back, with the setting reload, until the master has
// looked whether code has changed since they came: so that a browser never
// sees code that is older than what its user has saved. It belongs to the queue.
type lookout struct {
	send   func(wire.FromFront)
	asked  int  // the number of the last question
	looked int  // the last one that was answered
	wanted bool // a request came after the last question
}

// await returns the number of the question that a request which comes now has to
// wait for.
func (l *lookout) await() int {
	if l.looked == math.MaxInt {
		return 0
	}
	if l.asked > l.looked {
		l.wanted = true
		return l.asked + 1
	}
	l.ask()
	return l.asked
}

func (l *lookout) ask() {
	l.asked++
	l.wanted = false
	l.send(wire.FromFront{Type: wire.TypeCheck, Check: l.asked})
}

// answered notes an answer.
func (l *lookout) answered(n int) {
	l.looked = max(l.looked, n)
	if l.wanted && l.asked <= l.looked {
		l.ask()
	}
}

// holds tells whether a request still waits for its question.
func (l *lookout) holds(n int) bool { return n > l.looked }

// end lets everything pass from now on: nobody looks any more.
func (l *lookout) end() { l.asked, l.looked, l.wanted = 0, math.MaxInt, false }

// looked is called when the master has looked.
func (q *queue) looked(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lookout.answered(n)
	q.pump()
}

// unwatched is called when the master is gone.
func (q *queue) unwatched() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lookout.end()
	q.pump()
}
