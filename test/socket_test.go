//go:build linux

package test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"indrik/test/harness"
)

func sockets(args ...string) harness.Options {
	return harness.Options{App: "sockets:app", Args: append([]string{"-k", "asgi"}, args...)}
}

// TestSocketMessages: messages of every size, in whatever frames they come, go
// there and back; over TLS too.
func TestSocketMessages(t *testing.T) {
	t.Parallel()
	for _, o := range []harness.Options{sockets(), harness.WithTLS(t, sockets())} {
		s := harness.Start(t, o)
		ws := s.WebSocket("/echo")
		large := strings.Repeat("0123456789abcdef", 100<<10)
		for _, data := range []string{"", "hello", "héllo €", strings.Repeat("x", 125), strings.Repeat("x", 126), strings.Repeat("x", 1<<16), large} {
			ws.SendFrame(harness.Fin|harness.OpText, data)
			ws.ExpectMessage(harness.OpText, data)
			ws.SendFrame(harness.Fin|harness.OpBinary, data+"\xff\x00")
			ws.ExpectMessage(harness.OpBinary, data+"\xff\x00")
		}
		ws.SendFrame(harness.OpText, "a\xe2")
		ws.SendFrame(harness.Fin|harness.OpPing, "between")
		ws.Expect(harness.Frame{First: harness.Fin | harness.OpPong, Payload: []byte("between")})
		ws.SendFrame(harness.OpContinuation, "\x82")
		ws.SendFrame(harness.OpContinuation, "")
		ws.SendFrame(harness.Fin|harness.OpContinuation, "\xacb")
		ws.ExpectMessage(harness.OpText, "a€b")
		ws.SendFrame(harness.Fin|harness.OpClose, string(harness.CloseFrame(4321, "bye").Payload))
		ws.Expect(harness.CloseFrame(4321, "bye"))
		ws.ExpectEOF(t)
		s.ExpectEnded("/echo", 4321, "bye")
		s.Terminate()
	}
}

// TestSocketHandshake: what is accepted, what is refused, and how.
func TestSocketHandshake(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, sockets("--access-logfile", "-", "--access-logformat", "LINE %(r)s %(s)s"))
	ws := s.WebSocket("/echo", "Sec-WebSocket-Protocol: one, two", "X-Other: 1")
	for name, want := range map[string]string{
		"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
		"Sec-WebSocket-Protocol": "two", "Server": "indrik", "Sec-WebSocket-Extensions": "", "Content-Length": "",
	} {
		if got := ws.Head.Get(name); got != want {
			t.Errorf("%s: %q, not %q", name, got, want)
		}
	}
	if !ws.Head.Has("X-Pid") || !ws.Head.Has("Date") {
		t.Errorf("%v", ws.Head)
	}
	s.Log.Expect(t, `LINE GET /echo HTTP/1\.1 101`)

	for _, test := range []struct {
		name, request string
		status        int
		field, value  string
	}{
		{"version", strings.Replace(harness.UpgradeRequest("/echo"), "Version: 13", "Version: 8", 1), 426, "Sec-WebSocket-Version", "13"},
		{"no version", strings.Replace(harness.UpgradeRequest("/echo"), "Sec-WebSocket-Version", "X", 1), 426, "Sec-WebSocket-Version", "13"},
		{"key", strings.Replace(harness.UpgradeRequest("/echo"), harness.WebSocketKey, "abc", 1), 400, "Connection", "close"},
		{"no key", strings.Replace(harness.UpgradeRequest("/echo"), "Sec-WebSocket-Key", "X", 1), 400, "Connection", "close"},
		{"method", strings.Replace(harness.UpgradeRequest("/echo"), "GET", "POST", 1), 400, "Connection", "close"},
		{"refused", harness.UpgradeRequest("/reject"), 403, "", ""},
		{"denied", harness.UpgradeRequest("/deny"), 401, "X-Why", "no"},
		{"raises", harness.UpgradeRequest("/before?raise=1"), 500, "", ""},
		{"returns", harness.UpgradeRequest("/before"), 403, "", ""},
		{"subprotocol that was not offered", harness.UpgradeRequest("/bad"), 500, "", ""},
	} {
		c := s.Client()
		c.Send(t, test.request)
		r := c.Receive(t, "GET")
		if r.Status != test.status || test.field != "" && r.Get(test.field) != test.value {
			t.Errorf("%s: %v", test.name, r)
		}
		if test.name == "denied" && r.Body != "not you" {
			t.Errorf("%v", r)
		}
		c.ExpectEOF(t)
	}
	s.Log.Expect(t, `LINE GET /deny HTTP/1\.1 401`)
	harness.Eventually(t, "refused handshakes are in the access log", func() bool { return s.Log.Count(`LINE GET /echo HTTP/1\.1 426`) == 2 })
	harness.Eventually(t, "the log says what is wrong with the subprotocol", func() bool {
		return s.Log.Count("subprotocol 'never offered' is not among those") == 1
	})

	// These do not ask for a WebSocket connection: they are ordinary requests.
	for name, request := range map[string]string{
		"HTTP/1.0":      strings.Replace(harness.UpgradeRequest("/"), "HTTP/1.1", "HTTP/1.0", 1),
		"no Connection": strings.Replace(harness.UpgradeRequest("/"), "Connection: Upgrade", "Connection: close", 1),
		"other upgrade": strings.Replace(harness.UpgradeRequest("/"), "Upgrade: websocket", "Upgrade: h2c", 1),
	} {
		c := s.Client()
		c.Send(t, request)
		if r := c.Receive(t, "GET"); r.Status != 200 {
			t.Errorf("%s: %v", name, r)
		}
	}
}

