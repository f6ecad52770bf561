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

// A peerFront is the front of the master before or after this one.
type peerFront struct {
	file    *os.File
	raw     syscall.RawConn
	readAll bool // it gives no more connections, and all that it gave are here
}

// shutRead makes the peer front keep its connections from now on: what it has sent so far
// is still read, and sending fails there. Otherwise connections that were on their way
// would end with this process.
func (p *peerFront) shutRead() {
	_ = p.raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_RD) })
}

// handOver gives a connection to the peer front, and reports whether that has succeeded.
func (s *server) handOver(c *conn) bool {
	s.mu.Lock()
	p := s.peerFront
	s.mu.Unlock()
	if p == nil {
		return false
	}
	info := &c.info
	h := wire.Handover{Bind: info.bind, Network: info.network}
	if info.proxied {
		h.Client = netip.AddrPortFrom(info.client, uint16(info.port)).String()
		h.Server = net.JoinHostPort(info.proxy, strconv.Itoa(info.proxyPort))
	}
	data, err := json.Marshal(h)
	if err != nil {
		return false
	}
	// Not through the socket's File method: its Fd would make the socket a blocking one,
	// and a read of a connection that stays here would hold up the whole process.
	gone := c.raw.Control(func(fd uintptr) { err = wire.SendMsg(p.raw, data, int(fd)) })
	return gone == nil && err == nil
}

// setPeerFront takes over the socket to the peer front.
func (s *server) setPeerFront(f *os.File) {
	file, raw, err := wire.Adopt(f)
	if err != nil {
		s.log.Errorf("the other front cannot be reached: %s", err)
		return
	}
	p := &peerFront{file: file, raw: raw}
	s.mu.Lock()
	if s.peerFront != nil {
		s.peerFront.file.Close()
	}
	s.peerFront = p
	if s.final {
		p.shutRead()
	}
	s.mu.Unlock()
	go s.receiveConns(p)
}

// receiveConns serves the connections that the peer front gives.
func (s *server) receiveConns(p *peerFront) {
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
			nc, err := net.FileConn(f)
			switch {
			case err != nil:
			case h.Fresh:
				s.serve(nc, newEndpoint(h.Bind, h.Network), nil)
			default:
				// While this process drains, a connection that comes back stays
				// here: otherwise it would go to and fro. But a process that ends
				// gives it back at once, to a peer front that can give it nothing
				// any more.
				s.serve(nc, newEndpoint(h.Bind, h.Network), func(c *conn) {
					c.handshakeDone = true
					c.fromPeerFront.Store(s.isDraining() && !s.isFinal())
					client, err := netip.ParseAddrPort(h.Client)
					server, err2 := netip.ParseAddrPort(h.Server)
					if err == nil && err2 == nil {
						c.info.setProxied(client, server)
					}
					c.info.encode(nil)
					c.enter(idle)
				})
			}
		}
		f.Close()
	}
	s.mu.Lock()
	current := s.peerFront == p
	if current && s.final {
		// Perhaps only this end reads no more: connections can still be given.
		p.readAll = true
		s.mu.Unlock()
		s.reportIfDrained()
		return
	}
	if current {
		s.peerFront = nil
	}
	s.mu.Unlock()
	p.file.Close()
}

// handoverFailed is called when the peer front has not taken c. If this process ends, its
// connections end with it. Otherwise the other server is ending, and c stays, since this
// server is about to serve again.
func (s *server) handoverFailed(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.handover:
	case !s.final:
		c.fromPeerFront.Store(true)
		go s.reportIfDrained()
	default:
		s.handover = false
		s.drainedFrom.Store(now())
		s.departing.Store(true)
	}
}
