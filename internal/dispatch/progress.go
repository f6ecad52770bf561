package dispatch

import "time"

// progress is the state at the master's last question.
type progress struct {
	completed int
	since     time.Time // when a request was completed, or none waited, as far as was seen
}

// Stalled returns for how long requests have waited for a worker without any that was
// completed, as far as the questions of the master show it.
func (q *Queue) Stalled(now time.Time) time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	p := &q.progress
	if len(q.waiting) == 0 && len(q.inFlight) == 0 || q.completed != p.completed || p.since.IsZero() {
		*p = progress{q.completed, now}
	}
	return now.Sub(p.since)
}
