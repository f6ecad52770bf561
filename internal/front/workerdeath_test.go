package front

import (
	"io"
	"net/http"
	"strings"
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
	lost, ok := dying.receive(patience)
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
	late, ok := live.receive(patience)
	if !ok {
		t.Fatal("no request")
	}
	dying.kill()
	var again request
	if again, ok = live.receive(patience); !ok {
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
	eventually(t, "the old generation is forgotten", func() bool { return r.s.queue.Load().Generations == 1 })
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
	eventually(t, "it serves", func() bool { return r.s.queue.Load().Slots == 1 })
	r.generation(2, testConfig())
	w.kill()
	eventually(t, "it is gone", func() bool { return r.s.queue.Load().Slots == 0 })
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
	stale := wire.AppendInt(wire.AppendTuple(nil, 3), 4<<24|1)
	stale = wire.AppendBytes(wire.AppendDictEnd(wire.AppendDict(stale)), nil)
	_, err = send.Write(stale)
	must(t, err)
	r.announce(g, testConfig())
	w := r.worker(g, 1)
	c := r.dial()
	c.get("/")
	q := w.take(0)
	if q.id>>24 != 5 {
		t.Errorf("id %#x is not of front 5", q.id)
	}
	r.tokens.Store(uint32(4<<24|q.id&(1<<24-1)), uint64(77))
	w.say(0, response(4<<24|q.id&(1<<24-1), "200 OK", nil, "of another"))
	w.say(0, echo(q))
	c.expect(200, "GET / ")
}
