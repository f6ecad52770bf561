package front

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"

	"indrik/internal/http1"
	"indrik/internal/wire"
)

// This file reads the bytes of a client into the buffer of its connection, and submits a
// request that comes in one read.

var (
	errInProgress = errors.New("a request is in progress")
	errLost       = errors.New("the client was lost during its request")
)

// read waits for bytes and reads them into the buffer. A time-out means only that the
// goroutine was woken.
func (c *conn) read() error {
	if c.tls != nil {
		return c.readTLS()
	}
	if err := c.raw.Read(c.readFn); err != nil {
		if isTimeout(err) {
			c.clearWake()
		}
		return err
	}
	if c.readErr != nil {
		return c.readErr
	}
	if c.readBytes == 0 {
		return io.EOF
	}
	c.w += c.readBytes
	return nil
}

// readNext waits for the next request on a connection that has served one. A request that
// arrives whole in one read is submitted at once, and readNext keeps waiting. So it may
// return while that request is in progress, with the first bytes of the one after it in
// the buffer.
func (c *conn) readNext() error {
	c.fastPath = c.tls == nil && c.gateway == nil && c.served.Load()
	defer func() { c.fastPath = false }()
	return c.read()
}

// endOfNext returns the error of readHead for an error of readNext that came while a
// request was in progress.
func (c *conn) endOfNext(err error) error {
	if err != nil && !isTimeout(err) {
		c.lost(err)
		return errLost
	}
	return errInProgress
}

// submitFromRead submits what was just read if that is one request and nothing else, and
// reports whether it is. Most requests are: they have no body, or a small one, and the
// client waits for the answer.
//
// The read has left nothing in the socket. So the caller need not read again before the
// poller says that there is more; it will, since it was armed before the read. That saves
// a system call a request. Only the end of what the client sends would be missed if it
// came in one packet with the request: c.untried makes the deadline sweep look for it.
func (c *conn) submitFromRead() bool {
	cfg, end := c.s.config(), c.w+c.readBytes
	n, err := http1.ParseRequest(&cfg.http, c.buf[c.w:end], &c.req)
	if err != nil || !c.req.KeepAlive || c.req.ForceClose || len(c.req.Get("Upgrade")) > 0 {
		return false // serveOne parses it again
	}
	var body *spool
	if left := int64(end - c.w - n); hasBody(&c.req) {
		limit := cfg.LimitRequestBody
		if c.req.Chunked || left != c.req.ContentLength || left > inlineBody || limit > 0 && left > limit {
			return false
		}
		body = &spool{s: c.s, mem: c.buf[c.w+n : end], size: left}
	} else if left > 0 {
		return false
	}
	c.roomy = c.readBytes > readBuffer
	c.beginExchange(cfg)
	if c.ex.encode(body, c.req.ContentLength) != nil {
		c.ex.Release()
		c.setBusy(false)
		return false // serveOne finds the same error
	}
	c.r, c.w = end, end
	c.hasBuffer.Store(true)
	c.phase.Store(int32(running)) // running has no deadline, so its start is not recorded
	c.untried.Store(true)
	c.s.submit(&c.ex, c.ex.Start)
	return true
}

// isFree reports whether a request may begin.
func (c *conn) isFree() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.busy && !c.ending && !c.s.isDraining()
}

// readTLS is read for a connection with TLS. The poller does not see what TLS has
// decrypted already, so an idle connection waits for a single byte, for which it needs no
// buffer.
func (c *conn) readTLS() error {
	if c.r == c.w && (c.betweenFrames || !c.isBusy()) && !c.out.HasFailed() { // see tryRead
		c.releaseBuffer()
	}
	var first [1]byte
	p := first[:]
	if c.buf != nil {
		p = c.buf[c.w:]
	}
	n, err := c.nc.Read(p)
	if isTimeout(err) {
		c.clearWake()
	}
	if n == 0 {
		return err
	}
	if c.buf == nil {
		c.takeBuffer()
		c.buf[0] = first[0]
	}
	c.w += n
	return nil
}

// tryRead reads without waiting; the poller calls it through readFn. A connection that
// waits for its next request holds no buffer.
func (c *conn) tryRead(fd uintptr) bool {
	if c.buf == nil {
		c.takeBuffer()
		c.r, c.w = 0, 0
	}
	alone := c.fastPath && c.r == c.w && c.isFree()
	if alone {
		c.r, c.w = 0, 0 // the request before is over
	}
	c.readBytes, c.readErr = wire.ReadNow(fd, c.buf[c.w:])
	if c.untried.Load() {
		c.untried.Store(false)
	}
	if c.readErr == nil && c.readBytes > 0 && c.readBytes < len(c.buf)-c.w && alone && c.submitFromRead() {
		return false
	}
	if errors.Is(c.readErr, unix.EAGAIN) {
		if c.h2.Load() != nil {
			if !c.hasBuffer.Load() {
				c.releaseBuffer() // it is to rest, see http2Conn.readMore
			}
			return false
		}
		c.mu.Lock()
		free := (c.betweenFrames || !c.busy) && c.r == c.w
		c.mu.Unlock()
		// Whoever answers may still look at the request of a response that was cut off.
		free = free && !c.out.HasFailed()
		if free {
			c.releaseBuffer()
		}
		c.hasBuffer.Store(!free)
		return false
	}
	return true
}

// takeBuffer gives the connection a buffer for its next request.
func (c *conn) takeBuffer() {
	pool := &buffers
	if c.roomy {
		pool = &roomyBuffers
	}
	c.buf = *pool.Get().(*[]byte)
	c.holdBuffer()
}

func (c *conn) releaseBuffer() {
	switch b := c.buf; len(b) {
	case readBuffer:
		buffers.Put(&b)
	case roomyBuffer:
		roomyBuffers.Put(&b)
	}
	c.buf, c.r, c.w = nil, 0, 0
	c.holdBuffer()
	c.req.Forget()
	c.ex.forget()
	if now()-c.since.Load() > int64(bufferTime) {
		// Not between two requests that follow each other at once: making these again
		// costs more than all else here.
		c.req = http1.Request{}
		c.ex.fields, c.ex.responseFields, c.ex.nameBuf = nil, nil, nil
	}
}

// growBuffer moves the unread bytes to the start of the buffer, or to a larger buffer.
// The parser bounds the size of a head.
func (c *conn) growBuffer(cfg *config) {
	if c.r > 0 {
		c.w = copy(c.buf, c.buf[c.r:c.w])
		c.r = 0
		return
	}
	bigger := make([]byte, min(2*len(c.buf), cfg.maxHead+readBuffer))
	if len(bigger) <= len(c.buf) {
		bigger = make([]byte, 2*len(c.buf))
	}
	copy(bigger, c.buf[:c.w])
	c.buf = bigger
	c.holdBuffer()
}
