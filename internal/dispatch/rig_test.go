package dispatch

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"indrik/internal/wire"
	"indrik/internal/wire/wiretest"
)

// A rig is a queue without HTTP: its requests are calls, its workers are fakes.
type rig struct {
	t      wiretest.T
	q      *Queue
	host   *fakeHost
	tokens wiretest.Tokens // of requests, by their ids

	// stepped says that what workers say is read in deliver alone. A goroutine that waits for
	// a socket would stop the clock of a bubble of synctest.
	stepped bool

	mu      sync.Mutex
	lastAge int
}

// A fakeHost keeps what the queue says.
type fakeHost struct {
	mu   sync.Mutex
	said []wire.FromFront
	log  strings.Builder
}

func (h *fakeHost) Died(int, []Ran) {}

func (h *fakeHost) Send(m wire.FromFront) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.said = append(h.said, m)
}

func (h *fakeHost) Debugf(format string, args ...any) { h.Warnf(format, args...) }
func (h *fakeHost) Errorf(format string, args ...any) { h.Warnf(format, args...) }

func (h *fakeHost) Warnf(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	fmt.Fprintf(&h.log, format+"\n", args...)
}

func (h *fakeHost) logged() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.String()
}

// A fakeConfig is the settings of a generation, which has nothing else.
type fakeConfig struct{ Settings }

func (c *fakeConfig) Dispatch() *Settings { return &c.Settings }

func newRig(t wiretest.T, front int) *rig {
	h := &fakeHost{}
	r := &rig{t: t, q: NewQueue(h, front), host: h}
	t.Cleanup(func() { eventually(t, "all workers are forgotten", func() bool { return r.q.Load().Workers == 0 }) })
	return r
}

// newSteppedRig makes a rig for a bubble of synctest.
func newSteppedRig(t wiretest.T) *rig {
	r := newRig(t, 0)
	r.stepped = true
	return r
}

// patience is how long a worker waits for what must come. In a bubble it is there once all
// goroutines have done what they can.
func (r *rig) patience() time.Duration {
	if r.stepped {
		synctest.Wait()
		return 0
	}
	return 30 * time.Second
}

// A fakeGeneration is a generation, with the workers' end of its queue.
type fakeGeneration struct {
	number   int
	settings *Settings
	receive  *os.File
}

// generation adds a generation with settings.
func (r *rig) generation(number int, s *Settings) *fakeGeneration {
	r.t.Helper()
	send, receive, err := wire.Pair()
	must(r.t, err)
	g := &fakeGeneration{number: number, receive: dup(r.t, receive)}
	r.t.Cleanup(func() { g.receive.Close() })
	cfg := &fakeConfig{}
	g.settings = &cfg.Settings
	if s != nil {
		g.settings.WorkerConnections, g.settings.QueueLimit, g.settings.QueueTimeout = s.WorkerConnections, s.QueueLimit, s.QueueTimeout
		g.settings.Timeout, g.settings.Reload, g.settings.NoWorkers, g.settings.SlowRequestLog = s.Timeout, s.Reload, s.NoWorkers, s.SlowRequestLog
		g.settings.ReportLoad = s.ReportLoad
		g.settings.WorkerAffinity, g.settings.AffinityKey = s.WorkerAffinity, s.AffinityKey
		g.settings.WebSocketDrainMax, g.settings.GracefulTimeout = s.WebSocketDrainMax, s.GracefulTimeout
	}
	must(r.t, r.q.AddGeneration(number, cfg, send, receive))
	return g
}

// A fakeWorker is a worker as the queue sees it.
type fakeWorker struct {
	*wiretest.Worker
	r   *rig
	g   *fakeGeneration
	age int

	ended chan struct{}
	once  sync.Once
	loops sync.WaitGroup
	held  []request // came in one message with others
	inbox []event   // of a multiplexed worker, likewise
	slots []*slot   // that are read by deliver, nil once their end was read
}

