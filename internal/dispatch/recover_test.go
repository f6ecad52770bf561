package dispatch

import (
	"fmt"
	"indrik/internal/wire"
	"indrik/internal/wire/wiretest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A reply that a worker made and did not send before it died reaches its client. Only the
// request that it ran fails, and those behind it go to another.
func TestJournalOfTheDead(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		dying, other, calls, qs := r.shared(g)
		dying.Claim(0, qs[0].id)
		dying.Claim(0, qs[1].id)
		dying.SetJournal(0, append(echo(qs[0]), echo(qs[1])...))
		dying.Claim(0, qs[2].id)
		dying.kill()
		dying.deliverAll()
		time.Sleep(2 * revocationDelay)
		calls[0].expect(200, "/0")
		calls[1].expect(200, "/1")
		calls[2].expect(502, "")
		for range 5 {
			q := other.take(0)
			other.Say(0, echo(q))
			other.deliver(0)
		}
		for i := 3; i < 8; i++ {
			calls[i].expect(200, fmt.Sprintf("/%d", i))
		}
	})
}

// What was revoked from behind a request stays in the ring until its slot has refused it, or
// is dead.
func TestRevocationsOfTheDead(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		stalled, other, calls, qs := r.shared(g)
		stalled.Claim(0, qs[0].id)
		time.Sleep(4 * probeStallsEvery)
		revoked := func() int {
			r.q.mu.Lock()
			defer r.q.mu.Unlock()
			return len(r.q.gens[0].revoked)
		}
		for range 7 {
			q := other.take(0)
			other.Say(0, echo(q))
			other.deliver(0)
		}
		if n := revoked(); n != 3 {
			t.Errorf("%d revocations are awaited, want 3", n)
		}
		// A worker that comes now may find such a message in the queue.
		late := r.worker(stalled.g, 1, wire.KindSync)
		for _, q := range qs[1:] {
			if late.Claim(0, q.id) {
				t.Errorf("a worker that was added later may run request %d", q.id)
			}
		}
		late.Claim(0, 0)
		stalled.kill()
		stalled.deliverAll()
		calls[0].expect(502, "")
		if n := revoked(); n != 0 {
			t.Errorf("%d revocations are awaited of a dead slot", n)
		}
	})
}

// A slot that has answered one request and claimed the next no longer shows its claim of the
// first. As long as the reply is unread that must not look as if no worker had run it.
func TestReplyUnreadWhileAnotherDies(t *testing.T) {
	r := newRig(t, 0)
	g := r.generation(1, nil)
	live, dying := r.worker(g, 1, ""), r.worker(g, 1, "")

	// The goroutine of the live slot has not got round to its messages.
	r.q.mu.Lock()
	sl := r.q.workers[live.age].slots[0]
	r.q.mu.Unlock()
	sl.mu.Lock()

	a := r.get(g, "/a")
	live.Say(0, echo(live.take(0)))
	b := r.get(g, "/b")
	qb := live.take(0)
	dying.kill()
	time.Sleep(20 * revocationDelay)
	if q, ok := live.receive(50 * time.Millisecond); ok {
		t.Errorf("%s is run twice", q.path)
	}
	sl.mu.Unlock()
	a.expect(200, "/a")
	live.Say(0, echo(qb))
	b.expect(200, "/b")
}

// The revocation of a request that a slot has in its hand stays in the ring, though many others
// come.
func TestRevocationOfWhatASlotHoldsStays(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		slow, other := r.worker(g, 1, wire.KindSync), r.worker(g, 1, wire.KindSync)
		revoke := func() *call {
			c := r.get(g, "/")
			r.q.CancelByClient(&c.Job)
			time.Sleep(2 * revocationDelay)
			return c
		}
		revoke()
		held := slow.message(1)[0]
		for range wire.MaxRevoked {
			revoke()
			q := other.message(1)[0]
			other.Claim(0, q.id)
			other.Say(0, wiretest.Refused(q.id))
			other.deliver(0)
		}
		if slow.Claim(0, held.id) {
			t.Error("a request may be run that was revoked")
		}
	})
}

