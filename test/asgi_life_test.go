//go:build linux

package test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// asgiVersioned is what versioned is, in ASGI, with streams that wait at gates,
// and the WebSockets of sockets.py.
func asgiVersioned(version string) string {
	return fmt.Sprintf(`import sockets
from asgiapps import body, gate_wait, read, respond, start

VERSION = %q

async def app(scope, receive, send):
    if scope["type"] == "websocket":
        return await sockets.app(scope, receive, send)
    if scope["type"] != "http":
        raise RuntimeError
    path = scope["path"]
    if path == "/version":
        await respond(send, VERSION.encode())
    elif path.startswith("/stream/"):
        await start(send)
        await body(send, VERSION.encode(), more=True)
        await gate_wait(path[8:])
        await body(send, VERSION.encode())
    else:
        data, _ = await read(receive)
        await respond(send, path.encode() + b"\n" + data)
`, version)
}

// openStream begins a stream of the app that asgiVersioned makes.
func openStream(t *testing.T, s *server, gate, version string) *client {
	t.Helper()
	c := s.client()
	c.send(t, "GET /stream/"+gate+" HTTP/1.1\r\nHost: x\r\n\r\n")
	c.expectHead(t, 200)
	c.expectChunks(t, version)
	return c
}

func TestASGIReloadUnderLoad(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "webapp:app", args: []string{"--workers", "2", "--graceful-timeout", "100"}, files: map[string]string{"webapp.py": asgiVersioned("0")}})
	k, o := s.bothLoads(4)
	for i := range 5 {
		old := s.workers(2)
		g := s.gate(fmt.Sprint("g", i))
		stream := openStream(t, s, fmt.Sprint("g", i), fmt.Sprint(i))
		g.entered()
		s.write("webapp.py", asgiVersioned(fmt.Sprint(i+1)))
		s.signal(syscall.SIGHUP)
		eventually(t, "the new code serves", func() bool { return s.get("/version") == fmt.Sprint(i+1) })
		k.progress(20)
		o.progress(20)
		// The stream that has begun is finished by the old worker.
		g.release()
		stream.expectChunks(t, fmt.Sprint(i), "")
		s.replaced(old, 2)
	}
	expectNoneLost(t, k, o)
	s.terminate()
}

func TestASGIKillWorkers(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "webapp:app", args: []string{"--workers", "2"}, files: map[string]string{"webapp.py": asgiVersioned("0")}})
	killUnderLoad(s, 5, 8) // as many as there are clients may have been begun
	s.terminate()
}

func TestASGIKillWorkerInDetail(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "webapp:app", args: []string{"--timeout", "100"}, files: map[string]string{"webapp.py": `
import os, time
from asgiapps import respond, gate_wait, start, body

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError
    if scope["path"] == "/wait":
        await gate_wait("wait")
    elif scope["path"] == "/stream":
        await start(send)
        await body(send, b"first", more=True)
        await gate_wait("wait")
    elif scope["path"] == "/block":
        print("blocking", flush=True)
        time.sleep(1000)
    await respond(send, b"%d" % os.getpid())
`}})
	pid := s.workers(1)[0]
	g := s.gate("wait")
	begun := s.begin("/wait")
	g.entered()
	stream := s.client()
	stream.send(t, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
	stream.expectHead(t, 200)
	stream.expectChunks(t, "first")
	blocking := s.begin("/block")
	s.log.expect(t, `^blocking$`)
	unbegun := s.crowd(20, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n"+strings.Repeat("x", 1000))
	kill(t, pid, syscall.SIGKILL)
	begun.expect(502)
	blocking.expect(502)
	stream.expectCut(t)
	for _, c := range unbegun {
		if r := c.receive(t, "POST"); r.status != 200 || r.body == fmt.Sprint(pid) {
			t.Errorf("%v", r)
		}
	}
	g.release()
	s.terminate()
}

// A worker that is told to end by an operator finishes what it has begun, and what it
// has not begun goes to another one at once.
func TestASGITermToWorkers(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "webapp:app", args: []string{"--workers", "2", "--graceful-timeout", "100"}, files: map[string]string{"webapp.py": asgiVersioned("0")}})
	k, o := s.bothLoads(4)
	for i := range 4 {
		name := fmt.Sprint("g", i)
		g := s.gate(name)
		stream := openStream(t, s, name, "0")
		g.entered()
		old := s.workers(2)
		for _, pid := range old {
			kill(t, pid, syscall.SIGTERM)
		}
		k.progress(20)
		o.progress(20)
		g.release()
		stream.expectChunks(t, "0", "")
		s.replaced(old, 2)
	}
	expectNoneLost(t, k, o)
	s.terminate()
}

