package outbox

import (
	"errors"
	"io"
	"os"
	"sync"

	"indrik/internal/account"
)

const (
	// maxMemory is how much of a response waits in memory for a client that
	// is slower than its worker, and maxFile how much in a temporary file.
	// Beyond that the worker has to wait.
	maxMemory = 256 << 10
	maxFile   = 1 << 30
	// maxBounded is how much waits in memory of a response whose sender bounds it: the
	// window of an ASGI worker, a part that goes beyond it, and what was there before.
	maxBounded = 512 << 10
	// joinSize is the size up to which bytes in memory are joined, so that an app
	// that gives single bytes does not take many times the space.
	joinSize = 16 << 10
	// lowMark is how little of a response is kept when an ASGI worker may send
	// more of it.
	lowMark = 64 << 10
	// pieceSize is how much is kept at a time.
	pieceSize = 64 << 10
)

var errKilled = errors.New("the connection was closed")

// An Outbox writes responses to a client, one after the other.
type Outbox struct {
	transport Transport
	owner     Owner
	holder    *account.Holder

	mu   sync.Mutex
	less sync.Cond // less is kept, or writing has failed
	// +checklocks:mu
	kept []piece
	// +checklocks:mu
	memory int // bytes kept in memory
	// +checklocks:mu
	writing bool // a goroutine writes what is kept
	// +checklocks:mu
	failed error // nothing can be written any more
	// +checklocks:mu
	complete bool // the response is
	// +checklocks:mu
	keep bool // another response may follow
	// +checklocks:mu
	told bool // the owner knows that the response is done

	spool    *os.File
	spoolEnd int64 // where the next bytes go; never beyond maxFile
	spooled  int64 // bytes in it that are not sent yet

	bounded bool // the sender sees to it that not much is kept

	files int64  // bytes of other files that are not sent yet
	onLow func() // to be called when little is kept
}

// An Owner is the connection, or the stream, whose responses an outbox writes.
type Owner interface {
	TmpFile() (*os.File, error)
	CannotSpool(err error)  // a response cannot be kept in a file: its worker waits
	StartWriting()          // something waits for the client: another goroutine is to call Run
	StopWriting()           // nothing does any more
	ResponseDone(keep bool) // all of a response is with the kernel; keep: another may follow
	Abort()                 // close the connection at once
}

// A piece is bytes in memory, a part of a file, or something to be done between
// these. One that is being sent may be bytes and a part of a file behind them.
type piece struct {
	do   func() error
	data []byte
	part FilePart
}

// Init prepares o, which must not be copied afterwards.
func (o *Outbox) Init(transport Transport, owner Owner) {
	o.transport, o.owner = transport, owner
	o.less.L = &o.mu
}

// SetTransport makes o send by another transport. Nothing may have been written yet.
func (o *Outbox) SetTransport(transport Transport) { o.transport = transport }

// SetHolder makes h account for the memory of o. Nothing may have been written yet.
func (o *Outbox) SetHolder(h *account.Holder) { o.holder = h }

// Begin makes o ready for the next response. bounded: its sender sees to it that not
// much is kept.
func (o *Outbox) Begin(bounded bool) {
	o.mu.Lock()
	o.bounded = bounded
	o.complete, o.told, o.onLow = false, false, nil
	o.mu.Unlock()
}

// IsWriting reports whether something waits for the client.
func (o *Outbox) IsWriting() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.writing
}

// Kept returns how many bytes wait for the client, besides those that the transport has.
func (o *Outbox) Kept() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.keptLocked()
}

// HasFailed reports whether a response was cut off.
func (o *Outbox) HasFailed() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.failed != nil
}

// Write sends p, or keeps what cannot be sent now. p stays the caller's.
func (o *Outbox) Write(p []byte) { o.WriteBoth(nil, p) }

// WriteBoth is Write for what comes in two pieces, so that they need not be joined.
func (o *Outbox) WriteBoth(head, p []byte) {
	if len(head)+len(p) == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failed != nil {
		return
	}
	if !o.writing {
		var err error
		if head, p, err = o.transport.Try(head, p); err != nil {
			o.failLocked(err)
			return
		}
		if len(head)+len(p) == 0 {
			if o.transport.Pending() {
				o.startWritingLocked()
			}
			return
		}
	}
	o.keepAllLocked(head)
	o.keepAllLocked(p)
}

