package dispatch

import (
	"sync/atomic"
	"time"

	"indrik/internal/wire"
)

// Settings are those of a generation that concern the dispatcher. They do not change,
// except for the kind of its workers, which the first of them tells.
type Settings struct {
	QueueLimit        int           // requests that may wait; 0: any number
	QueueTimeout      time.Duration // how long; 0: for any time
	Timeout           time.Duration // of a request that runs; 0: none
	GracefulTimeout   time.Duration
	SlowRequestLog    time.Duration // after which a request that runs is told of; 0: none is
	WorkerConnections int           // requests of a multiplexed worker; 0: any number
	Reload            bool          // each request asks first whether code has changed
	NoWorkers         bool          // requests are refused while there are no workers
	ReportLoad        bool          // the master is told of the load

	WorkerAffinity string // none, connection, cookie or address; empty is none
	AffinityKey    []byte // of the cookies

	WebSocketDrainMax    time.Duration // for which connections may stay whose worker is replaced
	WebSocketDrainWindow time.Duration // at its end, within which they end one after the other

	Arena *wire.Arena // of the bodies of requests; AddGeneration makes it

	kind atomic.Pointer[wire.Kind]
}

// Kind returns the kind of workers that requests will most likely go to.
func (s *Settings) Kind() wire.Kind {
	if k := s.kind.Load(); k != nil {
		return *k
	}
	return wire.KindSync
}

// SetKind says what the workers will be.
func (s *Settings) SetKind(k wire.Kind) { s.kind.Store(&k) }
