package front

import (
	"errors"
	"os"
	"time"

	"indrik/internal/wire"
)

// This file is about ASGI workers, each of which runs many requests and gets them
// one by one instead of reading the queue of its generation.

// grantAfter is how many bytes of a response must have gone to the client for the
// worker to be told. It is less than the room that the worker has by far.
const grantAfter = 64 << 10

// A load is how much an ASGI worker has to do.
type load struct {
	requests int  // in flight
	behind   bool // it has not begun all of them: its loop is busy at this moment
}

// less tells whether a worker with load l is to get a request before one with o.
func (l load) less(o load) bool {
	if l.behind != o.behind {
		return o.behind
	}
	return l.requests < o.requests
}

// leastBusy is the ASGI worker that takes the next request, nil if none has room.
// Among equals they take turns.
func (g *generation) leastBusy() *worker {
	var best *worker
	var least load
	n := len(g.asgi)
	for i := range n {
		w := g.asgi[(g.turn+i)%n]
		if !w.hasRoom() {
			continue
		}
		l := load{w.inFlight, w.inFlight > 0 && w.board.Claimed(0) != w.last}
		if best == nil || l.less(least) {
			best, least = w, l
		}
	}
	return best
}

// hasRoom reports whether w, which is one of ASGI, may have another request.
func (w *worker) hasRoom() bool {
	most := w.gen.cfg.WorkerConnections
	return (most <= 0 || w.inFlight-w.standing < most) && !w.post.isFull()
}

// reset makes w a worker that gets its requests itself. What an earlier front gave
// it is over. It is called with the mutex held.
func (q *queue) reset(w *worker, f form) {
	if len(w.slots) > 0 && !w.asgi.Load() {
		w.form = f
		w.loop = loop{ping: w.board.Pinged()}
		w.asgi.Store(true)
		w.post.begin()
		w.post.send(wire.AppendReset(nil, q.number))
	}
}

// has tells whether an ASGI worker has begun a request that it was given. It reads
// them in order, and ids grow by one: so the last that it has begun tells of all,
// but of those that are half a turn old. These have been seen by the scan.
func (w *worker) has(ex *exchange) bool {
	if ex.worker == w || ex.answered {
		return true
	}
	const half = 1 << (idBits - 1)
	last := w.board.Claimed(0)
	// It may be of another front, which has died.
	return last != 0 && last>>idBits == ex.id>>idBits && (last-ex.id)&(1<<idBits-1) < half
}

// isBegun tells whether a request was claimed; claimed has what the slots claim
// that read queues.
func (ex *exchange) isBegun(claimed map[uint32]bool) bool {
	if ex.at != nil {
		return ex.at.has(ex)
	}
	return claimed[ex.id]
}

// givenTo lists what an ASGI worker was given and has not answered. It is called
// with the mutex held.
func (q *queue) givenTo(w *worker) (begun, unbegun []*exchange) {
	for _, ex := range q.inFlight {
		switch {
		case ex.at != w:
		case w.has(ex):
			begun = append(begun, ex)
		default:
			unbegun = append(unbegun, ex)
		}
	}
	inOrder(unbegun)
	return begun, unbegun
}

// left is called when an ASGI worker has said that it begins no more requests, in
// answer to this one.
func (q *queue) left(m *wire.Reply, sl *slot) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	ex, err := q.given(m, sl)
	if err != nil {
		return err
	}
	if w := sl.w; w.active {
		// It leaves by a signal that was not the master's. What it runs may take long,
		// but not for ever.
		cfg := w.gen.cfg
		patience := seconds(cfg.GracefulTimeout) + seconds(cfg.WebSocketDrainMax) + leaveGrace
		time.AfterFunc(patience, func() { q.breach(w, errStays) })
	}
	q.deactivate(sl.w)
	if ex != nil && !ex.answered {
		q.again(ex)
	}
	q.pump()
	return nil
}

// leaveGrace is how much longer than graceful_timeout a worker may be there that has said
// that it leaves.
const leaveGrace = 5 * time.Second

var errStays = errors.New("it takes no more requests, and does not end")

// dismiss tells the worker that the client of a request has gone. It is called with
// the mutex of the queue held, or by the goroutine of the worker's slot.
func (ex *exchange) dismiss() {
	if !ex.dismissed.Swap(true) {
		ex.at.post.send(wire.AppendGone(nil, ex.id))
	}
}

// retract takes a request from its worker, for an answer of this process; false if
// the worker has begun to answer.
func (q *queue) retract(ex *exchange) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if ex.place == nowhere || ex.answered {
		return false
	}
	if ex.place == waiting {
		q.unqueue(ex)
	} else if ex.at != nil {
		ex.dismiss()
	}
	q.over(ex)
	ex.release()
	q.pump()
	return true
}

// streams tells whether an ASGI worker has begun to answer a request.
func (q *queue) streams(ex *exchange) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return ex.place == handedOver && ex.at != nil && ex.answered
}

// answerASGI is answer for an ASGI worker.
func (sl *slot) answerASGI(ex *exchange, m *wire.Reply, file *os.File) (taken bool, err error) {
	if ex == nil {
		return false, nil
	}
	if m.Kind == wire.ReplyCredit {
		return false, ex.want(m.Count)
	}
	if (m.Kind == wire.ReplyChunk || m.Kind == wire.ReplyPart) && ex.owed.Load() >= responseWindow {
		return false, errReplyRoom
	}
	if m.Code != 0 {
		m.Status = statusOf(m.Code)
	}
	taken = sl.respond(ex, m, file)
	switch m.Kind {
	case wire.ReplyStart, wire.ReplyChunk:
		ex.owe(int64(len(m.Body)))
	case wire.ReplyPart:
		ex.owe(ex.part(m, file))
		taken = true
	case wire.ReplyTrailers:
		ex.trail(m)
	case wire.ReplyFail:
		ex.failWith(m.Code)
	case wire.ReplyAccept, wire.ReplyMessage, wire.ReplyClose:
		err = ex.socket.obey(m)
		if m.Kind == wire.ReplyAccept && ex.socket.isAccepted() {
			sl.q.stand(ex, forFrames, true)
		}
	}
	if m.Kind == wire.ReplyStart || m.Kind == wire.ReplyChunk || m.Kind == wire.ReplyPart {
		if ex.to.broken() {
			ex.dismiss()
		}
	}
	return taken, err
}

// want is called when the worker asks for more of what the client sends.
func (ex *exchange) want(bytes int64) error {
	var within bool
	if ex.feed != nil {
		within = ex.feed.want(bytes)
	} else {
		within = ex.socket.want(bytes)
	}
	if !within {
		return errBodyRoom
	}
	return nil
}
