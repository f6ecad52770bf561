package front

import (
	"errors"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"indrik/internal/wire"
)

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
			return r.s.peerFront != nil
		})
	}
	return old, young, ln
}

func name(text string) func(q request) []byte {
	return func(q request) []byte { return response(q.id, "200 OK", nil, text) }
}

// only makes r the one of two fronts that accepts.
func (r *rig) only(other *rig) {
	r.t.Helper()
	other.s.mu.Lock()
	all := slices.Collect(maps.Values(other.s.listeners))
	other.s.mu.Unlock()
	other.tell(wire.ToFront{Type: wire.TypeListen, Listeners: []wire.Listener{}})
	for _, l := range all {
		select {
		case <-l.stopped:
		case <-time.After(patience):
			r.t.Fatal("the other one goes on to accept")
		}
	}
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
		return r.s.peerFront != nil
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
			return !errors.Is(in.Err, unix.EAGAIN)
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
	r.s.peerFront = &peerFront{file: file, raw: raw}
	r.s.mu.Unlock()
	kept := r.onlyConn()
	if r.s.handOver(kept) {
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
