package front

import (
	"errors"
	"io"
	"sync"

	"indrik/internal/gateway"
	"indrik/internal/http1"
)

// hasBody reports whether a body follows the head.
func hasBody(req *http1.Request) bool { return req.Chunked || req.ContentLength > 0 }

// A bodyReader reads the body of c.req, without what its transfer coding adds.
type bodyReader struct {
	c     *conn
	rest  int64 // bytes that are still to come, by Content-Length
	ended bool

	// Of a chunked body.
	chunked bool
	decoder bodyDecoder // one of the next two
	chunks  http1.Chunked
	stdin   gateway.Stdin
	pace    tokenBucket // of small chunks
	in      []byte      // bytes that were read and not decoded
	buf     *[]byte     // that in is a part of
	head    int         // where in the connection's buffer the bytes after the body go
	decoded bool        // Read was called
}

var bodyReaders = sync.Pool{New: func() any { return new(bodyReader) }}

// bodyReader returns a reader of the body. The caller has to call done.
func (c *conn) bodyReader() *bodyReader {
	b := bodyReaders.Get().(*bodyReader)
	b.c, b.rest, b.chunked, b.ended, b.decoded = c, c.req.ContentLength, c.req.Chunked, false, false
	if b.chunked {
		b.reset(&c.ex.cfg.http)
		b.pace = piecePace()
		b.head = c.r
		b.buf = copyBuffers.Get().(*[]byte)
		c.hold(copyBuffer)
		b.in = append((*b.buf)[:0], c.buf[c.r:c.w]...)
	}
	return b
}

// A bodyDecoder removes from a body what stands between its parts: [http1.Chunked] or
// [gateway.Stdin].
type bodyDecoder interface {
	Decode(dst, src []byte) (nd, ns int, done bool, err error)
	Chunks() int
}

// reset chooses the decoder.
func (b *bodyReader) reset(cfg *http1.Config) {
	if g := b.c.gateway; g.hasRecords() {
		b.stdin.Reset(g.fastCGI.ID, b.c.req.ContentLength)
		b.decoder = &b.stdin
		return
	}
	b.chunks.Reset(cfg)
	b.decoder = &b.chunks
}

// done ends the reading. Bytes that were read after the body, if all of it was read, go
// back to the connection's buffer.
func (b *bodyReader) done() {
	c := b.c
	if b.chunked {
		if b.ended {
			c.putBack(b.head, b.in)
		}
		copyBuffers.Put(b.buf)
		c.hold(-copyBuffer)
	}
	b.c, b.in, b.buf = nil, nil, nil
	bodyReaders.Put(b)
}

// isBuffered reports whether Read need not wait for the client.
func (b *bodyReader) isBuffered() bool {
	switch {
	case b.ended:
		return false
	case b.chunked:
		return len(b.in) > 0
	}
	return b.c.r < b.c.w && b.rest > 0
}

// expectsData reports whether bytes of the body are known to come. If not, Read without
// space finds out whether a chunked body ends here.
func (b *bodyReader) expectsData() bool { return !b.chunked || b.decoded && len(b.in) > 0 }

// Read returns io.EOF with, or after, the last bytes of the body.
func (b *bodyReader) Read(p []byte) (n int, err error) {
	if b.chunked {
		return b.readChunked(p)
	}
	c := b.c
	p = p[:min(int64(len(p)), b.rest)]
	if c.r < c.w {
		n = copy(p, c.buf[c.r:c.w])
		c.r += n
	} else if len(p) > 0 {
		n, err = c.nc.Read(p)
	}
	b.rest -= int64(n)
	if b.rest == 0 {
		b.ended = true
		return n, io.EOF
	}
	return n, unexpected(err)
}

func (b *bodyReader) readChunked(p []byte) (int, error) {
	for {
		if len(b.in) > 0 {
			nd, ns, done, err := b.decoder.Decode(p, b.in)
			b.decoded = true
			b.slowDown(b.decoder.Chunks(), nd)
			b.in = b.in[ns:]
			if err == nil && done {
				b.ended = true
				err = io.EOF
			}
			if nd > 0 || err != nil {
				return nd, asRequestError(err)
			}
			if len(b.in) > 0 && len(p) > 0 {
				continue
			}
			if len(p) == 0 {
				return 0, nil
			}
		}
		n, err := b.c.nc.Read(*b.buf)
		if n == 0 && err != nil {
			return 0, unexpected(err)
		}
		b.in = (*b.buf)[:n]
	}
}

// unexpected returns err, or io.ErrUnexpectedEOF for the end of a connection within a
// body.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// slowDown sleeps if too many chunks had only a few bytes. It is told how many chunks
// were decoded, and how many bytes of data they had.
func (b *bodyReader) slowDown(chunks, bytes int) {
	small := chunks - bytes/smallPiece
	if small <= 0 {
		return
	}
	if d := b.pace.spend(now(), small); d > 0 {
		c := b.c
		c.s.slowings.slowed(c.s.log, &c.info, "chunks of a few bytes")
		sleepUnless(d, c.isEnding)
	}
}

// putBack puts bytes that were read after a body into the connection's buffer, behind the
// head.
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

// readPart reads some of a body. That may take as long as the body is not too slow; the
// deadline sweep checks that, and wakes this goroutine. Once unwanted, which may be nil,
// reports true after that, the error is errBodyUnwanted.
func (c *conn) readPart(body *bodyReader, p []byte, unwanted func() bool) (int, error) {
	for {
		n, err := body.Read(p)
		if n > 0 || !isTimeout(err) {
			c.bodyRate.bytes.Add(int64(n))
			return n, err
		}
		c.clearWake()
		if slow := c.bodyRate.tooSlow.Load(); slow != nil {
			return 0, *slow
		}
		if unwanted != nil && unwanted() {
			return 0, errBodyUnwanted
		}
	}
}

var errBodyUnwanted = errors.New("the body is for nobody")
