package dispatch

import (
	"testing"
	"time"

	"indrik/internal/canary"
	"indrik/internal/wire"
	"indrik/internal/wire/wiretest"
)

// tried runs a test in which generation 2 is tried beside g, with a share of the requests.
// Each has one worker of a kind.
func tried(t *testing.T, s *Settings, share canary.Share, kind wire.Kind, test func(r *rig, g *fakeGeneration, old, latest *fakeWorker)) {
	t.Helper()
	stepped(t, s, func(r *rig, g *fakeGeneration) {
		old := r.worker(g, 1, kind)
		r.q.BeginTrial(2, share)
		latest := r.worker(r.generation(2, s), 1, kind)
		test(r, g, old, latest)
	})
}

// serves answers the request of c, which no other worker may have got.
func (w *fakeWorker) serves(c *call, kind wire.Kind) {
	q, ok := w.takes(kind)
	if !ok {
		w.T.Fatal("nobody got the request")
	}
	w.says(echo(q))
	c.expect(200, "/")
}

// takes returns the request that a worker of a kind has been given and claims it; ok is false
// if there is none.
func (w *fakeWorker) takes(kind wire.Kind) (q request, ok bool) {
	if kind.IsMultiplexed() {
		for {
			if len(w.inbox) == 0 {
				if w.inbox = w.events(); len(w.inbox) == 0 {
					return q, false
				}
			}
			e := w.inbox[0]
			w.inbox = w.inbox[1:]
			if e.kind == wire.EventRequest {
				q = e.request
				break
			}
		}
	} else if q, ok = w.receive(w.r.patience()); !ok {
		return q, false
	}
	if !w.Claim(0, q.id) {
		w.T.Fatal(q.path, "was revoked")
	}
	return q, true
}

func (w *fakeWorker) says(b []byte) {
	w.Say(0, b)
	w.deliverAll()
}

func TestTrialHasItsShare(t *testing.T) {
	for _, kind := range []wire.Kind{wire.KindSync, wire.KindASGI, wire.KindGevent} {
		tried(t, nil, canary.Share{Of: 1, All: 20}, kind, func(r *rig, g *fakeGeneration, old, latest *fakeWorker) {
			inRow := 0
			for i := range 400 {
				c := r.get(g, "/")
				w := latest
				q, ok := latest.takes(kind)
				if ok {
					inRow++
				} else if w = old; true {
					if q, ok = old.takes(kind); !ok {
						t.Fatal("nobody got the request")
					}
				}
				w.says(echo(q))
				c.expect(200, "/")
				if i%20 == 19 {
					if inRow != 1 {
						t.Fatalf("kind %q: %d of 20 requests went to the new generation", kind, inRow)
					}
					inRow = 0
				}
			}
			report := r.q.TrialReport(time.Now())
			if report.New.Requests != 20 || report.Old.Requests != 380 || report.New.Failed()+report.Old.Failed() != 0 {
				t.Errorf("%s", report)
			}
			if n := report.New.Latency.Total(); n != 20-coldAnswers {
				t.Errorf("%d latencies of the new generation count", n)
			}
			if again := r.q.TrialReport(time.Now()); again.New.Requests+again.Old.Requests != 0 {
				t.Errorf("a report counts again what was reported: %s", again)
			}
		})
	}
}

// TestTrialHoldsNothingUp checks that a new generation that answers nothing gets no more than
// it has places for, and that the old one answers the others.
func TestTrialHoldsNothingUp(t *testing.T) {
	tried(t, nil, canary.Share{Of: 1, All: 2}, wire.KindSync, func(r *rig, g *fakeGeneration, old, latest *fakeWorker) {
		answered := 0
		for range 40 {
			r.get(g, "/")
			if q, ok := old.takes(wire.KindSync); ok {
				old.says(echo(q))
				answered++
			}
		}
		if answered != 40-prefetch {
			t.Errorf("%d of 40 were answered", answered)
		}
		r.q.EndTrial(false)
		q := latest.take(0)
		r.q.Retire(latest.age)
		second, ok := old.takes(wire.KindSync) // latest had not begun it
		if !ok {
			t.Fatal("what the new generation had not begun is lost")
		}
		old.says(echo(second))
		latest.says(echo(q))
		if n := r.q.Load(); n.InFlight+n.Waiting != 0 {
			t.Errorf("%+v", n)
		}
		for range 10 {
			r.get(g, "/")
			if q, ok = old.takes(wire.KindSync); !ok {
				t.Fatal("a rejected generation gets requests")
			}
			old.says(echo(q))
		}
	})
}

