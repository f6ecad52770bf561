package front

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"indrik/internal/errlog"
	"indrik/internal/wire"
)

func waited(d time.Duration) []*exchange { return []*exchange{{queued: time.Now().Add(-d)}} }

// One line a second says how many were refused, how many waited, and how long.
func TestOverloadIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		o := &overload{log: errlog.New(&log), holders: func() string { return "worker_connections (1) is reached" }}
		o.handedOver(waited(time.Minute)) // while nobody is refused, that is nobody's business
		o.full(16)
		o.handedOver(waited(100 * time.Millisecond))
		o.handedOver(waited(300 * time.Millisecond))
		o.full(15)
		o.late(10, 2*time.Second)
		time.Sleep(overloadEvery + time.Millisecond)
		synctest.Wait()
		o.handedOver(waited(time.Minute))
		o.full(3)
		time.Sleep(overloadEvery + time.Millisecond)
		synctest.Wait()
		for _, want := range []string{
			"Overload: 3 requests answered 503 in 1s (queue full: 2, waited too long: 1); up to 16 were waiting, up to 2s; 2 were run, after 200ms on average\n",
			"Overload: worker_connections (1) is reached\n",
			"Overload: 1 requests answered 503 in 1s (queue full: 1, waited too long: 0); up to 3 were waiting, up to 0s; 0 were run, after 0s on average\n",
		} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log is\n%swant\n%s", log.String(), want)
			}
		}
	})
}

// The line about requests that find no worker says which limit was reached, and by what.
func TestOverloadNamesWhatHoldsTheWorkers(t *testing.T) {
	r, g := asgiRig(t, func(cfg *wire.FrontConfig) { cfg.WorkerConnections = 2 })
	workers := []*fakeWorker{r.asgiWorker(g), r.asgiWorker(g)}
	get := func(path string) {
		before := r.inFlight() + r.waiting()
		r.dial().get(path)
		eventually(t, "the front has it", func() bool { return r.inFlight()+r.waiting() > before })
	}
	for range 3 {
		get("/poll?since=1")
	}
	if got := r.s.queue.holders(); got != "" {
		t.Errorf("with room: %q", got)
	}
	get("/other")
	eventually(t, "all are with workers", func() bool { return r.inFlight() == 4 })
	want := "worker_connections (2) is reached in 2 workers, by 3 × GET /poll (for up to 0s), 1 × GET /other (for up to 0s)"
	if got := r.s.queue.holders(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for _, w := range workers {
		for range 2 {
			id, _, _ := w.begin()
			w.say(0, response(id, "200 OK", nil, "x"))
		}
	}
}

func TestOverloadNamesWhatHoldsTheSlots(t *testing.T) {
	r := newRig(t, 0)
	r.listen()
	w := r.worker(r.generation(1, testConfig()), 1)
	r.dial().get("/slow")
	q := w.take(0)
	eventually(t, "it is known", func() bool { return r.s.queue.holders() != "" })
	if got, want := r.s.queue.holders(), "the workers are busy with all they can run at once, 1 request (workers × threads), by 1 × GET /slow (for up to 0s)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	w.say(0, echo(q))
}
