package pools

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"

	"indrik/internal/status"
	"indrik/internal/wire"
)

// The operations of the stash, as Gunicorn numbers them.
const (
	stashPut         = 1
	stashGet         = 2
	stashDelete      = 3
	stashKeys        = 4
	stashClear       = 5
	stashInfo        = 6
	stashEnsure      = 7
	stashDeleteTable = 8
	stashTables      = 9
	stashExists      = 10
)

// What a key and a table count for in the limit of the stash, besides their bytes.
const (
	entryCost = 128
	tableCost = 256
)

// A stash is tables of keys and values that all workers share. Both are kept as they were encoded:
// nothing of them is decoded here. They are lost with the front.
type stash struct {
	mu sync.Mutex
	// +checklocks:mu
	tables map[string]*table
	// +checklocks:mu
	keys int
	// +checklocks:mu
	size int64
	// +checklocks:mu
	limit int64
	// +checklocks:mu
	last uint64 // the number of the entry, or table, that was made last
}

type table struct {
	number  uint64
	entries map[string]entry
}

// An entry has a number, by which keys are listed in the order in which they were made.
type entry struct {
	number uint64
	value  []byte
}

func newStash() *stash { return &stash{tables: map[string]*table{}} }

// setLimit sets how many bytes the stash may have. What is there stays.
func (s *stash) setLimit(limit int64) {
	s.mu.Lock()
	s.limit = limit
	s.mu.Unlock()
}

func (s *stash) status() *status.Stash {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &status.Stash{Tables: len(s.tables), Keys: s.keys, Bytes: s.size, Limit: s.limit}
}

// do carries out a request of a caller, whose file it closes, and returns the answer, with a
// file if it is large.
func (s *stash) do(m *wire.PoolMessage, file *os.File) (data []byte, answer *os.File) {
	var value []byte
	if file != nil {
		defer file.Close()
	}
	if m.Op == stashPut {
		if f := s.check(m); f != nil { // before a large value is read
			return f.encode(), nil
		}
		value = m.Payload
		if file != nil {
			var err error
			if value, err = wire.ReadPayload(file, m.Size); err != nil {
				return noConnection(err.Error()).encode(), nil
			}
		}
	}
	payload, f := s.carryOut(m, value)
	if f != nil {
		return f.encode(), nil
	}
	return result(payload)
}

// result makes the message of a result.
func result(payload []byte) (data []byte, file *os.File) {
	m := wire.PoolMessage{Kind: wire.PoolResult, Payload: payload}
	if len(payload) > wire.MaxPoolInline {
		var err error
		if file, err = wire.ConstantFile("indrik-payload", payload); err != nil {
			return noConnection(err.Error()).encode(), nil
		}
		m = wire.PoolMessage{Kind: wire.PoolResult, InFile: true, Size: int64(len(payload))}
	}
	return m.Append(nil), file
}

// cost is what an entry counts for.
func cost(key, value int) int64 { return int64(key) + int64(value) + entryCost }

// check reports whether there is room for what a request puts.
func (s *stash) check(m *wire.PoolMessage) *failure {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.checkLocked(m)
}

// +checklocks:s.mu
func (s *stash) checkLocked(m *wire.PoolMessage) *failure {
	size := s.size + cost(len(m.Key), int(m.Size))
	if t := s.tables[string(m.Table)]; t == nil {
		size += tableCost + int64(len(m.Table))
	} else if e, ok := t.entries[string(m.Key)]; ok {
		size -= cost(len(m.Key), len(e.value))
	}
	if size > s.limit {
		return &failure{
			"StashFullError", fmt.Sprintf("The stash is full: stash_limit is %d bytes, and this would need %d", s.limit, size),
			[]detail{{"limit", int(s.limit)}}, Refused,
		}
	}
	return nil
}