func TestTrialOfADyingWorker(t *testing.T) {
	tried(t, nil, canary.Share{Of: 1, All: 2}, wire.KindASGI, func(r *rig, g *fakeGeneration, old, latest *fakeWorker) {
		calls := []*call{}
		for range 20 {
			calls = append(calls, r.get(g, "/"))
		}
		ran := latest.begin()
		_ = ran
		latest.kill()
		latest.deliverAll()
		for {
			q, ok := old.takes(wire.KindASGI)
			if !ok {
				break
			}
			old.says(echo(q))
		}
		lost := 0
		for _, c := range calls {
			if got := c.wait(); got.status == 502 {
				lost++
			}
		}
		if lost != 1 {
			t.Errorf("%d requests were lost with a worker that ran one", lost)
		}
		// Nobody else is there for the share of the new generation.
		old.serves(r.get(g, "/"), wire.KindASGI)
	})
}

func TestTrialServesAloneWhereItMust(t *testing.T) {
	tried(t, nil, canary.Share{Of: 1, All: 20}, wire.KindSync, func(r *rig, g *fakeGeneration, old, latest *fakeWorker) {
		old.kill()
		old.deliverAll()
		for range 20 {
			latest.serves(r.get(g, "/"), wire.KindSync)
		}
	})
}

func TestTrialTakesOver(t *testing.T) {
	tried(t, nil, canary.Share{Of: 1, All: 20}, wire.KindSync, func(r *rig, g *fakeGeneration, old, latest *fakeWorker) {
		serving := func() Config {
			r.q.mu.Lock()
			defer r.q.mu.Unlock()
			return r.q.servingConfigLocked()
		}
		if cfg := serving(); cfg != r.q.Config(1) {
			t.Errorf("while it is tried its settings are those of new requests")
		}
		if cfg := r.q.EndTrial(true); cfg == nil || cfg != r.q.Config(2) {
			t.Errorf("it does not serve")
		}
		r.q.Retire(old.age)
		for range 5 {
			c := r.get(g, "/")
			q, ok := latest.takes(wire.KindSync)
			if !ok {
				t.Fatal("it does not get all requests")
			}
			latest.says(echo(q))
			c.expect(200, "/")
		}
		if r.q.EndTrial(true) != nil {
			t.Error("a trial that is over ends again")
		}
	})
}

// TestTrialKeepsHomes checks that who has a worker keeps it.
func TestTrialKeepsHomes(t *testing.T) {
	s := &Settings{WorkerAffinity: "connection"}
	tried(t, s, canary.Share{Of: 1, All: 2}, wire.KindASGI, func(r *rig, g *fakeGeneration, old, latest *fakeWorker) {
		homes := make([]*Home, 20)
		first := make([]*fakeWorker, len(homes))
		for round := range 4 {
			for i := range homes {
				if homes[i] == nil {
					homes[i] = &Home{}
				}
				c := r.call(g, "/")
				c.Begin(c, g.settings, homes[i], 1)
				r.q.Submit(&c.Job, time.Now())
				w := latest
				q, ok := latest.takes(wire.KindASGI)
				if !ok {
					w = old
					if q, ok = old.takes(wire.KindASGI); !ok {
						t.Fatal("nobody got the request")
					}
				}
				w.says(echo(q))
				if round == 0 {
					first[i] = w
				} else if first[i] != w {
					t.Fatal("a connection has changed its worker")
				}
			}
		}
		if report := r.q.TrialReport(time.Now()); report.New.Requests != 40 || report.Old.Requests != 40 {
			t.Errorf("%s", report)
		}
	})
}

