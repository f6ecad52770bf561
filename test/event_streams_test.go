//go:build linux

package test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"indrik/test/harness"
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
	s := harness.Start(t, harness.Options{App: "events:app", Files: map[string]string{"events.py": eventSource}, Args: []string{"--graceful-timeout", "60"}})
	for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGTERM} {
		c := s.Client()
		c.Send(t, "GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
		c.ExpectHead(t, 200)
		worker := s.Workers(1)[0]
		s.Signal(sig)
		if sig == syscall.SIGHUP {
			s.Log.ExpectFrom(t, 0, fmt.Sprintf(`Worker exiting \(pid: %d\)`, worker))
		}
		began := time.Now()
		data, last := make([]byte, 4096), ""
		for !strings.HasSuffix(last, "end\r\n0\r\n\r\n") {
			n, err := c.Reader.Read(data)
			if err != nil {
				t.Fatalf("%v: after %q the stream ended: %v", sig, last, err)
			}
			last += string(data[:n])
		}
		if took := time.Since(began); took > 30*time.Second { // half of graceful_timeout
			t.Errorf("%v: the stream ended after %v", sig, took)
		}
	}
	s.ExpectExit(0)
}

// They end as well where the server makes way for its successor, and not if nothing ends.
func TestEventStreamsEndInUpgrade(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "events:app", Daemon: true, Files: map[string]string{"events.py": eventSource}, Args: []string{"--graceful-timeout", "60"}})
	old := s.Workers(1)[0]
	u := upgrade(s, 1)
	c := s.Client()
	c.Send(t, "GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
	c.ExpectHead(t, 200)
	began := time.Now()
	s.Signal(syscall.SIGWINCH)
	harness.WaitGone(t, old)
	if took := time.Since(began); took > 30*time.Second { // half of graceful_timeout
		t.Errorf("the worker left after %v", took)
	}
	// Who comes back is not told to end any more.
	s.Signal(syscall.SIGHUP)
	workersOf(s, s.PID(), 1)
	s.Signal(syscall.SIGTERM)
	harness.WaitGone(t, s.PID())
	u.become()
	s.Terminate()
}
