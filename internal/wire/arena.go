package wire

import (
	"os"
	"sync"
	"sync/atomic"
	"unsafe"
)

const (
	// ArenaBlock is the size of a block of a [Arena], in bytes.
	ArenaBlock = 128 << 10
	// SegmentBlocks is how many blocks a segment of a body arena has: enough for the largest body
	// that is kept there.
	SegmentBlocks = 32
	// arenaSegments is how many segments a body arena has at most.
	arenaSegments = 16
	// unknownBlocks is for how many blocks a body of unknown size should find room.
	unknownBlocks = 8
)

// A Arena is memory in which a front keeps bodies of requests until the workers of one
// generation have read them there: segments of blocks, each of them a memory file of its own.
// A body lies in one segment. This process alone can write to it: a worker gets a
// descriptor that it can read. The arena may be used from any goroutine. A nil *Arena has
// no room.
type Arena struct {
	mu       sync.Mutex
	segments [arenaSegments]*segment
	closed   bool
}

// A segment is a page of words, of which the first say whose the blocks are, and the blocks.
type segment struct {
	file   *os.File
	reader *os.File // what a worker gets; it may be file
	mem    []byte
	used   [SegmentBlocks]bool
	backed [SegmentBlocks]bool // these have memory
	free   int
	idle   bool // nothing was in it since the last Trim
}

// NewArena makes a body arena, which takes memory only as it is used, 64 MiB at most.
func NewArena() *Arena { return new(Arena) }

// Take returns the number of a free block for a body of so many blocks; −1: that is not
// known. false: there is none. beside is the last block of the body, in whose segment it
// must be, or −1.
func (s *Arena) Take(beside, blocks int) (int, bool) {
	if s == nil {
		return 0, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if beside >= 0 {
		n := beside / SegmentBlocks
		return s.segments[n].take(n, beside%SegmentBlocks+1)
	}
	if blocks < 0 {
		blocks = unknownBlocks
	}
	best, empty := -1, -1
	for i, g := range s.segments {
		switch {
		case g == nil && empty < 0:
			empty = i
		case g != nil && (best < 0 || g.free > s.segments[best].free):
			best = i
		}
	}
	if (best < 0 || s.segments[best].free < blocks) && empty >= 0 && !s.closed {
		if g, err := newSegment(); err == nil {
			s.segments[empty] = g
			best = empty
		}
	}
	if best < 0 || s.closed {
		return 0, false
	}
	g := s.segments[best]
	return g.take(best, g.longest())
}

// take takes the first free block from one on; number is that of the segment.
func (g *segment) take(number, from int) (int, bool) {
	for i := range SegmentBlocks {
		i = (from + i) % SegmentBlocks
		if !g.used[i] {
			if !g.backed[i] && reserve(g.file, blockAt(i), ArenaBlock) != nil {
				return 0, false
			}
			g.used[i], g.backed[i], g.idle = true, true, false
			g.free--
			return number*SegmentBlocks + i, true
		}
	}
	return 0, false
}

// longest returns where the longest run of free blocks begins: a body of blocks behind
// each other is read in one piece.
func (g *segment) longest() (at int) {
	most, run := 0, 0
	for i, used := range g.used {
		if run++; used {
			run = 0
		}
		if run > most {
			most, at = run, i-run+1
		}
	}
	return at
}

func (s *Arena) segment(block int) *segment { return s.segments[block/SegmentBlocks] }

// Block is the memory of a block that was taken.
func (s *Arena) Block(i int) []byte {
	at := blockAt(i % SegmentBlocks)
	return s.segment(i).mem[at : at+ArenaBlock : at+ArenaBlock]
}

// blockAt is where in a segment a block is.
func blockAt(i int) int64 { return int64(pageSize + i*ArenaBlock) }

// File is the segment of a block that was taken, for the worker that is to read it. It
// stays the body arena's.
func (s *Arena) File(i int) *os.File { return s.segment(i).reader }

// InSegment is the number of a block in its segment, by which a worker finds it.
func InSegment(i int) int { return i % SegmentBlocks }

// Own says that a block, and what is read together with it, is of a request. A worker
// looks at that when it has read it: it may have been too late.
func (s *Arena) Own(i int, id uint32) { s.segment(i).owner(i % SegmentBlocks).Store(uint64(id)) }

func (g *segment) owner(i int) *atomic.Uint64 { return (*atomic.Uint64)(unsafe.Pointer(&g.mem[8*i])) }

// Free gives blocks back.
func (s *Arena) Free(blocks []int) {
	for _, i := range blocks {
		s.Own(i, 0)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range blocks {
		g := s.segment(i)
		g.used[i%SegmentBlocks] = false
		g.free++
	}
	if s.closed {
		s.dropEmpty(true)
	}
}

// Trim gives memory back to the system that was not needed since the last call, and
// reports whether there is more to give back later.
func (s *Arena) Trim() bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropEmpty(false)
}

// Close gives all memory back, that of bodies which are there yet when they are freed.
func (s *Arena) Close() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.dropEmpty(true)
}

// dropEmpty drops segments that are empty; not all: those that have been for a while. A
// worker that reads late has a descriptor of its own.
func (s *Arena) dropEmpty(all bool) (left bool) {
	for i, g := range s.segments {
		switch {
		case g == nil:
		case g.free < SegmentBlocks:
			left = true
		case all || g.idle:
			words{g.mem}.unmap()
			g.file.Close()
			if g.reader != g.file {
				g.reader.Close()
			}
			s.segments[i] = nil
		default:
			g.idle, left = true, true
		}
	}
	return left
}

func newSegment() (*segment, error) {
	const size = pageSize + SegmentBlocks*ArenaBlock
	file, reader, mem, err := sharedReadOnly("indrik-bodies", size)
	if err != nil {
		return nil, err
	}
	return &segment{file: file, reader: reader, mem: mem, free: SegmentBlocks}, nil
}
