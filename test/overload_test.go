//go:build linux

package test

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// occupied is a server with one worker that is busy until the gate is released.
func occupied(t *testing.T, o options) (*server, *gate, *pending) {
	t.Helper()
	s := start(t, o)
	g := s.gate("busy")
	p := s.begin("/busy")
	g.entered()
	return s, g, p
}

// waitingInKernel is how many requests wait in the kernel for a worker with one slot, so
// that it finds the next one when it is done: the queue does not count them.
const waitingInKernel = 1

func TestQueueLimit(t *testing.T) {
	t.Parallel()
	s, g, busy := occupied(t, options{app: "recording:app", args: []string{"--queue-limit", "4"}})
	var queued []*client
	for i := range 4 + waitingInKernel {
		c := s.client()
		c.send(t, format("GET", fmt.Sprint("/queued/", i), ""))
		queued = append(queued, c)
		s.settled(queued) // in this order
	}
	// Now each further one is refused at once, and its connection is none the worse.
	c := s.client()
	for range 3 {
		for _, body := range []string{"", "small", strings.Repeat("x", 100000)} {
			method := "GET"
			if body != "" {
				method = "POST"
			}
			r := c.do(t, method, "/refused", body)
			if r.status != 503 || r.get("Retry-After") == "" || r.closes() && len(body) < 1000 {
				t.Errorf("a request beyond the limit: %v", r)
			}
			if seconds, err := strconv.Atoi(r.get("Retry-After")); err != nil || seconds < 1 {
				t.Errorf("Retry-After: %q", r.get("Retry-After"))
			}
			if r.closes() {
				c = s.client()
			}
		}
	}
	m := s.log.expect(t, `\[WARNING\] Overload: (\d+) requests answered 503 in 1s \(queue full: (\d+), waited too long: 0\); up to 4 were waiting`)
	if m[1] != m[2] {
		t.Errorf("%s", m[0])
	}
	g.release()
	busy.expect(200)
	for i, c := range queued {
		if r := c.receive(t, "GET"); r.status != 200 || r.closes() {
			t.Errorf("request %d in the queue: %v", i, r)
		}
	}
	if r := c.do(t, "GET", "/after", ""); r.status != 200 {
		t.Errorf("after the overload: %v", r)
	}
	s.terminate()
	var ran []string
	for _, m := range s.log.all(`ran (/\S+)`) {
		ran = append(ran, m[1])
	}
	want := "[/busy /queued/0 /queued/1 /queued/2 /queued/3 /queued/4 /after]"
	if got := fmt.Sprint(ran); got != want {
		t.Errorf("what was run: %s, want %s", got, want)
	}
}

// restingFiles is openFiles once it does not change any more: connections of
// before may still be closing.
func restingFiles(pid int) int {
	last := -1
	within(patience, func() bool {
		now := openFiles(pid)
		same := now == last
		last = now
		if !same {
			time.Sleep(50 * time.Millisecond)
		}
		return same
	})
	return last
}

// fillQueue sends requests to an occupied server, one after the other, so many that
// waiting of them wait in its queue, beside those in the kernel.
func (s *server) fillQueue(waiting int) {
	s.t.Helper()
	var queued []*client
	for range waiting + waitingInKernel {
		c := s.client()
		c.send(s.t, format("GET", "/", ""))
		queued = append(queued, c)
		s.settled(queued)
	}
}

// settled waits until the server has read what clients have sent.
func (s *server) settled(clients []*client) {
	s.t.Helper()
	eventually(s.t, "the server has read the requests", func() bool {
		unread := unreadOnTCP(s.t)
		for _, c := range clients {
			if n, accepted := unread[socketPair(c.RemoteAddr(), c.LocalAddr())]; !accepted || n {
				return false
			}
		}
		return true
	})
}

// unreadOnTCP tells of each TCP connection of this machine, by its ends as
// proc(5) writes them, whether its receive queue holds anything.
func unreadOnTCP(t testing.TB) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("/proc/net/tcp")
	must(t, err)
	unread := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 4 {
			_, received, _ := strings.Cut(f[4], ":")
			unread[f[1]+" "+f[2]] = strings.Trim(received, "0") != ""
		}
	}
	return unread
}

