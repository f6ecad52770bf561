package front

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"indrik/internal/wire"
)

const (
	// prefetch is how many requests may be with a generation for each of its
	// slots: the one that is run, and one that waits in the kernel, so that a
	// slot that is done finds the next without asking this process.
	prefetch = 2
	// prefetchTime is how long a request may wait in the kernel instead, by the
	// rate of the answers, and prefetchMost how many may be there for each slot.
	// With a fast app that spares the workers, and this process, most of the
	// sleeping and waking. Who waits that short need not be taken out again.
	prefetchTime = 2 * time.Millisecond
	prefetchMost = 8
	// idBits is how many bits of an id count requests; the others tell which
	// front it is from.
	idBits = 24
	// queueBuffer is the size of the socket buffer of a queue, in bytes, as
	// far as the system grants it.
	queueBuffer = 4 << 20
)

// A queue hands requests to workers. Requests wait in it while the workers have
// enough of them; it knows where each one is until it is answered.
type queue struct {
	s      *server
	number int    // of this front
	first  uint32 // bits of the ids

	mu        sync.Mutex
	waiting   []*exchange
	inFlight  map[uint32]*exchange // handed over
	lastID    uint32
	round     uint64 // how often the ids have begun anew
	tokens    *tokenMaker
	gens      []*generation // the newest first
	served    int           // the newest generation that had an active worker
	workers   map[int]*worker
	scanning  bool
	scanned   time.Time // by the last scan
	looking   bool      // at slots that may be stuck
	pumping   bool      // a goroutine is about to pump
	reviewing bool      // a timer is to look for requests that wait for their clients
	joined    []byte    // scratch of handOver
	finished  int       // requests that are over
	progress  progress
	lookout   lookout
	homes     homes
}

// A generation is the workers of one configuration, and the queue they read.
type generation struct {
	number   int
	cfg      *config
	send     *os.File // the end that is written to
	sendRaw  syscall.RawConn
	sendFD   uintptr  // of send; it is closed under the mutex only
	receive  *os.File // the workers' end
	slots    int      // of active workers
	leaving  int      // slots of workers that were active
	workers  int
	active   int               // workers that read the queue
	inFlight int               // of the requests given to the queue
	shared   int               // of inFlight: those in messages that had several
	asgi     []*worker         // active ones, which get their requests themselves
	turn     int               // which of these is asked first
	answered int               // since the last scan
	quick    int               // requests answered in prefetchTime, as of that scan
	revoked  map[uint32]uint32 // requests withdrawn, and not refused by a slot yet: by id, the first of the message
	taken    map[uint32]bool   // messages that somebody took out of the queue and did not claim: the first id of each
	broken   bool              // the queue is of no use any more
	blocked  bool              // the kernel takes no more; somebody waits until it does
	awaited  bool              // a goroutine waits for that
	slow     int               // slow requests, lately
	slowAt   time.Time         // when the last was seen
}

func newQueue(s *server, number int) *queue {
	return &queue{
		s:        s,
		number:   number & 0x7f,
		first:    uint32(number&0x7f) << idBits,
		inFlight: map[uint32]*exchange{},
		workers:  map[int]*worker{},
		tokens:   newTokenMaker(),
		lookout:  lookout{send: func(m wire.FromFront) { s.send(m) }},
	}
}

func (q *queue) addGeneration(number int, cfg *config, send, receive *os.File) error {
	wire.SetSendBuffer(send.Fd(), queueBuffer)
	send, raw, err := wire.Adopt(send)
	if err != nil {
		receive.Close()
		return fmt.Errorf("generation %d: %w", number, err)
	}
	g := &generation{number: number, cfg: cfg, send: send, sendRaw: raw, receive: receive, revoked: map[uint32]uint32{}, taken: map[uint32]bool{}}
	_ = raw.Control(func(fd uintptr) { g.sendFD = fd })
	cfg.store = wire.NewArena()
	q.mu.Lock()
	defer q.mu.Unlock()
	// What is in there is left over from a front before this one.
	q.takeBack(g)
	q.gens = append([]*generation{g}, q.gens...)
	return nil
}

// configOf is the settings of a generation, nil if there is none of that number.
func (q *queue) configOf(number int) *config {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, g := range q.gens {
		if g.number == number {
			return g.cfg
		}
	}
	return nil
}

// dropUnused forgets generations whose workers are gone, if a newer one has
// served: others may get workers yet, say when a reload fails.
func (q *queue) dropUnused() {
	kept := q.gens[:0]
	for _, g := range q.gens {
		if g.number >= q.served || g.workers > 0 || g.inFlight > 0 || g.awaited {
			kept = append(kept, g)
			continue
		}
		wire.CloseAll([]*os.File{g.send, g.receive})
		g.cfg.store.Close()
	}
	clear(q.gens[len(kept):])
	q.gens = kept
}

