package front

import (
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"indrik/internal/wire"
)

// A worker is a process that runs the app, as its slots and its board show it.
type worker struct {
	number  int
	pid     int // 0 until it is active
	gen     *generation
	board   *wire.Scoreboard
	slots   []*slot
	reading atomic.Int32 // slots whose goroutine runs
	active  bool
	leaving bool // was active, and may still run requests
	dead    bool
	dying   bool        // its shelves are being cleared
	broken  atomic.Bool // it broke the protocol: it is not heard any more
	exited  bool        // the master has collected it
	closed  bool        // the master knows that it has closed a slot

	late      int       // messages about requests that are over, since
	lateSince time.Time // then
	unasked   int       // requests that it refused without being asked to
	revoked   int       // revocations on its board, by this front
	expired   int       // requests of it that ran too long
	settled   bool      // the master knows that nothing else runs
	served    int       // requests that it has answered

	asgi     atomic.Bool // it gets its requests by its first slot
	form     form        // of its requests
	post     *post       // to its first slot
	token    []byte      // stands for it in cookies
	inFlight int
	standing int    // of these, those that wait for their clients
	last     uint32 // the id of the request given last
	loop     loop
}

func (q *queue) addWorker(m wire.ToFront, files []*os.File) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	var ends []wire.Socket
	var err error
	w := q.workers[m.Age]
	if w == nil && m.First > 0 {
		wire.CloseAll(files) // it has ended since the message with its first slots
		return nil
	}
	if w == nil {
		var g *generation
		for _, have := range q.gens {
			if have.number == m.Generation {
				g = have
			}
		}
		if g == nil || len(files) == 0 {
			wire.CloseAll(files)
			return fmt.Errorf("worker %d is of generation %d, which does not exist", m.Age, m.Generation)
		}
		board, err := wire.MapScoreboard(files[0])
		files[0].Close()
		files = files[1:]
		if err != nil {
			wire.CloseAll(files)
			return fmt.Errorf("worker %d: %w", m.Age, err)
		}
		if ends, err = wire.AdoptAll(files); err != nil {
			board.Close()
			return fmt.Errorf("worker %d: %w", m.Age, err)
		}
		w = &worker{number: m.Age, gen: g, board: board}
		w.token = tokenOf(g.cfg.AffinityKey, w.number)
		board.Serve(q.number)
		for id := range g.revoked {
			w.revoke(id) // its message may be in the queue yet
		}
		q.workers[m.Age] = w
		g.workers++
	} else if ends, err = wire.AdoptAll(files); err != nil {
		return fmt.Errorf("worker %d: %w", m.Age, err)
	}
	if w.broken.Load() {
		for _, end := range ends {
			end.File.Close()
		}
		return nil
	}
	before := len(w.slots)
	for _, end := range ends {
		if len(w.slots) == 0 {
			w.post = newPost(end.Raw, q.pumpNow, func() { q.breach(w, errReadsNot) })
		}
		i := len(w.slots)
		if id := w.board.BufferHolder(i); id>>idBits != uint32(q.number) {
			w.board.FreeBuffer(i, id) // it was put there for a front before this one
		}
		w.slots = append(w.slots, newSlot(q, w, i, end.File, end.Raw))
	}
	// All are counted before one runs: of a worker that is dead already, each
	// would take itself for the last.
	w.reading.Add(int32(len(w.slots) - before))
	for _, sl := range w.slots[before:] {
		go sl.run()
	}
	if f, ok := forms[m.Kind]; ok {
		q.reset(w, f) // of a front before this one
	}
	return nil
}

// activate counts the slots of a worker, and returns the settings of its
// generation if it is the newest.
func (q *queue) activate(number, pid int, kind string) *config {
	q.mu.Lock()
	defer q.mu.Unlock()
	w := q.workers[number]
	if w == nil || w.active || w.dead {
		return nil
	}
	w.active, w.pid = true, pid
	f, ok := forms[kind]
	if w.asgi.Load() {
		f, ok = w.form, true // what it is does not change
	}
	w.gen.cfg.form.Store(int32(f))
	if ok {
		q.reset(w, f)
		w.gen.asgi = append(w.gen.asgi, w)
	} else {
		w.gen.slots += len(w.slots)
		w.gen.active++
	}
	q.served = max(q.served, w.gen.number)
	q.pump()
	for _, g := range q.gens {
		if g.serves() {
			return g.cfg
		}
	}
	return nil
}

// retire counts the slots of a worker no more. When they were the last ones of
// their generation, what is left in its queue goes to another.
func (q *queue) retire(number int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w := q.workers[number]; w != nil {
		q.deactivate(w)
		q.pump()
	}
}

func (q *queue) deactivate(w *worker) {
	if !w.active {
		return
	}
	w.active, w.leaving = false, true
	if w.asgi.Load() {
		w.gen.asgi = slices.DeleteFunc(w.gen.asgi, func(other *worker) bool { return other == w })
		q.leaveSockets(w)
		return // what it has not begun it refuses, or leaves unread
	}
	w.gen.slots -= len(w.slots)
	w.gen.active--
	w.gen.leaving += len(w.slots)
	if w.gen.slots == 0 {
		q.again(q.takeBack(w.gen)...)
	}
}

// gone ends the reading of a worker whose process has ended, even if another
// process, say a child of the app, still holds its sockets.
func (q *queue) gone(number int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	w := q.workers[number]
	if w == nil {
		return
	}
	w.exited = true
	w.stopReading()
}
