package front

import (
	"bufio"
	"bytes"
	"encoding/binary"
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

// A rig is a front in this process, with a test as its master.
type rig struct {
	t       testing.TB
	s       *server
	master  *wire.Conn
	said    chan wire.FromFront
	ended   chan struct{}
	addr    string
	gens    map[int]*fakeGeneration
	lastAge int
	log     *logBuffer
}

type fakeGeneration struct {
	number              int
	send, receive, page *os.File
	pageMem             *wire.Page
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
		ProcName: "test:app", Kind: "sync", Timeout: 30, GracefulTimeout: 2, Keepalive: 75,
		AccessLogFormat:  `%(h)s "%(r)s" %(s)s %(b)s "%({x-out}o)s"`,
		LimitRequestLine: 4094, LimitRequestFields: 100, LimitRequestFieldSize: 8190,
		HeaderMap: "drop", ForwarderHeaders: []string{"SCRIPT_NAME", "PATH_INFO"},
		ForwardedAllowIPs: "10.0.0.1", Sendfile: true,
		SecureSchemeHeaders: map[string]string{"X-FORWARDED-PROTO": "https"},
	}
}

// newRig starts a front that listens on a free port, and has no generation yet.
func newRig(t testing.TB, number int) *rig {
	t.Helper()
	ours, theirs, err := wire.Pair()
	must(t, err)
	master, err := wire.NewConn(ours)
	must(t, err)
	control, err := wire.NewConn(theirs)
	must(t, err)
	r := &rig{
		t: t, master: master, said: make(chan wire.FromFront, 64), ended: make(chan struct{}),
		gens: map[int]*fakeGeneration{}, log: &logBuffer{},
	}
	r.s = newServer(errlog.New(r.log), number, func(m wire.FromFront) { control.Send(m) })
	go func() {
		for {
			var m wire.FromFront
			if _, err := master.Recv(&m); err != nil {
				return
			}
			r.said <- m
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
		case <-time.After(5 * time.Second):
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
	page, err := wire.NewPageFile()
	must(r.t, err)
	mem, err := wire.MapPage(page)
	must(r.t, err)
	g := &fakeGeneration{number: number, send: send, receive: receive, page: page, pageMem: mem}
	r.gens[number] = g
	r.t.Cleanup(func() {
		closeAll([]*os.File{send, receive, page})
	})
	r.announce(g, cfg)
	return g
}

func (r *rig) announce(g *fakeGeneration, cfg *wire.FrontConfig) {
	r.tell(wire.ToFront{Type: wire.TypeGeneration, Generation: g.number, Config: cfg},
		dup(r.t, g.send), dup(r.t, g.receive), dup(r.t, g.page))
}

// A fakeWorker is a worker as the front sees it.
type fakeWorker struct {
	t      testing.TB
	r      *rig
	g      *fakeGeneration
	age    int
	board  *os.File
	mem    []byte
	slots  []*os.File
	closed chan struct{}
	once   sync.Once
	loops  sync.WaitGroup
}

// worker makes a worker with a number of slots, which counts at once.
func (r *rig) worker(g *fakeGeneration, slots int) *fakeWorker {
	r.t.Helper()
	w := r.quietWorker(g, slots)
	r.tell(wire.ToFront{Type: wire.TypeActivate, Worker: w.age})
	return w
}

func (r *rig) quietWorker(g *fakeGeneration, slots int) *fakeWorker {
	r.t.Helper()
	r.lastAge++
	board, err := wire.NewBoardFile(slots)
	must(r.t, err)
	st, err := board.Stat()
	must(r.t, err)
	mem, err := unix.Mmap(int(board.Fd()), 0, int(st.Size()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	must(r.t, err)
	w := &fakeWorker{t: r.t, r: r, g: g, age: r.lastAge, board: board, mem: mem, closed: make(chan struct{})}
	files := []*os.File{dup(r.t, board)}
	for range slots {
		ours, theirs, err := wire.Pair()
		must(r.t, err)
		files = append(files, ours)
		w.slots = append(w.slots, theirs)
	}
	r.tell(wire.ToFront{Type: wire.TypeWorker, Generation: g.number, Worker: w.age}, files...)
	// The master announces a worker before it is forked.
	eventually(r.t, "the front knows the worker", func() bool {
		r.s.queue.mu.Lock()
		defer r.s.queue.mu.Unlock()
		return r.s.queue.workers[w.age] != nil
	})
	r.t.Cleanup(w.kill)
	return w
}

// kill ends the worker as SIGKILL does: its sockets close.
func (w *fakeWorker) kill() {
	w.once.Do(func() {
		close(w.closed)
		w.loops.Wait()
		closeAll(w.slots)
	})
}

// A request is what a worker gets.
type request struct {
	id      uint32
	environ map[string]string
	body    []byte
	file    bool // the body came as a file
}

// receive takes a request without claiming it; ok is false when the worker is
// gone or nothing comes in time.
func (w *fakeWorker) receive(wait time.Duration) (q request, ok bool) {
	buf := make([]byte, wire.MaxMessage)
	oob := make([]byte, 128)
	for end := time.Now().Add(wait); time.Now().Before(end); {
		select {
		case <-w.closed:
			return q, false
		default:
		}
		n, oobn, _, _, err := unix.Recvmsg(int(w.g.receive.Fd()), buf, oob, unix.MSG_DONTWAIT)
		if err == nil {
			return decodeRequest(w.t, buf[:n], oob[:oobn]), true
		}
		unix.Poll([]unix.PollFd{{Fd: int32(w.g.receive.Fd()), Events: unix.POLLIN}}, 20)
	}
	return q, false
}

// claim writes the id into the cell of a slot, and tells whether the request
// may be run.
func (w *fakeWorker) claim(slot int, id uint32) bool {
	binary.NativeEndian.PutUint64(w.mem[64+64*slot:], uint64(id))
	page := make([]byte, 4096)
	_, err := w.g.page.ReadAt(page, 0)
	must(w.t, err)
	for i := range 64 {
		if binary.NativeEndian.Uint64(page[8+8*i:]) == uint64(id) {
			return false
		}
	}
	return true
}

// take receives and claims a request, which must come.
func (w *fakeWorker) take(slot int) request {
	w.t.Helper()
	for {
		q, ok := w.receive(5 * time.Second)
		if !ok {
			w.t.Fatal("no request came")
		}
		if w.claim(slot, q.id) {
			return q
		}
		w.say(slot, refused(q.id))
	}
}

// say sends a message from a slot.
func (w *fakeWorker) say(slot int, msg []byte, files ...*os.File) {
	var oob []byte
	for _, f := range files {
		oob = unix.UnixRights(int(f.Fd()))
	}
	if err := unix.Sendmsg(int(w.slots[slot].Fd()), msg, oob, nil, unix.MSG_NOSIGNAL); err != nil {
		w.t.Errorf("slot %d: %s", slot, err)
	}
}

// serve answers requests in every slot until the worker is gone.
func (w *fakeWorker) serve(answer func(q request) []byte) {
	for i := range w.slots {
		w.loops.Go(func() {
			for {
				q, ok := w.receive(time.Hour)
				if !ok {
					return
				}
				msg := refused(q.id)
				if w.claim(i, q.id) {
					msg = answer(q)
				}
				if unix.Sendmsg(int(w.slots[i].Fd()), msg, nil, nil, unix.MSG_NOSIGNAL) != nil {
					return
				}
			}
		})
	}
}

// echo answers with the method, the path and the body.
func echo(q request) []byte {
	return response(q.id, "200 OK", nil, q.environ["REQUEST_METHOD"]+" "+q.environ["PATH_INFO"]+" "+string(q.body))
}

// Messages from slots.

type header [2]string

func message(kind wire.Kind, items int, id uint32) []byte {
	b := wire.AppendTuple(nil, items)
	b = wire.AppendInt(b, int64(kind))
	return wire.AppendInt(b, int64(id))
}

func appendHead(b []byte, status string, headers []header) []byte {
	b = wire.AppendLatin1(b, []byte(status))
	b = append(b, '[')
	b = binary.LittleEndian.AppendUint32(b, uint32(len(headers)))
	for _, h := range headers {
		b = wire.AppendTuple(b, 2)
		b = wire.AppendLatin1(b, []byte(h[0]))
		b = wire.AppendLatin1(b, []byte(h[1]))
	}
	return b
}

func response(id uint32, status string, headers []header, body string) []byte {
	return wire.AppendBytes(appendHead(message(wire.KindResponse, 5, id), status, headers), []byte(body))
}

func start(id uint32, status string, headers []header, body string) []byte {
	return wire.AppendBytes(appendHead(message(wire.KindStart, 5, id), status, headers), []byte(body))
}

func chunk(id uint32, body string) []byte {
	return wire.AppendBytes(message(wire.KindChunk, 3, id), []byte(body))
}

func end(id uint32) []byte     { return message(wire.KindEnd, 2, id) }
func failed(id uint32) []byte  { return message(wire.KindError, 2, id) }
func refused(id uint32) []byte { return message(wire.KindRefused, 2, id) }

func fromFile(id uint32, status string, headers []header, offset, count int64) []byte {
	b := appendHead(message(wire.KindFile, 6, id), status, headers)
	return wire.AppendInt(wire.AppendInt(b, offset), count)
}

func hints(id uint32, headers []header) []byte {
	b := message(wire.KindHints, 3, id)
	b = append(b, '[')
	b = binary.LittleEndian.AppendUint32(b, uint32(len(headers)))
	for _, h := range headers {
		b = wire.AppendTuple(b, 2)
		b = wire.AppendLatin1(b, []byte(h[0]))
		b = wire.AppendLatin1(b, []byte(h[1]))
	}
	return b
}

// decodeRequest reads a message of the queue as Python's marshal does.
func decodeRequest(t testing.TB, msg, oob []byte) request {
	var files []*os.File
	if cmsgs, err := unix.ParseSocketControlMessage(oob); err == nil {
		for i := range cmsgs {
			fds, _ := unix.ParseUnixRights(&cmsgs[i])
			for _, fd := range fds {
				files = append(files, os.NewFile(uintptr(fd), "body"))
			}
		}
	}
	defer closeAll(files)
	v, _ := unmarshal(t, msg)
	items := v.([]any)
	q := request{id: uint32(items[0].(int64))}
	environ, body := items[1], items[2]
	if environ == nil {
		content, err := io.ReadAll(io.NewSectionReader(files[0], 0, 1<<30))
		must(t, err)
		files[0].Close()
		files = files[1:]
		v, _ := unmarshal(t, content)
		environ, body = v.([]any)[0], v.([]any)[1]
	}
	q.environ = environ.(map[string]string)
	if body == nil {
		content, err := io.ReadAll(io.NewSectionReader(files[0], 0, 1<<40))
		must(t, err)
		q.body, q.file = content, true
	} else {
		q.body = body.([]byte)
	}
	return q
}

func unmarshal(t testing.TB, b []byte) (any, []byte) {
	code := b[0]
	b = b[1:]
	size := func() int {
		n := int(binary.LittleEndian.Uint32(b))
		b = b[4:]
		return n
	}
	switch code {
	case 'N':
		return nil, b
	case 'i':
		return int64(int32(size())), b
	case 's':
		n := size()
		return bytes.Clone(b[:n]), b[n:]
	case 'z', 'Z':
		n := int(b[0])
		return string(b[1 : 1+n]), b[1+n:]
	case 'a', 'A', 'u', 't':
		n := size()
		return string(b[:n]), b[n:]
	case '(':
		var items []any
		for range size() {
			var v any
			v, b = unmarshal(t, b)
			items = append(items, v)
		}
		return items, b
	case '{':
		d := map[string]string{}
		for b[0] != '0' {
			var k, v any
			k, b = unmarshal(t, b)
			v, b = unmarshal(t, b)
			if _, twice := d[k.(string)]; twice {
				t.Errorf("the environ has %q twice", k)
			}
			d[k.(string)] = v.(string)
		}
		return d, b[1:]
	}
	t.Errorf("marshal: type %q", code)
	return nil, nil
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
	nc.SetDeadline(time.Now().Add(20 * time.Second))
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
	} else if ne, ok := err.(net.Error); ok && ne.Timeout() {
		c.t.Fatal("the connection is still open")
	}
}

// open checks that the connection is open and silent.
func (c *client) open(d time.Duration) {
	c.t.Helper()
	c.nc.SetReadDeadline(time.Now().Add(d))
	defer c.nc.SetDeadline(time.Now().Add(20 * time.Second))
	b, err := c.br.ReadByte()
	if ne, ok := err.(net.Error); !ok || !ne.Timeout() {
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
		case <-time.After(8 * time.Second):
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
	for end := time.Now().Add(8 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if cond() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

func (r *rig) inFlight() int {
	r.s.queue.mu.Lock()
	defer r.s.queue.mu.Unlock()
	return len(r.s.queue.inFlight)
}

func (r *rig) waiting() int {
	r.s.queue.mu.Lock()
	defer r.s.queue.mu.Unlock()
	return len(r.s.queue.waiting)
}

func dup(t testing.TB, f *os.File) *os.File {
	t.Helper()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
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
