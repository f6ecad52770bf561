package dispatch

import (
	"testing"
	"time"

	"indrik/internal/wire"
	"indrik/internal/wire/wiretest"
)

// A reload: the new generation takes the requests that come, and what the old one has not read;
// what its workers run they finish. When they are gone, the generation is forgotten.
func TestReload(t *testing.T) {
	stepped(t, nil, func(r *rig, old *fakeGeneration) {
		before := r.worker(old, 1, wire.KindSync)
		running, unread := r.get(old, "/running"), r.get(old, "/unread")
		q := before.take(0)

		g := r.generation(2, nil)
		if r.q.Config(1) == nil || r.q.Config(2) == nil || r.q.Config(3) != nil {
			t.Error("the generations are not 1 and 2")
		}
		after := r.worker(g, 1, wire.KindSync)
		next := r.get(g, "/next")
		r.q.Retire(before.age)
		answered := map[string]bool{}
		for range 2 {
			q := after.take(0)
			answered[q.path] = true
			after.Say(0, echo(q))
			after.deliver(0)
		}
		unread.expect(200, "/unread")
		next.expect(200, "/next")
		before.Say(0, echo(q))
		before.deliver(0)
		running.expect(200, "/running")
		before.kill()
		r.q.Gone(before.age)
		before.deliverAll()
		if l := r.q.Load(); l.Generations != 1 || l.Workers != 1 || l.Ready != 1 || l.Slots != 1 || !l.HasServed {
			t.Errorf("%+v", l)
		}
		if len(r.host.saidOf(wire.TypeClosed)) > 0 {
			t.Error("the end of a process is not told as a closed slot")
		}
		if r.q.TrimArenas() {
			t.Error("memory of bodies is left, and there were none")
		}
	})
}

// A reload that fails: the new generation never serves, and the old one goes on.
func TestReloadThatFails(t *testing.T) {
	stepped(t, nil, func(r *rig, old *fakeGeneration) {
		w := r.worker(old, 1, wire.KindSync)
		failing := r.quietWorker(r.generation(2, nil), 1)
		failing.kill()
		failing.deliverAll()
		if r.q.Activate(failing.age, 1, wire.KindSync) != nil {
			t.Error("a worker that is dead counts")
		}
		c := r.get(old, "/")
		w.Say(0, echo(w.take(0)))
		w.deliver(0)
		c.expect(200, "/")
	})
}

// With reload a request waits until the master has looked whether code has changed since it
// came, whatever happens meanwhile; when the master is gone nothing waits for it.
func TestReloadGateOfTheQueue(t *testing.T) {
	stepped(t, &Settings{Reload: true}, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 1, wire.KindSync)
		first, second := r.get(g, "/first"), r.get(g, "/second")
		left := r.get(g, "/left")
		if len(w.receiveAll(0)) > 0 {
			t.Fatal("a request has passed the gate")
		}
		r.q.CancelByClient(&left.Job)
		r.q.Checked(1)
		w.Say(0, echo(w.take(0)))
		w.deliver(0)
		first.expect(200, "/first")
		if len(w.receiveAll(0)) > 0 {
			t.Fatal("the second has not waited for its own check")
		}
		// Code has changed: another generation takes over first.
		next := r.worker(r.generation(2, &Settings{Reload: true}), 1, wire.KindSync)
		r.q.Retire(w.age)
		r.q.Checked(2)
		next.Say(0, echo(next.take(0)))
		next.deliver(0)
		second.expect(200, "/second")
		third := r.get(g, "/third")
		r.q.Unwatched()
		next.Say(0, echo(next.take(0)))
		next.deliver(0)
		third.expect(200, "/third")
		if checks := r.host.saidOf(wire.TypeCheck); len(checks) != 3 {
			t.Errorf("%d checks", len(checks))
		}
	})
}

