package dispatch

import (
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"indrik/internal/status"
	"indrik/internal/wire"
	"indrik/internal/wire/wiretest"
)

// Events for a worker that does not read wait in this process, in their order, and requests go
// to others, or wait; all come when it reads.
func TestEventsWaitForTheirWorker(t *testing.T) {
	r := newRig(t, 0)
	g := r.generation(1, nil)
	w := r.worker(g, 1, wire.KindASGI)
	c := r.get(g, "/")
	id := w.begin().id
	event := wire.AppendMessage(nil, id, false, make([]byte, 32<<10), false)
	isFull := func() bool {
		r.q.mu.Lock()
		defer r.q.mu.Unlock()
		return r.q.workers[w.age].sendQueue.isFull()
	}
	sent := 0
	for ; !isFull(); sent++ {
		c.Send(nil, event)
	}
	for range 3 {
		c.Send(nil, wire.AppendCredit(nil, id, 1))
	}
	behind := r.get(g, "/behind")
	if l := r.q.Load(); l.Waiting != 1 {
		t.Errorf("%+v", l)
	}
	for i := 0; i < sent+3; i++ {
		msg, _, ok := wiretest.Receive(w.Slots[0], r.patience(), w.ended)
		if ok && wire.Event(msg[wire.ListHeader+6]) == wire.EventPing { // it comes when it comes
			i--
			continue
		}
		want := wire.EventMessage
		if i >= sent {
			want = wire.EventCredit
		}
		if !ok || wire.Event(msg[wire.ListHeader+6]) != want {
			t.Fatalf("event %d of %d is not %v", i, sent, want)
		}
	}
	w.Say(0, append(echo(request{id, "/"}), echo(w.begin())...))
	c.expect(200, "/")
	behind.expect(200, "/behind")
}

// A worker that never reads what it is sent breaks the protocol.
func TestWorkerThatDoesNotRead(t *testing.T) {
	r := newRig(t, 0)
	g := r.generation(1, nil)
	w := r.worker(g, 1, wire.KindASGI)
	c := r.get(g, "/")
	event := wire.AppendCredit(nil, w.begin().id, 1)
	for !r.host.has(wire.TypeBroken) {
		for range 1000 {
			c.Send(nil, event)
		}
	}
	if broken := r.host.saidOf(wire.TypeBroken); broken[0].Reason != errReadsNot.Error() {
		t.Errorf("the master is told %+v", broken)
	}
}

func (h *fakeHost) has(typ string) bool { return len(h.saidOf(typ)) > 0 }

// When the kernel takes no more for a queue, requests wait here until it does.
func TestFullSocket(t *testing.T) {
	r := newRig(t, 0)
	g := r.generation(1, nil)
	const slots = 64
	w := r.worker(g, slots, wire.KindSync)
	r.q.mu.Lock()
	gen := r.q.gens[0]
	// The least that the system grants.
	must(t, unix.SetsockoptInt(int(gen.send.FD()), unix.SOL_SOCKET, unix.SO_SNDBUF, 1))
	r.q.mu.Unlock()
	var calls []*call
	for range slots {
		calls = append(calls, r.get(g, "/"))
	}
	if l := r.q.Load(); l.Waiting == 0 || l.InFlight == 0 {
		t.Fatalf("%+v", l)
	}
	for _, c := range calls {
		w.Say(0, echo(w.take(0)))
		c.expect(200, "/")
	}
}

// A worker that has closed its socket gets no requests; they go to others.
func TestClosedSocketOfAMultiplexedWorker(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 1, wire.KindASGI)
		w.Close()
		c := r.get(g, "/")
		if closed := r.host.saidOf(wire.TypeClosed); len(closed) != 1 || closed[0].Age != w.age {
			t.Errorf("the master is told %+v", closed)
		}
		other := r.worker(g, 1, wire.KindASGI)
		other.Say(0, echo(other.begin()))
		other.deliver(0)
		c.expect(200, "/")
	})
}

// The status has the load of each worker, what runs, and what waits.
func TestStatus(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 1, wire.KindSync)
		c := r.get(g, "/served")
		w.Say(0, echo(w.take(0)))
		w.deliver(0)
		c.expect(200, "/served")
		r.get(g, "/running")
		w.take(0)
		time.Sleep(time.Second)
		r.get(g, "/in the queue")
		time.Sleep(time.Second)
		for range 3 {
			r.get(g, "/waiting")
		}
		synctest.Wait()
		queue, loads, unlisted := r.q.Status(time.Now())
		if queue.Length != 4 || queue.Oldest != 1 || unlisted != 0 {
			t.Errorf("queue %+v, %d unlisted", queue, unlisted)
		}
		load := loads[w.age]
		if load.Requests != 1 || load.InFlight != 1 || len(load.Running) != 1 {
			t.Fatalf("%+v", load)
		}
		if got, want := load.Running[0], (status.Running{Method: "GET", Path: "/running", Seconds: load.Running[0].Seconds, Number: load.Running[0].Number}); got != want || got.Seconds < 1 {
			t.Errorf("%+v", got)
		}
	})
}
