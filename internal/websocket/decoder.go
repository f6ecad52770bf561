package websocket

import (
	"encoding/binary"
	"errors"
	"io"
	"unicode/utf8"
)

// Opcodes (RFC 6455 section 11.8).
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xa
)

const (
	finBit  = 0x80
	rsv1Bit = 0x40
	rsvBits = 0x70
	maskBit = 0x80
	// maxControl bounds the payload of a control frame (RFC 6455 section 5.5).
	maxControl = 125
	// partSize is how much of a decompressed message comes at a time.
	partSize = 32 << 10
)

// A Kind says what a client sent.
type Kind int

const (
	Nothing Kind = iota // not enough to tell
	Part                // of a message
	Ping
	Pong
	Close
)

// An Event is something that a client sent. Data is part of the buffer it was read
// from, or of the decoder's own, and good until the next call.
type Event struct {
	Kind Kind
	Data []byte // of the part, the ping or the pong; the reason of a close
	Text bool   // the message is text, and Data valid UTF-8; else it is binary
	Last bool   // the message ends here
	Code int    // of a close; CloseNoStatus if it had none
}

// A Decoder reads what one client sends, or one server. The zero value is ready; set the
// fields before the first call.
type Decoder struct {
	MaxMessage int64 // bytes of a message, as the app gets it; 0: no limit
	Deflate    bool  // permessage-deflate was agreed on
	OfServer   bool  // frames come from a server: without masks (RFC 6455 section 5.1)

	// The frame that is being read.
	inFrame bool
	opcode  byte
	fin     bool
	key     [4]byte
	left    int64 // bytes of the payload
	at      int64 // bytes of it that were read

	// The message that is being read.
	inMessage  bool
	text       bool
	compressed bool
	size       int64 // bytes of it so far, as they are sent
	char       [utf8.UTFMax]byte
	chars      int // bytes in char: the start of a character

	idle int // frames that ask for nothing, since Idle was called

	inflate *inflater // of a compressed message
	closed  bool
}

// InFrame reports whether the client is in the middle of a frame.
func (d *Decoder) InFrame() bool { return d.inFrame }

// Next reads one event from the start of b, which it changes, and returns how many
// bytes it took. [Nothing] means that it needs more, of which b must have kept what
// was not taken. It may return an event without taking a byte, so it is called until
// it returns Nothing. After an error, which is always an [*Error], or a [Close],
// nothing that comes counts.
func (d *Decoder) Next(b []byte) (n int, ev Event, err error) {
	if d.closed {
		return len(b), Event{}, nil
	}
	if d.inflate != nil && d.inflate.done {
		d.dropInflater()
	}
	n, ev, err = d.next(b)
	if err != nil || ev.Kind == Close {
		d.closed = true
		d.Release()
	}
	return n, ev, err
}

// Release gives back memory that is shared with other decoders. The decoder
// can no longer be used.
func (d *Decoder) Release() {
	d.dropInflater()
	d.closed = true
}

// smallFragment is how many bytes a part of a message has at least that does not count
// as one that asks for nothing.
const smallFragment = 16

// Idle is how many frames there were since it was called last that ask for nothing:
// pings, pongs, and fragments that have next to nothing of a message and do not end it.
func (d *Decoder) Idle() int {
	n := d.idle
	d.idle = 0
	return n
}

// Held is how many bytes of memory the decoder has besides its own.
func (d *Decoder) Held() int {
	if d.inflate == nil {
		return 0
	}
	return inflaterSize + cap(d.inflate.payload)
}

func (d *Decoder) dropInflater() {
	if d.inflate != nil {
		d.inflate.release()
		d.inflate = nil
	}
}

func (d *Decoder) next(b []byte) (int, Event, error) {
	taken := 0
	for {
		if d.inflate != nil && d.inflate.reading {
			ev, err := d.inflated()
			return taken, ev, err
		}
		if !d.inFrame {
			n, err := d.header(b[taken:])
			if n == 0 || err != nil {
				return taken, Event{}, err
			}
			taken += n
		}
		n, ev, err := d.payload(b[taken:])
		taken += n
		if err != nil || ev.Kind != Nothing {
			return taken, ev, err
		}
		if d.inFrame {
			return taken, Event{}, nil
		}
	}
}