// A worker of a front before this one keeps its kind, and is told that what it had is over.
func TestWorkerOfAnotherFront(t *testing.T) {
	r := newRig(t, 3)
	g := r.generation(1, nil)
	old, files := wiretest.NewWorker(t, &r.tokens, 1)
	old.Buffer(0, 2<<wire.IDBits|1, "for the other front")
	old.Place(0, 2<<wire.IDBits|2, 5, "for the other front")
	must(t, r.q.AddWorker(wire.ToFront{Generation: 1, Age: 7, Kind: wire.KindASGI}, files))
	r.q.Activate(7, 1, wire.KindSync)
	if g.settings.Kind() != wire.KindASGI {
		t.Errorf("its kind is %q", g.settings.Kind())
	}
	if old.Word(wiretest.SlotWord(0, wiretest.WordBuffer)) != 0 {
		t.Error("its response buffer is not free")
	}
	if old.Word(wiretest.SlotWord(0, wiretest.WordArena)) != 0 {
		t.Error("its response arena is not free")
	}
	w := &fakeWorker{Worker: old, r: r, g: g}
	if e := w.event(wire.EventReset); e.id != 3 {
		t.Errorf("it serves front %d", e.id)
	}
	c := r.get(g, "/")
	q := w.begin()
	// What it says to the front before is dropped.
	w.Say(0, append(response(2<<wire.IDBits|1, "old"), echo(q)...))
	c.expect(200, "/")
	w.Close()
}

// A message about a worker that cannot be taken changes nothing.
func TestWorkerThatCannotBeTaken(t *testing.T) {
	r := newRig(t, 0)
	r.generation(1, nil)
	w, files := wiretest.NewWorker(t, &r.tokens, 1)
	defer w.Close()
	if err := r.q.AddWorker(wire.ToFront{Generation: 2, Age: 1}, files); err == nil {
		t.Error("a worker of a generation that does not exist is taken")
	}
	w, files = wiretest.NewWorker(t, &r.tokens, 1)
	defer w.Close()
	if err := r.q.AddWorker(wire.ToFront{Generation: 1, Age: 1}, files[1:]); err == nil {
		t.Error("a socket is taken for a scoreboard")
	}
	w, files = wiretest.NewWorker(t, &r.tokens, 1)
	defer w.Close()
	must(t, r.q.AddWorker(wire.ToFront{Generation: 1, Age: 1, First: 1}, files)) // it has ended
	if l := r.q.Load(); l.Workers != 0 {
		t.Errorf("%+v", l)
	}
}

// A worker with many slots comes in several messages.
func TestSlotsInSeveralMessages(t *testing.T) {
	r := newRig(t, 0)
	r.generation(1, nil)
	w, files := wiretest.NewWorker(t, &r.tokens, 3)
	must(t, r.q.AddWorker(wire.ToFront{Generation: 1, Age: 1}, files[:2]))
	must(t, r.q.AddWorker(wire.ToFront{Generation: 1, Age: 1, First: 1}, files[2:]))
	r.q.Activate(1, 1, wire.KindSync)
	if l := r.q.Load(); l.Slots != 3 {
		t.Errorf("%+v", l)
	}
	r.q.breach(func() *worker { r.q.mu.Lock(); defer r.q.mu.Unlock(); return r.q.workers[1] }(), errEmpty)
	w.Close()
}

// The death of a worker is told with what it was running, up to some.
func TestReportOfADeath(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		const count = maxReported + 2
		w := r.worker(g, count, wire.KindSync)
		c := r.get(g, "/served")
		w.Say(0, echo(w.take(0)))
		w.deliver(0)
		c.expect(200, "/served")
		var calls []*call
		for i := range count {
			calls = append(calls, r.get(g, "/running"))
			w.take(i)
		}
		time.Sleep(time.Second)
		w.kill()
		w.deliverAll()
		for _, c := range calls {
			c.expect(502, "")
		}
		lost := r.host.saidOf(wire.TypeLost)
		if len(lost) != 1 || lost[0].Served != 1 || len(lost[0].Running) != maxReported || lost[0].Others != 2 || lost[0].Running[0].Path != "/running" {
			t.Errorf("the master is told %+v", lost)
		}
	})
}
