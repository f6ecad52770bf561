package front

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"indrik/internal/websocket"
	"indrik/internal/wire"
)

// streamPair returns both ends of a pair as a worker makes it. That of the app is read and
// written by the test.
func streamPair(t testing.TB) (app net.Conn, front *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	must(t, err)
	front = os.NewFile(uintptr(fds[1]), "front")
	f := os.NewFile(uintptr(fds[0]), "app")
	app, err = net.FileConn(f)
	must(t, err)
	f.Close()
	app.SetDeadline(time.Now().Add(clientPatience))
	t.Cleanup(func() { app.Close(); front.Close() })
	return app, front
}

// appFixture is a fixture whose worker is an app that frames its messages itself.
func appFixture(t testing.TB) (*socketFixture, net.Conn) {
	t.Helper()
	f := newSocketFixture(t)
	f.sk.ex.kind = wire.KindSync
	app, front := streamPair(t)
	if took, err := f.sk.obey(&wire.Reply{Kind: wire.ReplyAccept}, front); !took || err != nil {
		t.Fatal(took, err)
	}
	f.expect(t, "accepted")
	return f, app
}

// expect waits until the client, or the worker, has got what is wanted, and nothing else.
func (f *socketFixture) expect(t testing.TB, want string) {
	t.Helper()
	got := ""
	for end := time.Now().Add(patience); got != want && time.Now().Before(end); time.Sleep(time.Millisecond) {
		if more := f.got(); more != "" {
			got = strings.TrimPrefix(got+"; "+more, "; ")
		}
	}
	if got != want {
		t.Fatalf("%s, not %s", got, want)
	}
}

// appGets expects the next bytes that the app reads.
func appGets(t testing.TB, app io.Reader, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(app, got); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("the app got %q, %v, not %q", got, err, want)
	}
}

func write(t testing.TB, w io.Writer, b string) {
	t.Helper()
	_, err := io.WriteString(w, b)
	must(t, err)
}

// TestAppSocket: frames of the app become messages for the client, in whatever pieces they come,
// and the other way round.
func TestAppSocket(t *testing.T) {
	f, app := appFixture(t)
	write(t, app, "\x81\x02hi")
	f.expect(t, `"\x81\x02hi"`)
	for _, piece := range []string{"\x01", "\x01", "a", "\x89\x01", "p", "\x80\x01b"} {
		write(t, app, piece)
		time.Sleep(2 * time.Millisecond)
	}
	f.expect(t, `"\x01\x01a"; "\x89\x01p"; "\x80\x01b"`)
	f.take(t, clientFrame(0x8a, "q"), clientFrame(0x8a, "p"), clientFrame(0x8a, "p"), clientFrame(0x81, "yo"), clientFrame(0x89, "c"))
	f.expect(t, `"\x8a\x01c"`) // the front answers the client's ping
	appGets(t, app, append(clientFrame(0x8a, "p"), clientFrame(0x81, "yo")...))
	if f.take(t, clientFrame(0x88, "\x0f\xa0x")) {
		t.Error("it goes on")
	}
	f.expect(t, `"\x88\x03\x0f\xa0x"; finished`)
	appGets(t, app, clientFrame(0x88, "\x0f\xa0x"))
	write(t, app, "\x88\x02\x0f\xa0") // as the protocol wants it
	if rest, err := io.ReadAll(app); len(rest) > 0 || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
	if _, err := f.sk.obey(&wire.Reply{Kind: wire.ReplyClose, CloseCode: 1000}, nil); err != nil {
		t.Error(err)
	}
	eventually(t, "the socket is given up", func() bool {
		_, err := app.Write(nil)
		return err != nil || f.sk.appSocket().raw.Control(func(uintptr) {}) != nil
	})
	f.expect(t, "")
}

