//go:build linux

package test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A load is a number of clients that make requests until they are stopped.
// Every request is counted: answered with a complete 2xx response that has the
// expected body, or lost, with the reason.
type load struct {
	s    *server
	stop chan struct{}
	done sync.WaitGroup

	mu      sync.Mutex
	sum     tally
	stopped bool
}

// A tally is what became of the requests of a load.
type tally struct {
	sent    int
	ok      int
	lost    map[string]int // by reason
	first   []string       // the first few losses, with their time
	closed  int            // keep-alive connections closed by the server with Connection: close
	dropped int            // keep-alive connections closed by the server without it
	slowest time.Duration  // of the requests that were answered
}

func (t tally) losses() int {
	n := 0
	for _, k := range t.lost {
		n += k
	}
	return n
}

func (t tally) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d sent, %d ok, %d lost, %d closed as announced, %d dropped, slowest %v",
		t.sent, t.ok, t.losses(), t.closed, t.dropped, t.slowest.Round(time.Millisecond))
	for _, reason := range slices.Sorted(maps.Keys(t.lost)) {
		fmt.Fprintf(&b, "\n  %d × %s", t.lost[reason], reason)
	}
	for _, l := range t.first {
		fmt.Fprintf(&b, "\n  %s", l)
	}
	return b.String()
}

// loadLimit ends every load, whatever the test does.
const loadLimit = 3 * time.Minute

// keepAliveLoad starts n clients, each of which keeps its connection and
// makes one request after the other.
func (s *server) keepAliveLoad(n int) *load { return s.load(n, (*load).keepAlive) }

// oneShotLoad starts n clients that make each request on a new connection.
func (s *server) oneShotLoad(n int) *load { return s.load(n, (*load).oneShot) }

func (s *server) load(n int, run func(*load, int, time.Time)) *load {
	l := &load{s: s, stop: make(chan struct{}), sum: tally{lost: map[string]int{}}}
	end := time.Now().Add(loadLimit)
	for i := range n {
		l.done.Go(func() { run(l, i, end) })
	}
	s.t.Cleanup(func() { l.finish() })
	return l
}

// finish stops the clients, each after its current request.
func (l *load) finish() tally {
	l.mu.Lock()
	if !l.stopped {
		l.stopped = true
		close(l.stop)
	}
	l.mu.Unlock()
	l.done.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sum
}

// now is the tally so far.
func (l *load) now() tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.sum
	t.lost = maps.Clone(l.sum.lost)
	return t
}

// progress waits until n more requests have been answered.
func (l *load) progress(n int) {
	l.s.t.Helper()
	before := l.now().ok
	if !within(patience, func() bool { return l.now().ok >= before+n }) {
		l.s.t.Fatalf("the load stands still: %v", l.now())
	}
}

// next pauses as a client does between two requests, and says whether to make
// another one.
func (l *load) next(end time.Time) bool {
	select {
	case <-l.stop:
		return false
	case <-time.After(time.Duration(rand.IntN(4000)) * time.Microsecond):
		return time.Now().Before(end)
	}
}

func (l *load) keepAlive(id int, end time.Time) {
	var c *client
	defer func() {
		if c != nil {
			c.Close()
		}
	}()
	for n := 0; l.next(end); n++ {
		fresh := c == nil
		if fresh {
			var err error
			if c, err = l.s.connect(); err != nil {
				c = nil
				l.lose("connect: " + reason(err))
				continue
			}
		} else if closedByPeer(c) {
			// The request that would follow is lost: a client learns
			// of the close only when it sends.
			l.lose("idle connection closed by the server")
			l.count(func(t *tally) { t.dropped++ })
			c.Close()
			c = nil
			continue
		}
		r, err := l.ask(c, id, n, "")
		if err != nil {
			where := "kept connection: "
			if fresh {
				where = "new connection: "
			}
			l.lose(where + reason(err))
			c.Close()
			c = nil
			continue
		}
		if r.closes() {
			l.count(func(t *tally) { t.closed++ })
			c.Close()
			c = nil
		}
	}
}

