package front

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"

	"indrik/internal/wire"
)

// This file makes the message that a worker gets of a request. Its first bytes have a fixed
// form, so that the id can be written into it when the request is handed over.

// headAt returns where in the message the environ or the scope begins.
func (ex *exchange) headAt() int {
	if ex.kind == wire.KindSync {
		return wire.RequestClaimOffset + wire.ClaimSize
	}
	return wire.EventIDOffset + 4
}

// idAt returns where in the message the id is.
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
	if ex.kind != kind || ex.webSocket != nil || len(ex.files) > 0 || ex.body.inArena() {
		return 0
	}
	return len(ex.bytes)
}

// descriptors returns the files that go along with the message. The exchange keeps them.
func (ex *exchange) descriptors() []*os.File {
	if !ex.body.inArena() {
		return ex.files
	}
	return append(ex.files[:len(ex.files):len(ex.files)], ex.body.arena.File(ex.body.blocks[0]))
}

// beginMessage returns the start of ex.bytes, to which the rest is appended. Release gives
// the buffer back also if that fails.
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

// encode makes the message for the worker, and takes body over. body is nil if the request
// has none, and the start of the body if more of it is streamed to the worker. length is
// the length of the whole body, −1 if the request has none.
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
	message := ex.appendBody(ex.bytes)
	if len(message) > wire.MaxMessage {
		return ex.toFile()
	}
	ex.bytes = message
	ex.holdMessage()
	if n := len(body.mem); n > 0 {
		body.replaceMem(message[len(message)-n:])
	}
	return nil
}

var noBody spool

// appendBody appends the item for the body. That of a handshake of WebSocket, which has none,
// tells an app of WSGI that it may accept the handshake.
func (ex *exchange) appendBody(message []byte) []byte {
	if ex.webSocket != nil && ex.kind != wire.KindASGI {
		return wire.AppendInt(message, 0)
	}
	return ex.body.appendTo(message)
}

// toFile puts a head that is too large for a message into a file, together with the item
// for the body. In the file the environ is one dict.
func (ex *exchange) toFile() error {
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
	content = ex.appendBody(content)
	f, err := wire.ConstantFile("indrik-head", content)
	if err != nil {
		return errSpool(err)
	}
	ex.files = append([]*os.File{f}, ex.files...)
	return nil
}

// reencode makes the message again if it is not for that kind of worker, or if its body is
// in another arena than that of the worker's generation: a reload may have replaced a WSGI
// app by an ASGI app, and workers cannot read the bodies of another generation.
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
		body.replaceMem(bytes.Clone(body.mem)) // it is in the message that is given up
	}
	if foreign {
		if err := body.toFile(); err != nil {
			return err
		}
	} else if body.file != nil {
		ex.files = ex.files[:len(ex.files)-1] // that is the last one
	}
	ex.body = nil
	ex.Release()
	ex.kind = kind
	return ex.encode(body, length)
}

var errOtherKind = errors.New("its body is on its way to an app of another kind")
