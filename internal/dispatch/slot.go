package dispatch

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"indrik/internal/wire"
)

// A slot is the socket by which one thread of a worker answers.
type slot struct {
	q     *Queue
	w     *worker
	index int
	file  *os.File
	raw   syscall.RawConn
	probe stallProbe

	// turns is odd while a message is received and acted on: see hasCaughtUp.
	turns atomic.Uint64

	mu sync.Mutex // held from a message's receipt until it has been acted on; comes before the queue's
	// +checklocks:mu
	in  wire.Receiver
	buf *[]byte // nil while nothing is there
	// +checklocks:mu
	msg    wire.Reply
	heard  time.Time // when the message came that is being acted on
	unread int       // bytes of it that have not been acted on
	size   int       // of these, those of the reply that is being acted on
	free   time.Time // when the slot had answered its last request; written with the queue's mutex, too
	warm   bool      // a trial has counted an answer of it; guarded by the queue's mutex
}

// messageBuffers are for messages of slots: a worker may have hundreds of threads, few of
// which answer at the same time.
var messageBuffers = sync.Pool{New: func() any { b := make([]byte, wire.MaxMessage+1); return &b }}

func newSlot(q *Queue, w *worker, index int, s wire.Socket) *slot {
	return &slot{q: q, w: w, index: index, file: s.File, raw: s.Raw}
}

// run reads what the worker says in this slot until it is gone.
func (sl *slot) run() {
	_ = sl.raw.Read(sl.readAll)
	// A deadline (see stopReading) ends the waiting; what is there is read all the same.
	_ = sl.raw.Control(func(fd uintptr) { sl.readAll(fd) })
	sl.end()
}

// end is called when nothing more comes from the slot.
func (sl *slot) end() {
	sl.q.slotClosed(sl.w)
	if sl.w.reading.Add(-1) == 0 {
		sl.q.died(sl.w)
	}
}

// readAll acts on the messages that are there, and reports whether the end was among them.
func (sl *slot) readAll(fd uintptr) (ended bool) {
	for !sl.w.broken.Load() {
		switch sl.readOne(fd) {
		case readNothing:
			return false
		case readEnd:
			return true
		case readMessage: // there may be more
		}
	}
	return true
}

// A readResult is what readOne has found.
type readResult int

const (
	readNothing readResult = iota
	readMessage
	readEnd
)

// readOne receives a message, if there is one, and acts on it.
func (sl *slot) readOne(fd uintptr) readResult {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	sl.turns.Add(1)
	defer sl.turns.Add(1)
	if sl.buf == nil {
		sl.buf = messageBuffers.Get().(*[]byte)
	}
	if sl.in.Receive(fd, *sl.buf, 0); errors.Is(sl.in.Err, unix.EAGAIN) {
		sl.releaseBuffer()
		return readNothing
	}
	switch file := sl.in.File(); {
	case sl.in.Err != nil || sl.in.N == 0 && wire.HasEnded(fd):
		sl.releaseBuffer()
		return readEnd
	case sl.in.N == 0: // it looks like the end, and is none
		wire.CloseAll([]*os.File{file})
		sl.q.breach(sl.w, errEmpty)
	case sl.in.N > wire.MaxMessage:
		wire.CloseAll([]*os.File{file})
		sl.q.breach(sl.w, errTooLong)
	default:
		sl.actLocked((*sl.buf)[:sl.in.N], file)
	}
	return readMessage
}

// actOnJournal acts on replies that the worker has not sent, or not yet.
func (sl *slot) actOnJournal(b []byte) {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	sl.turns.Add(1)
	defer sl.turns.Add(1)
	sl.actLocked(b, nil)
}

func (sl *slot) releaseBuffer() {
	messageBuffers.Put(sl.buf)
	sl.buf = nil
}

