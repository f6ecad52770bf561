package front

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"indrik/internal/wire"
)

func TestClaimedByDeadWorker(t *testing.T) {
	r, w := answering(t)
	whole, part := r.dial(), r.dial()
	whole.get("/whole")
	w.take(0)
	part.get("/part")
	q := w.take(1)
	w.say(1, start(q.id, "200 OK", nil, "some"))
	resp, err := http.ReadResponse(part.br, nil)
	must(t, err)
	w.kill()
	whole.expect(502, "*")
	if body, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("half a response, %q, looks complete", body)
	}
	// The client of the 502 keeps its connection.
	r.worker(r.gens[1], 1).serve(echo)
	whole.get("/again")
	whole.expect(200, "GET /again ")
}

// What a dead worker said last counts.
func TestLastWordsOfDeadWorker(t *testing.T) {
	r, w := answering(t)
	c := r.dial()
	c.get("/")
	w.say(0, echo(w.take(0)))
	w.kill()
	c.expect(200, "GET / ")
}

func TestUnreadGoesToAnotherWorker(t *testing.T) {
	r := newRig(t, 0)
	r.listen()
	g := r.generation(1, testConfig())
	first := r.worker(g, 1)
	a, b := r.dial(), r.dial()
	a.get("/a")
	first.take(0)
	b.send("POST /b HTTP/1.1\nHost: a\nContent-Length: %d\n\n%s", 70_000, strings.Repeat("x", 70_000))
	eventually(t, "both are handed over", func() bool { return r.inFlight() == 2 })
	first.kill()
	a.expect(502, "*")
	eventually(t, "b waits", func() bool { return r.waiting() == 1 && r.inFlight() == 0 })
	r.worker(g, 1).serve(echo)
	b.expect(200, "*")
}

// A worker that took a message and died before its claim: the request is
// revoked, then run by another one.
func TestTakenButNotClaimed(t *testing.T) {
	r := newRig(t, 0)
	r.listen()
	g := r.generation(1, testConfig())
	dying, live := r.worker(g, 1), r.worker(g, 1)
	c := r.dial()
	c.get("/")
	lost, ok := dying.receive(5 * time.Second)
	if !ok {
		t.Fatal("no request")
	}
	dying.kill()
	q := live.take(0)
	if q.id == lost.id {
		t.Error("it has its old id, which is revoked")
	}
	if live.claim(0, lost.id) {
		t.Error("the lost id is not revoked")
	}
	live.claim(0, q.id)
	live.say(0, refused(lost.id)) // from a slot that was late: nobody minds
	live.say(0, echo(q))
	c.expect(200, "GET / ")
	if r.inFlight() != 0 {
		t.Errorf("%d are in flight", r.inFlight())
	}
}

// The same, but it was not the dead worker that took it.
func TestTakenByLateSlot(t *testing.T) {
	r := newRig(t, 0)
	r.listen()
	g := r.generation(1, testConfig())
	dying, live := r.worker(g, 1), r.worker(g, 1)
	a := r.dial()
	a.get("/a")
	late, ok := live.receive(5 * time.Second)
	if !ok {
		t.Fatal("no request")
	}
	dying.kill()
	var again request
	if again, ok = live.receive(5 * time.Second); !ok {
		t.Fatal("it was not given to another slot")
	}
	if live.claim(0, late.id) {
		t.Fatal("the late slot may run it")
	}
	live.say(0, refused(late.id))
	live.claim(0, again.id)
	live.say(0, echo(again))
	a.expect(200, "GET /a ")
}

// A request that its slot refuses is run by another, once.
func TestRefusedByLiveSlot(t *testing.T) {
	r, w := answering(t)
	c := r.dial()
	c.get("/")
	q := w.take(0)
	w.say(0, refused(q.id))
	again := w.take(0)
	w.say(0, echo(again))
	c.expect(200, "GET / ")
}

// A slot that has answered one request and claimed the next no longer shows its
// claim of the first. As long as the answer is unread that must not look as if
// nobody had run it.
func TestAnswerUnreadWhileAnotherDies(t *testing.T) {
	r := newRig(t, 0)
	r.listen()
	g := r.generation(1, testConfig())
	live := r.worker(g, 1)
	eventually(t, "the worker is there", func() bool { return r.slots() == 1 })
	dying := r.worker(g, 1)
	eventually(t, "both are there", func() bool { return r.slots() == 2 })

	// The goroutine of the live slot has not got round to its messages.
	r.s.queue.mu.Lock()
	sl := r.s.queue.workers[live.age].slots[0]
	r.s.queue.mu.Unlock()
	sl.mu.Lock()

	a, b := r.dial(), r.dial()
	a.get("/a")
	live.say(0, echo(live.take(0)))
	b.get("/b")
	qb := live.take(0)
	dying.kill()
	time.Sleep(20 * revocationDelay)
	if q, ok := live.receive(50 * time.Millisecond); ok {
		t.Errorf("%s is run twice", q.environ["RAW_URI"])
	}
	sl.mu.Unlock()
	a.expect(200, "GET /a ")
	live.say(0, echo(qb))
	b.expect(200, "GET /b ")
}

