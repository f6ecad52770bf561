package front

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"indrik/internal/status"
	"indrik/internal/wire"
)

// asgiRig is a front with a generation of ASGI.
func asgiRig(t *testing.T, change func(*wire.FrontConfig)) (*rig, *fakeGeneration) {
	t.Helper()
	cfg := testConfig()
	cfg.Kind, cfg.WorkerConnections = wire.KindASGI, 100
	if change != nil {
		change(cfg)
	}
	r := newRig(t, 0)
	r.listen()
	return r, r.generation(1, cfg)
}

// asgiWorker makes an active ASGI worker.
func (r *rig) asgiWorker(g *fakeGeneration) *fakeWorker {
	r.t.Helper()
	w := r.quietWorker(g, 1)
	r.tell(wire.ToFront{Type: wire.TypeActivate, Age: w.age, Kind: wire.KindASGI})
	if kind, front, _, _ := w.next(); kind != wire.EventReset || front != 0 {
		r.t.Fatalf("the first event is %v of %d", kind, front)
	}
	return w
}

// asgiBegun is a front whose ASGI worker has begun a client's request for /.
func asgiBegun(t *testing.T) (r *rig, w *fakeWorker, c *client, id uint32) {
	t.Helper()
	r, g := asgiRig(t, nil)
	w = r.asgiWorker(g)
	c = r.dial()
	c.get("/")
	id, _, _ = w.begin()
	return r, w, c, id
}

// next takes the next event, which must come; pings are not answered.
func (w *fakeWorker) next() (kind wire.Event, id uint32, a, b any) {
	w.t.Helper()
	for {
		kind, id, a, b, ok := w.try(patience)
		if !ok {
			w.t.Fatal("no event came")
		}
		if kind != wire.EventPing {
			return kind, id, a, b
		}
	}
}

func (w *fakeWorker) try(wait time.Duration) (kind wire.Event, id uint32, a, b any, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	buf := make([]byte, wire.MaxMessage)
	fd := int(w.slots[0].Fd())
	for end := time.Now().Add(wait); time.Now().Before(end); {
		if len(w.events) > 0 {
			items := w.events[0].([]any)
			w.events = w.events[1:]
			return wire.Event(items[0].(int64)), uint32(items[1].(int64)), items[2], items[3], true
		}
		if n, _, err := unix.Recvfrom(fd, buf, unix.MSG_DONTWAIT); err == nil {
			if n == 0 {
				break // the front has closed it
			}
			v, _ := unmarshal(w.t, buf[:n])
			w.events = v.([]any)
			continue
		}
		unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 20)
	}
	return 0, 0, nil, nil, false
}

// begin takes the next request and claims it.
func (w *fakeWorker) begin() (id uint32, path string, body []byte) {
	w.t.Helper()
	kind, id, a, b := w.next()
	if kind != wire.EventRequest && kind != wire.EventUpload {
		w.t.Fatalf("%v came, want a request", kind)
	}
	w.setWord(slotWord(0, wordClaimed), uint64(id))
	body, ok := b.([]byte)
	if !ok {
		body = readArena(w.t, w.r.arena().File(0), id, b.([]any))
	}
	return id, a.([]any)[2].(string), body
}

func (w *fakeWorker) expect(kind wire.Event, id uint32) (a, b any) {
	w.t.Helper()
	k, i, a, b := w.next()
	if k != kind || i != id {
		w.t.Fatalf("%v of %d came, want %v of %d", k, i, kind, id)
	}
	return a, b
}

// sayMuch begins a response, and goes on with it as long as the client takes more, or the
// kernel for it, and until full says that neither does.
func (w *fakeWorker) sayMuch(id uint32, part string, full func() bool) {
	w.t.Helper()
	w.say(0, start(id, "200 OK", nil, part))
	window := int64(wire.ResponseWindow - len(part))
	for end := time.Now().Add(patience); time.Now().Before(end); {
		for ; window > 0; window -= int64(len(part)) {
			w.say(0, chunk(id, part))
		}
		if kind, of, n, _, ok := w.try(50 * time.Millisecond); ok {
			if kind == wire.EventCredit && of == id {
				window += n.(int64)
			}
		} else if full() {
			return
		}
	}
	w.t.Fatal("the client takes more and more")
}

