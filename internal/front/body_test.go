package front

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"

	"indrik/internal/errlog"
	"indrik/internal/wire"
)

// Whatever its chunks, and however they come, a body is what was sent, and what
// follows it is the next request.
func TestChunksAndWhatFollows(t *testing.T) {
	r := newRig(t, 0)
	r.listen()
	w := r.worker(r.generation(1, testConfig()), 2)
	for _, sizes := range [][]int{{1}, {1, 2, 3}, {copyBuffer}, {copyBuffer - 1, 2}, {3 * copyBuffer}, {10, inlineBody, 10}, {inlineBody + 1}} {
		for _, piece := range []int{1 << 20, 5000} {
			t.Run(fmt.Sprint(sizes, piece), func(t *testing.T) {
				var body, sent strings.Builder
				for i, n := range sizes {
					data := strings.Repeat(string(rune('a'+i)), n)
					body.WriteString(data)
					fmt.Fprintf(&sent, "%x;ext\r\n%s\r\n", n, data)
				}
				sent.WriteString("0\r\nX-Trailer: 1\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n")
				c := r.dial()
				c.send("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n")
				for s := sent.String(); len(s) > 0; {
					n := min(piece, len(s))
					_, err := c.nc.Write([]byte(s[:n]))
					must(t, err)
					s = s[n:]
				}
				q := w.take(0)
				if string(q.body) != body.String() || q.environ["CONTENT_LENGTH"] != fmt.Sprint(body.Len()) {
					t.Errorf("%d bytes of %d, CONTENT_LENGTH %s", len(q.body), body.Len(), q.environ["CONTENT_LENGTH"])
				}
				if q.file || q.inArena != (body.Len() > inlineBody) {
					t.Errorf("in a file: %v, in the arena: %v", q.file, q.inArena)
				}
				w.say(0, response(q.id, "200 OK", nil, "first"))
				c.expect(200, "first")
				w.say(0, echo(w.take(0)))
				c.expect(200, "GET /next ")
			})
		}
	}
}

// Without a place for temporary files a large body is kept in memory, which counts, and
// the log says so; small ones need none.
func TestNoPlaceForBodies(t *testing.T) {
	r := newRig(t, 0)
	r.listen()
	cfg := testConfig()
	cfg.TmpUploadDir = "/nowhere"
	w := r.worker(r.generation(1, cfg), 1)
	c := r.dial()
	large := strings.Repeat("x", maxInArena) + "yz"
	c.send("POST / HTTP/1.1\nHost: a\nContent-Length: %d\n\n%s", len(large), large)
	q := w.take(0)
	if string(q.body) != large || !q.file {
		t.Errorf("%d bytes of %d, in a file: %v", len(q.body), len(large), q.file)
	}
	w.say(0, response(q.id, "200 OK", nil, "ok"))
	c.expect(200, "ok")
	if !strings.Contains(r.log.String(), "[ERROR] large request bodies are kept in memory, since no file can be written") {
		t.Errorf("the log is %s", r.log)
	}
	c = r.dial()
	c.send("POST / HTTP/1.1\nHost: a\nContent-Length: 5\n\nhello")
	w.say(0, echo(w.take(0)))
	c.expect(200, "*")
}

// A disk that runs full while a body is written to it costs nothing of the body, and the
// memory that takes its place is counted as long as it is held.
func TestDiskFullWithinBody(t *testing.T) {
	s := newServer(errlog.New(io.Discard), 0, func(wire.FromFront) {})
	holder, _, ok := s.account.Open(netip.Addr{}, "test", func() {})
	if !ok {
		t.Fatal("no room in the account")
	}
	defer holder.Close()
	b := &spool{s: s, holder: holder, length: maxInArena + 3}
	var err error
	if b.file, err = os.CreateTemp(t.TempDir(), ""); err != nil {
		t.Fatal(err)
	}
	must(t, b.add([]byte("first ")))
	full, err := os.Open(b.file.Name()) // cannot be written to
	must(t, err)
	b.file.Close()
	b.file = full
	must(t, b.add([]byte("second ")))
	must(t, b.add([]byte("third")))
	if held := s.account.Held(); held != 18 {
		t.Errorf("%d bytes are counted", held)
	}
	text, err := io.ReadAll(io.NewSectionReader(b.file, 0, 100))
	if err != nil || string(text) != "first second third" {
		t.Errorf("the body is %q, %v", text, err)
	}
	b.discard()
	if held := s.account.Held(); held != 0 {
		t.Errorf("%d bytes are counted in the end", held)
	}
}

// A small body that comes with its head is taken with it, if it may be.
func TestBodyInOnePacket(t *testing.T) {
	r := newRig(t, 0)
	r.listen()
	cfg := testConfig()
	cfg.LimitRequestBody = 100
	w := r.worker(r.generation(1, cfg), 1)
	c := r.dial()
	for _, size := range []int{0, 1, 100} {
		body := strings.Repeat("b", size)
		for range 2 { // the second one is not the first of its connection
			c.post("/", body)
			w.say(0, echo(w.take(0)))
			c.expect(200, "POST / "+body)
		}
	}
	c.post("/", "two")
	c.send("POST / HTTP/1.1\nHost: a\nContent-Length: 5\n\nbytesGET / HTTP/1.1\nHost: a\n\n")
	for _, want := range []string{"POST / two", "POST / bytes", "GET / "} {
		w.say(0, echo(w.take(0)))
		c.expect(200, want)
	}
	c.post("/", strings.Repeat("b", 101))
	c.expect(413, "*")
	c.closed()
}
