//go:build linux

package test

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
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
func trickle(c *client, text string, size int, pause time.Duration) (whole bool) {
	c.SetDeadline(time.Now().Add(2 * time.Minute))
	for len(text) > 0 {
		n := min(size, len(text))
		if _, err := c.Write([]byte(text[:n])); err != nil {
			return false
		}
		if text = text[n:]; text == "" {
			return true // what comes now is the answer to the whole
		}
		if closedByPeer(c) || answered(c) {
			return false
		}
		time.Sleep(pause)
	}
	return true
}

// answered says whether something waits to be read.
func answered(c *client) bool {
	c.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := c.r.Peek(1)
	c.SetReadDeadline(time.Now().Add(2 * time.Minute))
	return err == nil
}

func TestSlowHead(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "echo:app", args: []string{"--header-timeout", "2", "--keep-alive", "60"}})
	head := "GET / HTTP/1.1\r\nHost: test\r\nX-Long: " + strings.Repeat("x", 1000) + "\r\n\r\n"
	var wg sync.WaitGroup
	for name, begin := range map[string]func(*client){
		"the first request":  func(*client) {},
		"a kept connection":  func(c *client) { c.do(t, "GET", "/", "") },
		"after another head": func(c *client) { c.send(t, format("GET", "/", "")+"G"); c.receive(t, "GET") },
	} {
		c := s.client()
		wg.Go(func() {
			begin(c)
			began := time.Now()
			if trickle(c, head, 1, 50*time.Millisecond) {
				t.Errorf("%s: a head of a byte in 50 ms was taken to its end", name)
				return
			}
			between(t, name+": a slow head is ended", time.Since(began), 1500*time.Millisecond, 10*time.Second)
			expectEnd(t, c, 408)
		})
	}
	// Silence before the first request; silence within a head.
	for _, text := range []string{"", "GET / HT", "GET / HTTP/1.1\r\nHost: test\r\n"} {
		c := s.client()
		wg.Go(func() {
			began := time.Now()
			c.send(t, text)
			expectEnd(t, c, 408)
			between(t, fmt.Sprintf("%q and silence is ended", text), time.Since(began), 1500*time.Millisecond, 10*time.Second)
		})
	}
	// An idle connection has the time of keepalive.
	c := s.client()
	c.do(t, "GET", "/", "")
	wg.Wait()
	if r := c.do(t, "GET", "/", ""); r.status != 200 {
		t.Errorf("a connection idle beyond header_timeout: %v", r)
	}
	// A head in time, though byte by byte, is taken.
	c = s.client()
	if !trickle(c, format("GET", "/", ""), 1, 10*time.Millisecond) {
		t.Error("a head within the time was not taken")
	}
	if r := c.receive(t, "GET"); r.status != 200 {
		t.Errorf("%v", r)
	}
	s.terminate()
}

func TestSlowBody(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	s := start(t, options{app: "digest:app", args: []string{"--body-min-rate", "1000"}})
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
		c := s.client()
		wg.Go(func() {
			began := time.Now()
			c.send(t, "POST /read HTTP/1.1\r\nHost: test\r\n"+slow.field+"\r\n\r\n")
			trickle(c, slow.text, slow.size, 100*time.Millisecond)
			c.SetDeadline(time.Now().Add(time.Minute))
			r, err := readResponse(c.r, "POST")
			if err != nil || r.status != 408 || !r.closes() {
				t.Errorf("a body that %s: %v, %v", name, r, err)
			}
			between(t, "a body that "+name+" is ended", time.Since(began), 18*time.Second, 45*time.Second)
		})
	}
	// One that is slow, but not too slow, is taken: 3 000 bytes a second.
	c := s.client()
	wg.Go(func() {
		body := strings.Repeat("b", 75000)
		c.send(t, fmt.Sprintf("POST /read HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n", len(body)))
		if !trickle(c, body, 300, 100*time.Millisecond) {
			t.Error("a body above the rate was not taken")
		}
		if r := c.receive(t, "POST"); r.status != 200 || !strings.HasPrefix(r.body, "75000 ") {
			t.Errorf("a body above the rate: %v", r)
		}
	})
	// Meanwhile the one worker is free.
	for range 10 {
		began := time.Now()
		s.get("/read")
		between(t, "another client is answered", time.Since(began), 0, 5*time.Second)
		time.Sleep(time.Second)
	}
	wg.Wait()
	s.terminate()
}

