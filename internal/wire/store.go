package wire

import (
	"os"
	"slices"
	"sync"
)

const (
	// StoreBlock is the size of a block of a [Store], in bytes.
	StoreBlock = 128 << 10
	// storeBlocks is how many there are: as many as the words before them.
	storeBlocks = pageSize / 8
)

// A Store is memory in which a front keeps bodies of requests until the workers have
// read them there: blocks, each with a word that says whose it is. It may be used from
// any goroutine. A nil *Store has no room.
type Store struct {
	file  *os.File
	words words // all of it

	mu    sync.Mutex
	warm  []int // free blocks that have memory; the last one was used last
	cold  []int // free ones that have none
	least int   // how many of warm were not needed since the last Trim
}

// NewStore makes a store, which takes memory only as it is used, 64 MiB at most.
func NewStore() (*Store, error) {
	f, err := MemoryFile("indrik-store", pageSize+storeBlocks*StoreBlock)
	if err != nil {
		return nil, err
	}
	w, err := mapWords(f)
	if err != nil {
		f.Close()
		return nil, err
	}
	s := &Store{file: f, words: w}
	for i := range storeBlocks {
		s.cold = append(s.cold, storeBlocks-1-i)
	}
	return s, nil
}

// File is what a worker maps. It stays the store's.
func (s *Store) File() *os.File {
	if s == nil {
		return nil
	}
	return s.file
}

// Take returns the number of a free block, false if there is none.
func (s *Store) Take() (int, bool) {
	if s == nil {
		return 0, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.warm) - 1; n >= 0 {
		i := s.warm[n]
		s.warm = s.warm[:n]
		s.least = min(s.least, n)
		return i, true
	}
	n := len(s.cold) - 1
	if n < 0 {
		return 0, false
	}
	i := s.cold[n]
	// To run out of memory is an error here, and a signal where the memory is used.
	if reserve(s.file, blockAt(i), StoreBlock) != nil {
		return 0, false
	}
	s.cold = s.cold[:n]
	return i, true
}

// Block is the memory of a block that was taken.
func (s *Store) Block(i int) []byte {
	at := blockAt(i)
	return s.words.mem[at : at+StoreBlock : at+StoreBlock]
}

func blockAt(i int) int64 { return int64(pageSize + i*StoreBlock) }

// Own says that a block, and what is read together with it, is of a request. A worker
// looks at that when it has read it: it may have been too late.
func (s *Store) Own(i int, id uint32) { s.words.at(i).Store(uint64(id)) }

// Free gives blocks back.
func (s *Store) Free(blocks []int) {
	for _, i := range blocks {
		s.Own(i, 0)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.warm = append(s.warm, blocks...)
}

// Trim gives memory back to the system that was not needed since the last call, and
// tells whether free blocks have memory yet.
func (s *Store) Trim() bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	cooled := slices.Clone(s.warm[:s.least])
	s.warm = slices.Delete(s.warm, 0, s.least)
	s.least = len(s.warm)
	if len(cooled) > 0 {
		s.mu.Unlock() // it takes a while
		for _, i := range cooled {
			release(s.file, blockAt(i), StoreBlock)
		}
		s.mu.Lock()
		s.cold = append(s.cold, cooled...)
	}
	return len(s.warm) > 0
}
