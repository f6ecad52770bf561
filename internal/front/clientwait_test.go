package front

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"indrik/internal/wire"
)

// A rawHTTP2 is a client that sends the frames that it is told to, and reads nothing.
type rawHTTP2 struct {
	*client
	framer *http2.Framer
	last   uint32
}

func (r *rig) dialHTTP2(settings ...http2.Setting) *rawHTTP2 {
	r.t.Helper()
	c := r.dial()
	_, err := io.WriteString(c.nc, http2.ClientPreface)
	must(r.t, err)
	h := &rawHTTP2{client: c, framer: http2.NewFramer(c.nc, nil)}
	must(r.t, h.framer.WriteSettings(settings...))
	return h
}

func (h *rawHTTP2) request(method string, end bool, more ...hpack.HeaderField) (stream uint32) {
	h.t.Helper()
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range append([]hpack.HeaderField{
		{Name: ":method", Value: method}, {Name: ":scheme", Value: "http"}, {Name: ":authority", Value: "a"}, {Name: ":path", Value: "/"},
	}, more...) {
		must(h.t, enc.WriteField(f))
	}
	if h.last += 2; h.last == 2 {
		h.last = 1
	}
	must(h.t, h.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: h.last, BlockFragment: block.Bytes(), EndStream: end, EndHeaders: true,
	}))
	return h.last
}

// beginNext is begin, after other events.
func (w *fakeWorker) beginNext() (id uint32, path string, body []byte) {
	w.t.Helper()
	for {
		kind, id, a, b := w.next()
		if kind == wire.EventRequest || kind == wire.EventUpload {
			w.setWord(slotWord(0, wordClaimed), uint64(id))
			body, _ := b.([]byte)
			return id, a.([]any)[2].(string), body
		}
	}
}

// places is how many places of their only worker requests hold, and how many requests it
// has.
func (r *rig) places() (held, inFlight int) {
	l := r.s.queue.Load()
	return l.InFlight - l.Standing, l.InFlight
}

// A request holds no place of its worker while it waits for its client, whatever of.
func TestWhoWaitsForItsClientHoldsNoPlace(t *testing.T) {
	const places = 3
	large := strings.Repeat("x", 100<<10)
	tooMuch := func(w *fakeWorker, id uint32) {
		before := w.r.s.queue.Load().Standing
		w.sayMuch(id, large, func() bool { return w.r.s.queue.Load().Standing > before })
	}
	wants := func(w *fakeWorker, id uint32) { w.say(0, withCount(wire.ReplyCredit, id, 1<<18)) }
	for name, c := range map[string]struct {
		ask    func(r *rig)
		answer func(w *fakeWorker, id uint32)
	}{
		"a body of known length": {func(r *rig) { r.dial().send("POST / HTTP/1.1\nHost: a\nContent-Length: 1000000\n\nx") }, wants},
		"a chunked body":         {func(r *rig) { r.dial().send("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n5\nab") }, wants},
		"100 Continue": {func(r *rig) {
			r.dial().send("POST / HTTP/1.1\nHost: a\nExpect: 100-continue\nContent-Length: 5\n\n")
		}, wants},
		"a stream without its end":    {func(r *rig) { r.dialHTTP2().request("POST", false) }, wants},
		"a reader that takes nothing": {func(r *rig) { r.dial().get("/") }, tooMuch},
		"a window of 0": {func(r *rig) {
			r.dialHTTP2(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}).request("GET", true)
		}, tooMuch},
		"an open WebSocket connection": {func(r *rig) {
			r.dial().send("GET / HTTP/1.1\nHost: a\nConnection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\n" +
				"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\n\n")
		}, func(w *fakeWorker, id uint32) { w.say(0, accepted(id)) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, g := asgiRig(t, func(cfg *wire.FrontConfig) {
				allowHTTP2(cfg)
				cfg.HTTP1, cfg.WorkerConnections = true, places
			})
			w := r.asgiWorker(g)
			for range 3 * places {
				c.ask(r)
				id, _, _ := w.beginNext()
				c.answer(w, id)
			}
			other := r.dial()
			other.get("/other")
			id, path, _ := w.beginNext()
			if path != "/other" {
				t.Errorf("a request for %s came", path)
			}
			w.say(0, response(id, "200 OK", nil, "ok"))
			other.expect(200, "ok")
			// One of them may have a place again for a moment, when its client has taken something.
			eventually(t, "all but those that have a place wait for their clients", func() bool {
				held, inFlight := r.places()
				return inFlight == 3*places && held <= places
			})
		})
	}
}

func accepted(id uint32) []byte {
	return wire.AppendList(wire.AppendLatin1(message(wire.ReplyAccept, 4, id), nil), 0)
}

// What has waited holds a place again once its client has moved, and none when it is
// over.
func TestPlaceIsTakenAgain(t *testing.T) {
	r, g := asgiRig(t, func(cfg *wire.FrontConfig) { cfg.WorkerConnections = 1 })
	w := r.asgiWorker(g)
	c, other := r.dial(), r.dial()
	c.send("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n")
	id, _, _ := w.begin()
	w.say(0, withCount(wire.ReplyCredit, id, 3))
	other.get("/") // so that somebody wants the place
	otherID, _, _ := w.begin()
	if held, inFlight := r.places(); held != 1 || inFlight != 2 {
		t.Errorf("%d requests hold %d places", inFlight, held)
	}
	c.send("3\nabc\n")
	w.expect(wire.EventBody, id)
	if held, _ := r.places(); held != 2 {
		t.Errorf("%d places are held", held)
	}
	w.say(0, response(otherID, "200 OK", nil, "ok"))
	other.expect(200, "ok")
	w.say(0, withCount(wire.ReplyCredit, id, 3))
	other.get("/")
	otherID, _, _ = w.begin() // the body stands again
	c.nc.Close()
	w.expect(wire.EventGone, id)
	w.say(0, response(otherID, "200 OK", nil, "ok"))
	other.expect(200, "ok")
	w.say(0, failed(id))
	eventually(t, "no place is held", func() bool {
		held, inFlight := r.places()
		return held == 0 && inFlight == 0
	})
}

// While requests that ask for the worker's time fill it, others wait.
func TestPlacesAreBounded(t *testing.T) {
	r, g := asgiRig(t, func(cfg *wire.FrontConfig) { cfg.WorkerConnections = 2 })
	w := r.asgiWorker(g)
	var ids []uint32
	for i := range 3 {
		r.dial().get(fmt.Sprint("/", i))
		if i < 2 {
			id, _, _ := w.begin()
			ids = append(ids, id)
		}
	}
	if kind, _, _, _, ok := w.try(200 * time.Millisecond); ok && kind != wire.EventPing {
		t.Error("one too many came")
	}
	w.say(0, response(ids[0], "200 OK", nil, ""))
	w.begin()
}
