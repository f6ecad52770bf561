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

	"indrik/test/harness"
)

// occupied is a server with one worker that is busy until the gate is released.
func occupied(t *testing.T, o harness.Options) (*harness.Server, *harness.Gate, *harness.Pending) {
	t.Helper()
	s := harness.Start(t, o)
	g := s.Gate("busy")
	p := s.Begin("/busy")
	g.Entered()
	return s, g, p
}

// waitingInKernel is how many requests wait in the kernel for a worker with one slot, so
// that it finds the next one when it is done: the queue does not count them.
const waitingInKernel = 1

func TestQueueLimit(t *testing.T) {
	t.Parallel()
	s, g, busy := occupied(t, harness.Options{App: "recording:app", Args: []string{"--queue-limit", "4"}})
	var queued []*harness.Client
	for i := range 4 + waitingInKernel {
		c := s.Client()
		c.Send(t, harness.FormatRequest("GET", fmt.Sprint("/queued/", i), ""))
		queued = append(queued, c)
		settled(s, queued) // in this order
	}
	// Now each further one is refused at once, and its connection is none the worse.
	c := s.Client()
	for range 3 {
		for _, body := range []string{"", "small", strings.Repeat("x", 100000)} {
			method := "GET"
			if body != "" {
				method = "POST"
			}
			r := c.Do(t, method, "/refused", body)
			if r.Status != 503 || r.Get("Retry-After") == "" || r.Closes() && len(body) < 1000 {
				t.Errorf("a request beyond the limit: %v", r)
			}
			if seconds, err := strconv.Atoi(r.Get("Retry-After")); err != nil || seconds < 1 {
				t.Errorf("Retry-After: %q", r.Get("Retry-After"))
			}
			if r.Closes() {
				c = s.Client()
			}
		}
	}
	m := s.Log.Expect(t, `\[WARNING\] Overload: (\d+) requests answered 503 in 1s \(queue full: (\d+), waited too long: 0\); up to 4 were waiting`)
	if m[1] != m[2] {
		t.Errorf("%s", m[0])
	}
	g.Release()
	busy.Expect(200)
	for i, c := range queued {
		if r := c.Receive(t, "GET"); r.Status != 200 || r.Closes() {
			t.Errorf("request %d in the queue: %v", i, r)
		}
	}
	if r := c.Do(t, "GET", "/after", ""); r.Status != 200 {
		t.Errorf("after the overload: %v", r)
	}
	s.Terminate()
	var ran []string
	for _, m := range s.Log.All(`ran (/\S+)`) {
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
	harness.Within(harness.Patience, func() bool {
		now := harness.OpenFiles(pid)
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
func fillQueue(s *harness.Server, waiting int) {
	s.T.Helper()
	var queued []*harness.Client
	for range waiting + waitingInKernel {
		c := s.Client()
		c.Send(s.T, harness.FormatRequest("GET", "/", ""))
		queued = append(queued, c)
		settled(s, queued)
	}
}

// settled waits until the server has read what clients have sent, and put it where it belongs.
func settled(s *harness.Server, clients []*harness.Client) {
	s.T.Helper()
	front := s.Role("front")[0].PID
	harness.Eventually(s.T, "the server has read the requests", func() bool {
		unread := unreadOnTCP(s.T)
		for _, c := range clients {
			if n, accepted := unread[socketPair(c.RemoteAddr(), c.LocalAddr())]; !accepted || n {
				return false
			}
		}
		return harness.Rests(front)
	})
}

// unreadOnTCP tells of each TCP connection of this machine, by its ends as
// proc(5) writes them, whether its receive queue holds anything.
func unreadOnTCP(t testing.TB) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("/proc/net/tcp")
	harness.Must(t, err)
	unread := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 4 {
			_, received, _ := strings.Cut(f[4], ":")
			unread[f[1]+" "+f[2]] = strings.Trim(received, "0") != ""
		}
	}
	return unread
}

// connectedOnUnix reports whether a server's side of any connection to a unix socket is open.
func connectedOnUnix(t testing.TB, path string) bool {
	t.Helper()
	text, err := os.ReadFile("/proc/net/unix")
	harness.Must(t, err)
	for line := range strings.Lines(string(text)) {
		const accepting = "00010000" // of a socket that listens, in the field of flags
		if f := strings.Fields(line); len(f) == 8 && f[7] == path && f[3] != accepting {
			return true
		}
	}
	return false
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
	s, g, busy := occupied(t, harness.Options{App: "gated:app", Args: []string{"--queue-limit", "0", "--queue-timeout", "0"}})
	queued := s.Crowd(200, harness.FormatRequest("GET", "/", ""))
	settled(s, queued)
	g.Release()
	busy.Expect(200)
	for _, c := range queued {
		if r := c.Receive(t, "GET"); r.Status != 200 {
			t.Fatalf("%v", r)
		}
	}
	s.Terminate()
}

func TestQueueTimeout(t *testing.T) {
	t.Parallel()
	for _, way := range []string{harness.WebH1, harness.WebTLS, harness.WebH2} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			o := harness.Options{App: "recording:app", Args: []string{"--queue-timeout", "3"}} // no time in which an idle worker takes a request
			switch way {
			case harness.WebTLS:
				o = harness.WithTLS(t, o)
			case harness.WebH2:
				o = harness.WithHTTP2(t, way, o)
			}
			s, g, busy := occupied(t, o)
			w := s.Web(way)
			began := time.Now()
			var queued []<-chan harness.WebResult
			for range 4 { // in the kernel and in the front
				queued = append(queued, w.Begin(t.Context(), "/late"))
			}
			for _, c := range queued {
				if p := w.Expect(c, 503); p.Header.Get("Retry-After") == "" {
					t.Errorf("%v", p)
				}
			}
			if took := time.Since(began); took < 2900*time.Millisecond || took > 20*time.Second {
				t.Errorf("the requests waited for %v, want 3 s", took)
			}
			s.Log.Expect(t, `\[WARNING\] Overload: \d+ requests answered 503 in 1s \(queue full: 0, waited too long: \d+\)`)
			g.Release()
			busy.Expect(200) // what is being run has no such limit
			if p := w.Fetch("GET", "/after", ""); p.StatusCode != 200 {
				t.Errorf("%v", p)
			}
			s.Terminate()
			if n := s.Log.Count("ran /late"); n > 0 {
				t.Errorf("%d requests were run after their 503", n)
			}
		})
	}
}

