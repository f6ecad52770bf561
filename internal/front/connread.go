package front

import (
	"errors"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"indrik/internal/http1"
	"indrik/internal/wire"
)

// This file is how the bytes of a client get into the buffer of its connection.

var (
	errInProgress = errors.New("a request is in progress")
	errLost       = errors.New("the client was lost during its request")
)

// fill waits for bytes and reads them into the buffer. A timeout means only that
// there may be something else to do.
func (c *conn) read() error {
	if c.tls != nil {
		return c.readTLS()
	}
	if err := c.raw.Read(c.readFn); err != nil {
		if isTimeout(err) {
			c.sock.SetReadDeadline(time.Time{})
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

// fillNext is fill for the first bytes of a request after others. Those that come
// as a whole are handed over on the way, and it goes on waiting: so it returns
// with a request in progress, perhaps, and the bytes of another.
func (c *conn) readNext() error {
	c.fastPath = c.tls == nil && c.served.Load()
	defer func() { c.fastPath = false }()
	return c.read()
}

// inProgress is what becomes of a connection of which fillNext said err while a
// request is in progress.
func (c *conn) inProgress(err error) error {
	if err != nil && !isTimeout(err) {
		c.lost(err)
		return errLost
	}
	return errInProgress
}

// takeWhole takes what was just read, if it is one request and nothing else, hands
// it over, and tells whether it did. The usual request is: no body, or a small one, and
// the client waits for the answer.
//
// The read has left nothing in the socket. So there is no need to try it again
// before the poller says that there is more: it does, since it was reset before
// that read. That saves a system call for each request. Only the end that came in
// one packet with a request would be missed: the sweep has it looked for.
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
	c.beginExchange(cfg)
	if c.ex.encode(body, c.req.ContentLength) != nil {
		c.ex.Release()
		c.setBusy(false)
		return false // so serveOne finds, too
	}
	c.r, c.w = end, end
	c.hasBuffer.Store(true)
	c.phase.Store(int32(running)) // it has no limit, and so no beginning
	c.untried.Store(true)
	c.s.submit(&c.ex, c.ex.Start)
	return true
}

// isFree tells whether a request may begin.
func (c *conn) isFree() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.busy && !c.ending && !c.s.isDraining()
}

// fillTLS does so through TLS. What it has decrypted is out of sight, so that an
// idle connection waits for a single byte, for which it needs no buffer.
func (c *conn) readTLS() error {
	if c.r == c.w && (c.betweenFrames || !c.isBusy()) {
		c.releaseBuffer()
	}
	var first [1]byte
	p := first[:]
	if c.buf != nil {
		p = c.buf[c.w:]
	}
	n, err := c.nc.Read(p)
	if isTimeout(err) {
		c.sock.SetReadDeadline(time.Time{})
	}
	if n == 0 {
		return err
	}
	if c.buf == nil {
		c.buf = *buffers.Get().(*[]byte)
		c.buf[0] = first[0]
	}
	c.w += n
	return nil
}

// tryRead reads without waiting. A connection that waits for its next request
// holds no buffer.
func (c *conn) tryRead(fd uintptr) bool {
	if c.buf == nil {
		c.buf = *buffers.Get().(*[]byte)
		c.r, c.w = 0, 0
	}
	quick := c.fastPath && c.r == c.w && c.isFree()
	if quick {
		c.r, c.w = 0, 0 // the request that was there is over
	}
	c.readBytes, c.readErr = wire.ReadNow(fd, c.buf[c.w:])
	if c.untried.Load() {
		c.untried.Store(false)
	}
	if c.readErr == nil && c.readBytes > 0 && c.readBytes < len(c.buf)-c.w && quick && c.submitFromRead() {
		return false
	}
	if errors.Is(c.readErr, unix.EAGAIN) {
		c.mu.Lock()
		free := (c.betweenFrames || !c.busy) && c.r == c.w
		c.mu.Unlock()
		if free {
			c.releaseBuffer()
		}
		c.hasBuffer.Store(!free)
		return false
	}
	return true
}

func (c *conn) releaseBuffer() {
	if len(c.buf) == readBuffer {
		b := c.buf
		buffers.Put(&b)
	}
	c.buf, c.r, c.w = nil, 0, 0
	c.holdBuffer()
	c.req.Forget()
	c.ex.forget()
	if now()-c.since.Load() > int64(bufferTime) {
		// Not between two requests that follow each other: making these anew
		// costs more than the rest.
		c.req = http1.Request{}
		c.ex.fields, c.ex.responseFields, c.ex.nameBuf = nil, nil, nil
	}
}

// makeRoom moves the unread bytes to the start of the buffer, or to a larger
// one. The parser bounds how large a head gets.
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
