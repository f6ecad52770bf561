//go:build linux

package test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"indrik/test/harness"
)

// These tests are about WebSockets of WSGI apps: on the socket gunicorn.socket of the environ,
// on which the app makes frames itself, and by the object wsgi.websocket.

// socketKinds runs a test for each kind of worker that has more than one WebSocket.
func socketKinds(t *testing.T, test func(t *testing.T, k harness.Kind)) {
	harness.ForEachKind(t, func(t *testing.T, k harness.Kind) {
		if k.Name == "sync" {
			return
		}
		t.Parallel()
		test(t, k)
	})
}

// accepted reads what apps by wsgi.websocket say first.
func accepted(ws *harness.WebSocket) *harness.WebSocket {
	ws.T.Helper()
	ws.SetReadDeadline(time.Now().Add(harness.Patience))
	if f, err := ws.ReadFrame(); err != nil || !strings.HasPrefix(string(f.Payload), "pid ") {
		ws.T.Fatalf("instead of the first message: %v, %v", f, err)
	}
	return ws
}

// TestWSGISocketMessages: messages of every size go there and back, in both ways in which an
// app can have them, over HTTP/1 and HTTP/2.
func TestWSGISocketMessages(t *testing.T) {
	t.Parallel()
	harness.ForEachKind(t, func(t *testing.T, k harness.Kind) {
		t.Parallel()
		s := harness.Start(t, harness.WithHTTP2(t, harness.WebH2C, k.Options(t, "wsgisockets:app")))
		large := strings.Repeat("0123456789abcdef", 40<<10)
		for name, open := range map[string]func(path string) *harness.WebSocket{
			"HTTP/1": func(path string) *harness.WebSocket {
				return s.WebSocket(path, "Sec-WebSocket-Extensions: permessage-deflate")
			},
			"HTTP/2": func(path string) *harness.WebSocket { return s.H2Conn().WebSocket(path) },
		} {
			for _, path := range []string{"/raw/echo", "/echo"} {
				ws := open(path)
				if path == "/echo" {
					accepted(ws)
				} else if !ws.Head.Has("X-Pid") || ws.Head.Get("Sec-WebSocket-Accept") == "x" {
					t.Errorf("%s %s: %v", name, path, ws.Head)
				}
				for _, data := range []string{"", "hello", "héllo €", strings.Repeat("x", 125), strings.Repeat("x", 126), strings.Repeat("x", 1<<16)} {
					if name == "HTTP/1" && len(data) >= 256 {
						continue // it would be compressed
					}
					ws.SendFrame(harness.Fin|harness.OpText, data)
					ws.ExpectMessage(harness.OpText, data)
				}
				if name == "HTTP/2" {
					ws.SendFrame(harness.Fin|harness.OpBinary, large+"\xff\x00")
					ws.ExpectMessage(harness.OpBinary, large+"\xff\x00")
				}
				ws.SendFrame(harness.OpText, "a\xe2")
				ws.SendFrame(harness.Fin|harness.OpPing, "between")
				ws.Expect(harness.Frame{First: harness.Fin | harness.OpPong, Payload: []byte("between")})
				ws.SendFrame(harness.Fin|harness.OpContinuation, "\x82\xacb")
				ws.ExpectMessage(harness.OpText, "a€b")
				ws.SendFrame(harness.Fin|harness.OpClose, string(harness.CloseFrame(4321, "bye").Payload))
				ws.Expect(harness.CloseFrame(4321, "bye"))
				ws.ExpectEOF(t)
				if path == "/echo" {
					s.ExpectEnded("/echo", 0, "-")
				} else {
					s.ExpectEnded("/raw/echo", 4321, "bye")
				}
			}
		}
		s.Terminate()
		if n := s.Log.Count("Traceback"); n != 0 {
			t.Errorf("%d tracebacks although nothing failed", n)
		}
		if warned := s.Log.Count("occupies this worker"); warned != map[bool]int{true: 1}[k.Name == "sync"] {
			t.Errorf("%d warnings", warned)
		}
	})
}

