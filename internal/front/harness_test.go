package front

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"indrik/internal/errlog"
	"indrik/internal/wire"
)

const (
	// patience is how long a test waits for what must come: far longer than it takes on a machine
	// that has much else to do.
	patience = 30 * time.Second
	// clientPatience is how long a client has for all that it sends and reads.
	clientPatience = 2 * time.Minute
)

// A rig is a front in this process, with a test as its master.
type rig struct {
	t       testing.TB
	s       *server
	master  *wire.Conn
	said    chan wire.FromFront
	synced  chan struct{} // gets one for each answer to a ping
	ended   chan struct{}
	addr    string
	gens    map[int]*fakeGeneration
	lastAge int
	log     *logBuffer
	tokens  sync.Map // of requests that came by a queue, by their ids
}

type fakeGeneration struct {
	number        int
	send, receive *os.File
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func testConfig() *wire.FrontConfig {
	return &wire.FrontConfig{
		Timeout: 30, GracefulTimeout: 2, Keepalive: 75,
		AccessLogFormat:  `%(h)s "%(r)s" %(s)s %(b)s "%({x-out}o)s"`,
		LimitRequestLine: 4094, LimitRequestFields: 100, LimitRequestFieldSize: 8190, LimitRequestHead: 32 << 10,
		HeaderMap: "drop", ForwarderHeaders: []string{"SCRIPT_NAME", "PATH_INFO"},
		ForwardedAllowIPs: "10.0.0.1", Sendfile: true, ProxyProtocol: "off",
		HandshakeTimeout: 10, HeaderTimeout: 60, BodyMinRate: 240, WriteTimeout: 60, AccessLogTimeout: 1, QueueLimit: 2048, QueueTimeout: 30,
		SecureSchemeHeaders: map[string]string{"X-FORWARDED-PROTO": "https"},
	}
}

// newRig starts a front that listens on a free port, and has no generation yet. change is made
// to it before.
func newRig(t testing.TB, number int, change ...func(*server)) *rig {
	t.Helper()
	ours, theirs, err := wire.Pair()
	must(t, err)
	master, err := wire.NewConn(ours)
	must(t, err)
	control, err := wire.NewConn(theirs)
	must(t, err)
	r := &rig{
		t: t, master: master, said: make(chan wire.FromFront, 64), synced: make(chan struct{}, 1), ended: make(chan struct{}),
		gens: map[int]*fakeGeneration{}, log: &logBuffer{},
	}
	r.s = newServer(errlog.New(r.log), number, func(m wire.FromFront) { control.Send(m) })
	for _, f := range change {
		f(r.s)
	}
	go func() {
		for {
			var m wire.FromFront
			if _, err := master.Recv(&m); err != nil {
				return
			}
			if m.Type == wire.TypeOK && m.Status == nil {
				r.synced <- struct{}{}
			} else {
				r.said <- m
			}
		}
	}()
	go func() {
		r.s.obey(control)
		control.Close()
		close(r.ended)
	}()
	t.Cleanup(func() {
		r.master.Send(wire.ToFront{Type: wire.TypeQuit})
		select {
		case <-r.ended:
		case <-time.After(patience):
			t.Error("the front does not end")
		}
		for _, c := range r.s.all() {
			c.nc.Close()
		}
		master.Close()
		if t.Failed() {
			t.Logf("error log:\n%s", r.log)
		}
	})
	return r
}

func (r *rig) tell(m wire.ToFront, files ...*os.File) { r.master.Send(m, files...) }

// sync waits until the front has done what it was told before.
func (r *rig) sync() {
	r.t.Helper()
	r.tell(wire.ToFront{Type: wire.TypePing, Call: 1})
	select {
	case <-r.synced:
	case <-time.After(patience):
		r.t.Fatal("the front does not answer")
	}
}

// listen gives the front a listener, and returns the master's copy of it.
func (r *rig) listen() *os.File {
	r.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(r.t, err)
	r.addr = ln.Addr().String()
	f, err := ln.(*net.TCPListener).File()
	must(r.t, err)
	ln.Close()
	r.t.Cleanup(func() { f.Close() })
	r.listenOn(f)
	return f
}

func (r *rig) listenOn(f *os.File) {
	r.tell(wire.ToFront{Type: wire.TypeListen, Listeners: []wire.Listener{{ID: 1, Bind: r.addr, Network: "tcp"}}}, dup(r.t, f))
}

func (r *rig) generation(number int, cfg *wire.FrontConfig) *fakeGeneration {
	r.t.Helper()
	send, receive, err := wire.Pair()
	must(r.t, err)
	g := &fakeGeneration{number: number, send: send, receive: receive}
	r.gens[number] = g
	r.t.Cleanup(func() {
		wire.CloseAll([]*os.File{send, receive})
	})
	r.announce(g, cfg)
	return g
}

func (r *rig) announce(g *fakeGeneration, cfg *wire.FrontConfig) {
	r.tell(wire.ToFront{Type: wire.TypeGeneration, Generation: g.number, Config: cfg},
		dup(r.t, g.send), dup(r.t, g.receive))
}

// A client is a connection to the front.
type client struct {
	t  testing.TB
	nc net.Conn
	br *bufio.Reader
}

func (r *rig) dial() *client {
	r.t.Helper()
	nc, err := net.Dial("tcp", r.addr)
	must(r.t, err)
	nc.SetDeadline(time.Now().Add(clientPatience))
	r.t.Cleanup(func() { nc.Close() })
	return &client{r.t, nc, bufio.NewReader(nc)}
}

func (c *client) send(format string, args ...any) {
	c.t.Helper()
	_, err := io.WriteString(c.nc, strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "\r\n"))
	must(c.t, err)
}

