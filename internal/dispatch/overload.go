package dispatch

import (
	"sync"
	"time"
)

// overloadEvery is how often, at most, the log speaks of refused requests.
const overloadEvery = time.Second

// An overload counts the requests that the workers do not keep up with: those that wait,
// and those that are answered with 503. It tells the operator while there are some of the
// latter. Its mutex comes after the one of [Queue].
type overload struct {
	// +checklocks:mu
	log  interface{ Warnf(string, ...any) }
	busy func() string // says what the workers are busy with; called without the mutex

	mu sync.Mutex
	// +checklocks:mu
	filled int // refused because the queue was full
	// +checklocks:mu
	waited int // because they had waited for too long
	// +checklocks:mu
	depth int // of the queue, the most that was seen
	// +checklocks:mu
	longest time.Duration // that one has waited
	// +checklocks:mu
	handed int // waited, and were handed to a worker
	// +checklocks:mu
	waits time.Duration // of these, together
	// +checklocks:mu
	pending bool
	// +checklocks:mu
	filledEver uint64 // since the start, as filled
	// +checklocks:mu
	waitedEver uint64 // likewise
}

// handedOver records that requests had to wait before a worker had capacity for them.
func (o *overload) handedOver(jobs []*Job, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.pending {
		return // nobody would be told
	}
	for _, j := range jobs {
		wait := now.Sub(j.queued)
		o.handed++
		o.waits += wait
		o.longest = max(o.longest, wait)
	}
}

// full records a request that found the queue full.
func (o *overload) full(depth int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.filled++
	o.filledEver++
	o.recordLocked(depth, 0)
}

// late records a request that has waited for too long.
func (o *overload) late(depth int, wait time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waited++
	o.waitedEver++
	o.recordLocked(depth, wait)
}

// +checklocks:o.mu
func (o *overload) recordLocked(depth int, wait time.Duration) {
	o.depth = max(o.depth, depth)
	o.longest = max(o.longest, wait)
	if !o.pending {
		o.pending = true
		time.AfterFunc(overloadEvery, o.tell)
	}
}

// totals returns how many requests were refused so far because the queue was full, and because
// they had waited for too long.
func (o *overload) totals() (full, late uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.filledEver, o.waitedEver
}

func (o *overload) tell() {
	busy := o.busy()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.log.Warnf("Overload: %d requests answered 503 in %s (queue full: %d, waited too long: %d); up to %d were waiting, up to %s; %d were run, after %s on average",
		o.filled+o.waited, overloadEvery, o.filled, o.waited, o.depth, o.longest.Round(time.Millisecond),
		o.handed, (o.waits / time.Duration(max(1, o.handed))).Round(time.Millisecond))
	if busy != "" {
		o.log.Warnf("Overload: %s", busy)
	}
	o.filled, o.waited, o.depth, o.longest, o.handed, o.waits, o.pending = 0, 0, 0, 0, 0, 0, false
}
