//go:build linux

package test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

func sockets(args ...string) options {
	return options{app: "sockets:app", args: append([]string{"-k", "asgi"}, args...)}
}

// TestSocketMessages: messages of every size, in whatever frames they come, go
// there and back; over TLS too.
func TestSocketMessages(t *testing.T) {
	t.Parallel()
	for _, o := range []options{sockets(), withTLS(t, sockets())} {
		s := start(t, o)
		ws := s.socket("/echo")
		large := strings.Repeat("0123456789abcdef", 100<<10)
		for _, data := range []string{"", "hello", "héllo €", strings.Repeat("x", 125), strings.Repeat("x", 126), strings.Repeat("x", 1<<16), large} {
			ws.sendFrame(fin|opText, data)
			ws.expectMessage(opText, data)
			ws.sendFrame(fin|opBinary, data+"\xff\x00")
			ws.expectMessage(opBinary, data+"\xff\x00")
		}
		ws.sendFrame(opText, "a\xe2")
		ws.sendFrame(fin|opPing, "between")
		ws.expect(frame{fin | opPong, []byte("between")})
		ws.sendFrame(opContinuation, "\x82")
		ws.sendFrame(opContinuation, "")
		ws.sendFrame(fin|opContinuation, "\xacb")
		ws.expectMessage(opText, "a€b")
		ws.sendFrame(fin|opClose, string(closeFrame(4321, "bye").payload))
		ws.expect(closeFrame(4321, "bye"))
		ws.expectEOF(t)
		s.ended("/echo", 4321, "bye")
		s.terminate()
	}
}

// TestSocketHandshake: what is accepted, what is refused, and how.
func TestSocketHandshake(t *testing.T) {
	t.Parallel()
	s := start(t, sockets("--access-logfile", "-", "--access-logformat", "LINE %(r)s %(s)s"))
	ws := s.socket("/echo", "Sec-WebSocket-Protocol: one, two", "X-Other: 1")
	for name, want := range map[string]string{
		"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
		"Sec-WebSocket-Protocol": "two", "Server": "indrik", "Sec-WebSocket-Extensions": "", "Content-Length": "",
	} {
		if got := ws.head.get(name); got != want {
			t.Errorf("%s: %q, not %q", name, got, want)
		}
	}
	if !ws.head.has("X-Pid") || !ws.head.has("Date") {
		t.Errorf("%v", ws.head)
	}
	s.log.expect(t, `LINE GET /echo HTTP/1\.1 101`)

	for _, test := range []struct {
		name, request string
		status        int
		field, value  string
	}{
		{"version", strings.Replace(upgrade("/echo"), "Version: 13", "Version: 8", 1), 426, "Sec-WebSocket-Version", "13"},
		{"no version", strings.Replace(upgrade("/echo"), "Sec-WebSocket-Version", "X", 1), 426, "Sec-WebSocket-Version", "13"},
		{"key", strings.Replace(upgrade("/echo"), socketKey, "abc", 1), 400, "Connection", "close"},
		{"no key", strings.Replace(upgrade("/echo"), "Sec-WebSocket-Key", "X", 1), 400, "Connection", "close"},
		{"method", strings.Replace(upgrade("/echo"), "GET", "POST", 1), 400, "Connection", "close"},
		{"refused", upgrade("/reject"), 403, "", ""},
		{"denied", upgrade("/deny"), 401, "X-Why", "no"},
		{"raises", upgrade("/before?raise=1"), 500, "", ""},
		{"returns", upgrade("/before"), 403, "", ""},
		{"subprotocol that was not offered", upgrade("/bad"), 500, "", ""},
	} {
		c := s.client()
		c.send(t, test.request)
		r := c.receive(t, "GET")
		if r.status != test.status || test.field != "" && r.get(test.field) != test.value {
			t.Errorf("%s: %v", test.name, r)
		}
		if test.name == "denied" && r.body != "not you" {
			t.Errorf("%v", r)
		}
		c.expectEOF(t)
	}
	s.log.expect(t, `LINE GET /deny HTTP/1\.1 401`)
	if s.log.count(`LINE GET /echo HTTP/1\.1 426`) != 2 {
		t.Error("refused handshakes are not in the access log")
	}
	eventually(t, "the log says what is wrong with the subprotocol", func() bool {
		return s.log.count("subprotocol 'never offered' is not among those") == 1
	})

	// These do not ask for a WebSocket connection: they are ordinary requests.
	for name, request := range map[string]string{
		"HTTP/1.0":      strings.Replace(upgrade("/"), "HTTP/1.1", "HTTP/1.0", 1),
		"no Connection": strings.Replace(upgrade("/"), "Connection: Upgrade", "Connection: close", 1),
		"other upgrade": strings.Replace(upgrade("/"), "Upgrade: websocket", "Upgrade: h2c", 1),
	} {
		c := s.client()
		c.send(t, request)
		if r := c.receive(t, "GET"); r.status != 200 {
			t.Errorf("%s: %v", name, r)
		}
	}
}

