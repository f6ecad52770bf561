package pools

import (
	"bytes"
	"context"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"indrik/internal/wire"
)

// limit is how long a test waits for anything.
const limit = time.Minute

// A rig is a set with callers and workers that the test plays.
type rig struct {
	t    *testing.T
	set  *Set
	host *fakeHost
}

type fakeHost struct {
	mu   sync.Mutex
	sent []wire.FromFront
	more chan struct{}
}

func (h *fakeHost) Send(m wire.FromFront) {
	h.mu.Lock()
	h.sent = append(h.sent, m)
	h.mu.Unlock()
	select {
	case h.more <- struct{}{}:
	default:
	}
}

func (*fakeHost) Debugf(string, ...any) {}
func (*fakeHost) Warnf(string, ...any)  {}

// await returns the first message of a type that the master was sent.
func (h *fakeHost) await(t *testing.T, messageType string) wire.FromFront {
	t.Helper()
	timeUp := time.After(limit)
	for {
		h.mu.Lock()
		for _, m := range h.sent {
			if m.Type == messageType {
				h.mu.Unlock()
				return m
			}
		}
		h.mu.Unlock()
		select {
		case <-h.more:
		case <-timeUp:
			t.Fatalf("the master was not sent %q", messageType)
		}
	}
}

func newRig(t *testing.T, cfgs ...wire.PoolConfig) *rig {
	t.Helper()
	if len(cfgs) == 0 {
		cfgs = []wire.PoolConfig{{Name: "dirty", Apps: []string{"m:A", "m:B"}, Timeout: 30, QueueLimit: 4}}
	}
	host := &fakeHost{more: make(chan struct{}, 1)}
	r := &rig{t, NewSet(host, 1), host}
	r.set.AddGeneration(1, cfgs, 1<<20)
	t.Cleanup(func() {
		r.set.mu.Lock()
		ages := []int{}
		for age := range r.set.workers {
			ages = append(ages, age)
		}
		ids := []callerID{}
		for id := range r.set.callers {
			ids = append(ids, id)
		}
		r.set.mu.Unlock()
		for _, age := range ages {
			r.set.WorkerGone(age, "")
		}
		for _, id := range ids {
			r.set.CallerGone(id.age, id.ofPool)
		}
	})
	return r
}

func (r *rig) pair() (*os.File, *socket) {
	r.t.Helper()
	ours, theirs, err := wire.Pair()
	if err != nil {
		r.t.Fatal(err)
	}
	sock, err := newSocket(theirs)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { sock.File.Close() })
	return ours, sock
}

// A thread is the other end of a slot.
type thread struct {
	t *testing.T
	*socket
}

// worker makes a worker of the pool dirty, whose slots are then taken over.
func (r *rig) worker(age, slots int, apps ...string) []thread {
	r.t.Helper()
	return r.workerOf("dirty", age, slots, apps...)
}

func (r *rig) workerOf(pool string, age, slots int, apps ...string) []thread {
	r.t.Helper()
	channel, _ := r.pair()
	files := []*os.File{channel}
	var threads []thread
	for range slots {
		ours, theirs := r.pair()
		files, threads = append(files, ours), append(threads, thread{r.t, theirs})
	}
	m := wire.ToFront{Type: wire.TypePoolWorker, Generation: 1, Age: age, Pool: pool, Apps: apps}
	if err := r.set.AddWorker(m, files); err != nil {
		r.t.Fatal(err)
	}
	r.set.Activate(age, 1000+age)
	for _, th := range threads {
		m, _ := th.read(wire.PoolHello)
		th.say(wire.PoolReady, m.Payload, nil)
	}
	eventually(r.t, "the slots are not taken over", func() bool {
		r.set.mu.Lock()
		defer r.set.mu.Unlock()
		return !slices.ContainsFunc(r.set.workers[age].slots, func(sl *slot) bool { return sl.busy && sl.call == nil })
	})
	return threads
}

