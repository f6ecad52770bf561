package dispatch

import (
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"indrik/internal/wire"
	"indrik/internal/wire/wiretest"
)

// What breaks the protocol is told to the master, with the reason; the client of the request
// that the worker runs gets 502, and nothing more is heard of the worker.
func TestBreaches(t *testing.T) {
	reply := func(kind wire.ReplyKind, items int) func(w *fakeWorker, id uint32) {
		return func(w *fakeWorker, id uint32) { w.Say(0, wiretest.Reply(kind, items, id)) }
	}
	for _, c := range []struct {
		name   string
		kind   wire.Kind
		breaks func(w *fakeWorker, id uint32)
		reason string
	}{
		{"end without a start", wire.KindSync, reply(wire.ReplyEnd, 2), "it sent END, which has no place there"},
		{"of another kind", wire.KindSync, reply(wire.ReplyLeave, 2), "it sent LEAVE, which has no place there"},
		{"extension by ASGI", wire.KindASGI, func(w *fakeWorker, id uint32) { w.Say(0, wiretest.Extend(id, 1)) }, "it sent EXTEND, which has no place there"},
		{"credit for gevent", wire.KindGevent, func(w *fakeWorker, id uint32) {
			w.Say(0, wire.AppendInt(wiretest.Reply(wire.ReplyCredit, 3, id), 1))
		}, "it sent CREDIT, which has no place there"},
		{"credit for nothing", wire.KindASGI, func(w *fakeWorker, id uint32) {
			w.Say(0, wire.AppendInt(wiretest.Reply(wire.ReplyCredit, 3, id), 1))
		}, "it sent CREDIT, which has no place there"},
		{"a close of no WebSocket", wire.KindASGI, func(w *fakeWorker, id uint32) {
			w.Say(0, wire.AppendBytes(wire.AppendInt(wiretest.Reply(wire.ReplyClose, 4, id), 1000), nil))
		}, "it sent CLOSE, which has no place there"},
		{"two starts", wire.KindSync, func(w *fakeWorker, id uint32) {
			w.Say(0, append(wiretest.Start(id, "200 OK", nil, ""), wiretest.Start(id, "200 OK", nil, "")...))
		}, "it sent START, which has no place there"},
		{"refused when begun", wire.KindSync, func(w *fakeWorker, id uint32) {
			w.Say(0, append(wiretest.Start(id, "200 OK", nil, ""), wiretest.Refused(id)...))
		}, "it sent REFUSED, which has no place there"},
		{"another's request", wire.KindASGI, func(w *fakeWorker, id uint32) {
			other := w.r.worker(w.g, 1, wire.KindASGI)
			other.Say(0, response(id, ""))
			other.deliver(0)
			w.kill()
		}, "it speaks of a request that it was not given"},
		{"no claim", wire.KindSync, func(w *fakeWorker, id uint32) {
			if err := w.Send(0, response(id, "")); err != nil {
				w.T.Fatal(err)
			}
		}, "it speaks of a request that it was not given"},
		{"a wrong claim", wire.KindSync, func(w *fakeWorker, id uint32) {
			w.Tokens.Learn(id+1, 1)
			w.Say(0, response(id+1, ""))
		}, "it speaks of a request that it was not given"},
		{"nonsense", wire.KindSync, func(w *fakeWorker, id uint32) { w.Say(0, []byte("nonsense")) }, "message of a worker"},
		{"an empty message", wire.KindSync, func(w *fakeWorker, id uint32) { w.Say(0, nil) }, "it sent an empty message"},
		{"too much", wire.KindSync, func(w *fakeWorker, id uint32) { w.Say(0, make([]byte, wire.MaxMessage+1)) }, "it sent a message of more than"},
		{"a pipe for a file", wire.KindSync, func(w *fakeWorker, id uint32) {
			in, out, err := os.Pipe()
			must(w.T, err)
			defer wire.CloseAll([]*os.File{in, out})
			w.Say(0, wiretest.FromFile(id, "200 OK", nil, 0, -1), in)
		}, "it sent what is no regular file"},
		{"too many refusals", wire.KindSync, func(w *fakeWorker, id uint32) {
			w.Say(0, wiretest.Refused(id))
			for range 2 * maxBatch {
				w.deliverAll()
				q := w.take(0)
				w.Say(0, wiretest.Refused(q.id))
			}
		}, "it refuses requests that were not revoked"},
		{"another slot", wire.KindSync, func(w *fakeWorker, id uint32) {
			w.Say(0, wiretest.Start(id, "200 OK", nil, ""))
			w.deliver(0)
			w.Say(1, wiretest.End(id))
		}, "two of its slots answer one request"},
		{"a second slot of ASGI", wire.KindASGI, func(w *fakeWorker, id uint32) { w.Say(1, response(id, "")) }, "it sent RESPONSE, which has no place there"},
		{"too late", wire.KindSync, func(w *fakeWorker, id uint32) {
			w.Say(0, response(id, ""))
			w.deliver(0)
			for n := 0; n <= maxLate; n += 100 {
				var many []byte
				for range 100 {
					many = append(many, wiretest.End(id)...)
				}
				w.Say(0, many)
				w.deliver(0)
			}
		}, "it goes on to speak of requests that are over"},
		{"another front's scoreboard", wire.KindASGI, func(w *fakeWorker, id uint32) {
			w.SetWord(wiretest.WordFront, 7)
			time.Sleep(2 * scanEvery)
		}, "it wrote over what the front alone writes"},
		{"passed over", wire.KindASGI, func(w *fakeWorker, id uint32) {
			w.r.get(w.g, "/passed over")
			time.Sleep(pingEvery + scanEvery)
			w.SetWord(wiretest.WordPing, uint64(w.event(wire.EventPing).id))
			time.Sleep(pingEvery)
			w.SetWord(wiretest.WordPing, uint64(w.event(wire.EventPing).id))
			time.Sleep(pingEvery)
		}, "it passed over a request that it was given"},
		{"dropped", wire.KindSync, func(w *fakeWorker, id uint32) {
			time.Sleep(2 * scanEvery)
			w.WriteClaim(0, 0)
			time.Sleep((maxUnclaimed + 2) * scanEvery)
		}, "it claimed a request, and went on to another without an answer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			stepped(t, nil, func(r *rig, g *fakeGeneration) {
				w := r.worker(g, 2, c.kind)
				r.get(g, "/")
				var id uint32
				if c.kind == wire.KindSync {
					id = w.take(0).id
				} else {
					id = w.begin().id
				}
				c.breaks(w, id)
				w.deliverAll()
				broken := r.host.saidOf(wire.TypeBroken)
				if len(broken) != 1 || !strings.Contains(broken[0].Reason, c.reason) {
					t.Fatalf("the master is told %+v, want %q", broken, c.reason)
				}
				if l := r.q.Load(); broken[0].Age == w.age && l.Ready != 0 {
					t.Errorf("it still gets requests: %+v", l)
				}
			})
		})
	}
}

