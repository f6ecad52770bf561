package front

import (
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"indrik/internal/wire"
)

func TestDrain(t *testing.T) {
	for _, accept := range []string{wire.AcceptStop, wire.AcceptEmpty} {
		t.Run(accept, func(t *testing.T) {
			r, w := answering(t)
			idle, busy := r.dial(), r.dial()
			idle.get("/")
			w.say(0, echo(w.take(0)))
			idle.expect(200, "GET / ")
			busy.get("/busy")
			q := w.take(0)
			r.tell(wire.ToFront{Type: wire.TypeDrain, Accept: accept})
			idle.closed()
			r.silent(wire.TypeDrained, 100*time.Millisecond)
			w.say(0, echo(q))
			if resp := busy.expect(200, "GET /busy "); !resp.Close {
				t.Error("no Connection: close")
			}
			busy.closed()
			r.hear(wire.TypeDrained)
			r.silent(wire.TypeDrained, 100*time.Millisecond)
			if len(r.s.all()) != 0 {
				t.Error("connections are left")
			}
		})
	}
}

// What the kernel has accepted is served before the listener closes.
func TestDrainEmptiesTheBacklog(t *testing.T) {
	r := newRig(t, 0)
	ln := r.listen()
	eventually(t, "it listens", func() bool {
		r.s.mu.Lock()
		defer r.s.mu.Unlock()
		return len(r.s.listeners) == 1
	})
	var clients []*client
	for range 20 {
		clients = append(clients, r.dial())
	}
	r.tell(wire.ToFront{Type: wire.TypeDrain, Accept: wire.AcceptEmpty})
	r.worker(r.generation(1, testConfig()), 1).serve(echo)
	for _, c := range clients {
		c.get("/")
	}
	for _, c := range clients {
		c.expect(200, "*")
		c.closed()
	}
	r.hear(wire.TypeDrained)
	ln.Close()
	if _, err := net.DialTimeout("tcp", r.addr, 200*time.Millisecond); err == nil {
		t.Error("the listener is still open")
	}
}

// A request that comes just after the drain has begun is served, however long
// its connection was idle.
func TestLameDuck(t *testing.T) {
	for range 20 {
		r := serving(t)
		c := r.dial()
		c.get("/")
		c.expect(200, "*")
		duck := r.s.all()[0]
		eventually(t, "it is idle", func() bool { return phase(duck.phase.Load()) == idle })
		duck.since.Add(-int64(time.Minute))
		r.tell(wire.ToFront{Type: wire.TypeDrain, Accept: wire.AcceptStop})
		eventually(t, "it drains", r.s.isDraining)
		r.s.settleAll()
		c.get("/late")
		if time.Duration(now()-r.s.drainedFrom.Load()) >= lameDuck {
			continue // the machine was too slow for that: it may be late indeed
		}
		if resp := c.expect(200, "GET /late "); !resp.Close {
			t.Error("no Connection: close")
		}
		c.closed()
		c.nc.Close()
		r.hear(wire.TypeDrained)
		return
	}
	t.Error("no request was sent in time")
}

// Idle clients that do not react do not hold a drain.
func TestIdleClientsDoNotHoldTheDrain(t *testing.T) {
	r := serving(t)
	for range 10 {
		c := r.dial()
		c.get("/")
		c.expect(200, "*")
	}
	begin := time.Now()
	r.tell(wire.ToFront{Type: wire.TypeDrain, Accept: wire.AcceptStop})
	r.hear(wire.TypeDrained)
	if d := time.Since(begin); d > time.Second {
		t.Errorf("it took %s", d)
	}
}

func TestWaitingRequestsAreServedInDrain(t *testing.T) {
	r := newRig(t, 0)
	r.listen()
	g := r.generation(1, testConfig())
	c := r.dial()
	c.get("/")
	eventually(t, "it waits", func() bool { return r.waiting() == 1 })
	r.tell(wire.ToFront{Type: wire.TypeDrain, Accept: wire.AcceptStop})
	r.silent(wire.TypeDrained, 2*lameDuck)
	r.worker(g, 1).serve(echo)
	c.expect(200, "GET / ")
	r.hear(wire.TypeDrained)
}