// trimStores gives memory back that bodies of requests do not need, and reports whether more
// may be given back later.
func (q *queue) trimStores() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	warm := false
	for _, g := range q.gens {
		warm = g.cfg.store.Trim() || warm
	}
	return warm
}

// submit takes a request, at a time that is now or has just been. It is handed over
// at once if a worker may have it.
func (q *queue) submit(ex *exchange, at time.Time) {
	if len(ex.cfg.healthPath) > 0 && q.s.answerHealth(ex) {
		return
	}
	q.mu.Lock()
	ex.queued = at
	ex.look = 0
	if ex.cfg.Reload {
		ex.look = q.lookout.await()
	}
	if ex.cfg.NoWorkers && len(q.workers) == 0 { // the start has said so
		q.mu.Unlock()
		ex.release()
		ex.failWith(503)
		return
	}
	if full, depth := q.fullFor(ex.cfg); full {
		q.mu.Unlock()
		q.s.overload.full(depth)
		ex.release()
		ex.failWith(503)
		return
	}
	ex.place = waiting
	q.waiting = append(q.waiting, ex)
	if g, w := q.free(); g != nil && g.gathers(w) {
		q.pumpSoon()
	} else {
		q.pump()
	}
	q.mu.Unlock()
}

// isFull tells whether a request that is to be received would find no place.
func (q *queue) isFull(cfg *config) (bool, int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.fullFor(cfg)
}

func (q *queue) fullFor(cfg *config) (full bool, depth int) {
	if cfg.QueueLimit > 0 && len(q.waiting) >= cfg.QueueLimit {
		q.pump() // some may only wait for others to come
	}
	return cfg.QueueLimit > 0 && len(q.waiting) >= cfg.QueueLimit, len(q.waiting)
}

// pump hands over what workers may have. It is called with the mutex held.
func (q *queue) pump() {
	for i := 0; i < len(q.waiting) && !q.lookout.holds(q.waiting[i].look); {
		ex := q.waiting[i]
		g, w, waits := q.placeLocked(ex)
		if waits {
			i++ // and holds up nobody who may go to another
			q.reviewLater()
			continue
		}
		if g == nil {
			q.reviewLater()
			break
		}
		n := 1
		if i == 0 && !ex.isKept() {
			n = q.together(g, w)
		}
		exs := q.waiting[i : i+n]
		switch err := q.handOver(exs, g, w); err {
		case nil:
			q.s.overload.handedOver(exs)
			if w != nil {
				q.keepLocked(ex, w)
			}
			if i == 0 {
				clear(exs)
				q.waiting = q.waiting[n:]
			} else {
				q.waiting = slices.Delete(q.waiting, i, i+n)
			}
		case unix.EAGAIN, unix.ENOBUFS:
			if w == nil {
				q.waitForRoom(g)
			}
		case unix.EPIPE, unix.ECONNRESET, unix.ECONNREFUSED:
			if w != nil {
				q.deactivate(w) // it leaves by a signal that was not the master's
				q.tellClosed(w)
			} else {
				q.abandonQueue(g, errQueueClosed)
			}
		default:
			// Nobody can read this queue any more; say the descriptors ran out.
			q.s.log.Errorf("a request cannot be handed over: %s", err)
			q.waiting = slices.Delete(q.waiting, i, i+1)
			ex.place = nowhere
			go func() {
				ex.release()
				ex.failWith(503)
			}()
		}
	}
	if len(q.waiting) == 0 {
		q.waiting = nil // what it grew to need not stay
	}
	q.scanLater()
}

func (q *queue) pumpNow() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pump()
}

// pumpSoon pumps when the goroutines that can run have run: what the poller has
// found, requests and answers, goes to the workers together. It is called with
// the mutex held.
func (q *queue) pumpSoon() {
	if !q.pumping {
		q.pumping = true
		go q.pumpAfterOthers()
	}
}

func (q *queue) pumpAfterOthers() {
	runtime.Gosched()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pumping = false
	q.pump()
}

func (q *queue) scanLater() {
	if len(q.inFlight)+len(q.waiting) > 0 && !q.scanning {
		q.scanning = true
		q.scanned = time.Now()
		time.AfterFunc(scanEvery, q.scan)
	}
}

