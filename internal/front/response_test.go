package front

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"indrik/internal/wire"
)

// answering is a front whose worker, with two slots, does what the test says.
func answering(t *testing.T) (*rig, *fakeWorker) {
	r := newRig(t, 0)
	r.listen()
	return r, r.worker(r.generation(1, testConfig()), 2)
}

func TestStreaming(t *testing.T) {
	r, w := answering(t)
	c := r.dial()
	c.get("/")
	q := w.take(0)
	w.say(0, start(q.id, "200 OK", []header{{"X-A", "b"}}, "one"))
	// The first part is there before the last one is made.
	resp, err := http.ReadResponse(c.br, nil)
	must(t, err)
	part := make([]byte, 3)
	_, err = io.ReadFull(resp.Body, part)
	must(t, err)
	w.say(0, chunk(q.id, "two"))
	w.say(0, chunk(q.id, ""))
	w.say(0, end(q.id))
	rest, err := io.ReadAll(resp.Body)
	must(t, err)
	if string(part)+string(rest) != "onetwo" || resp.Header.Get("X-A") != "b" || len(resp.TransferEncoding) != 1 {
		t.Errorf("got %s%s, %v", part, rest, resp)
	}
	c.get("/again")
	w.say(0, echo(w.take(0)))
	c.expect(200, "GET /again ")

	// HTTP/1.0 knows no chunks.
	c = r.dial()
	c.send("GET / HTTP/1.0\nConnection: keep-alive\n\n")
	q = w.take(0)
	w.say(0, start(q.id, "200 OK", nil, "one"))
	w.say(0, chunk(q.id, "two"))
	w.say(0, end(q.id))
	if resp := c.expect(200, "onetwo"); !resp.Close {
		t.Error("a body without a length, and no Connection: close")
	}
	c.closed()
}

func TestNoBody(t *testing.T) {
	r, w := answering(t)
	c := r.dial()
	for _, tt := range []struct {
		method, status, length string
		reply                  func(id uint32, status string, h []header) []byte
	}{
		{"HEAD", "200 OK", "4", func(id uint32, s string, h []header) []byte { return response(id, s, h, "body") }},
		{"HEAD", "200 OK", "77", func(id uint32, s string, h []header) []byte {
			return response(id, s, append(h, header{"Content-Length", "77"}), "")
		}},
		{"GET", "204 No Content", "", func(id uint32, s string, h []header) []byte { return response(id, s, h, "") }},
		{"GET", "304 Not Modified", "", func(id uint32, s string, h []header) []byte { return response(id, s, h, "body") }},
	} {
		c.send("%s / HTTP/1.1\nHost: a\n\n", tt.method)
		q := w.take(0)
		w.say(0, tt.reply(q.id, tt.status, nil))
		resp, body := c.reply(tt.method)
		if resp.Status != tt.status || body != "" {
			t.Errorf("%s %s: %v %q", tt.method, tt.status, resp, body)
		}
		if tt.length == "77" && resp.Header.Get("Content-Length") != "77" {
			t.Errorf("the app's Content-Length became %q", resp.Header.Get("Content-Length"))
		}
	}
	// The connection is still in step.
	c.get("/after")
	w.say(0, echo(w.take(0)))
	c.expect(200, "GET /after ")
	want := "WSGI app sent body bytes on a no-body response (method=GET status=304); dropping per RFC 9110."
	if !strings.Contains(r.log.String(), want) {
		t.Errorf("%q is not in the log:\n%s", want, r.log)
	}
}

func TestContentLength(t *testing.T) {
	r, w := answering(t)
	c := r.dial()
	c.get("/long")
	w.say(0, response(w.take(0).id, "200 OK", []header{{"Content-Length", "3"}}, "abcdef"))
	c.expect(200, "abc")
	c.get("/long")
	q := w.take(0)
	w.say(0, start(q.id, "200 OK", []header{{"Content-Length", "3"}}, "ab"))
	w.say(0, chunk(q.id, "cd"))
	w.say(0, chunk(q.id, "ef"))
	w.say(0, end(q.id))
	c.expect(200, "abc")

	c.get("/short")
	q = w.take(0)
	w.say(0, start(q.id, "200 OK", []header{{"Content-Length", "10"}}, "ab"))
	w.say(0, end(q.id))
	resp, err := http.ReadResponse(c.br, nil)
	must(t, err)
	if body, err := io.ReadAll(resp.Body); err == nil || string(body) != "ab" {
		t.Errorf("got %q, %v", body, err)
	}
	if !strings.Contains(r.log.String(), "[WARNING] Response to GET /short") {
		t.Errorf("no warning:\n%s", r.log)
	}
}