func TestResume(t *testing.T) {
	r := newRig(t, 0)
	ln := r.listen()
	w := r.worker(r.generation(1, testConfig()), 1)
	c := r.dial()
	c.get("/a")
	q := w.take(0)
	r.tell(wire.ToFront{Type: wire.TypeDrain, Accept: wire.AcceptStop})
	eventually(t, "it drains", r.s.isDraining)
	r.tell(wire.ToFront{Type: wire.TypeResume})
	r.listenOn(ln)
	eventually(t, "it does not any more", func() bool { return !r.s.isDraining() })
	w.say(0, echo(q))
	if resp := c.expect(200, "GET /a "); resp.Close {
		t.Error("Connection: close after resume")
	}
	w.serve(echo)
	c.get("/b")
	c.expect(200, "GET /b ")
	d := r.dial()
	d.get("/c")
	d.expect(200, "GET /c ")
	r.silent(wire.TypeDrained, 2*lameDuck)
	c.open(10 * time.Millisecond)
}

// The master died: what is in flight is finished, then the process ends.
func TestMasterDies(t *testing.T) {
	r, w := answering(t)
	c := r.dial()
	c.get("/")
	q := w.take(0)
	r.master.Close()
	time.Sleep(100 * time.Millisecond)
	w.say(0, echo(q))
	c.expect(200, "GET / ")
	select {
	case <-r.ended:
	case <-time.After(5 * time.Second):
		t.Error("the front goes on")
	}
}

// pair is two fronts that are each other's peer, on the same socket.
func pair(t *testing.T) (old, young *rig, ln *os.File) {
	old, young = newRig(t, 0), newRig(t, 0)
	ln = old.listen()
	young.addr = old.addr
	young.listenOn(ln)
	a, b, err := wire.Pair()
	must(t, err)
	old.tell(wire.ToFront{Type: wire.TypePeer}, a)
	young.tell(wire.ToFront{Type: wire.TypePeer}, b)
	for _, r := range []*rig{old, young} {
		eventually(t, "it has its peer", func() bool {
			r.s.mu.Lock()
			defer r.s.mu.Unlock()
			return r.s.peer != nil
		})
	}
	return old, young, ln
}

func name(text string) func(q request) []byte {
	return func(q request) []byte { return response(q.id, "200 OK", nil, text) }
}

// only makes r the one of two fronts that accepts.
func (r *rig) only(other *rig) {
	other.tell(wire.ToFront{Type: wire.TypeListen, Listeners: []wire.Listener{}})
	eventually(r.t, "the other one accepts no more", func() bool {
		other.s.mu.Lock()
		defer other.s.mu.Unlock()
		return len(other.s.listeners) == 0
	})
	time.Sleep(20 * time.Millisecond)
}

