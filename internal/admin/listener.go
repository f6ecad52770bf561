package admin

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

const (
	maxConns     = 64
	maxPeerConns = 32 // from one address
	maxStrangers = 8  // of peers that are not allowed
	acceptEvery  = time.Second / 200
	acceptBurst  = 16
	// minStay is how long a connection keeps its place in any case: what was on its way when
	// it was accepted has come by then.
	minStay     = 250 * time.Millisecond
	acceptPause = 100 * time.Millisecond // after an error such as too many open files
)

// A listener accepts no more connections than there are places for. The connection that
// has done nothing for the longest time makes room for a new one: first one without a
// request, then one whose client reads slowly, and last one whose request has come and was not
// read yet, as there was no processor for it.
type listener struct {
	net.Listener
	admits func(netip.Addr) bool
	closed chan struct{}
	close  sync.Once
	full   time.Time // when acceptBurst connections may come at once again

	mu sync.Mutex
	// +checklocks:mu
	conns []*conn // the one that changed its state last is the last one
}

// A conn is a connection that has a place.
type conn struct {
	net.Conn
	ln       *listener
	peer     netip.Addr
	stranger bool
	active   bool // a request is being answered
	since    time.Time
}

func newListener(ln net.Listener, admits func(netip.Addr) bool) *listener {
	return &listener{Listener: ln, admits: admits, closed: make(chan struct{})}
}

// Accept implements [net.Listener]. It outlasts errors that pass.
func (l *listener) Accept() (net.Conn, error) {
	for {
		l.pace()
		nc, err := l.Listener.Accept()
		if err == nil {
			if c := l.place(nc); c != nil {
				return c, nil
			}
			continue
		}
		select {
		case <-l.closed:
			return nil, http.ErrServerClosed
		case <-time.After(acceptPause):
		}
	}
}

// pace waits until the next connection may be accepted.
func (l *listener) pace() {
	now := time.Now()
	if l.full.Before(now) {
		l.full = now
	}
	l.full = l.full.Add(acceptEvery)
	if wait := l.full.Sub(now) - acceptBurst*acceptEvery; wait > 0 {
		select {
		case <-time.After(wait):
		case <-l.closed:
		}
	}
}

// Close implements [net.Listener].
func (l *listener) Close() (err error) {
	l.close.Do(func() {
		close(l.closed)
		err = l.Listener.Close()
	})
	return err
}

// place gives a connection a place. It waits until another one may be sent away for it; a
// stranger does not have that done for it, and gets none then.
func (l *listener) place(nc net.Conn) *conn {
	peer := peerOf(nc.RemoteAddr().String())
	c := &conn{Conn: nc, ln: l, peer: peer, stranger: !l.admits(peer)}
	for {
		gone, wait := l.tryPlace(c)
		switch {
		case wait <= 0:
			if gone != nil {
				gone.Conn.Close()
			}
			return c
		case c.stranger:
			nc.Close()
			return nil
		}
		select {
		case <-time.After(wait):
		case <-l.closed: // it was accepted: it is answered
			l.mu.Lock()
			l.conns = append(l.conns, c)
			l.mu.Unlock()
			return c
		}
	}
}

// tryPlace gives a connection a place, and returns the one that has lost it for that; or it
// returns for how long there is none.
func (l *listener) tryPlace(c *conn) (gone *conn, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all, ofPeer := 0, 0
	for _, other := range l.conns {
		if other.stranger == c.stranger {
			all++
			if other.peer == c.peer {
				ofPeer++
			}
		}
	}
	switch {
	case c.stranger && all >= maxStrangers, !c.stranger && all >= maxConns:
		gone = l.oldestLocked(func(other *conn) bool { return other.stranger == c.stranger })
	case ofPeer >= maxPeerConns:
		gone = l.oldestLocked(func(other *conn) bool { return other.stranger == c.stranger && other.peer == c.peer })
	}
	now := time.Now()
	if gone != nil {
		if wait = gone.since.Add(minStay).Sub(now); wait > 0 {
			return nil, wait
		}
		l.removeLocked(gone)
	}
	c.since = now
	l.conns = append(l.conns, c)
	return gone, 0
}

// oldestLocked returns the connection that makes room: of those that have no request the one
// that has had its place for the longest time; of those that have one, if there are no others.
// +checklocks:l.mu
func (l *listener) oldestLocked(may func(*conn) bool) *conn {
	var unread *conn
	for _, active := range []bool{false, true} {
		for _, c := range l.conns {
			switch {
			case c.active != active || !may(c):
			case active || !c.hasUnread():
				return c
			case unread == nil:
				unread = c
			}
		}
	}
	return unread
}

// hasUnread reports whether something has come on the connection that was not read yet.
func (c *conn) hasUnread() bool {
	sc, ok := c.Conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	n := 0
	err = raw.Control(func(fd uintptr) {
		n, _, _ = syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	})
	return err == nil && n > 0
}

// +checklocks:l.mu
func (l *listener) removeLocked(c *conn) bool {
	for i, other := range l.conns {
		if other == c {
			l.conns = append(l.conns[:i], l.conns[i+1:]...)
			return true
		}
	}
	return false
}

// changed notes what a connection does: see [http.Server.ConnState].
func (l *listener) changed(nc net.Conn, state http.ConnState) {
	c := nc.(*conn)
	l.mu.Lock()
	defer l.mu.Unlock()
	if state != http.StateActive && state != http.StateIdle {
		return
	}
	if l.removeLocked(c) { // otherwise it has made room
		c.active, c.since = state == http.StateActive, time.Now()
		l.conns = append(l.conns, c)
	}
}

// Close implements [net.Conn].
func (c *conn) Close() error {
	c.ln.mu.Lock()
	c.ln.removeLocked(c)
	c.ln.mu.Unlock()
	return c.Conn.Close()
}