func (c *client) get(path string) { c.t.Helper(); c.send("GET %s HTTP/1.1\nHost: a\n\n", path) }

// reply reads a response and its whole body.
func (c *client) reply(method string) (*http.Response, string) {
	c.t.Helper()
	req, _ := http.NewRequest(method, "/", nil)
	resp, err := http.ReadResponse(c.br, req)
	if err != nil {
		c.t.Fatalf("no response: %s", err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatalf("response with %q, then: %s", body, err)
	}
	return resp, string(body)
}

// expect reads a response and checks its status and body.
func (c *client) expect(status int, body string) *http.Response {
	c.t.Helper()
	resp, got := c.reply("GET")
	if resp.StatusCode != status || body != "*" && got != body {
		c.t.Fatalf("got %d %q, want %d %q", resp.StatusCode, got, status, body)
	}
	return resp
}

// closed checks that the front has closed the connection.
func (c *client) closed() {
	c.t.Helper()
	if b, err := c.br.ReadByte(); err == nil {
		c.t.Fatalf("got %q, want the end", b)
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatal("the connection is still open")
	}
}

// open checks that the connection is open and silent.
func (c *client) open(d time.Duration) {
	c.t.Helper()
	c.nc.SetReadDeadline(time.Now().Add(d))
	defer c.nc.SetDeadline(time.Now().Add(clientPatience))
	b, err := c.br.ReadByte()
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatalf("got %q, %v, want silence", b, err)
	}
}

// hear waits for a message of the front to the master.
func (r *rig) hear(typ string) wire.FromFront {
	r.t.Helper()
	for {
		select {
		case m := <-r.said:
			if m.Type == typ {
				return m
			}
		case <-time.After(patience):
			r.t.Fatalf("the front did not say %q", typ)
		}
	}
}

func (r *rig) silent(typ string, d time.Duration) {
	r.t.Helper()
	end := time.After(d)
	for {
		select {
		case m := <-r.said:
			if m.Type == typ {
				r.t.Fatalf("the front said %q too early", typ)
			}
		case <-end:
			return
		}
	}
}

// eventually waits until cond holds.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if cond() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

func (r *rig) inFlight() int {
	return r.s.queue.Load().InFlight
}

func (r *rig) waiting() int {
	return r.s.queue.Load().Waiting
}

// dup duplicates a file. Fd would make the socket of a listener a blocking one, for all who accept
// on it.
func dup(t testing.TB, f *os.File) *os.File {
	t.Helper()
	raw, err := f.SyscallConn()
	must(t, err)
	fd := -1
	must(t, raw.Control(func(of uintptr) { fd, err = unix.FcntlInt(of, unix.F_DUPFD_CLOEXEC, 3) }))
	must(t, err)
	return os.NewFile(uintptr(fd), f.Name())
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// serving is a front with one generation of one worker that echoes.
func serving(t testing.TB) *rig {
	r := newRig(t, 0)
	r.listen()
	r.worker(r.generation(1, testConfig()), 2).serve(echo)
	return r
}
