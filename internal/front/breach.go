package front

import (
	"errors"
	"fmt"
	"os"
	"time"

	"indrik/internal/wire"
)

// This file is about what a worker may say of which request, and what becomes of one that
// says something else. A worker runs code of the app's, which may do anything with its
// sockets and its board: it must not be able to answer for another worker, nor to have
// this process do something that no worker that keeps to the protocol asks for.

const (
	// responseWindow is how many bytes of a response an ASGI worker may have on their way to
	// the client when it begins to send more.
	responseWindow = 256 << 10
	// bodyWindow is how many bytes of a body a worker may have asked for that it has not got.
	bodyWindow = 256 << 10
	// lateMost is how many messages in a second a worker may send about requests that
	// are over. What it had sent before it learned of the end is a fraction of that.
	lateMost = 10_000
	// hintsMost is how many interim responses a request may have.
	hintsMost = 16
)

// A reply is how far the response to a request has come, by what its worker has said.
type reply uint8

const (
	replyNone  reply = iota
	replyBegun       // a head, and perhaps a part of the body
	replyOpen        // a WebSocket connection was accepted
)

// allows reports whether a message may follow what was said, and is one that may be
// said of such a request.
func (ex *exchange) allows(kind wire.ReplyKind) bool {
	switch kind {
	case wire.ReplyResponse, wire.ReplyStart, wire.ReplyFile, wire.ReplyRefused:
		return ex.reply == replyNone
	case wire.ReplyChunk, wire.ReplyPart, wire.ReplyEnd, wire.ReplyTrailers:
		return ex.reply == replyBegun
	case wire.ReplyAccept:
		return ex.reply == replyNone && ex.socket != nil
	case wire.ReplyMessage:
		return ex.reply == replyOpen
	case wire.ReplyClose:
		return ex.reply != replyBegun && ex.socket != nil
	case wire.ReplyCredit:
		return ex.feed != nil || ex.socket != nil
	}
	return true
}

// follow notes what was said.
func (ex *exchange) follow(kind wire.ReplyKind) {
	switch kind {
	case wire.ReplyStart:
		ex.reply = replyBegun
	case wire.ReplyAccept:
		ex.reply = replyOpen
	}
}

// allows reports whether a slot may send messages of a kind.
func (sl *slot) allows(kind wire.ReplyKind) bool {
	switch {
	case !sl.w.asgi.Load():
		return !kind.ASGI()
	case sl.index > 0: // these stay silent
		return false
	case sl.w.form == forGreenlets:
		return !kind.ASGI() || kind == wire.ReplyLeave
	}
	return kind != wire.ReplyExtend
}

var (
	errNotGiven  = errors.New("it speaks of a request that it was not given")
	errSlot      = errors.New("two of its slots answer one request")
	errTooLate   = errors.New("it goes on to speak of requests that are over")
	errNoFile    = errors.New("it sent what is no regular file")
	errBodyRoom  = errors.New("it asked for more of a body than it may have on the way")
	errReplyRoom = errors.New("it sent more of a response than it may have on the way")
	errRefuses   = errors.New("it refuses requests that were not revoked")
	errEmpty     = errors.New("it sent an empty message")
	errTooLong   = fmt.Errorf("it sent a message of more than %d bytes", wire.MaxMessage)
	errReadsNot  = errors.New("it does not read what it is sent")
	errBoard     = errors.New("it wrote over what the front alone writes to its board")
	errPassed    = errors.New("it passed over a request that it was given")
	errDropped   = errors.New("it claimed a request, and went on to another without an answer")
)

// errOutOfPlace is about a message that cannot come at this point.
func errOutOfPlace(kind wire.ReplyKind) error {
	return fmt.Errorf("it sent %v, which has no place there", kind)
}