// TestSocketScope: what the app knows of the connection.
func TestSocketScope(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, sockets("--root-path", "/root"))
	ws := s.WebSocket("/scope?a=b%20c", "Sec-WebSocket-Protocol: one", "X-Forwarded-Proto: https", "Sec-WebSocket-Protocol: two")
	f, err := ws.ReadFrame()
	harness.Must(t, err)
	for _, want := range []string{
		"'type': 'websocket'", "'scheme': 'wss'", "'path': '/root/scope'", "'raw_path': b'/root/scope'", "'query_string': b'a=b%20c'", "'root_path': '/root'",
		"'subprotocols': ['one', 'two']", "'http_version': '1.1'", "(b'upgrade', b'websocket')", "'websocket.http.response': {}", "'client': ('127.0.0.1', ", "'state': {}",
	} {
		if !strings.Contains(string(f.Payload), want) {
			t.Errorf("no %s in %s", want, f.Payload)
		}
	}
	if strings.Contains(string(f.Payload), "'method'") {
		t.Errorf("a method in %s", f.Payload)
	}
	ws.ExpectClose(1000, "")
}

// TestSocketAppCloses: every code that can be sent reaches the client, with its
// reason; others are the app's mistake.
func TestSocketAppCloses(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, sockets())
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} {
		ws := s.WebSocket(fmt.Sprintf("/close?code=%d&reason=r%d", code, code))
		ws.ExpectClose(code, fmt.Sprintf("r%d", code))
		s.ExpectEnded("/close", code, fmt.Sprintf("r%d", code))
	}
	s.ExpectEnded("RuntimeError", 0, "Unexpected ASGI message 'websocket.send': the WebSocket connection has ended")
	for _, code := range []int{999, 1004, 1005, 1006, 1015, 2999, 5000} {
		s.WebSocket(fmt.Sprintf("/close?code=%d", code)).ExpectClose(1011, "")
	}
	s.WebSocket("/after").ExpectClose(1000, "")
	s.WebSocket("/after?raise=1").ExpectClose(1011, "")
	s.Log.Expect(t, "RuntimeError: after")
}

// TestSocketClientCloses: the app sees the code and the reason that the client gave,
// 1005 if there was none, and 1006 if there was no close frame.
func TestSocketClientCloses(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, sockets())
	for code := 1000; code < 5000; code++ {
		switch code {
		case 1015:
			code = 3000
		case 3002:
			code = 4998
		case 1004, 1005, 1006:
			continue
		}
		ws := s.WebSocket("/echo")
		ws.SendFrame(harness.Fin|harness.OpClose, string(harness.CloseFrame(code, "because").Payload))
		ws.Expect(harness.CloseFrame(code, "because"))
		ws.ExpectEOF(t)
		s.ExpectEnded("/echo", code, "because")
	}
	ws := s.WebSocket("/echo")
	ws.SendFrame(harness.Fin|harness.OpClose, "")
	ws.Expect(harness.Frame{First: harness.Fin | harness.OpClose, Payload: nil})
	ws.ExpectEOF(t)
	s.ExpectEnded("/echo", 1005, "-")

	s.WebSocket("/echo").Close()
	s.ExpectEnded("/echo", 1006, "-")

	ws = s.WebSocket("/lost")
	_, err := ws.ReadFrame()
	harness.Must(t, err)
	ws.Close()
	s.ExpectEnded("OSError", 0, "the WebSocket connection has ended")
	if n := s.Log.Count("Traceback"); n != 0 {
		t.Errorf("%d tracebacks although nothing failed", n)
	}
}

