package dispatch

import (
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"indrik/internal/wire"
)

// A worker is a process that runs the app, as its slots and its scoreboard show it. It is
// guarded by the mutex of [Queue], except for the atomics.
type worker struct {
	age     int
	pid     int // 0 until it is active
	gen     *generation
	board   *wire.Scoreboard
	slots   []*slot
	reading atomic.Int32 // slots whose goroutine runs
	active  bool
	leaving bool // was active, and may still run requests
	dead    bool
	dying   bool        // its journals are being acted on
	broken  atomic.Bool // it broke the protocol: it is not heard any more
	exited  bool        // the master has collected it
	closed  bool        // the master knows that it has closed a slot

	late      int       // messages about requests that are over, since
	lateSince time.Time // then
	unasked   int       // requests that it refused without being asked to
	revoked   int       // revocations on its scoreboard, by this front
	expired   int       // requests of it that ran too long
	settled   bool      // the master knows that nothing else runs
	served    int       // requests that it has answered
	failed    int       // of these, those in which the app failed

	// What follows is used if it is multiplexed.
	multiplexed atomic.Bool // it gets its requests by its first slot
	kind        wire.Kind
	sendQueue   *sendQueue // to its first slot
	token       []byte     // stands for it in cookies
	inFlight    int
	standing    int    // of these, those that wait for their clients
	last        uint32 // the id of the request given last
	loop        loop
	engaged     time.Duration // in which it could begin no request
	toldEngaged time.Duration // of engaged: what the master knows of
}

// AddWorker takes slots of a worker over, as the master's message says: with the first of
// them comes its scoreboard.
func (q *Queue) AddWorker(m wire.ToFront, files []*os.File) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	w := q.workers[m.Age]
	if w == nil && m.First > 0 {
		wire.CloseAll(files) // it has ended since the message with its first slots
		return nil
	}
	var sockets []wire.Socket
	var err error
	if w == nil {
		w, sockets, err = q.newWorkerLocked(m, files)
	} else {
		sockets, err = wire.AdoptAll(files)
	}
	if err != nil {
		return fmt.Errorf("worker %d: %w", m.Age, err)
	}
	if w.broken.Load() {
		for _, s := range sockets {
			s.File.Close()
		}
		return nil
	}
	for _, sl := range q.addSlotsLocked(w, sockets) {
		go sl.run()
	}
	if m.Kind.IsMultiplexed() {
		q.multiplexLocked(w, m.Kind) // of a front before this one
	}
	return nil
}

// newWorkerLocked adds a worker without slots. files are its scoreboard and the sockets of
// slots.
// +checklocks:q.mu
func (q *Queue) newWorkerLocked(m wire.ToFront, files []*os.File) (*worker, []wire.Socket, error) {
	g := q.generationLocked(m.Generation)
	if g == nil || len(files) == 0 {
		wire.CloseAll(files)
		return nil, nil, fmt.Errorf("generation %d does not exist", m.Generation)
	}
	board, err := wire.MapScoreboard(files[0])
	files[0].Close()
	if err != nil {
		wire.CloseAll(files[1:])
		return nil, nil, err
	}
	sockets, err := wire.AdoptAll(files[1:])
	if err != nil {
		board.Close()
		return nil, nil, err
	}
	w := &worker{age: m.Age, gen: g, board: board, token: cookieToken(g.settings.AffinityKey, m.Age)}
	board.Serve(q.front)
	for id := range g.revoked {
		w.forbid(id) // its message may be in the queue yet
	}
	q.workers[m.Age] = w
	g.workers++
	return w, sockets, nil
}

// addSlotsLocked adds slots to a worker, and returns them, to be read.
// +checklocks:q.mu
func (q *Queue) addSlotsLocked(w *worker, sockets []wire.Socket) []*slot {
	before := len(w.slots)
	for _, s := range sockets {
		i := len(w.slots)
		if i == 0 {
			w.sendQueue = newSendQueue(s.Raw, q.pump, func() { q.breach(w, errReadsNot) })
		}
		if id := w.board.BufferHolder(i); id>>wire.IDBits != uint32(q.front) {
			w.board.FreeBuffer(i, id) // the reply was for a front before this one
		}
		if id, end := w.board.ArenaHolder(i); id>>wire.IDBits != uint32(q.front) {
			w.board.FreeArena(i, id, end)
		}
		w.slots = append(w.slots, newSlot(q, w, i, s))
	}
	// All are counted before one runs: of a worker that is dead already, each would
	// take itself for the last.
	w.reading.Add(int32(len(w.slots) - before))
	return w.slots[before:]
}

// Activate counts the slots of a worker, and returns the settings of the newest generation
// that serves, nil if there was nothing to count. kind is what the worker says it is.
func (q *Queue) Activate(age, pid int, kind wire.Kind) Config {
	q.mu.Lock()
	defer q.mu.Unlock()
	w := q.workers[age]
	if w == nil || w.active || w.dead {
		return nil
	}
	w.active, w.pid = true, pid
	if w.multiplexed.Load() {
		kind = w.kind // what it is does not change
	}
	w.gen.settings.SetKind(kind)
	if kind.IsMultiplexed() {
		q.multiplexLocked(w, kind)
		w.gen.multiplexed = append(w.gen.multiplexed, w)
	} else {
		w.gen.slots += len(w.slots)
		w.gen.active++
	}
	if !q.isTriedLocked(w.gen) {
		q.served = max(q.served, w.gen.number)
	}
	q.load.woke = false
	q.measureLocked(time.Now())
	q.pumpLocked()
	return q.servingConfigLocked()
}

// Retire gives a worker no more requests. When it was the last of its generation that reads
// the queue, what is left there goes to others.
func (q *Queue) Retire(age int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w := q.workers[age]; w != nil {
		q.deactivateLocked(w)
		q.pumpLocked()
	}
}

// +checklocks:q.mu
func (q *Queue) deactivateLocked(w *worker) {
	if !w.active {
		return
	}
	w.active, w.leaving = false, true
	if w.multiplexed.Load() {
		w.gen.multiplexed = slices.DeleteFunc(w.gen.multiplexed, func(other *worker) bool { return other == w })
		q.measureLocked(time.Now())
		q.leaveWebSocketsLocked(w)
		return // what it has not begun it refuses, or leaves unread
	}
	w.gen.slots -= len(w.slots)
	w.gen.active--
	w.gen.leaving += len(w.slots)
	q.measureLocked(time.Now())
	q.leaveWebSocketsLocked(w)
	if w.gen.slots == 0 {
		q.requeueLocked(q.readBackLocked(w.gen)...)
	}
}

// Gone ends the reading of a worker whose process has ended, even if another process, for
// example a child of the app, still holds its sockets.
func (q *Queue) Gone(age int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w := q.workers[age]; w != nil {
		w.exited = true
		w.stopReading()
	}
}

// stopReading ends the goroutines of the slots, once they have read what is there.
func (w *worker) stopReading() {
	for _, sl := range w.slots {
		sl.file.SetReadDeadline(time.Unix(1, 0))
	}
}

// forbid tells w not to begin a request.
func (w *worker) forbid(id uint32) {
	w.revoked += w.board.Revoke(id, func(id uint32) bool {
		_, awaited := w.gen.revoked[id]
		return awaited
	})
}

// hasCaughtUp reports whether all that a worker has said was acted on. It is called with
// the queue's mutex held.
func (w *worker) hasCaughtUp() bool {
	for _, sl := range w.slots {
		if !sl.hasCaughtUp() {
			return false
		}
	}
	return true
}
