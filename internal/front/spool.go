package front

import (
	"io"
	"os"
	"sync"

	"indrik/internal/account"
	"indrik/internal/http1"
	"indrik/internal/wire"
)

// mostStored is the largest body that is kept in the store. The worker reads all of it
// into its own memory before it runs the app.
const mostStored = 4 << 20

// A spool keeps a body. Up to inlineBody it is in one piece in memory, to go with
// its request; a larger one in the store, if there is room, or in an unlinked
// temporary file; where that cannot be written, in a file in memory.
type spool struct {
	s      *server
	store  *wire.Arena     // of the generation whose settings the request has
	holder *account.Holder // who it is held for
	limit  int64           // of size; 0: none
	length int64           // that is expected; −1: not known
	size   int64

	mem    []byte
	first  *[]byte // of firstPieces, that mem is in
	held   int     // bytes of mem that are counted
	blocks []int   // of the store
	filled int     // bytes in the last of them
	file   *os.File
	kept   int64   // bytes of file, if that is in memory
	buf    *[]byte // what is read on its way to the file
}

var firstPieces = sync.Pool{New: func() any { b := make([]byte, firstPiece); return &b }}

// spool makes the one for the body of a request.
func (ex *exchange) spool() *spool {
	return &spool{s: ex.s, store: ex.cfg.dispatch.Arena, holder: ex.holder, limit: ex.cfg.LimitRequestBody, length: ex.req.ContentLength}
}

// room returns where the next bytes of the body go; took is told how many came.
// The length that is expected is no promise of room: there may be none for more.
func (b *spool) room() ([]byte, error) {
	if b.file == nil && b.inOnePiece() {
		if len(b.mem) == cap(b.mem) {
			b.grow()
		}
		return b.mem[len(b.mem):cap(b.mem)], nil
	}
	if b.file == nil && !b.hasBlock() {
		if err := b.toFile(); err != nil {
			return nil, err
		}
	}
	if b.file != nil {
		b.buf = copyBuffers.Get().(*[]byte)
		return *b.buf, nil
	}
	return b.block(len(b.blocks) - 1)[b.filled:], nil
}

// took notes that n bytes came to where room said.
func (b *spool) took(n int) error {
	b.size += int64(n)
	switch {
	case b.limit > 0 && b.size > b.limit:
		return http1.NewBodyTooLarge(b.size, b.limit)
	case b.buf != nil:
		err := b.append((*b.buf)[:n])
		copyBuffers.Put(b.buf)
		b.buf = nil
		if err != nil {
			return errSpool(err)
		}
	case len(b.blocks) > 0:
		b.filled += n
	default:
		b.mem = b.mem[:len(b.mem)+n]
	}
	return nil
}