// free is the generation that takes the next request, the newest that has room, and
// with ASGI the worker. What workers run that are about to leave does not take
// room from the others.
func (q *queue) free() (*generation, *worker) {
	for _, g := range q.gens {
		if g.slots > 0 && !g.blocked && !g.broken && g.inFlight < g.room() {
			return g, nil
		}
		if w := g.leastBusy(); w != nil {
			return g, w
		}
	}
	return nil, nil
}

// serves tells whether g has active workers.
func (g *generation) serves() bool { return g.slots > 0 || len(g.asgi) > 0 }

// room is how many requests may be with g.
func (g *generation) room() int {
	return max(prefetch*g.slots, min(g.quick, prefetchMost*g.slots)) + g.leaving
}

// measure notes how fast g has answered for a time.
func (g *generation) measure(d time.Duration) {
	g.quick = int(time.Duration(g.answered) * prefetchTime / max(d, 1))
	g.answered = 0
}

// handOver gives requests to w, or, if that is nil, to the queue of g, in one
// message. Several must be such as together allows.
func (q *queue) handOver(exs []*exchange, g *generation, w *worker) error {
	if err := exs[0].suit(formFor(w), g.cfg.store); err != nil {
		return err
	}
	first := q.newIDs(len(exs))
	for i, ex := range exs {
		ex.setID(first + uint32(i))
		if w == nil {
			ex.setToken(q.tokenOf(ex.id))
		}
	}
	message := exs[0].message
	if len(exs) > 1 {
		q.joined = appendMessages(q.joined[:0], exs)
		message = q.joined
	}
	var err error
	if w != nil {
		err = w.post.try(message, exs[0].descriptors())
	} else {
		err = wire.SendNow(g.sendFD, message, exs[0].descriptors())
	}
	if err != nil {
		return err
	}
	for _, ex := range exs {
		ex.place, ex.gen, ex.at, ex.worker = handedOver, g, w, nil
		ex.claimedAt, ex.deadline = time.Time{}, time.Time{}
		ex.first, ex.shared = first, len(exs) > 1
		ex.slot, ex.reply, ex.revoked, ex.missed, ex.hints = nil, replyNone, false, 0, 0
		q.inFlight[ex.id] = ex
	}
	if w != nil {
		w.inFlight += len(exs)
		w.last = exs[len(exs)-1].id
		g.turn++
	} else {
		g.inFlight += len(exs)
		if len(exs) > 1 {
			g.shared += len(exs)
		}
		q.lookLater(g)
	}
	return nil
}

// newIDs returns the first of n ids in a row.
func (q *queue) newIDs(n int) uint32 {
	for {
		if q.lastID+uint32(n) > idMask {
			q.lastID = 0
			q.round++
		}
		first := q.first | (q.lastID + 1)
		q.lastID += uint32(n)
		free := true
		for i := range uint32(n) {
			free = free && q.inFlight[first+i] == nil
		}
		if free {
			return first
		}
	}
}

// waitForRoom pumps again when the kernel takes more for g.
func (q *queue) waitForRoom(g *generation) {
	g.blocked = true
	if g.awaited {
		return
	}
	g.awaited = true
	wire.RetryWhenWritable(g.sendRaw, func() bool {
		q.mu.Lock()
		defer q.mu.Unlock()
		g.blocked = false
		q.pump()
		g.awaited = g.blocked
		return !g.blocked
	})
}

// over forgets a request that was answered, or is being. It is called with the
// mutex held.
func (q *queue) over(ex *exchange) {
	if ex.place == handedOver {
		delete(q.inFlight, ex.id)
		if ex.at != nil {
			ex.leaveLocked()
		} else {
			ex.gen.inFlight--
			if ex.shared {
				ex.gen.shared--
			}
		}
	}
	ex.place = nowhere
	q.finished++
}

// progress is what was seen when the master asked last.
type progress struct {
	finished int
	since    time.Time // when a request was finished, or none waited, as far as was seen
}

// stalled is for how long requests have waited for a worker without any that was
// finished, as far as the questions of the master show it.
func (q *queue) stalled(now time.Time) time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	p := &q.progress
	if len(q.waiting) == 0 && len(q.inFlight) == 0 || q.finished != p.finished || p.since.IsZero() {
		*p = progress{q.finished, now}
	}
	return now.Sub(p.since)
}

// again gives a request that no worker runs to another one, before all that
// wait. It is called with the mutex held.
func (q *queue) again(exs ...*exchange) {
	wanted := make([]*exchange, 0, len(exs)+len(q.waiting))
	for _, ex := range exs {
		q.over(ex)
		if ex.gone {
			ex.release()
			continue
		}
		ex.place, ex.at = waiting, nil
		wanted = append(wanted, ex)
	}
	q.waiting = append(wanted, q.waiting...)
}