func socketPair(local, remote net.Addr) string {
	end := func(a net.Addr) string {
		p := a.(*net.TCPAddr)
		ip := p.IP.To4()
		return fmt.Sprintf("%02X%02X%02X%02X:%04X", ip[3], ip[2], ip[1], ip[0], p.Port)
	}
	return end(local) + " " + end(remote)
}

func TestQueueLimitOfZeroIsNone(t *testing.T) {
	t.Parallel()
	s, g, busy := occupied(t, options{app: "gated:app", args: []string{"--queue-limit", "0", "--queue-timeout", "0"}})
	queued := s.crowd(200, format("GET", "/", ""))
	s.settled(queued)
	g.release()
	busy.expect(200)
	for _, c := range queued {
		if r := c.receive(t, "GET"); r.status != 200 {
			t.Fatalf("%v", r)
		}
	}
	s.terminate()
}

func TestQueueTimeout(t *testing.T) {
	t.Parallel()
	for _, way := range []string{webH1, webTLS, webH2} {
		t.Run(way, func(t *testing.T) {
			o := options{app: "recording:app", args: []string{"--queue-timeout", "1"}}
			switch way {
			case webTLS:
				o = withTLS(t, o)
			case webH2:
				o = withHTTP2(t, way, o)
			}
			s, g, busy := occupied(t, o)
			w := s.web(way)
			began := time.Now()
			var queued []<-chan webResult
			for range 4 { // in the kernel and in the front
				queued = append(queued, w.begin(t.Context(), "/late"))
			}
			for _, c := range queued {
				if p := w.expect(c, 503); p.Header.Get("Retry-After") == "" {
					t.Errorf("%v", p)
				}
			}
			if took := time.Since(began); took < 900*time.Millisecond || took > 10*time.Second {
				t.Errorf("the requests waited for %v, want 1 s", took)
			}
			s.log.expect(t, `\[WARNING\] Overload: \d+ requests answered 503 in 1s \(queue full: 0, waited too long: \d+\)`)
			g.release()
			busy.expect(200) // what is being run has no such limit
			if p := w.do("GET", "/after", ""); p.StatusCode != 200 {
				t.Errorf("%v", p)
			}
			s.terminate()
			if n := s.log.count("ran /late"); n > 0 {
				t.Errorf("%d requests were run after their 503", n)
			}
		})
	}
}

func TestOverloadIsLoggedOnceASecond(t *testing.T) {
	t.Parallel()
	s, g, busy := occupied(t, options{app: "gated:app", args: []string{"--queue-limit", "1"}})
	s.fillQueue(1)
	began := time.Now()
	c := s.client()
	refused := 0
	for time.Since(began) < 2500*time.Millisecond {
		if r := c.do(t, "GET", "/", ""); r.status != 503 {
			t.Fatalf("%v", r)
		}
		refused++
	}
	const line = `\[WARNING\] Overload: (\d+) requests answered 503`
	told := func() (sum int) {
		for _, m := range s.log.all(line) {
			n, _ := strconv.Atoi(m[1])
			sum += n
		}
		return sum
	}
	eventually(t, "the log has told of all of them", func() bool { return told() >= refused })
	if told() != refused {
		t.Errorf("the log tells of %d, but %d were refused", told(), refused)
	}
	if n, most := s.log.count(line), int(time.Since(began)/time.Second)+1; n > most {
		t.Errorf("%d lines in %v", n, time.Since(began))
	}
	g.release()
	busy.expect(200)
	s.terminate()
}

func TestQueueWithoutWorkers(t *testing.T) {
	t.Parallel()
	// No worker is ready: the requests wait within the same bounds.
	app := "import os, signal\nif os.path.exists('poison'):\n    os.kill(os.getpid(), signal.SIGKILL)\n" + versioned("1")
	s := start(t, options{
		app: "webapp:app", files: map[string]string{"webapp.py": app}, args: []string{"--queue-limit", "2", "--queue-timeout", "3"},
	})
	s.write("poison", "")
	kill(t, s.workers(1)[0], syscall.SIGKILL)
	s.log.expect(t, `was sent SIGKILL!`)
	s.log.expect(t, `was sent SIGKILL!`)
	began := time.Now()
	var queued []*client
	for range 2 {
		c := s.client()
		c.send(t, format("GET", "/version", ""))
		queued = append(queued, c)
		s.settled(queued)
	}
	if r := s.client().do(t, "GET", "/", ""); r.status != 503 || time.Since(began) > 2*time.Second {
		t.Errorf("one too many: %v, after %v", r, time.Since(began))
	}
	if r := queued[0].receive(t, "GET"); r.status != 503 || time.Since(began) < 2500*time.Millisecond {
		t.Errorf("too long: %v, after %v", r, time.Since(began))
	}
	if r := queued[1].receive(t, "GET"); r.status != 503 {
		t.Errorf("too long: %v", r)
	}
	must(t, os.Remove(s.path("poison")))
	eventually(t, "the workers are back", func() bool {
		r, err := s.request("GET", "/version", "")
		return err == nil && r.status == 200 && r.body == "1"
	})
	// Who came after the others had gone waits until a worker is there.
	if r := queued[0].do(t, "GET", "/version", ""); r.status != 200 {
		t.Errorf("%v", r)
	}
	s.terminate()
}