// keepAllLocked keeps a copy of p for the goroutine that writes what is kept.
// +checklocks:o.mu
func (o *Outbox) keepAllLocked(p []byte) {
	for len(p) > 0 && o.failed == nil {
		n := min(len(p), pieceSize)
		o.keepLocked(p[:n])
		o.startWritingLocked()
		p = p[n:]
	}
}

// keepLocked keeps a copy of p, and waits if too much is kept, unless the sender bounds
// that anyway.
// +checklocks:o.mu
func (o *Outbox) keepLocked(p []byte) {
	for o.failed == nil {
		if o.memory+len(p) <= o.maxMemoryLocked() {
			o.keepInMemoryLocked(p)
			return
		}
		if o.keepInFileLocked(p) {
			return
		}
		if o.bounded {
			o.keepInMemoryLocked(p)
			return
		}
		o.startWritingLocked()
		o.less.Wait()
	}
}

// +checklocks:o.mu
func (o *Outbox) maxMemoryLocked() int {
	if o.bounded {
		return maxBounded
	}
	return maxMemory
}

// +checklocks:o.mu
func (o *Outbox) keepInMemoryLocked(p []byte) {
	o.memory += len(p)
	o.holder.Hold(int64(len(p)))
	if last := len(o.kept) - 1; last >= 0 && o.kept[last].data != nil && len(o.kept[last].data)+len(p) <= joinSize {
		o.kept[last].data = append(o.kept[last].data, p...)
		return
	}
	o.kept = append(o.kept, piece{data: append([]byte(nil), p...)})
}

// keepInFileLocked keeps p in the temporary file. It reports false if that fails, for
// example because the disk is full: then the worker has to wait.
// +checklocks:o.mu
func (o *Outbox) keepInFileLocked(p []byte) bool {
	if o.spooled == 0 {
		// All of it was sent. The next bytes go to another file: what sendfile(2) has sent is
		// a reference to this one until the client has read it.
		if o.spool != nil {
			o.spool.Close()
			o.spool = nil
		}
		o.spoolEnd = 0
	}
	if max(o.spooled, o.spoolEnd)+int64(len(p)) > maxFile {
		return false
	}
	if o.spool == nil {
		f, err := o.owner.TmpFile()
		if err != nil {
			o.owner.CannotSpool(err)
			return false
		}
		o.spool = f
	}
	n, err := o.spool.WriteAt(p, o.spoolEnd)
	if err != nil {
		o.owner.CannotSpool(err)
		return false
	}
	if last := len(o.kept) - 1; last >= 0 && o.kept[last].part.File == o.spool &&
		o.kept[last].part.Offset+o.kept[last].part.Size == o.spoolEnd {
		o.kept[last].part.Size += int64(n)
	} else {
		o.kept = append(o.kept, piece{part: FilePart{File: o.spool, Offset: o.spoolEnd, Size: int64(n)}})
	}
	o.spoolEnd += int64(n)
	o.spooled += int64(n)
	return true
}

