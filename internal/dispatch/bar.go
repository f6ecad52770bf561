package dispatch

import "time"

// Bar has requests refused with 503 that bar names, from now on and until it is called with
// nil: those that wait, and those that are with the workers and not begun. bar is called with
// the queue's mutex held, like a method whose name ends in Locked. Requests go to workers one by
// one meanwhile.
func (q *Queue) Bar(bar func(Description) bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.bar = bar
	if bar != nil {
		q.recallBarredLocked()
	}
	q.pumpLocked()
}

// recallBarredLocked refuses the barred requests that wait, and takes those back that are with
// the workers.
// +checklocks:q.mu
func (q *Queue) recallBarredLocked() {
	kept := make([]*Job, 0, len(q.waiting))
	for _, j := range q.waiting {
		if q.bar(j.describeLocked()) {
			q.failBarredLocked(j)
		} else {
			kept = append(kept, j)
		}
	}
	q.waiting = kept
	for _, g := range q.gens {
		var jobs []*Job
		for _, j := range q.inFlight {
			if j.gen == g && j.claimant == nil && !j.answered && !j.left && q.bar(j.describeLocked()) {
				jobs = append(jobs, j)
			}
		}
		if len(jobs) == 0 {
			continue
		}
		q.revokeLocked(g, jobs, func(free []*Job) {
			q.requeueLocked(free...) // +checklocksignore
			q.pumpLocked()           // +checklocksignore
		})
	}
}

// failBarredLocked answers a request that is barred, and is in no queue any more.
// +checklocks:q.mu
func (q *Queue) failBarredLocked(j *Job) {
	q.removeLocked(j)
	j.unservedLocked(time.Now())
	go j.request.Fail(503)
}
