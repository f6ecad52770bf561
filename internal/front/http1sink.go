package front

import (
	"os"

	"indrik/internal/http1"
	"indrik/internal/outbox"
)

// This file is what makes a conn the sink of its responses: how they look in
// HTTP/1.

// apartSize is from which size on a part of a body is not copied behind what goes
// out with it: the copy takes longer than another system call.
const apartSize = 32 << 10

// start notes the head, so that it goes out in one piece with what follows.
func (c *conn) start(h *http1.Head) (http1.Framing, error) {
	b := c.takeScratch()
	b, framing, err := http1.AppendResponseHead(b, h)
	if err != nil {
		c.scratch = b
		c.dropScratch()
		return framing, err
	}
	c.scratch = b
	c.chunked = framing == http1.FramingChunked
	return framing, nil
}

func (c *conn) body(p []byte, last bool) {
	if len(p) >= apartSize && !c.chunked {
		if c.scratch != nil {
			c.out.Write(c.scratch)
			c.dropScratch()
		}
		c.out.Write(p)
		return
	}
	b := c.takeScratch()
	if c.chunked {
		b = http1.AppendChunk(b, p)
		if last {
			b = append(b, http1.LastChunk...)
		}
	} else {
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
	if c.scratch != nil {
		c.out.Write(c.scratch)
		c.dropScratch()
	}
	c.out.SendFile(outbox.FilePart{File: f, Offset: offset, Size: size})
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
	if err == nil {
		c.out.Write(b)
	}
	return err
}

func (c *conn) finish(keep bool) { c.out.Finish(keep) }

func (c *conn) kill() { c.out.Kill() }

func (c *conn) broken() bool { return c.out.HasFailed() }

// takeScratch returns the bytes that are to go out next. Connections share the
// memory for them: most have nothing to say most of the time.
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

// TmpFile makes a file for what is too large for memory.
func (c *conn) TmpFile() (*os.File, error) { return c.s.tmpFile() }

func (c *conn) CannotSpool(err error) { c.s.cannotSpool(err) }

func (c *conn) StartWriting() {
	c.enter(writing)
	go c.out.Run()
}

func (c *conn) StopWriting() {
	if c.phase.Load() == int32(writing) {
		c.enter(running)
	}
}

// ResponseDone is called when all of a response is with the kernel. keep:
// another request may follow.
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

// Abort closes the connection at once. The client sees that its response is
// not complete.
func (c *conn) Abort() {
	c.mu.Lock()
	c.ending = true
	c.mu.Unlock()
	if l, ok := c.sock.(interface{ SetLinger(int) error }); ok {
		l.SetLinger(0)
	}
	c.sock.Close()
}

// answer sends an error page for a request that was not read to its end.
func (c *conn) answer(head, body []byte) {
	c.setBusy(true)
	c.out.Begin(false)
	c.out.Write(append(head, body...))
	c.out.Finish(false)
}
