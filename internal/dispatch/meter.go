package dispatch

import "time"

// A meter integrates over time how many slots have a request, and how many there are. It is
// told whenever that changes; what it was not told of it sees by the next scan.
type meter struct {
	on       bool
	at       time.Time // of the last change
	busy     int       // slots that have had a request since
	slots    int       // that read queues, since
	loops    int       // multiplexed workers, since
	waiting  int       // requests that no slot has, since
	used     float64   // seconds of busy slots
	capacity float64   // seconds of slots and loops
	waited   float64   // seconds of requests that no slot had
	served   float64   // seconds for which requests ran that have ended
	arrived  int       // requests that came, also those that were refused
	ended    int       // requests that workers have answered
}

// Measure has the queue measure from now on how busy slots are, see [Usage].
func (q *Queue) Measure() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.startMeterLocked()
}

// +checklocks:q.mu
func (q *Queue) startMeterLocked() {
	q.meter.on = true
	q.measureLocked(time.Now())
}

// measureLocked is called when slots have become busy or idle, or fewer or more, at a time.
// +checklocks:q.mu
func (q *Queue) measureLocked(now time.Time) {
	m := &q.meter
	if !m.on {
		return
	}
	if d := now.Sub(m.at).Seconds(); d > 0 { // messages of slots are not acted on in their order
		if !m.at.IsZero() {
			m.used += d * float64(m.busy)
			m.capacity += d * float64(m.slots+m.loops)
			m.waited += d * float64(m.waiting)
		}
		m.at = now
	}
	m.busy, m.slots, m.loops, m.waiting = 0, 0, 0, len(q.waiting)
	for _, g := range q.gens {
		m.waiting += max(0, g.inFlight-g.slots-g.leaving)
		m.busy += min(g.inFlight, g.slots)
		m.slots += g.slots
		m.loops += len(g.multiplexed)
	}
}

// A Usage is what the queue has counted since it was made. Busy and Capacity are counted since
// the first call of Measure.
type Usage struct {
	Busy     float64 // seconds in which slots that read queues had a request, of all of these together
	Capacity float64 // seconds in which there were such slots, and multiplexed workers
	Loops    []Loop  // of the multiplexed workers that get requests now
	InFlight int     // requests that wait or run now

	QueueFull  uint64 // requests refused because the queue was full
	QueueLate  uint64 // because they had waited for too long
	NoWorkers  uint64 // because there are no workers
	Unserved   uint64 // because the server ended
	TimedOut   uint64 // requests that ran for longer than timeout
	Overdue    uint64 // requests that ran when the graceful_timeout of their worker, or of the server, was over
	Cancelled  uint64 // requests whose clients left before a worker had begun them
	Reassigned uint64 // requests that were given to another worker, since theirs had not begun them
}

// A Loop is a multiplexed worker.
type Loop struct {
	Age, PID int
	Lag      time.Duration // how late its loop was lately
	Engaged  time.Duration // in which it could begin no request: its loop did not turn, or it had worker_connections
}

// Usage returns what was counted up to now.
func (q *Queue) Usage(now time.Time) Usage {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.measureLocked(now)
	u := q.counts
	u.QueueFull, u.QueueLate = q.overload.totals()
	u.InFlight = len(q.waiting) + len(q.inFlight)
	u.Busy, u.Capacity = q.meter.used, q.meter.capacity
	for _, g := range q.gens {
		for _, w := range g.multiplexed {
			u.Loops = append(u.Loops, Loop{w.age, w.pid, w.lag(now), w.engaged})
		}
	}
	return u
}
