//go:build linux

package test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// eventSource streams until the handler of SIGTERM belongs to something that should exit,
// as sse-starlette does.
const eventSource = `
import asyncio, signal

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    server = signal.getsignal(signal.SIGTERM).__self__
    while not server.should_exit and scope["path"] == "/events":
        await send({"type": "http.response.body", "body": b"data: x\n\n", "more_body": True})
        await asyncio.sleep(0.5)
    await send({"type": "http.response.body", "body": b"end"})
`

// Responses without an end see that the server, or their worker, ends.
func TestEventStreamsEnd(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "events:app", files: map[string]string{"events.py": eventSource}, args: []string{"--graceful-timeout", "60"}})
	for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGTERM} {
		c := s.client()
		c.send(t, "GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
		c.expectHead(t, 200)
		worker := s.workers(1)[0]
		s.signal(sig)
		if sig == syscall.SIGHUP {
			s.log.expectFrom(t, 0, fmt.Sprintf(`Worker exiting \(pid: %d\)`, worker))
		}
		began := time.Now()
		data, last := make([]byte, 4096), ""
		for !strings.HasSuffix(last, "end\r\n0\r\n\r\n") {
			n, err := c.r.Read(data)
			if err != nil {
				t.Fatalf("%v: after %q the stream ended: %v", sig, last, err)
			}
			last += string(data[:n])
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%v: the stream ended after %v", sig, took)
		}
	}
	s.expectExit(0)
}

// They end as well where the server makes way for its successor, and not if nothing ends.
func TestEventStreamsEndInUpgrade(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "events:app", daemon: true, files: map[string]string{"events.py": eventSource}, args: []string{"--graceful-timeout", "60"}})
	old := s.workers(1)[0]
	u := s.upgrade(1)
	c := s.client()
	c.send(t, "GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
	c.expectHead(t, 200)
	began := time.Now()
	s.signal(syscall.SIGWINCH)
	waitGone(t, old)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the worker left after %v", took)
	}
	// Who comes back is not told to end any more.
	s.signal(syscall.SIGHUP)
	s.workersOf(s.pid(), 1)
	s.signal(syscall.SIGTERM)
	waitGone(t, s.pid())
	u.become()
	s.terminate()
}
