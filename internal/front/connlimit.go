package front

import "golang.org/x/sys/unix"

// descriptorShare is which part of the file descriptors client connections may
// take, when nothing else is said: requests and responses need temporary files,
// and workers their sockets.
const descriptorShare = 0.75

// limit is how many connections there may be.
func (c *config) limit() int {
	if c.LimitConnections > 0 {
		return c.LimitConnections
	}
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil || r.Cur > 1<<30 {
		return 1 << 30
	}
	return max(1, int(float64(r.Cur)*descriptorShare))
}

// makePlace waits until there is place for a connection that was accepted: the one
// that has been idle for the longest goes. With none idle, it waits until one
// ends or becomes idle, and those that come after it wait in the backlog.
func (s *server) makePlace(l *listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.conns) < s.config().limitConnections*9/10 {
		s.crowded = false
	}
	s.placeless.Add(1)
	defer s.placeless.Add(-1)
	var leaving *conn
	for len(s.conns) >= s.config().limitConnections && !l.over.Load() {
		if !s.crowded {
			s.crowded = true
			s.log.Warnf("There are %d connections, the most that limit_connections or the descriptors allow: idle ones are closed for new ones",
				len(s.conns))
		}
		if _, open := s.conns[leaving]; !open || !leaving.evicted.Load() {
			leaving = s.evict()
		}
		s.place.Wait()
	}
}

// placeChanged has those that wait for a place look again: a connection has become
// idle.
func (s *server) placeChanged() {
	if s.placeless.Load() > 0 {
		s.mu.Lock()
		s.place.Broadcast()
		s.mu.Unlock()
	}
}

// evict has the connection end that has been idle for the longest, nil if none
// is: between two requests, or for long enough without a first one. It is
// called with the mutex held.
func (s *server) evict() *conn {
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

// keepPlace is called when a connection that was to end has got a request in
// time.
func (c *conn) keepPlace() {
	c.evicted.Store(false)
	c.s.placeChanged()
}
