package front

import (
	"fmt"
	"testing"
	"time"
)

// hurry makes the generations fast, as far as the queue knows.
func (q *queue) hurry() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, g := range q.gens {
		g.quick = 1000
	}
}

// block has the kernel take nothing for the first generation, as far as the queue
// knows, or no more.
func (q *queue) block(blocked bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.gens[0].blocked = blocked
}

// gathered sends requests for /0, /1 … while the kernel takes none, and returns
// their clients when all wait.
func (r *rig) gathered(count int) []*client {
	r.t.Helper()
	r.s.queue.block(true)
	var clients []*client
	for i := range count {
		c := r.dial()
		c.get(fmt.Sprintf("/%d", i))
		eventually(r.t, "the request waits", func() bool { return r.waiting() == i+1 })
		clients = append(clients, c)
	}
	return clients
}

// letGo has what was gathered go to workers of a fast app.
func (r *rig) letGo() {
	r.s.queue.hurry()
	r.s.queue.block(false)
	r.s.queue.pumpNow()
}

// message takes the requests of one message, of which there must be count.
func (w *fakeWorker) message(count int) []request {
	w.t.Helper()
	qs := w.receiveAll(5 * time.Second)
	if len(qs) != count {
		w.t.Fatalf("%d requests came together, want %d", len(qs), count)
	}
	return qs
}

// shared makes two workers of one slot, and sends eight requests, of which each gets
// half in one message; taken are the first worker's.
func shared(t *testing.T) (r *rig, first, other *fakeWorker, clients []*client, taken []request) {
	t.Helper()
	r = newRig(t, 0)
	r.listen()
	g := r.generation(1, testConfig())
	first, other = r.worker(g, 1), r.worker(g, 1)
	clients = r.gathered(8)
	r.letGo()
	return r, first, other, clients, first.message(4)
}

// What waits for workers of a fast app is shared out among them, up to parcelMost in
// a message.
func TestRequestsGoTogether(t *testing.T) {
	r := newRig(t, 0)
	r.listen()
	g := r.generation(1, testConfig())
	w := r.worker(g, 2)
	clients := r.gathered(parcelMost + 3)
	r.letGo()
	qs := append(w.message(parcelMost), w.message(3)...)
	for i, q := range qs {
		if q.id != qs[0].id+uint32(i) {
			t.Errorf("request %d has the id %d, the first %d", i, q.id, qs[0].id)
		}
		w.claim(0, q.id)
		w.say(0, echo(q))
		clients[i].expect(200, fmt.Sprintf("GET /%d ", i))
	}

	r.worker(g, 2)
	clients = r.gathered(6)
	r.letGo()
	qs = append(w.message(3), w.message(2)...)
	qs = append(qs, w.message(1)...)
	var answers []byte
	for _, q := range qs {
		w.claim(0, q.id)
		answers = append(answers, echo(q)...)
	}
	w.say(0, answers)
	for i, c := range clients {
		c.expect(200, fmt.Sprintf("GET /%d ", i))
	}
}

// With an app that is not fast each request is for whoever is free first.
func TestRequestsGoOneByOne(t *testing.T) {
	r := newRig(t, 0)
	r.listen()
	w := r.worker(r.generation(1, testConfig()), 4)
	r.gathered(5)
	r.s.queue.block(false)
	r.s.queue.pumpNow()
	for range 5 {
		w.message(1)
	}
}

func TestIsFast(t *testing.T) {
	for _, c := range []struct {
		slots, active, quick int
		fast                 bool
	}{
		{2, 2, 4, false}, {2, 2, 5, true}, // sync
		{8, 2, 8, false}, {8, 2, 9, true}, // a few threads
		{64, 2, 13, false}, {64, 2, 65, true}, // many, that sleep 10 ms each; that do not
	} {
		g := &generation{slots: c.slots, active: c.active, quick: c.quick}
		if g.isFast() != c.fast {
			t.Errorf("%+v", c)
		}
	}
}

// Those with descriptors go alone, in their place.
func TestFilesGoAlone(t *testing.T) {
	r := newRig(t, 0)
	r.listen()
	w := r.worker(r.generation(1, testConfig()), 4)
	r.s.queue.block(true)
	for i := range 5 {
		c := r.dial()
		if i == 2 {
			c.send("POST /%d HTTP/1.1\nHost: a\nContent-Length: 70000\n\n%s", i, make([]byte, 70000))
		} else {
			c.get(fmt.Sprintf("/%d", i))
		}
		eventually(t, "the request waits", func() bool { return r.waiting() == i+1 })
	}
	r.letGo()
	w.message(2)
	if q := w.message(1)[0]; !q.stored || len(q.body) != 70000 {
		t.Errorf("the body is %d bytes, in the store: %v", len(q.body), q.stored)
	}
	w.message(2)
}

