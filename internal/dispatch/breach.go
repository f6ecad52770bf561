package dispatch

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"indrik/internal/wire"
)

// This file is about what a worker may say of which request, and what becomes of a worker
// that says something else. A worker runs code of the app, which may do anything with its
// sockets and its scoreboard: it must not be able to answer for another worker, nor to have
// this process do something that no worker asks for that keeps to the protocol.

const (
	// maxLate is how many messages in a second a worker may send about requests that
	// are over. What it had sent before it learned of the end is a fraction of that.
	maxLate = 10_000
	// maxHints is how many interim responses a request may have.
	maxHints = 16
)

// A replyStage is how far the response to a request has come, by what its worker has said.
type replyStage uint8

const (
	replyNone  replyStage = iota
	replyBegun            // a head, and perhaps a part of the body
	replyOpen             // a WebSocket connection was accepted
)

// allows reports whether a message may follow what was said, and is one that may be said of
// such a request.
func (j *Job) allows(kind wire.ReplyKind) bool {
	switch kind {
	case wire.ReplyResponse, wire.ReplyStart, wire.ReplyFile, wire.ReplyRefused:
		return j.reply == replyNone
	case wire.ReplyChunk, wire.ReplyPart, wire.ReplyEnd, wire.ReplyTrailers:
		return j.reply == replyBegun
	case wire.ReplyAccept:
		return j.reply == replyNone && j.request.IsWebSocket()
	case wire.ReplyMessage:
		return j.reply == replyOpen
	case wire.ReplyClose:
		return j.reply != replyBegun && j.request.IsWebSocket()
	case wire.ReplyCredit:
		return j.request.IsStreaming() || j.request.IsWebSocket()
	default:
		return true
	}
}

// follow records what was said.
func (j *Job) follow(kind wire.ReplyKind) {
	switch kind {
	case wire.ReplyStart:
		j.reply = replyBegun
	case wire.ReplyAccept:
		j.reply = replyOpen
	default: // the others leave it as it is
	}
}

// allows reports whether a slot may send messages of a kind.
func (sl *slot) allows(kind wire.ReplyKind) bool {
	switch {
	case !sl.w.multiplexed.Load():
		return kind.OfQueue()
	case sl.index > 0: // these stay silent
		return false
	case sl.w.kind == wire.KindGevent:
		return kind.OfQueue()
	}
	return kind != wire.ReplyExtend
}

var (
	errNotGiven = errors.New("it speaks of a request that it was not given")
	errSlot     = errors.New("two of its slots answer one request")
	errTooLate  = errors.New("it goes on to speak of requests that are over")
	errNoFile   = errors.New("it sent what is no regular file")
	errRefuses  = errors.New("it refuses requests that were not revoked")
	errEmpty    = errors.New("it sent an empty message")
	errTooLong  = fmt.Errorf("it sent a message of more than %d bytes", wire.MaxMessage)
	errReadsNot = errors.New("it does not read what it is sent")
	errBoard    = errors.New("it wrote over what the front alone writes to its scoreboard")
	errPassed   = errors.New("it passed over a request that it was given")
	errDropped  = errors.New("it claimed a request, and went on to another without an answer")
)

// errOutOfPlace is about a message that cannot come at this point.
func errOutOfPlace(kind wire.ReplyKind) error {
	return fmt.Errorf("it sent %v, which has no place there", kind)
}

// lookupLocked returns the request that a message from a slot is about, nil if that is
// over. The error says that the worker was never given such a request, or that it sends too
// many messages about requests that are over.
// +checklocks:q.mu
func (q *Queue) lookupLocked(m *wire.Reply, sl *slot) (*Job, error) {
	w := sl.w
	j := q.inFlight[m.ID]
	multiplexed := w.multiplexed.Load()
	switch {
	case m.Claimed == multiplexed:
		return nil, errNotGiven // by its id alone, or by a claim, where the other belongs
	case j != nil && multiplexed && j.assigned != w:
		return nil, errNotGiven
	case !multiplexed && m.ID>>wire.IDBits == uint32(q.front): // others are of a front before this one
		if j != nil && j.assigned != nil || q.tokenOfLocked(m.ID) != m.Token {
			return nil, errNotGiven
		}
	}
	if j != nil {
		return j, nil
	}
	if sl.heard.Sub(w.lateSince) > time.Second {
		w.lateSince, w.late = sl.heard, 0
	}
	if w.late++; w.late > maxLate {
		return nil, errTooLate
	}
	return nil, nil
}

