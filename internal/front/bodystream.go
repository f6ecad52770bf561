package front

import (
	"errors"
	"io"
	"sync"
	"time"

	"indrik/internal/http1"
	"indrik/internal/wire"
)

const (
	// A body that is not larger than soonBody is waited for so long that most clients
	// will have sent it by then: as a whole it costs a fraction of what its parts do.
	soonBody = 1 << 20
	soon     = 100 * time.Millisecond
	// streamPiece is how much of a body is sent to an ASGI worker at a time, at most.
	streamPiece = 64 << 10
	// drainMost is how much of a body that the app did not want is read for the sake
	// of the connection.
	drainMost = 64 << 10
)

// A feed gives the body of a request to an ASGI worker, as far as the worker wants
// it. One goroutine reads the body: fill tells it how much may be read.
type bodyStream struct {
	ex     *exchange
	source io.Reader // gives io.EOF at the end of the body
	rate   *bodyRate // nil: it is here already
	limit  int64     // of the whole body; 0: none

	mu    sync.Mutex
	room  int64  // bytes that the worker wants
	left  int64  // bytes that are to be read; −1: not known
	size  int64  // bytes that were read
	ended bool   // the end was read
	over  bool   // nobody wants any more
	waits bool   // the client waits for 100 Continue
	wake  func() // has the goroutine look
}

// waker returns what wakes a goroutine, and how that waits for it.
func waker() (wake func(), woken <-chan struct{}) {
	c := make(chan struct{}, 1)
	return func() {
		select {
		case c <- struct{}{}:
		default:
		}
	}, c
}

// want is called when the worker wants n more bytes; false if these are too many.
func (f *bodyStream) want(n int64) bool {
	f.mu.Lock()
	within := n <= wire.BodyWindow-f.room
	if within {
		f.room += n
	}
	f.mu.Unlock()
	if within {
		f.wake()
	}
	return within
}

// stop is called when the response is complete: the body is for nobody.
func (f *bodyStream) stop() {
	f.mu.Lock()
	f.over = true
	ended := f.ended
	f.mu.Unlock()
	if !ended {
		f.wake()
	}
}

// answers is called when the response begins.
func (f *bodyStream) answers() {
	if f.rate != nil {
		f.rate.answering.Store(true)
	}
}

// wanted is how many bytes the worker wants now, and whether nobody will want any.
func (f *bodyStream) wanted() (room int64, over bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.room, f.over
}

// ends tells whether the connection can serve another request after this body: the
// end of it is here, or near.
func (f *bodyStream) ends() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.left >= 0 && f.left <= drainMost && !f.waits
}

// proceed tells whether the client is to be told now that its body is wanted.
func (f *bodyStream) proceed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	waits := f.waits
	f.waits = false
	return waits
}

// took notes what was read; err is what came with it.
func (f *bodyStream) took(n int, err error) (end bool, _ error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.size += int64(n)
	if f.left > 0 {
		f.left = max(0, f.left-int64(n))
	}
	if f.limit > 0 && f.size > f.limit {
		return false, http1.NewBodyTooLarge(f.size, f.limit)
	}
	if errors.Is(err, io.EOF) {
		f.left, f.ended = 0, true
		return true, nil
	}
	return false, err
}

// A partBuffer is for a part of a body, with room around it for the event that takes it
// to the worker.
type partBuffer [streamPiece + wire.BodyFrame]byte

var partBuffers = sync.Pool{New: func() any { return new(partBuffer) }}

// part is where the part goes.
func (b *partBuffer) part(most int64) []byte { return b[wire.BodyAt:][:min(most, streamPiece)] }

// memory is what it needs while it runs.
func (f *bodyStream) memory() int {
	if b, ok := f.source.(*bodyReader); ok && b.chunked {
		return len(partBuffer{}) + len(b.buf)
	}
	return len(partBuffer{})
}

