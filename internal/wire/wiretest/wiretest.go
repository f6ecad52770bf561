// Package wiretest has the worker's side of the protocol, for the tests of what has the
// front's side.
package wiretest

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"indrik/internal/wire"
)

// Words of the scoreboard, and of each slot on it: see docs/protocol.md.
const (
	WordFront   = 1
	WordPing    = 2
	WordLag     = 3
	WordRevoked = 7
	WordRing    = 8
	WordTurn    = WordRing + wire.MaxRevoked
	wordSlots   = WordTurn + 8

	WordToken     = 0
	WordClaimed   = 1
	WordGone      = 2
	WordDeadline  = 3
	WordJournaled = 4
	WordBuffer    = 5
	WordArena     = 7
)

// SlotWord returns where on the scoreboard a word of a slot is.
func SlotWord(slot, word int) int { return wordSlots + 8*slot + word }

// A T is a test, or one run of a property.
type T interface {
	Helper()
	Cleanup(func())
	Errorf(format string, args ...any)
	Fatal(args ...any)
}

// A Worker is the worker's ends of its slots, and its scoreboard.
type Worker struct {
	T      T
	Tokens *Tokens
	Slots  []*os.File
	mem    []byte
}

// NewWorker makes a worker, and returns the front's part of it, too: the scoreboard, then a
// socket for each slot.
func NewWorker(t T, tokens *Tokens, slots int) (w *Worker, files []*os.File) {
	t.Helper()
	board, err := wire.NewScoreboardFile(slots)
	must(t, err)
	st, err := board.Stat()
	must(t, err)
	mem, err := unix.Mmap(int(board.Fd()), 0, int(st.Size()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	must(t, err)
	w = &Worker{T: t, Tokens: tokens, mem: mem}
	t.Cleanup(func() { unix.Munmap(mem) })
	files = append(make([]*os.File, 0, 1+slots), board)
	for range slots {
		ours, theirs, err := wire.Pair()
		must(t, err)
		files = append(files, ours)
		w.Slots = append(w.Slots, theirs)
	}
	return w, files
}

// Close closes the sockets, as the end of the process does.
func (w *Worker) Close() { wire.CloseAll(w.Slots) }

func (w *Worker) at(i int) *atomic.Uint64 { return (*atomic.Uint64)(unsafe.Pointer(&w.mem[8*i])) }

// Word returns a word of the scoreboard.
func (w *Worker) Word(i int) uint64 { return w.at(i).Load() }

// SetWord writes a word of the scoreboard.
func (w *Worker) SetWord(i int, v uint64) { w.at(i).Store(v) }

// part is what a slot has at the end of the scoreboard.
func (w *Worker) part(slot int) []byte {
	const size = wire.JournalSize + wire.ResponseBufferSize + wire.ResponseArenaSize
	return w.mem[len(w.mem)-(slot+1)*size:][:size]
}

// SetJournal makes messages all that is in the reply journal of a slot.
func (w *Worker) SetJournal(slot int, b []byte) {
	b = w.Tokens.Named(b)
	copy(w.part(slot)[:wire.JournalSize], b)
	w.SetWord(SlotWord(slot, WordJournaled), uint64(len(b)))
}

// Buffer puts a part of the response to a request into the response buffer of a slot.
func (w *Worker) Buffer(slot int, id uint32, part string) {
	copy(w.part(slot)[wire.JournalSize:], part)
	w.SetWord(SlotWord(slot, WordBuffer), uint64(id))
}

// Place puts a part of the response to a request into the response arena of a slot.
func (w *Worker) Place(slot int, id uint32, at int, part string) {
	copy(w.part(slot)[wire.JournalSize+wire.ResponseBufferSize+at:], part)
	w.SetWord(SlotWord(slot, WordArena), uint64(id)<<32|uint64(at+len(part)))
}

// WriteClaim claims a request for a slot.
func (w *Worker) WriteClaim(slot int, id uint32) {
	if token, ok := w.Tokens.Of(id); ok {
		w.SetWord(SlotWord(slot, WordToken), token)
	}
	w.SetWord(SlotWord(slot, WordClaimed), uint64(id))
}

// IsRevoked reports whether the revocation ring has a request.
func (w *Worker) IsRevoked(id uint32) bool {
	for i := range wire.MaxRevoked {
		if w.Word(WordRing+i) == uint64(id) {
			return true
		}
	}
	return false
}

// Claim claims a request for a slot, and reports whether it may be run.
func (w *Worker) Claim(slot int, id uint32) bool {
	w.WriteClaim(slot, id)
	return !w.IsRevoked(id)
}

// Send sends a message from a slot as it is.
func (w *Worker) Send(slot int, msg []byte, files ...*os.File) error {
	var oob []byte
	if len(files) > 0 {
		oob = unix.UnixRights(wire.Descriptors(files)...)
	}
	return unix.Sendmsg(int(w.Slots[slot].Fd()), msg, oob, nil, unix.MSG_NOSIGNAL)
}

// Say sends a message from a slot, in which ids stand for claims.
func (w *Worker) Say(slot int, msg []byte, files ...*os.File) {
	w.T.Helper()
	if err := w.Send(slot, w.Tokens.Named(msg), files...); err != nil {
		w.T.Errorf("slot %d: %s", slot, err)
	}
}

// Receive receives a message from a socket, with the control data that came along. It waits
// for that, or until ended is closed; ok is false if nothing came.
func Receive(socket *os.File, wait time.Duration, ended chan struct{}) (msg, oob []byte, ok bool) {
	fd := int(socket.Fd())
	msg, oob = make([]byte, wire.MaxMessage), make([]byte, 128)
	for end := time.Now().Add(wait); ; {
		select {
		case <-ended:
			return nil, nil, false
		default:
		}
		n, oobn, _, _, err := unix.Recvmsg(fd, msg, oob, unix.MSG_DONTWAIT)
		if err == nil {
			return msg[:n], oob[:oobn], n > 0
		}
		if !errors.Is(err, unix.EAGAIN) || !time.Now().Before(end) {
			return nil, nil, false
		}
		unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 20)
	}
}

// Tokens are the tokens of requests that workers were given by a queue.
type Tokens struct{ byID sync.Map }

// Learn records the token of a request.
func (t *Tokens) Learn(id uint32, token uint64) { t.byID.Store(id, token) }

// Of returns the token of a request, if it has one.
func (t *Tokens) Of(id uint32) (token uint64, ok bool) {
	v, ok := t.byID.Load(id)
	if ok {
		token = v.(uint64)
	}
	return token, ok
}

// Named puts the claims of requests of a queue in the place of their ids, in messages of a
// slot. What is no message stays as it is.
func (t *Tokens) Named(b []byte) []byte {
	var m wire.Reply
	var named []byte
	for len(b) > 0 {
		rest, err := wire.DecodeReply(b, &m)
		if err != nil {
			return append(named, b...)
		}
		const at = 5 + 5 // behind the header of the tuple, and the kind
		if token, ok := t.Of(m.ID); ok && !m.Claimed {
			claim := make([]byte, wire.ClaimSize)
			wire.PutClaim(claim, m.ID, token)
			named = wire.AppendBytes(append(named, b[:at]...), claim)
			named = append(named, b[at+5:len(b)-len(rest)]...)
		} else {
			named = append(named, b[:len(b)-len(rest)]...)
		}
		b = rest
	}
	return named
}

func must(t T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