// TestSocketScope: what the app knows of the connection.
func TestSocketScope(t *testing.T) {
	t.Parallel()
	s := start(t, sockets("--root-path", "/root"))
	ws := s.socket("/scope?a=b%20c", "Sec-WebSocket-Protocol: one", "X-Forwarded-Proto: https", "Sec-WebSocket-Protocol: two")
	f, err := ws.readFrame()
	must(t, err)
	for _, want := range []string{
		"'type': 'websocket'", "'scheme': 'wss'", "'path': '/root/scope'", "'raw_path': b'/root/scope'", "'query_string': b'a=b%20c'", "'root_path': '/root'",
		"'subprotocols': ['one', 'two']", "'http_version': '1.1'", "(b'upgrade', b'websocket')", "'websocket.http.response': {}", "'client': ('127.0.0.1', ", "'state': {}",
	} {
		if !strings.Contains(string(f.payload), want) {
			t.Errorf("no %s in %s", want, f.payload)
		}
	}
	if strings.Contains(string(f.payload), "'method'") {
		t.Errorf("a method in %s", f.payload)
	}
	ws.expectClose(1000, "")
}

// TestSocketAppCloses: every code that can be sent reaches the client, with its
// reason; others are the app's mistake.
func TestSocketAppCloses(t *testing.T) {
	t.Parallel()
	s := start(t, sockets())
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} {
		ws := s.socket(fmt.Sprintf("/close?code=%d&reason=r%d", code, code))
		ws.expectClose(code, fmt.Sprintf("r%d", code))
		s.ended("/close", code, fmt.Sprintf("r%d", code))
	}
	s.ended("RuntimeError", 0, "Unexpected ASGI message 'websocket.send': the WebSocket connection has ended")
	for _, code := range []int{999, 1004, 1005, 1006, 1015, 2999, 5000} {
		s.socket(fmt.Sprintf("/close?code=%d", code)).expectClose(1011, "")
	}
	s.socket("/after").expectClose(1000, "")
	s.socket("/after?raise=1").expectClose(1011, "")
	s.log.expect(t, "RuntimeError: after")
}

// TestSocketClientCloses: the app sees the code and the reason that the client gave,
// 1005 if there was none, and 1006 if there was no close frame.
func TestSocketClientCloses(t *testing.T) {
	t.Parallel()
	s := start(t, sockets())
	for code := 1000; code < 5000; code++ {
		switch {
		case code == 1015:
			code = 3000
		case code == 3002:
			code = 4998
		case code == 1004, code == 1005, code == 1006:
			continue
		}
		ws := s.socket("/echo")
		ws.sendFrame(fin|opClose, string(closeFrame(code, "because").payload))
		ws.expect(closeFrame(code, "because"))
		ws.expectEOF(t)
		s.ended("/echo", code, "because")
	}
	ws := s.socket("/echo")
	ws.sendFrame(fin|opClose, "")
	ws.expect(frame{fin | opClose, nil})
	ws.expectEOF(t)
	s.ended("/echo", 1005, "-")

	s.socket("/echo").Close()
	s.ended("/echo", 1006, "-")

	ws = s.socket("/lost")
	_, err := ws.readFrame()
	must(t, err)
	ws.Close()
	s.ended("OSError", 0, "the WebSocket connection has ended")
	if n := s.log.count("Traceback"); n != 0 {
		t.Errorf("%d tracebacks although nothing failed", n)
	}
}

