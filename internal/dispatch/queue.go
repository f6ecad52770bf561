package dispatch

import (
	"runtime"
	"slices"
	"sync"
	"time"

	"indrik/internal/wire"
)

// idMask is the part of an id that counts requests.
const idMask = 1<<wire.IDBits - 1

// A Queue hands requests to workers. Requests wait in it while the workers have enough of
// them; it knows where each one is until it is answered.
type Queue struct {
	host     Host
	front    int    // the number of this front
	idPrefix uint32 // the bits of the ids that say so
	overload overload

	mu     sync.Mutex
	pumpFn func() // pumpAfterOthers

	// +checklocks:mu
	waiting []*Job
	// +checklocks:mu
	room [64]*Job // for waiting, while these are few
	// +checklocks:mu
	inFlight map[uint32]*Job // handed over
	// +checklocks:mu
	lastID uint32
	// +checklocks:mu
	round uint64 // how often the ids have begun anew
	// +checklocks:mu
	tokens *tokenMaker
	// +checklocks:mu
	gens []*generation // the newest first
	// +checklocks:mu
	served int // the newest generation that had an active worker
	// +checklocks:mu
	workers map[int]*worker
	// +checklocks:mu
	scanning bool
	// +checklocks:mu
	scanned time.Time // by the last scan
	// +checklocks:mu
	probing bool // a timer is to look for slots that are stalled
	// +checklocks:mu
	pumping bool // a goroutine is about to pump
	// +checklocks:mu
	events int // requests that came, and answers, since it was made
	// +checklocks:mu
	reviewing bool // a timer is to look for requests that wait for their clients
	// +checklocks:mu
	batch []byte // scratch of handOverLocked
	// +checklocks:mu
	completed int
	// +checklocks:mu
	progress progress
	// +checklocks:mu
	waits waits
	// +checklocks:mu
	meter meter
	// +checklocks:mu
	load loadReport
	// +checklocks:mu
	counts Usage // what the queue itself counts
	// +checklocks:mu
	slow slowReport
	// +checklocks:mu
	gate reloadGate
	// +checklocks:mu
	homes homes
	// +checklocks:mu
	trial *trial // of a new generation; nil if none is tried
	// +checklocks:mu
	probes []func(Load) // see Probe
	// +checklocks:mu
	bar func(Description) bool // see Bar; nil: no request is barred
}

// NewQueue returns the queue of a front, whose number distinguishes it from other fronts
// of the same workers.
func NewQueue(host Host, front int) *Queue {
	q := &Queue{
		host:     host,
		front:    front & 0x7f,
		idPrefix: uint32(front&0x7f) << wire.IDBits,
		inFlight: map[uint32]*Job{},
		workers:  map[int]*worker{},
		tokens:   newTokenMaker(),
		gate:     reloadGate{send: host.Send},
	}
	q.waiting = q.room[:0]
	q.pumpFn = q.pumpAfterOthers
	q.overload.log, q.overload.busy = host, q.busy
	return q
}

// Submit takes a request, whose message can be encoded, at a time that is now or has just
// been. It is handed over at once if a worker may have it.
func (q *Queue) Submit(j *Job, at time.Time) {
	if !q.admit(j, at) {
		j.request.Fail(503)
	}
}

// admit queues a request, and reports whether it may wait.
func (q *Queue) admit(j *Job, at time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	j.queued = at
	j.check = 0
	if j.settings.Reload {
		j.check = q.gate.await()
	}
	if j.settings.NoWorkers && len(q.workers) == 0 { // the start has said so
		q.counts.NoWorkers++
		return false
	}
	if q.refuseIfFullLocked(j.settings) {
		return false
	}
	j.stage = waiting
	q.meter.arrived++
	q.events++
	q.waiting = append(q.waiting, j)
	if g, w := q.freeLocked(); g != nil && g.gathers(w) {
		q.pumpSoonLocked()
	} else {
		q.pumpLocked()
	}
	if len(q.waiting) > 0 {
		q.measureLocked(at)
	}
	return true
}

// RefuseIfFull reports whether a request that is about to be received would find the
// queue full. Then it counts as refused.
func (q *Queue) RefuseIfFull(s *Settings) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.refuseIfFullLocked(s)
}

// +checklocks:q.mu
func (q *Queue) refuseIfFullLocked(s *Settings) bool {
	if !q.isFullLocked(s) {
		return false
	}
	q.pumpLocked() // some requests may only wait for others to come
	if !q.isFullLocked(s) {
		return false
	}
	q.overload.full(len(q.waiting))
	q.meter.arrived++
	return true
}

// +checklocks:q.mu
func (q *Queue) isFullLocked(s *Settings) bool {
	return s.QueueLimit > 0 && len(q.waiting) >= s.QueueLimit
}

