package front

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"indrik/internal/wire"
)

// greenlets is a front whose generation has a timeout, in seconds, and a worker of kind
// gevent.
func greenlets(t *testing.T, timeout int) (*rig, *fakeWorker) {
	cfg := testConfig()
	cfg.Timeout, cfg.WorkerConnections, cfg.Kind = timeout, 2, wire.KindGevent
	r := newRig(t, 0)
	r.listen()
	w := r.quietWorker(r.generation(1, cfg), 1)
	r.tell(wire.ToFront{Type: wire.TypeActivate, Age: w.age, Kind: wire.KindGevent})
	if e := w.event(); e.kind != wire.EventReset {
		t.Fatalf("the first event is %v", e.kind)
	}
	return r, w
}

// An event is what such a worker gets.
type event struct {
	kind wire.Event
	request
}

// event takes the next event, which must come; pings are answered on the way.
func (w *fakeWorker) event() event {
	w.t.Helper()
	for {
		e := w.eventOrPing()
		if e.kind != wire.EventPing {
			return e
		}
		w.setWord(wordPing, uint64(e.id))
	}
}

// unanswered takes the next event but pings, which are not answered.
func (w *fakeWorker) unanswered() event {
	w.t.Helper()
	for {
		if e := w.eventOrPing(); e.kind != wire.EventPing {
			return e
		}
	}
}

// eventOrPing takes the next event, which must come. A request is claimed.
func (w *fakeWorker) eventOrPing() event {
	w.t.Helper()
	buf := make([]byte, wire.MaxMessage)
	oob := make([]byte, 128)
	fd := int(w.slots[0].Fd())
	for end := time.Now().Add(patience); time.Now().Before(end); {
		n, oobn, _, _, err := unix.Recvmsg(fd, buf, oob, unix.MSG_DONTWAIT)
		if err != nil {
			unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 20)
			continue
		}
		v, _ := unmarshal(w.t, buf[:n])
		items := v.([]any)[0].([]any) // one request at a time comes here
		e := event{kind: wire.Event(items[0].(int64))}
		e.id = uint32(items[1].(int64))
		if e.kind == wire.EventRequest {
			// The rest is like a message of the queue.
			environ, _ := items[2].(map[string]string) // nil: in a file
			e.request = requestOf(w.t, items[1], environ, items[3], oob[:oobn])
			w.setWord(slotWord(0, wordClaimed), uint64(e.id)) // the claim
		}
		return e
	}
	w.t.Fatal("no event came")
	return event{}
}

func (w *fakeWorker) expectEvent(kind wire.Event, id uint32) {
	w.t.Helper()
	if e := w.event(); e.kind != kind || e.id != id {
		w.t.Fatalf("%v of %d came, want %v of %d", e.kind, e.id, kind, id)
	}
}

func TestGreenlets(t *testing.T) {
	r, w := greenlets(t, 30)
	a, b, c := r.dial(), r.dial(), r.dial()
	a.get("/a?x=y")
	qa := w.event()
	if qa.environ["PATH_INFO"] != "/a" || qa.environ["QUERY_STRING"] != "x=y" || qa.environ["REQUEST_METHOD"] != "GET" {
		t.Errorf("the environ is %v", qa.environ)
	}
	b.send("POST /b HTTP/1.1\nHost: a\nContent-Length: 5\n\nhello")
	qb := w.event()
	c.get("/c") // has to wait: worker_connections is 2
	eventually(t, "one waits", func() bool { return r.waiting() == 1 })
	w.say(0, echo(qb.request))
	b.expect(200, "POST /b hello")
	qc := w.event()
	w.say(0, echo(qc.request))
	c.expect(200, "GET /c ")
	w.say(0, echo(qa.request))
	a.expect(200, "GET /a ")

	// A large body is elsewhere.
	large := strings.Repeat("x", 300<<10)
	a.send("POST /large HTTP/1.1\nHost: a\nContent-Length: %d\n\n%s", len(large), large)
	q := w.event()
	if !q.inArena || string(q.body) != large {
		t.Errorf("a body of %d bytes, in the arena: %t", len(q.body), q.inArena)
	}
	w.say(0, response(q.id, "200 OK", nil, "got it"))
	a.expect(200, "got it")
}

func TestLateGreenlet(t *testing.T) {
	t.Parallel()
	r, w := greenlets(t, 3)
	late, long := r.dial(), r.dial()
	late.get("/late")
	q := w.event()
	long.get("/long")
	other := w.event()
	w.say(0, extend(other.id, 60000))
	w.expectEvent(wire.EventLate, q.id)
	late.expect(504, "*")
	w.say(0, echo(q.request)) // is for nobody
	w.say(0, echo(other.request))
	long.expect(200, "GET /long ")
	late.get("/next")
	w.say(0, echo(w.event().request))
	late.expect(200, "GET /next ")
	r.silent(wire.TypeTimeout, 50*time.Millisecond) // no reason to replace the worker
}

// A hub that does not turn cannot end a request: the whole worker is late.
func TestBlockedHub(t *testing.T) {
	t.Parallel()
	r, w := greenlets(t, 2)
	a, b := r.dial(), r.dial()
	a.get("/a")
	w.unanswered()
	b.get("/b")
	w.unanswered()
	m := r.hear(wire.TypeTimeout)
	if m.Age != w.age || m.Blocked != 2 {
		t.Errorf("told %+v", m)
	}
	a.expect(504, "*")
	b.expect(504, "*")
}

// A worker that has closed its socket gets no more, and its requests are no failures.
func TestGreenletsThatLeave(t *testing.T) {
	r, w := greenlets(t, 30)
	c := r.dial()
	w.slots[0].Close()
	c.get("/")
	next := r.quietWorker(w.g, 1)
	r.tell(wire.ToFront{Type: wire.TypeActivate, Age: next.age, Kind: wire.KindGevent})
	next.expectEvent(wire.EventReset, 0)
	next.say(0, echo(next.event().request))
	c.expect(200, "GET / ")
}
