package load

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// sweepEvery is how often clients are looked at for timeouts.
const sweepEvery = 50 * time.Millisecond

type phase int

const (
	resting phase = iota // until client.wake
	connecting
	writing
	reading
	finished
)

type client struct {
	index    int // in loop.clients: the epoll data
	group    *Group
	tally    *Tally
	phase    phase
	fd       int // -1: none
	sent     int // bytes of the request
	buf      []byte
	n        int // bytes of the answer in buf
	began    time.Time
	wake     time.Time // of a rest, or of the next byte
	due      time.Time // of the next request, with Every
	answered bool      // within the measurement
}

type loop struct {
	plan      *Plan
	epoll     int
	timer     *timer
	clients   []client
	dials     int
	trickling bool // some clients send byte by byte
	measuring bool
	draining  bool
	now       time.Time
	end       time.Time // of the measurement
	open      int       // clients that are not finished
	resting   int
}

// Run carries out a plan. It stops early, with the error of ctx, when ctx ends.
// All connections are closed when it returns.
func Run(ctx context.Context, plan Plan) (*Result, error) {
	if !plan.Server.Addr().Is4() {
		return nil, fmt.Errorf("server %s: only IPv4 is known", plan.Server)
	}
	// A goroutine that moves between threads costs more than the thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create: %w", err)
	}
	timer, err := newTimer(epoll)
	if err != nil {
		unix.Close(epoll)
		return nil, err
	}
	result := &Result{Groups: make([]Tally, len(plan.Groups))}
	l := &loop{plan: &plan, epoll: epoll, timer: timer}
	defer func() {
		for i := range l.clients {
			l.clients[i].disconnect()
		}
		timer.close()
		unix.Close(epoll)
	}()
	for i := range plan.Groups {
		group, tally := &plan.Groups[i], &result.Groups[i]
		l.trickling = l.trickling || group.Trickle > 0
		tally.Clients = group.Clients
		tally.Errors = make(map[Kind]int)
		tally.Latencies = make([]time.Duration, 0, 1<<16)
		for range group.Clients {
			l.clients = append(l.clients, client{index: len(l.clients), group: group, tally: tally, fd: -1})
		}
	}
	l.open, l.resting = len(l.clients), len(l.clients)
	l.schedule(time.Now())
	if err := l.run(ctx, result); err != nil {
		return nil, err
	}
	for i := range result.Groups {
		slices.Sort(result.Groups[i].Latencies)
	}
	return result, nil
}

// schedule spreads the first requests over the ramp, and those of an open loop
// over the time from one request of a client to its next.
func (l *loop) schedule(now time.Time) {
	seen := make(map[*Group]int)
	for i := range l.clients {
		c := &l.clients[i]
		spread := max(l.plan.Ramp, c.group.Every)
		c.wake = now.Add(spread * time.Duration(seen[c.group]) / time.Duration(c.group.Clients))
		c.due = c.wake
		seen[c.group]++
	}
}

func (l *loop) run(ctx context.Context, result *Result) error {
	l.now = time.Now()
	begin := l.now.Add(l.plan.Warm)
	l.end = begin.Add(l.plan.Measure)
	sweep := l.now
	events := make([]unix.EpollEvent, 256)
	var began time.Time
	for l.open > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		switch {
		case !l.measuring && began.IsZero() && !l.now.Before(begin):
			if l.plan.Started != nil {
				l.plan.Started()
			}
			l.measuring, began = true, time.Now()
			l.end = began.Add(l.plan.Measure)
		case l.measuring && !l.now.Before(l.end):
			result.Elapsed = time.Since(began)
			if l.plan.Ended != nil {
				l.plan.Ended()
			}
			l.measuring, l.draining = false, true
			for i := range l.clients {
				c := &l.clients[i]
				if !c.answered && c.group.Trickle == 0 {
					c.tally.Starved++
				}
				if c.fd >= 0 {
					c.tally.Held++
				}
				if c.phase == resting && !l.owes(c) {
					l.finish(c)
				}
			}
		}
		if !l.now.Before(sweep) {
			l.expire()
			sweep = l.now.Add(sweepEvery)
		}
		wait := sweep.Sub(l.now)
		precise := l.resting > 0 || l.trickling
		if precise {
			wait = min(wait, l.wakeUp())
		}
		if !l.draining {
			wait = min(wait, l.end.Sub(l.now))
		}
		if precise && wait > 0 {
			l.timer.set(wait)
		}
		// Rounded up: a wait of 0 ms for what is due in 0.4 ms would spin.
		n, err := unix.EpollWait(l.epoll, events, int((max(wait, 0)+time.Millisecond-1)/time.Millisecond))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("epoll_wait: %w", err)
		}
		l.now = time.Now()
		for i := range max(n, 0) {
			if events[i].Fd != timerEvent {
				l.event(&l.clients[events[i].Fd], events[i].Events)
			}
		}
	}
	return nil
}

