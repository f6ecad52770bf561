package front

import (
	"bytes"
	"errors"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"indrik/internal/account"
	"indrik/internal/wire"
)

// A post sends messages to an ASGI worker, and waits for it never. Its mutex comes
// after the queue's.
type post struct {
	raw     syscall.RawConn
	fd      uintptr
	tooMany func() // so many events wait that the worker cannot be reading any; called without the mutex
	room    func() // the worker has read some of what did not fit; called without the mutex

	mu      sync.Mutex
	waiting []kept // events that did not fit
	full    bool   // a message did not fit; somebody waits until it does
	awaited bool   // a goroutine waits for that
	closed  bool
}

// A kept event is one that waits, for a client.
type kept struct {
	event  []byte
	holder *account.Holder // nil: for none
}

func newPost(raw syscall.RawConn, room, tooMany func()) *post {
	p := &post{raw: raw, room: room, tooMany: tooMany}
	_ = raw.Control(func(fd uintptr) { p.fd = fd })
	return p
}

// postBuffer is the size of the socket buffer for what such a worker is sent, in bytes.
// What does not fit waits in this process, as a copy.
const postBuffer = 2 << 20

// waitingMost is how many events may wait for a worker: some for each request that it can
// have.
const waitingMost = 50_000

// begin prepares the socket for its use.
func (p *post) begin() { wire.SetSendBuffer(p.fd, postBuffer) }

// try sends a message if it fits, and after all others.
func (p *post) try(message []byte, files []*os.File) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return unix.EPIPE
	}
	if p.full {
		return unix.EAGAIN
	}
	err := wire.SendNow(p.fd, message, files)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ENOBUFS) {
		p.await()
	}
	return err
}

// send sends an event, of which it keeps a copy until it fits.
func (p *post) send(event []byte) { p.sendFor(nil, event) }

// sendFor is send for what a client has sent, whose memory it is until it fits.
func (p *post) sendFor(h *account.Holder, event []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	if !p.full {
		switch wire.SendNow(p.fd, event, nil) {
		case unix.EAGAIN, unix.ENOBUFS:
		default:
			return // sent, or the worker is gone
		}
	}
	if len(p.waiting) == waitingMost {
		go p.tooMany() // which needs the mutex of the queue
		return
	}
	p.waiting = append(p.waiting, kept{bytes.Clone(event), h})
	h.Hold(int64(len(event)))
	p.await()
}

// isFull tells whether the last message did not fit.
func (p *post) isFull() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.full
}

// await has what waits sent when it fits.
func (p *post) await() {
	p.full = true
	if p.awaited {
		return
	}
	p.awaited = true
	wire.RetryWhenWritable(p.raw, func() bool {
		p.flush()
		if p.isFull() {
			return false
		}
		p.room()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.awaited = p.full
		return !p.full
	})
}

func (k kept) drop() { k.holder.Hold(-int64(len(k.event))) }

func (p *post) flush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.full = false
	for len(p.waiting) > 0 && !p.closed {
		switch wire.SendNow(p.fd, p.waiting[0].event, nil) {
		case unix.EAGAIN, unix.ENOBUFS:
			p.full = true
			return
		}
		p.waiting[0].drop()
		p.waiting[0] = kept{}
		p.waiting = p.waiting[1:]
	}
	p.waiting = nil
}

// close ends the sending. It is to be called before the socket is closed.
func (p *post) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.waiting {
		k.drop()
	}
	p.closed, p.full, p.waiting = true, false, nil
}