// TestWSGISocketHandshake: an app answers a handshake as it likes, and one that is not valid is
// a request like any other.
func TestWSGISocketHandshake(t *testing.T) {
	t.Parallel()
	socketKinds(t, func(t *testing.T, k harness.Kind) {
		s := harness.Start(t, k.Options(t, "wsgisockets:app", "--access-logfile", "-", "--access-logformat", "LINE %(r)s %(s)s"))
		ws := s.WebSocket("/raw/echo", "Sec-WebSocket-Protocol: one, two", "X-Long: "+strings.Repeat("x", 7000))
		for name, want := range map[string]string{
			"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
			"Sec-WebSocket-Protocol": "two", "Server": "indrik", "Sec-WebSocket-Extensions": "", "Content-Length": "",
		} {
			if got := ws.Head.Get(name); got != want {
				t.Errorf("%s: %q, not %q", name, got, want)
			}
		}
		ws.Close()
		s.Log.Expect(t, `LINE GET /raw/echo HTTP/1\.1 101`)
		for _, test := range []struct {
			name, request string
			status        int
			body          string
		}{
			{"denied", harness.UpgradeRequest("/deny"), 401, "not you"},
			{"refused on the socket", harness.UpgradeRequest("/raw/refuses"), 400, ""},
			{"raises", harness.UpgradeRequest("/before"), 500, "-"},
			{"version", strings.Replace(harness.UpgradeRequest("/echo"), "Version: 13", "Version: 8", 1), 200, "0"},
			{"method", strings.Replace(harness.UpgradeRequest("/echo"), "GET", "POST", 1), 200, "0"},
			{"HTTP/1.0", strings.Replace(harness.UpgradeRequest("/echo"), "HTTP/1.1", "HTTP/1.0", 1), 200, "0"},
		} {
			c := s.Client()
			c.Send(t, test.request)
			if r := c.Receive(t, "GET"); r.Status != test.status || test.body != "-" && r.Body != test.body {
				t.Errorf("%s: %v", test.name, r)
			}
			c.Close()
		}
		s.ExpectEnded("BrokenPipeError", 0, "-")
		s.Log.Expect(t, `LINE GET /deny HTTP/1\.1 401`)
		s.Terminate()
		if n := s.Log.Count("Traceback"); n != 1 { // of /before
			t.Errorf("%d tracebacks", n)
		}
	})
}

// TestWSGISocketEnds: how a connection ends for a client, by what its app does.
func TestWSGISocketEnds(t *testing.T) {
	t.Parallel()
	socketKinds(t, func(t *testing.T, k harness.Kind) {
		s := harness.Start(t, k.Options(t, "wsgisockets:app"))
		for _, path := range []string{"", "/raw"} {
			open := func(target string) *harness.WebSocket {
				ws := s.WebSocket(path + target)
				if path == "" {
					accepted(ws)
				}
				return ws
			}
			for _, code := range []int{1000, 1001, 1008, 1012, 4999} {
				open(fmt.Sprintf("/close?%d,r%d", code, code)).ExpectClose(code, fmt.Sprintf("r%d", code))
			}
			ws := open("/returns")
			ws.ExpectMessage(harness.OpText, "last words")
			ws.ExpectClose(1000, "")
			ws = open("/fails")
			ws.ExpectMessage(harness.OpText, "last words")
			ws.ExpectClose(1011, "")
			s.Log.Expect(t, "RuntimeError: after")
			ws = open("/echo")
			ws.Close()
			if path == "" {
				s.ExpectEnded("/echo", 0, "-")
			} else {
				s.ExpectEnded("/raw/echo", 1006, "-")
			}
		}
		dropped := s.Gate("drops")
		s.WebSocket("/raw/drops").ExpectClose(1011, "")
		dropped.Release()
		for name, bytes := range map[string]string{
			"a mask": "818100000000ff", "an opcode": "8300", "reserved bits": "c100", "UTF-8": "8101ff", "a control frame of 126 bytes": "897e007e",
			"a continuation of nothing": "8000", "half a close code": "880103",
		} {
			ws := s.WebSocket("/raw/violates?" + bytes)
			ws.SetReadDeadline(time.Now().Add(harness.Patience))
			if f, err := ws.ReadFrame(); err != nil || f.String() != harness.CloseFrame(1011, "").String() {
				t.Errorf("%s: %v, %v", name, f, err)
			}
			ws.TryFrame(harness.Fin|harness.OpClose, string(harness.CloseFrame(1011, "").Payload))
			ws.ExpectEOF(t)
		}
		s.Log.Expect(t, `WebSocket of an app, GET /raw/violates: `)
		// A flood of frames that ask for nothing.
		s.WebSocket("/raw/violates?"+strings.Repeat("8a00", 600)).ExpectClose(1011, "")
		s.Terminate()
	})
}

