package front

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"

	"indrik/internal/wire"
)

// This file makes the message that a worker gets of a request.

// headAt is where in the message the environ or the scope begins.
func (ex *exchange) headAt() int {
	if ex.kind == wire.KindSync {
		return wire.RequestClaimOffset + wire.ClaimSize
	}
	return wire.EventIDOffset + 4
}

func (ex *exchange) idAt() int {
	if ex.kind == wire.KindSync {
		return wire.RequestIDOffset
	}
	return wire.EventIDOffset
}

// EncodeLocked implements [dispatch.Request].
func (ex *exchange) EncodeLocked(kind wire.Kind, arena *wire.Arena, id uint32, token uint64) ([]byte, []*os.File, error) {
	if err := ex.reencode(kind, arena); err != nil {
		return nil, nil, err
	}
	binary.LittleEndian.PutUint32(ex.bytes[ex.idAt():], id)
	if kind == wire.KindSync {
		wire.PutClaim(ex.bytes[wire.RequestClaimOffset:], id, token)
	}
	ex.body.own(id)
	return ex.bytes, ex.descriptors(), nil
}

// BatchSizeLocked implements [dispatch.Request].
func (ex *exchange) BatchSizeLocked(kind wire.Kind) int {
	if ex.kind != kind || len(ex.files) > 0 || ex.body.inArena() {
		return 0
	}
	return len(ex.bytes)
}

// descriptors returns the files that go along with the message. They stay where they are.
func (ex *exchange) descriptors() []*os.File {
	if !ex.body.inArena() {
		return ex.files
	}
	return append(ex.files[:len(ex.files):len(ex.files)], ex.body.arena.File(ex.body.blocks[0]))
}

// beginMessage returns the start of ex.bytes; the rest is appended to it. Until
// the end of that, release gives the buffer back all the same.
func (ex *exchange) beginMessage() []byte {
	ex.buffer = messages.Get().(*[]byte)
	ex.bytes = (*ex.buffer)[:0]
	switch {
	case ex.kind == wire.KindSync:
		return wire.AppendRequest(ex.bytes)
	case ex.bodyStream != nil:
		return wire.AppendEvent(ex.bytes, wire.EventUpload, 1)
	}
	return wire.AppendEvent(ex.bytes, wire.EventRequest, 1)
}

// pack makes the message for the worker. body, which it takes over, is nil if
// the request has none, and its start if more of it is fed to the worker; length
// is its size, or −1 if there is none at all.
func (ex *exchange) encode(body *spool, length int64) error {
	if body == nil {
		body = &noBody
	}
	if ex.kind == wire.KindASGI && body.file != nil {
		ex.streamFile(body)
		body = &noBody
	}
	head, err := ex.beginMessage(), error(nil)
	switch ex.kind {
	case wire.KindSync:
		head, err = ex.appendParts(head, length)
	case wire.KindASGI:
		head, err = ex.appendScope(head)
	case wire.KindGevent:
		head, err = ex.appendEnviron(head, length)
	}
	if err != nil {
		body.discard()
		return err
	}
	ex.bytes, ex.body, ex.length = head, body, length
	if body.file != nil {
		body.readOnly()
		ex.files = append(ex.files, body.file)
	}
	message := body.appendTo(ex.bytes)
	if len(message) > wire.MaxMessage {
		return ex.toFile(body)
	}
	ex.bytes = message
	ex.holdMessage()
	if n := len(body.mem); n > 0 {
		body.replaceMem(message[len(message)-n:])
	}
	return nil
}

var noBody spool

// spill puts a head that is too large for a message into a file, and the item for the
// body with it. There its environ is one dict.
func (ex *exchange) toFile(body *spool) error {
	content, missing := wire.AppendTuple(nil, 2), 2
	head := ex.headAt()
	if ex.kind == wire.KindSync {
		var err error
		if content, err = ex.appendEnviron(content, ex.length); err != nil {
			return err
		}
		missing = wire.RequestItems - 2
	} else {
		content = append(content, ex.bytes[head:]...)
	}
	ex.bytes = ex.bytes[:head]
	for range missing {
		ex.bytes = wire.AppendNone(ex.bytes)
	}
	content = body.appendTo(content)
	f, err := wire.ConstantFile("indrik-head", content)
	if err != nil {
		return errSpool(err)
	}
	ex.files = append([]*os.File{f}, ex.files...)
	return nil
}

// reencode makes the message anew if it is not for that kind of worker, or its body is in
// another arena than that of the worker's generation: a reload may have made an app of ASGI of
// one of WSGI, and workers see no bodies that are for another generation.
func (ex *exchange) reencode(kind wire.Kind, arena *wire.Arena) error {
	body, length := ex.body, ex.length
	foreign := body.inArena() && body.arena != arena
	if ex.kind == kind && !foreign {
		return nil
	}
	if ex.bodyStream != nil {
		return errOtherKind
	}
	if len(body.mem) > 0 {
		body.replaceMem(bytes.Clone(body.mem)) // the message that it is in goes
	}
	if foreign {
		if err := body.toFile(); err != nil {
			return err
		}
	} else if body.file != nil {
		ex.files = ex.files[:len(ex.files)-1] // the last one is that
	}
	ex.body = nil
	ex.Release()
	ex.kind = kind
	return ex.encode(body, length)
}

var errOtherKind = errors.New("its body is on its way to an app of another kind")
