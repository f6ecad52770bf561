package wire

import (
	"bytes"
	"syscall"
	"testing"
)

func newStore(t *testing.T) *Store {
	t.Helper()
	s, err := NewStore()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.words.unmap()
		s.file.Close()
	})
	return s
}

// memory is how many bytes the file takes.
func (s *Store) memory(t *testing.T) int64 {
	t.Helper()
	st, err := s.file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return st.Sys().(*syscall.Stat_t).Blocks * 512
}

func TestStore(t *testing.T) {
	s := newStore(t)
	var all []int
	for {
		i, ok := s.Take()
		if !ok {
			break
		}
		b := s.Block(i)
		if len(b) != StoreBlock {
			t.Fatalf("block %d of %d bytes", i, len(b))
		}
		b[0], b[len(b)-1] = byte(i), byte(i)
		s.Own(i, uint32(i)+1000)
		all = append(all, i)
	}
	if len(all) != storeBlocks {
		t.Fatalf("%d blocks", len(all))
	}
	for _, i := range all {
		// As a worker sees them.
		var ends [2]byte
		for j, at := range []int64{0, StoreBlock - 1} {
			if _, err := s.File().ReadAt(ends[j:j+1], blockAt(i)+at); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(ends[:], []byte{byte(i), byte(i)}) || s.words.at(i).Load() != uint64(i)+1000 {
			t.Errorf("block %d is not apart from the others", i)
		}
	}
	s.Free(all[:10])
	if owner := s.words.at(all[0]).Load(); owner != 0 {
		t.Errorf("a free block is of %d", owner)
	}
	if i, ok := s.Take(); !ok || i != all[9] {
		t.Errorf("took %d, %v: the block used last is the one that the processor has", i, ok)
	}
}

// A store takes as much memory as was needed lately.
func TestStoreTrim(t *testing.T) {
	s := newStore(t)
	if n := s.memory(t); n > pageSize {
		t.Errorf("%d bytes at the start", n)
	}
	take := func(n int) (blocks []int) {
		for range n {
			i, ok := s.Take()
			if !ok {
				t.Fatal("no block")
			}
			blocks = append(blocks, i)
		}
		return blocks
	}
	blocks := take(8)
	if n := s.memory(t); n < 8*StoreBlock {
		t.Errorf("8 blocks have %d bytes", n)
	}
	s.Trim()
	s.Free(blocks[:6])
	s.Trim() // they were needed until now
	if n := s.memory(t); n < 8*StoreBlock {
		t.Errorf("%d bytes are left of what was needed since the last time", n)
	}
	s.Free(take(2))
	s.Trim()
	if n := s.memory(t); n > 4*StoreBlock+2*pageSize {
		t.Errorf("%d bytes for 2 blocks in use and 2 that were", n)
	}
	s.Trim()
	if n := s.memory(t); n > 2*StoreBlock+2*pageSize {
		t.Errorf("%d bytes for 2 blocks in use", n)
	}
	clear(s.Block(take(1)[0])) // what was given back can be taken again
}
