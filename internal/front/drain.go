package front

import (
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"indrik/internal/wire"
)

const (
	// lameDuck is how long an idle connection is still read when the server
	// ends: a request that was on its way then is answered.
	lameDuck = 250 * time.Millisecond
	// firstRequest is that for a connection which has not had a request yet.
	firstRequest = time.Second
)

// A peer is the front of the master before or after this one.
type peer struct {
	file *os.File
	raw  syscall.RawConn
	read bool // it gives no more connections, and all that it gave are here
}

// refuse makes the peer keep its connections from now on: what it has sent so far is
// still read, what it sends later is an error there. Without that a process that ends
// could take connections with it that were on their way.
func (p *peer) refuse() {
	_ = p.raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_RD) })
}

// depart makes every response the last one of its connection. Connections are still
// accepted: a drain follows.
func (s *server) depart() { s.last.Store(true) }

// drain stops accepting and finishes what there is. After a final drain the process
// ends; before that it takes no more connections from the peer.
func (s *server) drain(handover, final bool, accept string) {
	if s.current.Load() == nil {
		s.setConfig(noConfig) // nobody waits for a generation any more
	}
	s.mu.Lock()
	s.draining, s.drained = true, false
	s.drainedFrom.Store(now())
	s.handover = handover && s.peer != nil
	s.final = final
	if final {
		if s.peer != nil {
			s.peer.refuse()
		}
		for c := range s.conns {
			c.fromPeer.Store(false) // it must leave now, too
		}
	}
	s.last.Store(!s.handover)
	s.drainingNow.Store(true)
	var ending sync.WaitGroup
	s.endHTTP2()
	s.ends++
	for id, l := range s.listeners {
		delete(s.listeners, id)
		ending.Add(1)
		go func() {
			defer ending.Done()
			l.end(s, accept == wire.AcceptEmpty, accept == wire.AcceptEmpty)
		}()
	}
	s.mu.Unlock()
	s.leaveSockets(handover)
	go func() {
		ending.Wait()
		s.mu.Lock()
		s.ends--
		s.mu.Unlock()
		s.settleAll()
		s.checkDrained()
	}()
}

// resume takes back a drain. The master gives the listeners again.
func (s *server) resume() {
	s.staySockets()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining, s.drained, s.handover, s.final = false, false, false, false
	s.last.Store(false)
	s.drainingNow.Store(false)
	for c := range s.conns {
		c.fromPeer.Store(false)
	}
}

func (s *server) isDraining() bool { return s.drainingNow.Load() }

// isFinal reports whether the process ends after this drain.
func (s *server) isFinal() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.final
}

// isLast tells whether responses are the last ones of their connections.
func (s *server) isLast() bool { return s.last.Load() }

// settleAll looks after the idle connections until none is left.
func (s *server) settleAll() {
	if !s.isDraining() {
		return
	}
	for _, c := range s.all() {
		s.settleIdle(c)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining && !s.drained {
		time.AfterFunc(lameDuck/2, s.settleAll)
	}
}

// settleIdle has an idle connection look whether it is to end.
func (s *server) settleIdle(c *conn) {
	if p := phase(c.phase.Load()); (p == idle || p == greeting) && c.outstays() {
		c.wake()
	}
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

// lastFor tells whether responses are the last ones of a connection.
func (s *server) lastFor(o *origin) bool { return s.isLast() || o.secure && s.isDraining() }

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

// hasBytes tells whether the client has sent something that is not read yet.
func (c *conn) hasBytes() bool {
	n := 0
	_ = c.raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, _ = unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	})
	return n > 0
}

// give hands a connection to the peer.
func (s *server) give(c *conn) bool {
	s.mu.Lock()
	p := s.peer
	s.mu.Unlock()
	if p == nil {
		return false
	}
	o := &c.origin
	h := wire.Handover{Bind: o.bind, Network: o.network}
	if o.proxied {
		h.Client = netip.AddrPortFrom(o.client, uint16(o.port)).String()
		h.Server = net.JoinHostPort(o.proxy, strconv.Itoa(o.proxyFor))
	}
	data, err := json.Marshal(h)
	if err != nil {
		return false
	}
	// Not by way of the File of the socket, whose Fd makes it a blocking one: of a
	// connection that stays here a read would then hold up the whole process.
	gone := c.raw.Control(func(fd uintptr) { err = wire.SendMsg(p.raw, data, int(fd)) })
	return gone == nil && err == nil
}

// setPeer takes over the socket to the other front.
func (s *server) setPeer(f *os.File) {
	file, raw, err := wire.Adopt(f)
	if err != nil {
		s.log.Errorf("the other front cannot be reached: %s", err)
		return
	}
	p := &peer{file: file, raw: raw}
	s.mu.Lock()
	if s.peer != nil {
		s.peer.file.Close()
	}
	s.peer = p
	if s.final {
		p.refuse()
	}
	s.mu.Unlock()
	go s.takeOver(p)
}

// takeOver serves the connections that the peer gives.
func (s *server) takeOver(p *peer) {
	buf := make([]byte, 4096)
	var in wire.Receiver
	for {
		err := p.raw.Read(func(fd uintptr) bool {
			in.Receive(fd, buf, 0)
			return in.Err != unix.EAGAIN
		})
		if err != nil || in.Err != nil || in.N == 0 {
			break
		}
		var h wire.Handover
		f := in.File()
		if f == nil {
			continue
		}
		if json.Unmarshal(buf[:in.N], &h) == nil {
			if nc, err := net.FileConn(f); err == nil {
				// While this process drains, too, what comes back stays: else
				// it would go to and fro. But a process that ends gives it back
				// at once, to a peer that can give it nothing any more.
				s.serve(nc, newEndpoint(h.Bind, h.Network), func(c *conn) {
					c.greeted = true
					c.fromPeer.Store(s.isDraining() && !s.isFinal())
					client, err := netip.ParseAddrPort(h.Client)
					server, err2 := netip.ParseAddrPort(h.Server)
					if err == nil && err2 == nil {
						c.origin.through(client, server)
					}
					c.origin.describe(nil)
					c.enter(idle)
				})
			}
		}
		f.Close()
	}
	s.mu.Lock()
	current := s.peer == p
	if current && s.final {
		// Perhaps only this end reads no more: connections can still be given.
		p.read = true
		s.mu.Unlock()
		s.checkDrained()
		return
	}
	if current {
		s.peer = nil
	}
	s.mu.Unlock()
	p.file.Close()
}

// endHandover is called when the peer has not taken c. If this process ends its
// connections end with it. Otherwise the other server is ending: then c stays, since
// this one is about to serve again.
func (s *server) endHandover(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.handover:
	case !s.final:
		c.fromPeer.Store(true)
		go s.checkDrained()
	default:
		s.handover = false
		s.drainedFrom.Store(now())
		s.last.Store(true)
	}
}

// checkDrained tells the master when nothing is left.
func (s *server) checkDrained() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.draining || s.drained || s.ends > 0 {
		return
	}
	if s.final && s.peer != nil && !s.peer.read {
		return
	}
	for c := range s.conns {
		if !s.handover || !c.fromPeer.Load() {
			return
		}
	}
	s.drained = true
	s.send(wire.FromFront{Type: wire.TypeDrained})
	select {
	case s.empty <- struct{}{}:
	default:
	}
}
