package dispatch

import (
	"testing"
	"testing/synctest"
	"time"

	"indrik/internal/wire"
)

// probed puts an entry in the queue, and returns where its answer comes.
func (r *rig) probed() <-chan Load {
	answer := make(chan Load, 1)
	r.q.Probe(func(l Load) { answer <- l })
	return answer
}

// An entry is answered though requests wait, and no worker sees it.
func TestProbe(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		if l := <-r.probed(); l.Ready != 0 || l.Able != 0 || l.HasServed {
			t.Errorf("without workers: %+v", l)
		}
		w := r.worker(g, 1, wire.KindSync)
		for range 20 {
			r.get(g, "/slow")
		}
		w.take(0)
		synctest.Wait()
		waiting := r.q.Load().Waiting
		if l := <-r.probed(); l.Ready != 1 || l.Able != 1 || l.Waiting != waiting || waiting == 0 {
			t.Errorf("with requests that wait: %+v, not %d", l, waiting)
		}
		if now := r.q.Load(); now.Waiting != waiting || now.InFlight != 20-waiting {
			t.Errorf("afterwards: %+v", now)
		}
		r.q.mu.Lock()
		r.q.giveUpQueueLocked(r.q.gens[0], errQueueClosed)
		r.q.mu.Unlock()
		if l := <-r.probed(); l.Ready != 1 || l.Able != 0 {
			t.Errorf("with a broken queue: %+v", l)
		}
	})
}

// A queue that is stuck does not answer; once it goes on, it does.
func TestProbeOfAStuckQueue(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	r.q.mu.Lock()
	answer := make(chan Load, 1)
	go r.q.Probe(func(l Load) { answer <- l })
	select {
	case <-answer:
		t.Error("a queue that is stuck answers")
	case <-time.After(50 * time.Millisecond):
	}
	r.q.mu.Unlock()
	<-answer
}
