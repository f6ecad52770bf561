//go:build linux

package test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"indrik/test/harness"
)

// The clients of a fleet. Each makes requests at a steady pace until it is stopped, and notes
// what became of every one.

// A fleetLoad is the clients of one balancer.
type fleetLoad struct {
	f        *harness.Fleet
	balancer string
	stop     chan struct{}
	done     sync.WaitGroup

	mu  sync.Mutex
	sum fleetTally
}

// A fleetTally is what became of the requests.
type fleetTally struct {
	ok       map[string]int // answered, by kind
	lost     []fleetLoss
	messages int // of WebSockets, that came back
	restarts int // WebSockets that were closed with 1012
	idle     int // kept connections that the balancer closed while nothing was asked
	resent   int // requests on a kept connection that the balancer closed at that moment
	retried  int // requests that the balancer had to send twice
	version  map[string]int
}

// A fleetLoss is a request that was not answered as it should be.
type fleetLoss struct {
	kind, reason string
	tried        string // the servers that the balancer sent it to, as it names them
	at           time.Time
}

func (l fleetLoss) String() string {
	return fmt.Sprintf("%s %s: %s (sent to %q)", l.at.Format("15:04:05.000"), l.kind, l.reason, l.tried)
}

func (t fleetTally) answered() int {
	n := 0
	for _, k := range t.ok {
		n += k
	}
	return n
}

func (t fleetTally) String() string {
	return fmt.Sprintf("%d answered %v, %d lost; %d WebSocket messages, %d closed with 1012; kept connections: %d closed while idle, %d requests sent again; %d retried by the balancer",
		t.answered(), t.ok, len(t.lost), t.messages, t.restarts, t.idle, t.resent, t.retried)
}

// How many clients a balancer has of each kind. As many requests can be with one host at most.
const (
	fleetKeepAlive  = 12
	fleetOneShot    = 6
	fleetStreams    = 4
	fleetWebSockets = 8

	fleetInFlight = fleetKeepAlive + fleetOneShot + fleetStreams + fleetWebSockets
)

// fleetPatience is above what the balancers wait: they answer in any case.
const fleetPatience = 2*harness.FleetSilence + 3*time.Second

// load starts the clients of a balancer.
func load(f *harness.Fleet, balancer string) *fleetLoad {
	l := &fleetLoad{f: f, balancer: balancer + ":80", stop: make(chan struct{})}
	l.sum.ok, l.sum.version = map[string]int{}, map[string]int{}
	for _, c := range []struct {
		clients int
		pause   time.Duration // from the beginning of a request to that of the next
		run     func(*fleetLoad, int, time.Duration)
	}{
		{fleetKeepAlive, 13 * time.Millisecond, (*fleetLoad).keepAlive},
		{fleetOneShot, 38 * time.Millisecond, (*fleetLoad).oneShot},
		{fleetStreams, 350 * time.Millisecond, (*fleetLoad).stream},
		{fleetWebSockets, 80 * time.Millisecond, (*fleetLoad).webSocket},
	} {
		for id := range c.clients {
			l.done.Go(func() { c.run(l, id, c.pause) })
		}
	}
	f.T.Cleanup(func() { l.finish() })
	return l
}

// finish stops the clients, each after its current request.
func (l *fleetLoad) finish() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.done.Wait()
}

// take returns the tally, and begins a new one.
func (l *fleetLoad) take() fleetTally {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.sum
	l.sum = fleetTally{ok: map[string]int{}, version: map[string]int{}}
	return t
}

// served reports whether a version of the code has answered.
func (l *fleetLoad) served(version int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sum.version[fmt.Sprint(version)] > 0
}

func (l *fleetLoad) count(f func(*fleetTally)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(&l.sum)
}

func (l *fleetLoad) lose(kind, why string, head *harness.Response) {
	loss := fleetLoss{kind: kind, reason: why, at: time.Now()}
	if head != nil {
		loss.tried = head.Get("X-Tried")
	}
	l.count(func(t *fleetTally) { t.lost = append(t.lost, loss) })
}

// next waits for the time of the next request, and reports whether there is one.
func (l *fleetLoad) next(began time.Time, pause time.Duration) bool {
	select {
	case <-l.stop:
		return false
	case <-time.After(time.Until(began.Add(pause))):
		return true
	}
}

// ask makes one request, and notes what became of it. errAgain says that the connection was
// closed without a byte of an answer, so that the request may be sent again (RFC 9110,
// section 9.2.2).
func (l *fleetLoad) ask(c *harness.Client, kind, method, target, body string, kept bool, fields ...string) (*harness.Response, error) {
	c.SetDeadline(time.Now().Add(fleetPatience))
	_, err := io.WriteString(c, harness.FormatRequest(method, target, body, fields...))
	var r *harness.Response
	if err == nil {
		r, err = harness.ReadResponse(c.Reader, method)
	}
	if kept && method == "GET" && (errors.Is(err, harness.ErrNoResponse) || errors.Is(err, syscall.ECONNRESET) && r == nil || errors.Is(err, syscall.EPIPE)) {
		return nil, errAgain
	}
	want := target + "\n" + body
	if kind == "stream" {
		want = strings.Repeat("part\n", 10) + want
	}
	switch {
	case err != nil:
		l.lose(kind, harness.Reason(err), r)
	case r.Status != 200:
		err = fmt.Errorf("status %d", r.Status)
		l.lose(kind, err.Error(), r)
	case r.Body != want:
		err = errors.New("the body is not that of the request")
		l.lose(kind, err.Error(), r)
	default:
		l.count(func(t *fleetTally) {
			t.ok[kind]++
			t.version[r.Get("X-Version")]++
			if strings.Contains(r.Get("X-Tried"), ",") {
				t.retried++
			}
		})
	}
	return r, err
}

