package front

import (
	"os"
	"time"

	"indrik/internal/gateway"
	"indrik/internal/http1"
	"indrik/internal/outbox"
)

// This file writes responses as HTTP/1: a conn implements sink, and is the owner of its
// outbox.

// apartSize is the size from which a part of a body is sent from where it is: to copy it behind
// the head would take longer than to tell the kernel of two pieces.
const apartSize = 4 << 10

// start keeps the head, so that it is sent in one piece with what follows.
func (c *conn) start(h *http1.Head) (http1.Framing, error) {
	h.Form = c.gateway.form()
	b := c.takeScratch()
	b, framing, err := http1.AppendResponseHead(b, h)
	if err != nil {
		c.scratch = b
		c.dropScratch()
		return framing, err
	}
	if c.gateway.hasRecords() {
		b = gateway.AppendStdout(nil, c.gateway.fastCGI.ID, b)
	}
	c.scratch = b
	c.chunked = framing == http1.FramingChunked
	return framing, nil
}

func (c *conn) body(p []byte, last bool) {
	if len(p) >= apartSize && !c.chunked && !c.gateway.hasRecords() {
		c.out.WriteBoth(c.scratch, p)
		if c.scratch != nil {
			c.dropScratch()
		}
		return
	}
	b := c.takeScratch()
	switch {
	case c.gateway.hasRecords():
		b = gateway.AppendStdout(b, c.gateway.fastCGI.ID, p)
	case c.chunked:
		b = http1.AppendChunk(b, p)
		if last {
			b = append(b, http1.LastChunk...)
		}
	default:
		b = append(b, p...)
	}
	c.scratch = b
	c.out.Write(b)
	c.dropScratch()
}

func (c *conn) file(f *os.File, offset, size int64, last bool) {
	chunk := c.chunked && size > 0
	if chunk {
		c.scratch = http1.AppendChunkSize(c.takeScratch(), size)
	}
	c.out.SendFile(c.scratch, outbox.FilePart{File: f, Offset: offset, Size: size, Encode: true})
	if c.scratch != nil {
		c.dropScratch()
	}
	if chunk {
		c.out.Write([]byte("\r\n"))
	}
}

// trail is called for chunked bodies only.
func (c *conn) trail(fields []http1.Field) {
	b, err := http1.AppendTrailers(c.takeScratch(), fields)
	if err != nil { // they were checked
		b = append(b, http1.LastChunk...)
	}
	c.scratch = b
	c.out.Write(b)
	c.dropScratch()
}

func (c *conn) whenLow(f func()) { c.out.WhenLow(f) }

func (c *conn) hints(fields []http1.Field) error {
	b, err := http1.AppendInterim(nil, 103, fields)
	if err == nil && c.gateway == nil { // no web server takes an interim response
		c.out.Write(b)
	}
	return err
}

func (c *conn) finish(keep bool) {
	if c.gateway.hasRecords() {
		c.out.Write(gateway.AppendEnd(nil, c.gateway.fastCGI.ID))
	}
	c.out.Finish(keep)
}

func (c *conn) kill() { c.out.Kill() }

func (c *conn) broken() bool { return c.out.HasFailed() }

// takeScratch returns the bytes that are to be sent next. Connections share the memory
// for them: most connections send nothing most of the time.
func (c *conn) takeScratch() []byte {
	if c.scratchFrom == nil {
		c.scratchFrom = messages.Get().(*[]byte)
		c.scratch = (*c.scratchFrom)[:0]
	}
	return c.scratch
}

func (c *conn) dropScratch() {
	if cap(c.scratch) <= maxPooled {
		*c.scratchFrom = c.scratch[:0]
		messages.Put(c.scratchFrom)
	}
	c.scratch, c.scratchFrom = nil, nil
}

// TmpFile implements [outbox.Owner].
func (c *conn) TmpFile() (*os.File, error) { return c.s.tmpFile() }

// CannotSpool implements [outbox.Owner].
func (c *conn) CannotSpool(err error) { c.s.cannotSpool(err) }

// StartWriting implements [outbox.Owner].
func (c *conn) StartWriting() {
	c.enter(writing)
	go c.out.Run()
}

// StopWriting implements [outbox.Owner].
func (c *conn) StopWriting() {
	switch {
	case c.phase.Load() != int32(writing):
	case c.h2.Load() != nil:
		c.enter(multiplexed)
	default:
		c.enter(running)
	}
}

// ResponseDone implements [outbox.Owner]: all of a response is with the kernel.
func (c *conn) ResponseDone(keep bool) {
	if f := c.ex.bodyStream; f != nil {
		f.stop()
	}
	c.mu.Lock()
	c.enter(idle) // before run can enter another phase
	c.busy = false
	ending := c.ending
	if !keep {
		c.ending, c.lastAnswered = true, true
	}
	c.notBusy.Broadcast()
	c.mu.Unlock()
	if !keep || ending {
		c.wake()
	} else if c.s.isDraining() {
		c.wakeIfOutstaying()
	} else {
		c.s.capacityChanged()
	}
}

// Abort implements [outbox.Owner]: it closes the connection at once, in a way that the
// client sees that its response is not complete.
func (c *conn) Abort() {
	c.mu.Lock()
	c.ending = true
	c.mu.Unlock()
	if h := c.h2.Load(); h != nil {
		h.wakeReader()
	}
	if l, ok := c.sock.(interface{ SetLinger(int) error }); ok {
		l.SetLinger(0)
	}
	// Closing waits for whoever uses the socket: perhaps for a file that is sent to it, out of a
	// file system that does not answer. The caller holds mutexes, or looks after all connections.
	go c.sock.Close()
}

// answerError answers a request that was not read to its end, see [http1.ErrorPage].
func (c *conn) answerError(status int, reason, message string, more ...http1.Field) {
	var page []byte
	if c.gateway != nil {
		page = c.gateway.errorPage(status, reason, message, more)
	} else {
		head, body := http1.ErrorPage(status, reason, message, date(time.Now()), more...)
		page = append(head, body...)
	}
	c.setBusy(true)
	c.out.Begin(false)
	c.out.Write(page)
	c.out.Finish(false)
}
