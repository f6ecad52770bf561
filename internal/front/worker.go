package front

import (
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"indrik/internal/wire"
)

// A worker is a process that runs the app, as its slots and its board show it.
type worker struct {
	number  int
	gen     *generation
	board   *wire.Board
	slots   []*slot
	reading atomic.Int32 // slots whose goroutine runs
	active  bool
	dead    bool
	expired int  // requests of it that ran too long
	settled bool // the master knows that nothing else runs
}

// A slot is the socket by which one thread of a worker answers.
type slot struct {
	q      *queue
	w      *worker
	index  int
	file   *os.File
	raw    syscall.RawConn
	broken bool // it sent what is no message

	// Of its goroutine.
	buf    []byte
	oob    []byte
	n      int
	oobn   int
	err    error
	readFn func(fd uintptr) bool
	msg    wire.WorkerMessage
}

func (q *queue) addWorker(m wire.ToFront, files []*os.File) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	w := q.workers[m.Worker]
	if w == nil {
		var g *generation
		for _, have := range q.gens {
			if have.number == m.Generation {
				g = have
			}
		}
		if g == nil || len(files) == 0 {
			closeAll(files)
			return fmt.Errorf("worker %d is of generation %d, which does not exist", m.Worker, m.Generation)
		}
		board, err := wire.MapBoard(files[0])
		files[0].Close()
		files = files[1:]
		if err != nil {
			closeAll(files)
			return fmt.Errorf("worker %d: %w", m.Worker, err)
		}
		w = &worker{number: m.Worker, gen: g, board: board}
		q.workers[m.Worker] = w
		g.workers++
	}
	for _, f := range files {
		file, raw, err := pollable(f)
		if err != nil {
			return fmt.Errorf("worker %d: %w", m.Worker, err)
		}
		sl := &slot{
			q: q, w: w, index: len(w.slots), file: file, raw: raw,
			buf: make([]byte, wire.MaxMessage+1), oob: make([]byte, unix.CmsgSpace(4*4)),
		}
		sl.readFn = sl.tryRead
		w.slots = append(w.slots, sl)
		w.reading.Add(1)
		go sl.run()
	}
	return nil
}

// activate counts the slots of a worker, and returns the settings of its
// generation if it is the newest.
func (q *queue) activate(number int) *config {
	q.mu.Lock()
	defer q.mu.Unlock()
	w := q.workers[number]
	if w == nil || w.active || w.dead {
		return nil
	}
	w.active = true
	w.gen.slots += len(w.slots)
	q.pump()
	for _, g := range q.gens {
		if g.slots > 0 {
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
	w.active = false
	w.gen.slots -= len(w.slots)
	if w.gen.slots == 0 {
		q.again(q.takeBack(w.gen)...)
	}
}

// run reads what the worker says in this slot until it is gone.
func (sl *slot) run() {
	for sl.raw.Read(sl.readFn) == nil && sl.err == nil && sl.n > 0 {
		sl.handle()
	}
	// A deadline (see gone) ends the waiting; what is there is read all the same.
	_ = sl.raw.Control(func(fd uintptr) {
		for sl.tryRead(fd) && sl.err == nil && sl.n > 0 {
			sl.handle()
		}
	})
	if sl.w.reading.Add(-1) == 0 {
		sl.q.died(sl.w)
	}
}

func (sl *slot) tryRead(fd uintptr) bool {
	for {
		sl.n, sl.oobn, _, _, sl.err = unix.Recvmsg(int(fd), sl.buf, sl.oob, recvFlags)
		if sl.err != unix.EINTR {
			return sl.err != unix.EAGAIN
		}
	}
}

// gone ends the reading of a worker whose process has ended, even if another
// process, say a child of the app, still holds its sockets.
func (q *queue) gone(number int) {
	q.mu.Lock()
	w := q.workers[number]
	q.mu.Unlock()
	if w == nil {
		return
	}
	for _, sl := range w.slots {
		sl.file.SetReadDeadline(time.Unix(1, 0))
	}
}

// handle acts on one message.
func (sl *slot) handle() {
	file := sl.received()
	defer func() {
		if file != nil {
			file.Close()
		}
	}()
	if sl.broken {
		return
	}
	m := &sl.msg
	if err := wire.DecodeWorkerMessage(sl.buf[:sl.n], m); err != nil {
		sl.q.s.log.Errorf("worker %d sent what is no response: %s", sl.w.number, err)
		sl.broken = true
		sl.q.failClaimed(sl.w, sl.index)
		return
	}
	if m.Kind == wire.KindRefused {
		sl.q.refused(m.ID)
		return
	}
	last := m.Kind != wire.KindStart && m.Kind != wire.KindChunk && m.Kind != wire.KindHints
	ex := sl.q.find(m.ID, last)
	if ex == nil {
		return
	}
	if ex.message != nil && m.Kind != wire.KindHints {
		ex.release()
	}
	switch m.Kind {
	case wire.KindResponse:
		ex.respond(m)
	case wire.KindStart:
		ex.startResponse(m)
	case wire.KindChunk:
		ex.chunk(m.Body)
	case wire.KindEnd:
		ex.end()
	case wire.KindFile:
		f := file
		file = nil
		ex.sendFile(m, f)
	case wire.KindError:
		ex.appFailed()
	case wire.KindHints:
		ex.hints(m)
	}
}

// received is the descriptor that came with the message, nil if none did.
func (sl *slot) received() *os.File {
	if sl.oobn == 0 {
		return nil
	}
	cmsgs, err := unix.ParseSocketControlMessage(sl.oob[:sl.oobn])
	if err != nil {
		return nil
	}
	var file *os.File
	for i := range cmsgs {
		fds, err := unix.ParseUnixRights(&cmsgs[i])
		if err != nil {
			continue
		}
		for _, fd := range fds {
			if file == nil {
				unix.CloseOnExec(fd)
				file = os.NewFile(uintptr(fd), "response")
			} else {
				unix.Close(fd)
			}
		}
	}
	return file
}
