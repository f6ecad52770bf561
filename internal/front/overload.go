package front

import (
	"sync"
	"time"

	"indrik/internal/errlog"
)

// overloadEvery is how often, at most, the log speaks of refused requests.
const overloadEvery = time.Second

// An overload counts the requests that the workers do not keep up with: those that
// wait, and those that are answered with 503. It tells the operator while there
// are some of the latter.
type overload struct {
	log     *errlog.Log
	holders func() string // what the workers are busy with

	mu      sync.Mutex
	filled  int           // refused because the queue was full
	waited  int           // because they had waited for too long
	depth   int           // of the queue, the most that was seen
	longest time.Duration // that one has waited
	handed  int           // waited, and were handed to a worker
	waits   time.Duration // of these, together
	pending bool
}

// handedOver notes that requests had to wait before a worker had room for them.
func (o *overload) handedOver(exs []*exchange) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.pending {
		return // nobody would be told
	}
	for _, ex := range exs {
		wait := time.Since(ex.queued)
		o.handed++
		o.waits += wait
		o.longest = max(o.longest, wait)
	}
}

// full notes a request that found no place in the queue.
func (o *overload) full(depth int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.filled++
	o.note(depth, 0)
}

// late notes a request that has waited for too long.
func (o *overload) late(depth int, wait time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waited++
	o.note(depth, wait)
}

func (o *overload) note(depth int, wait time.Duration) {
	o.depth = max(o.depth, depth)
	o.longest = max(o.longest, wait)
	if !o.pending {
		o.pending = true
		time.AfterFunc(overloadEvery, o.tell)
	}
}

func (o *overload) tell() {
	holders := o.holders() // takes the mutex of the queue, with which the other one is taken
	o.mu.Lock()
	defer o.mu.Unlock()
	o.log.Warnf("Overload: %d requests answered 503 in %s (queue full: %d, waited too long: %d); up to %d were waiting, up to %s; %d were run, after %s on average",
		o.filled+o.waited, overloadEvery, o.filled, o.waited, o.depth, o.longest.Round(time.Millisecond),
		o.handed, (o.waits / time.Duration(max(1, o.handed))).Round(time.Millisecond))
	if holders != "" {
		o.log.Warnf("Overload: %s", holders)
	}
	o.filled, o.waited, o.depth, o.longest, o.handed, o.waits, o.pending = 0, 0, 0, 0, 0, 0, false
}
