// Package datagram sends packets to a socket in the background: log lines for syslog and
// metrics for StatsD.
//
// [Sender.Send] never waits and never fails. What the receiver does not take is dropped: a
// server must not stand still because its log host does. The first lost packet is reported,
// and, once packets have arrived again, the next one that is lost.
//
// The package does not know what is in a packet. Try it with go test ./internal/datagram.
package datagram

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

// A Sender sends packets. Any goroutine may call its methods; on nil they do nothing.
type Sender struct {
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

// New returns a sender that makes its connection by dial, again where it breaks.
// failed is told of what was lost; it may be called until Close has returned.
func New(dial func() (net.Conn, error), failed func(error)) *Sender {
	s := &Sender{dial: dial, failed: failed, packets: make(chan []byte, waiting), done: make(chan struct{})}
	go s.run()
	return s
}

// Send queues a packet, which must not be changed any more. Where too many wait
// already it is dropped.
func (s *Sender) Send(packet []byte) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	select {
	case s.packets <- packet:
	default:
	}
}

// Close sends what waits, as far as that goes within a second, and ends s.
func (s *Sender) Close() {
	if s == nil {
		return
	}
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.packets)
	}
	s.mu.Unlock()
	select {
	case <-s.done:
	case <-time.After(patience):
	}
}

func (s *Sender) run() {
	defer close(s.done)
	for packet := range s.packets {
		err := s.deliver(packet)
		if err != nil && !s.lost {
			s.failed(err)
		}
		s.lost = err != nil
	}
	if s.conn != nil {
		s.conn.Close()
	}
}

// deliver sends one packet. A connection that broke since the last one shows only
// now, so that a second one is tried.
func (s *Sender) deliver(packet []byte) error {
	fresh := s.conn == nil
	if fresh {
		if err := s.connect(); err != nil {
			return err
		}
	}
	err := s.write(packet)
	if err == nil {
		return nil
	}
	s.conn.Close()
	s.conn = nil
	if fresh {
		return err
	}
	if err := s.connect(); err != nil {
		return err
	}
	return s.write(packet)
}

func (s *Sender) write(packet []byte) error {
	if err := s.conn.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := s.conn.Write(packet)
	return err
}

func (s *Sender) connect() error {
	if time.Now().Before(s.again) {
		return errAway
	}
	conn, err := s.dial()
	if err != nil {
		s.again = time.Now().Add(pause)
		return err
	}
	s.conn = conn
	return nil
}

type awayError struct{}

func (awayError) Error() string { return "the receiver is away" }

var errAway awayError
