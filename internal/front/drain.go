package front

import (
	"sync"
	"time"

	"indrik/internal/wire"
)

const (
	// lameDuck is how long an idle connection is still read when the server
	// ends, so that a request that was on its way then is answered.
	lameDuck = 250 * time.Millisecond
	// firstRequest is the lame-duck time of a connection that has not had a request yet.
	firstRequest = time.Second
)

// depart makes every response the last one of its connection. Connections are still
// accepted: a drain follows.
func (s *server) depart() { s.departing.Store(true) }

// drain stops accepting and finishes what is in flight. After a final drain the process
// ends, so it takes no more connections from the peer front.
func (s *server) drain(handover, final bool, accept string) {
	if s.current.Load() == nil {
		s.setConfig(noConfig) // nobody waits for a generation any more
	}
	s.mu.Lock()
	s.draining, s.drainReported = true, false
	s.drainedFrom.Store(now())
	s.handover = handover && s.peerFront != nil
	s.final = final
	if final {
		if s.peerFront != nil {
			s.peerFront.shutRead()
		}
		for c := range s.conns {
			c.fromPeerFront.Store(false) // it must leave now, too
		}
	}
	s.departing.Store(!s.handover)
	s.drainingNow.Store(true)
	var ending sync.WaitGroup
	s.closingListeners++
	for id, l := range s.listeners {
		delete(s.listeners, id)
		ending.Go(func() { l.close(s, accept == wire.AcceptEmpty, accept == wire.AcceptEmpty) })
	}
	s.mu.Unlock()
	s.endHTTP2()
	s.leaveWebSockets(handover)
	go func() {
		ending.Wait()
		s.mu.Lock()
		s.closingListeners--
		s.mu.Unlock()
		s.wakeOutstaying()
		s.reportIfDrained()
	}()
}

// resume ends a drain that the master takes back. The master sends the listeners again.
func (s *server) resume() {
	s.keepWebSockets()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining, s.drainReported, s.handover, s.final = false, false, false, false
	s.departing.Store(false)
	s.drainingNow.Store(false)
	for c := range s.conns {
		c.fromPeerFront.Store(false)
	}
}

func (s *server) isDraining() bool { return s.drainingNow.Load() }

// isFinal reports whether the process ends after this drain.
func (s *server) isFinal() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.final
}

// isDeparting reports whether every response is the last one of its connection.
func (s *server) isDeparting() bool { return s.departing.Load() }

// wakeOutstaying wakes, again and again until the drain is over, all idle connections that
// are to leave this process.
func (s *server) wakeOutstaying() {
	if !s.isDraining() {
		return
	}
	for _, c := range s.all() {
		c.wakeIfOutstaying()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining && !s.drainReported {
		time.AfterFunc(lameDuck/2, s.wakeOutstaying)
	}
}

// closesAfterResponse reports whether a connection ends after its next response. A
// draining server cannot give a connection with TLS away.
func (s *server) closesAfterResponse(info *connInfo) bool {
	return s.isDeparting() || info.secure && s.isDraining()
}

// reportIfDrained tells the master, once, that nothing is left.
func (s *server) reportIfDrained() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.draining || s.drainReported || s.closingListeners > 0 {
		return
	}
	if s.final && s.peerFront != nil && !s.peerFront.readAll {
		return
	}
	for c := range s.conns {
		if !s.handover || !c.fromPeerFront.Load() {
			return
		}
	}
	s.drainReported = true
	s.sendMaster(wire.FromFront{Type: wire.TypeDrained})
	select {
	case s.empty <- struct{}{}:
	default:
	}
}
