package pools

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"indrik/internal/wire"
)

// cancelGrace is how long a call that was cancelled has to come back at least, before its
// worker is taken for one that hangs.
const cancelGrace = 2 * time.Second

// A call is an action that a caller wants to be run.
type call struct {
	conn    *conn
	pool    *pool
	app     string
	action  string
	message []byte
	file    *os.File      // of a large payload
	timeout time.Duration // the caller's own; 0: none
	since   time.Time     // when it came
	began   time.Time     // when a slot got it
	granted chan grant
	counted bool
}

// name is what messages call it.
func (c *call) name() string { return fmt.Sprintf("%s.%s", c.app, c.action) }

// limit is for how long it may wait: for its own time, or for that of its pool; 0 for ever.
func (c *call) limit() time.Duration {
	if c.timeout > 0 {
		return c.timeout
	}
	return c.pool.timeout
}

// run brings a call to a slot, and the answer to the caller, whose end ends ctx. It owns the
// file.
func (s *Set) run(ctx context.Context, conn *conn, m *wire.PoolMessage, message []byte, file *os.File) {
	if file != nil {
		defer file.Close()
	}
	s.mu.Lock()
	r, ok := conn.caller.generation.apps[string(m.App)]
	s.mu.Unlock()
	if !ok {
		conn.fail(unknownApp(string(m.App)))
		return
	}
	c := &call{
		conn: conn, pool: r.pool, app: r.app, action: string(m.Action), message: message, file: file,
		timeout: m.Timeout, since: s.now(),
	}
	if string(m.App) != r.app { // it was named by its pool
		m.App = []byte(r.app)
		c.message = m.Append(nil)
	}
	for {
		sl, f := s.acquire(ctx, c)
		if sl == nil {
			if f == nil {
				s.count(c, Cancelled)
			} else {
				c.fail(s, f)
			}
			return
		}
		if err := s.begin(c, sl); errors.Is(err, errUnread) {
			s.discard(sl)
			continue
		} else if err != nil {
			s.release(sl)
			c.fail(s, cannotSend(c, err))
			return
		}
		if !s.follow(ctx, c, sl) {
			return
		}
	}
}

// begin sends a call to a slot. The error is errUnread if the worker has ended.
func (s *Set) begin(c *call, sl *slot) error {
	if _, file, err := sl.socket.recvLast(); err == nil { // it would be taken for the answer
		wire.CloseAll([]*os.File{file})
		s.broke(sl, "it answered a call twice")
		return errUnread
	}
	s.mu.Lock()
	c.began = s.now()
	sl.call, sl.began = c, c.began
	s.mu.Unlock()
	err := sl.socket.sendNow(c.message, c.file)
	switch {
	case isTimeout(err):
		s.broke(sl, "it does not read its calls")
		return errUnread
	case errors.Is(err, io.EOF):
		return errUnread
	}
	return err
}

// follow passes on what the slot says of a call, until that is over. It reports whether the worker
// has ended before it read the call, which can then be given to another slot.
func (s *Set) follow(ctx context.Context, c *call, sl *slot) (again bool) {
	progress, heard := sl.began, false
	unread := false
	for {
		limit, own := s.deadline(c, progress)
		data, file, err := sl.socket.recv(ctx, limit)
		switch {
		case err == nil:
		case errors.Is(err, errReset):
			unread = !heard
			continue
		case ctx.Err() != nil:
			s.count(c, Cancelled)
			s.cancel(c, sl, progress)
			return false
		case isTimeout(err):
			took := c.pool.timeout
			if own {
				took = c.timeout
			}
			c.fail(s, tookTooLong(c, took))
			s.cancel(c, sl, progress)
			return false
		default:
			s.discard(sl)
			if unread {
				return true
			}
			c.fail(s, workerDied(c, sl.worker.pid))
			return false
		}
		heard = true
		m, err := checkReply(data, file)
		if err != nil {
			if file != nil {
				file.Close()
			}
			s.broke(sl, err.Error())
			s.discard(sl)
			c.fail(s, workerBroke(c, sl.worker.pid))
			return false
		}
		if m.Kind != wire.PoolChunk {
			s.finished(c, sl, m.Kind)
			c.conn.finish(data, file, s.timeLimit(c.pool.timeout))
			return false
		}
		limit = s.sendLimit(c)
		err = c.conn.socket.send(data, file, limit)
		if file != nil {
			file.Close()
			if err == nil { // the next part is read when this one is
				err = c.conn.socket.awaitRead(ctx, limit)
			}
		}
		if err != nil {
			// The caller has gone, or has not read for as long as the action may take.
			s.count(c, Cancelled)
			c.conn.abort()
			s.cancel(c, sl, s.now())
			return false
		}
		progress = s.now()
	}
}

