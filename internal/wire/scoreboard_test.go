package wire

import (
	"encoding/binary"
	"fmt"
	"os"
	"testing"
	"time"
)

// nothing is awaited.
func nothing(uint32) bool { return false }

// A revocation that is awaited stays in the ring, whatever comes after it.
func TestAwaitedRevocationsStay(t *testing.T) {
	b := newBoard(t, 1)
	awaited := func(id uint32) bool { return id < 4 }
	for id := uint32(1); id < 4*MaxRevoked; id++ {
		written := b.Revoke(id, awaited)
		ring := map[uint64]bool{}
		for i := range MaxRevoked {
			ring[b.w.at(scoreboardRevocationRing+i).Load()] = true
		}
		if !ring[uint64(id)] || id > 3 && !(ring[1] && ring[2] && ring[3]) {
			t.Fatalf("after that of %d, with which %d were written, the ring is %v", id, written, ring)
		}
	}
}

func TestRevoke(t *testing.T) {
	b := newBoard(t, 1)
	const count = MaxRevoked + 10
	for i := range count {
		b.Revoke(uint32(1000+i), nothing)
		if n := b.w.at(scoreboardRevocations).Load(); n != uint64(i+1) {
			t.Fatalf("%d revocations, want %d", n, i+1)
		}
	}
	for n := count - MaxRevoked; n < count; n++ {
		if id := b.w.at(scoreboardRevocationRing + n%MaxRevoked).Load(); id != uint64(1000+n) {
			t.Errorf("revocation %d is of %d", n, id)
		}
	}
	for i := range scoreboardStride {
		if b.slot(0, i).Load() != 0 {
			t.Errorf("word %d of the slot was written", i)
		}
	}
	// The worker may write there what it likes.
	b.w.at(scoreboardRevocations).Store(1<<64 - 1)
	b.Revoke(5, nothing)
	b.Revoke(6, nothing)
}

// The count is kept by the scoreboard, not by the front, since a front may be
// replaced while the workers stay.
func TestRevocationsOutliveTheFront(t *testing.T) {
	f, err := NewScoreboardFile(1)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i := range 3 {
		b, err := MapScoreboard(f)
		if err != nil {
			t.Fatal(err)
		}
		b.Revoke(uint32(i+1), nothing)
		if n := b.w.at(scoreboardRevocations).Load(); n != uint64(i+1) {
			t.Errorf("%d revocations, want %d", n, i+1)
		}
		b.Close()
	}
}

func TestBoard(t *testing.T) {
	for _, slots := range []int{1, 63, 64, 1000} {
		f, err := NewScoreboardFile(slots)
		if err != nil {
			t.Fatal(err)
		}
		if st, err := f.Stat(); err != nil || st.Size()%pageSize != 0 {
			t.Errorf("%d slots: %d bytes, %v", slots, st.Size(), err)
		}
		b, err := MapScoreboard(f)
		if err != nil {
			t.Fatal(err)
		}
		worker, err := mapWords(f)
		if err != nil {
			t.Fatal(err)
		}
		f.Close() // the mappings stay
		// The reply journals, response buffers and response arenas are apart from each other and from the words.
		end := (scoreboardFirst+scoreboardStride*slots)*8 + slots*(JournalSize+ResponseBufferSize+ResponseArenaSize)
		if len(b.w.mem) < end {
			t.Errorf("%d slots: %d bytes, want %d at least", slots, len(b.w.mem), end)
		}
		for i := range slots {
			if id := b.Claimed(i); id != 0 {
				t.Errorf("slot %d claimed %d before it began", i, id)
			}
			worker.at(scoreboardFirst + scoreboardStride*i + scoreboardClaimed).Store(uint64(i + 1))
		}
		for i := range slots {
			if id := b.Claimed(i); id != uint32(i+1) {
				t.Errorf("slot %d claimed %d", i, id)
			}
		}
		if worker.at(scoreboardPromoted).Load() != 0 {
			t.Error("promoted from the start")
		}
		b.Promote()
		if worker.at(scoreboardPromoted).Load() != 1 {
			t.Error("not promoted")
		}
		worker.unmap()
		b.Close()
	}
}

