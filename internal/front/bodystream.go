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
	// A body of up to soonBody is waited for so long that most clients will have sent it
	// by then: in one piece it costs a fraction of what its parts cost.
	soonBody = 1 << 20
	soon     = 100 * time.Millisecond
	// streamPart is how much of a body is sent to an ASGI worker at a time, at most.
	streamPart = 64 << 10
	// maxDrained is how much of a body that the app did not read is read so that the
	// connection can be used again.
	maxDrained = 64 << 10
)

// A bodyStream sends the body of a request to an ASGI worker part by part, as far as the
// worker gives credit. One goroutine reads the body; state tells it how much.
type bodyStream struct {
	ex    *exchange
	rate  *bodyRate // nil: the body has come already
	limit int64     // of the whole body; 0: none

	mu sync.Mutex // comes before that of the worker's send queue
	// +checklocks:mu
	window int64 // bytes that the worker has given credit for
	// +checklocks:mu
	unread int64 // bytes that are still to be read; −1: not known
	// +checklocks:mu
	size int64 // bytes that were read
	// +checklocks:mu
	ended bool // the end was read
	// +checklocks:mu
	stopped    bool   // nobody needs more of the body
	expects100 bool   // the client waits for 100 Continue
	wake       func() // wakes the goroutine
}

// waker returns a function that wakes a goroutine, and the channel on which the goroutine
// waits for that.
func waker() (wake func(), woken <-chan struct{}) {
	c := make(chan struct{}, 1)
	return func() {
		select {
		case c <- struct{}{}:
		default:
		}
	}, c
}

// addCredit enlarges the window by n bytes. It reports false if the window would be larger
// than any may be.
func (b *bodyStream) addCredit(n int64) bool {
	b.mu.Lock()
	within := n <= wire.BodyWindow-b.window
	if within {
		b.window += n
	}
	b.mu.Unlock()
	if within {
		b.wake()
	}
	return within
}

// stop is called when the response is complete: nobody needs the body any more.
func (b *bodyStream) stop() {
	b.mu.Lock()
	b.stopped = true
	ended := b.ended
	b.mu.Unlock()
	if !ended {
		b.wake()
	}
}

// setAnswering is called when the response begins.
func (b *bodyStream) setAnswering() {
	if b.rate != nil {
		b.rate.answering.Store(true)
	}
}

// state returns how many bytes the worker has given credit for, and whether the stream was
// stopped.
func (b *bodyStream) state() (window int64, stopped bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.window, b.stopped
}

func (b *bodyStream) isStopped() bool {
	_, stopped := b.state()
	return stopped
}

// endIsNear reports whether the connection can serve another request after this body: the
// end was read, or little is missing.
func (b *bodyStream) endIsNear() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.unread >= 0 && b.unread <= maxDrained && !b.expects100
}

// takeExpects100 reports, once, whether the client is to be sent 100 Continue.
func (b *bodyStream) takeExpects100() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	expects := b.expects100
	b.expects100 = false
	return expects
}

// count counts n bytes that were read with err. It returns whether the body ends with
// them, and the error that ends the request.
func (b *bodyStream) count(n int, err error) (end bool, _ error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.size += int64(n)
	if b.unread > 0 {
		b.unread = max(0, b.unread-int64(n))
	}
	if b.limit > 0 && b.size > b.limit {
		return false, http1.NewBodyTooLarge(b.size, b.limit)
	}
	if errors.Is(err, io.EOF) {
		b.unread, b.ended = 0, true
		return true, nil
	}
	return false, err
}

// A partBuffer holds a part of a body, with space around it for the event that takes it
// to the worker.
type partBuffer [streamPart + wire.BodyFrame]byte

var partBuffers = sync.Pool{New: func() any { return new(partBuffer) }}

// part returns the space for a part of up to limit bytes.
func (p *partBuffer) part(limit int64) []byte { return p[wire.BodyAt:][:min(limit, streamPart)] }

// forward sends the n bytes that were read into p, with err, to the worker. It returns
// whether the body ends with them, and the error that ends the request.
func (b *bodyStream) forward(p *partBuffer, n int, err error) (end bool, _ error) {
	end, err = b.count(n, err)
	if err != nil || n == 0 && !end {
		return false, err
	}
	b.mu.Lock()
	defer b.mu.Unlock() // until it is stopped the exchange is that of this body
	b.window -= int64(n)
	if !b.stopped {
		b.ex.Send(b.ex.holder, wire.FrameBody(p[:], b.ex.ID(), n, !end))
	}
	return end, nil
}

// isReadWhole reports whether a body is received before its request is handed over, even
// to an ASGI worker: it is small, and the client does not wait for 100 Continue.
func isReadWhole(req *http1.Request) bool {
	return !req.Expect100 && !req.Chunked && req.ContentLength <= inlineBody
}

