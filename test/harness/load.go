//go:build linux

package harness

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

// A Load is a number of clients that make requests until they are stopped.
// Every request is counted: answered with a complete 2xx response that has the
// expected body, or lost, with the reason.
type Load struct {
	e    *Endpoint
	stop chan struct{}
	done sync.WaitGroup

	mu      sync.Mutex
	sum     Tally
	stopped bool
}

// A Tally is what became of the requests of a load.
type Tally struct {
	Sent    int
	OK      int
	Lost    map[string]int // by reason
	first   []string       // the first few losses, with their time
	Closed  int            // keep-alive connections closed by the server with Connection: close
	Dropped int            // keep-alive connections closed by the server without it
	Slowest time.Duration  // of the requests that were answered
}

// Losses is the number of requests that were lost.
func (t Tally) Losses() int {
	n := 0
	for _, k := range t.Lost {
		n += k
	}
	return n
}

func (t Tally) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d sent, %d ok, %d lost, %d closed as announced, %d dropped, slowest %v",
		t.Sent, t.OK, t.Losses(), t.Closed, t.Dropped, t.Slowest.Round(time.Millisecond))
	for _, reason := range slices.Sorted(maps.Keys(t.Lost)) {
		fmt.Fprintf(&b, "\n  %d × %s", t.Lost[reason], reason)
	}
	for _, l := range t.first {
		fmt.Fprintf(&b, "\n  %s", l)
	}
	return b.String()
}

// loadLimit ends every load, whatever the test does.
const loadLimit = 10 * time.Minute

// KeepAliveLoad starts n clients, each of which keeps its connection and
// makes one request after the other.
func (e *Endpoint) KeepAliveLoad(n int) *Load { return e.load(n, (*Load).keepAlive) }

// OneShotLoad starts n clients that make each request on a new connection.
func (e *Endpoint) OneShotLoad(n int) *Load { return e.load(n, (*Load).oneShot) }

func (e *Endpoint) load(n int, run func(*Load, int, time.Time)) *Load {
	l := &Load{e: e, stop: make(chan struct{}), sum: Tally{Lost: map[string]int{}}}
	end := time.Now().Add(loadLimit)
	for i := range n {
		l.done.Go(func() { run(l, i, end) })
	}
	e.t.Cleanup(func() { l.Finish() })
	return l
}

// Finish stops the clients, each after its current request.
func (l *Load) Finish() Tally {
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

// Now is the tally so far.
func (l *Load) Now() Tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.sum
	t.Lost = maps.Clone(l.sum.Lost)
	return t
}

// Progress waits until n more requests have been answered.
func (l *Load) Progress(n int) {
	l.e.t.Helper()
	before := l.Now().OK
	if !Within(Patience, func() bool { return l.Now().OK >= before+n }) {
		l.e.t.Fatalf("the load stands still: %v", l.Now())
	}
}

// next pauses as a client does between two requests, and says whether to make
// another one.
func (l *Load) next(end time.Time) bool {
	select {
	case <-l.stop:
		return false
	case <-time.After(time.Duration(rand.IntN(4000)) * time.Microsecond):
		return time.Now().Before(end)
	}
}

func (l *Load) keepAlive(id int, end time.Time) {
	var c *Client
	defer func() {
		if c != nil {
			c.Close()
		}
	}()
	for n := 0; l.next(end); n++ {
		fresh := c == nil
		if fresh {
			var err error
			if c, err = l.e.Connect(); err != nil {
				c = nil
				l.lose("connect: " + Reason(err))
				continue
			}
		} else if ClosedByPeer(c) {
			// The request that would follow is lost: a client learns
			// of the close only when it sends.
			l.lose("idle connection closed by the server")
			l.count(func(t *Tally) { t.Dropped++ })
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
			l.lose(where + Reason(err))
			c.Close()
			c = nil
			continue
		}
		if r.Closes() {
			l.count(func(t *Tally) { t.Closed++ })
			c.Close()
			c = nil
		}
	}
}

func (l *Load) oneShot(id int, end time.Time) {
	for n := 0; l.next(end); n++ {
		c, err := l.e.Connect()
		if err != nil {
			l.lose("connect: " + Reason(err))
			continue
		}
		if _, err := l.ask(c, id, n, "Connection: close"); err != nil {
			l.lose(Reason(err))
		}
		c.Close()
	}
}

// ask makes one request of which every tenth has a body. The app echo:app
// answers with the path and the body, so that a response that belongs to
// another request is found out.
func (l *Load) ask(c *Client, id, n int, field string) (*Response, error) {
	began := time.Now()
	c.SetDeadline(began.Add(Patience))
	method, body := "GET", ""
	if n%10 == 9 {
		method, body = "POST", strings.Repeat(fmt.Sprintf("%d.%d ", id, n), 1+n%300)
	}
	target := fmt.Sprintf("/load/%d/%d", id, n)
	text := FormatRequest(method, target, body)
	if field != "" {
		text = FormatRequest(method, target, body, field)
	}
	if _, err := io.WriteString(c, text); err != nil {
		return nil, fmt.Errorf("send: %w", err)
	}
	r, err := ReadResponse(c.Reader, method)
	if err != nil {
		return r, err
	}
	if r.Status/100 != 2 {
		return r, fmt.Errorf("status %d", r.Status)
	}
	if r.Body != target+"\n"+body {
		return r, fmt.Errorf("the body is not that of the request")
	}
	took := time.Since(began)
	l.count(func(t *Tally) {
		t.Sent++
		t.OK++
		t.Slowest = max(t.Slowest, took)
	})
	return r, nil
}

func (l *Load) count(f func(*Tally)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(&l.sum)
}

func (l *Load) lose(reason string) {
	l.count(func(t *Tally) {
		t.Sent++
		t.Lost[reason]++
		if len(t.first) < 5 {
			t.first = append(t.first, time.Now().Format("15:04:05.000 ")+reason)
		}
	})
}

// ClosedByPeer looks, without reading, whether the server has closed a
// connection on which nothing is outstanding.
func ClosedByPeer(c *Client) bool {
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

// Reason names an error so that equal ones can be counted.
func Reason(err error) string {
	var ne net.Error
	switch {
	case errors.Is(err, ErrNoResponse):
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

// BothLoads starts the two kinds of clients that most tests use, and waits
// until both are under way.
func (e *Endpoint) BothLoads(n int) (keepAlive, oneShot *Load) {
	e.t.Helper()
	keepAlive, oneShot = e.KeepAliveLoad(n), e.OneShotLoad(n)
	keepAlive.Progress(2 * n)
	oneShot.Progress(2 * n)
	return keepAlive, oneShot
}

// ExpectNoneLost stops loads and checks that every request was answered and
// that no keep-alive connection was closed.
func ExpectNoneLost(t testing.TB, loads ...*Load) {
	t.Helper()
	for _, l := range loads {
		sum := l.Finish()
		t.Logf("load: %v", sum)
		if sum.Losses() > 0 || sum.Closed > 0 || sum.Dropped > 0 || sum.OK == 0 {
			t.Errorf("requests or connections were lost: %v", sum)
		}
	}
}