func withCount(kind wire.ReplyKind, id uint32, n int64) []byte {
	return wire.AppendInt(message(kind, 3, id), n)
}

func TestIdleASGIWorkersTakeTurns(t *testing.T) {
	r, g := asgiRig(t, nil)
	workers := []*fakeWorker{r.asgiWorker(g), r.asgiWorker(g)}
	c := r.dial()
	got := map[*fakeWorker]int{}
	for range 4 {
		c.get("/")
		i, id := arrived(t, workers)
		got[workers[i]]++
		workers[i].say(0, response(id, "200 OK", nil, "x"))
		c.expect(200, "x")
	}
	for i, w := range workers {
		if got[w] != 2 {
			t.Errorf("worker %d got %d of 4 requests", i, got[w])
		}
	}
}

func TestASGIRequestsGoToTheLeastBusy(t *testing.T) {
	r, g := asgiRig(t, func(cfg *wire.FrontConfig) { cfg.WorkerConnections = 2 })
	a, b := r.asgiWorker(g), r.asgiWorker(g)
	var clients []*client
	get := func() {
		before := r.inFlight() + r.waiting()
		c := r.dial()
		c.get("/")
		clients = append(clients, c)
		eventually(t, "the front has it", func() bool { return r.inFlight()+r.waiting() > before })
	}
	get()
	get()
	// One each; and nobody has more than two.
	ia, _, _ := a.begin()
	ib, _, _ := b.begin()
	for range 3 {
		get()
	}
	if n, m := r.inFlight(), r.waiting(); n != 4 || m != 1 {
		t.Fatalf("%d in flight, %d wait", n, m)
	}
	a.say(0, response(ia, "200 OK", nil, "a"))
	a.begin()
	if id, _, _ := a.begin(); id == ia {
		t.Error("the same request again")
	}
	b.begin()
	b.say(0, response(ib, "200 OK", nil, "b"))
	clients[0].expect(200, "*")
	clients[1].expect(200, "*")
}

// When a worker dies, what it has begun is lost and what it has not is not.
func TestASGIWorkerDies(t *testing.T) {
	r, g := asgiRig(t, nil)
	w := r.asgiWorker(g)
	begun, unbegun := r.dial(), r.dial()
	begun.get("/begun")
	w.begin()
	unbegun.get("/unbegun")
	if kind, _, _, _ := w.next(); kind != wire.EventRequest {
		t.Fatal(kind)
	}
	eventually(t, "both are in flight", func() bool { return r.inFlight() == 2 })
	w.kill()
	begun.expect(502, "*")
	next := r.asgiWorker(g)
	id, path, _ := next.begin()
	if path != "/unbegun" {
		t.Errorf("%s was given again", path)
	}
	next.say(0, response(id, "200 OK", nil, "late"))
	unbegun.expect(200, "late")
}

func TestASGIWorkerLeaves(t *testing.T) {
	r, g := asgiRig(t, nil)
	w := r.asgiWorker(g)
	c := r.dial()
	c.get("/")
	_, id, _, _ := w.next()
	w.say(0, message(wire.ReplyLeave, 2, id))
	// It gets nothing more, also if there is no other.
	eventually(t, "the request waits", func() bool { return r.waiting() == 1 })
	if kind, _, _, _, ok := w.try(100 * time.Millisecond); ok && kind != wire.EventPing {
		t.Errorf("%v", kind)
	}
	next := r.asgiWorker(g)
	id, _, _ = next.begin()
	next.say(0, response(id, "204 No Content", nil, ""))
	c.expect(204, "")
}

