package front

import "encoding/binary"

// The kinds of frames (RFC 9113 section 6) and flags that matter here.
const (
	frameData         = 0
	frameHeaders      = 1
	frameReset        = 3
	frameSettings     = 4
	frameUpdate       = 8
	frameContinuation = 9

	flagEndStream  = 0x01 // of DATA and HEADERS
	flagAck        = 0x01 // of SETTINGS
	flagEndHeaders = 0x04 // of HEADERS and CONTINUATION
	flagPadded     = 0x08 // of DATA and HEADERS
	flagPriority   = 0x20 // of HEADERS

	frameHeader = 9
)

// A frame is the header of an HTTP/2 frame, with the first payload bytes where they are
// needed to judge it.
type frame struct {
	kind, flags byte
	length      int
	data        int    // DATA: bytes without padding
	code        uint32 // RST_STREAM
	stream      uint32
	increment   uint32 // WINDOW_UPDATE
}

// A frameScanner finds the frames in a stream of bytes.
type frameScanner struct {
	head    [frameHeader + 4]byte
	n       int // bytes of head
	payload int // bytes of it that are still to come
}

// scan calls each for every frame as soon as its start has come.
func (s *frameScanner) scan(p []byte, each func(*frame)) {
	for len(p) > 0 {
		if s.payload > 0 && s.n == 0 {
			k := min(s.payload, len(p))
			s.payload -= k
			p = p[k:]
			continue
		}
		k := s.addHead(p)
		p = p[k:]
		if f, ok := s.next(); ok {
			each(&f)
		}
	}
}

// addHead adds bytes of p to the head, as many as are needed to understand it, and
// returns how many.
func (s *frameScanner) addHead(p []byte) int {
	k := copy(s.head[s.n:s.headSize()], p)
	s.n += k
	if s.n == frameHeader {
		m := copy(s.head[s.n:s.headSize()], p[k:])
		s.n += m
		k += m
	}
	return k
}

// headSize returns how many bytes the head has to have.
func (s *frameScanner) headSize() int {
	if s.n < frameHeader {
		return frameHeader
	}
	length, kind, flags := s.payloadLength(), s.head[3], s.head[4]
	switch {
	case kind == frameData && flags&flagPadded != 0:
		return frameHeader + min(length, 1)
	case kind == frameReset, kind == frameUpdate:
		return frameHeader + min(length, 4)
	}
	return frameHeader
}

// payloadLength returns the length that the header says.
func (s *frameScanner) payloadLength() int {
	return int(s.head[0])<<16 | int(s.head[1])<<8 | int(s.head[2])
}

// next returns the frame whose head is complete, if it is; the rest of its payload is
// expected then.
func (s *frameScanner) next() (frame, bool) {
	if s.n < frameHeader || s.n < s.headSize() {
		return frame{}, false
	}
	f := frame{kind: s.head[3], flags: s.head[4], length: s.payloadLength(), stream: binary.BigEndian.Uint32(s.head[5:]) &^ (1 << 31)}
	switch f.kind {
	case frameData:
		f.data = f.length
		if s.n > frameHeader {
			f.data = max(0, f.length-1-int(s.head[frameHeader]))
		}
	case frameReset:
		f.code = binary.BigEndian.Uint32(s.head[frameHeader:])
	case frameUpdate:
		f.increment = binary.BigEndian.Uint32(s.head[frameHeader:]) &^ (1 << 31)
	}
	s.payload = f.length - (s.n - frameHeader)
	s.n = 0
	return f, true
}

// setLength corrects the length in a frame.
func setLength(whole []byte) {
	n := len(whole) - frameHeader
	whole[0], whole[1], whole[2] = byte(n>>16), byte(n>>8), byte(n)
}
