package dispatch

import (
	"fmt"
	"os"
	"testing"

	"indrik/internal/wire"
)

// hurry makes the generations fast, as far as the queue knows.
func (q *Queue) hurry() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, g := range q.gens {
		g.rate = 500
	}
}

// block has the kernel take nothing for the first generation, as far as the queue knows, or
// no more.
func (q *Queue) block(blocked bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.gens[0].blocked = blocked
}

// gathered submits requests for /0, /1 … while the kernel takes none.
func (r *rig) gathered(g *fakeGeneration, count int) []*call {
	r.t.Helper()
	r.q.block(true)
	var calls []*call
	for i := range count {
		calls = append(calls, r.get(g, fmt.Sprintf("/%d", i)))
	}
	return calls
}

// letGo has the gathered requests go to workers of a fast app. All of that is one step: a scan in
// between would find that the app is not fast.
func (r *rig) letGo() {
	r.q.mu.Lock()
	defer r.q.mu.Unlock()
	for _, g := range r.q.gens {
		g.rate = 500
	}
	r.q.gens[0].blocked = false
	r.q.pumpLocked()
}

// shared makes two workers of one slot, and submits eight requests, of which each gets half
// in one message; taken are the first worker's.
func (r *rig) shared(g *fakeGeneration) (first, other *fakeWorker, calls []*call, taken []request) {
	r.t.Helper()
	first, other = r.worker(g, 1, wire.KindSync), r.worker(g, 1, wire.KindSync)
	calls = r.gathered(g, 8)
	r.letGo()
	return first, other, calls, first.message(4)
}

// Requests that wait for workers of a fast app are shared out among them, up to maxBatch in
// a message.
func TestRequestsGoTogether(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 2, wire.KindSync)
		calls := r.gathered(g, maxBatch+3)
		r.letGo()
		qs := append(w.message(maxBatch), w.message(3)...)
		for i, q := range qs {
			if q.id != qs[0].id+uint32(i) {
				t.Errorf("request %d has the id %d, the first %d", i, q.id, qs[0].id)
			}
			w.Claim(0, q.id)
			w.Say(0, echo(q))
			w.deliver(0)
			calls[i].expect(200, fmt.Sprintf("/%d", i))
		}

		r.worker(g, 2, wire.KindSync)
		calls = r.gathered(g, 6)
		r.letGo()
		qs = append(w.message(3), w.message(2)...)
		qs = append(qs, w.message(1)...)
		w.answer(qs)
		for i, c := range calls {
			c.expect(200, fmt.Sprintf("/%d", i))
		}
	})
}

// With an app that is not fast each request is for the slot that is free first.
func TestRequestsGoOneByOne(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 4, wire.KindSync)
		r.gathered(g, 5)
		r.q.block(false)
		r.q.pump()
		for range 5 {
			w.message(1)
		}
	})
}

func TestIsFast(t *testing.T) {
	for _, c := range []struct {
		slots, active int
		rate          float64
		fast          bool
	}{
		{2, 2, 2, false}, {2, 2, 2.5, true}, // sync
		{8, 2, 4, false}, {8, 2, 4.5, true}, // a few threads
		{64, 2, 6.5, false}, {64, 2, 32.5, true}, // many, that sleep 10 ms each; that do not
	} {
		g := &generation{slots: c.slots, active: c.active, rate: c.rate}
		if g.isFast() != c.fast {
			t.Errorf("%+v", c)
		}
	}
}

// Requests with descriptors go alone, in their place.
func TestFilesGoAlone(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 4, wire.KindSync)
		r.gathered(g, 5)
		file, err := os.Open(os.DevNull)
		must(t, err)
		defer file.Close()
		r.q.mu.Lock()
		r.q.waiting[2].request.(*call).files = []*os.File{file}
		r.q.mu.Unlock()
		r.letGo()
		w.message(2)
		if q := w.message(1)[0]; q.path != "/2" {
			t.Errorf("%s went alone", q.path)
		}
		w.message(2)
	})
}

// The rate of its replies decides how many requests may be with a generation.
func TestCapacityOfGeneration(t *testing.T) {
	g := &generation{slots: 2}
	for _, test := range []struct{ answered, capacity int }{
		{0, 2 * prefetch}, {100, 2 * prefetch}, {1500, 18}, {100000, 2 * maxPrefetch},
	} {
		g.answered = test.answered
		g.measure(scanEvery)
		if g.capacity() != test.capacity || g.answered != 0 {
			t.Errorf("%d replies in %s: capacity for %d, want %d", test.answered, scanEvery, g.capacity(), test.capacity)
		}
	}
	g.slots, g.leaving = 0, 3
	if g.capacity() != 3 {
		t.Errorf("capacity for %d with leaving workers alone", g.capacity())
	}
}