// carryOut does what a request says, and returns the payload of the result.
func (s *stash) carryOut(m *wire.PoolMessage, value []byte) ([]byte, *failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, key := string(m.Table), string(m.Key)
	t := s.tables[name]
	var e entry
	found := false
	if t != nil {
		e, found = t.entries[key]
	}
	switch m.Op {
	case stashPut:
		if f := s.checkLocked(m); f != nil {
			return nil, f
		}
		if t == nil {
			t = s.makeLocked(name)
		}
		if found {
			s.size -= cost(len(key), len(e.value))
		} else {
			s.last++
			e.number = s.last
			s.keys++
		}
		t.entries[key] = entry{e.number, slices.Clone(value)}
		s.size += cost(len(key), len(value))
		return tlvBool(true), nil
	case stashGet:
		if !found {
			return nil, &failure{"StashKeyNotFoundError", "Key not found", []detail{{"table", name}}, Refused}
		}
		return e.value, nil
	case stashDelete:
		if found {
			delete(t.entries, key)
			s.keys--
			s.size -= cost(len(key), len(e.value))
		}
		return tlvBool(found), nil
	case stashKeys:
		return t.keys(), nil
	case stashClear:
		if t != nil {
			s.emptyLocked(t)
		}
		return tlvBool(true), nil
	case stashInfo:
		if t == nil {
			return nil, &failure{"StashTableNotFoundError", "Table not found: " + name, []detail{{"table", name}}, Refused}
		}
		info := tlvInt(tlvString(tlvDict(nil, 2), "size"), int64(len(t.entries)))
		return tlvString(tlvString(info, "table"), name), nil
	case stashEnsure:
		if t == nil {
			if size := s.size + tableCost + int64(len(name)); size > s.limit {
				return nil, &failure{"StashFullError", fmt.Sprintf("The stash is full: stash_limit is %d bytes", s.limit), []detail{{"limit", int(s.limit)}}, Refused}
			}
			s.makeLocked(name)
		}
		return tlvBool(true), nil
	case stashDeleteTable:
		if t != nil {
			s.emptyLocked(t)
			delete(s.tables, name)
			s.size -= tableCost + int64(len(name))
		}
		return tlvBool(t != nil), nil
	case stashTables:
		return s.listLocked(), nil
	case stashExists:
		return tlvBool(t != nil && (found || key == "")), nil
	}
	return nil, &failure{"DirtyError", fmt.Sprintf("Unknown stash operation: %d", m.Op), nil, Refused}
}

// +checklocks:s.mu
func (s *stash) makeLocked(name string) *table {
	s.last++
	t := &table{number: s.last, entries: map[string]entry{}}
	s.tables[name] = t
	s.size += tableCost + int64(len(name))
	return t
}

// +checklocks:s.mu
func (s *stash) emptyLocked(t *table) {
	for key, e := range t.entries {
		s.size -= cost(len(key), len(e.value))
	}
	s.keys -= len(t.entries)
	t.entries = map[string]entry{}
}

// keys is a list of the keys, in the order in which they were put first.
func (t *table) keys() []byte {
	if t == nil {
		return tlvList(0)
	}
	numbers := make(map[string]uint64, len(t.entries))
	for key, e := range t.entries {
		numbers[key] = e.number
	}
	list := tlvList(len(numbers))
	for _, key := range byNumber(numbers) {
		list = append(list, key...)
	}
	return list
}

// listLocked is a list of the names of the tables, in the order in which they were made.
// +checklocks:s.mu
func (s *stash) listLocked() []byte {
	numbers := make(map[string]uint64, len(s.tables))
	for name, t := range s.tables {
		numbers[name] = t.number
	}
	list := tlvList(len(numbers))
	for _, name := range byNumber(numbers) {
		list = tlvString(list, name)
	}
	return list
}

// byNumber returns the keys in the order of their numbers.
func byNumber(numbers map[string]uint64) []string {
	keys := slices.Collect(maps.Keys(numbers))
	slices.SortFunc(keys, func(a, b string) int { return cmp.Compare(numbers[a], numbers[b]) })
	return keys
}