func TestASGIMaxRequests(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "webapp:app", args: []string{"--workers", "2", "--max-requests", "100"}, files: map[string]string{"webapp.py": asgiVersioned("0")}})
	k, o := s.bothLoads(4)
	eventually(t, "workers are replaced", func() bool { return s.log.count(`Worker exiting`) >= 5 })
	expectNoneLost(t, k, o)
	s.terminate()
}

func TestASGIStopUnderLoad(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "webapp:app", args: []string{"--workers", "2"}, files: map[string]string{"webapp.py": asgiVersioned("0")}})
	g := s.gate("g")
	stream := openStream(t, s, "g", "0")
	g.entered()
	s.signal(syscall.SIGTERM)
	s.log.expect(t, `Handling signal: term`)
	g.release()
	stream.expectChunks(t, "0", "")
	s.expectExit(0)

	// A stream without end is cut when graceful_timeout is over.
	s = start(t, options{app: "webapp:app", args: []string{"--graceful-timeout", "1"}, files: map[string]string{"webapp.py": asgiVersioned("0")}})
	s.gate("g")
	stream = openStream(t, s, "g", "0")
	waiting := s.begin("/stream/g") // its head is sent, too
	s.signal(syscall.SIGTERM)
	s.expectExit(0)
	stream.expectCut(t)
	if r, err := waiting.wait(); err == nil {
		t.Errorf("%v", r)
	}
}

func TestASGIQuickStop(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "webapp:app", files: map[string]string{"webapp.py": asgiVersioned("0")}})
	g := s.gate("g")
	stream := openStream(t, s, "g", "0")
	g.entered()
	s.signal(syscall.SIGINT)
	s.expectExit(0)
	stream.expectCut(t)
	g.release()
}

// A front that takes the place of another begins anew with the workers that are
// there: they hear that the clients of the other have gone.
func TestASGIKillFront(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "asgiapps:leaving", args: []string{"--asgi-disconnect-grace-period", "1"}})
	worker := s.workers(1)[0]
	for range 3 {
		from := s.log.mark()
		c := s.client()
		c.send(t, "GET /sleep HTTP/1.1\r\nHost: x\r\n\r\n")
		c.expectHead(t, 200)
		kill(t, s.role("front")[0].pid, syscall.SIGKILL)
		s.log.expectFrom(t, from, `Front \(pid:\d+\) was sent SIGKILL`)
		s.log.expectFrom(t, from, `^sleep: cancelled$`)
		eventually(t, "the new front serves", func() bool {
			r, err := s.request("GET", "/", "")
			return err == nil && r.status == 200
		})
	}
	if got := s.workers(1)[0]; got != worker {
		t.Error("the worker was replaced")
	}
	s.terminate()
}

// An app may be of another kind after a reload, while requests wait.
func TestASGIReloadToWSGI(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "webapp:app", args: []string{"--workers", "2"}, files: map[string]string{"webapp.py": versioned("w0")}})
	k, o := s.bothLoads(4)
	for i := range 2 {
		for kind, text := range map[string]string{"a": asgiVersioned("a"), "w": versioned("w")} {
			s.write("webapp.py", text)
			s.reload(2)
			if got := s.get("/version"); got != kind {
				t.Errorf("round %d: the app is version %s, want %s", i, got, kind)
			}
			k.progress(20)
			o.progress(20)
		}
	}
	expectNoneLost(t, k, o)
	s.terminate()
}
