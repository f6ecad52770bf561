package front

import (
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"indrik/internal/wire"
)

// arena returns the body arena of the newest generation.
func (r *rig) arena() *wire.Arena {
	newest := slices.Max(slices.Collect(maps.Keys(r.gens)))
	return r.s.queue.Config(newest).Dispatch().Arena
}

// free returns how many blocks of the arena can be taken.
func (r *rig) free() int {
	var taken []int
	for {
		i, ok := r.arena().Take(-1, 1)
		if !ok {
			r.arena().Free(taken)
			return len(taken)
		}
		taken = append(taken, i)
	}
}

func (c *client) post(path, body string) {
	c.send("POST %s HTTP/1.1\nHost: a\nContent-Length: %d\n\n%s", path, len(body), body)
}

// A body in the arena goes to another worker with its request, and its memory is used
// again when the response begins.
func TestArenadBody(t *testing.T) {
	r, w := answering(t)
	all := r.free()
	large := strings.Repeat("0123456789", 30_000)
	c := r.dial()
	c.post("/", large)
	if _, ok := w.receive(5 * time.Second); !ok { // and claims nothing
		t.Fatal("no request came")
	}
	w.kill()
	eventually(t, "the request waits", func() bool { return r.waiting() == 1 })
	next := r.worker(r.gens[1], 1)
	q := next.take(0)
	if !q.inArena || string(q.body) != large {
		t.Errorf("%d bytes, in the arena: %v", len(q.body), q.inArena)
	}
	if n := r.free(); n != all-3 {
		t.Errorf("%d blocks of %d are free while the request runs", n, all)
	}
	next.say(0, start(q.id, "200 OK", nil, ""))
	eventually(t, "all blocks are free", func() bool { return r.free() == all })
	next.say(0, end(q.id))
	c.expect(200, "")
}

// A worker that reads a body too late, when its request is over, can tell.
func TestArenadBodyOfRequestThatIsOver(t *testing.T) {
	r, w := hasty(t)
	c := r.dial()
	c.post("/", strings.Repeat("a", 100_000))
	q := w.take(0)
	f, where := dup(t, r.arena().File(0)), []any{int64(100_000), int64(0)}
	if string(readArena(t, f, q.id, where)) != string(q.body) {
		t.Fatal("the body is not in the first block")
	}
	c.expect(504, "*")
	if readArena(t, f, q.id, where) != nil {
		t.Error("the body looks as if it was that of the request")
	}
	c.post("/", strings.Repeat("b", 100_000))
	if next := w.take(1); readArena(t, f, q.id, where) != nil || next.body[0] != 'b' {
		t.Error("a body looks as if it was that of another request")
	}
}

// What finds no room in the arena goes to files.
func TestFullArena(t *testing.T) {
	r, w := answering(t)
	for range r.free() - 1 {
		r.arena().Take(-1, 1)
	}
	c := r.dial()
	large := strings.Repeat("0123456789", 30_000)
	c.post("/", large)
	q := w.take(0)
	if !q.file || string(q.body) != large {
		t.Errorf("%d bytes, in a file: %v", len(q.body), q.file)
	}
	if n := r.free(); n != 1 {
		t.Errorf("%d blocks are free, want the last one", n)
	}
	w.say(0, response(q.id, "200 OK", nil, "got it"))
	c.expect(200, "got it")
}

// The client of a body that is not complete has gone.
func TestArenadBodyGivenUp(t *testing.T) {
	r, _ := answering(t)
	all := r.free()
	c := r.dial()
	c.send("POST / HTTP/1.1\nHost: a\nContent-Length: 1000000\n\n%s", strings.Repeat("x", 300_000))
	eventually(t, "it is being received", func() bool { return r.free() == all-3 })
	c.nc.Close()
	eventually(t, "all blocks are free", func() bool { return r.free() == all })
}

// Large parts of a response are read from the response buffer.
func TestResponseBuffer(t *testing.T) {
	r, w := answering(t)
	asgi, g := asgiRig(t, nil)
	for name, test := range map[string]struct {
		r    *rig
		w    *fakeWorker
		slot int
		take func() uint32
	}{
		"queue": {r, w, 1, func() uint32 { return w.take(1).id }},
		"loop":  {r: asgi, w: asgi.asgiWorker(g)},
	} {
		t.Run(name, func(t *testing.T) {
			take := test.take
			if take == nil {
				take = func() uint32 {
					for {
						kind, id, _, _ := test.w.next()
						if kind == wire.EventRequest {
							return id
						}
						if kind != wire.EventCredit && kind != wire.EventBufferFree {
							t.Fatal(kind)
						}
					}
				}
			}
			c := test.r.dial()
			body := strings.Repeat("0123456789abcdef", wire.ResponseBufferSize/16)
			whole := func(id uint32, n int) []byte {
				return wire.AppendInt(appendHead(message(wire.ReplyResponse, 5, id), "200 OK", nil), int64(n))
			}
			c.get("/")
			id := take()
			test.w.putInBuffer(test.slot, id, body)
			test.w.say(test.slot, whole(id, len(body)))
			c.expect(200, body)
			test.w.awaitBufferFree(test.slot)

			c.get("/")
			id = take()
			test.w.putInBuffer(test.slot, id, body)
			test.w.say(test.slot, wire.AppendInt(appendHead(message(wire.ReplyStart, 5, id), "200 OK", nil), 100_000))
			test.w.awaitBufferFree(test.slot)
			test.w.putInBuffer(test.slot, id, "the rest")
			test.w.say(test.slot, wire.AppendInt(message(wire.ReplyChunk, 3, id), 8))
			test.w.say(test.slot, end(id))
			c.expect(200, body[:100_000]+"the rest")

			c.send("HEAD / HTTP/1.1\nHost: a\n\n")
			id = take()
			test.w.putInBuffer(test.slot, id, body)
			test.w.say(test.slot, whole(id, len(body)))
			test.w.awaitBufferFree(test.slot)
			if _, body := c.reply("HEAD"); body != "" {
				t.Errorf("%d bytes came with the answer to HEAD", len(body))
			}

			// What is for nobody is read, too.
			test.w.putInBuffer(test.slot, id, body)
			test.w.say(test.slot, whole(id, len(body)))
			test.w.awaitBufferFree(test.slot)
		})
	}
}

// The response buffer is free at once, however slow the client is; what it does not take is in
// memory up to a bound, and in a file.
func TestResponseBufferOfSlowClient(t *testing.T) {
	r, w := answering(t)
	c := r.dial()
	c.get("/")
	q := w.take(0)
	body := strings.Repeat("0123456789abcdef", wire.ResponseBufferSize/16)
	w.say(0, start(q.id, "200 OK", nil, ""))
	const parts = 16 // more than the kernel takes
	for range parts {
		w.putInBuffer(0, q.id, body)
		w.say(0, wire.AppendInt(message(wire.ReplyChunk, 3, q.id), int64(len(body))))
		w.awaitBufferFree(0)
	}
	w.say(0, end(q.id))
	if held := r.s.account.Held(); held > 512<<10 {
		t.Errorf("%d bytes are held in memory", held)
	}
	resp, err := http.ReadResponse(c.br, nil)
	must(t, err)
	got, err := io.ReadAll(resp.Body)
	must(t, err)
	if string(got) != strings.Repeat(body, parts) {
		t.Errorf("%d bytes came, or others than were sent", len(got))
	}
}
