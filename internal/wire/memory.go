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

// The layout of a board, in 64-bit words; see docs/protocol.md.
const (
	boardPromoted    = 0
	boardFront       = 1
	boardPing        = 2
	boardLag         = 3
	boardMostLag     = 4
	boardReloaded    = 5
	boardEnd         = 6
	boardRevocations = 7
	boardRing        = 8
	boardFirst       = boardRing + MaxRevoked
	boardToken       = 0 // of a slot's words
	boardClaimed     = 1
	boardGone        = 2
	boardDeadline    = 3
	boardShelved     = 4
	boardTray        = 5
	boardStride      = 8
)

// ShelfSize is the room on the shelf of a slot, in bytes: what it has answered and
// not sent yet.
const ShelfSize = 64 << 10

// TraySize is the room on the tray of a slot, in bytes: a large part of a response, for
// the front to read there.
const TraySize = 1 << 20

// boardPart is what a slot has at the end of a board: its shelf, and its tray.
const boardPart = ShelfSize + TraySize

// MaxRevoked is how many revocations a [Board] has room for: a newer one takes the
// place of the oldest.
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

// A Board is the memory that one worker shares with the front and the master: what each
// of its slots is doing, which requests it must not run, and the shelf and the tray of
// each slot, which are at the end, those of the first slot last.
//
// The worker may write anything anywhere in it, at any time, and free its memory (it then
// reads as zeros). So whatever is read from it is a claim of the worker about itself, and
// is checked by whoever reads it. The size of the file is sealed: to read the memory never
// fails.
type Board struct{ w words }

// NewBoardFile makes the memory of a [Board] for a number of slots. The caller
// owns the file.
func NewBoardFile(slots int) (*os.File, error) {
	size := (boardFirst + boardStride*slots) * 8
	return MemoryFile("indrik-board", (size+pageSize-1)/pageSize*pageSize+slots*boardPart)
}

// MapBoard maps a board; f may be closed afterwards.
func MapBoard(f *os.File) (*Board, error) {
	w, err := mapWords(f)
	return &Board{w}, err
}

// Revoke forbids the worker to run a request that it has not claimed yet. One goroutine at
// a time may revoke. How many revocations there were is kept in the board, since a front
// may be replaced while the worker stays.
func (b *Board) Revoke(id uint32) {
	n := b.w.at(boardRevocations).Load()
	b.w.at(boardRing + int(n%MaxRevoked)).Store(uint64(id))
	b.w.at(boardRevocations).Store(n + 1)
}

// slot is a word of slot i.
func (b *Board) slot(i, word int) *atomic.Uint64 { return b.w.at(boardFirst + boardStride*i + word) }

// Claimed is the id of the request that slot i says it has claimed last, 0 if none.
func (b *Board) Claimed(i int) uint32 {
	return uint32(b.slot(i, boardClaimed).Load())
}

// ClaimSize is how many bytes a claim has: the token of a request, and its id, 64 bits each.
const ClaimSize = 16

// PutClaim writes a claim as it stands on a board and in messages.
func PutClaim(b []byte, id uint32, token uint64) {
	binary.NativeEndian.PutUint64(b, token)
	binary.NativeEndian.PutUint64(b[8:], uint64(id))
}

// Claim is the request that slot i says it has claimed last, one of the queue. It counts if the
// token is that of the request. A slot writes both without a fence, so while it does they
// may be of two requests: the one before is over then, the other has not begun.
func (b *Board) Claim(i int) (id uint32, token uint64) {
	return b.Claimed(i), b.slot(i, boardToken).Load()
}

// Dismiss tells slot i that the client of a request has gone, so that it need not
// make the rest of the response.
func (b *Board) Dismiss(i int, id uint32) {
	b.slot(i, boardGone).Store(uint64(id))
}

// SetDeadline tells slot i until when it may run the request id.
func (b *Board) SetDeadline(i int, id uint32, t time.Time) {
	b.slot(i, boardDeadline).Store(uint64(id)<<32 | uint64(uint32(monotonic(t).Milliseconds())))
}

// Shelved is how many bytes are on the shelf of slot i.
func (b *Board) Shelved(i int) int {
	return int(min(b.slot(i, boardShelved).Load(), ShelfSize))
}

// AppendShelf appends what is on the shelf of slot i. A worker that lives may be
// changing it meanwhile.
func (b *Board) AppendShelf(dst []byte, i int) []byte {
	return append(dst, b.part(i)[:b.Shelved(i)]...)
}

func (b *Board) part(i int) []byte { return b.w.mem[len(b.w.mem)-(i+1)*boardPart:][:boardPart] }

// Tray is the first n bytes on the tray of slot i.
func (b *Board) Tray(i, n int) []byte { return b.part(i)[ShelfSize:][:n] }

// ClearTray tells slot i that what a request had on its tray has been read.
func (b *Board) ClearTray(i int, id uint32) {
	b.slot(i, boardTray).CompareAndSwap(uint64(id), 0)
}

// TrayOf is the request that has something on the tray of slot i, 0 if none.
func (b *Board) TrayOf(i int) uint32 {
	return uint32(b.slot(i, boardTray).Load())
}

// Serve lets an ASGI worker begin the requests of the front with a number, and no
// others.
func (b *Board) Serve(front int) { b.w.at(boardFront).Store(uint64(front) + 1) }

// Serves reports whether the board says what Serve wrote for that front, or Stop: nobody
// else writes there, unless the worker does.
func (b *Board) Serves(front int) bool {
	v := b.w.at(boardFront).Load()
	return v == uint64(front)+1 || v == 0
}

// Stop lets an ASGI worker begin no more requests.
func (b *Board) Stop() { b.w.at(boardFront).Store(0) }

// Pinged is the number of the last [EventPing] that an ASGI worker has read.
func (b *Board) Pinged() uint32 { return uint32(b.w.at(boardPing).Load()) }

// maxLag is the greatest lag that [Board.Lag] returns, whatever the worker wrote.
const maxLag = 24 * time.Hour

// Lag is how late the event loop of an ASGI worker was at the last
// [EventPing], and at most since its start.
func (b *Board) Lag() (last, most time.Duration) {
	micros := func(word int) time.Duration {
		return time.Duration(min(b.w.at(word).Load(), uint64(maxLag/time.Microsecond))) * time.Microsecond
	}
	return micros(boardLag), micros(boardMostLag)
}

// Promote tells the worker that its master is a successor no more.
func (b *Board) Promote() { b.w.at(boardPromoted).Store(1) }

// Reload tells the worker that it is to end because code has changed.
func (b *Board) Reload() { b.w.at(boardReloaded).Store(1) }

// SetEnd tells the worker that the requests it runs are the last ones, and until when
// graceful_timeout lasts, which begins before the worker is told to end. With the zero
// time it takes that back.
func (b *Board) SetEnd(t time.Time) {
	var ms int64
	if !t.IsZero() {
		ms = monotonic(t).Milliseconds()
	}
	b.w.at(boardEnd).Store(uint64(ms))
}

// Close unmaps the board.
func (b *Board) Close() { b.w.unmap() }
