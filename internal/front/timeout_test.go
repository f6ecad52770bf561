package front

import (
	"io"
	"net/http"
	"testing"
	"time"

	"indrik/internal/wire"
)

// hasty is a front whose generation has a timeout, in seconds, and a worker with two slots.
func hasty(t *testing.T, timeout int) (*rig, *fakeWorker) {
	cfg := testConfig()
	cfg.Timeout = timeout
	r := newRig(t, 0)
	r.listen()
	return r, r.worker(r.generation(1, cfg), 2)
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	r, w := hasty(t, 4)
	slow, other := r.dial(), r.dial()
	slow.send("POST /slow?a=b HTTP/1.1\nHost: a\nContent-Length: 1\n\nx")
	q := w.take(0)
	time.Sleep(2 * time.Second)
	other.get("/other")
	qo := w.take(1)
	slow.expect(504, "*")
	m := r.hear(wire.TypeTimeout)
	if m.Age != w.age || m.Method != "POST" || m.Path != "/slow" || m.Others != 1 || m.Seconds < 4 || m.Seconds > 30 {
		t.Errorf("told %+v", m)
	}
	r.silent(wire.TypeSettled, 50*time.Millisecond)
	w.say(1, echo(qo))
	other.expect(200, "GET /other ")
	if m := r.hear(wire.TypeSettled); m.Age != w.age {
		t.Errorf("settled %d", m.Age)
	}
	// The answer that comes at last is for nobody.
	w.say(0, echo(q))
	other.get("/next")
	w.say(0, echo(w.take(0)))
	other.expect(200, "GET /next ")
	slow.get("/next")
	w.say(0, echo(w.take(0)))
	slow.expect(200, "GET /next ")
}

// What a worker is too slow with after the head is cut off.
func TestTimeoutAfterHead(t *testing.T) {
	t.Parallel()
	r, w := hasty(t, 3)
	c := r.dial()
	c.get("/")
	q := w.take(0)
	w.say(0, start(q.id, "200 OK", nil, "some"))
	resp, err := http.ReadResponse(c.br, nil)
	must(t, err)
	if body, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("%q looks complete", body)
	}
	r.hear(wire.TypeTimeout)
	w.say(0, chunk(q.id, "more"))
	w.say(0, end(q.id))
	eventually(t, "nothing is in flight", func() bool { return r.inFlight() == 0 })
}

// A request that waits for a worker is not over its time.
func TestWaitingIsNoTimeout(t *testing.T) {
	t.Parallel()
	r, w := hasty(t, 2)
	c := r.dial()
	c.get("/")
	r.silent(wire.TypeTimeout, 2500*time.Millisecond)
	w.say(0, echo(w.take(0)))
	c.expect(200, "GET / ")
}

func TestNoTimeout(t *testing.T) {
	cfg := testConfig()
	cfg.Timeout = 0
	r := newRig(t, 0)
	r.listen()
	w := r.worker(r.generation(1, cfg), 1)
	c := r.dial()
	c.get("/")
	q := w.take(0)
	r.silent(wire.TypeTimeout, 700*time.Millisecond)
	w.say(0, echo(q))
	c.expect(200, "GET / ")
}

func TestExpireWorker(t *testing.T) {
	r, w := answering(t)
	a, b := r.dial(), r.dial()
	a.get("/a")
	w.take(0)
	b.get("/b")
	w.take(1)
	r.tell(wire.ToFront{Type: wire.TypeExpire, Age: w.age})
	a.expect(504, "*")
	b.expect(504, "*")
	r.hear(wire.TypeTimeout)
	r.hear(wire.TypeTimeout)
}

func TestExpireAll(t *testing.T) {
	r := newRig(t, 0)
	r.listen()
	w := r.worker(r.generation(1, testConfig()), 1)
	running, unread, waiting := r.dial(), r.dial(), r.dial()
	running.get("/running")
	w.take(0)
	unread.get("/unread")
	eventually(t, "it is handed over", func() bool { return r.inFlight() == 2 })
	waiting.get("/waiting")
	eventually(t, "one waits", func() bool { return r.waiting() == 1 })
	r.tell(wire.ToFront{Type: wire.TypeExpire})
	running.expect(504, "*")
	unread.expect(503, "*")
	waiting.expect(503, "*")
	if q, ok := w.receive(50 * time.Millisecond); ok {
		t.Errorf("%s is run all the same", q.environ["RAW_URI"])
	}
	if r.inFlight() != 0 || r.waiting() != 0 {
		t.Error("something is left")
	}
}

// A request whose app asked for more time has it, and no other has.
func TestExtend(t *testing.T) {
	t.Parallel()
	r, w := hasty(t, 3)
	long, short := r.dial(), r.dial()
	long.get("/long")
	q := w.take(0)
	w.say(0, extend(q.id, 60000))
	eventually(t, "the slot knows its deadline", func() bool { return w.deadline(0) == q.id })
	w.say(0, extend(q.id, 1)) // takes nothing back
	short.get("/short")
	over := w.take(1)
	short.expect(504, "*")
	if m := r.hear(wire.TypeTimeout); m.Path != "/short" || m.Others != 1 {
		t.Errorf("told %+v", m)
	}
	w.say(0, extend(over.id, 60000)) // of a request that is over
	w.say(0, echo(q))
	long.expect(200, "GET /long ")
}

func TestExtendedTimeEndsToo(t *testing.T) {
	t.Parallel()
	r, w := hasty(t, 3)
	c := r.dial()
	c.get("/")
	q := w.take(0)
	eventually(t, "the slot knows its deadline", func() bool { return w.deadline(0) == q.id })
	w.say(0, extend(q.id, 4000))
	c.expect(504, "*")
	if m := r.hear(wire.TypeTimeout); m.Seconds < 3.9 {
		t.Errorf("it ended after %g s", m.Seconds)
	}
}