// TestWSGISocketPings: the pings of an app go to its client and back.
func TestWSGISocketPings(t *testing.T) {
	t.Parallel()
	socketKinds(t, func(t *testing.T, k harness.Kind) {
		s := harness.Start(t, k.Options(t, "wsgisockets:app"))
		ws := s.WebSocket("/raw/pings")
		ws.Expect(harness.Frame{First: harness.Fin | harness.OpPing, Payload: []byte("are you there")})
		ws.SendFrame(harness.Fin|harness.OpPong, "somebody else")
		ws.SendFrame(harness.Fin|harness.OpPong, "are you there")
		ws.SendFrame(harness.Fin|harness.OpPong, "are you there")
		s.ExpectEnded("pong", 0, "are you there")
		ws.SendFrame(harness.Fin|harness.OpClose, "")
		s.ExpectEnded("/raw/pings", 1005, "-")
		if n := strings.Count(s.Get("/"), "pong"); n != 1 {
			t.Errorf("the app has got %d pongs", n)
		}
		s.Terminate()
	})
}

// TestWSGISocketSlowClient: an app that sends to a client that reads nothing waits, and nobody
// else notices.
func TestWSGISocketSlowClient(t *testing.T) {
	t.Parallel()
	socketKinds(t, func(t *testing.T, k harness.Kind) {
		s := harness.Start(t, k.Options(t, "wsgisockets:app"))
		for _, path := range []string{"/raw/flood", "/flood"} {
			ws := s.WebSocket(path)
			last, sent := sentToDeafClient(t, s, 64<<20)
			ws.SetReadDeadline(time.Now().Add(harness.Patience))
			if _, err := io.CopyN(io.Discard, ws.Reader, 16<<20); err != nil {
				t.Fatal(err)
			}
			harness.Eventually(t, "the app goes on", func() bool { return sent() > last })
			ws.Close()
			s.ExpectEnded("/flood", 0, "-")
		}
		s.Terminate()
		if n := s.Log.Count("Traceback"); n != 0 {
			t.Errorf("%d tracebacks although nothing failed", n)
		}
	})
}

// TestWSGISocketSlowApp: an app that receives nothing stops its client from sending, and
// misses nothing when it does.
func TestWSGISocketSlowApp(t *testing.T) {
	t.Parallel()
	socketKinds(t, func(t *testing.T, k harness.Kind) {
		s := harness.Start(t, k.Options(t, "wsgisockets:app"))
		ws := s.WebSocket("/raw/deaf")
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
		s.WriteFile("listen", "")
		ws.Close()
		s.ExpectEnded("/raw/deaf", 1006, "-")
		for _, path := range []string{"/raw/deaf", "/deaf"} {
			ws = s.WebSocket(path)
			if path == "/deaf" {
				accepted(ws)
			}
			for range 100 {
				ws.SendFrame(harness.Fin|harness.OpBinary, message)
			}
			ws.SendFrame(harness.Fin|harness.OpBinary, "end")
			ws.ExpectMessage(harness.OpText, "1000000")
			ws.Close()
		}
		s.Terminate()
	})
}

// TestWSGISocketTalksBeforeItIsAccepted: frames that a client sends before the app has accepted
// it wait.
func TestWSGISocketTalksBeforeItIsAccepted(t *testing.T) {
	t.Parallel()
	socketKinds(t, func(t *testing.T, k harness.Kind) {
		s := harness.Start(t, k.Options(t, "wsgisockets:app"))
		g := s.Gate("late")
		c := s.Client()
		c.Send(t, harness.UpgradeRequest("/raw/late"))
		g.Entered()
		ws := &harness.WebSocket{Client: c, T: t}
		for i := range 5 {
			ws.SendFrame(harness.Fin|harness.OpText, fmt.Sprint(i))
		}
		g.Release()
		c.ExpectHead(t, 101)
		for i := range 5 {
			ws.ExpectMessage(harness.OpText, fmt.Sprint(i))
		}
		ws.Close()
		s.Terminate()
	})
}

