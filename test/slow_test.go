//go:build linux

package test

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"indrik/test/harness"
)

// between checks how long something took, with room for a busy machine.
func between(t testing.TB, what string, took, least, most time.Duration) {
	t.Helper()
	if took < least || took > most {
		t.Errorf("%s after %v, want %v to %v", what, took.Round(time.Millisecond), least, most)
	}
}

// trickle sends text in pieces, one after each pause, until all is sent or the
// server has ended the connection, and tells which.
func trickle(c *harness.Client, text string, size int, pause time.Duration) (whole bool) {
	c.SetDeadline(time.Now().Add(2 * time.Minute))
	for len(text) > 0 {
		n := min(size, len(text))
		if _, err := c.Write([]byte(text[:n])); err != nil {
			return false
		}
		if text = text[n:]; text == "" {
			return true // what comes now is the answer to the whole
		}
		if harness.ClosedByPeer(c) || answered(c) {
			return false
		}
		time.Sleep(pause)
	}
	return true
}

// answered says whether something waits to be read.
func answered(c *harness.Client) bool {
	c.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := c.Reader.Peek(1)
	c.SetReadDeadline(time.Now().Add(2 * time.Minute))
	return err == nil
}

func TestSlowHead(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "echo:app", Args: []string{"--header-timeout", "3", "--keep-alive", "100"}})
	head := "GET / HTTP/1.1\r\nHost: test\r\nX-Long: " + strings.Repeat("x", 1000) + "\r\n\r\n"
	var wg sync.WaitGroup
	for name, begin := range map[string]func(*harness.Client){
		"the first request":  func(*harness.Client) {},
		"a kept connection":  func(c *harness.Client) { c.Do(t, "GET", "/", "") },
		"after another head": func(c *harness.Client) { c.Send(t, harness.FormatRequest("GET", "/", "")+"G"); c.Receive(t, "GET") },
	} {
		began := time.Now()
		c := s.Client()
		wg.Go(func() {
			begin(c)
			if trickle(c, head, 1, 50*time.Millisecond) {
				t.Errorf("%s: a head of a byte in 50 ms was taken to its end", name)
				return
			}
			between(t, name+": a slow head is ended", time.Since(began), 2500*time.Millisecond, 40*time.Second)
			expectEnd(t, c, 408)
		})
	}
	// Silence before the first request; silence within a head.
	for _, text := range []string{"", "GET / HT", "GET / HTTP/1.1\r\nHost: test\r\n"} {
		began := time.Now()
		c := s.Client()
		wg.Go(func() {
			c.Send(t, text)
			expectEnd(t, c, 408)
			between(t, fmt.Sprintf("%q and silence is ended", text), time.Since(began), 2500*time.Millisecond, 25*time.Second)
		})
	}
	// An idle connection has the time of keepalive.
	c := s.Client()
	c.Do(t, "GET", "/", "")
	wg.Wait()
	harness.Must(t, c.SetDeadline(time.Now().Add(harness.Patience)))
	if r := c.Do(t, "GET", "/", ""); r.Status != 200 {
		t.Errorf("a connection idle beyond header_timeout: %v", r)
	}
	// A head in time, though piece by piece, is taken.
	c = s.Client()
	if !trickle(c, harness.FormatRequest("GET", "/", ""), 4, 10*time.Millisecond) {
		t.Error("a head within the time was not taken")
	}
	if r := c.Receive(t, "GET"); r.Status != 200 {
		t.Errorf("%v", r)
	}
	s.Terminate()
}

func TestSlowBody(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	s := harness.Start(t, harness.Options{App: "digest:app", Args: []string{"--body-min-rate", "1000"}})
	chunk := "5\r\nabcde\r\n"
	var wg sync.WaitGroup
	for name, slow := range map[string]struct {
		text  string // after the head
		field string
		size  int // of each piece
	}{
		"trickles":           {strings.Repeat("b", 1<<20), "Content-Length: 1048576", 50},
		"stalls":             {strings.Repeat("b", 100), "Content-Length: 1048576", 100},
		"stalls at once":     {"", "Content-Length: 1048576", 1},
		"trickles in chunks": {strings.Repeat(chunk, 1<<16), "Transfer-Encoding: chunked", 50},
	} {
		c := s.Client()
		wg.Go(func() {
			began := time.Now()
			c.Send(t, "POST /read HTTP/1.1\r\nHost: test\r\n"+slow.field+"\r\n\r\n")
			trickle(c, slow.text, slow.size, 100*time.Millisecond)
			c.SetDeadline(time.Now().Add(time.Minute))
			r, err := harness.ReadResponse(c.Reader, "POST")
			if err != nil || r.Status != 408 || !r.Closes() {
				t.Errorf("a body that %s: %v, %v", name, r, err)
			}
			between(t, "a body that "+name+" is ended", time.Since(began), 18*time.Second, time.Minute)
		})
	}
	// One that is slow, but not too slow, is taken: 6 000 bytes a second.
	c := s.Client()
	wg.Go(func() {
		body := strings.Repeat("b", 150000)
		c.Send(t, fmt.Sprintf("POST /read HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n", len(body)))
		if !trickle(c, body, 600, 100*time.Millisecond) {
			t.Error("a body above the rate was not taken")
		}
		if r := c.Receive(t, "POST"); r.Status != 200 || !strings.HasPrefix(r.Body, "150000 ") {
			t.Errorf("a body above the rate: %v", r)
		}
	})
	// Meanwhile the one worker is free.
	for range 10 {
		began := time.Now()
		s.Get("/read")
		between(t, "another client is answered", time.Since(began), 0, 15*time.Second)
		time.Sleep(time.Second)
	}
	wg.Wait()
	s.Terminate()
}