func TestASGIBlocked(t *testing.T) {
	t.Parallel()
	r, g := asgiRig(t, func(cfg *wire.FrontConfig) { cfg.Timeout = 3 })
	w := r.asgiWorker(g)
	begun := r.dial()
	begun.get("/begun")
	w.begin()
	unbegun := r.dial()
	unbegun.get("/unbegun")
	begun.expect(504, "*") // nobody has answered the ping
	if m := r.hear(wire.TypeTimeout); m.Blocked != 1 || m.Seconds < 3 || m.Method != "" {
		t.Errorf("%+v", m)
	}
	if front := w.word(wordFront); front != 0 {
		t.Errorf("the worker may begin requests of front %d", front)
	}
	next := r.asgiWorker(g)
	id, path, _ := next.begin()
	next.say(0, response(id, "200 OK", nil, path))
	unbegun.expect(200, "/unbegun")
}

// A body of some size that is there soon comes with its request.
func TestASGIBodySoon(t *testing.T) {
	r := newRig(t, 0, func(s *server) { s.soon = patience })
	r.listen()
	cfg := testConfig()
	cfg.Kind, cfg.WorkerConnections = wire.KindASGI, 100
	w := r.asgiWorker(r.generation(1, cfg))
	c := r.dial()
	body := strings.Repeat("0123456789", 50_000)
	c.send("POST / HTTP/1.1\nHost: a\nContent-Length: %d\n\n%s", len(body), body[:1000])
	time.Sleep(soon / 4) // until what has come is read
	c.nc.Write([]byte(body[1000:] + "GET /next HTTP/1.1\r\nHost: a\r\n\r\n"))
	kind, id, _, item := w.next()
	if kind != wire.EventRequest || string(readArena(t, r.arena().File(0), id, item.([]any))) != body {
		t.Errorf("%v, %v", kind, item)
	}
	w.say(0, response(id, "200 OK", nil, "ok"))
	c.expect(200, "ok")
	if _, path, _ := w.begin(); path != "/next" {
		t.Error(path)
	}
}

// What comes is told in pieces that the worker wants, and no others.
func TestASGIBodyStream(t *testing.T) {
	r, g := asgiRig(t, nil)
	w := r.asgiWorker(g)
	c := r.dial()
	c.send("POST / HTTP/1.1\nHost: a\nContent-Length: 200000\n\n%s", strings.Repeat("x", 1000))
	id, _, first := w.begin()
	c.nc.Write([]byte(strings.Repeat("x", 200000-1000)))
	got := len(first)
	if kind, _, _, _, ok := w.try(100 * time.Millisecond); ok && kind != wire.EventPing {
		t.Fatalf("%v came unasked", kind)
	}
	w.say(0, withCount(wire.ReplyCredit, id, 50000))
	for want := got + 50000; got < want; {
		data, more := w.expect(wire.EventBody, id)
		got += len(data.([]byte))
		if got > want || more != int64(1) {
			t.Fatalf("%d bytes, more %v", got, more)
		}
	}
	w.say(0, withCount(wire.ReplyCredit, id, wire.BodyWindow))
	for got < 200000 {
		data, more := w.expect(wire.EventBody, id)
		got += len(data.([]byte))
		if (more == int64(1)) == (got == 200000) {
			t.Fatalf("%d bytes, more %v", got, more)
		}
	}
	w.say(0, response(id, "200 OK", nil, "ok"))
	c.expect(200, "ok")
	c.get("/next")
	id, path, _ := w.begin()
	if path != "/next" {
		t.Error(path)
	}
	w.say(0, append(start(id, "200 OK", nil, "a"), append(chunk(id, "b"), end(id)...)...)) // in one message
	c.expect(200, "ab")
}

// The room for a response comes back when its bytes have gone to the client.
func TestASGIGrant(t *testing.T) {
	_, w, c, id := asgiBegun(t)
	part := strings.Repeat("x", 100000)
	w.say(0, start(id, "200 OK", []header{{"Content-Length", "400000"}}, part))
	if n, _ := w.expect(wire.EventCredit, id); n != int64(100000) {
		t.Errorf("%v were granted", n)
	}
	for range 3 {
		w.say(0, chunk(id, part))
	}
	w.say(0, end(id))
	granted := int64(0)
	c.expect(200, strings.Repeat(part, 4))
	for granted < 100000 { // the last ones need not come back
		n, _ := w.expect(wire.EventCredit, id)
		granted += n.(int64)
	}
	for {
		kind, i, n, _, ok := w.try(100 * time.Millisecond)
		if !ok {
			break
		}
		if kind == wire.EventCredit && i == id {
			granted += n.(int64)
		}
	}
	if granted > 300000 {
		t.Errorf("%d more were granted", granted)
	}
}