func TestOverloadIsLoggedOnceASecond(t *testing.T) {
	t.Parallel()
	s, g, busy := occupied(t, harness.Options{App: "gated:app", Args: []string{"--queue-limit", "1"}})
	fillQueue(s, 1)
	began := time.Now()
	c := s.Client()
	refused := 0
	for time.Since(began) < 2500*time.Millisecond {
		if r := c.Do(t, "GET", "/", ""); r.Status != 503 {
			t.Fatalf("%v", r)
		}
		refused++
	}
	const line = `\[WARNING\] Overload: (\d+) requests answered 503`
	told := func() (sum int) {
		for _, m := range s.Log.All(line) {
			n, _ := strconv.Atoi(m[1])
			sum += n
		}
		return sum
	}
	harness.Eventually(t, "the log has told of all of them", func() bool { return told() >= refused })
	if told() != refused {
		t.Errorf("the log tells of %d, but %d were refused", told(), refused)
	}
	if n, most := s.Log.Count(line), int(time.Since(began)/time.Second)+1; n > most {
		t.Errorf("%d lines in %v", n, time.Since(began))
	}
	g.Release()
	busy.Expect(200)
	s.Terminate()
}

func TestQueueWithoutWorkers(t *testing.T) {
	t.Parallel()
	// No worker is ready: the requests wait within the same bounds.
	app := "import os, signal\nif os.path.exists('poison'):\n    os.kill(os.getpid(), signal.SIGKILL)\n" + versioned("1")
	s := harness.Start(t, harness.Options{
		App: "webapp:app", Files: map[string]string{"webapp.py": app}, Args: []string{"--queue-limit", "2", "--queue-timeout", "6"},
	})
	s.WriteFile("poison", "")
	harness.Kill(t, s.Workers(1)[0], syscall.SIGKILL)
	s.Log.Expect(t, `was sent SIGKILL!`)
	s.Log.Expect(t, `was sent SIGKILL!`)
	began := time.Now()
	var queued []*harness.Client
	for range 2 {
		c := s.Client()
		c.Send(t, harness.FormatRequest("GET", "/version", ""))
		queued = append(queued, c)
		settled(s, queued)
	}
	full := time.Now()
	if r := s.Client().Do(t, "GET", "/", ""); r.Status != 503 || time.Since(full) > 5*time.Second {
		t.Errorf("one too many: %v, after %v", r, time.Since(full))
	}
	if r := queued[0].Receive(t, "GET"); r.Status != 503 || time.Since(began) < 5500*time.Millisecond {
		t.Errorf("too long: %v, after %v", r, time.Since(began))
	}
	if r := queued[1].Receive(t, "GET"); r.Status != 503 {
		t.Errorf("too long: %v", r)
	}
	harness.Must(t, os.Remove(s.Path("poison")))
	harness.Eventually(t, "the workers are back", func() bool {
		r, err := s.Request("GET", "/version", "")
		return err == nil && r.Status == 200 && r.Body == "1"
	})
	// Who came after the others had gone waits until a worker is there.
	harness.Must(t, queued[0].SetDeadline(time.Now().Add(harness.Patience)))
	if r := queued[0].Do(t, "GET", "/version", ""); r.Status != 200 {
		t.Errorf("%v", r)
	}
	s.Terminate()
}

