package front

import (
	"crypto/tls"
	"errors"
	"net"
	"sync"

	"golang.org/x/sys/unix"

	"indrik/internal/outbox"
	"indrik/internal/wire"
)

// A tlsSocket is the socket below TLS. Once it is async, writing never waits for
// the client: what the kernel does not take is pending until Send.
type tlsSocket struct {
	net.Conn
	c *conn

	mu sync.Mutex
	// +checklocks:mu
	async bool
	// +checklocks:mu
	pending []byte // encrypted, and not yet with the kernel
	// +checklocks:mu
	records *[]byte // encrypted, and to be written together; nil: each is written by itself
}

// gatherSize is how many bytes of records are written together.
const gatherSize = 64 << 10

var recordBuffers = sync.Pool{New: func() any { b := make([]byte, 0, gatherSize+tlsPiece+1<<10); return &b }}

// gather has records written together until [tlsSocket.writeGathered].
func (t *tlsSocket) gather() {
	t.mu.Lock()
	t.records = recordBuffers.Get().(*[]byte)
	t.mu.Unlock()
}

// writeGathered writes the records that were gathered.
func (t *tlsSocket) writeGathered() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.records
	t.records = nil
	err := t.writeLocked(*b)
	*b = (*b)[:0]
	recordBuffers.Put(b)
	return err
}

func (t *tlsSocket) setAsync() {
	t.mu.Lock()
	t.async = true
	t.mu.Unlock()
}

func (t *tlsSocket) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.async {
		return t.Conn.Write(p)
	}
	if b := t.records; b != nil {
		if *b = append(*b, p...); len(*b) < gatherSize {
			return len(p), nil
		}
		err := t.writeLocked(*b)
		*b = (*b)[:0]
		return len(p), err
	}
	return len(p), t.writeLocked(p)
}

// writeLocked writes p as far as the kernel takes it. The rest is pending.
// +checklocks:t.mu
func (t *tlsSocket) writeLocked(p []byte) error {
	rest := p
	if len(t.pending) == 0 {
		var err error
		werr := t.c.raw.Write(func(fd uintptr) bool {
			for len(rest) > 0 {
				var n int
				if n, err = wire.WriteNow(fd, rest); err != nil {
					break
				}
				rest = rest[n:]
			}
			return true
		})
		if werr != nil {
			return werr
		}
		if err != nil && !errors.Is(err, unix.EAGAIN) {
			return err
		}
	}
	t.pending = append(t.pending, rest...)
	t.c.hold(len(rest))
	return nil
}

// takePending returns what is pending, which the caller has to send.
func (t *tlsSocket) takePending() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	pending := t.pending
	t.pending = nil
	t.c.hold(-len(pending))
	return pending
}

// tlsPiece is how much a TLS record has at most.
const tlsPiece = 16 << 10

// tlsOneRecord is how much is sure to be one record: those that are sent first on a connection
// are small, so that the client need not wait for all of a large one.
const tlsOneRecord = 1 << 10

// tlsTry is how much is encrypted before a check whether the client has to be waited
// for.
const tlsTry = 128 << 10

// A tlsTransport is the transport of a connection with TLS.
type tlsTransport struct {
	tls  *tls.Conn
	sock *tlsSocket
}

// Try implements [outbox.Transport].
func (t *tlsTransport) Try(head, p []byte) ([]byte, []byte, error) {
	for len(head)+len(p) > 0 && !t.Pending() {
		n := min(len(p), tlsTry)
		if err := t.encrypt(head, p[:n]); err != nil {
			return nil, nil, err
		}
		head, p = nil, p[n:]
	}
	return head, p, nil
}

// encrypt encrypts all of head and p, and writes what the kernel takes.
func (t *tlsTransport) encrypt(head, p []byte) (err error) {
	if len(head) == 0 && len(p) <= tlsOneRecord {
		_, err = t.tls.Write(p)
		return err
	}
	t.sock.gather()
	if len(head) > 0 {
		_, err = t.tls.Write(head)
	}
	if err == nil {
		_, err = t.tls.Write(p)
	}
	return errors.Join(err, t.sock.writeGathered())
}

// Pending implements [outbox.Transport].
func (t *tlsTransport) Pending() bool {
	t.sock.mu.Lock()
	defer t.sock.mu.Unlock()
	return len(t.sock.pending) > 0
}

// Send implements [outbox.Transport].
func (t *tlsTransport) Send(p []byte) error { return t.sendBoth(nil, p) }

func (t *tlsTransport) sendBoth(head, p []byte) error {
	for {
		if pending := t.sock.takePending(); len(pending) > 0 {
			if err := sendRaw(t.sock.c.raw, pending, t.sock.c.progress); err != nil {
				return err
			}
			continue
		}
		if len(head)+len(p) == 0 {
			return nil
		}
		n := min(len(p), gatherSize)
		if err := t.encrypt(head, p[:n]); err != nil {
			return err
		}
		head, p = nil, p[n:]
	}
}

// SendFile implements [outbox.Transport].
func (t *tlsTransport) SendFile(head []byte, p outbox.FilePart) (int, error) {
	n, err := copyPart(p, func(data []byte) error { return t.sendBoth(head, data) })
	t.sock.c.progress()
	return n, err
}

// Flush implements [outbox.Transport].
func (t *tlsTransport) Flush() error { return nil }