// worker adds a worker with a number of slots, which counts at once. kind is what it is.
func (r *rig) worker(g *fakeGeneration, slots int, kind wire.Kind) *fakeWorker {
	r.t.Helper()
	w := r.quietWorker(g, slots)
	r.q.Activate(w.age, 1000+w.age, kind)
	return w
}

// quietWorker adds a worker that is not ready.
func (r *rig) quietWorker(g *fakeGeneration, slots int) *fakeWorker {
	r.t.Helper()
	r.mu.Lock()
	r.lastAge++
	age := r.lastAge
	r.mu.Unlock()
	w := &fakeWorker{r: r, g: g, age: age, ended: make(chan struct{})}
	var files []*os.File
	w.Worker, files = wiretest.NewWorker(r.t, &r.tokens, slots)
	m := wire.ToFront{Generation: g.number, Age: age}
	if r.stepped {
		w.addStepped(m, files)
	} else {
		must(r.t, r.q.AddWorker(m, files))
	}
	r.t.Cleanup(func() { w.kill(); w.deliverAll() })
	return w
}

// addStepped is AddWorker without the goroutines of slots.
func (w *fakeWorker) addStepped(m wire.ToFront, files []*os.File) {
	q := w.r.q
	q.mu.Lock()
	defer q.mu.Unlock()
	added, sockets, err := q.newWorkerLocked(m, files)
	must(w.T, err)
	w.slots = slices.Clone(q.addSlotsLocked(added, sockets))
}

// deliver has the queue read a message of a slot, or its end, as the goroutine of the slot
// does, and reports whether there was one.
func (w *fakeWorker) deliver(index int) bool {
	sl := w.slots[index]
	if sl == nil {
		return false
	}
	result := readEnd
	if !sl.w.broken.Load() {
		err := sl.raw.Control(func(fd uintptr) { result = sl.readOne(fd) })
		must(w.T, err)
	}
	if result == readEnd {
		w.slots[index] = nil
		sl.end()
	}
	return result != readNothing
}

// deliverAll has the queue read all that the worker has said.
func (w *fakeWorker) deliverAll() {
	for i := range w.slots {
		for w.deliver(i) {
		}
	}
}

// kill ends the worker as SIGKILL does: its sockets close.
func (w *fakeWorker) kill() {
	w.once.Do(func() {
		close(w.ended)
		w.loops.Wait()
		w.Close()
	})
}

// A request is what a worker gets.
type request struct {
	id   uint32
	path string
}

// receiveAll takes the requests of one message without claiming them; nil when the worker
// is gone or nothing comes in time.
func (w *fakeWorker) receiveAll(wait time.Duration) []request {
	for end := time.Now().Add(wait); ; {
		msg, _, ok := wiretest.Receive(w.g.receive, time.Until(end), w.ended)
		if !ok {
			return nil
		}
		if qs := w.r.decodeRequests(msg); len(qs) > 0 {
			return qs
		}
	}
}

// receive takes a request without claiming it; ok is false when the worker is gone or
// nothing comes in time.
func (w *fakeWorker) receive(wait time.Duration) (q request, ok bool) {
	if len(w.held) == 0 {
		w.held = w.receiveAll(wait)
	}
	if len(w.held) == 0 {
		return q, false
	}
	q, w.held = w.held[0], w.held[1:]
	return q, true
}

// take receives and claims a request, which must come.
func (w *fakeWorker) take(index int) request {
	w.T.Helper()
	for {
		q, ok := w.receive(w.r.patience())
		if !ok {
			w.T.Fatal("no request came")
		}
		if w.Claim(index, q.id) {
			return q
		}
		w.Say(index, wiretest.Refused(q.id))
	}
}

// answer runs requests one after the other in slot 0, and answers them in one message.
func (w *fakeWorker) answer(qs []request) {
	for _, q := range qs {
		w.Claim(0, q.id)
	}
	w.Say(0, echoes(qs))
	w.deliver(0)
}

