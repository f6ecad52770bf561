package dispatch

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"indrik/internal/wire"
)

func waited(d time.Duration) []*Job { return []*Job{{queued: time.Now().Add(-d)}} }

// One line a second says how many were refused, how many waited, and how long.
func TestOverloadIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &fakeHost{}
		o := &overload{log: log, busy: func() string { return "worker_connections (1) is reached" }}
		o.handedOver(waited(time.Minute), time.Now()) // while nobody is refused, that is nobody's business
		o.full(16)
		o.handedOver(waited(100*time.Millisecond), time.Now())
		o.handedOver(waited(300*time.Millisecond), time.Now())
		o.full(15)
		o.late(10, 2*time.Second)
		time.Sleep(overloadEvery + time.Millisecond)
		synctest.Wait()
		o.handedOver(waited(time.Minute), time.Now())
		o.full(3)
		time.Sleep(overloadEvery + time.Millisecond)
		synctest.Wait()
		for _, want := range []string{
			"Overload: 3 requests answered 503 in 1s (queue full: 2, waited too long: 1); up to 16 were waiting, up to 2s; 2 were run, after 200ms on average\n",
			"Overload: worker_connections (1) is reached\n",
			"Overload: 1 requests answered 503 in 1s (queue full: 1, waited too long: 0); up to 3 were waiting, up to 0s; 0 were run, after 0s on average\n",
		} {
			if !strings.Contains(log.logged(), want) {
				t.Errorf("the log is\n%swant\n%s", log.logged(), want)
			}
		}
	})
}

// The line about requests that find no worker says which limit was reached, and by what.
func TestOverloadNamesWhatKeepsTheWorkersBusy(t *testing.T) {
	stepped(t, &Settings{WorkerConnections: 2}, func(r *rig, g *fakeGeneration) {
		for range 2 {
			r.worker(g, 1, wire.KindASGI)
		}
		for range 3 {
			r.get(g, "/poll")
		}
		synctest.Wait() // they are with workers
		if got := r.q.busy(); got != "" {
			t.Errorf("with capacity: %q", got)
		}
		r.get(g, "/other")
		synctest.Wait()
		want := "worker_connections (2) is reached in 2 workers, by 3 × GET /poll (for up to 0s), 1 × GET /other (for up to 0s)"
		if got := r.q.busy(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

func TestOverloadNamesWhatKeepsTheSlotsBusy(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 1, wire.KindSync)
		r.get(g, "/slow")
		w.take(0)
		if got, want := r.q.busy(), "the workers are busy with all they can run at once, 1 request (workers × threads), by 1 × GET /slow (for up to 0s)"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

// A request whose client has left keeps its worker busy, and its head may be gone.
func TestOverloadNamesRequestsWithoutClients(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 1, wire.KindSync)
		c := r.get(g, "/left")
		w.take(0)
		r.q.CancelByClient(&c.Job)
		if got := r.q.busy(); !strings.Contains(got, "1 × GET /left ") {
			t.Errorf("%q", got)
		}
	})
}