// pumpLocked hands over what workers may have.
// +checklocks:q.mu
func (q *Queue) pumpLocked() {
	if len(q.probes) > 0 {
		q.answerProbesLocked()
	}
	for i := 0; i < len(q.waiting) && !q.gate.holds(q.waiting[i].check); {
		j := q.waiting[i]
		if q.bar != nil && q.bar(j.describeLocked()) {
			q.waiting = slices.Delete(q.waiting, i, i+1)
			q.failBarredLocked(j)
			continue
		}
		g, w, waits := q.takerLocked(j)
		if waits {
			i++ // and holds up no request that may go to another worker
			q.reviewLaterLocked()
			continue
		}
		if g == nil {
			q.reviewLaterLocked()
			break
		}
		n := 1
		if i == 0 && !j.isKept() && q.bar == nil {
			n = q.batchSizeLocked(g, w)
		}
		jobs := q.waiting[i : i+n]
		switch err := q.handOverLocked(jobs, g, w); {
		case err == nil:
			q.handedOverLocked(jobs)
			if w != nil {
				q.keepLocked(j, w)
			}
			if i == 0 {
				clear(jobs)
				q.waiting = q.waiting[n:]
			} else {
				q.waiting = slices.Delete(q.waiting, i, i+n)
			}
		case wire.IsFull(err):
			if w == nil {
				q.pumpWhenWritableLocked(g)
			}
		case wire.IsClosed(err):
			if w != nil {
				q.deactivateLocked(w) // it leaves by a signal that was not the master's
				q.reportClosedLocked(w)
			} else {
				q.giveUpQueueLocked(g, errQueueClosed)
			}
		default:
			// No worker could get this message; for example, the descriptors ran out.
			q.host.Errorf("a request cannot be handed over: %s", err)
			q.waiting = slices.Delete(q.waiting, i, i+1)
			j.stage = idle
			go j.request.Fail(503)
		}
	}
	if len(q.waiting) == 0 {
		q.waiting = q.room[:0] // its memory may have grown large
	} else {
		q.wakeLocked()
	}
	q.scanLaterLocked()
}

// handedOverLocked records that a worker gets requests now, and how long they have waited.
// +checklocks:q.mu
func (q *Queue) handedOverLocked(jobs []*Job) {
	now := time.Now()
	for _, j := range jobs {
		j.began = now
		q.waits.add(now, now.Sub(j.queued))
	}
	q.overload.handedOver(jobs, now)
	q.measureLocked(now)
}

func (q *Queue) pump() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pumpLocked()
}

// pumpSoonLocked pumps when the goroutines that can run have run: the requests and replies
// that the poller has found go to the workers together.
// +checklocks:q.mu
func (q *Queue) pumpSoonLocked() {
	if !q.pumping {
		q.pumping, q.events = true, 0
		go q.pumpFn()
	}
}

func (q *Queue) pumpAfterOthers() {
	runtime.Gosched()
	if rest := q.pumpGathered(); rest > 0 {
		runtime.Gosched() // what others have left to send comes first
		wire.Rest(rest)
	}
}

// pumpGathered hands over what has gathered, and returns for how long this process may rest
// afterwards.
func (q *Queue) pumpGathered() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pumping = false
	q.pumpLocked()
	if q.events <= restEvents {
		return q.restLocked()
	}
	return 0
}

// pumpWhenWritableLocked pumps again when the kernel takes more for g.
// +checklocks:q.mu
func (q *Queue) pumpWhenWritableLocked(g *generation) {
	g.blocked = true
	if g.awaited {
		return
	}
	g.awaited = true
	g.send.RetryWhenWritable(func() bool {
		q.mu.Lock()
		defer q.mu.Unlock()
		g.blocked = false
		q.pumpLocked()
		g.awaited = g.blocked
		return !g.blocked
	})
}

// freeLocked returns the generation that takes the next request, the newest that has
// capacity and is not only tried (trial.go), and the worker if that is a multiplexed one.
// +checklocks:q.mu
func (q *Queue) freeLocked() (*generation, *worker) {
	for _, g := range q.gens {
		if q.isTriedLocked(g) || g.rejected {
			continue
		}
		if w, ok := g.free(); ok {
			return g, w
		}
	}
	return nil, nil
}

// free reports whether g has capacity for a request, and returns the worker if that is a
// multiplexed one. Requests of workers that are about to leave take no capacity from the others.
func (g *generation) free() (w *worker, ok bool) {
	if g.slots > 0 && !g.blocked && !g.broken && g.inFlight < g.capacity() {
		return nil, true
	}
	w = g.leastBusy()
	return w, w != nil
}

// removeLocked forgets a request that was answered, or is being answered.
// +checklocks:q.mu
func (q *Queue) removeLocked(j *Job) {
	q.recallLocked(j)
	q.completed++
}

// recallLocked makes a request idle, wherever it is except among those that wait.
// +checklocks:q.mu
func (q *Queue) recallLocked(j *Job) {
	if j.stage == handedOver {
		delete(q.inFlight, j.id)
		if j.assigned != nil {
			j.assigned.removeLocked(j)
		} else {
			j.gen.inFlight--
			if j.shared {
				j.gen.shared--
			}
		}
	}
	j.stage = idle
}

// requeueLocked gives requests that no worker runs to other workers, before all that wait.
// +checklocks:q.mu
func (q *Queue) requeueLocked(jobs ...*Job) {
	wanted := make([]*Job, 0, len(jobs)+len(q.waiting))
	for _, j := range jobs {
		q.recallLocked(j)
		if q.trial != nil && j.gen != nil && q.isTriedLocked(j.gen) {
			j.drawn = forOld // what a new generation has not begun is not lost on it
		}
		if j.left {
			q.counts.Cancelled++
			j.request.Release()
			continue
		}
		q.counts.Reassigned++
		j.stage, j.assigned = waiting, nil
		wanted = append(wanted, j)
	}
	q.waiting = append(wanted, q.waiting...)
}

// unqueueLocked takes a request out of those that wait.
// +checklocks:q.mu
func (q *Queue) unqueueLocked(j *Job) {
	if i := slices.Index(q.waiting, j); i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	}
}

// IsStreaming reports whether a multiplexed worker has begun to answer a request.
func (q *Queue) IsStreaming(j *Job) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return j.stage == handedOver && j.assigned != nil && j.answered
}

// byStart sorts requests: the oldest first.
func byStart(jobs []*Job) {
	slices.SortFunc(jobs, func(a, b *Job) int { return a.Start.Compare(b.Start) })
}

func idsOf(jobs []*Job) []uint32 {
	ids := make([]uint32, len(jobs))
	for i, j := range jobs {
		ids[i] = j.id
	}
	return ids
}
