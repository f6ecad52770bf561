package front

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"indrik/internal/wire"
)

// A slot is the socket by which one thread of a worker answers.
type slot struct {
	q     *queue
	w     *worker
	index int
	file  *os.File
	raw   syscall.RawConn

	mu sync.Mutex // held from a message's receipt until it has been acted on

	// Of its goroutine.
	in    wire.Receiver
	buf   *[]byte // nil while nothing is there
	msg   wire.Reply
	heard time.Time // when what is being acted on came

	look look
}

// messageBuffers are for messages of slots: a worker may have hundreds of
// threads, few of which answer at the same time.
var messageBuffers = sync.Pool{New: func() any { b := make([]byte, wire.MaxMessage+1); return &b }}

func newSlot(q *queue, w *worker, index int, file *os.File, raw syscall.RawConn) *slot {
	return &slot{q: q, w: w, index: index, file: file, raw: raw}
}

// run reads what the worker says in this slot until it is gone.
func (sl *slot) run() {
	_ = sl.raw.Read(sl.readAll)
	// A deadline (see gone) ends the waiting; what is there is read all the same.
	_ = sl.raw.Control(func(fd uintptr) { sl.readAll(fd) })
	sl.q.slotClosed(sl.w)
	if sl.w.reading.Add(-1) == 0 {
		sl.q.died(sl.w)
	}
}

// readAll acts on the messages that are there; true if the end was among them.
func (sl *slot) readAll(fd uintptr) bool {
	for !sl.w.broken.Load() {
		if !sl.tryRead(fd) {
			return false
		}
		if !sl.act(fd) {
			return true
		}
	}
	return true
}

// tryRead receives a message, or the end, if there is one. Then it returns with
// the mutex held, for act.
func (sl *slot) tryRead(fd uintptr) bool {
	sl.mu.Lock()
	if sl.buf == nil {
		sl.buf = messageBuffers.Get().(*[]byte)
	}
	if sl.in.Receive(fd, *sl.buf, 0); errors.Is(sl.in.Err, unix.EAGAIN) {
		sl.releaseBuffer()
		sl.mu.Unlock()
		return false
	}
	return true
}

// act acts on what tryRead received; false at the end.
func (sl *slot) act(fd uintptr) bool {
	defer sl.mu.Unlock()
	switch file := sl.in.File(); {
	case sl.in.Err != nil || sl.in.N == 0 && wire.HasEnded(fd):
		sl.releaseBuffer()
		return false
	case sl.in.N == 0: // it looks like the end, but for that
		wire.CloseAll([]*os.File{file})
		sl.q.breach(sl.w, errEmpty)
	case sl.in.N > wire.MaxMessage:
		wire.CloseAll([]*os.File{file})
		sl.q.breach(sl.w, errTooLong)
	default:
		sl.handle((*sl.buf)[:sl.in.N], file)
	}
	return true
}

// takeFromShelf acts on answers that the worker has not sent, or not yet.
func (sl *slot) takeFromShelf(b []byte) {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	sl.handle(b, nil)
}

func (sl *slot) releaseBuffer() {
	messageBuffers.Put(sl.buf)
	sl.buf = nil
}

// caughtUp tells whether all that the worker had said in this slot when the
// caller looked at its claims has been acted on.
func (sl *slot) caughtUp() bool {
	if !sl.mu.TryLock() {
		return false
	}
	defer sl.mu.Unlock()
	empty := true
	_ = sl.raw.Control(func(fd uintptr) {
		var b [1]byte
		_, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		empty = err != nil
	})
	return empty
}

// handle acts on a message, which may hold several. It takes the file that came with
// it over.
func (sl *slot) handle(b []byte, file *os.File) {
	defer func() {
		if file != nil {
			file.Close()
		}
	}()
	m := &sl.msg
	sl.heard = time.Now()
	for len(b) > 0 && !sl.w.broken.Load() {
		var err error
		var taken bool
		if b, err = wire.DecodeReply(b, m); err == nil {
			taken, err = sl.obey(m, file)
		}
		if err != nil {
			sl.q.breach(sl.w, err)
			return
		}
		if taken {
			file = nil
		}
	}
}

// obey acts on what a slot says, and reports whether it has taken the file over. The error
// says how that breaks the protocol.
func (sl *slot) obey(m *wire.Reply, file *os.File) (taken bool, err error) {
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
		return false, sl.q.left(m, sl)
	}
	if m.InBuffer > 0 {
		m.Body = sl.w.board.ResponseBuffer(sl.index, m.InBuffer)
		defer sl.clearTray(m.ID)
	}
	ex, err := sl.q.find(m, sl)
	if err != nil {
		return false, err
	}
	if sl.w.asgi.Load() {
		return sl.answerASGI(ex, m, file)
	}
	return sl.answer(ex, m, file), nil
}

// clearTray lets the worker use the tray for something else.
func (sl *slot) clearTray(id uint32) {
	sl.w.board.FreeBuffer(sl.index, id)
	if sl.w.asgi.Load() {
		sl.w.post.send(wire.AppendBufferFree(nil, id)) // it may wait for that
	}
}

// answer acts on what a slot that reads the queue says of a response, and tells
// whether it has taken the file over.
func (sl *slot) answer(ex *exchange, m *wire.Reply, file *os.File) (taken bool) {
	more := m.Kind == wire.ReplyStart || m.Kind == wire.ReplyChunk
	if ex == nil {
		if more {
			sl.w.board.NotifyGone(sl.index, m.ID)
		}
		return false
	}
	taken = sl.respond(ex, m, file)
	if more && ex.to.broken() {
		sl.w.board.NotifyGone(sl.index, m.ID)
	}
	return taken
}

// respond acts on what workers of all kinds say of a response, and tells whether it
// has taken the file over.
func (sl *slot) respond(ex *exchange, m *wire.Reply, file *os.File) (taken bool) {
	if ex.message != nil {
		ex.release()
	}
	switch m.Kind {
	case wire.ReplyResponse:
		ex.replied = sl.heard
		ex.respond(m)
	case wire.ReplyStart:
		ex.startResponse(m)
	case wire.ReplyChunk:
		ex.chunk(m.Body)
	case wire.ReplyEnd:
		ex.end()
	case wire.ReplyFile:
		ex.sendFile(m, file)
		taken = true
	case wire.ReplyError:
		ex.appFailed()
	}
	return taken
}