func TestHandover(t *testing.T) {
	old, young, ln := pair(t)
	wo := old.worker(old.generation(1, testConfig()), 1)
	young.worker(young.generation(1, testConfig()), 1).serve(name("young"))
	old.only(young)
	idle, fresh, busy := old.dial(), old.dial(), old.dial()
	idle.get("/")
	wo.say(0, name("old")(wo.take(0)))
	idle.expect(200, "old")
	busy.get("/busy")
	q := wo.take(0)
	old.tell(wire.ToFront{Type: wire.TypeDrain, Handover: true, Accept: wire.AcceptStop})
	eventually(t, "the idle ones are given away", func() bool { return len(old.s.all()) == 1 })
	idle.get("/after")
	idle.expect(200, "young")
	fresh.get("/first")
	fresh.expect(200, "young")
	old.silent(wire.TypeDrained, 50*time.Millisecond)
	wo.say(0, name("old")(q))
	if resp := busy.expect(200, "old"); resp.Close {
		t.Error("Connection: close, although the peer lives")
	}
	old.hear(wire.TypeDrained)
	busy.get("/after")
	busy.expect(200, "young")

	// Back again.
	wo.serve(name("old"))
	old.tell(wire.ToFront{Type: wire.TypeResume})
	old.listenOn(ln)
	eventually(t, "the old one serves again", func() bool { return !old.s.isDraining() })
	young.tell(wire.ToFront{Type: wire.TypeDrain, Handover: true, Accept: wire.AcceptStop})
	young.hear(wire.TypeDrained)
	for _, c := range []*client{idle, fresh, busy} {
		c.get("/back")
		c.expect(200, "old")
	}
	if n := len(young.s.all()); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

// Both drain: what came from the other one stays, and waits there.
func TestHandoverToOneThatDrains(t *testing.T) {
	old, young, ln := pair(t)
	wo := old.worker(old.generation(1, testConfig()), 1)
	old.tell(wire.ToFront{Type: wire.TypeDrain, Handover: true, Accept: wire.AcceptStop})
	old.hear(wire.TypeDrained)
	young.worker(young.generation(1, testConfig()), 1).serve(name("young"))
	c := young.dial()
	c.get("/")
	c.expect(200, "young")
	young.tell(wire.ToFront{Type: wire.TypeDrain, Handover: true, Accept: wire.AcceptStop})
	young.hear(wire.TypeDrained)
	eventually(t, "the old one has it", func() bool { return len(old.s.all()) == 1 })
	c.open(3 * lameDuck)
	young.tell(wire.ToFront{Type: wire.TypeQuit})
	<-young.ended
	old.tell(wire.ToFront{Type: wire.TypeResume})
	old.listenOn(ln)
	wo.serve(name("old"))
	c.get("/")
	c.expect(200, "old")
	c.open(3 * lameDuck)
}

// The peer has died: its connections end here.
func TestHandoverWithoutPeer(t *testing.T) {
	r := serving(t)
	a, b, err := wire.Pair()
	must(t, err)
	r.tell(wire.ToFront{Type: wire.TypePeer}, a)
	c := r.dial()
	c.get("/")
	c.expect(200, "*")
	b.Close()
	r.tell(wire.ToFront{Type: wire.TypeDrain, Handover: true, Final: true, Accept: wire.AcceptStop})
	c.closed()
	r.hear(wire.TypeDrained)
}

// The peer takes nothing, since it is ending: a process that does not end itself keeps
// its connections, for when it serves again.
func TestHandoverToOneThatEnds(t *testing.T) {
	old, young, ln := pair(t)
	wo := old.worker(old.generation(1, testConfig()), 1)
	wo.serve(name("old"))
	young.tell(wire.ToFront{Type: wire.TypeDrain, Handover: true, Final: true, Accept: wire.AcceptStop})
	young.hear(wire.TypeDrained)
	c := old.dial()
	c.get("/")
	c.expect(200, "old")
	old.tell(wire.ToFront{Type: wire.TypeDrain, Handover: true, Accept: wire.AcceptStop})
	old.hear(wire.TypeDrained)
	c.open(3 * lameDuck)
	old.tell(wire.ToFront{Type: wire.TypeResume})
	old.listenOn(ln)
	c.get("/")
	c.expect(200, "old")
}

// Connections that were on their way to a process which ends come back from it.
func TestHandoverComesBack(t *testing.T) {
	r := serving(t)
	a, b, err := wire.Pair()
	must(t, err)
	r.tell(wire.ToFront{Type: wire.TypePeer}, a)
	file, raw, err := wire.Adopt(b)
	must(t, err)
	defer file.Close()
	eventually(t, "the peer is known", func() bool {
		r.s.mu.Lock()
		defer r.s.mu.Unlock()
		return r.s.peer != nil
	})
	mine, theirs, err := wire.Pair() // stands for a connection
	must(t, err)
	defer mine.Close()
	for range 3 {
		must(t, wire.SendMsg(raw, []byte(`{"bind":"x","network":"unix"}`), int(theirs.Fd())))
	}
	theirs.Close()
	r.tell(wire.ToFront{Type: wire.TypeDrain, Handover: true, Final: true, Accept: wire.AcceptStop})
	r.hear(wire.TypeDrained)
	if err := wire.SendMsg(raw, []byte(`{}`)); err == nil {
		t.Error("it takes more after that")
	}
	for i := range 3 {
		var in wire.Receiver
		must(t, raw.Read(func(fd uintptr) bool {
			in.Receive(fd, make([]byte, 4096), 0)
			return in.Err != unix.EAGAIN
		}))
		f := in.File()
		if f == nil {
			t.Fatalf("%d of 3 came back", i)
		}
		f.Close()
	}
}

// A connection that could not be given is read without waiting, as before.
func TestConnectionThatStays(t *testing.T) {
	r := serving(t)
	c := r.dial()
	c.get("/")
	c.expect(200, "*")
	a, b, err := wire.Pair()
	must(t, err)
	b.Close()
	file, raw, err := wire.Adopt(a)
	must(t, err)
	defer file.Close()
	r.s.mu.Lock()
	r.s.peer = &peer{file: file, raw: raw}
	r.s.mu.Unlock()
	kept := r.onlyConn()
	if r.s.give(kept) {
		t.Fatal("it was given to a peer that is gone")
	}
	var flags int
	must(t, kept.raw.Control(func(fd uintptr) { flags, err = unix.FcntlInt(fd, unix.F_GETFL, 0) }))
	must(t, err)
	if flags&unix.O_NONBLOCK == 0 {
		t.Error("the socket waits")
	}
	c.get("/")
	c.expect(200, "*")
}

func TestListenDiff(t *testing.T) {
	r := serving(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	f, err := ln.(*net.TCPListener).File()
	must(t, err)
	ln.Close()
	old := r.addr
	r.tell(wire.ToFront{Type: wire.TypeListen, Listeners: []wire.Listener{{ID: 2, Bind: ln.Addr().String(), Network: "tcp"}}}, f)
	eventually(t, "one listener is left", func() bool {
		r.s.mu.Lock()
		defer r.s.mu.Unlock()
		return len(r.s.listeners) == 1 && r.s.listeners[2] != nil
	})
	r.addr = ln.Addr().String()
	c := r.dial()
	c.get("/")
	c.expect(200, "*")
	_ = old
}

func TestTooManyFiles(t *testing.T) {
	r := serving(t)
	c := r.dial()
	c.get("/")
	c.expect(200, "*")
	var was unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &was))
	late, err := net.Dial("tcp", r.addr) // the descriptor of the client
	must(t, err)
	late.Close()
	fd, err := unix.Dup(0)
	must(t, err)
	unix.Close(fd)
	// The client's socket gets the last descriptor there is.
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(fd + 1), Max: was.Max}))
	nc, err := net.Dial("tcp", r.addr)
	restore := func() { unix.Setrlimit(unix.RLIMIT_NOFILE, &was) }
	defer restore()
	if err != nil {
		t.Skipf("no descriptor for the client: %s", err)
	}
	defer nc.Close()
	time.Sleep(3 * acceptPause)
	restore()
	nc.SetDeadline(time.Now().Add(5 * time.Second))
	nc.Write([]byte("GET /late HTTP/1.0\r\n\r\n"))
	b := make([]byte, 12)
	if _, err := nc.Read(b); err != nil || string(b) != "HTTP/1.0 200" {
		t.Errorf("got %q, %v", b, err)
	}
	if !strings.Contains(r.log.String(), "[ERROR] accept on "+r.addr) {
		t.Error("nothing in the log")
	}
}
