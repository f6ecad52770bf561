//go:build linux

package test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// An end is how a connection ended for its client, and when.
type end struct {
	at    time.Time
	frame frame
	err   error
}

// talk has a client send and receive messages until its connection ends.
func talk(ws *socket) end {
	for n := 0; ; n++ {
		text := fmt.Sprintf("message %d", n)
		ws.SetDeadline(time.Now().Add(patience))
		if err := ws.tryFrame(fin|opText, text); err != nil {
			// The close frame may be on its way.
			f, rerr := ws.readFrame()
			return end{time.Now(), f, errors.Join(err, rerr)}
		}
		f, err := ws.readFrame()
		if err != nil || f.first != fin|opText || string(f.payload) != text {
			if err == nil && f.first == fin|opClose {
				ws.tryFrame(f.first, string(f.payload))
				if _, err := ws.r.ReadByte(); err != io.EOF {
					return end{time.Now(), f, fmt.Errorf("after the close frame: %w", err)}
				}
			}
			return end{time.Now(), f, err}
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// TestSocketsReload: on HUP all connections are closed with 1012, spread over the
// window; those who come back get a new worker, and see nothing else.
func TestSocketsReload(t *testing.T) {
	t.Parallel()
	s := start(t, sockets("--workers", "2", "--websocket-drain-window", "3", "--websocket-drain-max", "4"))
	old := s.workers(2)
	const n = 30
	ends := make([]end, n)
	var all sync.WaitGroup
	for i := range n {
		ws := s.socket("/echo")
		all.Add(1)
		go func() {
			defer all.Done()
			ends[i] = talk(ws)
		}()
	}
	begun := time.Now()
	s.signal(syscall.SIGHUP)
	all.Wait()
	want := closeFrame(1012, "service restart")
	for _, e := range ends {
		if e.err != nil || e.frame.String() != want.String() {
			t.Errorf("%v, %v", e.frame, e.err)
		}
	}
	slices.SortFunc(ends, func(a, b end) int { return a.at.Compare(b.at) })
	if first := ends[0].at.Sub(begun); first < time.Second {
		t.Errorf("the first was closed after %v", first)
	}
	if span := ends[n-1].at.Sub(ends[0].at); span < 1500*time.Millisecond {
		t.Errorf("all were closed within %v", span)
	}
	pids := s.replaced(old, 2)
	ws := s.socket("/echo")
	if pid := ws.head.get("X-Pid"); !slices.Contains(pids, atoi(t, pid)) {
		t.Errorf("a new connection is with %s, the workers are %v", pid, pids)
	}
}

// TestSocketsStay: connections may stay with the old workers for longer.
func TestSocketsStay(t *testing.T) {
	t.Parallel()
	s := start(t, sockets("--websocket-drain-max", "600", "--graceful-timeout", "1"))
	old := s.workers(1)
	ws := s.socket("/echo")
	stuck := s.socket("/stuck")
	s.signal(syscall.SIGHUP)
	s.workers(2)
	for range 25 { // longer than graceful_timeout
		ws.sendFrame(fin|opText, "still here")
		ws.expect(frame{fin | opText, []byte("still here")})
		time.Sleep(100 * time.Millisecond)
	}
	if fresh := s.socket("/echo").head.get("X-Pid"); fresh == ws.head.get("X-Pid") {
		t.Error("a new connection is with the old worker")
	}
	for _, c := range []*socket{ws, stuck} {
		c.sendFrame(fin|opClose, "")
		c.expect(frame{fin | opClose, nil})
	}
	waitGone(t, old[0]) // what the app does after that has graceful_timeout
}

// TestSocketsManyReloads: clients that come back whenever they get 1012 see nothing
// else, and miss nothing, however often the code is reloaded.
func TestSocketsManyReloads(t *testing.T) {
	t.Parallel()
	s := start(t, sockets("--workers", "2", "--websocket-drain-window", "1", "--websocket-drain-max", "1"))
	var wg sync.WaitGroup
	var rounds, losses atomic.Int32
	stop := make(chan struct{})
	for range 10 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				ws, err := s.trySocket("/echo")
				if err != nil || ws.head.status != 101 {
					losses.Add(1)
					t.Errorf("no connection: %v, %v", ws, err)
					return
				}
				e := talk(ws)
				ws.Close()
				if e.err != nil || e.frame.String() != closeFrame(1012, "service restart").String() {
					losses.Add(1)
					t.Errorf("%v, %v", e.frame, e.err)
					return
				}
				rounds.Add(1)
			}
		}()
	}
	reloads := 1
	if os.Getenv("INDRIK_TEST_LONG") == "1" {
		reloads = 5
	}
	for range reloads {
		s.reload(2)
	}
	close(stop)
	s.signal(syscall.SIGHUP)
	wg.Wait()
	if n := rounds.Load(); n < 20 || losses.Load() > 0 {
		t.Errorf("%d connections were closed with 1012, %d otherwise", n, losses.Load())
	}
}

