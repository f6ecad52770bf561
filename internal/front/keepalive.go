package front

import (
	"time"

	"golang.org/x/sys/unix"
)

// This file decides how long an idle connection is kept: by the keep-alive time-out, by
// the connection limit, and while the server drains. The deadline sweep wakes a connection
// whose time is over; the goroutine of the connection then calls checkIdle.

// idleTimeout returns how long an idle connection is kept: between two requests, or before
// the first one. A connection from another front may have had requests there.
func (c *conn) idleTimeout(cfg *config) time.Duration {
	if cfg.keepalive > 0 && (c.served.Load() || c.handshakeDone) {
		return cfg.keepalive
	}
	return cfg.headerTimeout
}

// checkIdle decides whether an idle connection stays in this process: then it returns nil.
// If the connection is to leave, checkIdle gives it to the peer front where that is
// possible.
func (c *conn) checkIdle() error {
	if c.isEnding() {
		return errConnEnds
	}
	outstays := c.outstays() || c.evicted.Load()
	if !outstays && !exceeds(time.Duration(now()-c.since.Load()), c.idleTimeout(c.s.config())) {
		return nil
	}
	if outstays && !c.endsHere() && c.s.isDraining() {
		if c.handedOver = c.s.handOver(c); c.handedOver {
			return errConnEnds
		}
		c.s.handoverFailed(c)
		return nil // as a lame duck, or for as long as its client wants it to stay
	}
	if c.hasUnread() {
		return nil // a request came in time
	}
	return errConnEnds
}

// outstays reports whether c, which is idle, is to leave this process, which drains.
func (c *conn) outstays() bool {
	s := c.s
	if !s.isDraining() {
		return false
	}
	if !c.endsHere() {
		return !c.fromPeerFront.Load()
	}
	grace := lameDuck
	if !c.served.Load() {
		grace = firstRequest
	}
	return time.Duration(now()-max(c.since.Load(), s.drainedFrom.Load())) >= grace
}

// wakeIfOutstaying wakes an idle connection that is to leave this process.
func (c *conn) wakeIfOutstaying() {
	if p := phase(c.phase.Load()); (p == idle || p == handshaking) && c.outstays() {
		c.wake()
	}
}

// endsHere reports whether a draining server ends c instead of giving it to the peer
// front: the state of TLS cannot be given.
func (c *conn) endsHere() bool {
	return c.s.isDeparting() || c.tls != nil || phase(c.phase.Load()) == handshaking
}

// hasUnread reports whether the client has sent something that is not read yet.
func (c *conn) hasUnread() bool {
	n := 0
	_ = c.raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, _ = unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	})
	return n > 0
}
