package front

import (
	"io"
	"os"
	"sync"

	"indrik/internal/account"
	"indrik/internal/http1"
	"indrik/internal/wire"
)

const (
	// maxInArena is the size of the largest body that is kept in the body arena. The worker
	// reads all of it into its own memory before it runs the app.
	maxInArena = 4 << 20
	// firstPiece is how much memory a body gets before any of it has come: what
	// a client announces costs nothing.
	firstPiece = 16 << 10
)

// A spool keeps a body. Up to inlineBody it is in one piece in memory, to go with
// its request; a larger one in the body arena, if there is space, or in an unlinked
// temporary file; if that cannot be written, in a file in memory.
type spool struct {
	s      *server
	arena  *wire.Arena     // of the generation whose settings the request has
	holder *account.Holder // for whom memory is held
	limit  int64           // of size; 0: none
	length int64           // that is expected; −1: not known
	size   int64

	mem      []byte
	firstMem *[]byte // of firstPieces, that mem is in
	memHeld  int     // bytes of mem that are accounted for

	blocks []int // of the arena
	filled int   // bytes in the last of them

	file     *os.File
	fileHeld int64   // bytes of file that are accounted for, if it is in memory
	copyBuf  *[]byte // for bytes on their way to the file
}

var firstPieces = sync.Pool{New: func() any { b := make([]byte, firstPiece); return &b }}

// newSpool returns a new spool for the request's body.
func (ex *exchange) newSpool() *spool {
	return &spool{s: ex.s, arena: ex.cfg.dispatch.Arena, holder: ex.holder, limit: ex.cfg.LimitRequestBody, length: ex.req.ContentLength}
}

// space returns where the next bytes of the body go; the caller tells wrote how many came.
// It may fail although the expected length is not reached.
func (b *spool) space() ([]byte, error) {
	if b.file == nil && b.inOnePiece() {
		if len(b.mem) == cap(b.mem) {
			b.grow()
		}
		return b.mem[len(b.mem):cap(b.mem)], nil
	}
	if b.file == nil && !b.haveBlock() {
		if err := b.toFile(); err != nil {
			return nil, err
		}
	}
	if b.file != nil {
		b.copyBuf = copyBuffers.Get().(*[]byte)
		return *b.copyBuf, nil
	}
	return b.block(len(b.blocks) - 1)[b.filled:], nil
}