// owes reports whether a request of c was due within the measurement and has not
// been sent: it has waited for the one before, and so its time counts.
func (l *loop) owes(c *client) bool {
	return c.group.Every > 0 && c.due.Before(l.end)
}

// wakeUp lets the clients go on whose pause is over, and returns how long the
// next one still rests.
func (l *loop) wakeUp() time.Duration {
	next := sweepEvery
	for i := range l.clients {
		c := &l.clients[i]
		if c.phase != resting && (c.phase != writing || c.group.Trickle == 0) {
			continue
		}
		if left := c.wake.Sub(l.now); left > 0 {
			next = min(next, left)
		} else if c.phase == resting {
			l.start(c)
		} else {
			l.write(c)
			next = min(next, c.group.Trickle)
		}
	}
	return next
}

func (l *loop) expire() {
	for i := range l.clients {
		c := &l.clients[i]
		if c.phase != resting && c.phase != finished && l.now.Sub(c.began) > l.plan.Timeout {
			l.fail(c, TimedOut, fmt.Sprintf("no answer in %v", l.plan.Timeout))
		}
	}
}

func (l *loop) event(c *client, events uint32) {
	switch c.phase {
	case connecting:
		if events&(unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP) == 0 {
			return
		}
		if n, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || n != 0 {
			l.fail(c, Refused, fmt.Sprintf("connect: %v", unix.Errno(n)))
			return
		}
		c.phase = writing
		l.write(c)
	case writing:
		if c.group.Trickle > 0 {
			return // at its own time
		}
		if events&(unix.EPOLLIN|unix.EPOLLERR|unix.EPOLLHUP) != 0 {
			// An answer or an end before the request is out.
			c.phase = reading
			l.read(c, events)
		} else {
			l.write(c)
		}
	case reading:
		if events&(unix.EPOLLIN|unix.EPOLLERR|unix.EPOLLHUP|unix.EPOLLRDHUP) != 0 {
			l.read(c, events)
		}
	case resting:
		if events&(unix.EPOLLRDHUP|unix.EPOLLERR|unix.EPOLLHUP) != 0 {
			c.disconnect() // the server may close what is idle
		}
	default: // it may have ended in this round
	}
}

// start begins the next request of c.
func (l *loop) start(c *client) {
	if c.phase == resting {
		l.resting--
	}
	c.began, c.sent, c.n = time.Now(), 0, 0
	if c.group.Every > 0 {
		c.began, c.due = c.due, c.due.Add(c.group.Every)
	}
	if c.fd >= 0 {
		c.phase = writing
		l.write(c)
		return
	}
	c.phase = connecting
	fd, err := l.dial()
	if err != nil {
		l.fail(c, Refused, err.Error())
		return
	}
	c.fd = fd
	c.tally.Connections++
	// Edge-triggered, for everything, once: no more epoll_ctl on this socket.
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(c.index)}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		l.fail(c, Refused, fmt.Sprintf("epoll_ctl: %v", err))
	}
}

