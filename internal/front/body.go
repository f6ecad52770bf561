package front

import (
	"fmt"
	"sync"
	"time"

	"indrik/internal/http1"
)

const (
	// inlineBody is the largest body that goes with its request in one message.
	inlineBody = 64 << 10
	// copyBuffer is how much of a body is read at a time that goes to a file.
	copyBuffer = 32 << 10
	// firstPiece is how much memory a body gets before any of it has come: what
	// a client promises costs it nothing.
	firstPiece = 16 << 10
)

var copyBuffers = sync.Pool{New: func() any { b := make([]byte, copyBuffer); return &b }}

// A statusError ends a request with an answer of the server's own.
type statusError struct {
	code int
	text string
	log  bool   // the operator should know
	cut  string // the client was too slow: by which setting
}

func (e statusError) Error() string {
	if e.text == "" {
		return e.cut
	}
	return e.text
}

var (
	errTooSlow = statusError{code: 408, text: "the client sends too slowly"}
	errCrowded = statusError{code: 503, text: "the client has too much open"}
	errBusy    = statusError{code: 503, text: "too many requests wait for a worker"}
)

func errSpool(err error) error {
	return statusError{code: 503, text: fmt.Sprintf("cannot keep a request body: %s", err), log: true}
}

// hasBody tells whether a body follows the head.
func hasBody(req *http1.Request) bool { return req.Chunked || req.ContentLength > 0 }

// readBody reads the body of c.req, and makes the message for the worker.
func (c *conn) readBody(ex *exchange) error {
	req := &c.req
	if !hasBody(req) {
		return ex.encode(nil, req.ContentLength)
	}
	if req.Chunked || int64(c.w-c.r) < req.ContentLength {
		// What is here already is no reason to end the connection.
		if err := ex.wanted(req.ContentLength); err != nil {
			return err
		}
	}
	c.bodyRate.start()
	c.enter(reading)
	if req.Expect100 && c.r == c.w {
		c.out.Write(continueLine)
	}
	body := ex.spool()
	var err error
	if req.Chunked {
		err = c.readChunked(ex.cfg, body)
	} else {
		err = c.readLength(req.ContentLength, body)
	}
	if err != nil {
		body.close()
		return err
	}
	return ex.encode(body, body.size)
}

// wanted tells whether a body is to be received at all. size is −1 if it is not
// known yet.
func (ex *exchange) wanted(size int64) error {
	if limit := ex.cfg.LimitRequestBody; limit > 0 && size > limit {
		return http1.NewBodyTooLarge(size, limit)
	}
	if ex.s.queue.RefuseIfFull(&ex.cfg.dispatch) {
		return errBusy
	}
	return nil
}

var continueLine = []byte("HTTP/1.1 100 Continue\r\n\r\n")

// read reads some of a body. That may take long as long as enough comes; the
// sweep sees to that.
func (c *conn) readBodyPart(p []byte) (int, error) {
	for {
		n, err := c.nc.Read(p)
		if n > 0 || !isTimeout(err) {
			c.bodyRate.bytes.Add(int64(n))
			return n, err
		}
		c.sock.SetReadDeadline(time.Time{})
		if slow := c.bodyRate.tooSlow.Load(); slow != nil {
			return 0, *slow
		}
	}
}

// readLength reads a body of n bytes.
func (c *conn) readLength(n int64, body *spool) error {
	take := min(int64(c.w-c.r), n)
	if err := body.write(c.buf[c.r : c.r+int(take)]); err != nil {
		return err
	}
	c.r += int(take)
	for n -= take; n > 0; {
		room, err := body.room()
		if err != nil {
			return err
		}
		got, err := c.readBodyPart(room[:min(n, int64(len(room)))])
		if err := body.took(got); err != nil {
			return err
		}
		n -= int64(got)
		if err != nil && n > 0 {
			return err
		}
	}
	return nil
}

// readChunked reads a chunked body. What follows it stays in the buffer.
func (c *conn) readChunked(cfg *config, body *spool) error {
	var decoder http1.Chunked
	decoder.Reset(&cfg.http)
	pace := piecePace()
	buf := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	c.hold(copyBuffer)
	defer c.hold(-copyBuffer)
	head := c.r // it stays where it is
	in := append((*buf)[:0], c.buf[c.r:c.w]...)
	var out []byte // empty while no data is known to come: the body may end here
	for {
		nd, ns, done, err := decoder.Decode(out, in)
		c.slowDown(&pace, decoder.Chunks(), nd)
		if err := body.took(nd); err != nil {
			return err
		}
		in, out = in[ns:], nil
		if err != nil {
			return err
		}
		if done {
			c.putBack(head, in)
			return nil
		}
		if len(in) > 0 {
			if out, err = body.room(); err != nil {
				return err
			}
			continue
		}
		n, err := c.readBodyPart(*buf)
		if n == 0 && err != nil {
			return err
		}
		in = (*buf)[:n]
	}
}

// slowDown waits if too many of so many chunks had but a few bytes.
func (c *conn) slowDown(pace *tokenBucket, chunks, bytes int) {
	small := chunks - bytes/smallPiece
	if small <= 0 {
		return
	}
	if d := pace.spend(now(), small); d > 0 {
		c.s.slowings.slowed(c.s.log, &c.info, "chunks of a few bytes")
		sleepUnless(d, c.isEnding)
	}
}

// putBack puts bytes that were read too many behind the head.
func (c *conn) putBack(at int, extra []byte) {
	if need := at + len(extra); need > len(c.buf) {
		bigger := make([]byte, need+readBuffer)
		copy(bigger, c.buf[:at])
		// The request is still in the old buffer, which it keeps alive.
		c.buf = bigger
		c.holdBuffer()
	}
	c.r = at
	c.w = at + copy(c.buf[at:], extra)
}
