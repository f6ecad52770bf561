package front

import (
	"errors"
	"net"
	"sync"
	"time"

	"indrik/internal/account"
)

// http2Buffer is how much is read at a time of HTTP/2.
const http2Buffer = 4 << 10

var errFlood = errors.New("too many HTTP/2 frames that ask for nothing")

// An http2Conn is a connection of HTTP/2, with TLS or without, as net/http gets it.
// It looks at the frames that pass by and ends a connection that is a flood.
type http2Conn struct {
	net.Conn
	c      *conn
	closed func()

	in     http2Filter
	buf    []byte
	passed []byte // the filter, and not yet to the reader
	err    error  // comes after them

	out    frameScanner
	limits floodLimits
	unread unread
}

// newHTTP2Conn takes over what c has read already. Close calls closed.
func newHTTP2Conn(c *conn, closed func()) *http2Conn {
	h := &http2Conn{Conn: c.nc, c: c, closed: closed, buf: make([]byte, http2Buffer)}
	h.limits.init(now())
	h.unread.holder = c.held
	h.in.limits, h.in.unread = &h.limits, &h.unread
	h.passed, h.err = h.in.filter(nil, c.buf[c.r:c.w])
	c.buf, c.r, c.w = nil, 0, 0
	c.holdBuffer()
	c.hold(http2Held)
	return h
}

// An unread counts the bytes of bodies that have come and that no stream has read yet:
// net/http gives the connection's window back as they are read, or when their stream
// ends.
type unread struct {
	holder *account.Holder

	mu sync.Mutex
	// +checklocks:mu
	n int
}

func (u *unread) add(n int) {
	if u == nil {
		return
	}
	u.mu.Lock()
	u.n += n
	u.mu.Unlock()
	u.holder.Hold(int64(n))
}

// remove subtracts n, or less where net/http has only made the window larger than it was
// at first.
func (u *unread) remove(n int) {
	u.mu.Lock()
	n = min(n, u.n)
	u.n -= n
	u.mu.Unlock()
	u.holder.Hold(int64(-n))
}

// Read is called by one goroutine.
func (h *http2Conn) Read(p []byte) (int, error) {
	for len(h.passed) == 0 {
		if h.err != nil {
			return 0, h.err
		}
		if d := h.limits.takeWait(); d > 0 {
			h.c.s.slowings.slowed(h.c.s.log, &h.c.info, "DATA frames of a few bytes")
			sleepUnless(d, h.c.isEnding)
		}
		n, err := h.Conn.Read(h.buf)
		var flood error
		h.passed, flood = h.in.filter(h.passed[:0], h.buf[:n])
		if flood != nil {
			h.c.s.log.Warnf("Closing the connection of ip=%s: %s", h.c.info.remote, flood)
			h.passed, err = nil, flood
			h.c.sock.SetWriteDeadline(time.Unix(1, 0)) // nothing waits for such a client
		}
		if isTimeout(err) && len(h.passed) > 0 {
			err = nil
		}
		if isTimeout(err) {
			return 0, err // the reader's deadline; it may read again
		}
		h.err = err
	}
	n := copy(p, h.passed)
	h.passed = h.passed[n:]
	return n, nil
}

// Write is called by one goroutine at a time.
func (h *http2Conn) Write(p []byte) (int, error) {
	h.out.scan(p, func(f *frame) {
		h.limits.countSent(f, now())
		if f.kind == frameUpdate && f.stream == 0 {
			h.unread.remove(int(f.increment))
		}
	})
	return h.Conn.Write(p)
}

func (h *http2Conn) Close() error {
	h.closed()
	return h.Conn.Close()
}
