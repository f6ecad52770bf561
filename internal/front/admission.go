package front

import "golang.org/x/sys/unix"

// descriptorShare is which part of the file descriptors client connections may
// take, when nothing else is said: requests and responses need temporary files,
// and workers their sockets.
const descriptorShare = 0.75

// limit is how many connections there may be.
func (cfg *config) limit() int {
	if cfg.LimitConnections > 0 {
		return cfg.LimitConnections
	}
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil || r.Cur > 1<<30 {
		return 1 << 30
	}
	return max(1, int(float64(r.Cur)*descriptorShare))
}

// makePlace sees to it that there is place for one more connection: the one that
// has been idle for the longest goes. With none idle, new ones wait in the
// backlog of their listener until one ends.
func (s *server) makePlace(l *listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.conns) >= s.config().maxConns && !l.over.Load() {
		if !s.crowded {
			s.crowded = true
			s.log.Warnf("There are %d connections, the most that limit_connections or the descriptors allow: idle ones are closed for new ones",
				len(s.conns))
		}
		if s.evict() {
			return
		}
		s.place.Wait()
	}
	if len(s.conns) < s.config().maxConns*9/10 {
		s.crowded = false
	}
}

// evict has the connection end that has been idle for the longest, if there is
// one that is idle between two requests. It is called with the mutex held.
func (s *server) evict() bool {
	var oldest *conn
	for c := range s.conns {
		if phase(c.phase.Load()) != idle || !c.served.Load() || c.evicted.Load() {
			continue
		}
		if oldest == nil || c.since.Load() < oldest.since.Load() {
			oldest = c
		}
	}
	if oldest == nil {
		return false
	}
	oldest.evicted.Store(true)
	oldest.wake()
	return true
}
