package metrics

import (
	"sync"
	"time"

	"indrik/internal/dispatch"
)

// busyWindow is over how much time at least the busy share is taken.
const busyWindow = 10 * time.Second

// A busyMeter knows how much of the capacity of the workers was in use. Of slots the
// dispatcher knows that. An event loop is in use while it computes, by the processor time of
// its process, and while it can begin no request: each time that it is looked at, the larger
// of the two counts, and no more than the time that has passed. A worker can say nothing that
// changes this, except about itself.
type busyMeter struct {
	cpuOf func(pid int) time.Duration

	mu sync.Mutex
	// +checklocks:mu
	loops map[int]loopReading // by age
	// +checklocks:mu
	used float64 // seconds, of loops
	// +checklocks:mu
	past []busyReading // the oldest first, one of them older than busyWindow
}

type loopReading struct {
	at           time.Time
	cpu, engaged time.Duration
}

type busyReading struct {
	at             time.Time
	used, capacity float64 // seconds
}

// read returns how many seconds of the capacity were in use so far, and which share of it
// lately.
func (b *busyMeter) read(u *dispatch.Usage, now time.Time) (used, share float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	loops := make(map[int]loopReading, len(u.Loops))
	for _, l := range u.Loops {
		r := loopReading{now, b.cpuOf(l.PID), l.Engaged}
		if before, known := b.loops[l.Age]; known {
			d := max(r.cpu-before.cpu, r.engaged-before.engaged, 0)
			b.used += min(d, now.Sub(before.at)).Seconds()
		}
		loops[l.Age] = r
	}
	b.loops = loops
	reading := busyReading{now, u.Busy + b.used, u.Capacity}
	for len(b.past) > 1 && now.Sub(b.past[1].at) >= busyWindow {
		b.past = b.past[1:]
	}
	if len(b.past) > 0 {
		if capacity := reading.capacity - b.past[0].capacity; capacity > 0 {
			share = min((reading.used-b.past[0].used)/capacity, 1)
		}
	}
	b.past = append(b.past, reading)
	return reading.used, share
}