func TestBodyTimeout(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "digest:app", args: []string{"--body-timeout", "2"}})
	for _, fields := range []string{"Content-Length: 10000000", "Content-Length: 10000000\r\nExpect: 100-continue"} {
		c := s.client()
		began := time.Now()
		c.send(t, "POST /read HTTP/1.1\r\nHost: test\r\n"+fields+"\r\n\r\n")
		if strings.Contains(fields, "Expect") {
			c.expectHead(t, 100)
		}
		if trickle(c, strings.Repeat("b", 10000000), 10000, 50*time.Millisecond) {
			t.Error("a body of 50 s was taken")
		}
		if r := c.receive(t, "POST"); r.status != 408 || !r.closes() {
			t.Errorf("%q: %v", fields, r)
		}
		between(t, "a long body is ended", time.Since(began), 1500*time.Millisecond, 10*time.Second)
	}
	if r, err := s.request("POST", "/read", strings.Repeat("b", 1<<20)); err != nil || r.status != 200 {
		t.Errorf("a fast body: %v, %v", r, err)
	}
	s.terminate()
}

// reading is a connection whose kernel holds little that was not read.
func (s *server) reading(t testing.TB) *client {
	t.Helper()
	c := s.client()
	must(t, c.Conn.(*net.TCPConn).SetReadBuffer(64<<10))
	c.SetDeadline(time.Now().Add(2 * time.Minute))
	return c
}

func TestClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	const size = 30 << 20
	for _, target := range []string{fmt.Sprintf("/%d", size), fmt.Sprintf("/%d?pieces", size)} {
		t.Run(target, func(t *testing.T) {
			s := start(t, options{app: "large:app", args: []string{"--write-timeout", "3"}})
			front := s.role("front")[0].pid
			s.get("/16")
			var files int
			eventually(t, "no connection is open", func() bool {
				files = openFiles(front)
				return !connected(s.port)
			})

			began := time.Now()
			c := s.reading(t)
			c.send(t, format("GET", target, ""))
			if !within(patience, func() bool { return answered(c) }) {
				t.Fatal("the response does not begin")
			}
			// The one worker is free long before the client has taken anything.
			s.get("/16")
			between(t, "the worker is free", time.Since(began), 0, 2500*time.Millisecond)
			eventually(t, "the connection is ended", func() bool { return !connected(s.port) })
			between(t, "a client that does not read is ended", time.Since(began), 2500*time.Millisecond, 15*time.Second)
			eventually(t, "its file is closed", func() bool { return openFiles(front) <= files })
			if r, err := readResponse(c.r, "GET"); err == nil || r == nil || len(r.body) >= size {
				t.Errorf("%v, %v, want a part of the response", r, err)
			}
			s.terminate()
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
	s := start(t, options{app: "large:app", args: []string{"--write-timeout", "3"}})
	c := s.reading(t)
	c.send(t, format("GET", fmt.Sprintf("/%d", size), ""))
	began, got := time.Now(), 0
	buf := make([]byte, 128<<10)
	for got < size {
		n, err := c.r.Read(buf)
		if err != nil {
			t.Fatalf("after %d bytes and %v: %v", got, time.Since(began), err)
		}
		got += n
		if time.Since(began) < 8*time.Second { // then as fast as it can
			time.Sleep(100 * time.Millisecond)
		}
	}
	between(t, "the slow reader has it all", time.Since(began), 3*time.Second, 60*time.Second)
	s.terminate()
}
