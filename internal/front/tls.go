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
// the client: what the kernel does not take is kept, for send.
type tlsSocket struct {
	net.Conn
	c *conn

	mu    sync.Mutex
	async bool
	left  []byte // encrypted, and not yet with the kernel
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
	rest := p
	if len(t.left) == 0 {
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
			return 0, werr
		}
		if err != nil && !errors.Is(err, unix.EAGAIN) {
			return 0, err
		}
	}
	t.left = append(t.left, rest...)
	t.c.hold(len(rest))
	return len(p), nil
}

// take returns what is kept, and keeps it no more.
func (t *tlsSocket) take() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	left := t.left
	t.left = nil
	t.c.hold(-len(left))
	return left
}

// tlsPiece is how much is encrypted at a time for a client that has to be waited
// for: one TLS record.
const tlsPiece = 16 << 10

// tlsTry is how much is encrypted before a look at whether the client has to be
// waited for.
const tlsTry = 128 << 10

// A tlsTransport sends through TLS.
type tlsTransport struct {
	tls  *tls.Conn
	sock *tlsSocket
}

func (l *tlsTransport) Try(p []byte) ([]byte, error) {
	for len(p) > 0 && !l.Pending() {
		n, err := l.tls.Write(p[:min(len(p), tlsTry)])
		if err != nil {
			return nil, err
		}
		p = p[n:]
	}
	return p, nil
}

func (l *tlsTransport) Pending() bool {
	l.sock.mu.Lock()
	defer l.sock.mu.Unlock()
	return len(l.sock.left) > 0
}

func (l *tlsTransport) Send(p []byte) error {
	for {
		if left := l.sock.take(); len(left) > 0 {
			if err := sendRaw(l.sock.c.raw, left, l.sock.c.progress); err != nil {
				return err
			}
			continue
		}
		if len(p) == 0 {
			return nil
		}
		n, err := l.tls.Write(p[:min(len(p), tlsPiece)])
		if err != nil {
			return err
		}
		p = p[n:]
	}
}

func (l *tlsTransport) SendFile(p outbox.FilePart) (int, error) {
	n, err := copyPiece(p, l.Send)
	l.sock.c.progress()
	return n, err
}

func (l *tlsTransport) Flush() error { return nil }