func (r *rig) slots() int {
	r.s.queue.mu.Lock()
	defer r.s.queue.mu.Unlock()
	n := 0
	for _, g := range r.s.queue.gens {
		n += g.slots
	}
	return n
}

// Slots whose other end is still held by somebody, say a child of the app.
func TestGone(t *testing.T) {
	r, w := answering(t)
	c := r.dial()
	c.get("/")
	w.take(0)
	r.tell(wire.ToFront{Type: wire.TypeGone, Age: w.age})
	c.expect(502, "*")
}

func TestRetire(t *testing.T) {
	r := newRig(t, 0)
	r.listen()
	old := r.generation(1, testConfig())
	w1 := r.worker(old, 1)
	a, b, c := r.dial(), r.dial(), r.dial()
	a.get("/a")
	qa := w1.take(0)
	b.get("/b")
	eventually(t, "b is handed over", func() bool { return r.inFlight() == 2 })
	r.tell(wire.ToFront{Type: wire.TypeRetire, Age: w1.age})
	eventually(t, "b is taken back", func() bool { return r.waiting() == 1 })
	c.get("/c")
	eventually(t, "c waits, too", func() bool { return r.waiting() == 2 })
	if q, ok := w1.receive(50 * time.Millisecond); ok {
		t.Fatalf("the old worker got %v", q.environ)
	}
	w2 := r.worker(r.generation(2, testConfig()), 1)
	q := w2.take(0)
	if q.environ["RAW_URI"] != "/b" {
		t.Errorf("%s comes before /b", q.environ["RAW_URI"])
	}
	w2.say(0, echo(q))
	w2.say(0, echo(w2.take(0)))
	b.expect(200, "GET /b ")
	c.expect(200, "GET /c ")
	w1.say(0, echo(qa)) // it finishes what it has
	a.expect(200, "GET /a ")
	w1.kill()
	eventually(t, "the old generation is forgotten", func() bool {
		r.s.queue.mu.Lock()
		defer r.s.queue.mu.Unlock()
		return len(r.s.queue.gens) == 1
	})
}

// What workers run that are about to leave takes no room from the others.
func TestLeavingWorkersTakeNoRoom(t *testing.T) {
	r := newRig(t, 0)
	r.listen()
	g := r.generation(1, testConfig())
	for range 4 {
		w := r.worker(g, 1)
		c := r.dial()
		c.get("/long")
		w.take(0)
		r.tell(wire.ToFront{Type: wire.TypeRetire, Age: w.age})
	}
	r.worker(g, 1).serve(echo)
	c := r.dial()
	c.get("/")
	c.expect(200, "GET / ")
}

// The generation that serves keeps its place while its only worker is replaced,
// although a newer one is in the making.
func TestGenerationOutlivesItsWorkers(t *testing.T) {
	r := newRig(t, 0)
	r.listen()
	g := r.generation(1, testConfig())
	w := r.worker(g, 1)
	eventually(t, "it serves", func() bool { return r.slots() == 1 })
	r.generation(2, testConfig())
	w.kill()
	eventually(t, "it is gone", func() bool { return r.slots() == 0 })
	c := r.dial()
	c.get("/")
	r.worker(g, 1).serve(echo)
	c.expect(200, "GET / ")
}

// A front that follows one which died leaves that one's requests and answers.
func TestSecondFront(t *testing.T) {
	r := newRig(t, 5)
	r.listen()
	send, receive, err := wire.Pair()
	must(t, err)
	g := &fakeGeneration{number: 1, send: send, receive: receive}
	t.Cleanup(func() { send.Close(); receive.Close() })
	stale := wire.AppendInt(wire.AppendTuple(nil, 3), 4<<idBits|1)
	stale = wire.AppendBytes(wire.AppendDictEnd(wire.AppendDict(stale)), nil)
	_, err = send.Write(stale)
	must(t, err)
	r.announce(g, testConfig())
	w := r.worker(g, 1)
	c := r.dial()
	c.get("/")
	q := w.take(0)
	if q.id>>idBits != 5 {
		t.Errorf("id %#x is not of front 5", q.id)
	}
	r.tokens.Store(uint32(4<<idBits|q.id&idMask), uint64(77))
	w.say(0, response(4<<idBits|q.id&idMask, "200 OK", nil, "of another"))
	w.say(0, echo(q))
	c.expect(200, "GET / ")
}

