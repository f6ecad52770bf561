package front

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"

	"indrik/internal/wire"
)

// This file makes the message that a worker gets of a request.

// A form is one of the messages that can be made of a request.
type form int32

const (
	forQueue     form = iota // one of the queue: WSGI
	forLoop                  // an event with a scope: ASGI
	forGreenlets             // an event with an environ: WSGI in greenlets
)

// forms are those of the kinds of worker that do not read the queue.
var forms = map[string]form{wire.KindASGI: forLoop, wire.KindGevent: forGreenlets}

// A message is a list of requests or events. That of an exchange is a list of one,
// see appendMessages. The id stands at a fixed place in a message of the queue: after the
// headers of the list and of a tuple, and the type code of an int.
const idOffset = wire.ListHeader + 6

// claimOffset is where the claim stands in such a message: behind the id, the type code of
// bytes and their length.
const claimOffset = idOffset + 4 + 5

// queueItems is how many items a request has there.
const queueItems = 11

// headAt is where in the message the environ or the scope begins.
func (ex *exchange) headAt() int {
	if ex.form == forQueue {
		return claimOffset + wire.ClaimSize
	}
	return wire.EventIDOffset + 4
}

func (ex *exchange) idAt() int {
	if ex.form == forQueue {
		return idOffset
	}
	return wire.EventIDOffset
}

func (ex *exchange) setID(id uint32) {
	ex.id = id
	binary.LittleEndian.PutUint32(ex.message[ex.idAt():], id)
	ex.body.own(id)
}

// descriptors returns the files that go along with the message. They stay where they are.
func (ex *exchange) descriptors() []*os.File {
	if !ex.body.inStore() {
		return ex.files
	}
	return append(ex.files[:len(ex.files):len(ex.files)], ex.body.store.File(ex.body.blocks[0]))
}

// setToken puts the token, and the id, into a message for the queue, as the slot that gets it
// is to write them on its board.
func (ex *exchange) setToken(token uint64) {
	ex.token = token
	wire.PutClaim(ex.message[claimOffset:], ex.id, token)
}

// messageIDs reads back from a message that was taken out of a queue how many
// requests it has, and the id of the first.
func messageIDs(b []byte) (first uint32, count int) {
	if len(b) < idOffset+4 {
		return 0, 0
	}
	return binary.LittleEndian.Uint32(b[idOffset:]), int(binary.LittleEndian.Uint32(b[1:]))
}

// appendMessages makes one message of those of several requests.
func appendMessages(dst []byte, exs []*exchange) []byte {
	dst = wire.AppendList(dst, len(exs))
	for _, ex := range exs {
		dst = append(dst, ex.message[wire.ListHeader:]...)
	}
	return dst
}

// beginMessage returns the start of ex.message; the rest is appended to it. Until
// the end of that, release gives the buffer back all the same.
func (ex *exchange) beginMessage() []byte {
	ex.buffer = messages.Get().(*[]byte)
	ex.message = (*ex.buffer)[:0]
	switch {
	case ex.form == forQueue:
		b := wire.AppendInt(wire.AppendTuple(wire.AppendList(ex.message, 1), queueItems), 1)
		return append(wire.AppendBytesHeader(b, wire.ClaimSize), make([]byte, wire.ClaimSize)...)
	case ex.feed != nil:
		return wire.AppendEvent(ex.message, wire.EventUpload, 1)
	}
	return wire.AppendEvent(ex.message, wire.EventRequest, 1)
}

// pack makes the message for the worker. body, which it takes over, is nil if
// the request has none, and its start if more of it is fed to the worker; length
// is its size, or −1 if there is none at all.
func (ex *exchange) pack(body *spool, length int64) error {
	if body == nil {
		body = &noBody
	}
	if ex.form == forLoop && body.file != nil {
		ex.feedFile(body)
		body = &noBody
	}
	head, err := ex.beginMessage(), error(nil)
	switch ex.form {
	case forQueue:
		head, err = ex.appendParts(head, length)
	case forLoop:
		head, err = ex.appendScope(head)
	case forGreenlets:
		head, err = ex.appendEnviron(head, length)
	}
	if err != nil {
		body.close()
		return err
	}
	ex.message, ex.body, ex.length = head, body, length
	if body.file != nil {
		body.readOnly()
		ex.files = append(ex.files, body.file)
	}
	message := body.appendTo(ex.message)
	if len(message) > wire.MaxMessage {
		return ex.spill(body)
	}
	ex.message = message
	ex.holdMessage()
	if n := len(body.mem); n > 0 {
		body.become(message[len(message)-n:])
	}
	return nil
}

// holdMessage notes how large the message is, if it is not small.
func (ex *exchange) holdMessage() {
	n := cap(ex.message)
	if n <= messageFree {
		n = 0
	}
	if n != ex.held {
		ex.holder.Hold(int64(n - ex.held))
		ex.held = n
	}
}

var noBody spool

// spill puts a head that is too large for a message into a file, and the item for the
// body with it. There its environ is one dict.
func (ex *exchange) spill(body *spool) error {
	content, missing := wire.AppendTuple(nil, 2), 2
	head := ex.headAt()
	if ex.form == forQueue {
		var err error
		if content, err = ex.appendEnviron(content, ex.length); err != nil {
			return err
		}
		missing = queueItems - 2
	} else {
		content = append(content, ex.message[head:]...)
	}
	ex.message = ex.message[:head]
	for range missing {
		ex.message = wire.AppendNone(ex.message)
	}
	content = body.appendTo(content)
	f, err := wire.ConstantFile("indrik-head", content)
	if err != nil {
		return errSpool(err)
	}
	ex.files = append([]*os.File{f}, ex.files...)
	return nil
}

// suit makes the message anew if it is not for that kind of worker, or its body is in another
// store than that of the worker's generation: a reload may have made an app of ASGI of one of
// WSGI, and workers see no bodies that are for another generation. It is called with
// the mutex of the queue held.
func (ex *exchange) suit(f form, store *wire.Arena) error {
	body, length := ex.body, ex.length
	foreign := body.inStore() && body.store != store
	if ex.form == f && !foreign {
		return nil
	}
	if ex.feed != nil {
		return errOtherKind
	}
	if len(body.mem) > 0 {
		body.become(bytes.Clone(body.mem)) // the message that it is in goes
	}
	if foreign {
		if err := body.toFile(); err != nil {
			return err
		}
	} else if body.file != nil {
		ex.files = ex.files[:len(ex.files)-1] // the last one is that
	}
	ex.body = nil
	ex.release()
	ex.form = f
	return ex.pack(body, length)
}

var errOtherKind = errors.New("its body is on its way to an app of another kind")
