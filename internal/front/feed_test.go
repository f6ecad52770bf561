package front

import (
	"bytes"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"indrik/internal/wire"
)

// A reload may make an app of ASGI of one of WSGI, while requests wait. What is fed
// to its worker ends with the request, which may be answered early.
func TestBodyForAnotherKind(t *testing.T) {
	for _, size := range []int{0, 10, 70_000, 5 << 20} {
		r := newRig(t, 0)
		r.listen()
		g := r.generation(1, testConfig())
		body := strings.Repeat("0123456789abcdef", size/16+1)[:size]
		c := r.dial()
		go c.send("POST / HTTP/1.1\nHost: a\nContent-Length: %d\n\n%s", size, body)
		eventually(t, "the request waits", func() bool { return r.waiting() == 1 })
		w := r.asgiWorker(g)
		id, _, got := w.begin()
		for len(got) < size {
			w.say(0, withCount(wire.KindWant, id, 1<<30))
			for more := int64(1); more > 0; {
				data, flag := w.expect(wire.EventBody, id)
				got, more = append(got, data.([]byte)...), flag.(int64)
			}
		}
		if string(got) != body {
			t.Errorf("%d bytes of %d, or others", len(got), size)
		}
		w.say(0, response(id, "200 OK", nil, "ok"))
		c.expect(200, "ok")
	}
}

// The worker need not want more than all of a body, and learn that it is all, before
// it answers.
func TestFeedEndsWithResponse(t *testing.T) {
	const size = 5 << 20
	feeding := func() bool {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		return bytes.Contains(stacks, []byte("feedFile")) || bytes.Contains(stacks, []byte("runFeed"))
	}
	takeAll := func(w *fakeWorker) {
		id, _, got := w.begin()
		w.say(0, withCount(wire.KindWant, id, int64(size-len(got))))
		for n := len(got); n < size; {
			data, _ := w.expect(wire.EventBody, id)
			n += len(data.([]byte))
		}
		if !feeding() {
			t.Error("nothing is fed")
		}
		w.say(0, response(id, "200 OK", nil, "ok"))
	}
	t.Run("file", func(t *testing.T) {
		r := newRig(t, 0)
		r.listen()
		g := r.generation(1, testConfig())
		c := r.dial()
		go c.send("POST / HTTP/1.1\nHost: a\nContent-Length: %d\n\n%s", size, strings.Repeat("x", size))
		eventually(t, "the request waits", func() bool { return r.waiting() == 1 })
		takeAll(r.asgiWorker(g))
		c.expect(200, "ok")
		eventually(t, "nothing is fed", func() bool { return !feeding() })
	})
	t.Run("HTTP2", func(t *testing.T) {
		r, g := asgiRig(t, func(cfg *wire.FrontConfig) {
			cfg.HTTP2Cleartext, cfg.HTTP2Streams, cfg.HTTP2HeaderList = true, 100, 1<<16
			cfg.HTTP2Window, cfg.HTTP2Frame = 1<<16-1, 1<<14
		})
		w := r.asgiWorker(g)
		var only http.Protocols
		only.SetUnencryptedHTTP2(true)
		client := http.Client{Transport: &http.Transport{Protocols: &only}}
		defer client.CloseIdleConnections()
		answered := make(chan error, 1)
		go func() {
			resp, err := client.Post("http://"+r.addr, "", bytes.NewReader(make([]byte, size)))
			if err == nil {
				resp.Body.Close()
			}
			answered <- err
		}()
		takeAll(w)
		must(t, <-answered)
		eventually(t, "nothing is fed", func() bool { return !feeding() })
	})
}
