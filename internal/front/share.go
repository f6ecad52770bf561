package front

import (
	"encoding/json"
	"net"
	"sync"
	"syscall"

	"indrik/internal/canary"
	"indrik/internal/wire"
)

// A connShare deals a share of the connections that this process accepts to the front of a
// successor that is tried. Nothing of them has been read: that front begins with the first byte.
type connShare struct {
	mu sync.Mutex
	// +checklocks:mu
	deck *canary.Deck // nil: they all stay
}

// set gives that share away from now on; the zero share is none.
func (c *connShare) set(share canary.Share) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deck = nil
	if share.Valid() {
		c.deck = canary.NewDeck(share, nil)
	}
}

// draw reports whether the next connection is to be given away.
func (c *connShare) draw() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.deck != nil && c.deck.Draw()
}

// giveAway gives a connection that was just accepted to the peer front, if it is drawn, and
// reports whether that has succeeded; otherwise it stays.
func (s *server) giveAway(nc net.Conn, from wire.Listener) bool {
	if !s.share.draw() {
		return false
	}
	s.mu.Lock()
	p := s.peerFront
	s.mu.Unlock()
	sc, ok := nc.(syscall.Conn)
	if p == nil || !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	data, err := json.Marshal(wire.Handover{Bind: from.Bind, Network: from.Network, Fresh: true})
	if err != nil {
		return false
	}
	gone := raw.Control(func(fd uintptr) { err = wire.SendMsg(p.raw, data, int(fd)) })
	if gone != nil || err != nil {
		return false
	}
	nc.Close()
	return true
}