// TestWSGISocketOutlastsTimeout: the setting timeout bounds requests, and no connections.
func TestWSGISocketOutlastsTimeout(t *testing.T) {
	t.Parallel()
	harness.ForEachKind(t, func(t *testing.T, k harness.Kind) {
		t.Parallel()
		s := harness.Start(t, k.Options(t, "wsgisockets:app", "--timeout", "3"))
		workers := s.Workers(1)
		ws := s.WebSocket("/raw/echo")
		for range 50 {
			ws.SendFrame(harness.Fin|harness.OpText, "still here")
			ws.ExpectMessage(harness.OpText, "still here")
			time.Sleep(100 * time.Millisecond)
		}
		ws.Close()
		s.ExpectEnded("/raw/echo", 1006, "-")
		if now := s.Workers(1); now[0] != workers[0] {
			t.Error("the worker was replaced")
		}
		s.Terminate()
	})
}

// TestWSGISocketWorkerDies: its clients get what it has sent, and 1011; those of others notice
// nothing.
func TestWSGISocketWorkerDies(t *testing.T) {
	t.Parallel()
	socketKinds(t, func(t *testing.T, k harness.Kind) {
		s := harness.Start(t, k.Options(t, "wsgisockets:app", "--workers", "2"))
		victim := s.WebSocket("/raw/dies")
		var other *harness.WebSocket
		for other == nil || other.Head.Get("X-Pid") == victim.Head.Get("X-Pid") {
			if other != nil {
				other.Close()
			}
			other = s.WebSocket("/raw/echo")
		}
		victim.ExpectMessage(harness.OpText, "last words")
		victim.SendFrame(harness.Fin|harness.OpText, "now")
		victim.ExpectClose(1011, "")
		other.SendFrame(harness.Fin|harness.OpText, "are you there")
		other.ExpectMessage(harness.OpText, "are you there")
	})
}

// TestWSGISocketReload: on HUP connections are closed with 1012, after which the app has time;
// the same when a worker is ended by others, and when the server ends.
func TestWSGISocketReload(t *testing.T) {
	t.Parallel()
	harness.ForEachKind(t, func(t *testing.T, k harness.Kind) {
		t.Parallel()
		s := harness.Start(t, k.Options(t, "wsgisockets:app", "--websocket-drain-max", "2", "--websocket-drain-window", "1"))
		old := s.Workers(1)
		stays := s.Gate("stays")
		ws := s.WebSocket("/raw/stays")
		ws.SendFrame(harness.Fin|harness.OpText, "hello")
		begun := time.Now()
		s.Signal(syscall.SIGHUP)
		ws.ExpectClose(1012, "service restart")
		if took := time.Since(begun); took < time.Second {
			t.Errorf("it was closed after %v", took)
		}
		stays.Entered()
		if !harness.Alive(old[0]) {
			t.Error("the worker is gone before its app is done")
		}
		stays.Release()
		old = s.Replaced(old, 1)

		if k.Name != "sync" { // one that waits in the app sees its signal later
			ws = accepted(s.WebSocket("/echo"))
			harness.Kill(t, old[0], syscall.SIGTERM)
			ws.ExpectClose(1012, "service restart")
			s.Replaced(old, 1)
		}

		ws = accepted(s.WebSocket("/echo"))
		s.Signal(syscall.SIGTERM)
		ws.ExpectClose(1012, "service restart")
		s.ExpectExit(0)
		if n := s.Log.Count("Traceback|graceful timeout"); n != 0 {
			t.Errorf("%d lines of what should not be", n)
		}
	})
}

// TestWSGISocketDrainIsBounded: where connections may stay for longer than graceful_timeout, they
// are closed in time for the app.
func TestWSGISocketDrainIsBounded(t *testing.T) {
	t.Parallel()
	socketKinds(t, func(t *testing.T, k harness.Kind) {
		s := harness.Start(t, k.Options(t, "wsgisockets:app", "--websocket-drain-max", "600", "--graceful-timeout", "10"))
		old := s.Workers(1)
		ws := s.WebSocket("/raw/echo")
		s.Signal(syscall.SIGHUP)
		ws.ExpectClose(1012, "service restart")
		s.Replaced(old, 1)
		if n := s.Log.Count("graceful timeout"); n != 0 {
			t.Error("the worker had to be killed")
		}
	})
}

