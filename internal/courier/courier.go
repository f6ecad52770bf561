// Package courier delivers packets to a socket in the background: log lines for
// syslog, metrics for StatsD.
//
// [Courier.Send] never waits and never fails. What the receiver does not take is
// dropped: a server must not stand still because its log host does. The first
// packet that is lost is reported, and the next one after some have arrived.
//
// It does not know what is in a packet. Try it with go test ./internal/courier.
package courier

import (
	"net"
	"sync"
	"time"
)

const (
	// waiting is how many packets may wait for the receiver.
	waiting = 4096
	// patience is how long one packet may take, and all that wait at the end.
	patience = time.Second
	// pause is how long after a failed connection the next one is tried.
	pause = time.Second
)

// A Courier sends packets. Its methods may be called from any goroutine; on nil
// they do nothing.
type Courier struct {
	dial   func() (net.Conn, error)
	failed func(error)

	mu sync.Mutex
	// +checklocks:mu
	closed  bool
	packets chan []byte
	done    chan struct{}

	conn  net.Conn // these are run's
	again time.Time
	lost  bool
}

// New returns a courier that makes its connection by dial, again where it breaks.
// failed is told of what was lost; it may be called until Close has returned.
func New(dial func() (net.Conn, error), failed func(error)) *Courier {
	c := &Courier{dial: dial, failed: failed, packets: make(chan []byte, waiting), done: make(chan struct{})}
	go c.run()
	return c
}

// Send queues a packet, which must not be changed any more. Where too many wait
// already it is dropped.
func (c *Courier) Send(packet []byte) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	select {
	case c.packets <- packet:
	default:
	}
}

// Close sends what waits, as far as that goes within a second, and ends c.
func (c *Courier) Close() {
	if c == nil {
		return
	}
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		close(c.packets)
	}
	c.mu.Unlock()
	select {
	case <-c.done:
	case <-time.After(patience):
	}
}

func (c *Courier) run() {
	defer close(c.done)
	for packet := range c.packets {
		err := c.deliver(packet)
		if err != nil && !c.lost {
			c.failed(err)
		}
		c.lost = err != nil
	}
	if c.conn != nil {
		c.conn.Close()
	}
}

// deliver sends one packet. A connection that broke since the last one shows only
// now, so that a second one is tried.
func (c *Courier) deliver(packet []byte) error {
	fresh := c.conn == nil
	if fresh {
		if err := c.connect(); err != nil {
			return err
		}
	}
	err := c.write(packet)
	if err == nil {
		return nil
	}
	c.conn.Close()
	c.conn = nil
	if fresh {
		return err
	}
	if err := c.connect(); err != nil {
		return err
	}
	return c.write(packet)
}

func (c *Courier) write(packet []byte) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := c.conn.Write(packet)
	return err
}

func (c *Courier) connect() error {
	if time.Now().Before(c.again) {
		return errAway
	}
	conn, err := c.dial()
	if err != nil {
		c.again = time.Now().Add(pause)
		return err
	}
	c.conn = conn
	return nil
}

type awayError struct{}

func (awayError) Error() string { return "the receiver is away" }

var errAway awayError
