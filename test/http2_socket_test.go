//go:build linux

package test

import (
	"io"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/net/http2/hpack"

	"indrik/test/harness"
)

// TestHTTP2Sockets: WebSockets are streams of HTTP/2 (RFC 8441): messages of every size both
// ways, pings, the closing handshake, and what the app sees.
func TestHTTP2Sockets(t *testing.T) {
	t.Parallel()
	harness.OverHTTP2(t, sockets("--access-logfile", "-", "--access-logformat", "LINE %(r)s %(s)s"), func(t *testing.T, s *harness.Server, w *harness.Web) {
		ws := s.H2Conn().WebSocket("/echo", hpack.HeaderField{Name: "sec-websocket-protocol", Value: "one, two"})
		if ws.Head.Status != 200 || ws.Head.Get("Sec-WebSocket-Protocol") != "two" || ws.Head.Has("Sec-WebSocket-Accept") || ws.Head.Has("Upgrade") {
			t.Errorf("%v", ws.Head)
		}
		s.Log.Expect(t, `LINE GET /echo HTTP/2\.0 (101|200)`)
		large := strings.Repeat("0123456789abcdef", 50<<10)
		for _, data := range []string{"", "hello", "héllo €", strings.Repeat("x", 1<<16), large} {
			ws.SendFrame(harness.Fin|harness.OpText, data)
			ws.ExpectMessage(harness.OpText, data)
		}
		ws.SendFrame(harness.Fin|harness.OpPing, "there?")
		ws.Expect(harness.Frame{First: harness.Fin | harness.OpPong, Payload: []byte("there?")})
		ws.SendFrame(harness.Fin|harness.OpClose, string(harness.CloseFrame(4321, "bye").Payload))
		ws.Expect(harness.CloseFrame(4321, "bye"))
		ws.ExpectEOF(t)
		s.ExpectEnded("/echo", 4321, "bye")
		s.Terminate()
	})
}

// TestHTTP2SocketsRefused: what is no handshake, and what the app refuses.
func TestHTTP2SocketsRefused(t *testing.T) {
	t.Parallel()
	harness.OverHTTP2(t, sockets(), func(t *testing.T, s *harness.Server, w *harness.Web) {
		for name, c := range map[string]struct {
			path   string
			fields []hpack.HeaderField
			status string
		}{
			"refused":        {"/reject", []hpack.HeaderField{{Name: ":protocol", Value: "websocket"}, {Name: "sec-websocket-version", Value: "13"}}, "403"},
			"denied":         {"/deny", []hpack.HeaderField{{Name: ":protocol", Value: "websocket"}, {Name: "sec-websocket-version", Value: "13"}}, "401"},
			"version":        {"/echo", []hpack.HeaderField{{Name: ":protocol", Value: "websocket"}, {Name: "sec-websocket-version", Value: "8"}}, "400"},
			"other protocol": {"/echo", []hpack.HeaderField{{Name: ":protocol", Value: "chat"}, {Name: "sec-websocket-version", Value: "13"}}, "501"},
		} {
			f := s.H2Conn()
			if r := f.Response(f.Open("CONNECT", c.path, false, c.fields...)); r.Status() != c.status {
				t.Errorf("%s: %v, want %s", name, r, c.status)
			}
			if r := f.Response(f.Open("GET", "/", true)); !r.Ended {
				t.Errorf("%s: and then %v", name, r)
			}
			f.Close()
		}
		s.Terminate()
	})
}

// TestHTTP2SocketsOfTheDead: WebSockets end when their worker dies, and when the client
// leaves the app learns of it; other streams go on.
func TestHTTP2SocketsOfTheDead(t *testing.T) {
	t.Parallel()
	harness.OverHTTP2(t, sockets(), func(t *testing.T, s *harness.Server, w *harness.Web) {
		ws := s.H2Conn().WebSocket("/echo")
		ws.SendFrame(harness.Fin|harness.OpText, "hello")
		ws.ExpectMessage(harness.OpText, "hello")
		ws.Close()
		s.ExpectEnded("/echo", 1006, "-")
		ws = s.H2Conn().WebSocket("/echo")
		workers := s.Workers(1)
		harness.Kill(t, workers[0], syscall.SIGKILL)
		if _, err := io.Copy(io.Discard, ws.Reader); err != nil {
			t.Errorf("the WebSocket of a dead worker does not end: %v", err)
		}
		s.Replaced(workers, 1)
		s.Terminate()
	})
}

// TestHTTP2SocketsReload: a reload closes WebSockets with 1012.
func TestHTTP2SocketsReload(t *testing.T) {
	t.Parallel()
	harness.OverHTTP2(t, sockets("--websocket-drain-max", "1", "--websocket-drain-window", "1"), func(t *testing.T, s *harness.Server, w *harness.Web) {
		ws := s.H2Conn().WebSocket("/echo")
		ws.SendFrame(harness.Fin|harness.OpText, "hello")
		ws.ExpectMessage(harness.OpText, "hello")
		s.Reload(1)
		ws.ExpectClose(1012, "service restart") // the server does not wait for the answer for ever
		s.Terminate()
	})
}