// An answer that a worker made and did not send before it died reaches its client.
// Only the request that it ran fails, and those behind it go to another.
func TestShelfOfTheDead(t *testing.T) {
	_, dying, other, clients, qs := shared(t)
	dying.claim(0, qs[0].id)
	dying.claim(0, qs[1].id)
	dying.shelve(0, append(echo(qs[0]), echo(qs[1])...))
	dying.claim(0, qs[2].id)
	dying.kill()
	clients[0].expect(200, "GET /0 ")
	clients[1].expect(200, "GET /1 ")
	clients[2].expect(502, "*")
	for range 5 {
		q := other.take(0)
		other.say(0, echo(q))
	}
	for i := 3; i < 8; i++ {
		clients[i].expect(200, fmt.Sprintf("GET /%d ", i))
	}
}

// A worker that stays at one request holds up neither the answers to those before
// it nor the requests behind it.
func TestStuck(t *testing.T) {
	r, stuck, other, clients, qs := shared(t)
	stuck.claim(0, qs[0].id)
	stuck.shelve(0, echo(qs[0]))
	stuck.claim(0, qs[1].id)
	clients[0].expect(200, "GET /0 ")
	answered := map[string]bool{}
	for range 6 {
		q := other.take(0)
		other.say(0, echo(q))
		answered[q.environ["RAW_URI"]] = true
	}
	for i := 2; i < 8; i++ {
		if uri := fmt.Sprintf("/%d", i); !answered[uri] {
			t.Errorf("%s did not go to the other worker", uri)
		}
		clients[i].expect(200, fmt.Sprintf("GET /%d ", i))
	}

	eventually(t, "the request counts as slow", func() bool {
		r.s.queue.hurry()
		r.s.queue.mu.Lock()
		defer r.s.queue.mu.Unlock()
		return r.s.queue.gens[0].slow == 1
	})

	// When there were some of these requests go one by one.
	more := r.gathered(2)
	r.s.queue.mu.Lock()
	r.s.queue.gens[0].slow = slowMost
	r.s.queue.mu.Unlock()
	r.letGo()
	for i, c := range more {
		q := other.message(1)[0]
		other.claim(0, q.id)
		other.say(0, echo(q))
		c.expect(200, fmt.Sprintf("GET /%d ", i))
	}

	// What it sends at last has been answered but for its own.
	stuck.say(0, append(echo(qs[0]), echo(qs[1])...))
	stuck.shelve(0, nil)
	clients[1].expect(200, "GET /1 ")
	for _, q := range qs[2:] {
		if stuck.claim(0, q.id) {
			t.Errorf("request %d may be run by two", q.id)
		}
		stuck.say(0, refused(q.id))
	}
	eventually(t, "the app counts as fast again", func() bool {
		r.s.queue.hurry()
		clients[0].get("/again")
		q := other.take(0)
		other.say(0, echo(q))
		clients[0].expect(200, "GET /again ")
		r.s.queue.mu.Lock()
		defer r.s.queue.mu.Unlock()
		return !r.s.queue.gens[0].isSlow()
	})
}

// What was withdrawn from behind a request stays on the list of revocations until
// its slot has refused it, or is dead.
func TestRevocationsOfTheDead(t *testing.T) {
	r, stuck, other, clients, qs := shared(t)
	stuck.claim(0, qs[0].id)
	revoked := func() int {
		r.s.queue.mu.Lock()
		defer r.s.queue.mu.Unlock()
		return len(r.s.queue.gens[0].revoked)
	}
	for range 7 {
		q := other.take(0)
		other.say(0, echo(q))
	}
	if n := revoked(); n != 3 {
		t.Errorf("%d revocations are awaited, want 3", n)
	}
	// A worker that comes now may find such a message in the queue.
	late := r.worker(r.gens[1], 1)
	for _, q := range qs[1:] {
		if late.claim(0, q.id) {
			t.Errorf("a worker that was added later may run request %d", q.id)
		}
	}
	late.claim(0, 0)
	stuck.kill()
	clients[0].expect(502, "*")
	if n := revoked(); n != 0 {
		t.Errorf("%d revocations are awaited of a dead slot", n)
	}
}