func TestClientsThatLeaveTheQueue(t *testing.T) {
	t.Parallel()
	// The request of a client that has gone is never run: neither one that waits
	// in the front nor one that waits in the kernel for the next slot to be free.
	left := func(t *testing.T, s *harness.Server, leave func(*harness.Client)) {
		t.Helper()
		harness.Eventually(t, "the connections of the start are gone", func() bool {
			if s.Port == 0 {
				return !connectedOnUnix(t, s.Address)
			}
			return !connected(s.Port)
		})
		g := s.Gate("busy")
		busy := s.Begin("/busy")
		g.Entered()
		front := s.Role("front")[0].PID
		before := restingFiles(front)
		var leavers []*harness.Client
		for i := range 4 {
			c, err := s.Connect()
			harness.Must(t, err)
			c.Send(t, harness.FormatRequest("GET", fmt.Sprint("/left/", i), ""))
			leavers = append(leavers, c)
		}
		stays := s.Client()
		stays.Send(t, harness.FormatRequest("GET", "/stays", ""))
		harness.Eventually(t, "the connections are accepted", func() bool { return harness.OpenFiles(front) == before+5 })
		if s.Port != 0 && s.TLS == nil {
			settled(s, append(leavers, stays))
		}
		for _, c := range leavers {
			leave(c)
		}
		harness.Eventually(t, "the front has seen the clients leave", func() bool { return harness.OpenFiles(front) == before+1 })
		g.Release()
		busy.Expect(200)
		if r := stays.Receive(t, "GET"); r.Status != 200 {
			t.Errorf("who has not left: %v", r)
		}
		s.Get("/last")
		s.Terminate()
		for _, m := range s.Log.All(`ran (/left\S*)`) {
			t.Errorf("%s was run", m[1])
		}
	}
	reset := func(c *harness.Client) {
		nc := c.Conn
		if tc, ok := nc.(*tls.Conn); ok {
			nc = tc.NetConn()
		}
		nc.(*net.TCPConn).SetLinger(0)
		nc.Close()
	}
	t.Run("reset", func(t *testing.T) { left(t, harness.Start(t, harness.Options{App: "recording:app"}), reset) })
	t.Run("reset, TLS", func(t *testing.T) {
		left(t, harness.Start(t, harness.WithTLS(t, harness.Options{App: "recording:app"})), reset)
	})
	// A plain close looks like the end of a half-closed client's request, until
	// something is sent to it.
	t.Run("close", func(t *testing.T) {
		left(t, harness.Start(t, harness.Options{App: "recording:app"}), func(c *harness.Client) { c.Close() })
	})
	t.Run("close, TLS", func(t *testing.T) {
		left(t, harness.Start(t, harness.WithTLS(t, harness.Options{App: "recording:app"})), func(c *harness.Client) { c.Close() })
	})
	t.Run("close, unix socket", func(t *testing.T) {
		left(t, harness.Start(t, harness.Options{App: "recording:app", Bind: []string{"unix:DIR/web.sock"}}), func(c *harness.Client) { c.Close() })
	})
}

func TestHalfClosedClientsStayInTheQueue(t *testing.T) {
	t.Parallel()
	for _, bind := range []string{"", "unix:DIR/web.sock"} {
		o := harness.Options{App: "recording:app"}
		if bind != "" {
			o.Bind = []string{bind}
		}
		s, g, busy := occupied(t, o)
		var halves []*harness.Client
		for i := range 3 {
			c := s.Client()
			c.Send(t, harness.FormatRequest("GET", fmt.Sprint("/half/", i), ""))
			harness.Must(t, c.Conn.(interface{ CloseWrite() error }).CloseWrite())
			halves = append(halves, c)
		}
		time.Sleep(1500 * time.Millisecond) // longer than anything that looks after them
		g.Release()
		busy.Expect(200)
		for i, c := range halves {
			if r := c.Receive(t, "GET"); r.Status != 200 {
				t.Errorf("half-closed client %d: %v", i, r)
			}
			c.ExpectEOF(t)
		}
		s.Terminate()
	}
}
