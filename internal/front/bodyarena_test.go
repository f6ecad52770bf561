package front

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"indrik/internal/wire"
)

// arena returns the body arena of the newest generation.
func (r *rig) arena() *wire.Arena {
	newest := slices.Max(slices.Collect(maps.Keys(r.gens)))
	return r.s.queue.Config(newest).Dispatch().Arena
}

// free returns how many blocks of the arena can be taken. Nobody else takes any meanwhile.
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
	if _, ok := w.receive(patience); !ok { // and claims nothing
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
	t.Parallel()
	r, w := hasty(t, 3)
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
	// Looking for free blocks takes them for a moment, so that a body that comes then finds none.
	eventually(t, "it is being received", func() bool { return r.s.account.Held() >= connHeld+3*wire.ArenaBlock })
	if n := r.free(); n != all-3 {
		t.Errorf("%d blocks of %d are free", n, all)
	}
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

// Bodies of responses are read from the response arena, however many are there.
func TestResponseArena(t *testing.T) {
	r, w := answering(t)
	whole := func(id uint32, place []byte) []byte {
		return append(appendHead(message(wire.ReplyResponse, 5, id), "200 OK", nil), place...)
	}
	first, second := strings.Repeat("first ", 4000), strings.Repeat("second ", 9000)
	a, b := r.dial(), r.dial()
	a.get("/")
	qa := w.take(1)
	b.get("/")
	qb := w.take(1)
	pa := w.putInArena(1, qa.id, 0, first)
	pb := w.putInArena(1, qb.id, len(first), second)
	w.say(1, whole(qa.id, pa))
	a.expect(200, first)
	if w.word(slotWord(1, wordArena)) == 0 {
		t.Error("the arena is free, and something there has not been read")
	}
	w.say(1, whole(qb.id, pb))
	b.expect(200, second)
	w.awaitArenaFree(1)

	// In parts, and behind each other in one message.
	a.get("/")
	qa = w.take(1)
	msg := append(appendHead(message(wire.ReplyStart, 5, qa.id), "200 OK", nil), w.putInArena(1, qa.id, 0, first)...)
	msg = append(append(msg, message(wire.ReplyChunk, 3, qa.id)...), w.putInArena(1, qa.id, wire.ResponseArenaSize-5, "to it")...)
	w.say(1, append(msg, end(qa.id)...))
	a.expect(200, first+"to it")
	w.awaitArenaFree(1)

	a.send("HEAD / HTTP/1.1\nHost: a\n\n")
	qa = w.take(1)
	w.say(1, whole(qa.id, w.putInArena(1, qa.id, 0, second)))
	w.awaitArenaFree(1)
	if _, body := a.reply("HEAD"); body != "" {
		t.Errorf("%d bytes came with the answer to HEAD", len(body))
	}

	// What is for nobody counts as read, but not in place of what was put there since.
	w.say(1, whole(qa.id, w.putInArena(1, qa.id, 0, second)))
	w.awaitArenaFree(1)
	b.get("/")
	qb = w.take(1)
	pb = w.putInArena(1, qb.id, 0, second)
	again := wire.AppendInt(wire.AppendInt(wire.AppendTuple(nil, 2), 0), int64(len(second)))
	w.say(1, append(whole(qa.id, again), whole(qb.id, pb)...))
	b.expect(200, second)
	w.awaitArenaFree(1)
}

// The response arena is free at once, however slow the client is.
func TestResponseArenaOfSlowClient(t *testing.T) {
	r, w := answering(t)
	c := r.dial()
	c.get("/")
	q := w.take(0)
	body := strings.Repeat("0123456789abcdef", wire.ResponseArenaSize/16)
	w.say(0, start(q.id, "200 OK", nil, ""))
	const parts = 26 // more than the kernel takes
	for i := range parts {
		body := strings.ReplaceAll(body, "0", string(rune('A'+i)))
		w.say(0, append(message(wire.ReplyChunk, 3, q.id), w.putInArena(0, q.id, 0, body)...))
		w.awaitArenaFree(0)
	}
	w.say(0, end(q.id))
	resp, err := http.ReadResponse(c.br, nil)
	must(t, err)
	for i := range parts {
		got := make([]byte, len(body))
		_, err := io.ReadFull(resp.Body, got)
		must(t, err)
		if string(got) != strings.ReplaceAll(body, "0", string(rune('A'+i))) {
			t.Fatalf("part %d is not what was sent", i)
		}
	}
}

// Requests around the sizes of the buffers follow each other on a connection, which holds no more
// than before once it is idle.
func TestRequestsOfAllSizes(t *testing.T) {
	r, w := answering(t)
	w.serve(echo)
	c := r.dial()
	c.get("/")
	c.expect(200, "GET / ")
	held := r.s.account.Held()
	for i, size := range []int{readBuffer - 200, readBuffer, 10 << 10, 10 << 10, 5, 10 << 10, roomyBuffer - 200, roomyBuffer, roomyBuffer + 1, 10 << 10, 10 << 10, 0} {
		body := strings.Repeat(string(rune('a'+i)), size)
		c.send("POST /%d HTTP/1.1\nHost: a\nContent-Length: %d\n\n%s", i, size, body)
		c.expect(200, fmt.Sprintf("POST /%d %s", i, body))
	}
	// Two at once.
	body := strings.Repeat("x", 10<<10)
	for range 2 {
		both := ""
		for _, path := range []string{"/first", "/second"} {
			both += fmt.Sprintf("POST %s HTTP/1.1\nHost: a\nContent-Length: %d\n\n%s", path, len(body), body)
		}
		c.send("%s", both)
		c.expect(200, "POST /first "+body)
		c.expect(200, "POST /second "+body)
	}
	eventually(t, "it holds what it held", func() bool { return r.s.account.Held() <= held })
}
