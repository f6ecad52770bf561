package wire

import (
	"os"
	"sync"
	"sync/atomic"
	"unsafe"
)

const (
	// ArenaBlock is the size of a block of an [Arena], in bytes.
	ArenaBlock = 128 << 10
	// SegmentBlocks is the number of blocks in a segment, enough for the largest body that an
	// arena keeps.
	SegmentBlocks = 32
	// arenaSegments is the largest number of segments in an arena.
	arenaSegments = 16
	// unknownBlocks is the number of free blocks that a body of unknown size asks for.
	unknownBlocks = 8
)

// An Arena is shared memory in which a front keeps request bodies until the workers of one
// generation have read them. It consists of segments, each a memory file of its own, and a
// segment of blocks; a body lies within one segment. Only this process can write to an arena:
// a worker gets a descriptor that is good for reading. An arena may be used from any
// goroutine. A nil *Arena has no free blocks.
type Arena struct {
	mu       sync.Mutex
	segments [arenaSegments]*segment
	// +checklocks:mu
	closed bool
}

// A segment is a page of words followed by blocks. The first words hold, for each block, the id
// of the request that owns it.
type segment struct {
	file   *os.File
	reader *os.File // the descriptor for workers, which may be file itself
	mem    []byte
	used   [SegmentBlocks]bool
	backed [SegmentBlocks]bool // blocks that the system has given memory to
	free   int
	idle   bool // no block was taken since the last Trim
}

// NewArena returns an empty arena. It takes memory as blocks are taken, 64 MiB at most.
func NewArena() *Arena { return new(Arena) }

// Take takes a free block for a body of the given number of blocks, or −1 if its size is not
// known, and returns the number of the block; ok is false if there is none. beside is the last
// block that the body already has, whose segment the new one has to share, or −1.
func (s *Arena) Take(beside, blocks int) (block int, ok bool) {
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

// take takes the first free block at or after from in segment number.
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

// longest returns the start of the longest run of free blocks: a body in adjacent blocks is
// read in one piece.
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

// Block returns the memory of a block that was taken.
func (s *Arena) Block(i int) []byte {
	at := blockAt(i % SegmentBlocks)
	return s.segment(i).mem[at : at+ArenaBlock : at+ArenaBlock]
}

// blockAt returns the offset of a block in its segment.
func blockAt(i int) int64 { return int64(pageSize + i*ArenaBlock) }

// File returns the file of the segment of a block that was taken, for the worker that is to
// read it. The arena keeps ownership of the file.
func (s *Arena) File(i int) *os.File { return s.segment(i).reader }

// InSegment returns the number of a block within its segment, by which a worker finds it.
func InSegment(i int) int { return i % SegmentBlocks }

// Own records in shared memory that a block, and those read together with it, belong to a
// request. A worker checks this after it has read the block, since the request may have ended
// and the block been taken again meanwhile.
func (s *Arena) Own(i int, id uint32) { s.segment(i).owner(i % SegmentBlocks).Store(uint64(id)) }

func (g *segment) owner(i int) *atomic.Uint64 { return (*atomic.Uint64)(unsafe.Pointer(&g.mem[8*i])) }

// Free frees blocks. Their memory stays with the arena until Trim or Close.
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
		s.dropEmptyLocked(true)
	}
}

// Trim returns to the system the memory that was not used since the last call, and reports
// whether a later call may return more.
func (s *Arena) Trim() bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropEmptyLocked(false)
}

// Close returns all memory to the system; the memory of bodies that are still there follows
// when they are freed.
func (s *Arena) Close() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.dropEmptyLocked(true)
}

// dropEmptyLocked drops empty segments, without all only those that were empty at the last
// call too, and reports whether segments are left. A worker that reads late has a descriptor
// of its own.
// +checklocks:s.mu
func (s *Arena) dropEmptyLocked(all bool) (left bool) {
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
