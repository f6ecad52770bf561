//go:build linux

package test

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"indrik/test/harness"
)

func TestTornado(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "tornadic:app", Python: harness.Venv(t), Args: []string{"-k", "tornado", "--workers", "2"}})
	s.Log.Expect(t, `Using worker: tornado$`)
	s.Log.ExpectFrom(t, 0, `^called from the loop$`)
	c := s.Client()
	if r := c.Do(t, "GET", "/hello", ""); r.Body != "hello 127.0.0.1" {
		t.Errorf("%v", r)
	}
	for _, n := range []int{1, 100_000, 3_000_000} {
		body := strings.Repeat("x", n)
		if r := c.Do(t, "POST", "/echo", body); r.Body != "/echo\n"+body {
			t.Errorf("POST of %d bytes: status %d, %d bytes", n, r.Status, len(r.Body))
		}
	}
	if r := c.Do(t, "PUT", "/count", strings.Repeat("y", 1_000_000)); r.Body != "1000000 bytes" {
		t.Errorf("%v", r)
	}
	if r := c.Do(t, "GET", "/broken", ""); r.Status != 500 {
		t.Errorf("%v", r)
	}
	if r := c.Do(t, "GET", "/none", ""); r.Status != 404 {
		t.Errorf("%v", r)
	}

	// What is flushed shows up at once.
	harness.Must(t, os.WriteFile(s.Path("gates/first"), nil, 0o644))
	c.Send(t, harness.FormatRequest("GET", "/stream", ""))
	c.ExpectHead(t, 200)
	c.ExpectChunks(t, "first")
	harness.Must(t, os.Remove(s.Path("gates/first")))
	c.ExpectChunks(t, "second")

	k, o := s.BothLoads(4)
	s.Reload(2)
	k.Progress(20)
	o.Progress(20)
	harness.ExpectNoneLost(t, k, o)
	s.Terminate()
}

func TestTornadoRefuses(t *testing.T) {
	t.Parallel()
	s := harness.Launch(t, harness.Options{App: "hello:app", Python: harness.Venv(t), Args: []string{"-k", "tornado"}})
	s.ExpectExit(4)
	s.Log.Expect(t, `'hello:app' is no tornado.web.Application: use the worker class gthread for WSGI, asgi for ASGI\.`)

	s = harness.Launch(t, harness.Options{App: "tornadic:app", Python: harness.Venv(t), Args: []string{"-k", "gthread"}})
	s.ExpectExit(4)
	s.Log.Expect(t, `'tornadic:app' is an application of Tornado: use the worker class tornado\.`)
}

func TestTornadoWebSocket(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "tornadic:app", Python: harness.Venv(t), Args: []string{"-k", "tornado"}})
	ws := s.WebSocket("/chat", "Sec-WebSocket-Protocol: other, chat")
	ws.ExpectMessage(harness.OpText, "welcome")
	for range 3 {
		ws.SendFrame(harness.Fin|harness.OpText, "something")
		ws.ExpectMessage(harness.OpText, "you said something")
	}
	ws.SendFrame(harness.Fin|harness.OpText, "bye")
	ws.ExpectClose(4001, "as you like")
	s.Log.Expect(t, `^closed with 4001$`)

	// A page of another site may not talk to it.
	ws, err := s.TryWebSocket("/chat", "Origin: https://evil.example")
	if err != nil || ws.Head.Status != 403 {
		t.Errorf("%v, want 403", err)
	}

	// On shutdown it is told to come again.
	ws = s.WebSocket("/chat")
	ws.ExpectMessage(harness.OpText, "welcome")
	s.Signal(syscall.SIGTERM)
	ws.ExpectClose(1012, "service restart")
	s.ExpectExit(0)
}