func TestClientsThatLeaveTheQueue(t *testing.T) {
	t.Parallel()
	// The request of a client that has gone is never run: neither one that waits
	// in the front nor one that waits in the kernel for the next slot to be free.
	left := func(t *testing.T, s *server, leave func(*client)) {
		t.Helper()
		if s.port != 0 {
			eventually(t, "the connections of the start are gone", func() bool { return !connected(s.port) })
		}
		g := s.gate("busy")
		busy := s.begin("/busy")
		g.entered()
		front := s.role("front")[0].pid
		before := restingFiles(front)
		var leavers []*client
		for i := range 4 {
			c, err := s.connect()
			must(t, err)
			c.send(t, format("GET", fmt.Sprint("/left/", i), ""))
			leavers = append(leavers, c)
		}
		stays := s.client()
		stays.send(t, format("GET", "/stays", ""))
		eventually(t, "the connections are accepted", func() bool { return openFiles(front) == before+5 })
		if s.port != 0 && s.o.tls == nil {
			s.settled(append(leavers, stays))
		}
		for _, c := range leavers {
			leave(c)
		}
		eventually(t, "the front has seen the clients leave", func() bool { return openFiles(front) == before+1 })
		g.release()
		busy.expect(200)
		if r := stays.receive(t, "GET"); r.status != 200 {
			t.Errorf("who has not left: %v", r)
		}
		s.get("/last")
		s.terminate()
		for _, m := range s.log.all(`ran (/left\S*)`) {
			t.Errorf("%s was run", m[1])
		}
	}
	reset := func(c *client) {
		nc := c.Conn
		if tc, ok := nc.(*tls.Conn); ok {
			nc = tc.NetConn()
		}
		nc.(*net.TCPConn).SetLinger(0)
		nc.Close()
	}
	t.Run("reset", func(t *testing.T) { left(t, start(t, options{app: "recording:app"}), reset) })
	t.Run("reset, TLS", func(t *testing.T) { left(t, start(t, withTLS(t, options{app: "recording:app"})), reset) })
	// A plain close looks like the end of a half-closed client's request, until
	// something is sent to it.
	t.Run("close", func(t *testing.T) {
		left(t, start(t, options{app: "recording:app"}), func(c *client) { c.Close() })
	})
	t.Run("close, TLS", func(t *testing.T) {
		left(t, start(t, withTLS(t, options{app: "recording:app"})), func(c *client) { c.Close() })
	})
	t.Run("close, unix socket", func(t *testing.T) {
		left(t, start(t, options{app: "recording:app", bind: []string{"unix:DIR/web.sock"}}), func(c *client) { c.Close() })
	})
}

func TestHalfClosedClientsStayInTheQueue(t *testing.T) {
	t.Parallel()
	for _, bind := range []string{"", "unix:DIR/web.sock"} {
		o := options{app: "recording:app"}
		if bind != "" {
			o.bind = []string{bind}
		}
		s, g, busy := occupied(t, o)
		var halves []*client
		for i := range 3 {
			c := s.client()
			c.send(t, format("GET", fmt.Sprint("/half/", i), ""))
			must(t, c.Conn.(interface{ CloseWrite() error }).CloseWrite())
			halves = append(halves, c)
		}
		time.Sleep(1500 * time.Millisecond) // longer than anything that looks after them
		g.release()
		busy.expect(200)
		for i, c := range halves {
			if r := c.receive(t, "GET"); r.status != 200 {
				t.Errorf("half-closed client %d: %v", i, r)
			}
			c.expectEOF(t)
		}
		s.terminate()
	}
}
