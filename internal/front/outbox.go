package front

import (
	"errors"
	"io"
	"os"
	"sync"

	"indrik/internal/account"
)

const (
	// outboxMemory is how much of a response waits in memory for a client that
	// is slower than its worker, and outboxFile how much in a temporary file.
	// Beyond that the worker has to wait.
	outboxMemory = 256 << 10
	outboxFile   = 1 << 30
	// pieceSize is up to which size bytes in memory are joined, so that an app
	// that gives single bytes does not take many times the room.
	pieceSize = 16 << 10
	// outboxBounded is how much waits in memory of what is bounded by its sender: the
	// room of an ASGI worker, a part that goes beyond it, and what was there before.
	outboxBounded = 512 << 10
	// outboxLow is how little of a response is kept when an ASGI worker may send
	// more of it.
	outboxLow = 64 << 10
	// keptPiece is how much is kept at a time.
	keptPiece = 64 << 10
	// filePiece is how much of a file is sent between two looks at progress.
	filePiece = 1 << 20
)

var errKilled = errors.New("the connection was closed")

// An outbox writes responses to a client. The worker's side never waits for the
// client within the bounds above: what the line does not take at once is kept,
// and written by another goroutine.
type outbox struct {
	line   line
	owner  outboxOwner
	holder *account.Holder

	mu       sync.Mutex
	room     sync.Cond // less is kept, or the end
	kept     []piece
	memory   int   // bytes kept in memory
	flushing bool  // a goroutine writes what is kept
	failed   error // nothing can be written any more
	finished bool  // the response is complete
	keep     bool  // another may follow
	told     bool  // the connection knows about the end

	spool    *os.File
	spoolEnd int64 // where the next bytes go; never beyond outboxFile
	spooled  int64 // bytes in it that are not sent yet

	bounded bool // the sender sees to it that not much is kept

	files int64  // bytes of other files that are not sent yet
	low   func() // to be called when little is kept
}

// An outboxOwner is whom an outbox writes for.
type outboxOwner interface {
	tmpFile() (*os.File, error)
	cannotSpool(err error)  // a response cannot be kept in a file: its worker waits
	startWriting()          // something waits for the client: another goroutine is to call run
	stopWriting()           // nothing does any more
	responseDone(keep bool) // all of a response is with the kernel; keep: another may follow
	abort()                 // close the connection at once
}

// A piece is bytes in memory, a part of a file, or something to be done between
// these.
type piece struct {
	do     func() error
	data   []byte
	file   *os.File
	offset int64
	size   int64
}

func (o *outbox) init(line line, owner outboxOwner) {
	o.line, o.owner = line, owner
	o.room.L = &o.mu
}

// begin makes o ready for the next response. bounded: its sender sees to it that not
// much is kept.
func (o *outbox) begin(bounded bool) {
	o.mu.Lock()
	o.bounded = bounded
	o.finished, o.told, o.low = false, false, nil
	o.mu.Unlock()
}

// isWriting tells whether something waits for the client.
func (o *outbox) isWriting() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.flushing
}

// broken tells whether a response was cut off.
func (o *outbox) broken() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.failed != nil
}

// write sends p, or keeps what cannot be sent now. p stays the caller's.
func (o *outbox) write(p []byte) {
	if len(p) == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failed != nil {
		return
	}
	if !o.flushing {
		rest, err := o.line.try(p)
		if err != nil {
			o.fail(err)
			return
		}
		if len(rest) == 0 {
			if o.line.waits() {
				o.flush()
			}
			return
		}
		p = rest
	}
	for len(p) > 0 {
		n := min(len(p), keptPiece)
		o.keepBytes(p[:n])
		o.flush()
		p = p[n:]
	}
}

// keepBytes keeps a copy of p, and waits if too much is kept, unless there is a bound
// to that anyway.
func (o *outbox) keepBytes(p []byte) {
	for o.failed == nil {
		if o.memory+len(p) <= o.most() {
			o.toMemory(p)
			return
		}
		if o.toFile(p) {
			return
		}
		if o.bounded {
			o.toMemory(p)
			return
		}
		o.flush()
		o.room.Wait()
	}
}

func (o *outbox) most() int {
	if o.bounded {
		return outboxBounded
	}
	return outboxMemory
}

func (o *outbox) toMemory(p []byte) {
	o.memory += len(p)
	o.holder.Hold(int64(len(p)))
	if last := len(o.kept) - 1; last >= 0 && o.kept[last].data != nil && len(o.kept[last].data)+len(p) <= pieceSize {
		o.kept[last].data = append(o.kept[last].data, p...)
		return
	}
	o.kept = append(o.kept, piece{data: append([]byte(nil), p...)})
}