// message takes the requests of one message, of which there must be count.
func (w *fakeWorker) message(count int) []request {
	w.T.Helper()
	qs := w.receiveAll(w.r.patience())
	if len(qs) != count {
		w.T.Fatal(len(qs), "requests came together, want", count)
	}
	return qs
}

// decodeRequests reads a message of the queue that calls have made.
func (r *rig) decodeRequests(b []byte) (qs []request) {
	_, count := wire.RequestIDs(b)
	b = b[min(wire.ListHeader, len(b)):]
	for range count {
		const idAt = wire.RequestIDOffset - wire.ListHeader
		const claimAt = wire.RequestClaimOffset - wire.ListHeader
		const pathAt = claimAt + wire.ClaimSize + 5
		id := binary.LittleEndian.Uint32(b[idAt:])
		if token := binary.NativeEndian.Uint64(b[claimAt:]); token != 0 {
			r.tokens.Learn(id, token)
		}
		end := pathAt + int(binary.LittleEndian.Uint32(b[pathAt-4:]))
		qs = append(qs, request{id, string(b[pathAt:end])})
		b = b[end:]
	}
	return qs
}

// An event is what a multiplexed worker gets.
type event struct {
	kind wire.Event
	request
}

// events takes the events of one message, if there is one.
func (w *fakeWorker) events() (all []event) {
	w.T.Helper()
	msg, _, ok := wiretest.Receive(w.Slots[0], w.r.patience(), w.ended)
	if !ok {
		return nil
	}
	for b := msg[wire.ListHeader:]; len(b) > 0; {
		const idAt = wire.EventIDOffset - wire.ListHeader
		e := event{kind: wire.Event(binary.LittleEndian.Uint32(b[6:]))}
		e.id = binary.LittleEndian.Uint32(b[idAt:])
		b = b[idAt+4:]
		if e.kind != wire.EventRequest {
			return append(all, e) // such an event is a message of its own
		}
		end := 5 + int(binary.LittleEndian.Uint32(b[1:]))
		e.path = string(b[5:end])
		all = append(all, e)
		b = b[end+1:]
	}
	return all
}

// event takes the next event of a kind, which must come; others are dropped.
func (w *fakeWorker) event(kind wire.Event) event {
	w.T.Helper()
	for {
		if len(w.inbox) == 0 {
			w.inbox = w.events()
		}
		if len(w.inbox) == 0 {
			w.T.Fatal("no event came:", kind)
		}
		e := w.inbox[0]
		w.inbox = w.inbox[1:]
		if e.kind == kind {
			return e
		}
	}
}

// begin takes the next request of a multiplexed worker, which must come, and claims it.
func (w *fakeWorker) begin() request {
	w.T.Helper()
	e := w.event(wire.EventRequest)
	w.WriteClaim(0, e.id)
	return e.request
}

// response is a whole response.
func response(id uint32, body string) []byte { return wiretest.Response(id, "200 OK", nil, body) }

// echo answers with the path.
func echo(q request) []byte { return response(q.id, q.path) }

// A call is a request without HTTP.
type call struct {
	Job

	t         wiretest.T
	path      string
	files     []*os.File // that go along
	webSocket bool
	streaming bool
	addr      netip.Addr
	cookie    []byte
	done      chan outcome // gets what it ends with

	mu       sync.Mutex
	message  []byte
	body     []byte
	released bool
	ended    bool
	killed   bool // what comes goes nowhere
	hints    int
	leaves   time.Duration // after which a WebSocket connection is to end
}

// An outcome is how a call has ended: with a status and a body, or 0 if it was cut off.
type outcome struct {
	status int
	body   string
}

// call makes a call, and begins it.
func (r *rig) call(g *fakeGeneration, path string) *call {
	c := &call{t: r.t, path: path, done: make(chan outcome, 1)}
	c.Begin(c, g.settings, &Home{}, os.Getpid())
	return c
}