// TestSocketsTermToWorker: somebody ends a worker behind the master's back.
func TestSocketsTermToWorker(t *testing.T) {
	t.Parallel()
	s := start(t, sockets("--websocket-drain-window", "1", "--websocket-drain-max", "1"))
	old := s.workers(1)
	ws := s.socket("/echo")
	kill(t, old[0], syscall.SIGTERM)
	ws.expectClose(1012, "service restart")
	s.replaced(old, 1)
}

// TestSocketsFrontDies: connections end with their front; the apps hear of it.
func TestSocketsFrontDies(t *testing.T) {
	t.Parallel()
	s := start(t, sockets())
	ws := s.socket("/echo")
	kill(t, s.role("front")[0].pid, syscall.SIGKILL)
	if f, err := ws.readFrame(); err == nil {
		t.Errorf("%v", f)
	}
	s.ready()
	s.ended("/echo", 1006, "-")
	ws = s.socket("/echo")
	ws.sendFrame(fin|opText, "again")
	ws.expect(frame{fin | opText, []byte("again")})
}

// TestSocketsUpgrade: an upgrade closes them with 1012, and those who come back are
// with the new master.
func TestSocketsUpgrade(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "sockets:app", daemon: true, args: []string{"-k", "asgi", "--websocket-drain-window", "1"}})
	old := s.workers(1)
	ws := s.socket("/echo")
	u := s.upgrade(1)
	s.signal(syscall.SIGWINCH)
	ws.expectClose(1012, "service restart")
	waitGone(t, old[0])
	if pid := s.socket("/echo").head.get("X-Pid"); atoi(t, pid) == old[0] {
		t.Error("a new connection is with the old worker")
	}
	s.signal(syscall.SIGTERM)
	waitGone(t, s.master)
	s.master = u.successor
}

// TestSocketsStop: at the end of the server they get 1012 too, at once: nothing comes back
// that they would all come back to.
func TestSocketsStop(t *testing.T) {
	t.Parallel()
	s := start(t, sockets("--websocket-drain-window", "600", "--websocket-drain-max", "600", "--graceful-timeout", "30"))
	var all []*socket
	for range 10 {
		all = append(all, s.socket("/echo"))
	}
	began := time.Now()
	s.signal(syscall.SIGTERM)
	for _, ws := range all {
		go func() { ws.expectClose(1012, "service restart") }()
	}
	s.expectExit(0)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the server ended after %v", took)
	}
	if n := s.log.count("Worker graceful timeout"); n != 0 {
		t.Error("the workers had to be killed")
	}
}

// TestSocketsHoldNoPlace: an open connection holds no place of its worker, which others
// can have: what it waits for is its client.
func TestSocketsHoldNoPlace(t *testing.T) {
	t.Parallel()
	s := start(t, sockets("--worker-connections", "3"))
	var all []*socket
	for range 10 {
		all = append(all, s.socket("/echo"))
	}
	s.get("/sent")
	all[9].sendFrame(fin|opText, "hello")
	all[9].expect(frame{fin | opText, []byte("hello")})
	for _, ws := range all {
		ws.Close()
	}
	s.terminate()
}

// TestIdleSockets: a connection on which nothing happens costs the front hardly more
// than one of HTTP between two requests; no buffer is kept for it.
func TestIdleSockets(t *testing.T) {
	t.Parallel()
	s := start(t, sockets())
	front := s.role("front")[0].pid
	const n = 500
	measure := func(open func()) int {
		open() // the first ones make the pools
		before := residentKiB(front)
		for range n {
			open()
		}
		return (residentKiB(front) - before) * 1024 / n
	}
	for range n {
		s.socket("/echo").Close()
	}
	http := measure(func() { s.client().do(t, "GET", "/sent", "") })
	ws := measure(func() {
		ws := s.socket("/echo", "Sec-WebSocket-Extensions: permessage-deflate")
		ws.sendFrame(fin|opText, "hello")
		ws.expect(frame{fin | opText, []byte("hello")})
	})
	t.Logf("%d bytes for each, %d for one of HTTP", ws, http)
	limit := http * 13 / 10
	if raceWanted() {
		limit = 3 * http // what that keeps is another matter
	}
	if ws > limit {
		t.Errorf("%d bytes for each, %d for one of HTTP", ws, http)
	}
}

func atoi(t testing.TB, s string) (n int) {
	t.Helper()
	if _, err := fmt.Sscan(strings.TrimSpace(s), &n); err != nil {
		t.Fatalf("%q is no number", s)
	}
	return n
}
