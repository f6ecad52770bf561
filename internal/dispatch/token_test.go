package dispatch

import "testing"

// BenchmarkToken is what the token of a request costs.
func BenchmarkToken(b *testing.B) {
	q := NewQueue(&fakeHost{}, 0)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lastID = idMask
	id := uint32(0)
	for b.Loop() {
		id = (id + 1) & idMask
		q.tokenOfLocked(id)
	}
}
