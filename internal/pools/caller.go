package pools

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"indrik/internal/wire"
)

// maxConnections is how many call connections a caller may have: as many calls at a time, or a
// few more idle ones.
const maxConnections = 1024

// A callerID names a process that makes calls: the workers of pools are numbered for themselves.
type callerID struct {
	age    int
	ofPool bool
}

// A caller is a process that makes calls.
type caller struct {
	id          callerID
	generation  *generation
	channel     *socket
	connections atomic.Int32
}

func (s *Set) addCaller(id callerID, number int, channel *os.File) error {
	sock, err := newSocket(channel)
	if err != nil {
		return err
	}
	s.mu.Lock()
	g := s.generations[number]
	if g == nil {
		s.mu.Unlock()
		sock.File.Close()
		return fmt.Errorf("generation %d has no pools", number)
	}
	c := &caller{id: id, generation: g, channel: sock}
	s.callers[id] = c
	g.users++
	s.mu.Unlock()
	go s.accept(c)
	return nil
}

// accept takes the call connections of a caller until its channel ends. Whoever still sends one
// then gets an error, and does not wait for an answer.
func (s *Set) accept(c *caller) {
	defer c.channel.File.Close()
	for {
		data, file, err := c.channel.recv(context.Background(), time.Time{})
		switch {
		case err != nil && !errors.Is(err, errEmpty):
			return
		case file == nil && len(data) == 1:
			// There was no descriptor left here for it: its other end is closed by that.
		case file == nil || len(data) != 1 || !isMessageSocket(file):
			if file != nil {
				file.Close()
			}
			s.breach(c.id, "it sent something else than call connections for calls")
			return
		default:
			s.connect(c, file)
		}
	}
}

// connect serves a new call connection.
func (s *Set) connect(c *caller, file *os.File) {
	sock, err := newSocket(file)
	if err != nil {
		s.host.Debugf("a call connection cannot be taken over: %s", err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	conn := &conn{set: s, caller: c, socket: sock, ctx: ctx, abort: cancel}
	if c.connections.Add(1) > maxConnections {
		f := noConnection(fmt.Sprintf("This process has %d call connections, and may have no more", maxConnections))
		_ = conn.socket.sendNow(f.encode(), nil)
		conn.close()
		return
	}
	go conn.serve()
}

// A conn is a call connection: one call at a time.
type conn struct {
	set    *Set
	caller *caller
	socket *socket
	ctx    context.Context // until the caller has gone
	abort  func()          // ends the connection, as if the caller had gone
	busy   atomic.Bool     // a call runs
}

func (c *conn) close() {
	c.abort()
	c.socket.File.Close()
	c.caller.connections.Add(-1)
}

// serve reads what the caller sends, until it closes the connection, which ends what runs.
func (c *conn) serve() {
	var running atomic.Int32
	defer func() {
		c.abort()
		if running.Add(-1) < 0 { // otherwise the last call closes it
			c.close()
		}
	}()
	for {
		data, file, err := c.socket.recv(c.ctx, time.Time{})
		if err != nil {
			return
		}
		m, err := c.check(data, file)
		if err != nil {
			if file != nil {
				file.Close()
			}
			c.set.breach(c.caller.id, err.Error())
			return
		}
		if m.Kind == wire.PoolStash {
			c.answer(c.set.stash.do(&m, file))
			continue
		}
		c.busy.Store(true)
		running.Add(1)
		go func() {
			c.set.run(c.ctx, c, &m, data, file)
			if running.Add(-1) < 0 {
				c.close()
			}
		}()
	}
}

// check decodes a message of a caller.
func (c *conn) check(data []byte, file *os.File) (wire.PoolMessage, error) {
	m, err := wire.DecodePoolMessage(data)
	switch {
	case err != nil:
		return m, err
	case m.Kind != wire.PoolCall && m.Kind != wire.PoolStash:
		return m, fmt.Errorf("it sent a message of kind %d as a call", m.Kind)
	case c.busy.Load():
		return m, errors.New("it sent a call on a connection where another one runs")
	}
	return m, checkFile(&m, file)
}

// checkFile checks the file that came along with a message.
func checkFile(m *wire.PoolMessage, file *os.File) error {
	if m.InFile != (file != nil) {
		return errors.New("it sent a message with a file that is not part of it, or without the one that is")
	}
	if file == nil {
		return nil
	}
	return wire.CheckPayload(file, m.Size)
}

// answer sends what is the last message of a call, or the answer to a request to the stash. The
// file, which may be nil, is closed. A caller that leaves no room loses the connection.
func (c *conn) answer(data []byte, file *os.File) {
	if c.socket.sendNow(data, file) != nil {
		c.abort()
	}
	if file != nil {
		file.Close()
	}
}

// finish sends the last message of a call, from which on the caller may send another one. It
// waits for room until limit. The file, which may be nil, is closed.
func (c *conn) finish(data []byte, file *os.File, limit time.Time) {
	c.busy.Store(false)
	if c.socket.send(data, file, limit) != nil {
		c.abort()
	}
	if file != nil {
		file.Close()
	}
}
