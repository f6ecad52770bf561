package front

import (
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