func TestAppErrors(t *testing.T) {
	r, w := answering(t)
	c := r.dial()
	c.get("/raises")
	w.say(0, failed(w.take(0).id))
	c.expect(500, "*")
	c.get("/bad-header")
	w.say(0, response(w.take(0).id, "200 OK", []header{{"A", "b\nc"}}, ""))
	c.expect(500, "*")
	c.get("/bad-status")
	q := w.take(0)
	w.say(0, start(q.id, "okay", nil, "x"))
	w.say(0, chunk(q.id, "y"))
	w.say(0, end(q.id))
	c.expect(500, "*")
	c.get("/raises-late")
	q = w.take(0)
	w.say(0, start(q.id, "200 OK", nil, "some"))
	w.say(0, failed(q.id))
	resp, err := http.ReadResponse(c.br, nil)
	if err == nil {
		_, err = io.ReadAll(resp.Body)
	}
	if err == nil {
		t.Error("a response that broke off looks complete")
	}

	c = r.dial()
	c.get("/nonsense")
	w.take(0)
	w.say(0, []byte("nonsense"))
	c.expect(502, "*")
	if m := r.hear(wire.TypeBroken); m.Age != 1 || !strings.Contains(m.Reason, "message of a worker, at byte 1: ") {
		t.Errorf("the master was told %+v", m)
	}
	c.get("/after")
	other := r.worker(r.gens[1], 1)
	other.say(0, echo(other.take(0)))
	c.expect(200, "GET /after ")
}

func TestHints(t *testing.T) {
	r, w := answering(t)
	c := r.dial()
	c.get("/")
	q := w.take(0)
	w.say(0, hints(q.id, []header{{"Link", "</a.css>; rel=preload"}}))
	w.say(0, response(q.id, "200 OK", nil, "x"))
	b, err := io.ReadAll(io.LimitReader(c.br, 30))
	must(t, err)
	if !bytes.HasPrefix(b, []byte("HTTP/1.1 103 Early Hints\r\nLink")) {
		t.Fatalf("got %q", b)
	}
	c = r.dial()
	c.send("GET / HTTP/1.0\n\n")
	q = w.take(0)
	w.say(0, hints(q.id, []header{{"Link", "x"}}))
	w.say(0, response(q.id, "200 OK", nil, "x"))
	c.expect(200, "x")
}

func tempFile(t *testing.T, size int) (*os.File, []byte) {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	must(t, err)
	content := bytes.Repeat([]byte("0123456789"), size/10+1)[:size]
	_, err = f.Write(content)
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return f, content
}

func TestFile(t *testing.T) {
	r, w := answering(t)
	f, content := tempFile(t, 5<<20)
	c := r.dial()
	for _, tt := range []struct {
		offset, count int64
		headers       []header
		want          []byte
	}{
		{0, -1, nil, content},
		{7, 100, nil, content[7:107]},
		{10, -1, []header{{"Content-Length", "5"}}, content[10:15]},
		{int64(len(content)), -1, nil, nil},
	} {
		c.get("/")
		q := w.take(0)
		w.say(0, fromFile(q.id, "200 OK", tt.headers, tt.offset, tt.count), f)
		resp, body := c.reply("GET")
		if body != string(tt.want) || resp.ContentLength != int64(len(tt.want)) {
			t.Errorf("%d from %d: %d bytes, Content-Length %d", tt.count, tt.offset, len(body), resp.ContentLength)
		}
	}
	// A slow reader of a file holds no slot.
	slow := r.dial()
	slow.get("/")
	w.say(0, fromFile(w.take(0).id, "200 OK", nil, 0, -1), f)
	c.get("/other")
	w.say(0, echo(w.take(0)))
	c.expect(200, "GET /other ")
	_, body := slow.reply("GET")
	if body != string(content) {
		t.Error("the slow reader got something else")
	}
}

// A file that has become shorter while it is sent to a slow client: the client sees that something
// is missing.
func TestFileBecomesShorterWhileItIsSent(t *testing.T) {
	r, w := answering(t)
	f, _ := tempFile(t, 30<<20)
	c := r.dial()
	c.get("/")
	w.say(0, fromFile(w.take(0).id, "200 OK", nil, 0, -1), f)
	r.onlyConn()
	_, err := c.br.Peek(1) // it has begun, and the rest does not fit into the sockets
	must(t, err)
	must(t, f.Truncate(20<<20))
	resp, err := http.ReadResponse(c.br, nil)
	must(t, err)
	if n, err := io.Copy(io.Discard, resp.Body); err == nil || n >= 30<<20 {
		t.Errorf("the client got %d bytes, and no error", n)
	}
	r.noConns()
}