func TestIDs(t *testing.T) {
	q := newRig(t, 0).q
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lastID = 1<<wire.IDBits - 2
	q.inFlight[1] = &Job{}
	var ids []uint32
	for range 3 {
		ids = append(ids, q.newIDsLocked(1))
	}
	if fmt.Sprint(ids) != "[16777215 2 3]" {
		t.Errorf("ids %v", ids)
	}
	// Those of one message follow each other.
	q.inFlight[9] = &Job{}
	if first := q.newIDsLocked(8); first != 12 {
		t.Errorf("the first of eight is %d, and 9 is in flight", first)
	}
	q.lastID = 1<<wire.IDBits - 5
	if first := q.newIDsLocked(8); first != 17 {
		t.Errorf("the first of eight at the end of the numbers is %d", first)
	}
}

// Workers die all the time, at any point: no request runs twice or is lost, and none fails
// except those that a dying worker had claimed.
func TestCrashesUnderLoad(t *testing.T) {
	for _, together := range []bool{false, true} {
		name := map[bool]string{false: "one by one", true: "together"}[together]
		t.Run(name, func(t *testing.T) { crashUnderLoad(t, together) })
	}
}

// A crashRecord is what has become of requests, by their paths.
type crashRecord struct {
	mu     sync.Mutex
	runs   map[string]int
	died   map[string]bool
	shared int // messages with more than one request
}

// begin records a run, in which the worker dies, perhaps.
func (rec *crashRecord) begin(path string, dies bool) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.runs[path]++
	if dies {
		rec.died[path] = true
	}
}

// A crash is the point at which a worker dies.
type crash int

const (
	unclaimedCrash crash = iota
	claimedCrash
	journaledCrash
	answeredCrash
	crashes
)

// runUntilCrash runs requests until the twentieth, at which the worker dies.
func (w *fakeWorker) runUntilCrash(at crash, rec *crashRecord) {
	const last = 20
	for n := 0; ; {
		qs := w.receiveAll(time.Hour)
		if qs == nil {
			return
		}
		if len(qs) > 1 {
			rec.mu.Lock()
			rec.shared++
			rec.mu.Unlock()
		}
		var journal []byte
		for _, q := range qs {
			n++
			if at == unclaimedCrash && n == last {
				return
			}
			if !w.Claim(0, q.id) {
				w.Say(0, append(journal, wiretest.Refused(q.id)...))
				w.SetJournal(0, nil)
				journal = nil
				continue
			}
			dies := at == claimedCrash && n == last
			rec.begin(q.path, dies)
			if dies {
				return
			}
			journal = append(journal, echo(q)...)
			w.SetJournal(0, journal)
			if at == journaledCrash && n == last {
				return
			}
		}
		if len(journal) > 0 {
			w.Say(0, journal)
			w.SetJournal(0, nil)
		}
		if at == answeredCrash && n >= last {
			return
		}
	}
}

func crashUnderLoad(t *testing.T, together bool) {
	r := newRig(t, 0)
	g := r.generation(1, nil)
	rec := &crashRecord{runs: map[string]int{}, died: map[string]bool{}}
	var stop atomic.Bool
	var workers sync.WaitGroup
	if together {
		workers.Go(func() {
			for !stop.Load() {
				r.q.hurry()
				time.Sleep(time.Millisecond)
			}
		})
	}
	for i := range 3 {
		workers.Go(func() {
			for n := i; !stop.Load(); n++ {
				w := r.worker(g, 1, "")
				done := make(chan struct{})
				w.loops.Go(func() {
					defer close(done)
					w.runUntilCrash(crash(n)%crashes, rec)
				})
				for over := false; !over; {
					select {
					case <-done:
						over = true
					case <-time.After(10 * time.Millisecond):
						over = stop.Load()
					}
				}
				w.kill()
			}
		})
	}
	var clients sync.WaitGroup
	for i := range 24 {
		clients.Go(func() {
			for n := range 100 {
				path := fmt.Sprintf("/%d/%d", i, n)
				got := r.get(g, path).wait()
				rec.mu.Lock()
				ran, dead := rec.runs[path], rec.died[path]
				rec.mu.Unlock()
				switch {
				case ran == 0 && got.status == 502:
					// Every worker that took it died before it claimed it: see maxRetries.
				case ran != 1:
					t.Errorf("%s ran %d times", path, ran)
				case dead && got.status != 502:
					t.Errorf("%s: %d, and its worker died", path, got.status)
				case !dead && got != outcome{200, path}:
					t.Errorf("%s: %+v", path, got)
				}
			}
		})
	}
	clients.Wait()
	stop.Store(true)
	workers.Wait()
	if len(rec.died) == 0 {
		t.Error("no worker died with a claim")
	}
	if together && rec.shared == 0 {
		t.Error("no requests came together")
	}
	eventually(t, "nothing is in flight", func() bool { l := r.q.Load(); return l.InFlight == 0 && l.Waiting == 0 })
}

