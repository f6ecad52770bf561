package front

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"indrik/internal/errlog"
	"indrik/internal/wire"
)

// onlyConn is the connection there is.
func (r *rig) onlyConn() *conn {
	r.t.Helper()
	var c *conn
	eventually(r.t, "one connection is there", func() bool {
		all := r.s.all()
		if len(all) == 1 {
			c = all[0]
		}
		return len(all) == 1
	})
	return c
}

func (r *rig) noConns() {
	r.t.Helper()
	eventually(r.t, "no connection is left", func() bool { return len(r.s.all()) == 0 })
}

// A response can be given up before any of it was written, also when the
// connection has served others before.
func TestGivenUpBeforeItsHead(t *testing.T) {
	r, w := answering(t)
	c := r.dial()
	for range 2 {
		c.get("/")
		w.say(0, echo(w.take(0)))
		c.expect(200, "*")
	}
	have := r.onlyConn()
	c.get("/given-up")
	q := w.take(0)
	have.out.Kill()
	c.closed()
	r.noConns()
	w.say(0, echo(q)) // is for nobody
	eventually(t, "nothing is in flight", func() bool { return r.inFlight() == 0 })
}

// What the app gave before it failed reaches the client, however slow, and then
// the end that is none.
func TestCutOffAfterWhatWasGiven(t *testing.T) {
	r, w := answering(t)
	c := r.dial()
	c.get("/")
	q := w.take(0)
	part := strings.Repeat("x", 100<<10)
	w.say(0, start(q.id, "200 OK", nil, part))
	const parts = 100
	for range parts - 1 {
		w.say(0, chunk(q.id, part))
	}
	w.say(0, failed(q.id))
	eventually(t, "the app's failure is known", func() bool { return r.inFlight() == 0 })
	resp, err := http.ReadResponse(c.br, nil)
	must(t, err)
	body, err := io.ReadAll(resp.Body)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the body ends with %v", err)
	}
	if len(body) != parts*len(part) {
		t.Errorf("%d bytes came, of %d", len(body), parts*len(part))
	}
	c.nc.Close()
	r.noConns()
}

// Without a length or chunks only a reset tells a body that was cut off from one
// that is complete.
func TestCutOffWithoutFraming(t *testing.T) {
	r, w := answering(t)
	for i := range 30 {
		c := r.dial()
		if i%2 == 0 {
			c.send("GET / HTTP/1.0\n\n")
		} else { // its end would come in two steps
			c.send("POST / HTTP/1.0\nContent-Length: 1\n\nx")
		}
		q := w.take(0)
		w.say(0, start(q.id, "200 OK", nil, "some"))
		resp, err := http.ReadResponse(c.br, nil)
		must(t, err)
		must(t, readFull(resp.Body, "some"))
		w.say(0, failed(q.id))
		if _, err := resp.Body.Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Fatalf("%v: the body looks complete", err)
		}
	}
}

func readFull(r io.Reader, want string) error {
	b := make([]byte, len(want))
	if _, err := io.ReadFull(r, b); err != nil {
		return err
	}
	if string(b) != want {
		return errors.New("got " + string(b))
	}
	return nil
}

// A head that cannot be sent is answered with 500. That the app fails afterwards,
// too, takes nothing from the client.
func TestFailureAfterBadHead(t *testing.T) {
	r, w := answering(t)
	c := r.dial()
	c.get("/")
	q := w.take(0)
	w.say(0, start(q.id, "200 OK", []header{{"X-Bad", "a\nb"}}, "body"))
	w.say(0, chunk(q.id, "more"))
	w.say(0, failed(q.id))
	c.expect(500, "*")
	c.get("/next")
	w.say(0, echo(w.take(0)))
	c.expect(200, "GET /next ")
}