func TestTrialCounts(t *testing.T) {
	s := &Settings{Timeout: 2 * time.Second}
	tried(t, s, canary.Share{Of: 1, All: 2}, wire.KindASGI, func(r *rig, g *fakeGeneration, old, latest *fakeWorker) {
		// next has the new generation begin a request.
		next := func() (*call, request) {
			for {
				c := r.get(g, "/")
				if q, ok := latest.takes(wire.KindASGI); ok {
					return c, q
				}
				q, _ := old.takes(wire.KindASGI)
				old.says(echo(q))
			}
		}
		_, q := next()
		latest.says(wiretest.Response(q.id, "503 Service Unavailable", nil, ""))
		_, q = next()
		latest.says(wiretest.Failed(q.id))
		_, q = next() // it breaks off, which is one failure
		latest.says(wiretest.Start(q.id, "500 Internal Server Error", nil, ""))
		latest.says(wiretest.Failed(q.id))
		_, q = next()
		latest.says(wiretest.Response(q.id, "404 Not Found", nil, ""))
		_, q = next() // a stream that stays open
		latest.says(wiretest.Start(q.id, "200 OK", nil, ""))
		c, _ := next() // its client leaves
		r.q.CancelByClient(&c.Job)
		report := r.q.TrialReport(time.Now())
		if n := report.New; n.Requests != 6 || n.Errors != 3 || n.TimedOut != 0 || n.Running.Total() != 0 {
			t.Errorf("%+v", n)
		}
		if n := report.Old; n.Failed() != 0 {
			t.Errorf("%+v", n)
		}
		next() // it hangs
		time.Sleep(1500 * time.Millisecond)
		if report = r.q.TrialReport(time.Now()); report.New.Running.Total() != 1 || report.New.Requests != 0 {
			t.Errorf("%+v", report.New)
		}
	})
	tried(t, s, canary.Share{Of: 1, All: 2}, wire.KindSync, func(r *rig, g *fakeGeneration, old, latest *fakeWorker) {
		for {
			r.get(g, "/")
			if _, ok := latest.takes(wire.KindSync); ok {
				break
			}
			q, _ := old.takes(wire.KindSync)
			old.says(echo(q))
		}
		time.Sleep(4 * time.Second)
		if report := r.q.TrialReport(time.Now()); report.New.TimedOut != 1 || report.New.Requests != 1 || report.New.Failed() != 1 {
			t.Errorf("%+v", report.New)
		}
	})
}

// TestTrialCountsWhatIsItsOwn checks that what was handed over before does not count.
func TestTrialCountsWhatIsItsOwn(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 1, wire.KindSync)
		c := r.get(g, "/")
		q := w.take(0)
		r.q.BeginTrial(2, canary.Share{Of: 1, All: 20})
		w.says(wiretest.Failed(q.id))
		c.expect(500, "")
		if report := r.q.TrialReport(time.Now()); report.Old.Requests != 0 || report.Old.Failed() != 0 {
			t.Errorf("%s", report)
		}
	})
}

// TestTrialInBatches checks that requests which go together go to one generation.
func TestTrialInBatches(t *testing.T) {
	tried(t, nil, canary.Share{Of: 1, All: 4}, wire.KindASGI, func(r *rig, g *fakeGeneration, old, latest *fakeWorker) {
		const requests = 400
		calls := make([]*call, requests)
		for i := range calls {
			calls[i] = r.get(g, "/")
		}
		got := map[*fakeWorker]int{}
		for _, w := range []*fakeWorker{old, latest} {
			for {
				q, ok := w.takes(wire.KindASGI)
				if !ok {
					break
				}
				got[w]++
				w.says(echo(q))
			}
		}
		for _, c := range calls {
			c.expect(200, "/")
		}
		if got[latest] != requests/4 || got[old] != requests-requests/4 {
			t.Errorf("%d and %d", got[old], got[latest])
		}
	})
}

// TestTrialOfAHostileWorker checks that a worker which is tried cannot count for the other side.
func TestTrialOfAHostileWorker(t *testing.T) {
	tried(t, nil, canary.Share{Of: 1, All: 20}, wire.KindASGI, func(r *rig, g *fakeGeneration, old, latest *fakeWorker) {
		var q request
		for { // one that the old worker has
			c := r.get(g, "/")
			var ok bool
			if q, ok = old.takes(wire.KindASGI); ok {
				break
			}
			mine, _ := latest.takes(wire.KindASGI)
			latest.says(echo(mine))
			c.expect(200, "/")
		}
		latest.says(wiretest.Response(q.id, "500 Internal Server Error", nil, ""))
		if len(r.host.saidOf(wire.TypeBroken)) != 1 {
			t.Error("it may answer for others")
		}
		old.says(echo(q))
		if report := r.q.TrialReport(time.Now()); report.Old.Requests != 1 || report.Old.Failed() != 0 || report.New.Failed() != 0 {
			t.Errorf("%s", report)
		}
	})
}