// dial opens a connection, perhaps not yet established. It returns -1 with an
// error.
func (l *loop) dial() (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	err = func() error {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
			return fmt.Errorf("TCP_NODELAY: %w", err)
		}
		// Port at connect time: then a port may be used towards several servers.
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
			return fmt.Errorf("IP_BIND_ADDRESS_NO_PORT: %w", err)
		}
		source := l.plan.Source*8 + l.dials%8
		l.dials++
		address := unix.SockaddrInet4{Addr: [4]byte{127, byte(1 + source>>16&0x7f), byte(source >> 8), byte(source)}}
		if err := unix.Bind(fd, &address); err != nil {
			return fmt.Errorf("bind %v: %w", address.Addr, err)
		}
		server := unix.SockaddrInet4{Addr: l.plan.Server.Addr().As4(), Port: int(l.plan.Server.Port())}
		if err := unix.Connect(fd, &server); err != nil && !errors.Is(err, unix.EINPROGRESS) {
			return fmt.Errorf("connect: %w", err)
		}
		return nil
	}()
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func (l *loop) write(c *client) {
	if c.group.Trickle > 0 && c.sent < len(c.group.Request)-1 {
		if _, err := unix.Write(c.fd, c.group.Request[c.sent:c.sent+1]); err == nil {
			c.sent++
		} else if !errors.Is(err, unix.EAGAIN) {
			l.fail(c, Lost, fmt.Sprintf("write: %v", err))
			return
		}
		c.wake = time.Now().Add(c.group.Trickle)
		return
	}
	for c.sent < len(c.group.Request) {
		n, err := unix.Write(c.fd, c.group.Request[c.sent:])
		if errors.Is(err, unix.EAGAIN) {
			return
		}
		if err != nil {
			l.fail(c, Lost, fmt.Sprintf("write: %v", err))
			return
		}
		c.sent += n
	}
	c.phase = reading
}

func (l *loop) read(c *client, events uint32) {
	for {
		if c.n == len(c.buf) {
			c.buf = append(c.buf, make([]byte, max(len(c.buf), len(c.group.Want)+1024))...)
		}
		n, err := unix.Read(c.fd, c.buf[c.n:])
		if errors.Is(err, unix.EAGAIN) {
			return
		}
		closed := err != nil || n == 0
		if !closed {
			c.n += n
		}
		h, body, size, err2 := response(c.buf[:c.n], closed && err == nil)
		switch {
		case err2 != nil:
			l.fail(c, Malformed, err2.Error())
			return
		case size > 0 && size < c.n:
			l.fail(c, Malformed, fmt.Sprintf("%d bytes after the answer", c.n-size))
			return
		case size > 0:
			l.answer(c, h, body, closed || events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0)
			return
		case closed && c.n > 0:
			l.fail(c, Truncated, fmt.Sprintf("the connection ended %d bytes into the answer", c.n))
			return
		case closed && err != nil:
			l.fail(c, Lost, fmt.Sprintf("read: %v", err))
			return
		case closed:
			l.fail(c, Lost, "the connection was closed without an answer")
			return
		}
	}
}

// answer takes a whole response. closed: the server has closed the connection.
func (l *loop) answer(c *client, h head, body []byte, closed bool) {
	if h.status != 200 || string(body) != string(c.group.Want) {
		l.fail(c, Wrong, fmt.Sprintf("status %d, body of %d bytes: %.80q", h.status, len(body), body))
		return
	}
	if l.measuring {
		c.tally.Answers++
		c.answered = true
	}
	if l.measuring || l.draining {
		c.tally.Latencies = append(c.tally.Latencies, time.Since(c.began))
	}
	if c.group.OneShot || h.last || closed {
		c.disconnect()
	}
	switch {
	case l.draining && !l.owes(c):
		l.finish(c)
	case c.group.Every > 0:
		l.rest(c, time.Until(c.due))
	case c.group.Pause > 0:
		l.rest(c, c.group.Pause)
	default:
		l.start(c)
	}
}

func (l *loop) fail(c *client, kind Kind, text string) {
	c.tally.Errors[kind]++
	if c.tally.FirstError == "" {
		c.tally.FirstError = string(kind) + ": " + text
	}
	c.disconnect()
	if l.draining {
		l.finish(c)
	} else {
		l.rest(c, errorPause)
	}
}

func (l *loop) rest(c *client, pause time.Duration) {
	c.phase, c.wake = resting, time.Now().Add(pause)
	l.resting++
}

func (l *loop) finish(c *client) {
	if c.phase == resting {
		l.resting--
	}
	c.phase = finished
	c.disconnect()
	l.open--
}

func (c *client) disconnect() {
	if c.fd >= 0 {
		unix.Close(c.fd)
		c.fd = -1
	}
}