// TestSocketViolations: each is answered with the code that RFC 6455 has for it, and
// the app sees that too.
func TestSocketViolations(t *testing.T) {
	t.Parallel()
	s := start(t, sockets("--websocket-max-message-size", "1000"))
	for _, test := range []struct {
		name    string
		first   byte
		payload string
		code    int
	}{
		{"opcode", fin | 3, "", 1002},
		{"RSV1", fin | 0x40 | opText, "", 1002},
		{"RSV2", fin | 0x20 | opText, "", 1002},
		{"RSV3", fin | 0x10 | opText, "", 1002},
		{"continuation of nothing", fin | opContinuation, "", 1002},
		{"ping in fragments", opPing, "", 1002},
		{"large ping", fin | opPing, strings.Repeat("x", 126), 1002},
		{"half a close code", fin | opClose, "x", 1002},
		{"close code 1005", fin | opClose, string(closeFrame(1005, "").payload), 1002},
		{"close code 2999", fin | opClose, string(closeFrame(2999, "").payload), 1002},
		{"reason", fin | opClose, string(closeFrame(1000, "\xff").payload), 1007},
		{"UTF-8", fin | opText, "a\xffb", 1007},
		{"half a character", fin | opText, "\xe2\x82", 1007},
		{"size", fin | opBinary, strings.Repeat("x", 1001), 1009},
	} {
		ws := s.socket("/echo")
		ws.sendFrame(test.first, test.payload)
		f, err := ws.readFrame()
		if err != nil || f.first != fin|opClose || len(f.payload) < 2 || int(f.payload[0])<<8|int(f.payload[1]) != test.code {
			t.Errorf("%s: %v, %v, not code %d", test.name, f, err, test.code)
			continue
		}
		ws.expectEOF(t)
		s.ended("/echo", test.code, string(f.payload[2:]))
	}

	ws := s.socket("/echo")
	io.WriteString(ws, "\x81\x01x") // without a mask
	ws.expect(closeFrame(1002, "a frame without a mask"))

	ws = s.socket("/echo")
	ws.sendFrame(opBinary, strings.Repeat("x", 600))
	ws.sendFrame(fin|opContinuation, strings.Repeat("x", 401))
	ws.expect(closeFrame(1009, "a message that is too large"))
	ws = s.socket("/echo")
	ws.sendFrame(fin|opBinary, strings.Repeat("x", 1000))
	ws.expectMessage(opBinary, strings.Repeat("x", 1000))
}

// TestSocketPings: the server asks whether clients are there, and ends the
// connection of one that is not.
func TestSocketPings(t *testing.T) {
	t.Parallel()
	s := start(t, sockets("--websocket-ping-interval", "1", "--websocket-ping-timeout", "2"))
	ws := s.socket("/echo")
	for range 2 {
		ws.expect(frame{fin | opPing, nil})
		ws.sendFrame(fin|opPong, "")
	}
	ws.expect(frame{fin | opPing, nil})
	ws.expect(closeFrame(1011, "no answer to a ping"))
	ws.expectEOF(t)
	s.ended("/echo", 1011, "no answer to a ping")
}

// TestSocketSlowClient: an app that sends to a client that reads nothing waits in
// send(), and nobody else notices.
func TestSocketSlowClient(t *testing.T) {
	t.Parallel()
	s := start(t, sockets())
	ws := s.socket("/flood")
	sent := func() (n int) {
		fmt.Sscan(s.get("/sent"), &n)
		return n
	}
	// It sends until it has to wait: then the count stays.
	last := -1
	eventually(t, "the app waits", func() bool {
		time.Sleep(300 * time.Millisecond)
		before := last
		last = sent()
		return last > 0 && last == before
	})
	if last > 32<<20 {
		t.Errorf("the app could send %d bytes to a client that reads nothing", last)
	}
	ws.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.CopyN(io.Discard, ws.r, int64(last)+1<<20); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the app goes on", func() bool { return sent() > last })
	ws.Close()
	s.ended("/flood", 0, "-")
}

