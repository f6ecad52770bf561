package front

import "golang.org/x/sys/unix"

// This file bounds how many connections there are, and chooses the one that ends for a
// new one.

// descriptorShare is the share of the file descriptors that client connections may take
// if limit_connections does not say how many: requests and responses need temporary
// files, and workers their sockets.
const descriptorShare = 0.75

// connLimit returns how many connections there may be.
func (c *config) connLimit() int {
	if c.LimitConnections > 0 {
		return c.LimitConnections
	}
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil || r.Cur > 1<<30 {
		return 1 << 30
	}
	return max(1, int(float64(r.Cur)*descriptorShare))
}

// awaitCapacity waits until there is capacity for a connection that was accepted. The
// connection that has been idle for the longest ends for it. If none is idle,
// awaitCapacity waits until one ends or becomes idle, and connections that come later
// wait in the backlog.
func (s *server) awaitCapacity(l *listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.conns) < s.config().limitConnections*9/10 {
		s.crowded = false
	}
	s.awaitingCapacity.Add(1)
	defer s.awaitingCapacity.Add(-1)
	var leaving *conn
	for len(s.conns) >= s.config().limitConnections && !l.closing.Load() {
		if !s.crowded {
			s.crowded = true
			s.log.Warnf("There are %d connections, the most that limit_connections or the descriptors allow: idle ones are closed for new ones",
				len(s.conns))
		}
		if _, open := s.conns[leaving]; !open || !leaving.evicted.Load() {
			leaving = s.evictLocked()
		}
		s.capacity.Wait()
	}
}

// capacityChanged wakes those that wait for capacity: a connection has become idle.
func (s *server) capacityChanged() {
	if s.awaitingCapacity.Load() > 0 {
		s.mu.Lock()
		s.capacity.Broadcast()
		s.mu.Unlock()
	}
}

// evictLocked ends the connection that has been idle for the longest, between two requests
// or for long enough without a first one. It returns nil if there is none.
// +checklocks:s.mu
func (s *server) evictLocked() *conn {
	var oldest *conn
	t := now()
	for c := range s.conns {
		if phase(c.phase.Load()) != idle || c.evicted.Load() || !c.served.Load() && t-c.since.Load() < int64(firstRequest) {
			continue
		}
		if oldest == nil || c.since.Load() < oldest.since.Load() {
			oldest = c
		}
	}
	if oldest != nil {
		oldest.evicted.Store(true)
		oldest.wake()
	}
	return oldest
}

// cancelEviction is called when a connection that was to end has got a request in time.
func (c *conn) cancelEviction() {
	c.evicted.Store(false)
	c.s.capacityChanged()
}