var errAgain = errors.New("to be sent again")

func (l *fleetLoad) connect(kind string) *harness.Client {
	c, err := l.f.Clients.Dial(l.balancer, fleetPatience)
	if err != nil {
		l.lose(kind, "connect: "+harness.Reason(err), nil)
		return nil
	}
	return c
}

func (l *fleetLoad) keepAlive(id int, pause time.Duration) { l.keep("keep-alive", id, pause) }

func (l *fleetLoad) stream(id int, pause time.Duration) { l.keep("stream", id, pause) }

// keep makes requests on a connection for as long as the balancer keeps it.
func (l *fleetLoad) keep(kind string, id int, pause time.Duration) {
	var c *harness.Client
	leave := func() {
		if c != nil {
			c.Close()
			c = nil
		}
	}
	defer leave()
	var began time.Time
	for n := 0; l.next(began, pause); n++ {
		began = time.Now()
		if c != nil && harness.ClosedByPeer(c) {
			l.count(func(t *fleetTally) { t.idle++ })
			leave()
		}
		target := fmt.Sprintf("/%s/%d/%d", kind, id, n)
		for kept := c != nil; ; kept = false {
			if c == nil {
				if c = l.connect(kind); c == nil {
					break
				}
			}
			r, err := l.ask(c, kind, "GET", target, "", kept)
			if err != nil || r.Closes() {
				leave()
			}
			if !errors.Is(err, errAgain) {
				break
			}
			l.count(func(t *fleetTally) { t.resent++ })
		}
	}
}

// oneShot makes each request on a connection of its own; every third has a body.
func (l *fleetLoad) oneShot(id int, pause time.Duration) {
	var began time.Time
	for n := 0; l.next(began, pause); n++ {
		began = time.Now()
		c := l.connect("one-shot")
		if c == nil {
			continue
		}
		method, body := "GET", ""
		if n%3 == 2 {
			method, body = "POST", strings.Repeat(fmt.Sprintf("%d.%d ", id, n), 1+n%500)
		}
		_, _ = l.ask(c, "one-shot", method, fmt.Sprintf("/one-shot/%d/%d", id, n), body, false, "Connection: close")
		c.Close()
	}
}

// webSocket keeps a WebSocket connection, says something now and then, and connects again when
// it is told that the server leaves.
func (l *fleetLoad) webSocket(id int, pause time.Duration) {
	for n := 0; l.next(time.Now(), pause); n++ {
		if c := l.connect("websocket"); c != nil {
			l.talk(c, id, pause)
			c.Close()
		}
	}
}

func (l *fleetLoad) talk(c *harness.Client, id int, pause time.Duration) {
	c.SetDeadline(time.Now().Add(fleetPatience))
	var head *harness.Response
	_, err := io.WriteString(c, harness.UpgradeRequest(fmt.Sprintf("/websocket/%d", id)))
	if err == nil {
		head, err = harness.ReadHead(c.Reader)
	}
	if err == nil && head.Status != 101 {
		err = fmt.Errorf("status %d", head.Status)
	}
	if err != nil {
		l.lose("websocket", "handshake: "+harness.Reason(err), head)
		return
	}
	l.count(func(t *fleetTally) { t.ok["websocket"]++; t.version[head.Get("X-Version")]++ })
	ws := &harness.WebSocket{Client: c, T: l.f.T}
	var began time.Time
	for n := 0; l.next(began, pause); n++ {
		began = time.Now()
		c.SetDeadline(began.Add(harness.FleetSilence))
		text := fmt.Sprintf("%d.%d", id, n)
		sent := ws.TryFrame(harness.Fin|harness.OpText, text)
		got, err := ws.ReadFrame()
		for err == nil && got.First == harness.Fin|harness.OpPing {
			_ = ws.TryFrame(harness.Fin|harness.OpPong, string(got.Payload))
			got, err = ws.ReadFrame()
		}
		switch {
		case err != nil:
			l.lose("websocket", harness.Reason(errors.Join(err, sent)), head)
			return
		case got.First == harness.Fin|harness.OpText && string(got.Payload) == text:
			l.count(func(t *fleetTally) { t.messages++ })
		case got.First == harness.Fin|harness.OpClose && slices.Equal(got.Payload[:2], harness.CloseFrame(1012, "").Payload):
			l.count(func(t *fleetTally) { t.restarts++ })
			_ = ws.TryFrame(harness.Fin|harness.OpClose, string(harness.CloseFrame(1012, "").Payload))
			return
		default:
			l.lose("websocket", fmt.Sprintf("%v instead of %q", got, text), head)
			return
		}
	}
	_ = ws.TryFrame(harness.Fin|harness.OpClose, string(harness.CloseFrame(1000, "").Payload))
}