func TestBodyTimeout(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "digest:app", Args: []string{"--body-timeout", "4"}})
	for _, fields := range []string{"Content-Length: 10000000", "Content-Length: 10000000\r\nExpect: 100-continue"} {
		c := s.Client()
		began := time.Now()
		c.Send(t, "POST /read HTTP/1.1\r\nHost: test\r\n"+fields+"\r\n\r\n")
		if strings.Contains(fields, "Expect") {
			c.ExpectHead(t, 100)
		}
		if trickle(c, strings.Repeat("b", 10000000), 10000, 50*time.Millisecond) {
			t.Error("a body of 50 s was taken")
		}
		if r := c.Receive(t, "POST"); r.Status != 408 || !r.Closes() {
			t.Errorf("%q: %v", fields, r)
		}
		between(t, "a long body is ended", time.Since(began), 3500*time.Millisecond, 40*time.Second)
	}
	if r, err := s.Request("POST", "/read", strings.Repeat("b", 1<<20)); err != nil || r.Status != 200 {
		t.Errorf("a fast body: %v, %v", r, err)
	}
	s.Terminate()
}

// narrowClient is a connection whose kernel holds little that was not read.
func narrowClient(s *harness.Server, t testing.TB) *harness.Client {
	t.Helper()
	c := s.Client()
	harness.Must(t, c.Conn.(*net.TCPConn).SetReadBuffer(64<<10))
	c.SetDeadline(time.Now().Add(2 * time.Minute))
	return c
}

func TestClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	const size = 30 << 20
	for _, target := range []string{fmt.Sprintf("/%d", size), fmt.Sprintf("/%d?pieces", size)} {
		t.Run(target, func(t *testing.T) {
			s := harness.Start(t, harness.Options{App: "large:app", Args: []string{"--write-timeout", "8"}})
			front := s.Role("front")[0].PID
			s.Get("/16")
			var files int
			harness.Eventually(t, "no connection is open", func() bool {
				files = harness.OpenFiles(front)
				return !connected(s.Port)
			})

			began := time.Now()
			c := narrowClient(s, t)
			c.Send(t, harness.FormatRequest("GET", target, ""))
			if !harness.Within(harness.Patience, func() bool { return answered(c) }) {
				t.Fatal("the response does not begin")
			}
			// The one worker is free long before the client has taken anything.
			s.Get("/16")
			between(t, "the worker is free", time.Since(began), 0, 7500*time.Millisecond)
			harness.Eventually(t, "the connection is ended", func() bool { return !connected(s.Port) })
			between(t, "a client that does not read is ended", time.Since(began), 7500*time.Millisecond, 35*time.Second)
			harness.Eventually(t, "its file is closed", func() bool { return harness.OpenFiles(front) <= files })
			if r, err := harness.ReadResponse(c.Reader, "GET"); err == nil || r == nil || len(r.Body) >= size {
				t.Errorf("%v, %v, want a part of the response", r, err)
			}
			s.Terminate()
		})
	}
}

// connected says whether a server's side of any TCP connection on a port is open.
func connected(port int) bool {
	for _, state := range connections(port) {
		if state == "01" || state == "08" { // ESTABLISHED, CLOSE_WAIT
			return true
		}
	}
	return false
}

func TestClientThatReadsSlowly(t *testing.T) {
	t.Parallel()
	const size = 8 << 20
	s := harness.Start(t, harness.Options{App: "large:app", Args: []string{"--write-timeout", "3"}})
	c := narrowClient(s, t)
	c.Send(t, harness.FormatRequest("GET", fmt.Sprintf("/%d", size), ""))
	began, got := time.Now(), 0
	buf := make([]byte, 128<<10)
	for got < size {
		n, err := c.Reader.Read(buf)
		if err != nil {
			t.Fatalf("after %d bytes and %v: %v", got, time.Since(began), err)
		}
		got += n
		if time.Since(began) < 8*time.Second { // then as fast as it can
			time.Sleep(100 * time.Millisecond)
		}
	}
	between(t, "the slow reader has it all", time.Since(began), 3*time.Second, 60*time.Second)
	s.Terminate()
}