// TestSocketSlowApp: an app that receives nothing stops its client from sending, and
// misses nothing when it does.
func TestSocketSlowApp(t *testing.T) {
	t.Parallel()
	s := start(t, sockets())
	ws := s.socket("/deaf")
	message := strings.Repeat("x", 10000)
	total := 0
	for {
		ws.SetWriteDeadline(time.Now().Add(2 * time.Second))
		if ws.tryFrame(fin|opBinary, message) != nil {
			break
		}
		if total += len(message); total > 64<<20 {
			t.Fatal("the client can send on and on to an app that receives nothing")
		}
	}
	// The last frame was sent in part. What came before is all there.
	s.write("listen", "")
	ws.Close()
	s.ended("/deaf", 1006, "-")

	ws = s.socket("/deaf")
	for range 100 {
		ws.sendFrame(fin|opBinary, message)
	}
	ws.sendFrame(fin|opBinary, "end")
	ws.expectMessage(opText, "1000000")
}

// TestSocketWorkerDies: its clients get 1011, those of others notice nothing.
func TestSocketWorkerDies(t *testing.T) {
	t.Parallel()
	s := start(t, sockets("--workers", "2"))
	var all []*socket
	pids := map[string]bool{}
	for len(pids) < 2 || len(all) < 6 {
		ws := s.socket("/echo")
		pids[ws.head.get("X-Pid")] = true
		all = append(all, ws)
	}
	victim := s.socket("/exit")
	victim.sendFrame(fin|opText, "now")
	victim.expectClose(1011, "")
	dead := 0
	for _, ws := range all {
		ws.sendFrame(fin|opText, "are you there")
		f, err := ws.readFrame()
		must(t, err)
		switch {
		case f.first == fin|opText:
		case f.first == fin|opClose && string(f.payload) == string(closeFrame(1011, "").payload):
			dead++
		default:
			t.Errorf("%v", f)
		}
	}
	if dead == 0 || dead == len(all) {
		t.Errorf("%d of %d connections were closed", dead, len(all))
	}
}

// TestSocketLoopBlocked: an app that blocks the event loop costs all connections of
// its worker, which is replaced.
func TestSocketLoopBlocked(t *testing.T) {
	t.Parallel()
	s := start(t, sockets("--timeout", "1", "--graceful-timeout", "1"))
	old := s.workers(1)
	other, blocking := s.socket("/echo"), s.socket("/block")
	blocking.sendFrame(fin|opText, "now")
	blocking.expectClose(1011, "")
	other.expectClose(1011, "")
	s.replaced(old, 1)
	s.log.expect(t, `WORKER TIMEOUT`)
	ws := s.socket("/echo")
	ws.sendFrame(fin|opText, "again")
	ws.expect(frame{fin | opText, []byte("again")})
}

// TestSocketWSGI: to a WSGI app the request is like any other.
func TestSocketWSGI(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	c := s.client()
	c.send(t, upgrade("/"))
	if r := c.receive(t, "GET"); r.status != 200 || r.has("Upgrade") {
		t.Errorf("%v", r)
	}
}

// TestSocketProxy: behind a proxy that speaks the PROXY protocol.
func TestSocketProxy(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "sockets:app", args: []string{"-k", "asgi", "--proxy-protocol=auto"}})
	c := s.client()
	c.send(t, "PROXY TCP4 192.0.2.7 192.0.2.8 4711 80\r\n"+upgrade("/scope"))
	head, err := readHead(c.r)
	must(t, err)
	ws := &socket{client: c, t: t, head: head}
	f, err := ws.readFrame()
	must(t, err)
	if !strings.Contains(string(f.payload), "'client': ('192.0.2.7', 4711)") {
		t.Errorf("%v %v", head, f)
	}
}