func (l *load) oneShot(id int, end time.Time) {
	for n := 0; l.next(end); n++ {
		c, err := l.s.connect()
		if err != nil {
			l.lose("connect: " + reason(err))
			continue
		}
		if _, err := l.ask(c, id, n, "Connection: close"); err != nil {
			l.lose(reason(err))
		}
		c.Close()
	}
}

// ask makes one request of which every tenth has a body. The app echo:app
// answers with the path and the body, so that a response that belongs to
// another request is found out.
func (l *load) ask(c *client, id, n int, field string) (*response, error) {
	began := time.Now()
	c.SetDeadline(began.Add(patience))
	method, body := "GET", ""
	if n%10 == 9 {
		method, body = "POST", strings.Repeat(fmt.Sprintf("%d.%d ", id, n), 1+n%300)
	}
	target := fmt.Sprintf("/load/%d/%d", id, n)
	text := format(method, target, body)
	if field != "" {
		text = format(method, target, body, field)
	}
	if _, err := io.WriteString(c, text); err != nil {
		return nil, fmt.Errorf("send: %w", err)
	}
	r, err := readResponse(c.r, method)
	if err != nil {
		return r, err
	}
	if r.status/100 != 2 {
		return r, fmt.Errorf("status %d", r.status)
	}
	if r.body != target+"\n"+body {
		return r, fmt.Errorf("the body is not that of the request")
	}
	took := time.Since(began)
	l.count(func(t *tally) {
		t.sent++
		t.ok++
		t.slowest = max(t.slowest, took)
	})
	return r, nil
}

func (l *load) count(f func(*tally)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(&l.sum)
}

func (l *load) lose(reason string) {
	l.count(func(t *tally) {
		t.sent++
		t.lost[reason]++
		if len(t.first) < 5 {
			t.first = append(t.first, time.Now().Format("15:04:05.000 ")+reason)
		}
	})
}

// closedByPeer looks, without reading, whether the server has closed a
// connection on which nothing is outstanding.
func closedByPeer(c *client) bool {
	conn := c.Conn
	tc, secure := conn.(*tls.Conn)
	if secure {
		conn = tc.NetConn()
	}
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return true
	}
	closed := false
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		closed = !(err == syscall.EAGAIN || err == syscall.EINTR) && (n <= 0 || secure) // what comes over TLS then is a close_notify
		return true
	})
	return closed || err != nil
}

// reason names an error so that equal ones can be counted.
func reason(err error) string {
	var ne net.Error
	switch {
	case errors.Is(err, errNoResponse):
		return "closed without an answer"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "closed within the response"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.ECONNRESET):
		return "reset"
	case errors.Is(err, syscall.EPIPE):
		return "broken pipe"
	case errors.Is(err, syscall.ENOENT):
		return "no such socket"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &ne) && ne.Timeout():
		return "no answer in time"
	}
	return err.Error()
}

// bothLoads starts the two kinds of clients that most tests use, and waits
// until both are under way.
func (s *server) bothLoads(n int) (keepAlive, oneShot *load) {
	s.t.Helper()
	keepAlive, oneShot = s.keepAliveLoad(n), s.oneShotLoad(n)
	keepAlive.progress(2 * n)
	oneShot.progress(2 * n)
	return keepAlive, oneShot
}

// expectNoneLost stops loads and checks that every request was answered and
// that no keep-alive connection was closed.
func expectNoneLost(t testing.TB, loads ...*load) {
	t.Helper()
	for _, l := range loads {
		sum := l.finish()
		t.Logf("load: %v", sum)
		if sum.losses() > 0 || sum.closed > 0 || sum.dropped > 0 || sum.ok == 0 {
			t.Errorf("requests or connections were lost: %v", sum)
		}
	}
}
