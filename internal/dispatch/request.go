package dispatch

import (
	"net/netip"
	"os"
	"time"

	"indrik/internal/wire"
)

// A Request is what the dispatcher brings to a worker, once, and what takes the response
// back. It is all that the dispatcher knows of HTTP. The Job that belongs to it is the
// dispatcher's own state.
//
// Methods whose names end in Locked are called with the queue's mutex held. They, and
// Release, must neither wait nor call the queue. The others are called without that
// mutex, and may call the queue; those about the response one at a time, in the order of what
// the worker says.
type Request interface {
	// EncodeLocked returns the message for workers of a kind, with an id and a token
	// in it, and the files that go along, which stay the request's. arena is where the
	// workers of that generation find bodies. Another call may follow.
	EncodeLocked(kind wire.Kind, arena *wire.Arena, id uint32, token uint64) (message []byte, files []*os.File, err error)
	// BatchSizeLocked returns the size of the message if workers of a kind can get it
	// together with others, 0 if not: if it has files, or was made for another kind.
	BatchSizeLocked(kind wire.Kind) int
	// Release gives up the message and its files: no worker will get it any more. It
	// may be called again.
	Release()

	// Reply acts on a message about the response, which came at a time, and reports
	// whether it has taken the file over. The error says how that breaks the protocol.
	// The mutex of the slot that the message came from is held. more: others came together
	// with it, and are acted on next.
	Reply(m *wire.Reply, file *os.File, came time.Time, more bool) (tookFile bool, err error)
	// HintsLocked sends an interim response.
	HintsLocked(m *wire.Reply)
	// Fail ends a request that no worker completes: by an error page with a status,
	// or, if the response has begun, where it stands. Release is not called before.
	Fail(status int)
	// TimeOut ends a request that has run for too long. started says whether a worker
	// had begun to answer it.
	TimeOut(started bool)
	// Kill cuts the response off so that no client takes it for complete. What follows
	// of the response goes nowhere.
	Kill()
	// Broken reports whether the response was cut off.
	Broken() bool

	// IsWebSocket reports whether the request asks for a WebSocket connection, or is
	// one. Its head may be gone.
	IsWebSocket() bool
	// LeaveLocked has a WebSocket connection end after a time, for a restart.
	LeaveLocked(after time.Duration)
	// IsStreaming reports whether the body comes in parts, as the worker asks for them.
	IsStreaming() bool

	// DescribeLocked returns what the log calls the request. It is not called once the
	// client has left.
	DescribeLocked() Description
	// ClientAddr returns the address that stands for the client in worker_affinity,
	// an invalid one if there is none.
	ClientAddr() netip.Addr
	// AffinityToken returns the worker's token that the client has in a cookie, nil
	// if it has none.
	AffinityToken() []byte
}

// A Host is the process that the dispatcher runs in. Its methods may be called with the
// queue's mutex held, and must not wait.
type Host interface {
	// Send sends a message to the master.
	Send(wire.FromFront)
	// Died is told what a worker ran that has died, before the master is.
	Died(age int, ran []Ran)
	Debugf(format string, args ...any)
	Warnf(format string, args ...any)
	Errorf(format string, args ...any)
}

// Ran is a request that was lost with its worker.
type Ran struct {
	Description
	Began time.Time
}

// A Config is the settings of a generation, of which the dispatcher needs some.
type Config interface {
	Dispatch() *Settings
}
