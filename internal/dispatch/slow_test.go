package dispatch

import (
	"testing"
	"time"

	"indrik/internal/wire"
	"indrik/internal/wire/wiretest"
)

// toldSlow returns what the master was told about slow requests.
func (r *rig) toldSlow() (named []wire.Slow, others int) {
	for _, m := range r.host.saidOf(wire.TypeSlow) {
		named, others = append(named, m.Slow...), others+m.Others
	}
	return named, others
}

// A request that a slot runs for too long is told of once, while it runs. The time in the
// queue does not count, not even when it was handed over to the slot in advance.
func TestSlowRequests(t *testing.T) {
	stepped(t, &Settings{SlowRequestLog: time.Second}, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 1, wire.KindSync)
		calls := []*call{r.get(g, "/slow"), r.get(g, "/waits"), r.get(g, "/between")}
		q := w.take(0)
		time.Sleep(time.Second + scanEvery)
		named, _ := r.toldSlow()
		if len(named) != 1 || named[0].Path != "/slow" || named[0].Method != "GET" || named[0].Ended || named[0].Age != w.age || named[0].Number != q.id ||
			named[0].Ran < 1 || named[0].Ran > 1.3 || named[0].Waited > 0.01 {
			t.Fatalf("%+v", named)
		}
		time.Sleep(time.Minute)
		w.Say(0, echo(q))
		w.deliver(0)
		for _, d := range []time.Duration{900 * time.Millisecond, 1010 * time.Millisecond} {
			q = w.take(0)
			time.Sleep(d)
			w.Say(0, echo(q))
			w.deliver(0)
		}
		time.Sleep(2 * scanEvery)
		named, others := r.toldSlow()
		if len(named) != 2 || others != 0 {
			t.Fatalf("%+v and %d others", named, others)
		}
		if s := named[1]; s.Path != "/between" || s.Ran < 1 || s.Ran > 1.3 || s.Waited < 60 {
			t.Errorf("%+v", s)
		}
		for _, c := range calls {
			c.expect(200, c.path)
		}
	})
}

// With a worker that runs many, a request is slow until its response begins; streams are not,
// and what the client is slow with does not count.
func TestSlowRequestsOfALoop(t *testing.T) {
	stepped(t, &Settings{SlowRequestLog: time.Second}, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 1, wire.KindASGI)
		slow, upload := r.get(g, "/slow"), r.get(g, "/upload")
		r.get(g, "/stream")
		r.get(g, "/late")
		ids := map[string]uint32{}
		for range 4 {
			e := w.event(wire.EventRequest)
			ids[e.path] = e.id
			w.Claim(0, e.id)
		}
		w.Say(0, wiretest.Start(ids["/stream"], "200 OK", nil, "begin"))
		w.deliver(0)
		upload.AwaitBody()
		time.Sleep(400 * time.Millisecond)
		r.q.GotBody(&upload.Job)
		upload.AwaitBody()
		time.Sleep(500*time.Millisecond + scanEvery)
		r.q.GotBody(&upload.Job)
		w.Say(0, wiretest.Start(ids["/late"], "200 OK", nil, "begin"))
		w.deliver(0)
		time.Sleep(scanEvery)
		got := map[string]wire.Slow{}
		named, _ := r.toldSlow()
		for _, s := range named {
			got[s.Path] = s
		}
		if len(named) != 2 || got["/slow"].Ran < 1 || got["/slow"].Ended || got["/late"].Ran < 1 {
			t.Errorf("%+v", named)
		}
		time.Sleep(2 * time.Second)
		if named, _ := r.toldSlow(); len(named) != 3 || named[2].Path != "/upload" || named[2].Ran > 1.3 {
			t.Errorf("%+v", named)
		}
		w.Say(0, wiretest.Response(ids["/slow"], "200 OK", nil, "/slow"))
		w.Say(0, wiretest.Response(ids["/upload"], "200 OK", nil, "/upload"))
		w.deliverAll()
		slow.expect(200, "/slow")
		upload.expect(200, "/upload")
		if named, _ := r.toldSlow(); len(named) != 3 {
			t.Errorf("some are told of again: %+v", named)
		}
	})
}

// Very many slow requests are counted, and no message grows beyond its bound.
func TestManySlowRequests(t *testing.T) {
	stepped(t, &Settings{SlowRequestLog: time.Second}, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 1, wire.KindASGI)
		for range 3 * maxSlow {
			r.get(g, "/x")
			w.Claim(0, w.event(wire.EventRequest).id)
		}
		time.Sleep(5 * time.Second)
		if named, others := r.toldSlow(); len(named) != maxSlow || others != 2*maxSlow {
			t.Errorf("%d are named, %d others", len(named), others)
		}
	})
}