// complete records a message from a slot about a response, and returns the request, nil if
// nobody waits for that any more. After a message that ends the response it is over. The
// error says how the message breaks the protocol.
func (q *Queue) complete(m *wire.Reply, sl *slot) (*Job, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	j, err := q.lookupLocked(m, sl)
	switch {
	case j == nil || err != nil:
		return nil, err
	case !j.allows(m.Kind):
		return nil, errOutOfPlace(m.Kind)
	case j.slot != nil && j.slot != sl:
		return nil, errSlot
	}
	j.slot = sl
	j.PID = sl.w.pid
	j.follow(m.Kind)
	if m.Kind == wire.ReplyAccept {
		q.openedLocked(j, sl)
	}
	switch m.Kind {
	case wire.ReplyCredit:
	case wire.ReplyStart, wire.ReplyChunk, wire.ReplyPart, wire.ReplyAccept, wire.ReplyMessage:
		first := !j.answered
		j.answered = true
		j.heardLocked(sl)
		if j.gen.settings.SlowRequestLog > 0 && first && j.assigned != nil {
			q.heardSlowLocked(j, sl)
		}
		q.countReplyLocked(j, sl, m)
	default:
		first := !j.answered
		j.answered = true
		sl.free = j.heardLocked(sl)
		if j.gen.settings.SlowRequestLog > 0 && (first || j.assigned == nil) {
			q.heardSlowLocked(j, sl)
		}
		q.countReplyLocked(j, sl, m)
		j.gen.answered++
		sl.w.served++
		q.meter.ended++
		q.meter.served += j.ran.Seconds()
		if m.Kind == wire.ReplyError || m.Kind == wire.ReplyFail {
			sl.w.failed++
		}
		q.removeLocked(j)
		q.events++
		q.measureLocked(sl.heard)
		if len(q.waiting) > 0 {
			q.pumpSoonLocked()
		}
	}
	return j, nil
}

// hint sends an interim response, if the client still waits for its response.
func (q *Queue) hint(m *wire.Reply, sl *slot) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	j, err := q.lookupLocked(m, sl)
	if j == nil || err != nil || j.answered || j.left {
		return err
	}
	if j.hints++; j.hints <= maxHints {
		j.request.HintsLocked(m)
	}
	return nil
}

// checkFile returns an error if a file that came with a message is none that a worker
// sends.
func checkFile(m *wire.Reply, file *os.File) error {
	if file == nil || m.Kind != wire.ReplyFile && m.Kind != wire.ReplyPart {
		return nil
	}
	var st unix.Stat_t // unlike that of File.Stat it is not allocated
	if unix.Fstat(int(file.Fd()), &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return errNoFile
	}
	return nil
}

// breach is called when a worker has broken the protocol, for a reason. Nothing more is
// heard of it, and the master ends it; its requests are answered as when it dies.
func (q *Queue) breach(w *worker, why error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.breachLocked(w, why)
}

// +checklocks:q.mu
func (q *Queue) breachLocked(w *worker, why error) {
	if w.dead || w.broken.Swap(true) {
		return
	}
	q.deactivateLocked(w)
	w.stopReading()
	for _, j := range q.inFlight {
		if j.slot != nil && j.slot.w == w && j.answered {
			// Its slot may wait until the client takes more.
			go j.request.Kill()
		}
	}
	q.host.Send(wire.FromFront{Type: wire.TypeBroken, Age: w.age, Reason: why.Error()})
}

// slotClosed is called when nothing more comes from a slot. If the process lives on, the
// master ends it.
func (q *Queue) slotClosed(w *worker) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.reportClosedLocked(w)
}

// +checklocks:q.mu
func (q *Queue) reportClosedLocked(w *worker) {
	if !w.closed && !w.exited && !w.broken.Load() {
		w.closed = true
		q.host.Send(wire.FromFront{Type: wire.TypeClosed, Age: w.age})
	}
}
