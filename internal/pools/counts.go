package pools

import (
	"maps"
	"slices"
	"time"

	"indrik/internal/status"
)

// An Outcome is what became of a call.
type Outcome int

// The outcomes. A call is counted once, when its outcome is known.
const (
	Done      Outcome = iota // it has a result, or its stream has come to its end
	Raised                   // the action raised, or there is no such action
	TimedOut                 // its time was over, in the queue or in the worker
	Cancelled                // its caller has gone, or did not read
	Full                     // its pool was full
	Refused                  // there is no such app, or no worker that hosts it
	Died                     // its worker ended
	outcomes
)

var outcomeNames = [outcomes]string{"done", "raised", "timeout", "cancelled", "full", "refused", "died"}

func (o Outcome) String() string { return outcomeNames[o] }

// counts are guarded by the lock of the set.
type counts struct {
	outcomes [outcomes]int
	waited   time.Duration // of the calls that were begun
	ran      time.Duration
}

// count notes what became of a call.
func (s *Set) count(c *call, o Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.counted {
		return
	}
	c.counted = true
	n := &c.pool.counts
	n.outcomes[o]++
	now := s.now()
	if c.began.IsZero() {
		return
	}
	n.waited += c.began.Sub(c.since)
	n.ran += now.Sub(c.began)
}

// maxRunning is how many calls a status lists of a worker.
const maxRunning = 10

// Status returns what is known of the pools of the generation that serves.
func (s *Set) Status() []status.Pool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	shown := []status.Pool{}
	g := s.generations[s.serving]
	if g == nil && len(s.generations) == 1 { // this front is new, and no worker calls it yet
		g = slices.Collect(maps.Values(s.generations))[0]
	}
	if g == nil {
		return shown
	}
	for _, p := range g.sortedPools() {
		sp := status.Pool{
			Name: p.name, Apps: p.apps, Waiting: len(p.waiting), Limit: p.limit, Calls: map[string]int{},
			Waited: p.counts.waited.Seconds(), Ran: p.counts.ran.Seconds(), Workers: []status.PoolWorker{},
		}
		for o, n := range p.counts.outcomes {
			sp.Calls[outcomeNames[o]] = n
		}
		if len(p.waiting) > 0 {
			sp.Oldest = now.Sub(p.waiting[0].since).Seconds()
		}
		for w := range p.workers {
			sp.Workers = append(sp.Workers, w.status(now))
		}
		slices.SortFunc(sp.Workers, func(a, b status.PoolWorker) int { return a.Age - b.Age })
		shown = append(shown, sp)
	}
	return shown
}

// status is what is known of a worker. The caller holds the lock of the set.
func (w *worker) status(now time.Time) status.PoolWorker {
	sw := status.PoolWorker{PID: w.pid, Age: w.age, Apps: w.apps, Slots: len(w.slots), Calls: w.served, Running: []status.PoolCall{}}
	switch {
	case w.retiring || w.broken || w.overdue:
		sw.State = "leaving"
	case w.active:
		sw.State = "ready"
	default:
		sw.State = "booting"
	}
	for _, sl := range w.slots {
		if sl.call == nil {
			continue
		}
		sw.Busy++
		if len(sw.Running) < maxRunning {
			sw.Running = append(sw.Running, status.PoolCall{App: sl.call.app, Action: sl.call.action, Seconds: now.Sub(sl.began).Seconds()})
		}
	}
	return sw
}

// Stash returns how many tables, keys and bytes the stash has, and its limit in bytes.
func (s *Set) Stash() *status.Stash { return s.stash.status() }