// streamRequest submits a request whose body the worker gets part by part, and streams the
// body. It returns whether the connection may serve another request after the response.
// With an error the request was not submitted.
func (c *conn) streamRequest(ex *exchange) (keep bool, _ error) {
	if err := ex.refuseBody(c.req.ContentLength); err != nil {
		return false, err
	}
	reader := c.bodyReader()
	defer reader.done()
	b := &bodyStream{ex: ex, limit: ex.cfg.LimitRequestBody, unread: c.req.ContentLength, wake: c.wake, rate: &c.bodyRate}
	b.expects100 = c.req.Expect100 && c.r == c.w
	first := ex.newSpool()
	first.length, first.limit = -1, 0 // b counts
	end, err := c.readFirst(b, reader, first)
	if err != nil {
		first.discard()
		return false, err
	}
	if end {
		if err := ex.encode(first, first.size); err != nil {
			return false, err
		}
		c.submit(ex)
		return true, nil
	}
	ex.bodyStream = b
	if err := ex.encode(first, c.req.ContentLength); err != nil {
		ex.bodyStream = nil
		return false, err
	}
	c.bodyRate.start()
	c.submit(ex)
	return c.streamRest(b, reader), nil
}

// readFirst reads the start of a body into memory: what has come already, and, of a body
// that may come soon, all that comes by then. It returns whether that was the whole body.
func (c *conn) readFirst(b *bodyStream, reader *bodyReader, first *spool) (end bool, _ error) {
	wait := !b.expects100 && !reader.chunked && reader.rest <= soonBody
	if wait {
		first.length = reader.rest
		c.sock.SetReadDeadline(time.Now().Add(c.s.soon))
		defer c.clearWake()
	}
	for (reader.isBuffered() || wait) && first.reserveMemory() {
		space, err := first.space()
		if err != nil {
			return false, err
		}
		n, err := reader.Read(space)
		if n == 0 && isTimeout(err) {
			break
		}
		if err := first.wrote(n); err != nil {
			return false, err
		}
		if end, err := b.count(n, err); end || err != nil {
			return end, err
		}
	}
	return false, nil
}

// streamRest streams the rest of a body to the worker, and reports whether the connection
// may serve another request after the response.
func (c *conn) streamRest(b *bodyStream, reader *bodyReader) (keep bool) {
	keep, err := c.streamParts(b, reader)
	if err == nil {
		return keep
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
		c.s.queue.CancelByClient(&ex.Job) // the response has begun, and is cut off
		return false
	}
	c.giveUp(err)
	return false
}

// streamParts reads a body to its end, or until nobody needs more of it, and sends it to
// the worker. With an error the request cannot be completed.
func (c *conn) streamParts(b *bodyStream, reader *bodyReader) (keep bool, _ error) {
	p := partBuffers.Get().(*partBuffer)
	defer partBuffers.Put(p)
	c.hold(len(p))
	defer c.hold(-len(p))
	for {
		window, stopped, err := c.awaitCredit(b)
		if err != nil {
			return false, err
		}
		if stopped {
			if !b.endIsNear() || c.isEnding() {
				return false, nil
			}
			window = maxDrained
		}
		if b.takeExpects100() {
			c.out.Write(continueLine)
		}
		n, err := c.readStreamed(b, reader, p.part(window))
		c.s.metrics.Load().Receive(int64(n))
		switch end, err := b.forward(p, n, err); {
		case errors.Is(err, errBodyUnwanted):
		case err != nil:
			return false, err
		case end:
			return true, nil
		}
	}
}

// awaitCredit waits until the worker has given credit, or the stream is stopped. It
// notices when the client goes.
func (c *conn) awaitCredit(b *bodyStream) (window int64, stopped bool, err error) {
	if window, stopped = b.state(); window > 0 || stopped {
		return window, stopped, nil
	}
	since := now()
	defer func() { c.bodyRate.pause(now() - since) }()
	for {
		gone := false
		err := c.raw.Read(func(fd uintptr) bool {
			window, stopped = b.state()
			gone = hasHungUp(fd)
			return window > 0 || stopped || gone
		})
		switch {
		case isTimeout(err):
			c.clearWake()
			if window, stopped = b.state(); window > 0 || stopped {
				return window, stopped, nil
			}
		case err != nil:
			return 0, false, err
		case window > 0 || stopped:
			return window, stopped, nil
		case gone:
			return 0, false, io.ErrUnexpectedEOF
		}
	}
}

// readStreamed reads some of a body while its worker waits for it. The error is
// errBodyUnwanted if nobody needs more of it.
func (c *conn) readStreamed(b *bodyStream, reader *bodyReader, p []byte) (int, error) {
	c.awaitingBody.Store(true)
	defer c.awaitingBody.Store(false)
	b.ex.AwaitBody()
	defer c.s.queue.GotBody(&b.ex.Job)
	return c.readPart(reader, p, b.isStopped)
}

// streamFile streams a body that was received already, into a file. It takes the body
// over.
func (ex *exchange) streamFile(body *spool) {
	wake, woken := waker()
	b := &bodyStream{ex: ex, unread: body.size, wake: wake}
	ex.bodyStream = b
	source := io.NewSectionReader(body.file, 0, body.size)
	go func() {
		defer body.discard()
		var p partBuffer
		for end := false; !end; {
			window, stopped := b.state()
			if stopped {
				return
			}
			if window <= 0 {
				<-woken
				continue
			}
			n, err := source.Read(p.part(window))
			if end, err = b.forward(&p, n, err); err != nil {
				ex.s.queue.CancelByClient(&ex.Job)
				return
			}
		}
	}()
}