// TestWSGISocketFrontDies: connections end with their front, and apps hear of it.
func TestWSGISocketFrontDies(t *testing.T) {
	t.Parallel()
	socketKinds(t, func(t *testing.T, k harness.Kind) {
		s := harness.Start(t, k.Options(t, "wsgisockets:app"))
		ws := s.WebSocket("/raw/echo")
		harness.Kill(t, s.Role("front")[0].PID, syscall.SIGKILL)
		if f, err := ws.ReadFrame(); err == nil {
			t.Errorf("%v", f)
		}
		s.Ready()
		s.ExpectEnded("/raw/echo", 1006, "-")
		ws = s.WebSocket("/raw/echo")
		ws.SendFrame(harness.Fin|harness.OpText, "again")
		ws.ExpectMessage(harness.OpText, "again")
	})
}

// TestWSGISocketsLeaveNothing: a worker and the front have as many descriptors after many
// connections as before.
func TestWSGISocketsLeaveNothing(t *testing.T) {
	t.Parallel()
	socketKinds(t, func(t *testing.T, k harness.Kind) {
		s := harness.Start(t, k.Options(t, "wsgisockets:app"))
		count := func() int {
			n := 0
			for _, pid := range []int{s.Workers(1)[0], s.Role("front")[0].PID} {
				open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
				harness.Must(t, err)
				n += len(open)
			}
			return n
		}
		some := func() {
			for _, path := range []string{"/raw/echo", "/echo", "/raw/returns", "/fails", "/raw/refuses", "/deny"} {
				ws, err := s.TryWebSocket(path)
				harness.Must(t, err)
				ws.Close()
			}
		}
		for range 8 { // so that each thread has had some
			some()
		}
		s.Get("/")
		var before int
		harness.Eventually(t, "the first connections are gone", func() bool {
			was := before
			before = count()
			time.Sleep(200 * time.Millisecond)
			return was == before
		})
		for range 20 {
			some()
		}
		harness.Eventually(t, "the others are gone", func() bool { return count() <= before })
		s.Terminate()
	})
}

// TestHostileWSGISockets: whatever an app does with its connection, and with the front's end of
// that, other clients notice nothing, and the front goes on.
func TestHostileWSGISockets(t *testing.T) {
	t.Parallel()
	socketKinds(t, func(t *testing.T, k harness.Kind) {
		s := harness.Start(t, k.Options(t, "wsgisockets:app", "--workers", "2", "--graceful-timeout", "5"))
		front := s.Role("front")[0].PID
		for _, attack := range []string{"blocking", "steal", "shut", "descriptors", "tiny", "endless", "exits"} {
			ws := s.WebSocket("/raw/hostile?" + attack)
			pid := ws.Head.Get("X-Pid")
			if attack == "exits" { // what is given to it meanwhile is lost with it
				n, err := strconv.Atoi(pid)
				harness.Must(t, err)
				harness.WaitGone(t, n)
			}
			var other *harness.WebSocket
			harness.Eventually(t, "another worker accepts", func() bool {
				other = s.WebSocket("/raw/echo")
				if other.Head.Get("X-Pid") == pid {
					other.Close() // it would hold a thread
					return false
				}
				return true
			})
			for range 20 {
				other.SendFrame(harness.Fin|harness.OpText, attack)
				other.ExpectMessage(harness.OpText, attack)
				s.Get("/sent")
				time.Sleep(20 * time.Millisecond)
			}
			ws.SetReadDeadline(time.Now().Add(harness.Patience))
			ended := false
			for !ended {
				f, err := ws.ReadFrame()
				ended = err != nil || f.First == harness.Fin|harness.OpClose
				if netErr := (net.Error)(nil); errors.As(err, &netErr) && netErr.Timeout() {
					t.Errorf("%s: the connection does not end", attack)
				}
			}
			ws.Close()
			other.Close()
			if now := s.Role("front"); len(now) != 1 || now[0].PID != front {
				t.Fatalf("%s: the front was %d, and is %v", attack, front, now)
			}
		}
	})
}
