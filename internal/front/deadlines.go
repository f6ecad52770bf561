package front

import (
	"runtime"
	"runtime/debug"
	"time"

	"indrik/internal/metrics"
)

const (
	// sweepEvery is the time between two sweeps. A sweep comes earlier if the time of an
	// idle connection is over before that, but never before sweepSoonest.
	sweepEvery   = time.Second
	sweepSoonest = 250 * time.Millisecond
	// bufferTime is how long an idle connection keeps its buffer.
	bufferTime = time.Second
	// After a crowd of connections has become idle, the memory that it needed is given
	// back to the system, at most once in freeEvery: otherwise Go keeps as much again as
	// is in use.
	crowd     = 1000
	freeEvery = 30 * time.Second
	// The same happens when much less memory is held for clients than before; then at
	// most once in freeSoon.
	freeSoon = 5 * time.Second
)

func (s *server) sweepLater(d time.Duration) { time.AfterFunc(d, s.sweep) }

// sweep ends connections and requests that take too long. One timer for all connections
// costs less than a deadline for each request.
func (s *server) sweep() {
	t := now()
	next, calmed := s.endLate(t, s.swept, s.config())
	s.capacityChanged()
	warm := s.queue.TrimArenas()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.swept = t
	s.freeMemoryLocked(t, calmed)
	s.account.Review()
	s.sweeping = len(s.conns) > 0 || warm || s.account.Peak() >= muchHeld
	if s.sweeping {
		s.sweepLater(max(next+time.Millisecond, sweepSoonest))
	}
}

// endLate ends what takes too long at the time t, and returns how much later the next sweep
// is to come, and how many connections have become idle since the last one, at swept.
func (s *server) endLate(t, swept int64, cfg *config) (next time.Duration, calmed int) {
	next = sweepEvery
	for _, c := range s.all() {
		if c.awaitingBody.Load() && c.bodyRate.measure(t, cfg) {
			c.wake()
		}
		for _, sk := range c.webSockets() {
			sk.checkTimeouts(t)
		}
		since := time.Duration(t - c.since.Load())
		switch phase(c.phase.Load()) {
		case handshaking:
			if exceeds(since, cfg.handshakeTimeout) {
				c.wake()
			}
		case idle:
			patience := c.idleTimeout(cfg)
			if exceeds(since, patience) || since > bufferTime && c.hasBuffer.Load() {
				c.wake()
			} else if patience > 0 {
				next = min(next, patience-since)
			}
			if since > bufferTime && since <= bufferTime+time.Duration(t-swept) {
				calmed++
			}
		case multiplexed:
			h := c.h2.Load()
			if h.check(t, cfg); h.isIdle(t) && !h.isIdle(swept) {
				calmed++
			}
		case running:
			if c.untried.Load() {
				c.wake()
			}
		case heading:
			if exceeds(since, cfg.headerTimeout) {
				c.wake()
			}
		case reading:
			if c.bodyRate.measure(t, cfg) {
				c.wake()
			}
		case writing:
			if exceeds(since, cfg.writeTimeout) {
				s.metrics.Load().TimeOut(metrics.Write)
				s.log.Infof("The response to ip=%s is cut off: the client has taken none of it for write_timeout (%s)",
					c.info.remote, cfg.writeTimeout)
				c.out.Kill()
			}
		default: // its workers have the deadlines
		}
	}
	return next, calmed
}

// freeMemoryLocked gives memory back to the system if it is time for that. calmed is how
// many connections have become idle since the last sweep.
// +checklocks:s.mu
func (s *server) freeMemoryLocked(t int64, calmed int) {
	s.calmed += calmed
	rested := s.freed == 0 || t-s.freed > int64(freeEvery)
	if calmed == 0 && s.calmed >= crowd && rested || (rested || t-s.freed > int64(freeSoon)) && s.account.Fallen(muchHeld) {
		s.calmed, s.freed = 0, t
		go func() {
			runtime.GC() // pools drop what they have in the second collection
			debug.FreeOSMemory()
		}()
	}
}
