package front

import (
	"sync"
	"time"

	"indrik/internal/wire"
)

const (
	// lameDuck is how long an idle connection is still read when the server
	// ends: a request that was on its way then is answered.
	lameDuck = 250 * time.Millisecond
	// firstRequest is that for a connection which has not had a request yet.
	firstRequest = time.Second
)

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
		ending.Go(func() { l.end(s, accept == wire.AcceptEmpty, accept == wire.AcceptEmpty) })
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

// lastFor tells whether responses are the last ones of a connection.
func (s *server) lastFor(o *origin) bool { return s.isLast() || o.secure && s.isDraining() }

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