// The response that a worker has begun before it breaks the protocol is cut off; another
// request that it has begun gets 502.
func TestEndOfABrokenWorker(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 2, wire.KindSync)
		begun, claimed := r.get(g, "/begun"), r.get(g, "/claimed")
		w.Say(0, wiretest.Start(w.take(0).id, "200 OK", nil, "part"))
		w.deliver(0)
		w.take(1)
		w.Say(0, []byte("nonsense"))
		w.deliver(0)
		synctest.Wait()
		w.deliverAll()
		begun.expect(0, "part")
		claimed.expect(502, "")
	})
}

// A worker that closes a slot while it lives is told of once.
func TestClosedSlot(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 2, wire.KindSync)
		w.Close()
		w.deliver(0)
		w.deliver(1)
		if closed := r.host.saidOf(wire.TypeClosed); len(closed) != 1 || closed[0].Age != w.age {
			t.Errorf("the master is told %+v", closed)
		}
	})
}

// Interim responses go to a client that still waits, some of them.
func TestHints(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 1, wire.KindSync)
		c := r.get(g, "/")
		q := w.take(0)
		for range maxHints + 3 {
			w.Say(0, wiretest.Hints(q.id, nil))
		}
		w.Say(0, wiretest.Start(q.id, "200 OK", nil, ""))
		w.Say(0, wiretest.Hints(q.id, nil))
		w.Say(0, wiretest.End(q.id))
		w.deliverAll()
		c.expect(200, "")
		if c.hints != maxHints {
			t.Errorf("%d interim responses", c.hints)
		}
	})
}

