package wire

import (
	"bytes"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func newStore(t *testing.T) *Arena {
	t.Helper()
	s := NewArena()
	t.Cleanup(s.Close)
	return s
}

// memory is how many bytes the segments take.
func (s *Arena) memory(t *testing.T) (n int64) {
	t.Helper()
	for _, g := range s.segments {
		if g == nil {
			continue
		}
		st, err := g.file.Stat()
		if err != nil {
			t.Fatal(err)
		}
		n += st.Sys().(*syscall.Stat_t).Blocks * 512
	}
	return n
}

func TestStore(t *testing.T) {
	s := newStore(t)
	var all []int
	for {
		i, ok := s.Take(-1, 1)
		if !ok {
			break
		}
		b := s.Block(i)
		if len(b) != ArenaBlock {
			t.Fatalf("block %d of %d bytes", i, len(b))
		}
		b[0], b[len(b)-1] = byte(i), byte(i>>8)
		s.Own(i, uint32(i)+1000)
		all = append(all, i)
	}
	if len(all) != arenaSegments*SegmentBlocks {
		t.Fatalf("%d blocks", len(all))
	}
	for _, i := range all {
		// As a worker sees them.
		var ends [2]byte
		for j, at := range []int64{0, ArenaBlock - 1} {
			if _, err := s.File(i).ReadAt(ends[j:j+1], int64(pageSize)+int64(InSegment(i))*ArenaBlock+at); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(ends[:], []byte{byte(i), byte(i >> 8)}) || s.segment(i).owner(InSegment(i)).Load() != uint64(i)+1000 {
			t.Errorf("block %d is not apart from the others", i)
		}
	}
	s.Free(all[:10])
	if owner := s.segment(all[0]).owner(InSegment(all[0])).Load(); owner != 0 {
		t.Errorf("a free block is of %d", owner)
	}
}

// A body lies in one segment, and, where there is room, in one piece.
func TestStoreOfOneBody(t *testing.T) {
	s := newStore(t)
	other, ok := s.Take(-1, 1)
	if !ok {
		t.Fatal("no block")
	}
	take := func(blocks, want int) (body []int) {
		beside := -1
		for range blocks {
			i, ok := s.Take(beside, want)
			if !ok {
				return body
			}
			body, beside = append(body, i), i
		}
		return body
	}
	largest := take(SegmentBlocks, SegmentBlocks)
	if len(largest) != SegmentBlocks {
		t.Fatalf("%d blocks for the largest body", len(largest))
	}
	for i, block := range largest {
		if block != largest[0]+i || s.segment(block) == s.segment(other) {
			t.Fatalf("its blocks are %d", largest)
		}
	}
	small := take(3, 3)
	if s.segment(small[0]) != s.segment(other) {
		t.Error("a small body has a segment of its own")
	}
	// One of unknown size has what is left of its segment.
	if rest := take(SegmentBlocks, -1); len(rest) != SegmentBlocks-len(small)-1 {
		t.Errorf("%d blocks", len(rest))
	}
}

// A worker can read what it gets, and do nothing else with it.
func TestStoreIsReadOnly(t *testing.T) {
	s := newStore(t)
	i, ok := s.Take(-1, 1)
	if !ok {
		t.Fatal("no block")
	}
	copy(s.Block(i), "the body")
	for _, f := range []*os.File{s.File(i), reopened(t, s.File(i))} {
		if _, err := f.WriteAt([]byte("x"), pageSize); err == nil {
			t.Error("it was written to")
		}
		if mem, err := unix.Mmap(int(f.Fd()), 0, pageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err == nil {
			unix.Munmap(mem)
			t.Error("it was mapped to be written to")
		}
		const punch = unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE
		if unix.Fallocate(int(f.Fd()), punch, 0, pageSize) == nil || f.Truncate(0) == nil || f.Truncate(1<<30) == nil {
			t.Error("its memory was taken away, or its size changed")
		}
	}
	copy(s.Block(i), "another")
	if got := s.Block(i)[:7]; string(got) != "another" {
		t.Errorf("it holds %q", got)
	}
}

// A body arena takes as much memory as was needed lately.
func TestStoreTrim(t *testing.T) {
	s := newStore(t)
	if n := s.memory(t); n > 0 {
		t.Errorf("%d bytes at the start", n)
	}
	var blocks []int
	for range SegmentBlocks + 1 {
		i, ok := s.Take(-1, 1)
		if !ok {
			t.Fatal("no block")
		}
		blocks = append(blocks, i)
	}
	if n := s.memory(t); n < (SegmentBlocks+1)*ArenaBlock || n > (SegmentBlocks+2)*ArenaBlock {
		t.Errorf("%d blocks have %d bytes", len(blocks), n)
	}
	s.Trim()
	s.Free(blocks[:SegmentBlocks])
	if !s.Trim() || s.memory(t) < SegmentBlocks*ArenaBlock { // they were needed until now
		t.Error("what was needed since the last time has no memory")
	}
	if s.Trim(); s.memory(t) > 2*ArenaBlock {
		t.Errorf("%d bytes for one block", s.memory(t))
	}
	if i, ok := s.Take(-1, SegmentBlocks); !ok { // what was given back can be taken again
		t.Error("no block")
	} else {
		clear(s.Block(i))
		s.Close()
		if s.memory(t) == 0 {
			t.Error("a body that is there yet has lost its memory")
		}
		s.Free([]int{i, blocks[SegmentBlocks]})
	}
	if s.memory(t) > 0 {
		t.Error("a body arena that was closed has memory")
	}
	if _, ok := s.Take(-1, 1); ok {
		t.Error("a block of a body arena that was closed")
	}
}