// header reads the header of a frame (RFC 6455 section 5.2), 0 if it is not there
// yet. What is wrong about it is told as early as it can be.
func (d *Decoder) header(b []byte) (int, error) {
	if len(b) < 2 {
		return 0, nil
	}
	opcode, fin := b[0]&0x0f, b[0]&finBit != 0
	control := opcode >= opClose
	switch opcode {
	case opContinuation, opText, opBinary, opClose, opPing, opPong:
	default:
		return 0, violation("opcode %d", opcode)
	}
	if rsv := b[0] & rsvBits; rsv != 0 && (rsv != rsv1Bit || !d.Deflate || opcode != opText && opcode != opBinary) {
		return 0, violation("reserved bits %#x", rsv)
	}
	switch masked := b[1]&maskBit != 0; {
	case !masked && !d.OfServer:
		return 0, violation("a frame without a mask")
	case masked && d.OfServer:
		return 0, violation("a frame with a mask")
	}
	switch {
	case control && !fin:
		return 0, violation("a control frame in fragments")
	case control && b[1]&^maskBit > maxControl:
		return 0, violation("a control frame of more than %d bytes", maxControl)
	case !control && d.inMessage != (opcode == opContinuation):
		if d.inMessage {
			return 0, violation("a message before the end of the one before it")
		}
		return 0, violation("a continuation of nothing")
	}
	n, size := 2, int64(b[1]&^maskBit)
	switch size {
	case 126:
		if len(b) < 4 {
			return 0, nil
		}
		n, size = 4, int64(binary.BigEndian.Uint16(b[2:]))
		if size < 126 {
			return 0, violation("a length that is not in its shortest form")
		}
	case 127:
		if len(b) < 10 {
			return 0, nil
		}
		n, size = 10, int64(binary.BigEndian.Uint64(b[2:]))
		if size < 0 {
			return 0, violation("a length of 64 bits")
		}
		if size < 1<<16 {
			return 0, violation("a length that is not in its shortest form")
		}
	}
	if !control && !d.mayGrow(opcode, b[0]&rsv1Bit != 0, size) {
		return 0, errTooBig
	}
	if !d.OfServer {
		if len(b) < n+4 {
			return 0, nil
		}
		d.key = [4]byte(b[n:])
		n += 4
	}
	d.inFrame, d.opcode, d.fin, d.left, d.at = true, opcode, fin, size, 0
	if control || !fin && size < smallFragment {
		d.idle++
	}
	if opcode == opText || opcode == opBinary {
		d.inMessage, d.text, d.size, d.chars = true, opcode == opText, 0, 0
		d.compressed = b[0]&rsv1Bit != 0
		if d.compressed {
			d.inflate = newInflater()
		}
	}
	return n, nil
}

// mayGrow reports whether a frame of that size does not make its message too large.
// One that does not get smaller by compression may get a little larger.
func (d *Decoder) mayGrow(opcode byte, compressed bool, size int64) bool {
	if d.MaxMessage == 0 {
		return true
	}
	room := d.MaxMessage
	if opcode == opContinuation {
		room -= d.size
		compressed = d.compressed
	}
	if compressed {
		room += d.MaxMessage/1024 + 64
	}
	return size <= room
}