func TestASGIClientGone(t *testing.T) {
	r, w, c, id := asgiBegun(t)
	w.say(0, start(id, "200 OK", nil, "first"))
	if b, err := c.br.Peek(1); err != nil || b[0] != 'H' {
		t.Fatal(err)
	}
	c.nc.Close()
	w.expect(wire.EventGone, id)
	w.say(0, failed(id))
	eventually(t, "nothing is in flight", func() bool { return r.inFlight() == 0 })
}

// A part of a file that did not come must not be missing in what looks complete.
func TestASGIPartWithoutFile(t *testing.T) {
	r, w, c, id := asgiBegun(t)
	w.say(0, start(id, "200 OK", nil, ""))
	w.say(0, wire.AppendInt(wire.AppendInt(message(wire.ReplyPart, 4, id), 0), 5))
	w.expect(wire.EventGone, id)
	w.say(0, append(chunk(id, "more"), end(id)...))
	if b, err := io.ReadAll(c.br); strings.HasSuffix(string(b), "0\r\n\r\n") {
		t.Errorf("got %q, %v", b, err)
	}
	eventually(t, "nothing is in flight", func() bool { return r.inFlight() == 0 })
}

func TestASGIFail(t *testing.T) {
	r, w, c, id := asgiBegun(t)
	w.say(0, withCount(wire.ReplyFail, id, 504))
	c.expect(504, "*")
	c.get("/")
	w.begin()
	w.say(0, append([]byte("nonsense"), response(id, "200 OK", nil, "is not heard")...))
	if m := r.hear(wire.TypeBroken); m.Age != w.age {
		t.Errorf("%+v", m)
	}
	c.expect(502, "*")
}

// A front that comes after another tells its workers so.
func TestASGISecondFront(t *testing.T) {
	r := newRig(t, 5)
	r.listen()
	cfg := testConfig()
	cfg.Kind = wire.KindASGI
	g := r.generation(1, cfg)
	w := r.quietWorker(g, 1)
	w.setWord(slotWord(0, wordClaimed), 4<<24|7) // claimed from the one before
	r.tell(wire.ToFront{Type: wire.TypeActivate, Age: w.age, Kind: wire.KindASGI})
	w.expect(wire.EventReset, 5)
	if front := w.word(wordFront); front != 6 {
		t.Errorf("word 1 is %d", front)
	}
	c := r.dial()
	c.get("/")
	if _, id, _, _ := w.next(); id>>24 != 5 {
		t.Errorf("id %x", id)
	}
	w.kill() // it has not begun that
	next := r.asgiWorkerOf(g, 5)
	id, _, _ := next.begin()
	next.say(0, response(id, "200 OK", nil, ""))
	c.expect(200, "")
}

func (r *rig) asgiWorkerOf(g *fakeGeneration, front uint32) *fakeWorker {
	w := r.quietWorker(g, 1)
	r.tell(wire.ToFront{Type: wire.TypeActivate, Age: w.age, Kind: wire.KindASGI})
	w.expect(wire.EventReset, front)
	return w
}

// What a worker has answered to a front that has died says nothing of its loop.
func TestLoopAskedByAnotherFront(t *testing.T) {
	r, g := asgiRig(t, nil)
	w := r.quietWorker(g, 1)
	w.setWord(wordPing, 5) // the number of the last ping
	r.tell(wire.ToFront{Type: wire.TypeActivate, Age: w.age, Kind: wire.KindASGI})
	w.expect(wire.EventReset, 0)
	c := r.dial()
	c.get("/")
	id, _, _ := w.begin()
	if kind, _, _, _, ok := w.try(patience); !ok || kind != wire.EventPing {
		t.Fatalf("%v came, want a ping", kind)
	}
	w.say(0, response(id, "200 OK", nil, "fine"))
	c.expect(200, "fine")
}

