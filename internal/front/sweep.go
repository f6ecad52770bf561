package front

import "time"

const (
	sweepEvery = time.Second
	// headTime is how long a head may take from its first byte on, and a new
	// connection to send that.
	headTime = 60 * time.Second
	// stallTime is how long a client may neither send nor take anything, while
	// it should.
	stallTime = 60 * time.Second
	// bufferTime is how long an idle connection keeps its buffer.
	bufferTime = time.Second
)

func (s *server) sweepLater() { time.AfterFunc(sweepEvery, s.sweep) }

// sweep ends what takes too long. One timer for all connections costs less than
// a deadline set for each request.
func (s *server) sweep() {
	keepalive := s.config().keepalive
	t := now()
	for _, c := range s.all() {
		since := time.Duration(t - c.since.Load())
		switch phase(c.phase.Load()) {
		case idle:
			if since > c.patience(keepalive) || since > bufferTime && c.holding.Load() {
				c.wake()
			}
		case heading:
			if since > headTime {
				c.wake()
			}
		case reading:
			if since > stallTime {
				c.wake()
			}
		case writing:
			if since > stallTime {
				c.out.kill()
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweeping = len(s.conns) > 0
	if s.sweeping {
		s.sweepLater()
	}
}

// patience is how long an idle connection is kept.
func (c *conn) patience(keepalive time.Duration) time.Duration {
	if keepalive == 0 || !c.served.Load() {
		return max(keepalive, headTime)
	}
	return keepalive
}
