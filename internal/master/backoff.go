package master

import "time"

const (
	// firstPause is how long a process that died young twice in a row is
	// kept waiting; each further death doubles it.
	firstPause = 100 * time.Millisecond
	// longestPause bounds what a crash loop costs once its cause is gone.
	longestPause = 10 * time.Second
	// young is how long a process must live to count as well.
	young = time.Second
	// hungry is the same of a worker that is killed by max_worker_memory_hard. It may have had
	// to wait for that, if others were.
	hungry = time.Minute
)

// A backoff decides how long to wait before a process that keeps dying is
// started again: the first time not at all, then longer and longer.
type backoff struct {
	deaths int // in a row, young
	until  time.Time
}

// died notes a death while young and returns the pause before the next start.
func (b *backoff) died(now time.Time) time.Duration {
	pause := time.Duration(0)
	if b.deaths > 0 {
		pause = min(firstPause<<min(b.deaths-1, 10), longestPause)
	}
	b.deaths++
	b.until = now.Add(pause)
	return pause
}

// lived forgets the deaths: a process of this kind is well.
func (b *backoff) lived() { *b = backoff{} }

// wait is how much of the pause is left.
func (b *backoff) wait(now time.Time) time.Duration { return max(0, b.until.Sub(now)) }