// given returns the request that a message from a slot is about, nil if it is over. The
// error says that the worker was never given such a request. It is called with the
// mutex held.
func (q *queue) given(m *wire.Reply, sl *slot) (*exchange, error) {
	w := sl.w
	ex := q.inFlight[m.ID]
	asgi := w.asgi.Load()
	switch {
	case m.Claimed == asgi:
		return nil, errNotGiven // by its id alone, or by a claim, where the other belongs
	case ex != nil && asgi && ex.at != w:
		return nil, errNotGiven
	case !asgi && m.ID>>idBits == uint32(q.number): // others are of a front before this one
		if ex != nil && ex.at != nil || q.tokenOf(m.ID) != m.Token {
			return nil, errNotGiven
		}
	}
	if ex != nil {
		return ex, nil
	}
	if sl.heard.Sub(w.lateSince) > time.Second {
		w.lateSince, w.late = sl.heard, 0
	}
	if w.late++; w.late > lateMost {
		return nil, errTooLate
	}
	return nil, nil
}

// find returns the request whose response a message from a slot is about, nil if nobody
// waits for that any more. After a message that ends the response it is over. The error
// says how the message breaks the protocol.
func (q *queue) find(m *wire.Reply, sl *slot) (*exchange, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	ex, err := q.given(m, sl)
	switch {
	case ex == nil || err != nil:
		return nil, err
	case !ex.allows(m.Kind):
		return nil, errOutOfPlace(m.Kind)
	case ex.slot != nil && ex.slot != sl:
		return nil, errSlot
	}
	ex.slot = sl
	ex.pid = sl.w.pid
	ex.follow(m.Kind)
	switch m.Kind {
	case wire.ReplyCredit:
	case wire.ReplyStart, wire.ReplyChunk, wire.ReplyPart, wire.ReplyAccept, wire.ReplyMessage:
		ex.answered = true
	default:
		ex.answered = true
		ex.gen.answered++
		sl.w.served++
		q.over(ex)
		if len(q.waiting) > 0 {
			q.pumpSoon()
		}
	}
	return ex, nil
}

// hint sends an interim response, if the client waits for its response yet.
func (q *queue) hint(m *wire.Reply, sl *slot) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	ex, err := q.given(m, sl)
	if ex == nil || err != nil || ex.answered || ex.gone {
		return err
	}
	if ex.hints++; ex.hints <= hintsMost {
		ex.sendHints(m)
	}
	return nil
}

// checkFile returns an error if a file that came with a message is none that a worker
// sends.
func checkFile(m *wire.Reply, file *os.File) error {
	if file == nil || m.Kind != wire.ReplyFile && m.Kind != wire.ReplyPart {
		return nil
	}
	if st, err := file.Stat(); err != nil || !st.Mode().IsRegular() {
		return errNoFile
	}
	return nil
}

// breach is called when a worker has broken the protocol, which says. Nothing more is heard
// of it, and the master ends it: so what it runs is answered as when it dies.
func (q *queue) breach(w *worker, why error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.breachLocked(w, why)
}

func (q *queue) breachLocked(w *worker, why error) {
	if w.dead || w.broken.Swap(true) {
		return
	}
	q.deactivate(w)
	w.stopReading()
	for _, ex := range q.inFlight {
		if ex.slot != nil && ex.slot.w == w && ex.answered {
			// Its slot may wait until the client takes more.
			go ex.to.kill()
		}
	}
	q.s.send(wire.FromFront{Type: wire.TypeBroken, Age: w.number, Reason: why.Error()})
}

// stopReading ends the reading of the slots of w. It is called with the mutex of the
// queue held.
func (w *worker) stopReading() {
	for _, sl := range w.slots {
		sl.file.SetReadDeadline(time.Unix(1, 0))
	}
}

// slotClosed is called when nothing more comes from a slot. If the process lives on, the
// master ends it.
func (q *queue) slotClosed(w *worker) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.tellClosed(w)
}

func (q *queue) tellClosed(w *worker) {
	if !w.closed && !w.exited && !w.broken.Load() {
		w.closed = true
		q.s.send(wire.FromFront{Type: wire.TypeClosed, Age: w.number})
	}
}