// A worker that has read a request and does not begin it, while its loop turns, is ended,
// and another one gets the request.
func TestRequestThatIsPassedOver(t *testing.T) {
	r, g := asgiRig(t, nil)
	w := r.asgiWorker(g)
	c := r.dial()
	c.get("/")
	if kind, _, _, _, ok := w.try(patience); !ok || kind != wire.EventRequest {
		t.Fatalf("%v came, want the request", kind)
	}
	kind, ping, _, _, ok := w.try(patience)
	if !ok || kind != wire.EventPing {
		t.Fatalf("%v came, want a ping", kind)
	}
	other := r.asgiWorker(g)
	w.setWord(wordPing, uint64(ping))
	if m := r.hear(wire.TypeBroken); m.Age != w.age || m.Reason != "it passed over a request that it was given" {
		t.Errorf("the master hears %+v", m)
	}
	w.kill()
	r.tell(wire.ToFront{Type: wire.TypeGone, Age: w.age})
	id, _, _ := other.begin()
	other.say(0, response(id, "200 OK", nil, "fine"))
	c.expect(200, "fine")
}

// One that claims what it reads may take its time, however often it is asked.
func TestRequestThatTakesLong(t *testing.T) {
	r, g := asgiRig(t, nil)
	w := r.asgiWorker(g)
	c := r.dial()
	c.get("/")
	id, _, _ := w.begin()
	for range 2 {
		kind, ping, _, _, ok := w.try(patience)
		if !ok || kind != wire.EventPing {
			t.Fatalf("%v came, want a ping", kind)
		}
		w.setWord(wordPing, uint64(ping))
	}
	w.say(0, response(id, "200 OK", nil, "fine"))
	c.expect(200, "fine")
}

// A worker that writes over what it is told on its scoreboard is ended: it would take requests
// and begin none.
func TestBoardThatIsWrittenOver(t *testing.T) {
	r, w, c, _ := asgiBegun(t)
	w.setWord(wordFront, ^uint64(0))
	if m := r.hear(wire.TypeBroken); m.Age != w.age || m.Reason != "it wrote over what the front alone writes to its scoreboard" {
		t.Errorf("the master hears %+v", m)
	}
	c.expect(502, "*")
}

// The master learns what a worker runs, and the worker is asked for its stacks, unless its loop
// does not turn.
func TestTrace(t *testing.T) {
	r, w, _, id := asgiBegun(t)
	ask := func() status.Load {
		r.tell(wire.ToFront{Type: wire.TypeTrace, Call: 9, Age: w.age, Trace: 5})
		var f status.Front
		must(t, json.Unmarshal(r.hear(wire.TypeOK).Status, &f))
		return f.Loads[w.age]
	}
	if load := ask(); len(load.Running) != 1 || load.Running[0].Path != "/" || load.Running[0].Number != id {
		t.Errorf("%+v", load)
	}
	if kind, id, a, _ := w.next(); kind != wire.EventTrace || id != 0 || a != int64(5) {
		t.Errorf("%v %d %v", kind, id, a)
	}
	eventually(t, "it has not answered the first ping for long enough", func() bool {
		_, loads, _ := r.s.queue.Status(time.Now())
		return loads[w.age].Lag > 1.1
	})
	ask()
	if kind, _, _, _, ok := w.try(100 * time.Millisecond); ok && kind != wire.EventPing {
		t.Errorf("a loop that does not turn is sent %v", kind)
	}
	r.tell(wire.ToFront{Type: wire.TypeTrace, Call: 9, Age: 99})
	var f status.Front
	must(t, json.Unmarshal(r.hear(wire.TypeOK).Status, &f))
	if len(f.Loads) != 0 {
		t.Errorf("%+v", f)
	}
}
