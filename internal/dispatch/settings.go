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
	WorkerConnections int  // requests of a multiplexed worker; 0: any number
	Reload            bool // each request asks first whether code has changed
	NoWorkers         bool // requests are refused while there are no workers

	WorkerAffinity string // none, connection, cookie or address; empty is none
	AffinityKey    []byte // of the cookies

	WebSocketDrainMax    time.Duration // for which connections may stay whose worker is replaced
	WebSocketDrainWindow time.Duration // at its end, within which they end one after the other

	Arena *wire.Arena // of the bodies of requests; AddGeneration makes it

	kind atomic.Int32
}

// Kind returns the kind of workers that requests will most likely go to.
func (s *Settings) Kind() Kind { return Kind(s.kind.Load()) }

// SetKind says what the workers will be, by the name of the kind.
func (s *Settings) SetKind(name string) { s.kind.Store(int32(kinds[name])) }

// A Kind is a kind of worker, by the messages that it gets.
type Kind int32

const (
	Sync      Kind = iota // reads the queue of its generation: WSGI
	ASGI                  // multiplexed: gets events with a scope
	Greenlets             // multiplexed: gets events with an environ
)

// kinds are the multiplexed ones by their names.
var kinds = map[string]Kind{wire.KindASGI: ASGI, wire.KindGevent: Greenlets}
