//go:build linux

package test

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestTornado(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "tornadic:app", python: venv(t), args: []string{"-k", "tornado", "--workers", "2"}})
	s.log.expect(t, `Using worker: tornado$`)
	s.log.expectFrom(t, 0, `^called from the loop$`)
	c := s.client()
	if r := c.do(t, "GET", "/hello", ""); r.body != "hello 127.0.0.1" {
		t.Errorf("%v", r)
	}
	for _, n := range []int{1, 100_000, 3_000_000} {
		body := strings.Repeat("x", n)
		if r := c.do(t, "POST", "/echo", body); r.body != "/echo\n"+body {
			t.Errorf("POST of %d bytes: status %d, %d bytes", n, r.status, len(r.body))
		}
	}
	if r := c.do(t, "PUT", "/count", strings.Repeat("y", 1_000_000)); r.body != "1000000 bytes" {
		t.Errorf("%v", r)
	}
	if r := c.do(t, "GET", "/broken", ""); r.status != 500 {
		t.Errorf("%v", r)
	}
	if r := c.do(t, "GET", "/none", ""); r.status != 404 {
		t.Errorf("%v", r)
	}

	// What is flushed shows up at once.
	must(t, os.WriteFile(s.path("gates/first"), nil, 0o644))
	c.send(t, format("GET", "/stream", ""))
	c.expectHead(t, 200)
	c.expectChunks(t, "first")
	must(t, os.Remove(s.path("gates/first")))
	c.expectChunks(t, "second")

	k, o := s.bothLoads(4)
	s.reload(2)
	k.progress(20)
	o.progress(20)
	expectNoneLost(t, k, o)
	s.terminate()
}

func TestTornadoRefuses(t *testing.T) {
	t.Parallel()
	s := launch(t, options{app: "hello:app", python: venv(t), args: []string{"-k", "tornado"}})
	s.expectExit(4)
	s.log.expect(t, `'hello:app' is no tornado.web.Application: use the worker class gthread for WSGI, asgi for ASGI\.`)

	s = launch(t, options{app: "tornadic:app", python: venv(t), args: []string{"-k", "gthread"}})
	s.expectExit(4)
	s.log.expect(t, `'tornadic:app' is an application of Tornado: use the worker class tornado\.`)
}

func TestTornadoWebSocket(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "tornadic:app", python: venv(t), args: []string{"-k", "tornado"}})
	ws := s.socket("/chat", "Sec-WebSocket-Protocol: other, chat")
	ws.expectMessage(opText, "welcome")
	for range 3 {
		ws.sendFrame(fin|opText, "something")
		ws.expectMessage(opText, "you said something")
	}
	ws.sendFrame(fin|opText, "bye")
	ws.expectClose(4001, "as you like")
	s.log.expect(t, `^closed with 4001$`)

	// A page of another site may not talk to it.
	ws, err := s.trySocket("/chat", "Origin: https://evil.example")
	if err != nil || ws.head.status != 403 {
		t.Errorf("%v, want 403", err)
	}

	// On shutdown it is told to come again.
	ws = s.socket("/chat")
	ws.expectMessage(opText, "welcome")
	s.signal(syscall.SIGTERM)
	ws.expectClose(1012, "service restart")
	s.expectExit(0)
}
