package front

import (
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"indrik/internal/wire"
)

// This file gives idle connections to another front in a hot upgrade, and serves those
// that another front gives.

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
			return !errors.Is(in.Err, unix.EAGAIN)
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
