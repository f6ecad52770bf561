package wire

import (
	"encoding/binary"
	"fmt"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const pageSize = 4096

// The layout of a scoreboard, in 64-bit words; see docs/protocol.md.
const (
	scoreboardPromoted       = 0
	scoreboardFront          = 1
	scoreboardPing           = 2
	scoreboardLag            = 3
	scoreboardMostLag        = 4
	scoreboardReloaded       = 5
	scoreboardEnd            = 6
	scoreboardRevocations    = 7
	scoreboardRevocationRing = 8
	scoreboardTurn           = scoreboardRevocationRing + MaxRevoked
	scoreboardFirst          = scoreboardTurn + 8 // at the beginning of a line of the cache
	scoreboardToken          = 0                  // of a slot's words
	scoreboardClaimed        = 1
	scoreboardGone           = 2
	scoreboardDeadline       = 3
	scoreboardJournaled      = 4
	scoreboardBuffer         = 5
	scoreboardThread         = 6
	scoreboardArena          = 7
	scoreboardStride         = 8
)

// JournalSize is the size of the reply journal of a slot, in bytes. The journal holds the
// replies that the slot has made and not sent yet.
const JournalSize = 64 << 10

// ResponseBufferSize is the size of the response buffer of a slot, in bytes. It holds a large
// part of a response for the front to read there.
const ResponseBufferSize = 1 << 20

// ResponseArenaSize is the size of the response arena of a slot, in bytes. It holds bodies of
// several responses for the front to read there.
const ResponseArenaSize = 1 << 20

// scoreboardPart is the size of the part of a slot at the end of a scoreboard, in bytes: its reply
// journal, then its response buffer, then its response arena.
const scoreboardPart = JournalSize + ResponseBufferSize + ResponseArenaSize

// MaxRevoked is the length of the revocation ring of a [Scoreboard]: a new revocation replaces
// the oldest.
const MaxRevoked = 64

// words is a memory file mapped as 64-bit words that several processes share.
type words struct {
	mem []byte
}

func (w words) at(i int) *atomic.Uint64 {
	return (*atomic.Uint64)(unsafe.Pointer(&w.mem[i*8]))
}

func mapWords(f *os.File) (words, error) {
	st, err := f.Stat()
	if err != nil {
		return words{}, err
	}
	if st.Size() < pageSize {
		return words{}, fmt.Errorf("shared memory of %d bytes is too small", st.Size())
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, int(st.Size()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return words{}, os.NewSyscallError("mmap", err)
	}
	return words{mem}, nil
}

func (w words) unmap() {
	if w.mem != nil {
		unix.Munmap(w.mem)
	}
}

// A Scoreboard is the memory that one worker shares with the front and the master. It says what
// each slot is doing and, in the revocation ring, which requests the worker must not run. At
// its end are the reply journals, response buffers and response arenas of the slots, those of the
// first slot last.
//
// The worker may write anything anywhere in it at any time, and may free its memory, which then
// reads as zeros. So whatever is read from a scoreboard is a statement of the worker about
// itself, which the reader has to check. The size of the file is sealed, so that reading the
// memory never faults.
type Scoreboard struct{ w words }

// NewScoreboardFile makes the memory file of a [Scoreboard] with the given number of
// slots. The caller owns the file.
func NewScoreboardFile(slots int) (*os.File, error) {
	size := (scoreboardFirst + scoreboardStride*slots) * 8
	return MemoryFile("indrik-scoreboard", (size+pageSize-1)/pageSize*pageSize+slots*scoreboardPart)
}

// MapScoreboard maps a scoreboard; f may be closed afterwards.
func MapScoreboard(f *os.File) (*Scoreboard, error) {
	w, err := mapWords(f)
	return &Scoreboard{w}, err
}

// Revoke forbids the worker to run a request that it has not claimed yet. One goroutine at
// a time may revoke. The scoreboard keeps the number of revocations so far, since a front
// may be replaced while the worker stays.
//
// A revocation that it would replace, and that is awaited, is written again, and so on; Revoke
// returns how many were written. It writes the last one first, so that each that is awaited is
// in the ring at any time, as long as there are fewer than MaxRevoked. One that is in the ring
// already is not written again.
func (b *Scoreboard) Revoke(id uint32, awaited func(id uint32) bool) (written int) {
	n := b.w.at(scoreboardRevocations).Load()
	entry := func(i int) *atomic.Uint64 {
		return b.w.at(scoreboardRevocationRing + int((n+uint64(i))%MaxRevoked))
	}
	for i := range MaxRevoked {
		if uint32(entry(i).Load()) == id {
			return 0
		}
	}
	last := 0
	for last < MaxRevoked-1 && awaited(uint32(entry(last).Load())) {
		last++
	}
	for i := last; i > 0; i-- {
		entry(i).Store(entry(i - 1).Load())
	}
	entry(0).Store(uint64(id))
	b.w.at(scoreboardRevocations).Store(n + uint64(last) + 1)
	return last + 1
}

// slot returns a word of slot i.
func (b *Scoreboard) slot(i, word int) *atomic.Uint64 {
	return b.w.at(scoreboardFirst + scoreboardStride*i + word)
}

// Claimed returns the id of the request that slot i says it has claimed last, 0 if none.
func (b *Scoreboard) Claimed(i int) uint32 {
	return uint32(b.slot(i, scoreboardClaimed).Load())
}

// ClaimSize is the size of a claim in bytes: the token of a request and its id, 64 bits each.
const ClaimSize = 16

// PutClaim writes a claim in the form that scoreboards and messages have.
func PutClaim(b []byte, id uint32, token uint64) {
	binary.NativeEndian.PutUint64(b, token)
	binary.NativeEndian.PutUint64(b[8:], uint64(id))
}

// Claim returns the request of the queue that slot i says it has claimed last. The claim counts
// only if the token is that of the request. A slot writes both without a fence, so while it
// writes they may belong to two requests: then the earlier one has ended and the later one has
// not begun.
func (b *Scoreboard) Claim(i int) (id uint32, token uint64) {
	return b.Claimed(i), b.slot(i, scoreboardToken).Load()
}

// NotifyGone tells slot i that the client of a request has gone, so that it need not
// make the rest of the response.
func (b *Scoreboard) NotifyGone(i int, id uint32) {
	b.slot(i, scoreboardGone).Store(uint64(id))
}

// SetDeadline tells slot i until when it may run the request id.
func (b *Scoreboard) SetDeadline(i int, id uint32, t time.Time) {
	b.slot(i, scoreboardDeadline).Store(uint64(id)<<32 | uint64(uint32(monotonic(t).Milliseconds())))
}

// ClearDeadline tells slot i that its request may run for as long as it likes.
func (b *Scoreboard) ClearDeadline(i int) { b.slot(i, scoreboardDeadline).Store(0) }

// Journaled returns how many bytes are in the reply journal of slot i.
func (b *Scoreboard) Journaled(i int) int {
	return int(min(b.slot(i, scoreboardJournaled).Load(), JournalSize))
}

// AppendJournal appends the reply journal of slot i to dst. A live worker may be changing it at
// the same time.
func (b *Scoreboard) AppendJournal(dst []byte, i int) []byte {
	return append(dst, b.part(i)[:b.Journaled(i)]...)
}

func (b *Scoreboard) part(i int) []byte {
	return b.w.mem[len(b.w.mem)-(i+1)*scoreboardPart:][:scoreboardPart]
}

// ResponseBuffer returns the first n bytes in the response buffer of slot i.
func (b *Scoreboard) ResponseBuffer(i, n int) []byte { return b.part(i)[JournalSize:][:n] }

// FreeBuffer tells slot i that the front has read what request id had in the slot's response
// buffer.
func (b *Scoreboard) FreeBuffer(i int, id uint32) {
	b.slot(i, scoreboardBuffer).CompareAndSwap(uint64(id), 0)
}

// BufferHolder returns the id of the request that has data in the response buffer of slot i, 0
// if there is none.
func (b *Scoreboard) BufferHolder(i int) uint32 {
	return uint32(b.slot(i, scoreboardBuffer).Load())
}

// ResponseArena returns n bytes in the response arena of slot i. They must be within
// ResponseArenaSize.
func (b *Scoreboard) ResponseArena(i, at, n int) []byte {
	return b.part(i)[JournalSize+ResponseBufferSize:][at : at+n : at+n]
}

// FreeArena tells slot i that the front has read what request id had in the slot's response arena up
// to end. If nothing was put there since, all of the arena is free.
func (b *Scoreboard) FreeArena(i int, id uint32, end int) {
	word, last := b.slot(i, scoreboardArena), uint64(id)<<32|uint64(end)
	if word.Load() == last { // usually the slot has put more there: a look costs less than a swap
		word.CompareAndSwap(last, 0)
	}
}

// ArenaHolder returns the id of the request that has put something into the response arena of slot
// i last, and where that ends; 0 if all of it has been read.
func (b *Scoreboard) ArenaHolder(i int) (id uint32, end int) {
	v := b.slot(i, scoreboardArena).Load()
	return uint32(v >> 32), int(uint32(v))
}

// Thread returns what slot i says its thread is called in stacks, 0 if it has not said.
func (b *Scoreboard) Thread(i int) uint64 { return b.slot(i, scoreboardThread).Load() }

// Turn reports whether an ASGI worker says that it works on messages it has read, and how many
// requests it had begun before, which wait for something.
func (b *Scoreboard) Turn() (turning bool, waiting uint64) {
	v := b.w.at(scoreboardTurn).Load()
	return v > 0, max(v, 1) - 1
}

// Serve lets an ASGI worker begin the requests of the front with a number, and no
// others.
func (b *Scoreboard) Serve(front int) { b.w.at(scoreboardFront).Store(uint64(front) + 1) }

// Serves reports whether the scoreboard says what Serve wrote for that front, or Stop: nobody
// else writes there, unless the worker does.
func (b *Scoreboard) Serves(front int) bool {
	v := b.w.at(scoreboardFront).Load()
	return v == uint64(front)+1 || v == 0
}

// Stop lets an ASGI worker begin no more requests.
func (b *Scoreboard) Stop() { b.w.at(scoreboardFront).Store(0) }

// Pinged returns the number of the last [EventPing] that an ASGI worker has read.
func (b *Scoreboard) Pinged() uint32 { return uint32(b.w.at(scoreboardPing).Load()) }

// maxLag is the greatest lag that [Scoreboard.Lag] returns, whatever the worker wrote.
const maxLag = 24 * time.Hour

// Lag returns how late the event loop of an ASGI worker was at the last [EventPing], and the
// largest lag since its start.
func (b *Scoreboard) Lag() (last, most time.Duration) {
	micros := func(word int) time.Duration {
		return time.Duration(min(b.w.at(word).Load(), uint64(maxLag/time.Microsecond))) * time.Microsecond
	}
	return micros(scoreboardLag), micros(scoreboardMostLag)
}

// Promote tells the worker that its master is no longer a successor but the master.
func (b *Scoreboard) Promote() { b.w.at(scoreboardPromoted).Store(1) }

// Reload tells the worker that it is to end because code has changed.
func (b *Scoreboard) Reload() { b.w.at(scoreboardReloaded).Store(1) }

// SetEnd tells the worker that the requests it runs are the last ones, and until when
// graceful_timeout lasts, which begins before the worker is told to end. With the zero
// time it takes that back.
func (b *Scoreboard) SetEnd(t time.Time) {
	var ms int64
	if !t.IsZero() {
		ms = monotonic(t).Milliseconds()
	}
	b.w.at(scoreboardEnd).Store(uint64(ms))
}

// Close unmaps the scoreboard.
func (b *Scoreboard) Close() { b.w.unmap() }