func read(t *testing.T, s *socket) (wire.PoolMessage, *os.File, []byte, error) {
	t.Helper()
	data, file, err := s.recv(context.Background(), time.Now().Add(limit))
	if isTimeout(err) {
		t.Fatal("no message has come")
	}
	if err != nil {
		return wire.PoolMessage{}, nil, nil, err
	}
	m, err := wire.DecodePoolMessage(data)
	if err != nil {
		t.Fatalf("%q: %v", data, err)
	}
	return m, file, data, nil
}

// read returns the next message, which has to be of a kind.
func (th thread) read(kind wire.PoolKind) (wire.PoolMessage, *os.File) {
	th.t.Helper()
	m, file, _, err := read(th.t, th.socket)
	if err != nil || m.Kind != kind {
		th.t.Fatalf("a thread got kind %d, %v instead of %d", m.Kind, err, kind)
	}
	return m, file
}

func (th thread) say(kind wire.PoolKind, payload []byte, file *os.File) {
	th.t.Helper()
	m := wire.PoolMessage{Kind: kind, Payload: payload}
	if err := th.send(m.Append(nil), file, time.Now().Add(limit)); err != nil {
		th.t.Errorf("a thread cannot send kind %d: %v", kind, err)
	}
}

// closed waits until the front has closed the slot.
func (th thread) closed() {
	th.t.Helper()
	if m, _, _, err := read(th.t, th.socket); err == nil {
		th.t.Fatalf("a thread got kind %d instead of the end", m.Kind)
	}
}

// A client is a process that makes calls.
type client struct {
	r       *rig
	channel *socket
}

func (r *rig) client(age int) client {
	r.t.Helper()
	ours, theirs := r.pair()
	if err := r.set.AddCaller(age, 1, ours); err != nil {
		r.t.Fatal(err)
	}
	r.set.Serves(age)
	return client{r, theirs}
}

// A line is a client's end of a call connection.
type line struct {
	t *testing.T
	*socket
}

func (c client) dial() line {
	c.r.t.Helper()
	theirs, ours := c.r.pair()
	if err := c.channel.send([]byte{0}, theirs, time.Now().Add(limit)); err != nil {
		c.r.t.Fatal(err)
	}
	theirs.Close()
	return line{c.r.t, ours}
}

func (l line) call(app, action, payload string, timeout time.Duration) {
	l.t.Helper()
	m := wire.PoolMessage{Kind: wire.PoolCall, App: []byte(app), Action: []byte(action), Payload: []byte(payload), Timeout: timeout}
	if err := l.send(m.Append(nil), nil, time.Now().Add(limit)); err != nil {
		l.t.Fatal(err)
	}
}

// read returns the payload of the next message, which has to be of a kind.
func (l line) read(kind wire.PoolKind) []byte {
	l.t.Helper()
	m, file, _, err := read(l.t, l.socket)
	if err != nil || m.Kind != kind {
		l.t.Fatalf("the caller got kind %d (%q), %v instead of %d", m.Kind, m.Payload, err, kind)
	}
	if file != nil {
		defer file.Close()
		data, err := wire.ReadPayload(file, m.Size)
		if err != nil {
			l.t.Fatal(err)
		}
		return data
	}
	return m.Payload
}

// readError waits for an error, whose name it has to be.
func (l line) readError(name string) {
	l.t.Helper()
	if payload := l.read(wire.PoolError); !bytes.Contains(payload, []byte(name)) {
		l.t.Errorf("the caller got the error %q instead of %s", payload, name)
	}
}

func (l line) expect(kind wire.PoolKind, payload string) {
	l.t.Helper()
	if got := l.read(kind); string(got) != payload {
		l.t.Errorf("the caller got %q instead of %q", excerpt(got), excerpt([]byte(payload)))
	}
}

func excerpt(b []byte) string { return strings.ToValidUTF8(string(b[:min(len(b), 100)]), "?") }

// eventually waits until ok holds: nothing tells of it.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

func (r *rig) waiting() int {
	n := 0
	for _, p := range r.set.Status() {
		n += p.Waiting
	}
	return n
}

func (r *rig) outcome(o Outcome) int {
	n := 0
	for _, p := range r.set.Status() {
		n += p.Calls[o.String()]
	}
	return n
}