// TestSocketViolations: each is answered with the code that RFC 6455 has for it, and
// the app sees that too.
func TestSocketViolations(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, sockets("--websocket-max-message-size", "1000"))
	for _, test := range []struct {
		name    string
		first   byte
		payload string
		code    int
	}{
		{"opcode", harness.Fin | 3, "", 1002},
		{"RSV1", harness.Fin | 0x40 | harness.OpText, "", 1002},
		{"RSV2", harness.Fin | 0x20 | harness.OpText, "", 1002},
		{"RSV3", harness.Fin | 0x10 | harness.OpText, "", 1002},
		{"continuation of nothing", harness.Fin | harness.OpContinuation, "", 1002},
		{"ping in fragments", harness.OpPing, "", 1002},
		{"large ping", harness.Fin | harness.OpPing, strings.Repeat("x", 126), 1002},
		{"half a close code", harness.Fin | harness.OpClose, "x", 1002},
		{"close code 1005", harness.Fin | harness.OpClose, string(harness.CloseFrame(1005, "").Payload), 1002},
		{"close code 2999", harness.Fin | harness.OpClose, string(harness.CloseFrame(2999, "").Payload), 1002},
		{"reason", harness.Fin | harness.OpClose, string(harness.CloseFrame(1000, "\xff").Payload), 1007},
		{"UTF-8", harness.Fin | harness.OpText, "a\xffb", 1007},
		{"half a character", harness.Fin | harness.OpText, "\xe2\x82", 1007},
		{"size", harness.Fin | harness.OpBinary, strings.Repeat("x", 1001), 1009},
	} {
		ws := s.WebSocket("/echo")
		ws.SendFrame(test.first, test.payload)
		f, err := ws.ReadFrame()
		if err != nil || f.First != harness.Fin|harness.OpClose || len(f.Payload) < 2 || int(f.Payload[0])<<8|int(f.Payload[1]) != test.code {
			t.Errorf("%s: %v, %v, not code %d", test.name, f, err, test.code)
			continue
		}
		ws.ExpectEOF(t)
		s.ExpectEnded("/echo", test.code, string(f.Payload[2:]))
	}

	ws := s.WebSocket("/echo")
	io.WriteString(ws, "\x81\x01x") // without a mask
	ws.Expect(harness.CloseFrame(1002, "a frame without a mask"))

	ws = s.WebSocket("/echo")
	ws.SendFrame(harness.OpBinary, strings.Repeat("x", 600))
	ws.SendFrame(harness.Fin|harness.OpContinuation, strings.Repeat("x", 401))
	ws.Expect(harness.CloseFrame(1009, "a message that is too large"))
	ws = s.WebSocket("/echo")
	ws.SendFrame(harness.Fin|harness.OpBinary, strings.Repeat("x", 1000))
	ws.ExpectMessage(harness.OpBinary, strings.Repeat("x", 1000))
}

// TestSocketPings: the server asks whether clients are there, and ends the
// connection of one that is not.
func TestSocketPings(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, sockets("--websocket-ping-interval", "1", "--websocket-ping-timeout", "8"))
	ws := s.WebSocket("/echo")
	ws.Pings = true
	for range 2 {
		ws.Expect(harness.Frame{First: harness.Fin | harness.OpPing, Payload: nil})
		ws.SendFrame(harness.Fin|harness.OpPong, "")
	}
	ws.Expect(harness.Frame{First: harness.Fin | harness.OpPing, Payload: nil})
	ws.Expect(harness.CloseFrame(1011, "no answer to a ping"))
	ws.ExpectEOF(t)
	s.ExpectEnded("/echo", 1011, "no answer to a ping")
}

// sentToDeafClient waits until an app that sends to a client that reads nothing has to wait: then
// the count that it gives at /sent stays, and is at most so many bytes. It returns that, and what
// asks for the count.
func sentToDeafClient(t *testing.T, s *harness.Server, most int) (last int, sent func() int) {
	t.Helper()
	sent = func() (n int) {
		fmt.Sscan(s.Get("/sent"), &n)
		return n
	}
	last = -1
	harness.Eventually(t, "the app waits", func() bool {
		time.Sleep(300 * time.Millisecond)
		before := last
		last = sent()
		return last > 0 && last == before
	})
	if last > most {
		t.Errorf("the app could send %d bytes to a client that reads nothing", last)
	}
	return last, sent
}

// TestSocketSlowClient: an app that sends to a client that reads nothing waits in
// send(), and nobody else notices.
func TestSocketSlowClient(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, sockets())
	ws := s.WebSocket("/flood")
	last, sent := sentToDeafClient(t, s, 32<<20)
	ws.SetReadDeadline(time.Now().Add(harness.Patience))
	if _, err := io.CopyN(io.Discard, ws.Reader, int64(last)+1<<20); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, "the app goes on", func() bool { return sent() > last })
	ws.Close()
	s.ExpectEnded("/flood", 0, "-")
}