// payload reads of the payload what there is. Control frames come whole.
func (d *Decoder) payload(b []byte) (int, Event, error) {
	if d.opcode >= opClose {
		if int64(len(b)) < d.left {
			return 0, Event{}, nil
		}
		b = b[:d.left]
		unmask(b, d.key, 0)
		d.inFrame = false
		switch d.opcode {
		case opPing:
			return len(b), Event{Kind: Ping, Data: b}, nil
		case opPong:
			return len(b), Event{Kind: Pong, Data: b}, nil
		}
		code, reason, err := closeOf(b)
		return len(b), Event{Kind: Close, Code: code, Data: reason}, err
	}
	if int64(len(b)) > d.left {
		b = b[:d.left]
	}
	if d.compressed {
		unmask(b, d.key, d.at)
		d.advance(len(b))
		d.inflate.add(b)
		if d.left > 0 {
			return len(b), Event{}, nil
		}
		d.inFrame = false
		if d.fin {
			d.size = 0 // from here on as the app gets it
			d.inflate.begin()
		}
		return len(b), Event{}, nil
	}
	if d.chars > 0 && len(b) > 0 {
		return d.completeChar(b)
	}
	unmask(b, d.key, d.at)
	d.advance(len(b))
	end := d.endOfFrame()
	data, err := d.whole(b, end)
	if err != nil || len(data) == 0 && !end {
		return len(b), Event{}, err
	}
	return len(b), Event{Kind: Part, Text: d.text, Data: data, Last: end}, nil
}

func (d *Decoder) advance(n int) {
	d.at += int64(n)
	d.left -= int64(n)
	d.size += int64(n)
}

// endOfFrame ends a frame of which all was read, and reports whether it was the last
// one of its message.
func (d *Decoder) endOfFrame() bool {
	if d.left > 0 {
		return false
	}
	d.inFrame = false
	if d.fin {
		d.inMessage = false
	}
	return d.fin
}

// completeChar reads the rest of a character whose start came earlier.
func (d *Decoder) completeChar(b []byte) (int, Event, error) {
	n := 0
	for n < len(b) && d.chars < len(d.char) && !utf8.FullRune(d.char[:d.chars]) {
		unmask(b[n:n+1], d.key, d.at)
		d.char[d.chars] = b[n]
		d.chars++
		n++
		d.advance(1)
	}
	end := d.endOfFrame()
	if !utf8.FullRune(d.char[:d.chars]) {
		if end {
			return n, Event{}, errUTF8
		}
		return n, Event{}, nil
	}
	if r, size := utf8.DecodeRune(d.char[:d.chars]); r == utf8.RuneError && size == 1 {
		return n, Event{}, errUTF8
	}
	data := d.char[:d.chars]
	d.chars = 0
	return n, Event{Kind: Part, Text: true, Data: data, Last: end}, nil
}

// whole returns the whole characters of a part of a text, and keeps the start of one
// that is not complete.
func (d *Decoder) whole(b []byte, end bool) ([]byte, error) {
	if !d.text {
		return b, nil
	}
	rest := len(b) - incomplete(b)
	if !utf8.Valid(b[:rest]) || end && (rest < len(b) || d.chars > 0) {
		return nil, errUTF8
	}
	if rest < len(b) {
		d.chars = copy(d.char[:], b[rest:])
	}
	return b[:rest], nil
}

// incomplete is how many bytes at the end of b are the start of a character.
func incomplete(b []byte) int {
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		if c := b[len(b)-i]; utf8.RuneStart(c) {
			if !utf8.FullRune(b[len(b)-i:]) {
				return i
			}
			break
		}
	}
	return 0
}

// inflated returns the next part of a compressed message, all of which is there.
func (d *Decoder) inflated() (Event, error) {
	in := d.inflate
	// The start of a character goes before the rest of it.
	n := copy(in.out[:], d.char[:d.chars])
	d.chars = 0
	end := false
	for n < len(in.out) && !end {
		more, err := in.read(in.out[n:])
		n += more
		if end = errors.Is(err, io.EOF); err != nil && !end {
			return Event{}, errDeflate
		}
		if d.size += int64(more); d.MaxMessage > 0 && d.size > d.MaxMessage {
			return Event{}, errTooBig
		}
	}
	data, err := d.whole(in.out[:n], end)
	if err != nil {
		return Event{}, err
	}
	if end {
		d.inMessage = false
		in.reading, in.done = false, true
	}
	return Event{Kind: Part, Text: d.text, Data: data, Last: end}, nil
}
