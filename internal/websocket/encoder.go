package websocket

import (
	"encoding/binary"
	"unicode/utf8"
)

// worthwhile is the size from which a message is compressed. Smaller ones hardly
// get smaller, each for itself.
const worthwhile = 256

// An Encoder writes messages to one client. The zero value is ready.
type Encoder struct {
	Window int // of permessage-deflate, in bits; 0: it was not agreed on

	open    bool // a message is being written
	deflate *deflater
}

// AppendPart appends a part of a message as one frame; last ends the message.
func (e *Encoder) AppendPart(dst []byte, text bool, data []byte, last bool) []byte {
	first := byte(opContinuation)
	if !e.open {
		first = opBinary
		if text {
			first = opText
		}
		if e.Window > 0 && (len(data) >= worthwhile || !last) {
			e.deflate = newDeflater(e.Window)
			first |= rsv1Bit
		}
	}
	e.open = !last
	if last {
		first |= finBit
	}
	if e.deflate == nil {
		return append(appendHeader(dst, first, len(data)), data...)
	}
	data = e.deflate.part(data, last)
	dst = append(appendHeader(dst, first, len(data)), data...)
	if last {
		e.Release()
	}
	return dst
}

// InMessage reports whether the last part was not the end of its message.
func (e *Encoder) InMessage() bool { return e.open }

// Held is how many bytes of memory the encoder has besides its own.
func (e *Encoder) Held() int {
	if e.deflate == nil {
		return 0
	}
	return deflaterSize
}

// Release gives back memory that is shared with other encoders. It is called when
// there is nothing more to be written.
func (e *Encoder) Release() {
	if e.deflate != nil {
		e.deflate.release()
		e.deflate = nil
	}
}

// appendHeader appends the header of a frame without a mask.
func appendHeader(dst []byte, first byte, size int) []byte {
	switch {
	case size <= maxControl:
		return append(dst, first, byte(size))
	case size < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, first, 126), uint16(size))
	}
	return binary.BigEndian.AppendUint64(append(dst, first, 127), uint64(size))
}

// AppendPing appends a ping; data has up to 125 bytes.
func AppendPing(dst, data []byte) []byte { return appendControl(dst, opPing, data) }

// AppendPong appends the answer to a ping with data.
func AppendPong(dst, data []byte) []byte { return appendControl(dst, opPong, data) }

func appendControl(dst []byte, opcode byte, data []byte) []byte {
	data = data[:min(len(data), maxControl)]
	return append(append(dst, finBit|opcode, byte(len(data))), data...)
}

// AppendClose appends a close frame. A code that cannot be sent, such as
// [CloseNoStatus], stands for none; a reason that is too long is cut between two
// characters.
func AppendClose(dst []byte, code int, reason []byte) []byte {
	if !MayClose(code) {
		return appendControl(dst, opClose, nil)
	}
	if most := maxControl - 2; len(reason) > most {
		for most > 0 && !utf8.RuneStart(reason[most]) {
			most--
		}
		reason = reason[:most]
	}
	dst = append(dst, finBit|opClose, byte(2+len(reason)), byte(code>>8), byte(code))
	return append(dst, reason...)
}
