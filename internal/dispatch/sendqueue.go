package dispatch

import (
	"bytes"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"indrik/internal/account"
	"indrik/internal/wire"
)

const (
	// sendBuffer is the size of the socket buffer for the messages to a multiplexed
	// worker, in bytes. A message that does not fit waits in this process, as a copy.
	sendBuffer = 2 << 20
	// maxUnsent is how many events may wait for a worker: some for each request that it
	// can have.
	maxUnsent = 50_000
)

// A sendQueue sends messages to a multiplexed worker, and never waits for it. Its mutex
// comes after the one of [Queue].
type sendQueue struct {
	// +checklocks:mu
	raw      syscall.RawConn
	fd       uintptr
	writable func() // the worker has read some of what did not fit; called without the mutex
	// +checklocks:mu
	tooMany func() // so many events wait that the worker cannot be reading any; called without the mutex

	mu sync.Mutex
	// +checklocks:mu
	unsent []unsentEvent
	// +checklocks:mu
	full bool // a message did not fit; a goroutine, or the caller, waits until it does
	// +checklocks:mu
	awaited bool // a goroutine waits for that
	// +checklocks:mu
	closed bool
}

// An unsentEvent is one that waits, for a client.
type unsentEvent struct {
	event  []byte
	holder *account.Holder // nil: for none
}

func newSendQueue(raw syscall.RawConn, writable, tooMany func()) *sendQueue {
	s := &sendQueue{raw: raw, writable: writable, tooMany: tooMany}
	_ = raw.Control(func(fd uintptr) { s.fd = fd })
	return s
}

// begin prepares the socket for its use.
func (s *sendQueue) begin() { wire.SetSendBuffer(s.fd, sendBuffer) }

// try sends a message if it fits, and after all others.
func (s *sendQueue) try(message []byte, files []*os.File) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return unix.EPIPE
	}
	if s.full {
		return unix.EAGAIN
	}
	err := wire.SendNow(s.fd, message, files)
	if wire.IsFull(err) {
		s.flushWhenWritableLocked()
	}
	return err
}

// send sends an event. It keeps a copy of one that does not fit, until it does.
func (s *sendQueue) send(event []byte) { s.sendFor(nil, event) }

// sendFor is send for what a client has sent, and has memory for until it fits.
func (s *sendQueue) sendFor(h *account.Holder, event []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if !s.full {
		if !wire.IsFull(wire.SendNow(s.fd, event, nil)) {
			return // sent, or the worker is gone
		}
	}
	if len(s.unsent) == maxUnsent {
		go s.tooMany() // which needs the mutex of the Queue
		return
	}
	s.unsent = append(s.unsent, unsentEvent{bytes.Clone(event), h})
	h.Hold(int64(len(event)))
	s.flushWhenWritableLocked()
}

// isFull reports whether the last message did not fit.
func (s *sendQueue) isFull() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.full
}

// flushWhenWritableLocked sends what waits when it fits.
// +checklocks:s.mu
func (s *sendQueue) flushWhenWritableLocked() {
	s.full = true
	if s.awaited {
		return
	}
	s.awaited = true
	wire.RetryWhenWritable(s.raw, func() bool {
		s.flush()
		if s.isFull() {
			return false
		}
		s.writable()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.awaited = s.full
		return !s.full
	})
}

func (e unsentEvent) drop() { e.holder.Hold(-int64(len(e.event))) }

func (s *sendQueue) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full = false
	for len(s.unsent) > 0 && !s.closed {
		if wire.IsFull(wire.SendNow(s.fd, s.unsent[0].event, nil)) {
			s.full = true
			return
		}
		s.unsent[0].drop()
		s.unsent[0] = unsentEvent{}
		s.unsent = s.unsent[1:]
	}
	s.unsent = nil
}

// close ends the sending. It is to be called before the socket is closed.
func (s *sendQueue) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.unsent {
		e.drop()
	}
	s.closed, s.full, s.unsent = true, false, nil
}