// get submits a call.
func (r *rig) get(g *fakeGeneration, path string) *call {
	c := r.call(g, path)
	r.q.Submit(&c.Job, time.Now())
	return c
}

// expect waits for the end of the call and checks it.
func (c *call) expect(status int, body string) {
	c.t.Helper()
	if got := c.wait(); got != (outcome{status, body}) {
		c.t.Fatal(fmt.Sprintf("%s ended with %+v, want %d %q", c.path, got, status, body))
	}
}

func (c *call) wait() outcome {
	c.t.Helper()
	select {
	case got := <-c.done:
		return got
	case <-time.After(2 * time.Minute):
		c.t.Fatal(c.path, "has not ended")
	}
	return outcome{}
}

func (c *call) end(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endLocked(status)
}

func (c *call) endLocked(status int) {
	switch {
	case c.killed: // and ended
	case c.ended:
		c.t.Errorf("%s has ended twice, and the second time with %d", c.path, status)
	default:
		c.ended = true
		c.done <- outcome{status, string(c.body)}
	}
}

func (c *call) EncodeLocked(kind wire.Kind, _ *wire.Arena, id uint32, token uint64) ([]byte, []*os.File, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.released {
		c.t.Errorf("%s is handed over after its message was released", c.path)
	}
	if kind.IsMultiplexed() {
		b := wire.AppendEvent(nil, wire.EventRequest, id)
		return wire.AppendNone(wire.AppendBytes(b, []byte(c.path))), c.files, nil
	}
	b := wire.AppendBytes(wire.AppendRequest(nil), []byte(c.path))
	binary.LittleEndian.PutUint32(b[wire.RequestIDOffset:], id)
	wire.PutClaim(b[wire.RequestClaimOffset:], id, token)
	c.message = b
	return b, c.files, nil
}

func (c *call) BatchSizeLocked(wire.Kind) int {
	if len(c.files) > 0 {
		return 0
	}
	return wire.RequestClaimOffset + len(c.path)
}

func (c *call) Release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.released = true
}

func (c *call) Reply(m *wire.Reply, _ *os.File, _ time.Time, _ bool) (bool, error) {
	c.mu.Lock()
	c.body = append(c.body, m.Body...)
	c.mu.Unlock()
	switch m.Kind {
	case wire.ReplyResponse, wire.ReplyEnd:
		c.end(200)
	case wire.ReplyRefused, wire.ReplyLeave:
		c.t.Errorf("%s got %v", c.path, m.Kind)
	case wire.ReplyError:
		c.end(500)
	}
	return false, nil
}

func (c *call) Fail(status int) { c.end(status) }

func (c *call) TimeOut(started bool) {
	if started {
		c.end(0)
	} else {
		c.end(504)
	}
}

func (c *call) DescribeLocked() Description {
	if c.left {
		c.t.Errorf("%s is asked for its head after its client has left", c.path)
	}
	return Description{Method: "GET", Path: c.path}
}

func (c *call) Kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.endLocked(0)
	}
	c.killed = true
}

func (c *call) Broken() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.killed
}

func (c *call) HintsLocked(*wire.Reply)         { c.hints++ }
func (c *call) IsWebSocket() bool               { return c.webSocket }
func (c *call) LeaveLocked(after time.Duration) { c.leaves = after }
func (c *call) IsStreaming() bool               { return c.streaming }
func (c *call) ClientAddr() netip.Addr          { return c.addr }
func (c *call) AffinityToken() []byte           { return c.cookie }

// eventually waits until cond holds.
func eventually(t wiretest.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if cond() {
			return
		}
	}
	t.Fatal("never:", what)
}

func dup(t wiretest.T, f *os.File) *os.File {
	t.Helper()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	must(t, err)
	return os.NewFile(uintptr(fd), f.Name())
}

func must(t wiretest.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