// deadline is until when the slot has to say something more of a call that has gone on at progress:
// within the time of the pool, and within the caller's own, which counts from the beginning.
func (s *Set) deadline(c *call, progress time.Time) (limit time.Time, own bool) {
	if c.pool.timeout > 0 {
		limit = progress.Add(c.pool.timeout)
	}
	if c.timeout > 0 {
		if end := c.since.Add(c.timeout); limit.IsZero() || end.Before(limit) {
			return end, true
		}
	}
	return limit, false
}

// sendLimit is until when the caller has to take a part of a stream.
func (s *Set) sendLimit(c *call) time.Time {
	limit := s.timeLimit(c.pool.timeout)
	if c.timeout > 0 {
		if end := c.since.Add(c.timeout); limit.IsZero() || end.Before(limit) {
			return end
		}
	}
	return limit
}

// checkReply decodes what a slot says while it runs a call.
func checkReply(data []byte, file *os.File) (wire.PoolMessage, error) {
	m, err := wire.DecodePoolMessage(data)
	if err != nil {
		return m, err
	}
	switch m.Kind {
	case wire.PoolResult, wire.PoolError, wire.PoolChunk, wire.PoolEnd:
		return m, checkFile(&m, file)
	default:
		return m, fmt.Errorf("it sent a message of kind %d for a call", m.Kind)
	}
}

// finished notes the end of a call, and frees its slot.
func (s *Set) finished(c *call, sl *slot, kind wire.PoolKind) {
	if kind == wire.PoolError {
		s.count(c, Raised)
	} else {
		s.count(c, Done)
	}
	s.free(sl)
}

// free releases a slot whose call is over.
func (s *Set) free(sl *slot) {
	s.mu.Lock()
	sl.call = nil
	sl.worker.served++
	s.mu.Unlock()
	s.release(sl)
}

// cancel tells a slot that nobody waits for its call any more, and waits until that has come back. A
// thread cannot be ended: if it does not come back within the time of the pool, its worker is
// ended.
func (s *Set) cancel(c *call, sl *slot, progress time.Time) {
	m := wire.PoolMessage{Kind: wire.PoolCancel}
	_ = sl.socket.sendNow(m.Append(nil), nil) // if there is no room, it does not read
	var limit time.Time
	if c.pool.timeout > 0 {
		limit = progress.Add(c.pool.timeout)
		if least := s.now().Add(cancelGrace); limit.Before(least) {
			limit = least
		}
	}
	for {
		data, file, err := sl.socket.recv(context.Background(), limit)
		if file != nil {
			file.Close()
		}
		switch {
		case err == nil:
		case isTimeout(err):
			s.overrun(sl, c.name())
			limit = time.Time{}
			continue
		case errors.Is(err, errReset):
			continue
		default:
			s.discard(sl)
			return
		}
		// The file was not looked at, and is not read.
		m, err := wire.DecodePoolMessage(data)
		switch {
		case err != nil:
			s.broke(sl, err.Error())
			s.discard(sl)
			return
		case m.Kind == wire.PoolChunk:
		case m.Kind == wire.PoolResult || m.Kind == wire.PoolError || m.Kind == wire.PoolEnd:
			s.free(sl)
			return
		default:
			s.broke(sl, fmt.Sprintf("it sent a message of kind %d for a call", m.Kind))
			s.discard(sl)
			return
		}
	}
}

// fail ends a call with a failure.
func (c *call) fail(s *Set, f *failure) {
	s.count(c, f.outcome)
	c.conn.fail(f)
}

// fail sends a failure as the end of a call.
func (c *conn) fail(f *failure) {
	c.busy.Store(false)
	c.answer(f.encode(), nil)
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
