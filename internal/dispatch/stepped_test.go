package dispatch

import (
	"testing"
	"testing/synctest"
	"time"

	"indrik/internal/wire"
	"indrik/internal/wire/wiretest"
)

// This file has what happens at one certain point, in bubbles of synctest: nothing is read, and
// no time passes, unless the test says so.

// stepped runs a test in a bubble, with a rig and a generation.
func stepped(t *testing.T, s *Settings, f func(r *rig, g *fakeGeneration)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newSteppedRig(t)
		f(r, r.generation(1, s))
	})
}

// batch makes a worker of one slot, and has it take a number of requests in one message.
func (r *rig) batch(g *fakeGeneration, count int) (w *fakeWorker, calls []*call, qs []request) {
	w = r.worker(g, 1, wire.KindSync)
	calls = r.gathered(g, count)
	r.letGo()
	return w, calls, w.message(count)
}

// said returns the messages of a type that the master was sent.
func (h *fakeHost) saidOf(typ string) (all []wire.FromFront) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range h.said {
		if m.Type == typ {
			all = append(all, m)
		}
	}
	return all
}

// expectHonest checks that no worker is said to have broken the protocol.
func (r *rig) expectHonest() {
	r.t.Helper()
	for _, m := range r.host.saidOf(wire.TypeBroken) {
		r.t.Errorf("worker %d is said to have broken the protocol: %s", m.Age, m.Reason)
	}
}

// What a stalled slot has sent is acted on before what it has in its journal.
func TestJournalComesAfterTheSocket(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		w, calls, qs := r.batch(g, 2)
		w.Claim(0, qs[0].id)
		w.Say(0, wiretest.Start(qs[0].id, "200 OK", nil, "begin"))
		w.SetJournal(0, wiretest.End(qs[0].id))
		w.Claim(0, qs[1].id)
		time.Sleep(10 * probeStallsEvery)
		r.expectHonest()
		w.deliver(0)
		calls[0].expect(200, "begin")
		w.Say(0, echo(qs[1]))
		w.deliver(0)
		calls[1].expect(200, "/1")
		r.expectHonest()
	})
}

// The claim of a request that is over tells of those before it in its message.
func TestClaimOfRequestThatIsOver(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		w, calls, qs := r.batch(g, 2)
		r.q.CancelByClient(&calls[1].Job)
		w.Claim(0, qs[0].id)
		time.Sleep(2 * revocationDelay)
		w.SetJournal(0, echo(qs[0]))
		if w.Claim(0, qs[1].id) {
			t.Error("a request may be run whose client has left")
		}
		// Before the slot refuses it, another worker dies.
		other := r.worker(g, 1, wire.KindSync)
		other.kill()
		other.deliverAll()
		time.Sleep(2 * revocationDelay)
		if l := r.q.Load(); l.Waiting > 0 || len(r.worker(g, 1, wire.KindSync).receiveAll(0)) > 0 {
			t.Error("the request before it is run twice")
		}
		w.Say(0, append(echo(qs[0]), wiretest.Refused(qs[1].id)...))
		w.SetJournal(0, nil)
		w.deliver(0)
		calls[0].expect(200, "/0")
		r.expectHonest()
	})
}

// A worker has not passed over a request that it was given after the ping which it has
// answered, although that was late.
func TestRequestBehindALateAnswerToAPing(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 1, wire.KindASGI)
		first := r.get(g, "/first")
		id := w.begin().id
		time.Sleep(scanEvery)
		ping := w.event(wire.EventPing)
		time.Sleep(pingEvery + scanEvery)
		second := r.get(g, "/second")
		w.SetWord(wiretest.WordPing, uint64(ping.id))
		time.Sleep(3 * scanEvery)
		r.expectHonest()
		w.Say(0, append(echo(request{id, "/first"}), echo(w.begin())...))
		w.deliver(0)
		first.expect(200, "/first")
		second.expect(200, "/second")
	})
}

// When the master ends everything, a request that no worker has begun is answered with 503.
// One whose reply is on the way, or in a journal, has run.
func TestExpireAll(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		journaled, inBatch, qs := r.batch(g, 3)
		journaled.Claim(0, qs[0].id)
		journaled.SetJournal(0, echo(qs[0]))
		journaled.Claim(0, qs[1].id)
		waiting := r.get(g, "/waiting")
		r.q.Expire(0)
		inBatch[0].expect(504, "")
		inBatch[1].expect(504, "")
		inBatch[2].expect(503, "")
		waiting.expect(503, "")
		if journaled.Claim(0, qs[2].id) {
			t.Error("a request may be run that was answered with 503")
		}
	})
}

func TestExpireAllWithARequestThatIsUnclear(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 1, wire.KindSync)
		answered, begun := r.get(g, "/answered"), r.get(g, "/begun")
		w.Say(0, echo(w.take(0)))
		w.take(0)
		r.q.Expire(0)
		answered.expect(504, "")
		begun.expect(504, "")
	})
}