// TestAppSocketEnds: what the client is told, by how the app ends. What it had sent comes before.
func TestAppSocketEnds(t *testing.T) {
	reply := func(r *wire.Reply) func(*testing.T, *socketFixture, net.Conn) {
		return func(t *testing.T, f *socketFixture, app net.Conn) {
			write(t, app, "\x82\x01x")
			if _, err := f.sk.obey(r, nil); err != nil {
				t.Error(err)
			}
		}
	}
	for name, test := range map[string]struct {
		act  func(t *testing.T, f *socketFixture, app net.Conn)
		want string
	}{
		"close frame":    {func(t *testing.T, f *socketFixture, app net.Conn) { write(t, app, "\x82\x01x\x88\x05\x0f\xa0bye") }, `"\x82\x01x"; "\x88\x05\x0f\xa0bye"`},
		"without a code": {func(t *testing.T, f *socketFixture, app net.Conn) { write(t, app, "\x88\x00") }, `"\x88\x00"`},
		"returns":        {reply(&wire.Reply{Kind: wire.ReplyClose, CloseCode: 1000}), `"\x82\x01x"; "\x88\x02\x03\xe8"`},
		"fails":          {func(t *testing.T, f *socketFixture, app net.Conn) { write(t, app, "\x82\x01x"); f.sk.fail() }, `"\x82\x01x"; "\x88\x02\x03\xf3"`},
		"shuts":          {func(t *testing.T, f *socketFixture, app net.Conn) { write(t, app, "\x82\x01x"); app.Close() }, `"\x82\x01x"; "\x88\x02\x03\xf3"`},
		"shuts, returns": {func(t *testing.T, f *socketFixture, app net.Conn) {
			app.Close()
			time.Sleep(10 * time.Millisecond)
			f.sk.obey(&wire.Reply{Kind: wire.ReplyClose, CloseCode: 1000}, nil)
		}, `"\x88\x02\x03\xe8"`},
		"a mask":   {func(t *testing.T, f *socketFixture, app net.Conn) { app.Write(clientFrame(0x81, "x")) }, `"\x88\x02\x03\xf3"`},
		"no UTF-8": {func(t *testing.T, f *socketFixture, app net.Conn) { write(t, app, "\x81\x01\xff") }, `"\x88\x02\x03\xf3"`},
		"idle flood": {func(t *testing.T, f *socketFixture, app net.Conn) {
			app.Write(bytes.Repeat([]byte{0x8a, 0}, idleSocketFrames+20))
		}, `"\x88\x02\x03\xf3"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, app := appFixture(t)
			test.act(t, f, app)
			f.expect(t, test.want)
		})
	}
}

// TestAppSocketSlowClient: an app whose client takes nothing has to wait, also at its end.
func TestAppSocketSlowClient(t *testing.T) {
	f, app := appFixture(t)
	client := &recorded{f, new(bytes.Buffer)}
	f.sk.mu.Lock()
	f.sk.transport = client
	f.sk.mu.Unlock()
	f.mu.Lock()
	f.full = true
	f.mu.Unlock()
	frame := append([]byte{0x82, 126, 0x40, 0}, make([]byte, 0x4000)...)
	app.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
	sent := 0
	for ; ; sent++ {
		if _, err := app.Write(frame); err != nil {
			break
		}
		if sent > 1000 {
			t.Fatal("the app can send on and on")
		}
	}
	done := make(chan struct{})
	go func() {
		f.sk.obey(&wire.Reply{Kind: wire.ReplyClose, CloseCode: 1000}, nil)
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("the slot waits for the client")
	}
	total, d := 0, websocket.Decoder{OfServer: true}
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the client has got %d frames of %d, and no end", total/0x4000, sent)
		}
		f.mu.Lock()
		low := f.low
		f.low = nil
		got := client.all.Bytes()
		n, ev, err := d.Next(got)
		client.all.Next(n)
		f.mu.Unlock()
		must(t, err)
		total += len(ev.Data)
		if ev.Kind == websocket.Close {
			if ev.Code != 1000 {
				t.Errorf("code %d", ev.Code)
			}
			break
		}
		if low != nil {
			low()
		}
	}
	if total < sent*0x4000 {
		t.Errorf("the client got %d frames of %d", total/0x4000, sent)
	}
}

// TestAppSocketDeafApp: a client whose app receives nothing has to wait, and what is left when
// the connection is over holds nobody up.
func TestAppSocketDeafApp(t *testing.T) {
	f, app := appFixture(t)
	message := bytes.Repeat([]byte("x"), 1000)
	frame := websocket.AppendMasked(nil, new(websocket.Encoder).AppendPart(nil, false, message, true))
	taken := make(chan int, 1)
	go func() {
		n := 0
		for f.sk.appSocket().raw.Control(func(uintptr) {}) == nil && n < 10000 {
			if _, more := f.sk.receive(bytes.Clone(frame)); !more {
				break
			}
			n++
		}
		taken <- n
	}()
	waits := func() bool {
		f.sk.mu.Lock()
		defer f.sk.mu.Unlock()
		return f.sk.awaitingCredit
	}
	eventually(t, "the client waits", waits)
	f.sk.dismiss(websocket.CloseTryAgainLater, "too much")
	if n := <-taken; n > 2000 {
		t.Errorf("%d messages were taken", n)
	}
	f.sk.obey(&wire.Reply{Kind: wire.ReplyClose, CloseCode: 1000}, nil)
	if _, err := io.Copy(io.Discard, app); err != nil {
		t.Error(err)
	}
}

// TestAppSocketIsHeard: an app that goes on when its connection is over gets an error soon.
func TestAppSocketIsHeard(t *testing.T) {
	f, app := appFixture(t)
	f.sk.connectionLost()
	frame := append([]byte{0x82, 126, 0x40, 0}, make([]byte, 0x4000)...)
	for sent := 0; ; sent++ {
		if _, err := app.Write(frame); err != nil {
			break
		}
		if sent > 1000 {
			t.Fatal("the app can send on and on")
		}
	}
}

// upgrade asks for a WebSocket.
func (c *client) upgrade(path string) {
	c.t.Helper()
	c.send("GET %s HTTP/1.1\nHost: a\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Extensions: permessage-deflate\n\n", path)
}

// TestAppSocketOfQueue: a worker that reads the queue accepts a handshake, which timeout does not
// bound any longer; when the worker leaves the connection does.
func TestAppSocketOfQueue(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	r.listen()
	cfg := testConfig()
	cfg.Timeout, cfg.WebSocketDrainMax, cfg.GracefulTimeout, cfg.WebSocketMaxMessageSize = 3, 1, 4, 1<<20
	w := r.worker(r.generation(1, cfg), 1)
	c := r.dial()
	c.upgrade("/chat")
	q := w.take(0)
	if _, has := q.environ["HTTP_SEC_WEBSOCKET_EXTENSIONS"]; !q.socket || has || q.environ["HTTP_UPGRADE"] != "websocket" {
		t.Errorf("%v", q)
	}
	eventually(t, "the time runs", func() bool { return w.deadline(0) == q.id })
	app, front := streamPair(t)
	w.say(0, acceptSocket(q.id, ""), front)
	if resp, err := http.ReadResponse(c.br, nil); err != nil || resp.StatusCode != 101 || resp.Header.Get("Sec-WebSocket-Accept") == "" {
		t.Fatal(resp, err)
	}
	eventually(t, "the time runs no longer", func() bool { return w.deadline(0) == 0 })
	r.silent(wire.TypeTimeout, 3500*time.Millisecond)
	write(t, app, "\x81\x02hi")
	appGets(t, c.br, []byte("\x81\x02hi"))
	c.nc.Write(clientFrame(0x82, "yo"))
	appGets(t, app, clientFrame(0x82, "yo"))
	r.tell(wire.ToFront{Type: wire.TypeRetire, Age: w.age})
	appGets(t, c.br, []byte("\x88\x11\x03\xf4service restart"))
	c.nc.Write(clientFrame(0x88, "\x03\xf4"))
	appGets(t, app, clientFrame(0x88, "\x03\xf4service restart"))
	c.closed()
	w.say(0, closeSocket(q.id, 1000))
	eventually(t, "the request is over", func() bool { return r.inFlight() == 0 })
}

// TestAppSocketWorkerLeaves: a worker that leaves by itself says so of a connection, and of
// nothing else.
func TestAppSocketWorkerLeaves(t *testing.T) {
	r := newRig(t, 0)
	r.listen()
	cfg := testConfig()
	cfg.GracefulTimeout, cfg.WebSocketMaxMessageSize = 4, 1<<20
	w := r.worker(r.generation(1, cfg), 1)
	c := r.dial()
	c.upgrade("/")
	q := w.take(0)
	_, front := streamPair(t)
	w.say(0, acceptSocket(q.id, ""), front)
	if resp, err := http.ReadResponse(c.br, nil); err != nil || resp.StatusCode != 101 {
		t.Fatal(resp, err)
	}
	w.say(0, leave(q.id))
	appGets(t, c.br, []byte("\x88\x11\x03\xf4service restart"))

	other := r.worker(r.generation(2, cfg), 1)
	c = r.dial()
	c.get("/")
	q = other.take(0)
	other.say(0, leave(q.id))
	if m := r.hear(wire.TypeBroken); m.Age != other.age {
		t.Errorf("%v", m)
	}
	c.expect(502, "*")
}

// TestAppSocketOfBadWorkers: a worker cannot give the front what is no stream socket of this
// machine, and can accept nothing that asks for no WebSocket.
func TestAppSocketOfBadWorkers(t *testing.T) {
	file := func(t *testing.T) *os.File {
		f, err := os.CreateTemp(t.TempDir(), "")
		must(t, err)
		return f
	}
	of := func(domain, kind int) func(t *testing.T) *os.File {
		return func(t *testing.T) *os.File {
			fd, err := unix.Socket(domain, kind, 0)
			must(t, err)
			return os.NewFile(uintptr(fd), "socket")
		}
	}
	for name, test := range map[string]struct {
		file  func(t *testing.T) *os.File
		plain bool
	}{
		"a file":        {file, false},
		"TCP":           {of(unix.AF_INET, unix.SOCK_STREAM), false},
		"datagrams":     {of(unix.AF_UNIX, unix.SOCK_DGRAM), false},
		"messages":      {of(unix.AF_UNIX, unix.SOCK_SEQPACKET), false},
		"a pipe":        {func(t *testing.T) *os.File { r, w, err := os.Pipe(); must(t, err); w.Close(); return r }, false},
		"plain request": {of(unix.AF_UNIX, unix.SOCK_STREAM), true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 0)
			r.listen()
			cfg := testConfig()
			cfg.WebSocketMaxMessageSize = 1 << 20
			w := r.worker(r.generation(1, cfg), 1)
			c := r.dial()
			if test.plain {
				c.get("/")
			} else {
				c.upgrade("/")
			}
			q := w.take(0)
			f := test.file(t)
			defer f.Close()
			w.say(0, acceptSocket(q.id, ""), f)
			if m := r.hear(wire.TypeBroken); m.Age != w.age {
				t.Errorf("%v", m)
			}
			// Whether the worker had begun to answer is not certain: else the connection is cut.
			if resp, err := http.ReadResponse(c.br, nil); err == nil && resp.StatusCode != 502 {
				t.Errorf("%v", resp)
			}
		})
	}

	// A socket that is not connected is one on which nobody says anything.
	r := newRig(t, 0)
	r.listen()
	cfg := testConfig()
	cfg.WebSocketMaxMessageSize = 1 << 20
	w := r.worker(r.generation(1, cfg), 1)
	c := r.dial()
	c.upgrade("/")
	q := w.take(0)
	f := of(unix.AF_UNIX, unix.SOCK_STREAM)(t)
	defer f.Close()
	w.say(0, acceptSocket(q.id, ""), f)
	if resp, err := http.ReadResponse(c.br, nil); err != nil || resp.StatusCode != 101 {
		t.Fatal(resp, err)
	}
	appGets(t, c.br, []byte("\x88\x02\x03\xf3"))
}

// FuzzAppSocket: whatever an app sends, the client gets frames of valid messages.
func FuzzAppSocket(f *testing.F) {
	for _, seed := range []string{
		"\x81\x02hi\x88\x02\x03\xe8", "\x01\x01a\x89\x00\x80\x01b", "\x82~\x00\x80" + strings.Repeat("x", 128),
		"\x81\x01\xff", "\x81\x81\x00\x00\x00\x00x", "\xc1\x00", "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00xy",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fx, client := newSocketFixture(t), new(bytes.Buffer)
		fx.sk.transport = &recorded{fx, client}
		fx.sk.ex.kind = wire.KindSync
		app, front := streamPair(t)
		if _, err := fx.sk.obey(&wire.Reply{Kind: wire.ReplyAccept}, front); err != nil {
			t.Fatal(err)
		}
		go func() {
			app.Write(b)
			app.Close()
		}()
		a := fx.sk.appSocket()
		eventually(t, "all is read", func() bool {
			a.reading.Lock()
			defer a.reading.Unlock()
			return a.over
		})
		a.endAfterRest(1000, nil)
		fx.mu.Lock()
		defer fx.mu.Unlock()
		d := websocket.Decoder{OfServer: true}
		for rest := client.Bytes(); ; {
			n, ev, err := d.Next(rest)
			if err != nil {
				t.Fatalf("%q became %q: %s", b, client.Bytes(), err)
			}
			rest = rest[n:]
			if ev.Kind == websocket.Close {
				return
			}
			if ev.Kind == websocket.Nothing {
				t.Fatalf("%q became %q, without an end", b, client.Bytes())
			}
		}
	})
}

// recorded is a fixture that keeps the frames.
type recorded struct {
	*socketFixture
	all *bytes.Buffer
}

func (r *recorded) frames(b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all.Write(b)
}