// A request that is taken back twice, since it has waited too long and its client leaves at that
// moment, takes no room in the ring of revocations from another one.
func TestRevokedTwice(t *testing.T) {
	stepped(t, &Settings{QueueTimeout: time.Second}, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 1, wire.KindASGI)
		var late []*call
		for range wire.MaxRevoked - 2 {
			late = append(late, r.get(g, "/late"))
		}
		time.Sleep(500 * time.Millisecond)
		first, second := r.get(g, "/first"), r.get(g, "/second")
		for r.awaited() == 0 {
			time.Sleep(100 * time.Microsecond)
		}
		r.q.CancelByClient(&late[0].Job)
		r.q.CancelByClient(&first.Job)
		r.q.CancelByClient(&second.Job)
		time.Sleep(2 * revocationDelay)
		r.expectAllRefused(w, len(late)+2)
	})
}

// awaited returns how many revocations no worker has refused yet.
func (r *rig) awaited() int {
	r.q.mu.Lock()
	defer r.q.mu.Unlock()
	return len(r.q.gens[0].revoked)
}

// awaits reports whether that of a request is among them.
func (r *rig) awaits(id uint32) bool {
	r.q.mu.Lock()
	defer r.q.mu.Unlock()
	_, ok := r.q.gens[0].revoked[id]
	return ok
}

// expectAllRefused has a multiplexed worker read so many requests, and begin none of them that
// was taken back.
func (r *rig) expectAllRefused(w *fakeWorker, count int) {
	r.t.Helper()
	for range count {
		e := w.event(wire.EventRequest)
		revoked := r.awaits(e.id)
		if begun := w.Claim(0, e.id); begun && revoked {
			r.t.Errorf("%s is begun although it was taken back", e.path)
		} else if !begun {
			w.Say(0, wiretest.Refused(e.id))
			w.deliver(0)
		}
	}
}

// The revocations of a worker that has died are not waited for: they would use up the room
// for those of others.
func TestRevocationsOfDeadWorkers(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		for range 3 {
			w := r.worker(g, 1, wire.KindASGI)
			var calls []*call
			for range wire.MaxRevoked / 2 {
				calls = append(calls, r.get(g, "/left"))
			}
			time.Sleep(time.Millisecond)
			for _, c := range calls {
				r.q.CancelByClient(&c.Job)
			}
			time.Sleep(2 * revocationDelay)
			w.kill()
			w.deliverAll()
		}
		if n := r.awaited(); n != 0 {
			t.Errorf("%d revocations are awaited", n)
		}
		w := r.worker(g, 1, wire.KindASGI)
		c := r.get(g, "/left")
		time.Sleep(time.Millisecond)
		r.q.CancelByClient(&c.Job)
		time.Sleep(2 * revocationDelay)
		if w.Claim(0, w.event(wire.EventRequest).id) {
			t.Error("a request is begun whose client has left")
		}
	})
}

// The same of a worker that reads the queue, and has died with a message in its hand.
func TestRevocationsOfDeadHands(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		for range wire.MaxRevoked + 1 {
			w := r.worker(g, 1, wire.KindSync)
			c := r.get(g, "/left")
			if _, ok := w.receive(0); !ok {
				t.Fatal("no request came")
			}
			r.q.CancelByClient(&c.Job)
			time.Sleep(2 * revocationDelay)
			w.kill()
			w.deliverAll()
		}
		if n := r.awaited(); n != 0 {
			t.Errorf("%d revocations are awaited", n)
		}
	})
}
