// Package load is a small load generator.
//
// Run speaks HTTP/1.1. One thread drives all connections with epoll, so that it
// takes as little as can be of the processors it shares with the server. Each
// client sends a request, waits for the whole answer, checks its status and
// every byte of its body, and only then sends the next one: a closed loop, which
// finds out how much a server can do. A group with Every is an open loop: its
// requests are due at fixed times, however slow the server is.
//
// RunClients does the same with clients that are Go code in goroutines, for
// TLS and WebSocket.
//
// Nothing is tried twice: a request that was sent, or could not be, and got no
// right answer is an error and is counted by kind.
//
// The time of a request runs from before its first byte is written (before
// the connection is opened, if it needs a new one), or from when it was due, to
// its last byte's arrival. Requests still waiting when the measurement ends are waited for, and
// those of an open loop that were due by then are sent and waited for, so that the slowest ones
// are not lost to the figures.
//
// It needs Linux. To try it: go test ./bench/load
package load

import (
	"net/netip"
	"time"
)

// Group is a number of clients that all do the same.
type Group struct {
	Name    string
	Clients int
	// Request is sent as it is. It must ask for Connection: close if OneShot.
	Request []byte
	// Want is the body of the right answer. Its status is 200.
	Want []byte
	// OneShot: a new connection for each request.
	OneShot bool
	// Pause is the time between an answer and the client's next request.
	Pause time.Duration
	// Every, if not 0, is the time from one request of a client to its next. One
	// that is due before the last has been answered is sent late; its time
	// counts from when it was due.
	Every time.Duration
	// Trickle, if not 0, is the pause before each byte of a request.
	Trickle time.Duration
}

// Plan is one run.
type Plan struct {
	Server netip.AddrPort // IPv4
	Groups []Group
	// Source numbers the run. Clients connect from addresses 127.x.y.z that
	// follow from it, so that no run meets connections in TIME_WAIT of another.
	Source int
	// Answers during Warm are not measured; errors are.
	Warm, Measure time.Duration
	// Ramp spreads the first requests of the clients over a time.
	Ramp time.Duration
	// Timeout is how long a client waits for an answer.
	Timeout time.Duration
	// Started and Ended, if set, are called at the start and the end of the
	// measurement, between two events: they must be quick.
	Started, Ended func()
}

// errorPause keeps a client from spinning on a server that is down.
const errorPause = 5 * time.Millisecond

// Kind is what went wrong with a request.
type Kind string

const (
	Refused   Kind = "refused"   // no connection
	Lost      Kind = "lost"      // the connection ended before a byte of the answer
	Truncated Kind = "truncated" // it ended within the answer
	TimedOut  Kind = "timeout"   // no whole answer within Timeout
	Wrong     Kind = "wrong"     // another status or body than wanted
	Malformed Kind = "malformed" // not HTTP, or more bytes than the answer has
)

// Tally is what the clients of one group saw.
type Tally struct {
	Clients int
	// Answers were complete and right within the measurement.
	Answers int
	// Latencies of all right answers since the measurement began, ascending;
	// those that came after its end are here though not in Answers.
	Latencies []time.Duration
	Errors    map[Kind]int
	// FirstError describes one of the errors.
	FirstError string
	// Connections opened in the whole run.
	Connections int
	// Held is the number of connections that were open at the end of the
	// measurement.
	Held int
	// Starved is the number of clients that got no answer at all within the
	// measurement.
	Starved int
}

// Failed is the number of requests that got no right answer.
func (t *Tally) Failed() int {
	sum := 0
	for _, n := range t.Errors {
		sum += n
	}
	return sum
}

// Result is a finished run.
type Result struct {
	Groups []Tally // as in the plan
	// Elapsed is the real length of the measurement.
	Elapsed time.Duration
}
