package front

import (
	"bytes"
	"io"
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
		body := bodyOf(size)
		c := r.dial()
		go c.send("POST / HTTP/1.1\nHost: a\nContent-Length: %d\n\n%s", size, body)
		eventually(t, "the request waits", func() bool { return r.waiting() == 1 })
		w := r.asgiWorker(g)
		w.say(0, response(w.takeBody(body), "200 OK", nil, "ok"))
		c.expect(200, "ok")
	}
}

// The worker need not want more than all of a body, and learn that it is all, before
// it answers.
func TestBodyStreamEndsWithResponse(t *testing.T) {
	const size = 5 << 20
	takeAll := func(w *fakeWorker) {
		id, _, got := w.begin()
		for n := len(got); n < size; {
			part := min(size-n, wire.BodyWindow)
			w.say(0, withCount(wire.ReplyCredit, id, int64(part)))
			for part > 0 {
				data, _ := w.expect(wire.EventBody, id)
				n, part = n+len(data.([]byte)), part-len(data.([]byte))
			}
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
		eventually(t, "nothing is streamed", func() bool { return !isStreaming() })
	})
	t.Run("HTTP2", func(t *testing.T) {
		r, g := asgiRig(t, allowHTTP2)
		w := r.asgiWorker(g)
		answered := r.postHTTP2(bytes.NewReader(make([]byte, size)))
		takeAll(w)
		must(t, <-answered)
	})
}

// With HTTP/2 the app may become another while the body comes.
func TestHTTP2BodyForAnotherKind(t *testing.T) {
	cfg := testConfig()
	allowHTTP2(cfg)
	r := newRig(t, 0)
	r.listen()
	old := r.worker(r.generation(1, cfg), 1)
	body := bodyOf(5 << 20)
	read, write := io.Pipe()
	answered := r.postHTTP2(read)
	if _, err := io.WriteString(write, body[:1<<20]); err != nil { // it is being received
		t.Fatal(err)
	}
	w := r.asgiWorker(r.generation(2, cfg))
	r.tell(wire.ToFront{Type: wire.TypeRetire, Age: old.age})
	go func() {
		io.WriteString(write, body[1<<20:])
		write.Close()
	}()
	w.say(0, response(w.takeBody(body), "200 OK", nil, "ok"))
	must(t, <-answered)
	eventually(t, "nothing is streamed", func() bool { return !isStreaming() })
}

// isStreaming reports whether a goroutine streams a body.
func isStreaming() bool {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	return bytes.Contains(stacks, []byte("streamFile")) || bytes.Contains(stacks, []byte("streamParts"))
}

func allowHTTP2(cfg *wire.FrontConfig) {
	cfg.HTTP2Cleartext, cfg.HTTP2MaxConcurrentStreams, cfg.HTTP2MaxHeaderListSize = true, 100, 1<<16
	cfg.HTTP2InitialWindowSize, cfg.HTTP2MaxFrameSize = 1<<16-1, 1<<14
}

// postHTTP2 sends a request, and tells when it was answered.
func (r *rig) postHTTP2(body io.Reader) (answered <-chan error) {
	var only http.Protocols
	only.SetUnencryptedHTTP2(true)
	client := http.Client{Transport: &http.Transport{Protocols: &only}}
	r.t.Cleanup(client.CloseIdleConnections)
	c := make(chan error, 1)
	go func() {
		resp, err := client.Post("http://"+r.addr, "", body)
		if err == nil {
			resp.Body.Close()
		}
		c <- err
	}()
	return c
}

func bodyOf(size int) string { return strings.Repeat("0123456789abcdef", size/16+1)[:size] }

// takeBody takes a request with that body, and returns its id.
func (w *fakeWorker) takeBody(body string) uint32 {
	w.t.Helper()
	id, _, got := w.begin()
	for more := len(got) < len(body); more; {
		w.say(0, withCount(wire.ReplyCredit, id, wire.BodyWindow))
		for room := wire.BodyWindow; room > 0 && more; {
			data, flag := w.expect(wire.EventBody, id)
			got, more = append(got, data.([]byte)...), flag == int64(1)
			room -= len(data.([]byte))
		}
	}
	if string(got) != body {
		w.t.Errorf("%d bytes of %d, or others", len(got), len(body))
	}
	return id
}
