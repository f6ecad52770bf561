package dispatch

import (
	"bytes"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"indrik/internal/wire"
	"indrik/internal/wire/wiretest"
)

// A request whose body does not come takes no capacity from others, until some of it comes.
func TestRequestThatWaitsForItsBody(t *testing.T) {
	stepped(t, &Settings{WorkerConnections: 1}, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 1, wire.KindASGI)
		slow := r.get(g, "/slow")
		first := w.begin()
		slow.AwaitBody()
		next := r.get(g, "/next")
		synctest.Wait()
		if l := r.q.Load(); l.InFlight != 1 {
			t.Errorf("it has given up its place at once: %+v", l)
		}
		time.Sleep(2*standsAfter + reviewEvery)
		w.Say(0, echo(w.begin()))
		w.deliver(0)
		next.expect(200, "/next")
		if l := r.q.Load(); l.Standing != 1 {
			t.Errorf("%+v", l)
		}
		r.q.GotBody(&slow.Job)
		if l := r.q.Load(); l.Standing != 0 {
			t.Errorf("it waits on: %+v", l)
		}
		r.q.SetWait(&slow.Job, ForReader, true)
		if l := r.q.Load(); l.Standing != 1 {
			t.Errorf("its client does not read: %+v", l)
		}
		last := r.get(g, "/last")
		w.Say(0, append(echo(first), echo(w.begin())...))
		w.deliver(0)
		slow.expect(200, "/slow")
		last.expect(200, "/last")
		r.q.SetWait(&slow.Job, ForReader, false) // it is over
		if l := r.q.Load(); l.Standing != 0 {
			t.Errorf("%+v", l)
		}
	})
}

// What the front tells a multiplexed worker of a request.
func TestEventsOfARequest(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 1, wire.KindASGI)
		c := r.get(g, "/")
		id := w.begin().id
		if c.ID() != id || !c.IsMultiplexed() || r.q.IsStreaming(&c.Job) {
			t.Errorf("request %d, multiplexed: %v", c.ID(), c.IsMultiplexed())
		}
		c.Send(nil, wire.AppendCredit(nil, id, 7))
		if msg, _, ok := wiretest.Receive(w.Slots[0], 0, w.ended); !ok || !bytes.Equal(msg, wire.AppendCredit(nil, id, 7)) {
			t.Errorf("%q came", msg)
		}
		w.Say(0, wiretest.Start(id, "200 OK", nil, ""))
		w.deliver(0)
		if !r.q.IsStreaming(&c.Job) {
			t.Error("it is not begun")
		}
		c.SendGone(wire.AppendGone(nil, id))
		c.SendGone(wire.AppendGone(nil, id))
		w.event(wire.EventGone)
		if more := w.events(); more != nil {
			t.Errorf("%v came, too", more)
		}
		w.Say(0, wiretest.End(id))
		w.deliver(0)
		c.expect(200, "")
		c.Forget()
		if c.WorkerToken() != nil {
			t.Error("it has a worker yet")
		}
	})
}

// A worker that leaves gives back what it has not begun, and has to end.
func TestWorkerThatLeaves(t *testing.T) {
	stepped(t, &Settings{WorkerConnections: 10, GracefulTimeout: time.Second, WebSocketDrainMax: time.Second}, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 1, wire.KindASGI)
		socket := r.call(g, "/socket")
		socket.webSocket = true
		r.q.Submit(&socket.Job, time.Now())
		w.begin()
		c := r.get(g, "/")
		id := w.event(wire.EventRequest).id
		w.Say(0, wiretest.Reply(wire.ReplyLeave, 2, id))
		w.deliverAll()
		other := r.worker(g, 1, wire.KindASGI)
		other.Say(0, echo(other.begin()))
		other.deliver(0)
		c.expect(200, "/")
		if socket.leaves != time.Second {
			t.Errorf("its WebSocket connection ends after %s", socket.leaves)
		}
		time.Sleep(2*time.Second + leaveGrace + time.Millisecond)
		if broken := r.host.saidOf(wire.TypeBroken); len(broken) != 1 || broken[0].Reason != errStays.Error() {
			t.Errorf("the master is told %+v", broken)
		}
	})
}

func TestLeaveDelays(t *testing.T) {
	for i, d := range LeaveDelays(4, 10*time.Second, 4*time.Second) {
		if want := time.Duration(7+i) * time.Second; d != want {
			t.Errorf("connection %d ends after %s, want %s", i, d, want)
		}
	}
	if d := LeaveDelays(1, time.Second, time.Minute); d[0] != time.Second {
		t.Errorf("with a window that is too long: %s", d[0])
	}
}

// Requests stay with their worker while it takes requests, whatever they are known by, and
// wait for it; those of others pass them.
func TestAffinity(t *testing.T) {
	for _, by := range []string{"connection", "address", "cookie", "none"} {
		t.Run(by, func(t *testing.T) {
			s := &Settings{WorkerConnections: 1, WorkerAffinity: by, AffinityKey: []byte("key")}
			stepped(t, s, func(r *rig, g *fakeGeneration) {
				workers := []*fakeWorker{r.worker(g, 1, wire.KindASGI), r.worker(g, 1, wire.KindASGI)}
				home := &Home{}
				var cookie []byte
				get := func(path string) *call {
					c := r.call(g, path)
					c.Job.home, c.addr, c.cookie = home, netip.MustParseAddr("192.0.2.1"), cookie
					r.q.Submit(&c.Job, time.Now())
					return c
				}
				// takes is which of the workers has the next request.
				takes := func() (int, request) {
					synctest.Wait()
					for i, w := range workers {
						for events := w.events(); events != nil; events = w.events() {
							if e := events[0]; e.kind == wire.EventRequest {
								w.WriteClaim(0, e.id)
								return i, e.request
							}
						}
					}
					return -1, request{}
				}
				first := get("/first")
				cookie = first.WorkerToken()
				i, q := takes()
				if i < 0 {
					t.Fatal("no worker has it")
				}
				second := get("/second")
				passing := r.call(g, "/passing")
				passing.addr = netip.MustParseAddr("192.0.2.2")
				r.q.Submit(&passing.Job, time.Now())
				j, other := takes()
				if by == "none" && other.path != "/second" || by != "none" && other.path != "/passing" || j == i {
					t.Errorf("%s went to worker %d, the first to %d", other.path, j, i)
				}
				workers[i].Say(0, echo(q))
				workers[i].deliver(0)
				first.expect(200, "/first")
				i2, q2 := takes()
				if i2 != i {
					t.Errorf("the next went to worker %d, the first to %d", i2, i)
				}
				workers[i2].Say(0, echo(q2))
				workers[i2].deliver(0)
				workers[j].Say(0, echo(other))
				workers[j].deliver(0)
				second.expect(200, "/second")
				passing.expect(200, "/passing")

				// When the worker is retired another takes its place.
				r.q.Retire(workers[i].age)
				third := get("/third")
				k, q3 := takes()
				if k != j {
					t.Fatalf("worker %d takes the place of %d", k, i)
				}
				workers[k].Say(0, echo(q3))
				workers[k].deliver(0)
				third.expect(200, "/third")
			})
		})
	}
}
