package front

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"indrik/internal/http1"
	"indrik/internal/wire"
)

const (
	// inlineBody is the largest body that goes with its request in one message.
	inlineBody = 64 << 10
	// copyBuffer is how much of a body is read at a time.
	copyBuffer = 32 << 10
	// firstPiece is how much memory a body gets before any of it has come: what
	// a client promises costs it nothing.
	firstPiece = 16 << 10
)

var copyBuffers = sync.Pool{New: func() any { b := make([]byte, copyBuffer); return &b }}

var (
	errTooSlow = errors.New("the client sends too slowly")
	errSpool   = errors.New("cannot keep a request body")
)

// readBody reads the body of c.req, and makes the message for the worker.
func (c *conn) readBody(ex *exchange) error {
	req := &c.req
	switch {
	case req.Chunked:
	case req.ContentLength > 0:
	default:
		length := req.ContentLength // 0 or −1
		if err := c.encode(ex, length); err != nil {
			return err
		}
		return c.finishMessage(ex, []byte{}, nil)
	}
	c.enter(reading)
	if req.Expect100 && c.r == c.w {
		// A client that has read none of the responses so far must not hold
		// this goroutine for ever.
		c.nc.SetWriteDeadline(time.Now().Add(stallTime))
		if _, err := c.nc.Write(continueLine); err != nil {
			return err
		}
		c.nc.SetWriteDeadline(time.Time{})
	}
	var body spool
	body.s = c.s
	var err error
	if req.Chunked {
		err = c.readChunked(ex.cfg, &body)
	} else {
		err = c.readLength(req.ContentLength, &body)
	}
	if err == nil {
		err = c.encode(ex, body.size)
	}
	if err != nil {
		body.close()
		return err
	}
	if body.file != nil {
		return c.finishMessage(ex, nil, body.file)
	}
	return c.finishMessage(ex, body.mem, nil)
}

var continueLine = []byte("HTTP/1.1 100 Continue\r\n\r\n")

// finishMessage completes ex.message, which has the id and the environ, with
// the body, or the file that holds it.
func (c *conn) finishMessage(ex *exchange, body []byte, file *os.File) error {
	if file != nil {
		ex.files = append(ex.files, file)
	}
	if len(ex.message)+len(body)+16 > wire.MaxMessage {
		environ := ex.message[idOffset+4:]
		if file != nil {
			body = nil
		}
		if err := ex.spill(environ, body); err != nil {
			return fmt.Errorf("%w: %w", errSpool, err)
		}
		ex.message = wire.AppendNone(ex.message[:idOffset+4])
		// The file of the environ holds a small body, too.
		if file == nil {
			ex.message = wire.AppendBytes(ex.message, nil)
			return nil
		}
		ex.message = wire.AppendNone(ex.message)
		return nil
	}
	if file != nil {
		ex.message = wire.AppendNone(ex.message)
	} else {
		ex.message = wire.AppendBytes(ex.message, body)
	}
	return nil
}

// read reads some of a body. That may take long as long as something comes.
func (c *conn) read(p []byte) (int, error) {
	for {
		n, err := c.nc.Read(p)
		if n > 0 || !isTimeout(err) {
			c.progress()
			return n, err
		}
		c.nc.SetReadDeadline(time.Time{})
		if err := c.inTime(stallTime); err != nil {
			return 0, err
		}
	}
}

// readLength reads a body of n bytes.
func (c *conn) readLength(n int64, body *spool) error {
	body.mem = make([]byte, 0, min(n, firstPiece))
	take := min(int64(c.w-c.r), n)
	if err := body.write(c.buf[c.r : c.r+int(take)]); err != nil {
		return err
	}
	c.r += int(take)
	n -= take
	if n == 0 {
		return nil
	}
	buf := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	for n > 0 {
		got, err := c.read((*buf)[:min(n, copyBuffer)])
		if err := body.write((*buf)[:got]); err != nil {
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
	buf, out := copyBuffers.Get().(*[]byte), copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	defer copyBuffers.Put(out)
	head := c.r // it stays where it is
	in := append((*buf)[:0], c.buf[c.r:c.w]...)
	for {
		nd, ns, done, err := decoder.Decode(*out, in)
		if err := body.write((*out)[:nd]); err != nil {
			return err
		}
		in = in[ns:]
		if err != nil {
			return err
		}
		if done {
			c.putBack(head, in)
			return nil
		}
		if len(in) > 0 {
			continue // out was full
		}
		n, err := c.read(*buf)
		if n == 0 && err != nil {
			return err
		}
		in = (*buf)[:n]
	}
}

// putBack puts bytes that were read too many behind the head.
func (c *conn) putBack(at int, extra []byte) {
	if need := at + len(extra); need > len(c.buf) {
		bigger := make([]byte, need+readBuffer)
		copy(bigger, c.buf[:at])
		// The request is still in the old buffer, which it keeps alive.
		c.buf = bigger
	}
	c.r = at
	c.w = at + copy(c.buf[at:], extra)
}

// A spool keeps bytes in memory, and in an unlinked temporary file once they
// are many.
type spool struct {
	s    *server
	mem  []byte
	file *os.File
	size int64
}

func (b *spool) write(p []byte) error {
	if b.file == nil && len(b.mem)+len(p) <= inlineBody {
		b.mem = append(b.mem, p...)
		b.size += int64(len(p))
		return nil
	}
	if b.file == nil {
		f, err := b.s.tmpFile()
		if err != nil {
			return fmt.Errorf("%w: %w", errSpool, err)
		}
		b.file = f
		p0 := b.mem
		b.mem = nil
		if _, err := f.Write(p0); err != nil {
			return fmt.Errorf("%w: %w", errSpool, err)
		}
	}
	if _, err := b.file.Write(p); err != nil {
		return fmt.Errorf("%w: %w", errSpool, err)
	}
	b.size += int64(len(p))
	return nil
}

func (b *spool) close() {
	if b.file != nil {
		b.file.Close()
	}
}