func TestIDs(t *testing.T) {
	q := newQueue(nil, 0)
	q.lastID = 1<<idBits - 2
	q.inFlight[1] = &exchange{}
	var ids []uint32
	for range 3 {
		ids = append(ids, q.newIDs(1))
	}
	if fmt.Sprint(ids) != "[16777215 2 3]" {
		t.Errorf("ids %v", ids)
	}
	// Those of one message follow each other.
	q.inFlight[9] = &exchange{}
	if first := q.newIDs(8); first != 12 {
		t.Errorf("the first of eight is %d, and 9 is in flight", first)
	}
	q.lastID = 1<<idBits - 5
	if first := q.newIDs(8); first != 17 {
		t.Errorf("the first of eight at the end of the numbers is %d", first)
	}
}

// Workers die all the time, at any point: no request runs twice or is lost, and
// none fails but those that a dying worker had claimed.
func TestCrashesUnderLoad(t *testing.T) {
	for _, together := range []bool{false, true} {
		name := map[bool]string{false: "one by one", true: "together"}[together]
		t.Run(name, func(t *testing.T) { crashUnderLoad(t, together) })
	}
}

func crashUnderLoad(t *testing.T, together bool) {
	r := newRig(t, 0)
	r.listen()
	g := r.generation(1, testConfig())
	var mu sync.Mutex
	runs := map[string]int{}
	died := map[string]bool{}
	several := 0 // messages with more than one request
	run := func(w *fakeWorker, crash string) {
		const last = 20
		for n := 0; ; {
			qs := w.receiveAll(time.Hour)
			if qs == nil {
				return
			}
			if len(qs) > 1 {
				mu.Lock()
				several++
				mu.Unlock()
			}
			var shelf []byte
			for _, q := range qs {
				n++
				if crash == "unclaimed" && n == last {
					return
				}
				if !w.claim(0, q.id) {
					w.say(0, append(shelf, refused(q.id)...))
					w.shelve(0, nil)
					shelf = nil
					continue
				}
				uri := q.environ["RAW_URI"]
				mu.Lock()
				runs[uri]++
				if crash == "claimed" && n == last {
					died[uri] = true
				}
				mu.Unlock()
				if crash == "claimed" && n == last {
					return
				}
				shelf = append(shelf, echo(q)...)
				w.shelve(0, shelf)
				if crash == "shelved" && n == last {
					return
				}
			}
			if len(shelf) > 0 {
				w.say(0, shelf)
				w.shelve(0, nil)
			}
			if crash == "answered" && n >= last {
				return
			}
		}
	}
	var stop atomic.Bool
	var workers sync.WaitGroup
	if together {
		workers.Go(func() {
			for !stop.Load() {
				r.s.queue.hurry()
				time.Sleep(time.Millisecond)
			}
		})
	}
	for i := range 3 {
		workers.Go(func() {
			for n := i; !stop.Load(); n++ {
				mu.Lock()
				w := r.worker(g, 1)
				mu.Unlock()
				done := make(chan struct{})
				w.loops.Go(func() {
					defer close(done)
					run(w, []string{"unclaimed", "claimed", "shelved", "answered"}[n%4])
				})
				for over := false; !over; {
					select {
					case <-done:
						over = true
					case <-time.After(10 * time.Millisecond):
						over = stop.Load()
					}
				}
				w.kill()
			}
		})
	}
	var clients sync.WaitGroup
	for i := range 24 {
		c := r.dial()
		clients.Go(func() {
			for n := range 100 {
				uri := fmt.Sprintf("/%d/%d", i, n)
				if _, err := fmt.Fprintf(c.nc, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", uri); err != nil {
					t.Error(err)
					return
				}
				resp, err := http.ReadResponse(c.br, nil)
				if err != nil {
					t.Errorf("%s: %s", uri, err)
					return
				}
				body, _ := io.ReadAll(resp.Body)
				mu.Lock()
				ran, dead := runs[uri], died[uri]
				mu.Unlock()
				switch {
				case ran != 1:
					t.Errorf("%s ran %d times", uri, ran)
				case dead && resp.StatusCode != 502:
					t.Errorf("%s: %d, and its worker died", uri, resp.StatusCode)
				case !dead && (resp.StatusCode != 200 || string(body) != "GET "+uri+" "):
					t.Errorf("%s: %d %q", uri, resp.StatusCode, body)
				}
			}
		})
	}
	clients.Wait()
	stop.Store(true)
	workers.Wait()
	if len(died) == 0 {
		t.Error("no worker died with a claim")
	}
	if together && several == 0 {
		t.Error("no requests came together")
	}
	eventually(t, "nothing is in flight", func() bool { return r.inFlight() == 0 && r.waiting() == 0 })
}