// TestSocketTalksBeforeItIsAccepted: frames that a client sends before the app has accepted it
// wait, however many they are, and come in their order.
func TestSocketTalksBeforeItIsAccepted(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, sockets())
	g := s.Gate("late")
	c := s.Client()
	c.Send(t, harness.UpgradeRequest("/late"))
	g.Entered()
	ws := &harness.WebSocket{Client: c, T: t}
	const messages = 400
	sent := make(chan error, 1)
	go func() {
		var err error
		for i := 0; i < messages && err == nil; i++ {
			err = ws.TryFrame(harness.Fin|harness.OpText, strings.Repeat(fmt.Sprintf("%04d", i), 500))
		}
		sent <- err
	}()
	g.Release()
	c.ExpectHead(t, 101)
	for i := range messages {
		ws.ExpectMessage(harness.OpText, strings.Repeat(fmt.Sprintf("%04d", i), 500))
	}
	harness.Must(t, <-sent)
	ws.Close()
	s.Terminate()
}

// TestSocketSlowApp: an app that receives nothing stops its client from sending, and
// misses nothing when it does.
func TestSocketSlowApp(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, sockets())
	ws := s.WebSocket("/deaf")
	message := strings.Repeat("x", 10000)
	total := 0
	for {
		ws.SetWriteDeadline(time.Now().Add(2 * time.Second))
		if ws.TryFrame(harness.Fin|harness.OpBinary, message) != nil {
			break
		}
		if total += len(message); total > 64<<20 {
			t.Fatal("the client can send on and on to an app that receives nothing")
		}
	}
	// The last frame was sent in part. What came before is all there.
	s.WriteFile("listen", "")
	ws.Close()
	s.ExpectEnded("/deaf", 1006, "-")

	ws = s.WebSocket("/deaf")
	for range 100 {
		ws.SendFrame(harness.Fin|harness.OpBinary, message)
	}
	ws.SendFrame(harness.Fin|harness.OpBinary, "end")
	ws.ExpectMessage(harness.OpText, "1000000")
}

// TestSocketWorkerDies: its clients get 1011, those of others notice nothing.
func TestSocketWorkerDies(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, sockets("--workers", "2"))
	var all []*harness.WebSocket
	pids := map[string]bool{}
	for len(pids) < 2 || len(all) < 6 {
		ws := s.WebSocket("/echo")
		pids[ws.Head.Get("X-Pid")] = true
		all = append(all, ws)
	}
	victim := s.WebSocket("/exit")
	victim.SendFrame(harness.Fin|harness.OpText, "now")
	victim.ExpectClose(1011, "")
	dead := 0
	for _, ws := range all {
		ws.SendFrame(harness.Fin|harness.OpText, "are you there")
		f, err := ws.ReadFrame()
		harness.Must(t, err)
		switch {
		case f.First == harness.Fin|harness.OpText:
		case f.First == harness.Fin|harness.OpClose && string(f.Payload) == string(harness.CloseFrame(1011, "").Payload):
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
	s := harness.Start(t, sockets("--timeout", "4", "--graceful-timeout", "1"))
	old := s.Workers(1)
	other, blocking := s.WebSocket("/echo"), s.WebSocket("/block")
	blocking.SendFrame(harness.Fin|harness.OpText, "now")
	blocking.ExpectClose(1011, "")
	other.ExpectClose(1011, "")
	s.Replaced(old, 1)
	s.Log.Expect(t, `WORKER TIMEOUT`)
	ws := s.WebSocket("/echo")
	ws.SendFrame(harness.Fin|harness.OpText, "again")
	ws.Expect(harness.Frame{First: harness.Fin | harness.OpText, Payload: []byte("again")})
}

// TestSocketWSGI: to a WSGI app the request is like any other.
func TestSocketWSGI(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{})
	c := s.Client()
	c.Send(t, harness.UpgradeRequest("/"))
	if r := c.Receive(t, "GET"); r.Status != 200 || r.Has("Upgrade") {
		t.Errorf("%v", r)
	}
}

// TestSocketProxy: behind a proxy that speaks the PROXY protocol.
func TestSocketProxy(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "sockets:app", Args: []string{"-k", "asgi", "--proxy-protocol=auto"}})
	c := s.Client()
	c.Send(t, "PROXY TCP4 192.0.2.7 192.0.2.8 4711 80\r\n"+harness.UpgradeRequest("/scope"))
	head, err := harness.ReadHead(c.Reader)
	harness.Must(t, err)
	ws := &harness.WebSocket{Client: c, T: t, Head: head}
	f, err := ws.ReadFrame()
	harness.Must(t, err)
	if !strings.Contains(string(f.Payload), "'client': ('192.0.2.7', 4711)") {
		t.Errorf("%v %v", head, f)
	}
}