// The app may send bytes where there can be none; one line says so.
func TestOneWarningForBytesWithoutBody(t *testing.T) {
	r, w := answering(t)
	c := r.dial()
	c.get("/")
	q := w.take(0)
	w.say(0, start(q.id, "204 No Content", nil, "a"))
	for range 3 {
		w.say(0, chunk(q.id, "b"))
	}
	w.say(0, end(q.id))
	c.expect(204, "")
	c.get("/next")
	w.say(0, echo(w.take(0)))
	c.expect(200, "*")
	if n := strings.Count(r.log.String(), "dropping per RFC 9110"); n != 1 {
		t.Errorf("%d warnings", n)
	}
}

// Without a place for temporary files a response waits in memory and, beyond that,
// with its worker, and the log says so, once.
func TestNoPlaceForResponses(t *testing.T) {
	r := newRig(t, 0)
	r.listen()
	cfg := testConfig()
	cfg.TmpUploadDir = "/nowhere"
	w := r.worker(r.generation(1, cfg), 1)
	c := r.dial()
	must(t, c.nc.(*net.TCPConn).SetReadBuffer(4096))
	c.get("/")
	q := w.take(0)
	const parts = 200 // more than the kernel takes
	given := make(chan struct{})
	go func() {
		defer close(given)
		w.say(0, start(q.id, "200 OK", nil, ""))
		for range parts {
			w.say(0, chunk(q.id, strings.Repeat("x", 64<<10)))
		}
		w.say(0, end(q.id))
	}()
	const line = "cannot keep a response that its client takes slowly, the worker has to wait"
	eventually(t, "the log says it", func() bool { return strings.Contains(r.log.String(), line) })
	c.nc.Close() // nothing else would end the wait
	<-given
	if n := strings.Count(r.log.String(), line); n != 1 {
		t.Errorf("%d times", n)
	}
}

// However long a target is, the master can be told of it.
func TestTimeoutOfLongTarget(t *testing.T) {
	cfg := testConfig()
	cfg.Timeout, cfg.LimitRequestLine, cfg.LimitRequestHead = 1, 0, 0
	r := newRig(t, 0)
	r.listen()
	w := r.worker(r.generation(1, cfg), 1)
	c := r.dial()
	c.get("/" + strings.Repeat("<", 200<<10))
	w.take(0)
	if m := r.hear(wire.TypeTimeout); m.Age != w.age || len(m.Path) != reportedPath {
		t.Errorf("%s of worker %d with a path of %d bytes", m.Type, m.Age, len(m.Path))
	}
	c.expect(504, "*")
}

// Whoever ends a connection does not wait for its socket, which a file may be sent to out of a
// file system that does not answer: the deadlines of all others would wait, too.
func TestEndingAConnectionWaitsForNobody(t *testing.T) {
	r := newRig(t, 0)
	r.listen()
	w := r.worker(r.generation(1, testConfig()), 1)
	c := r.dial()
	c.get("/")
	q := w.take(0)
	accepted := r.onlyConn()
	sending, answers, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		accepted.raw.Write(func(uintptr) bool {
			close(sending)
			<-answers
			return true
		})
	}()
	<-sending
	killed := make(chan struct{})
	go func() {
		accepted.out.Kill()
		close(killed)
	}()
	select {
	case <-killed:
	case <-time.After(patience):
		t.Error("it waits")
	}
	close(answers)
	<-over
	<-killed
	c.closed()
	w.say(0, echo(q)) // is for nobody
	r.noConns()
}

// What a connection has of a request whose response was cut off stays until the connection ends:
// whoever answers may still look at it.
func TestCutOffRequestIsNotForgotten(t *testing.T) {
	for _, cut := range []bool{false, true} {
		_, file := streamPair(t)
		nc, err := net.FileConn(file)
		must(t, err)
		defer nc.Close()
		s := newServer(errlog.New(io.Discard), 0, func(wire.FromFront) {})
		c, err := newConn(s, nc, newEndpoint("unix:x", "unix"))
		must(t, err)
		c.takeBuffer()
		c.setBusy(true)
		c.out.Begin(false)
		if cut {
			c.out.Kill()
		} else {
			c.out.Finish(true)
		}
		c.tryRead(file.Fd()) // c.sock may be closed by now
		if has := c.buf != nil; has != cut {
			t.Errorf("cut off %v: it has its buffer: %v", cut, has)
		}
	}
}