// toFile keeps p in the temporary file. When that fails, say because the disk
// is full, the worker has to wait.
func (o *outbox) toFile(p []byte) bool {
	if o.spooled == 0 {
		o.spoolEnd = 0 // all of it was sent: from the start again
	}
	if max(o.spooled, o.spoolEnd)+int64(len(p)) > outboxFile {
		return false
	}
	if o.spool == nil {
		f, err := o.owner.tmpFile()
		if err != nil {
			o.owner.cannotSpool(err)
			return false
		}
		o.spool = f
	}
	n, err := o.spool.WriteAt(p, o.spoolEnd)
	if err != nil {
		o.owner.cannotSpool(err)
		return false
	}
	if last := len(o.kept) - 1; last >= 0 && o.kept[last].file == o.spool &&
		o.kept[last].offset+o.kept[last].size == o.spoolEnd {
		o.kept[last].size += int64(n)
	} else {
		o.kept = append(o.kept, piece{file: o.spool, offset: o.spoolEnd, size: int64(n)})
	}
	o.spoolEnd += int64(n)
	o.spooled += int64(n)
	return true
}

// sendFile sends a part of a file after what was written. It takes f over.
func (o *outbox) sendFile(f *os.File, offset, size int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failed != nil || size == 0 {
		f.Close()
		return
	}
	o.kept = append(o.kept, piece{file: f, offset: offset, size: size})
	o.files += size
	o.flush()
}

// whenLow calls f when little is kept: at once, or when it is so.
func (o *outbox) whenLow(f func()) {
	o.mu.Lock()
	if o.failed == nil && !o.isLow() {
		o.low = f
		f = nil
	}
	o.mu.Unlock()
	if f != nil {
		f()
	}
}

func (o *outbox) isLow() bool { return int64(o.memory)+o.spooled+o.files <= outboxLow }

// finish says that the response is complete.
func (o *outbox) finish(keep bool) {
	o.mu.Lock()
	o.finished, o.keep = true, keep
	o.tellAndUnlock()
}

// tellAndUnlock tells the connection of the end, if it has come, and once.
func (o *outbox) tellAndUnlock() {
	tell, keep := o.finished && !o.flushing && !o.told, o.keep && o.failed == nil
	o.told = o.told || tell
	o.mu.Unlock()
	if tell {
		o.owner.responseDone(keep)
	}
}

// kill ends a response that cannot be completed, and the connection with it.
func (o *outbox) kill() {
	o.mu.Lock()
	o.fail(errKilled)
	o.finished = true
	o.tellAndUnlock()
}

// fail gives up what is kept. It is called with the mutex held.
func (o *outbox) fail(err error) {
	if o.failed != nil {
		return
	}
	o.failed = err
	for _, p := range o.kept {
		if p.file != nil && p.file != o.spool {
			p.file.Close()
		}
	}
	o.holder.Hold(int64(-o.memory))
	o.kept, o.memory, o.spooled, o.files, o.low = nil, 0, 0, 0, nil
	o.closeSpool()
	o.room.Broadcast()
	o.owner.abort()
}

func (o *outbox) closeSpool() {
	if o.spool != nil && !o.flushing {
		o.spool.Close()
		o.spool = nil
	}
}

// flush starts the goroutine that writes what is kept.
func (o *outbox) flush() {
	if o.flushing || o.failed != nil {
		return
	}
	o.flushing = true
	o.owner.startWriting()
}

// wake has what is kept written.
func (o *outbox) wake() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.kept) > 0 {
		o.flush()
	}
}

// push keeps something to be done after what was written, once [outbox.wake] or
// more to write comes.
func (o *outbox) push(do func() error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failed == nil {
		o.kept = append(o.kept, piece{do: do})
	}
}

// run writes what is kept until nothing is.
func (o *outbox) run() {
	o.mu.Lock()
	flushed := false
	for o.failed == nil {
		if len(o.kept) == 0 {
			wait := o.line.waits()
			if !wait && (flushed || o.finished) {
				break
			}
			o.mu.Unlock()
			var err error
			if wait {
				err = o.line.send(nil)
			} else {
				err = o.line.flush()
				flushed = true
			}
			o.mu.Lock()
			if err != nil {
				o.fail(err)
			}
			continue
		}
		flushed = false
		p := o.kept[0]
		o.kept[0] = piece{}
		o.kept = o.kept[1:]
		o.mu.Unlock()
		err := o.send(p)
		o.mu.Lock()
		if n := min(o.memory, len(p.data)); n > 0 {
			o.memory -= n
			o.holder.Hold(int64(-n))
		}
		if p.file != nil && p.file == o.spool {
			o.spooled = max(0, o.spooled-p.size)
		} else if p.file != nil {
			p.file.Close()
			o.files = max(0, o.files-p.size)
		}
		if err != nil {
			o.fail(err)
		}
		o.room.Broadcast()
		if low := o.low; low != nil && o.isLow() {
			o.low = nil
			o.mu.Unlock()
			low()
			o.mu.Lock()
		}
	}
	o.flushing = false
	o.kept = nil
	o.closeSpool()
	o.owner.stopWriting()
	o.tellAndUnlock()
}

func (o *outbox) send(p piece) error {
	switch {
	case p.do != nil:
		return p.do()
	case p.file == nil:
		return o.line.send(p.data)
	}
	for p.size > 0 {
		n, err := o.line.sendFile(p)
		if err != nil {
			return err
		}
		if n == 0 {
			return io.ErrUnexpectedEOF // the file has become shorter
		}
		p.offset += int64(n)
		p.size -= int64(n)
	}
	return nil
}