// A part of a response may be in the response buffer, which the queue frees; the worker is
// told that nobody takes more of a response that was cut off.
func TestResponseBufferAndGone(t *testing.T) {
	for _, kind := range []wire.Kind{wire.KindSync, wire.KindASGI} {
		t.Run("kind "+string(kind), func(t *testing.T) {
			stepped(t, nil, func(r *rig, g *fakeGeneration) {
				w := r.worker(g, 1, kind)
				c := r.get(g, "/")
				var id uint32
				if kind == wire.KindSync {
					id = w.take(0).id
				} else {
					id = w.begin().id
				}
				w.Buffer(0, id, "in the buffer")
				head := wiretest.AppendHead(wiretest.Reply(wire.ReplyStart, 5, id), "200 OK", nil)
				w.Say(0, wire.AppendInt(head, int64(len("in the buffer"))))
				w.deliver(0)
				if w.Word(wiretest.SlotWord(0, wiretest.WordBuffer)) != 0 {
					t.Error("the buffer is not free")
				}
				c.Kill()
				c.expect(0, "in the buffer")
				w.Say(0, wiretest.Chunk(id, "more"))
				w.deliver(0)
				if kind == wire.KindASGI {
					w.event(wire.EventBufferFree)
					w.event(wire.EventGone)
				} else if gone := w.Word(wiretest.SlotWord(0, wiretest.WordGone)); gone != uint64(id) {
					t.Errorf("gone: %d, want %d", gone, id)
				}
				w.Say(0, wiretest.End(id))
				w.deliver(0)
				// It may not have learned of that yet.
				w.SetWord(wiretest.SlotWord(0, wiretest.WordGone), 0)
				w.Say(0, wiretest.Chunk(id, "late"))
				w.deliver(0)
				if gone := w.Word(wiretest.SlotWord(0, wiretest.WordGone)); kind == wire.KindSync && gone != uint64(id) {
					t.Errorf("gone: %d, want %d", gone, id)
				}
			})
		})
	}
}

// A worker that closes the queue costs its generation the queue: the master is told, and what
// waits there goes elsewhere.
func TestClosedQueue(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 1, wire.KindSync)
		must(t, unix.Shutdown(int(g.receive.Fd()), unix.SHUT_RD))
		c := r.get(g, "/")
		expectBrokenQueue(t, r, errQueueClosed)
		next := r.generation(2, nil)
		other := r.worker(next, 1, wire.KindSync)
		other.Say(0, echo(other.take(0)))
		other.deliver(0)
		c.expect(200, "/")
		w.kill()
	})
}

// The end of a worker shows that it has closed the queue.
func TestQueueClosedByTheDead(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		w := r.worker(g, 1, wire.KindSync)
		must(t, unix.Shutdown(int(g.receive.Fd()), unix.SHUT_RD))
		w.kill()
		w.deliverAll()
		expectBrokenQueue(t, r, errQueueClosed)
	})
}

func expectBrokenQueue(t *testing.T, r *rig, why error) {
	t.Helper()
	if broken := r.host.saidOf(wire.TypeBroken); len(broken) != 1 || broken[0].Generation != 1 || broken[0].Reason != why.Error() {
		t.Errorf("the master is told %+v", broken)
	}
}

// A request that is taken out of the queue and claimed by nobody goes to another worker, and
// fails in the end: it may be what keeps them from it.
func TestTakenRequest(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		thief := r.worker(g, maxRetries+2, wire.KindSync)
		c := r.get(g, "/")
		for range maxRetries + 1 {
			thief.message(1)
			time.Sleep((maxUnclaimed + 2) * scanEvery)
		}
		c.expect(502, "")
		r.expectHonest()
	})
}

// When more messages are missing than the slots can hold, the queue is given up.
func TestTakenQueue(t *testing.T) {
	stepped(t, nil, func(r *rig, g *fakeGeneration) {
		thief := r.worker(g, 1, wire.KindSync)
		c := r.get(g, "/")
		for range 2 {
			thief.message(1)
			time.Sleep((maxUnclaimed + 2) * scanEvery)
		}
		expectBrokenQueue(t, r, errQueueTaken)
		other := r.worker(r.generation(2, nil), 1, wire.KindSync)
		other.Say(0, echo(other.take(0)))
		other.deliver(0)
		c.expect(200, "/")
	})
}