// wrote adds the n bytes that came to where space said.
func (b *spool) wrote(n int) error {
	b.size += int64(n)
	switch {
	case b.limit > 0 && b.size > b.limit:
		return http1.NewBodyTooLarge(b.size, b.limit)
	case b.copyBuf != nil:
		err := b.append((*b.copyBuf)[:n])
		copyBuffers.Put(b.copyBuf)
		b.copyBuf = nil
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

// add adds a copy of p to the body.
func (b *spool) add(p []byte) error {
	for len(p) > 0 {
		space, err := b.space()
		if err != nil {
			return err
		}
		n := copy(space, p)
		if err := b.wrote(n); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// inOnePiece reports whether the next bytes belong to mem.
func (b *spool) inOnePiece() bool {
	return len(b.blocks) == 0 && len(b.mem) < inlineBody && b.length <= inlineBody
}

// reserveMemory reports whether the next bytes are kept in memory. It takes a block for
// them if they need one.
func (b *spool) reserveMemory() bool { return b.file == nil && (b.inOnePiece() || b.haveBlock()) }

// grow enlarges mem.
func (b *spool) grow() {
	most := inlineBody
	if b.length >= 0 {
		most = int(min(b.length, inlineBody))
	}
	if len(b.mem) == 0 && most >= firstPiece/4 {
		b.firstMem = firstPieces.Get().(*[]byte)
		b.mem = (*b.firstMem)[:0:min(most, firstPiece)]
		b.holdMem(firstPiece)
		return
	}
	mem := make([]byte, len(b.mem), min(most, max(firstPiece, 2*len(b.mem))))
	copy(mem, b.mem)
	b.replaceMem(mem)
	b.holdMem(cap(mem))
}

// holdMem accounts for n bytes of mem. A spool that is empty is shared, and must not be
// written to.
func (b *spool) holdMem(n int) {
	if n == b.memHeld {
		return
	}
	b.holder.Hold(int64(n - b.memHeld))
	b.memHeld = n
}

// replaceMem replaces mem by other memory with the same bytes.
func (b *spool) replaceMem(mem []byte) {
	b.mem = mem
	b.holdMem(0)
	if b.firstMem != nil {
		firstPieces.Put(b.firstMem)
		b.firstMem = nil
	}
}

// block returns the memory of a block of the body.
func (b *spool) block(i int) []byte { return b.arena.Block(b.blocks[i]) }

// haveBlock takes another block if the last one is full, and reports whether the last
// block has space now.
func (b *spool) haveBlock() bool {
	if len(b.blocks) > 0 && b.filled < wire.ArenaBlock {
		return true
	}
	if b.size >= maxInArena || b.length > maxInArena {
		return false
	}
	beside, blocks := -1, -1
	if n := len(b.blocks); n > 0 {
		beside = b.blocks[n-1]
	}
	if b.length >= 0 {
		blocks = int((b.length + wire.ArenaBlock - 1) / wire.ArenaBlock)
	}
	next, ok := b.arena.Take(beside, blocks)
	if !ok {
		return false
	}
	b.holder.Hold(wire.ArenaBlock)
	b.blocks = append(b.blocks, next)
	b.filled = copy(b.block(len(b.blocks)-1), b.mem)
	b.replaceMem(nil)
	return true
}

// toFile makes the file, and moves the body to it.
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
		b.s.warnBodiesInMemory(err)
		if f, err = wire.GrowingFile(bodyFile); err == nil {
			if err = writeAll(f, parts); err != nil {
				f.Close()
			}
		}
		if err != nil {
			return errSpool(err)
		}
		b.holdFile(b.size)
	}
	b.free()
	b.replaceMem(nil)
	b.file = f
	return nil
}

// readOnly replaces the file by a descriptor through which nobody can write to it, so that
// a worker that has it cannot change the body that another worker may get. A worker with
// the same user as the file could still open it again.
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

// append adds p, which size counts already, to the file. If the file cannot be written,
// for example because the disk is full, a file in memory takes its place.
func (b *spool) append(p []byte) error {
	_, err := b.file.Write(p)
	if err == nil {
		if b.fileHeld > 0 {
			b.holdFile(int64(len(p)))
		}
		return nil
	}
	if b.fileHeld > 0 {
		return err
	}
	b.s.warnBodiesInMemory(err)
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
	b.holdFile(b.size)
	return nil
}

// holdFile accounts for n more bytes of a file in memory.
func (b *spool) holdFile(n int64) {
	b.fileHeld += n
	b.holder.Hold(n)
}

// appendTo appends the item for the body to a message: the body itself, the place where
// it is in the arena, or None if it goes along as a file.
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

// inArena reports whether the body is in the arena.
func (b *spool) inArena() bool { return b != nil && len(b.blocks) > 0 }

// own records in the arena which request the body belongs to.
func (b *spool) own(id uint32) {
	if len(b.blocks) > 0 {
		b.arena.Own(b.blocks[0], id)
	}
}

// free gives back memory that others may use.
func (b *spool) free() {
	if b.firstMem != nil {
		b.replaceMem(nil)
	}
	b.holdMem(0)
	if len(b.blocks) > 0 {
		b.holder.Hold(int64(-len(b.blocks) * wire.ArenaBlock))
		b.arena.Free(b.blocks)
		b.blocks = nil
	}
}

// discard gives up the body.
func (b *spool) discard() {
	b.free()
	if b.file != nil {
		b.file.Close()
		b.holder.Hold(-b.fileHeld)
		b.fileHeld = 0
	}
}