// pass sends to the worker the n bytes that were read into b; err is what came with
// them.
func (f *bodyStream) pass(b *partBuffer, n int, err error) (end bool, _ error) {
	end, err = f.took(n, err)
	if err != nil || n == 0 && !end {
		return false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock() // until over the exchange is that of this body
	f.room -= int64(n)
	if !f.over {
		f.ex.Send(f.ex.holder, wire.FrameBody(b[:], f.ex.ID(), n, !end))
	}
	return end, nil
}

// whole tells whether a body is received before its request is handed over, even to
// an ASGI worker: it is small, and the client has not asked whether it is wanted.
func whole(req *http1.Request) bool {
	return !req.Expect100 && !req.Chunked && req.ContentLength <= inlineBody
}

// beginFeed reads what of the body is there already, or soon, and makes the message.
// There is no feed if that was all of it.
func (c *conn) beginBodyStream(ex *exchange) (*bodyStream, error) {
	req := &c.req
	if err := ex.wanted(req.ContentLength); err != nil {
		return nil, err
	}
	body := c.bodyReader()
	f := &bodyStream{ex: ex, source: body, limit: ex.cfg.LimitRequestBody, left: req.ContentLength, wake: c.wake, rate: &c.bodyRate}
	f.waits = req.Expect100 && c.r == c.w
	first := &spool{s: c.s, store: ex.cfg.dispatch.Arena, holder: c.held, length: -1}
	end, err := c.readFirst(f, first)
	if err != nil {
		first.close()
		return nil, err
	}
	if end {
		body.putBack()
		return nil, ex.encode(first, first.size)
	}
	ex.bodyStream = f
	if err := ex.encode(first, req.ContentLength); err != nil {
		ex.bodyStream = nil
		return nil, err
	}
	c.bodyRate.start()
	return f, nil
}

// readFirst reads the start of a body into memory: what is there, and of one that may
// be there soon all that is by then. end: that was all of it.
func (c *conn) readFirst(f *bodyStream, first *spool) (end bool, _ error) {
	body := f.source.(*bodyReader)
	wait := !f.waits && !body.chunked && body.left <= soonBody
	if wait {
		first.length = body.left
		c.sock.SetReadDeadline(time.Now().Add(soon))
		defer c.sock.SetReadDeadline(time.Time{})
	}
	for (body.buffered() || wait) && first.fits() {
		room, err := first.room()
		if err != nil {
			return false, err
		}
		n, err := body.Read(room)
		if n == 0 && isTimeout(err) {
			break
		}
		if err := first.took(n); err != nil {
			return false, err
		}
		if end, err := f.took(n, err); end || err != nil {
			return end, err
		}
	}
	return false, nil
}

// runFeed feeds the rest of a body to the worker; false if the connection cannot go
// on after the response. With an error the request cannot be completed.
func (c *conn) streamBody(f *bodyStream) (bool, error) {
	buf := partBuffers.Get().(*partBuffer)
	defer partBuffers.Put(buf)
	held := f.memory()
	c.hold(held)
	defer c.hold(-held)
	for {
		room, over, err := c.awaitRoom(f)
		if err != nil {
			return false, err
		}
		if over {
			if !f.ends() || c.isEnding() {
				return false, nil
			}
			room = drainMost
		}
		if f.proceed() {
			c.out.Write(continueLine)
		}
		n, err := c.readSome(f, buf.part(room))
		switch end, err := f.pass(buf, n, err); {
		case errors.Is(err, errBodyUnwanted):
		case err != nil:
			return false, err
		case end:
			f.source.(*bodyReader).putBack()
			return true, nil
		}
	}
}

var errBodyUnwanted = errors.New("the body is for nobody")

// awaitRoom waits until the worker wants more, or nobody does. Meanwhile it notices
// when the client goes.
func (c *conn) awaitRoom(f *bodyStream) (room int64, over bool, err error) {
	if room, over = f.wanted(); room > 0 || over {
		return room, over, nil
	}
	since := now()
	defer func() { c.bodyRate.pause(now() - since) }()
	for {
		gone := false
		err := c.raw.Read(func(fd uintptr) bool {
			room, over = f.wanted()
			gone = hasHungUp(fd)
			return room > 0 || over || gone
		})
		switch {
		case isTimeout(err):
			c.sock.SetReadDeadline(time.Time{})
			if room, over = f.wanted(); room > 0 || over {
				return room, over, nil
			}
		case err != nil:
			return 0, false, err
		case room > 0 || over:
			return room, over, nil
		case gone:
			return 0, false, io.ErrUnexpectedEOF
		}
	}
}

// readSome reads some of a body. It gives up when nobody wants it any more and the
// connection is to end.
func (c *conn) readSome(f *bodyStream, p []byte) (int, error) {
	c.awaitingBody.Store(true)
	defer c.awaitingBody.Store(false)
	f.ex.AwaitBody()
	defer f.ex.s.queue.GotBody(&f.ex.Job)
	for {
		n, err := f.source.Read(p)
		if n > 0 || !isTimeout(err) {
			c.bodyRate.bytes.Add(int64(n))
			return n, err
		}
		c.sock.SetReadDeadline(time.Time{})
		if slow := c.bodyRate.tooSlow.Load(); slow != nil {
			return 0, *slow
		}
		if _, over := f.wanted(); over {
			return 0, errBodyUnwanted
		}
	}
}

// A bodyReader reads the body of c.req, without what its transfer coding adds.
type bodyReader struct {
	c       *conn
	left    int64 // by Content-Length
	chunked bool
	decoder http1.Chunked
	pace    tokenBucket // of small chunks
	in      []byte      // that was read and not decoded
	buf     []byte      // that in is a part of
	head    int         // where in the buffer of c what follows the body goes
	end     bool
}

func (c *conn) bodyReader() *bodyReader {
	b := &bodyReader{c: c, left: c.req.ContentLength, chunked: c.req.Chunked}
	if b.chunked {
		b.decoder.Reset(&c.ex.cfg.http)
		b.pace = piecePace()
		b.head = c.r
		b.buf = make([]byte, copyBuffer)
		b.in = append(b.buf[:0], c.buf[c.r:c.w]...)
	}
	return b
}

// buffered tells whether Read need not wait for the client.
func (b *bodyReader) buffered() bool {
	if b.end {
		return false
	}
	if b.chunked {
		return len(b.in) > 0
	}
	return b.c.r < b.c.w && b.left > 0
}

func (b *bodyReader) Read(p []byte) (n int, err error) {
	if b.chunked {
		return b.readChunked(p)
	}
	c := b.c
	p = p[:min(int64(len(p)), b.left)]
	if c.r < c.w {
		n = copy(p, c.buf[c.r:c.w])
		c.r += n
	} else if len(p) > 0 {
		n, err = c.nc.Read(p)
	}
	b.left -= int64(n)
	if b.left == 0 {
		b.end = true
		return n, io.EOF
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (b *bodyReader) readChunked(p []byte) (int, error) {
	for {
		if len(b.in) > 0 {
			nd, ns, done, err := b.decoder.Decode(p, b.in)
			b.c.slowDown(&b.pace, b.decoder.Chunks(), nd)
			b.in = b.in[ns:]
			if err == nil && done {
				b.end = true
				err = io.EOF
			}
			if nd > 0 || err != nil {
				return nd, err
			}
			if len(b.in) > 0 {
				continue
			}
		}
		n, err := b.c.nc.Read(b.buf)
		if n == 0 && err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		b.in = b.buf[:n]
	}
}

// putBack gives back what was read beyond the body.
func (b *bodyReader) putBack() {
	if b.chunked {
		b.c.putBack(b.head, b.in)
	}
}

// feedAll feeds a body to the worker, and tells whether the connection may serve
// another request after the response.
func (c *conn) streamRest(f *bodyStream) bool {
	ok, err := c.streamBody(f)
	if err == nil {
		return ok
	}
	ex := &c.ex
	var bad *http1.Error
	var status statusError
	if !errors.As(err, &bad) && !errors.As(err, &status) {
		c.s.queue.CancelByClient(&ex.Job) // the client has gone
		return false
	}
	if !c.s.queue.TakeBack(&ex.Job) {
		ex.logCut(status)
		c.s.queue.CancelByClient(&ex.Job) // the response has begun, and is cut
		return false
	}
	c.giveUp(err)
	return false
}

// feedFile feeds a body that was received already, into a file. It takes that over.
func (ex *exchange) streamFile(body *spool) {
	wake, woken := waker()
	f := &bodyStream{ex: ex, source: io.NewSectionReader(body.file, 0, body.size), left: body.size, wake: wake}
	ex.bodyStream = f
	go func() {
		defer body.close()
		var buf partBuffer
		for end := false; !end; {
			room, over := f.wanted()
			if over {
				return
			}
			if room <= 0 {
				<-woken
				continue
			}
			n, err := f.source.Read(buf.part(room))
			if end, err = f.pass(&buf, n, err); err != nil {
				ex.s.queue.CancelByClient(&ex.Job)
				return
			}
		}
	}()
}
