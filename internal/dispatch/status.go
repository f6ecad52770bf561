package dispatch

import (
	"slices"
	"time"

	"indrik/internal/status"
	"indrik/internal/wire"
)

// maxListed is how many running requests a status names, of all workers, and maxListedPath
// how much of the path of each: a status has to fit one message to the master.
const (
	maxListed     = 100
	maxListedPath = 120
)

// Status returns what the queue knows, for the status of the server: its own length, the
// load of each worker by age, and how many requests run that no load lists.
func (q *Queue) Status(now time.Time) (queue status.Queue, loads map[int]status.Load, unlisted int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	full, late := q.overload.totals()
	queue = status.Queue{Length: len(q.waiting) + len(q.inFlight), Refused: int(full + late)}
	queue.WaitP50, queue.WaitP99 = q.waits.quantile(now, 0.50), q.waits.quantile(now, 0.99)
	loads = map[int]status.Load{}
	begun := map[*Job]bool{}
	listed := 0
	for _, w := range q.workers {
		if w.dead {
			continue
		}
		load, running := q.loadLocked(w, now, maxListed-listed)
		queue.Length -= len(running) // what is with the workers and not begun waits, too
		for _, j := range running {
			begun[j] = true
		}
		listed += len(load.Running)
		unlisted += len(running) - len(load.Running)
		loads[w.age] = load
	}
	for _, j := range q.waiting {
		queue.Oldest = max(queue.Oldest, now.Sub(j.queued).Seconds())
	}
	for _, j := range q.inFlight {
		if !begun[j] {
			queue.Oldest = max(queue.Oldest, now.Sub(j.queued).Seconds())
		}
	}
	return queue, loads, unlisted
}

// loadLocked returns the load of a worker, which lists so many requests at most, and all that
// it runs.
// +checklocks:q.mu
func (q *Queue) loadLocked(w *worker, now time.Time, most int) (load status.Load, running []*Job) {
	running = q.runningLocked(w, now)
	byStart(running)
	load = status.Load{Requests: w.served, Errors: w.failed, InFlight: len(running), Running: []status.Running{}}
	if w.multiplexed.Load() {
		load.InFlight = w.inFlight
		load.Lag = w.lag(now).Seconds()
	}
	for _, j := range running[:min(len(running), most)] {
		load.Running = append(load.Running, j.statusLocked(now))
	}
	return load, running
}

// Trace returns what the worker of an age runs, and asks it for the stacks of its requests, as
// the trace of a number, if it is a multiplexed one; ok reports whether there is such a
// worker. One whose loop does not turn is not asked: it would read that much later.
func (q *Queue) Trace(age, number int, now time.Time) (load status.Load, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, w := range q.workers {
		if w.age != age || w.dead {
			continue
		}
		if w.multiplexed.Load() && (!w.loop.asked || now.Sub(w.loop.sent) < pingEvery) {
			w.sendQueue.send(wire.AppendTrace(nil, number))
		}
		load, _ = q.loadLocked(w, now, maxListed)
		return load, true
	}
	return load, false
}

// statusLocked describes a request that runs.
func (j *Job) statusLocked(now time.Time) status.Running {
	d := j.describeLocked()
	r := status.Running{
		Method: d.Method, Path: d.Path[:min(len(d.Path), maxListedPath)], RequestID: d.RequestID, Seconds: now.Sub(j.began).Seconds(),
		Slot: j.claimSlot, Number: j.id,
	}
	if addr := j.request.ClientAddr(); addr.IsValid() {
		r.Client = addr.String()
	}
	return r
}

// waits is how long requests have waited lately, as a histogram with buckets that grow by a
// quarter: one for this half minute and one for the half minute before.
type waits struct {
	now, before [waitBuckets]uint32
	begun       time.Time // of now
}

const (
	waitsEvery  = 30 * time.Second
	waitBuckets = 96               // the last is for a wait of more than half an hour
	waitLeast   = time.Microsecond // the first bucket
)

// waitBounds are the upper ends of the buckets.
var waitBounds = func() (bounds [waitBuckets]time.Duration) {
	at := float64(waitLeast)
	for i := range bounds {
		bounds[i] = time.Duration(at)
		at *= 1.25
	}
	return bounds
}()

// add counts a request that was handed over after a wait.
func (w *waits) add(now time.Time, wait time.Duration) {
	w.turn(now)
	i, _ := slices.BinarySearch(waitBounds[:], wait)
	w.now[min(i, waitBuckets-1)]++
}

// turn begins a new half minute when one is over.
func (w *waits) turn(now time.Time) {
	switch past := now.Sub(w.begun); {
	case past < waitsEvery:
		return
	case past < 2*waitsEvery:
		w.before = w.now
	default:
		w.before = [waitBuckets]uint32{}
	}
	w.now, w.begun = [waitBuckets]uint32{}, now
}

// quantile returns the wait in seconds that a share of the requests of the last minute did
// not exceed, 0 if there were none.
func (w *waits) quantile(now time.Time, share float64) float64 {
	w.turn(now)
	total := 0.0
	for i := range w.now {
		total += float64(w.now[i]) + float64(w.before[i])
	}
	if total == 0 {
		return 0
	}
	seen := 0.0
	for i := range w.now {
		if seen += float64(w.now[i]) + float64(w.before[i]); seen >= share*total {
			if i == 0 {
				return 0
			}
			return waitBounds[i].Seconds()
		}
	}
	return 0
}
