package front

import (
	"errors"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
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
	// filePiece is how much of a file is sent between two looks at progress.
	filePiece = 1 << 20
)

var errKilled = errors.New("the connection was closed")

// An outbox writes responses to a client. The worker's side never waits for the
// client within the bounds above: what the kernel does not take at once is kept,
// and written by a goroutine of its own.
type outbox struct {
	c       *conn
	scratch []byte // for whoever answers

	mu       sync.Mutex
	room     *sync.Cond // less is kept, or the end
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

	p       []byte // of writeFn
	err     error
	writeFn func(fd uintptr) bool
}

// A piece is bytes in memory, or a part of a file.
type piece struct {
	data   []byte
	file   *os.File
	offset int64
	size   int64
}

func (o *outbox) init(c *conn) {
	o.c = c
	o.room = sync.NewCond(&o.mu)
	o.writeFn = o.tryWrite
}

// begin makes o ready for the next response.
func (o *outbox) begin() {
	o.mu.Lock()
	o.finished, o.told = false, false
	o.mu.Unlock()
}

// broken tells whether a response was cut off.
func (o *outbox) broken() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.failed != nil
}

func (o *outbox) tryWrite(fd uintptr) bool {
	for len(o.p) > 0 {
		n, err := unix.Write(int(fd), o.p)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			o.err = err
			return true
		}
		o.p = o.p[n:]
	}
	return true
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
		o.p, o.err = p, nil
		if err := o.c.raw.Write(o.writeFn); err != nil {
			o.err = err
		}
		p, o.p = o.p, nil
		if o.err != nil && o.err != unix.EAGAIN {
			o.fail(o.err)
			return
		}
		if len(p) == 0 {
			return
		}
	}
	o.keepBytes(p)
	o.flush()
}

// keepBytes keeps a copy of p, and waits if too much is kept.
func (o *outbox) keepBytes(p []byte) {
	for o.failed == nil {
		if o.memory+len(p) <= outboxMemory || o.memory == 0 && o.spooled == 0 {
			o.toMemory(p)
			return
		}
		if o.toFile(p) {
			return
		}
		o.flush()
		o.room.Wait()
	}
}

func (o *outbox) toMemory(p []byte) {
	o.memory += len(p)
	if last := len(o.kept) - 1; last >= 0 && o.kept[last].file == nil && len(o.kept[last].data)+len(p) <= pieceSize {
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
		f, err := o.c.s.tmpFile()
		if err != nil {
			return false
		}
		o.spool = f
	}
	n, err := o.spool.WriteAt(p, o.spoolEnd)
	if err != nil || n < len(p) {
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
	o.flush()
}

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
		o.c.responseDone(keep)
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
	o.kept, o.memory, o.spooled = nil, 0, 0
	o.closeSpool()
	o.room.Broadcast()
	o.c.abort()
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
	o.c.enter(writing)
	go o.run()
}

func (o *outbox) run() {
	o.mu.Lock()
	for o.failed == nil && len(o.kept) > 0 {
		p := o.kept[0]
		o.kept[0] = piece{}
		o.kept = o.kept[1:]
		o.mu.Unlock()
		err := o.send(p)
		o.mu.Lock()
		o.memory = max(0, o.memory-len(p.data))
		if p.file != nil && p.file == o.spool {
			o.spooled = max(0, o.spooled-p.size)
		} else if p.file != nil {
			p.file.Close()
		}
		if err != nil {
			o.fail(err)
		}
		o.room.Broadcast()
	}
	o.flushing = false
	o.kept = nil
	o.closeSpool()
	if o.c.phase.Load() == int32(writing) {
		o.c.enter(running)
	}
	o.tellAndUnlock()
}

func (o *outbox) send(p piece) error {
	if p.file == nil {
		return o.sendBytes(p.data)
	}
	for p.size > 0 {
		n, err := o.sendPiece(p)
		if err != nil {
			return err
		}
		if n == 0 {
			return io.ErrUnexpectedEOF // the file has become shorter
		}
		p.offset += int64(n)
		p.size -= int64(n)
		o.c.progress()
	}
	return nil
}

// sendBytes sends data, however long it takes as long as the client takes some.
func (o *outbox) sendBytes(data []byte) error {
	var err error
	werr := o.c.raw.Write(func(fd uintptr) bool {
		for len(data) > 0 {
			var n int
			n, err = unix.Write(int(fd), data)
			switch {
			case err == nil:
				data = data[n:]
				o.c.progress()
			case err != unix.EINTR:
				return err != unix.EAGAIN
			}
		}
		err = nil
		return true
	})
	if werr != nil {
		return werr
	}
	return err
}

// sendPiece sends some of a part of a file. The position of the file's
// descriptor, which it may share with the app, does not change.
func (o *outbox) sendPiece(p piece) (int, error) {
	count := int(min(p.size, filePiece))
	var n int
	var err error
	werr := o.c.raw.Write(func(fd uintptr) bool {
		for {
			offset := p.offset
			n, err = unix.Sendfile(int(fd), int(p.file.Fd()), &offset, count)
			if err != unix.EINTR {
				return err != unix.EAGAIN
			}
		}
	})
	if werr != nil {
		return 0, werr
	}
	if err == unix.EINVAL || err == unix.ENOSYS || err == unix.EOPNOTSUPP {
		// Not every file system can.
		buf := make([]byte, min(count, copyBuffer))
		n, err = p.file.ReadAt(buf, p.offset)
		if n == 0 {
			return 0, err
		}
		return n, o.sendBytes(buf[:n])
	}
	return max(n, 0), err
}