// The worker gives a large response as fast as it can, whatever the client does.
func TestSlowReader(t *testing.T) {
	r, w := answering(t)
	slow := r.dial()
	slow.get("/")
	q := w.take(0)
	const parts = 200
	part := strings.Repeat("0123456789abcdef", 6<<10)
	begin := time.Now()
	w.say(0, start(q.id, "200 OK", nil, ""))
	for range parts {
		w.say(0, chunk(q.id, part))
	}
	w.say(0, end(q.id))
	c := r.dial()
	c.get("/other")
	w.say(0, echo(w.take(0)))
	c.expect(200, "GET /other ")
	if d := time.Since(begin); d > 30*time.Second { // half of write_timeout
		t.Errorf("the worker was held for %s", d)
	}
	resp, err := http.ReadResponse(slow.br, nil)
	must(t, err)
	n := 0
	buf := make([]byte, len(part))
	for {
		if _, err := io.ReadFull(resp.Body, buf); err != nil {
			if err != io.EOF {
				t.Error(err)
			}
			break
		}
		if string(buf) != part {
			t.Fatalf("part %d is wrong", n)
		}
		n++
	}
	if n != parts {
		t.Errorf("%d parts of %d", n, parts)
	}
	slow.get("/after")
	w.say(0, echo(w.take(0)))
	slow.expect(200, "GET /after ")
}

// accessLines has the front write its access log, and reads that.
func (r *rig) accessLines() *bufio.Scanner {
	r.t.Helper()
	rd, wr, err := os.Pipe()
	must(r.t, err)
	r.t.Cleanup(func() { rd.Close() })
	r.tell(wire.ToFront{Type: wire.TypeLogs, Access: true}, wr)
	eventually(r.t, "the log is on", func() bool { return r.s.accessLog.needsFields() })
	return bufio.NewScanner(rd)
}

// %({NAME}e)s finds what the app finds, in any case, whatever a client forges.
func TestAccessLogVariables(t *testing.T) {
	names := []string{
		"request_method", "RAW_URI", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "SERVER_PROTOCOL", "WSGI.url_scheme", "REMOTE_ADDR",
		"REMOTE_PORT", "Server_Name", "SERVER_PORT", "CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_X_A", "HTTP_X_EMPTY", "NIX", "HTTP_NIX",
	}
	var format strings.Builder
	for _, name := range names {
		fmt.Fprintf(&format, "%%({%s}e)s ", name)
	}
	cfg := testConfig()
	cfg.ForwardedAllowIPs, cfg.AccessLogFormat = "*", format.String()+"%({x_a}i)s"
	r := newRig(t, 0)
	r.listen()
	w := r.worker(r.generation(1, cfg), 1)
	lines := r.accessLines()
	c := r.dial()
	c.send("POST /app/%%7Eb?q=1 HTTP/1.1\nHost: h\nSCRIPT_NAME: /app\nX-Forwarded-Proto: https\n" +
		"X-A: 1\nX_A: forged\nX-A: 2\nX-Empty:\nContent-Type: text/plain\nContent-Length: 2\n\nhi")
	w.say(0, response(w.take(0).id, "200 OK", nil, ""))
	c.expect(200, "")
	host, port, _ := strings.Cut(r.addr, ":")
	_, from, _ := strings.Cut(c.nc.LocalAddr().String(), ":")
	want := "POST /app/%7Eb?q=1 /app /~b q=1 HTTP/1.1 https 127.0.0.1 " + from + " " + host + " " + port + " text/plain 2 1,2  - - -"
	if lines.Scan(); lines.Text() != want {
		t.Errorf("got  %s\nwant %s", lines.Text(), want)
	}
	// Refused before anything of that is known.
	c.send("GET /%%7Ex HTTP/1.1\nHost: h\nX-Forwarded-Proto: https\nX-Forwarded-Proto: http\n\n")
	c.expect(400, "*")
	want = "GET /%7Ex  /~x  HTTP/1.1 http 127.0.0.1 " + from + " " + host + " " + port + " - - - - - - -"
	if lines.Scan(); lines.Text() != want {
		t.Errorf("got  %s\nwant %s", lines.Text(), want)
	}
}

func TestAccessLog(t *testing.T) {
	r, w := answering(t)
	lines := r.accessLines()
	c := r.dial()
	c.get("/a?b")
	w.say(0, response(w.take(0).id, "201 Created", []header{{"X-Out", "yes"}}, "12345"))
	c.expect(201, "12345")
	c.get("/c")
	q := w.take(0)
	w.say(0, start(q.id, "200 OK", []header{{"X-Out", "part"}}, "123"))
	w.say(0, chunk(q.id, "45"))
	w.say(0, end(q.id))
	c.expect(200, "12345")
	c.get("/d")
	w.say(0, failed(w.take(0).id))
	c.expect(500, "*")
	for _, want := range []string{
		`127.0.0.1 "GET /a?b HTTP/1.1" 201 5 "yes"`,
		`127.0.0.1 "GET /c HTTP/1.1" 200 5 "part"`,
		`127.0.0.1 "GET /d HTTP/1.1" 500 `,
	} {
		if !lines.Scan() || !strings.HasPrefix(lines.Text(), want) {
			t.Errorf("got %s, want %s", lines.Text(), want)
		}
	}
}
