package front

import (
	"errors"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"indrik/internal/wire"
)

// This file ends connections: once no request follows the one that is being answered, it
// watches whether the client is still there, and then lets the client read the last
// response.

const (
	// A connection is read after the last response, so that the client can read the
	// response before a reset comes for what it still sends (RFC 9112 section 9.6):
	// until the client closes, sends nothing for lingerIdle, or lingerMost is over. While
	// the server ends, at most lingerBytes are read.
	lingerIdle  = 2 * time.Second
	lingerMost  = 30 * time.Second
	lingerBytes = 256 << 10
)

// watch reads while the last response is being made.
func (c *conn) watch() {
	for {
		if !c.isBusy() || c.w == len(c.buf) {
			return
		}
		if err := c.read(); err != nil && !isTimeout(err) {
			c.lost(err)
			return
		}
	}
}

// lost is called when reading failed while a request is in progress. That a client sends
// nothing more does not mean that it does not want its response; a reset means that, and
// the end of TLS without notice. A response of ASGI that has begun is cancelled in any
// case: it may have nothing to send for hours, and nothing else would show that the
// client has gone.
func (c *conn) lost(err error) {
	if !errors.Is(err, io.EOF) || c.s.queue.IsStreaming(&c.ex.Job) {
		c.s.queue.CancelByClient(&c.ex.Job)
		return
	}
	if c.ex.req.AtLeast11() && c.gateway == nil { // no web server takes an interim response
		c.s.queue.ProbeLater(&c.ex.Job, func() { c.out.Write(continueLine) })
	}
}

// awaitAnswer waits for the end of the last response. It notices when the client is not
// there to take it.
func (c *conn) awaitAnswer() {
	for c.isBusy() {
		err := c.raw.Read(func(fd uintptr) bool { return hasHungUp(fd) || !c.isBusy() })
		if isTimeout(err) {
			c.clearWake()
			continue
		}
		break
	}
	if c.isBusy() {
		c.s.queue.CancelByClient(&c.ex.Job)
	}
	c.mu.Lock()
	for c.busy {
		c.notBusy.Wait()
	}
	c.mu.Unlock()
}

// hasHungUp reports whether the other side of a socket neither sends nor receives any
// more.
func hasHungUp(fd uintptr) bool { return wire.Poll(fd, unix.POLLHUP|unix.POLLERR) }

// linger closes the sending side of the connection, and reads what still comes, so that
// the client can read the last response.
func (c *conn) linger() {
	c.enter(closing)
	if c.endsWithIt && c.r == c.w && !c.hasUnread() {
		return // nothing comes that would make the kernel send a reset
	}
	if c.tls != nil {
		c.tls.CloseWrite()
	}
	if hc, ok := c.sock.(interface{ CloseWrite() error }); !ok || hc.CloseWrite() != nil {
		return
	}
	b := buffers.Get().(*[]byte)
	defer buffers.Put(b)
	end, total := time.Now().Add(lingerMost), 0
	for time.Now().Before(end) && (total < lingerBytes || !c.s.isDraining()) {
		c.sock.SetReadDeadline(time.Now().Add(lingerIdle))
		n, err := c.sock.Read(*b)
		if err != nil {
			return
		}
		total += n
	}
}