// SendFile sends head, which stays the caller's, and then a part of a file, which it takes over.
// Another goroutine sends them: a file system may be slow, or not answer at all.
func (o *Outbox) SendFile(head []byte, part FilePart) {
	if part.Size == 0 {
		part.File.Close()
		o.Write(head)
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.keepAllLocked(head)
	if o.failed != nil {
		part.File.Close()
		return
	}
	o.kept = append(o.kept, piece{part: part})
	o.files += part.Size
	o.startWritingLocked()
}

// WhenLow calls f once little is kept: at once if that is so now. The call comes from
// another goroutine otherwise, and without the mutex.
func (o *Outbox) WhenLow(f func()) {
	o.mu.Lock()
	if o.failed == nil && !o.isLowLocked() {
		o.onLow = f
		f = nil
	}
	o.mu.Unlock()
	if f != nil {
		f()
	}
}

// +checklocks:o.mu
func (o *Outbox) isLowLocked() bool { return o.keptLocked() <= lowMark }

// +checklocks:o.mu
func (o *Outbox) keptLocked() int64 { return int64(o.memory) + o.spooled + o.files }

// Finish says that the response is complete. keep: another may follow.
func (o *Outbox) Finish(keep bool) {
	o.mu.Lock()
	o.complete, o.keep = true, keep
	tell, keep := o.markDoneLocked()
	o.mu.Unlock()
	if tell {
		o.owner.ResponseDone(keep)
	}
}

// markDoneLocked marks the response as done, if it is. It returns whether the owner is
// to be told so, which happens once, and whether another response may follow.
// +checklocks:o.mu
func (o *Outbox) markDoneLocked() (tell, keep bool) {
	tell, keep = o.complete && !o.writing && !o.told, o.keep && o.failed == nil
	o.told = o.told || tell
	return tell, keep
}

// Kill ends a response that cannot be completed, and the connection with it.
func (o *Outbox) Kill() {
	o.mu.Lock()
	o.failLocked(errKilled)
	o.complete = true
	tell, keep := o.markDoneLocked()
	o.mu.Unlock()
	if tell {
		o.owner.ResponseDone(keep)
	}
}

// failLocked drops what is kept.
// +checklocks:o.mu
func (o *Outbox) failLocked(err error) {
	if o.failed != nil {
		return
	}
	o.failed = err
	for _, p := range o.kept {
		if f := p.part.File; f != nil && f != o.spool {
			f.Close()
		}
	}
	o.holder.Hold(int64(-o.memory))
	o.kept, o.memory, o.spooled, o.files, o.onLow = nil, 0, 0, 0, nil
	o.closeSpoolLocked()
	o.less.Broadcast()
	o.owner.Abort()
}

// +checklocks:o.mu
func (o *Outbox) closeSpoolLocked() {
	if o.spool != nil && !o.writing {
		o.spool.Close()
		o.spool = nil
	}
}

// startWritingLocked starts the goroutine that writes what is kept.
// +checklocks:o.mu
func (o *Outbox) startWritingLocked() {
	if o.writing || o.failed != nil {
		return
	}
	o.writing = true
	o.owner.StartWriting()
}

// Push keeps something to be done after what was written, once [Outbox.Wake] is called
// or more is written.
func (o *Outbox) Push(do func() error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failed == nil {
		o.kept = append(o.kept, piece{do: do})
	}
}

// Wake starts to write what is kept.
func (o *Outbox) Wake() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.kept) > 0 {
		o.startWritingLocked()
	}
}

// Run writes what is kept until nothing is. The goroutine that the owner started, or
// woke, calls it.
func (o *Outbox) Run() {
	o.mu.Lock()
	flushed := false
	for o.failed == nil {
		if len(o.kept) == 0 {
			pending := o.transport.Pending()
			if !pending && (flushed || o.complete) {
				break
			}
			o.mu.Unlock()
			var err error
			if pending {
				err = o.transport.Send(nil)
			} else {
				err = o.transport.Flush()
				flushed = true
			}
			o.mu.Lock()
			if err != nil {
				o.failLocked(err)
			}
			continue
		}
		flushed = false
		p := o.takeLocked()
		o.mu.Unlock()
		err := o.send(p)
		o.mu.Lock()
		o.sentLocked(p)
		if err != nil {
			o.failLocked(err)
		}
		o.less.Broadcast()
		if low := o.onLow; low != nil && o.isLowLocked() {
			o.onLow = nil
			o.mu.Unlock()
			low()
			o.mu.Lock()
		}
	}
	o.writing = false
	o.kept = nil
	o.closeSpoolLocked()
	o.owner.StopWriting()
	tell, keep := o.markDoneLocked()
	o.mu.Unlock()
	if tell {
		o.owner.ResponseDone(keep)
	}
}

// takeLocked takes what is to be sent next: a piece, or bytes and the part of a file behind them.
// +checklocks:o.mu
func (o *Outbox) takeLocked() piece {
	p, n := o.kept[0], 1
	if p.data != nil && len(o.kept) > 1 && o.kept[1].part.File != nil {
		p.part, n = o.kept[1].part, 2
	}
	clear(o.kept[:n])
	o.kept = o.kept[n:]
	return p
}

// sentLocked counts a piece as sent, or as lost.
// +checklocks:o.mu
func (o *Outbox) sentLocked(p piece) {
	if n := min(o.memory, len(p.data)); n > 0 {
		o.memory -= n
		o.holder.Hold(int64(-n))
	}
	if f := p.part.File; f != nil && f == o.spool {
		o.spooled = max(0, o.spooled-p.part.Size)
	} else if f != nil {
		f.Close()
		o.files = max(0, o.files-p.part.Size)
	}
}

func (o *Outbox) send(p piece) error {
	switch {
	case p.do != nil:
		return p.do()
	case p.part.File == nil:
		return o.transport.Send(p.data)
	}
	head := p.data
	for part := p.part; part.Size > 0; {
		n, err := o.transport.SendFile(head, part)
		if err != nil {
			return err
		}
		head = nil
		if n == 0 {
			return io.ErrUnexpectedEOF // the file has become shorter
		}
		part.Offset += int64(n)
		part.Size -= int64(n)
	}
	return nil
}
