package front

import (
	"time"

	"golang.org/x/sys/unix"
)

// This file decides how long an idle connection is kept.

// patience is how long an idle connection is kept: between two requests, or before
// the first one. One that another front gave may have had some there.
func (c *conn) patience(cfg *config) time.Duration {
	if cfg.keepalive > 0 && (c.served.Load() || c.greeted) {
		return cfg.keepalive
	}
	return cfg.headerTimeout
}

// stay decides what becomes of an idle connection of which nothing is read.
// With nil it goes on.
func (c *conn) stay() error {
	if c.isEnding() {
		return errOver
	}
	outstays := c.outstays() || c.evicted.Load()
	if !outstays && !exceeds(time.Duration(now()-c.since.Load()), c.patience(c.s.config())) {
		return nil
	}
	if outstays && !c.isLast() && c.s.isDraining() {
		if c.given = c.s.give(c); c.given {
			return errOver
		}
		c.s.endHandover(c)
		return nil // as a lame duck, or for as long as it wants to stay
	}
	if c.hasBytes() {
		return nil // a request came in time
	}
	return errOver
}

// outstays tells whether c, which is idle, is to leave this process.
func (c *conn) outstays() bool {
	s := c.s
	if !s.isDraining() {
		return false
	}
	if !c.isLast() {
		return !c.fromPeer.Load()
	}
	grace := lameDuck
	if !c.served.Load() {
		grace = firstRequest
	}
	return time.Duration(now()-max(c.since.Load(), s.drainedFrom.Load())) >= grace
}

// isLast tells whether a draining server will end c, instead of giving it to the
// peer: what there is of TLS cannot be given.
func (c *conn) isLast() bool {
	return c.s.isLast() || c.tls != nil || phase(c.phase.Load()) == greeting
}

// hasBytes tells whether the client has sent something that is not read yet.
func (c *conn) hasBytes() bool {
	n := 0
	_ = c.raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, _ = unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	})
	return n > 0
}
