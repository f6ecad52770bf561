package front

import (
	"errors"
	"slices"
	"time"

	"indrik/internal/outbox"
)

// This file is the transport of the outboxes of streams: flow control, and whose turn it is
// when a client does not take all that there is for it (RFC 9218).

// turnSize is how many bytes a stream sends in its turn: with the headers of their frames they
// fill two TLS records.
const turnSize = 32<<10 - 2*9

var (
	errStreamOver = errors.New("the stream is over")
	errNotTaken   = errors.New("the client has taken nothing for write_timeout")
)

// Try implements [outbox.Transport].
func (st *stream) Try(head, p []byte) ([]byte, []byte, error) {
	head, err := st.try(head)
	if err == nil && len(head) == 0 {
		p, err = st.try(p)
	}
	return head, p, err
}

func (st *stream) try(p []byte) ([]byte, error) {
	for len(p) > 0 {
		n, err := st.send(p)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			break
		}
		p = p[n:]
	}
	return p, nil
}

// send sends as much of p as the client takes now, up to a turn.
func (st *stream) send(p []byte) (n int, err error) {
	h := st.h
	h.mu.Lock()
	n, err = st.sendLocked(p)
	later := !h.engine.HasOutput() || h.flushesLaterLocked(st.hasMore())
	h.mu.Unlock()
	if !later {
		h.flush()
	}
	return n, err
}

// sendLocked adds as much of p to the output as the client takes now, up to a turn.
// +checklocks:st.h.mu
func (st *stream) sendLocked(p []byte) (n int, err error) {
	h := st.h
	if !h.engine.IsOpen(&st.st) {
		return 0, errStreamOver
	}
	if h.blocked || h.engine.Pending() > maxUnsent {
		return 0, nil
	}
	st.sendHeadLocked()
	n = min(len(p), h.engine.Writable(&st.st), turnSize)
	if n == 0 {
		return 0, nil
	}
	st.sent += int64(n)
	end := st.ended && st.sent == st.queued && st.trailers == nil
	if end {
		st.endsLocked()
	}
	h.engine.SendData(&st.st, p[:n], end)
	h.limits.countSent(n)
	st.endLocked() // by trailers
	return n, nil
}

// Pending implements [outbox.Transport].
func (st *stream) Pending() bool { return false }

// Send implements [outbox.Transport].
func (st *stream) Send(p []byte) error {
	for len(p) > 0 {
		n, err := st.sendInTurn(p)
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// sendInTurn sends some of p, and waits for its turn if others are before it.
func (st *stream) sendInTurn(p []byte) (int, error) {
	h := st.h
	var timeout <-chan time.Time
	for {
		h.mu.Lock()
		n, err := st.sendLocked(p)
		if n > 0 {
			st.lastTurn = h.turns
			h.turns++
		}
		if n > 0 || err != nil {
			h.nextTurnLocked()
			h.mu.Unlock()
			h.flush()
			return n, err
		}
		st.waiting = true
		h.waiters = append(h.waiters, st)
		h.mu.Unlock()
		if patience := st.ex.cfg.writeTimeout; timeout == nil && patience > 0 {
			timer := time.NewTimer(patience)
			defer timer.Stop()
			timeout = timer.C
		}
		select {
		case <-st.turn:
		case <-timeout:
			st.ex.s.log.Infof("The response to ip=%s is cut off: the client has taken none of it for write_timeout (%s)",
				st.ex.info.remote, st.ex.cfg.writeTimeout)
			h.mu.Lock()
			h.wakeLocked(st)
			h.nextTurnLocked()
			h.mu.Unlock()
			return 0, errNotTaken
		}
	}
}

// nextTurnLocked wakes the stream whose turn it is: the most urgent one; of those the one
// that was opened first, while those that are of use in parts take turns.
// +checklocks:h.mu
func (h *http2Conn) nextTurnLocked() {
	if h.blocked {
		return
	}
	var next *stream
	for _, st := range h.waiters {
		if (h.engine.Writable(&st.st) > 0 || !h.engine.IsOpen(&st.st)) && (next == nil || st.comesBefore(next)) {
			next = st
		}
	}
	if next != nil {
		h.wakeLocked(next)
	}
}

func (st *stream) comesBefore(other *stream) bool {
	a, b := st.st.Priority, other.st.Priority
	switch {
	case a.Urgency != b.Urgency:
		return a.Urgency < b.Urgency
	case a.Incremental && b.Incremental:
		return st.lastTurn < other.lastTurn
	case a.Incremental != b.Incremental:
		return b.Incremental
	}
	return st.st.ID() < other.st.ID()
}

// wakeLocked wakes the goroutine that waits for the turn of st, if one does.
// +checklocks:h.mu
func (h *http2Conn) wakeLocked(st *stream) {
	if !st.waiting {
		return
	}
	st.waiting = false
	h.waiters = slices.DeleteFunc(h.waiters, func(w *stream) bool { return w == st })
	st.turn <- struct{}{}
}

// SendFile implements [outbox.Transport].
func (st *stream) SendFile(head []byte, p outbox.FilePart) (int, error) {
	if err := st.Send(head); err != nil {
		return 0, err
	}
	return copyPart(p, st.Send)
}

// Flush implements [outbox.Transport].
func (st *stream) Flush() error { return nil }
