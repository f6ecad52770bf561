package dispatch

// A Load is what a queue has to do, and for whom, at one time.
type Load struct {
	Waiting     int  // requests in this process
	InFlight    int  // requests with workers, and in the queues of generations
	Standing    int  // of these, those that wait for their clients
	Generations int  // that are not forgotten
	Workers     int  // that have not ended
	Ready       int  // of these, those that get requests
	Able        int  // of these, those to which there is a way: not those of a queue that is broken
	Slots       int  // of the ready ones, except those of multiplexed workers
	HasServed   bool // a worker has ever been ready
}

// Load returns the load now.
func (q *Queue) Load() Load {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.totalLocked()
}

// +checklocks:q.mu
func (q *Queue) totalLocked() Load {
	l := Load{
		Waiting: len(q.waiting), InFlight: len(q.inFlight), Generations: len(q.gens), Workers: len(q.workers),
		HasServed: q.served > 0,
	}
	for _, g := range q.gens {
		l.Slots += g.slots
	}
	for _, w := range q.workers {
		l.Standing += w.standing
		if w.active {
			l.Ready++
			if w.kind.IsMultiplexed() || !w.gen.broken {
				l.Able++
			}
		}
	}
	return l
}

// Probe puts an entry in the queue that no worker gets: answered is called, in a goroutine of
// its own, when the queue comes to hand over what it has, with the load at that time. It is
// not called if the queue does not come to that. The entry overtakes the requests, so that it
// does not wait where these wait for a worker.
func (q *Queue) Probe(answered func(Load)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.probes = append(q.probes, answered)
	q.pumpSoonLocked()
}

// +checklocks:q.mu
func (q *Queue) answerProbesLocked() {
	l := q.totalLocked()
	for _, answered := range q.probes {
		go answered(l)
	}
	q.probes = nil
}