// hasCaughtUp reports whether all that the worker had said in this slot when the caller
// looked at its claims has been acted on. It is called with the queue's mutex held, which
// comes after the slot's. A message that is received while hasCaughtUp looks changes turns.
func (sl *slot) hasCaughtUp() bool {
	turns := sl.turns.Load()
	return turns%2 == 0 && !sl.hasUnread() && sl.turns.Load() == turns
}

// hasUnread reports whether a message is in the socket, or its end.
func (sl *slot) hasUnread() bool {
	unread := false
	_ = sl.raw.Control(func(fd uintptr) {
		var b [1]byte
		_, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		unread = err == nil
	})
	return unread
}

// closeFile closes a file unless it is nil by then.
func closeFile(f **os.File) {
	if *f != nil {
		(*f).Close()
	}
}

// actLocked acts on a message, which may hold several. It takes the file that came with it
// over. It is called with the slot's mutex held, as are the following.
// +checklocks:sl.mu
func (sl *slot) actLocked(b []byte, file *os.File) {
	defer closeFile(&file)
	m := &sl.msg
	sl.heard = time.Now()
	for len(b) > 0 && !sl.w.broken.Load() {
		var err error
		var took bool
		sl.unread = len(b)
		if b, err = wire.DecodeReply(b, m); err == nil {
			sl.size = sl.unread - len(b)
			took, err = sl.obeyLocked(m, file)
		}
		if err != nil {
			sl.q.breach(sl.w, err)
			return
		}
		if took {
			file = nil
		}
	}
}

// obeyLocked acts on one thing that a slot says, and reports whether it has taken the file
// over. The error says how that breaks the protocol.
// +checklocks:sl.mu
func (sl *slot) obeyLocked(m *wire.Reply, file *os.File) (tookFile bool, err error) {
	if !sl.allows(m.Kind) {
		return false, errOutOfPlace(m.Kind)
	}
	if err := checkFile(m, file); err != nil {
		return false, err
	}
	switch m.Kind {
	case wire.ReplyRefused:
		return false, sl.q.refused(m, sl)
	case wire.ReplyExtend:
		return false, sl.q.extend(m, sl)
	case wire.ReplyHints:
		return false, sl.q.hint(m, sl)
	case wire.ReplyLeave:
		return false, sl.q.leaves(m, sl)
	default: // the others are about a request that must be there
	}
	switch {
	case m.InBuffer > 0:
		m.Body = sl.w.board.ResponseBuffer(sl.index, m.InBuffer)
		defer sl.freeBuffer(m.ID)
	case m.InArena > 0:
		m.Body = sl.w.board.ResponseArena(sl.index, m.ArenaAt, m.InArena)
		defer sl.w.board.FreeArena(sl.index, m.ID, m.ArenaAt+m.InArena)
	}
	j, err := sl.q.complete(m, sl)
	if err != nil {
		return false, err
	}
	goesOn := m.Kind == wire.ReplyStart || m.Kind == wire.ReplyChunk || m.Kind == wire.ReplyPart
	if j == nil {
		if goesOn {
			sl.notifyGone(nil, m.ID)
		}
		return false, nil
	}
	tookFile, err = j.request.Reply(m, file, sl.heard, sl.size < sl.unread)
	if goesOn && j.request.Broken() {
		sl.notifyGone(j, m.ID)
	}
	return tookFile, err
}

// notifyGone tells the worker that nobody takes more of a response. j is nil if the
// request is over; then a multiplexed worker knows.
func (sl *slot) notifyGone(j *Job, id uint32) {
	switch {
	case !sl.w.multiplexed.Load():
		sl.w.board.NotifyGone(sl.index, id)
	case j != nil:
		j.notifyGone()
	}
}

// freeBuffer lets the worker use its response buffer for something else.
func (sl *slot) freeBuffer(id uint32) {
	sl.w.board.FreeBuffer(sl.index, id)
	if sl.w.multiplexed.Load() {
		sl.w.sendQueue.send(wire.AppendBufferFree(nil, id)) // it may wait for that
	}
}