// newBoard maps a new scoreboard, which is of this process alone.
func newBoard(t *testing.T, slots int) *Scoreboard {
	t.Helper()
	f, err := NewScoreboardFile(slots)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := MapScoreboard(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func TestShelfAndTray(t *testing.T) {
	b := newBoard(t, 3)
	for i := range 3 {
		text := fmt.Sprintf("the journal of slot %d", i)
		at := len(b.w.mem) - (i+1)*scoreboardPart
		copy(b.w.mem[at:], text)
		b.slot(i, scoreboardJournaled).Store(uint64(len(text)))
		copy(b.w.mem[at+JournalSize:], fmt.Sprintf("the buffer of slot %d", i))
		b.slot(i, scoreboardBuffer).Store(5)
		copy(b.w.mem[at+JournalSize+ResponseBufferSize+10:], fmt.Sprintf("the arena of slot %d", i))
		b.slot(i, scoreboardArena).Store(5<<32 | 30)
	}
	for i := range 3 {
		if got, want := string(b.AppendJournal([]byte(">"), i)), fmt.Sprintf(">the journal of slot %d", i); got != want {
			t.Errorf("slot %d: %q, want %q", i, got, want)
		}
		if got, want := string(b.ResponseBuffer(i, len("the buffer of slot 0"))), fmt.Sprintf("the buffer of slot %d", i); got != want {
			t.Errorf("slot %d: %q, want %q", i, got, want)
		}
		b.FreeBuffer(i, 6) // it is of another request
		if of := b.BufferHolder(i); of != 5 {
			t.Errorf("the buffer of slot %d is of %d", i, of)
		}
		b.FreeBuffer(i, 5)
		if of := b.BufferHolder(i); of != 0 {
			t.Errorf("the buffer of slot %d is of %d", i, of)
		}
	}
	for i := range 3 {
		want := fmt.Sprintf("the arena of slot %d", i)
		if got := string(b.ResponseArena(i, 10, len(want))); got != want {
			t.Errorf("slot %d: %q, want %q", i, got, want)
		}
		for _, other := range []struct {
			id  uint32
			end int
		}{{6, 30}, {5, 29}, {4, 10}} {
			if b.FreeArena(i, other.id, other.end); b.slot(i, scoreboardArena).Load() == 0 {
				t.Errorf("slot %d: more was put into the arena since, and it is free", i)
			}
		}
		if id, end := b.ArenaHolder(i); id != 5 || end != 30 {
			t.Errorf("the arena of slot %d is of %d up to %d", i, id, end)
		}
		b.FreeArena(i, 5, 30)
		if id, end := b.ArenaHolder(i); id != 0 || end != 0 {
			t.Errorf("the arena of slot %d is of %d up to %d", i, id, end)
		}
	}
	if n := len(b.ResponseArena(2, 0, ResponseArenaSize)); n != ResponseArenaSize {
		t.Errorf("a response arena of %d bytes", n)
	}
	if n := len(b.ResponseBuffer(2, ResponseBufferSize)); n != ResponseBufferSize {
		t.Errorf("a response buffer of %d bytes", n)
	}
	// Whatever a worker writes there, no more than a journal is read.
	b.slot(0, scoreboardJournaled).Store(1 << 60)
	if got := b.AppendJournal(nil, 0); len(got) != JournalSize {
		t.Errorf("%d bytes of a reply journal of %d", len(got), JournalSize)
	}
}

// Python reads the word that SetDeadline writes, by its own clock.
func TestDeadlineByPythonsClock(t *testing.T) {
	b := newBoard(t, 2)
	const script = `
import struct, sys, time
word, = struct.unpack("=Q", sys.stdin.buffer.read())
assert word >> 32 == 77, word
left = (word - int(time.monotonic() * 1000) + 2**31) % 2**32 - 2**31
print(left)
assert 0 < left <= 60000, left
`
	for _, path := range interpreters(t) {
		b.SetDeadline(1, 77, time.Now().Add(time.Minute))
		word := make([]byte, 8)
		binary.NativeEndian.PutUint64(word, b.slot(1, scoreboardDeadline).Load())
		runPython(t, path, script, word)
	}
}

func TestMapTooSmall(t *testing.T) {
	f, err := MemoryFile("indrik-test", 100)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if b, err := MapScoreboard(f); err == nil {
		b.Close()
		t.Error("100 bytes were taken for a scoreboard")
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if b, err := MapScoreboard(r); err == nil {
		b.Close()
		t.Error("a pipe was taken for a scoreboard")
	}
}