// write adds a copy of p to the body.
func (b *spool) write(p []byte) error {
	for len(p) > 0 {
		room, err := b.room()
		if err != nil {
			return err
		}
		n := copy(room, p)
		if err := b.took(n); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// inOnePiece tells whether what comes next belongs to mem.
func (b *spool) inOnePiece() bool {
	return len(b.blocks) == 0 && len(b.mem) < inlineBody && b.length <= inlineBody
}

// fits tells whether there is room for more in memory.
func (b *spool) fits() bool { return b.file == nil && (b.inOnePiece() || b.hasBlock()) }

// grow makes more room in mem.
func (b *spool) grow() {
	most := inlineBody
	if b.length >= 0 {
		most = int(min(b.length, inlineBody))
	}
	if len(b.mem) == 0 && most >= firstPiece/4 {
		b.first = firstPieces.Get().(*[]byte)
		b.mem = (*b.first)[:0:min(most, firstPiece)]
		b.hold(firstPiece)
		return
	}
	mem := make([]byte, len(b.mem), min(most, max(firstPiece, 2*len(b.mem))))
	copy(mem, b.mem)
	b.become(mem)
	b.hold(cap(mem))
}

// hold notes how many bytes of mem are its own. One that is empty is shared, and must not
// be written to.
func (b *spool) hold(n int) {
	if n == b.held {
		return
	}
	b.holder.Hold(int64(n - b.held))
	b.held = n
}

// become puts other memory with the same bytes in the place of mem.
func (b *spool) become(mem []byte) {
	b.mem = mem
	b.hold(0)
	if b.first != nil {
		firstPieces.Put(b.first)
		b.first = nil
	}
}

// block is the memory of a block of the body.
func (b *spool) block(i int) []byte { return b.store.Block(b.blocks[i]) }

// hasBlock sees to it that the last block has room, if it may have.
func (b *spool) hasBlock() bool {
	if len(b.blocks) > 0 && b.filled < wire.ArenaBlock {
		return true
	}
	if b.size >= mostStored || b.length > mostStored {
		return false
	}
	beside, blocks := -1, -1
	if n := len(b.blocks); n > 0 {
		beside = b.blocks[n-1]
	}
	if b.length >= 0 {
		blocks = int((b.length + wire.ArenaBlock - 1) / wire.ArenaBlock)
	}
	next, ok := b.store.Take(beside, blocks)
	if !ok {
		return false
	}
	b.holder.Hold(wire.ArenaBlock)
	b.blocks = append(b.blocks, next)
	b.filled = copy(b.block(len(b.blocks)-1), b.mem)
	b.become(nil)
	return true
}

// toFile makes the file, and moves to it what is there.
func (b *spool) toFile() error {
	parts := append(make([][]byte, 0, 1+len(b.blocks)), b.mem)
	for i := range b.blocks {
		parts = append(parts, b.block(i))
	}
	if n := len(b.blocks); n > 0 {
		parts[n] = parts[n][:b.filled]
	}
	f, err := b.s.tmpFile()
	if err == nil {
		if err = writeAll(f, parts); err != nil {
			f.Close()
		}
	}
	if err != nil {
		b.s.keepsBodies(err)
		if f, err = wire.GrowingFile(bodyFile); err == nil {
			if err = writeAll(f, parts); err != nil {
				f.Close()
			}
		}
		if err != nil {
			return errSpool(err)
		}
		b.keep(b.size)
	}
	b.free()
	b.become(nil)
	b.file = f
	return nil
}

// readOnly puts a descriptor in the place of the file by which nobody can write to it: a
// worker that has it cannot change the body for another one. It could open the file anew, if
// it is the user whose file that is.
func (b *spool) readOnly() {
	if f, err := wire.ReadOnly(b.file); err == nil {
		_ = b.file.Chmod(0o400)
		b.file.Close()
		b.file = f
	}
}

// bodyFile is the name of files in memory that hold bodies.
const bodyFile = "request-body"

func writeAll(f *os.File, parts [][]byte) error {
	for _, p := range parts {
		if _, err := f.Write(p); err != nil {
			return err
		}
	}
	return nil
}

// append adds p, which size counts already, to the file. When that cannot be written
// any more, for its disk is full, another one in memory takes its place.
func (b *spool) append(p []byte) error {
	_, err := b.file.Write(p)
	if err == nil {
		if b.kept > 0 {
			b.keep(int64(len(p)))
		}
		return nil
	}
	if b.kept > 0 {
		return err
	}
	b.s.keepsBodies(err)
	f, err := wire.GrowingFile(bodyFile)
	if err != nil {
		return err
	}
	before := b.size - int64(len(p))
	if _, err = io.Copy(f, io.NewSectionReader(b.file, 0, before)); err == nil {
		_, err = f.Write(p)
	}
	if err != nil {
		f.Close()
		return err
	}
	b.file.Close()
	b.file = f
	b.keep(b.size)
	return nil
}

// keep notes that n more bytes of the file are in memory.
func (b *spool) keep(n int64) {
	b.kept += n
	b.holder.Hold(n)
}

// appendTo appends the item for the body to a message: the body itself, where in the
// store it is, or None if it goes along as a file.
func (b *spool) appendTo(message []byte) []byte {
	switch {
	case b.file != nil:
		return wire.AppendNone(message)
	case len(b.blocks) == 0:
		return wire.AppendBytes(message, b.mem)
	}
	message = wire.AppendInt(wire.AppendTuple(message, 1+len(b.blocks)), b.size)
	for _, i := range b.blocks {
		message = wire.AppendInt(message, int64(wire.InSegment(i)))
	}
	return message
}

// inStore reports whether the body is in the store.
func (b *spool) inStore() bool { return b != nil && len(b.blocks) > 0 }

// own says in the store whose body it is.
func (b *spool) own(id uint32) {
	if len(b.blocks) > 0 {
		b.store.Own(b.blocks[0], id)
	}
}

// free gives back what others may use.
func (b *spool) free() {
	if b.first != nil {
		b.become(nil)
	}
	b.hold(0)
	if len(b.blocks) > 0 {
		b.holder.Hold(int64(-len(b.blocks) * wire.ArenaBlock))
		b.store.Free(b.blocks)
		b.blocks = nil
	}
}

// close gives up the body.
func (b *spool) close() {
	b.free()
	if b.file != nil {
		b.file.Close()
		b.holder.Hold(-b.kept)
		b.kept = 0
	}
}
