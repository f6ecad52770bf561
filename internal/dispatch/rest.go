package dispatch

import "time"

// This file has the front do nothing for a moment, as network cards hold interrupts back: where
// each worker has enough in hand, a request or an answer that is seen a little later costs
// nobody anything, and each time this process wakes for a single one it takes a processor from
// a worker, whose caches it fills.

const (
	// maxRest is the longest rest. Less than minRest is not worth a timer of the kernel.
	maxRest = 300 * time.Microsecond
	minRest = 50 * time.Microsecond
	// restShare is which part of what a worker has in hand a rest may take: what is known of
	// it is an average, and as old as the last scan.
	restShare = 4
	// restAnswers is how many answers must come in a rest: otherwise it gathers nothing.
	restAnswers = 2
	// restEvents is how many requests and answers a turn may have had: after more of them the
	// next ones are there already.
	restEvents = 16
)

// restLocked returns for how long nothing need be seen, since all workers have enough in hand:
// 0 if one of them may run out of it. Only multiplexed workers are left alone; with a queue of
// requests that go together there is little to gain.
// +checklocks:q.mu
func (q *Queue) restLocked() time.Duration {
	var serving *generation
	for _, g := range q.gens {
		switch {
		case g.workers == 0:
		case serving != nil || g.slots > 0 || g.leaving > 0 || len(g.multiplexed) < g.workers:
			return 0 // some of the workers are those of another generation, or about to begin or to leave
		default:
			serving = g
		}
	}
	if serving == nil {
		return 0
	}
	rest := min(serving.leastInHand()/restShare, maxRest)
	if rest < max(minRest, serving.timeOf(restAnswers)) {
		return 0
	}
	return rest
}

// timeOf returns how long the workers of g take to answer so many requests together, by their
// rate of late.
func (g *generation) timeOf(requests int) time.Duration {
	if g.rate == 0 {
		return 0 // which nobody knows
	}
	return time.Duration(float64(requests) / g.rate * float64(time.Millisecond))
}

// leastInHand returns for how long the worker of g with the least in hand has something to do.
func (g *generation) leastInHand() time.Duration {
	least := time.Hour
	for _, w := range g.multiplexed {
		least = min(least, g.timeOf(w.inHand()*len(g.multiplexed)))
	}
	return least
}

// inHand returns how many requests a multiplexed worker works on, or is about to, and which do
// not wait for anything: 0 if its loop may be idle.
func (w *worker) inHand() int {
	turning, waiting := w.board.Turn()
	if !turning || waiting > uint64(w.inFlight) {
		return 0
	}
	return w.inFlight - int(waiting)
}
