package dispatch

import (
	"fmt"
	"os"
	"time"

	"indrik/internal/wire"
)

const (
	// prefetch is how many requests may be with a generation for each of its slots:
	// the one that is run, and one that waits in the kernel, so that a slot that has
	// finished finds the next without asking this process.
	prefetch = 2
	// prefetchTime is how long a request may wait in the kernel instead, by the rate of
	// the replies, and maxPrefetch how many may be there for each slot: the batch that it
	// runs, and the next one. With a fast app that spares the workers, and this process,
	// most of the sleeping and waking. A request that waits this briefly never has to be
	// taken back.
	prefetchTime = 3 * time.Millisecond
	maxPrefetch  = 2 * maxBatch
	// queueBuffer is the size of the socket buffer of a queue, in bytes, as far as
	// the system grants it.
	queueBuffer = 4 << 20
)

// A generation is the workers of one configuration, and the queue that those read which
// are not multiplexed: a message socket in the kernel. It is guarded by the mutex of
// [Queue].
type generation struct {
	number      int
	config      Config
	settings    *Settings             // of config
	send        *wire.Sender          // the end that is written to; it is closed under the mutex only
	receive     *os.File              // the workers' end
	slots       int                   // of active workers
	leaving     int                   // slots of workers that were active
	workers     int                   // that have not ended
	active      int                   // workers that read the queue
	inFlight    int                   // of the requests given to the queue
	shared      int                   // of inFlight: those in messages that had several
	multiplexed []*worker             // active ones, which get their requests themselves
	turn        int                   // which of these is asked first
	answered    int                   // since the last scan
	rate        float64               // requests answered in a millisecond, as of that scan
	revoked     map[uint32]revocation // requests revoked, and not refused by a slot yet, by id
	taken       map[uint32]bool       // messages that were taken out of the queue and not claimed: the first id of each
	broken      bool                  // the queue is of no use any more
	rejected    bool                  // it was tried, and gets no requests any more
	blocked     bool                  // the kernel takes no more; pumpWhenWritableLocked waits until it does
	awaited     bool                  // a goroutine waits for that
	slow        int                   // slow requests, lately
	slowAt      time.Time             // when the last was seen
}

// AddGeneration takes a generation, and both ends of its queue, over. It is the newest.
func (q *Queue) AddGeneration(number int, cfg Config, send, receive *os.File) error {
	wire.SetSendBuffer(send.Fd(), queueBuffer)
	sender, err := wire.AdoptSender(send)
	if err != nil {
		receive.Close()
		return fmt.Errorf("generation %d: %w", number, err)
	}
	g := &generation{
		number: number, config: cfg, settings: cfg.Dispatch(), send: sender, receive: receive,
		revoked: map[uint32]revocation{}, taken: map[uint32]bool{},
	}
	g.settings.Arena = wire.NewArena()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.readBackLocked(g) // left over from a front before this one
	q.gens = append([]*generation{g}, q.gens...)
	if g.settings.ReportLoad {
		q.load.on = true
		q.startMeterLocked()
	}
	return nil
}

// Config returns the settings of a generation, nil if there is none of that number.
func (q *Queue) Config(number int) Config {
	q.mu.Lock()
	defer q.mu.Unlock()
	if g := q.generationLocked(number); g != nil {
		return g.config
	}
	return nil
}

// Served returns the newest generation that has served, and not only for a trial; 0 if none has.
func (q *Queue) Served() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.served
}

// +checklocks:q.mu
func (q *Queue) generationLocked(number int) *generation {
	for _, g := range q.gens {
		if g.number == number {
			return g
		}
	}
	return nil
}

// dropUnusedLocked forgets generations whose workers are gone, if a newer one has served:
// others may get workers yet, for example when a reload fails.
// +checklocks:q.mu
func (q *Queue) dropUnusedLocked() {
	kept := q.gens[:0]
	for _, g := range q.gens {
		if g.number >= q.served && !g.rejected || g.workers > 0 || g.inFlight > 0 || g.awaited {
			kept = append(kept, g)
			continue
		}
		g.send.Close()
		g.receive.Close()
		g.settings.Arena.Close()
	}
	clear(q.gens[len(kept):])
	q.gens = kept
}

// TrimArenas gives memory back that bodies of requests do not need, and reports whether
// more may be given back later.
func (q *Queue) TrimArenas() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	warm := false
	for _, g := range q.gens {
		warm = g.settings.Arena.Trim() || warm
	}
	return warm
}

// serves reports whether g has active workers.
func (g *generation) serves() bool { return g.slots > 0 || len(g.multiplexed) > 0 }

// capacity is how many requests may be with the queue of g, or with its slots.
func (g *generation) capacity() int {
	return max(prefetch*g.slots, min(g.answeredIn(prefetchTime), maxPrefetch*g.slots)) + g.leaving
}

// measure records how fast g has answered for a time.
func (g *generation) measure(d time.Duration) {
	g.rate = float64(g.answered) * float64(time.Millisecond) / float64(max(d, 1))
	g.answered = 0
}

// answeredIn returns how many requests g answers in a time, at its rate of late.
func (g *generation) answeredIn(d time.Duration) int {
	return int(g.rate * float64(d) / float64(time.Millisecond))
}

// isFast reports whether each worker of g answers more than one request in a millisecond,
// as most apps have the GIL, and each slot more than one in two: many threads that wait
// answer as many together.
func (g *generation) isFast() bool { return g.rate > max(float64(g.slots)/2, float64(g.active)) }

// isSlow reports whether there are so many slow requests that others are not to wait
// behind them even for a moment.
func (g *generation) isSlow() bool { return g.slow >= slowRequests }

// recordSlow records that a request is slow; first says that it was not slow before.
func (g *generation) recordSlow(t time.Time, first bool) {
	g.slowAt = t
	if first {
		g.slow++
	}
}
