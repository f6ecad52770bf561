package front

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"indrik/internal/wire"
)

// scanEvery is how often the claims are looked at while requests are in flight,
// which is how exact the setting timeout is.
const scanEvery = 250 * time.Millisecond

// reportedPath is how much of a target the master is told. In JSON a byte takes
// up to six, and a message has room for so many only.
const reportedPath = 4 << 10

// A late request is one whose time is over.
type late struct {
	ex      *exchange      // nil: there is only the report
	started bool           // some of the response was sent
	report  wire.FromFront // for the master, if it has a type
}

// scan finds the requests that run for longer than timeout.
func (q *queue) scan() {
	now := time.Now()
	q.mu.Lock()
	var lates []late
	var settled []int
	again := false
	q.noteBegun(now)
	q.missClaims()
	for _, w := range q.workers {
		if w.dead {
			continue
		}
		if w.asgi.Load() {
			d := q.watch(w, now)
			if t := w.gen.cfg.timeout; t > 0 && d >= t && !w.loop.blocked {
				lates = append(lates, q.blocked(w, d, now)...)
			} else if w.form == forGreenlets && d == 0 {
				lates = append(lates, q.endLate(w, now)...)
			}
			continue
		}
		running := q.running(w, now)
		over := overTime(running, now)
		lates = append(lates, q.expireOf(w, over, len(running)-len(over), now)...)
		if w.expired > 0 && !w.settled {
			if len(running) == len(over) {
				w.settled = true
				settled = append(settled, w.number)
			} else {
				again = true
			}
		}
	}
	for _, g := range q.gens {
		g.measure(now.Sub(q.scanned))
	}
	q.dropLate(now)
	again = again || len(q.inFlight)+len(q.waiting) > 0
	q.scanning, q.scanned = again, now
	if again {
		time.AfterFunc(scanEvery, q.scan)
	}
	q.pump()
	q.mu.Unlock()
	q.answerLate(lates)
	for _, number := range settled {
		q.s.send(wire.FromFront{Type: wire.TypeSettled, Age: number})
	}
}

// running lists what a worker runs, and notes since when.
func (q *queue) running(w *worker, now time.Time) []*exchange {
	if w.asgi.Load() {
		begun, _ := q.givenTo(w)
		return begun
	}
	var exs []*exchange
	for i := range w.slots {
		ex := q.claimedBy(w, i)
		if ex == nil {
			continue
		}
		q.began(ex, w, i, now)
		exs = append(exs, ex)
	}
	return exs
}

// began notes that a slot runs a request, and tells it until when it may.
func (q *queue) began(ex *exchange, w *worker, slot int, now time.Time) {
	if ex.worker != nil {
		return
	}
	ex.worker, ex.claimedAt = w, now
	if t := w.gen.cfg.timeout; t > 0 && w.form != forLoop {
		ex.setDeadline(w, slot, now.Add(t))
	}
}

// setDeadline bounds a request. A slot that runs one at a time is told.
func (ex *exchange) setDeadline(w *worker, slot int, t time.Time) {
	ex.deadline = t
	if ex.at == nil {
		w.board.SetDeadline(slot, ex.id, t)
	}
}

// overTime are those of running whose time is over.
func overTime(running []*exchange, now time.Time) []*exchange {
	var over []*exchange
	for _, ex := range running {
		if !ex.deadline.IsZero() && !now.Before(ex.deadline) {
			over = append(over, ex)
		}
	}
	return over
}

// endLate takes the requests whose time is over away from a worker of greenlets,
// and has it end these alone. While its hub is blocked it could not: then see
// blocked. It is called with the mutex held.
func (q *queue) endLate(w *worker, now time.Time) []late {
	var lates []late
	begun, _ := q.givenTo(w)
	for _, ex := range overTime(begun, now) {
		q.over(ex)
		ex.dismissed.Store(true)
		w.post.send(wire.AppendLate(nil, ex.id))
		lates = append(lates, late{ex: ex, started: ex.answered})
	}
	return lates
}

// extend lets a slot run a request for d from now at least, as the app asks.
func (q *queue) extend(m *wire.Reply, sl *slot) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	ex, err := q.given(m, sl)
	if ex == nil || err != nil {
		return err
	}
	q.began(ex, sl.w, sl.index, sl.heard)
	until := sl.heard.Add(time.Duration(m.Count) * time.Millisecond)
	if !ex.deadline.IsZero() && until.After(ex.deadline) {
		ex.setDeadline(sl.w, sl.index, until)
	}
	return nil
}

// expireOf takes requests away from a worker. It is called with the mutex held.
func (q *queue) expireOf(w *worker, over []*exchange, others int, now time.Time) []late {
	var lates []late
	for _, ex := range over {
		q.over(ex)
		if ex.at != nil {
			// Many requests of one loop are one thing to report, see blocked,
			// or the end of streams that are in nobody's way.
			ex.dismiss()
			lates = append(lates, late{ex: ex, started: ex.answered})
			continue
		}
		method, path := ex.describeLocked()
		lates = append(lates, late{ex, ex.answered, wire.FromFront{
			Type: wire.TypeTimeout, Age: w.number, Method: method, Path: path,
			Seconds: now.Sub(ex.claimedAt).Seconds(), Others: others,
		}})
		w.expired++
	}
	return lates
}

// answerLate answers requests that expireOf took away, and tells the master.
func (q *queue) answerLate(lates []late) {
	for _, l := range lates {
		if l.report.Type != "" {
			q.s.send(l.report)
		}
		if l.ex == nil {
			continue
		}
		if l.started {
			if l.ex.socket == nil || !l.ex.socket.fail() {
				l.ex.to.kill()
			}
			continue
		}
		l.ex.release()
		l.ex.failWith(504)
	}
}

// expire ends what a worker runs, or, if it is 0, everything.
func (s *server) expire(number int) {
	q := s.queue
	now := time.Now()
	q.mu.Lock()
	var lates []late
	for _, w := range q.workers {
		if number != 0 && w.number != number {
			continue
		}
		lates = append(lates, q.expireOf(w, q.running(w, now), 0, now)...)
	}
	var unserved []*exchange
	if number == 0 {
		for _, g := range q.gens {
			q.again(q.takeBack(g)...)
		}
		unserved = q.waiting
		q.waiting = nil
		// What is left was taken by a worker that has not claimed it yet.
		for _, ex := range q.inFlight {
			if !ex.answered {
				q.revoke(ex)
				unserved = append(unserved, ex)
			}
		}
		for _, ex := range unserved {
			q.over(ex)
		}
	}
	q.mu.Unlock()
	q.answerLate(lates)
	for _, ex := range unserved {
		ex.release()
		ex.failWith(503)
	}
}

// A departed is what a client that has gone had asked for.
type departed struct{ method, path string }

// describeLocked returns the method and the path of a request for the log. The connection of
// a client that has gone may be forgetting the head, so that what it said is kept aside.
func (ex *exchange) describeLocked() (method, path string) {
	if ex.gone {
		return ex.left.method, ex.left.path
	}
	return string(ex.req.Method), ex.reported()
}

// reported is the path of the target as the log has it: without the query, which may
// hold what is secret, and nothing that would not be printed.
func (ex *exchange) reported() string {
	path, _, _ := bytes.Cut(ex.req.Target, []byte("?"))
	path = path[:min(len(path), reportedPath)]
	if !bytes.ContainsFunc(path, func(r rune) bool { return r < ' ' || r >= 0x7f }) {
		return string(path)
	}
	var b strings.Builder
	for _, c := range path {
		if c < ' ' || c >= 0x7f {
			fmt.Fprintf(&b, `\x%02x`, c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
