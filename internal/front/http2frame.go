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
	length, kind, flags := s.length(), s.head[3], s.head[4]
	switch {
	case kind == frameData && flags&flagPadded != 0:
		return frameHeader + min(length, 1)
	case kind == frameReset, kind == frameUpdate:
		return frameHeader + min(length, 4)
	}
	return frameHeader
}

func (s *frameScanner) length() int {
	return int(s.head[0])<<16 | int(s.head[1])<<8 | int(s.head[2])
}

// next returns the frame whose head is complete, if it is; the rest of its payload is
// expected then.
func (s *frameScanner) next() (frame, bool) {
	if s.n < frameHeader || s.n < s.headSize() {
		return frame{}, false
	}
	f := frame{kind: s.head[3], flags: s.head[4], length: s.length(), stream: binary.BigEndian.Uint32(s.head[5:]) &^ (1 << 31)}
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

// An http2Filter checks the bytes that a client sends before net/http reads them: it
// looks for a flood, and removes settings that are repeated in one SETTINGS frame.
// net/http treats repetitions as an error; by RFC 9113 section 6.5.3 the last one
// holds. Fields that HTTP/2 does not have make a request malformed; see [fieldWatch].
type http2Filter struct {
	limits  *floodLimits
	unread  *unread
	scanner frameScanner
	fields  fieldWatch
	preface int    // bytes of it that have passed
	whole   []byte // a frame that passes as one, as far as it has come
	size    int    // of that frame; 0: there is none
}

// maxSettings is the largest SETTINGS frame that is put in order; net/http refuses those
// of more than 100 settings.
const maxSettings = 100 * 6

// filter appends to dst the bytes of p that may pass.
func (h *http2Filter) filter(dst, p []byte) ([]byte, error) {
	if k := min(len(http2Preface)-h.preface, len(p)); k > 0 {
		dst = append(dst, p[:k]...)
		h.preface += k
		p = p[k:]
	}
	s := &h.scanner
	for len(p) > 0 {
		switch {
		case h.size > 0:
			k := min(h.size-len(h.whole), len(p))
			h.whole = append(h.whole, p[:k]...)
			p = p[k:]
			dst = h.appendWhole(dst)
		case s.n == 0 && s.payload > 0:
			k := min(s.payload, len(p))
			dst = append(dst, p[:k]...)
			s.payload -= k
			p = p[k:]
		default:
			p = p[s.addHead(p):]
			read := s.n
			f, ok := s.next()
			if !ok {
				continue
			}
			if !h.limits.allow(&f, now()) {
				return nil, errFlood
			}
			if f.kind == frameData {
				h.unread.add(f.length)
			}
			if h.passesWhole(&f) {
				h.whole, h.size = append(h.whole[:0], s.head[:read]...), frameHeader+f.length
				s.payload = 0
				dst = h.appendWhole(dst)
				continue
			}
			dst = append(dst, s.head[:read]...)
		}
	}
	return dst, nil
}

// passesWhole reports whether a frame is looked at as a whole.
func (h *http2Filter) passesWhole(f *frame) bool {
	switch f.kind {
	case frameSettings:
		return f.flags&flagAck == 0 && f.length > 6 && f.length <= maxSettings
	case frameHeaders, frameContinuation:
		h.fields.loseIfLarge(f)
		return !h.fields.lost
	}
	return false
}

// appendWhole appends the frame in h.whole once all of it has come.
func (h *http2Filter) appendWhole(dst []byte) []byte {
	if len(h.whole) < h.size {
		return dst
	}
	if h.whole[3] == frameSettings {
		dst = appendSettings(dst, h.whole)
	} else {
		dst = h.fields.append(dst, h.whole)
	}
	h.size = 0
	if cap(h.whole) > http2Buffer {
		h.whole = nil
	}
	return dst
}

// appendSettings appends a SETTINGS frame in which no setting is repeated.
func appendSettings(dst, whole []byte) []byte {
	start := len(dst)
	dst = append(dst, whole[:frameHeader]...)
	payload := whole[frameHeader:]
	if len(payload)%6 != 0 {
		return append(dst, payload...) // net/http has the error for it
	}
	for i := 0; i < len(payload); i += 6 {
		if !repeatsLater(payload[i:]) {
			dst = append(dst, payload[i:i+6]...)
		}
	}
	setLength(dst[start:])
	return dst
}

// setLength corrects the length in a frame.
func setLength(whole []byte) {
	n := len(whole) - frameHeader
	whole[0], whole[1], whole[2] = byte(n>>16), byte(n>>8), byte(n)
}

// repeatsLater reports whether the setting at the start of payload comes again.
func repeatsLater(payload []byte) bool {
	for i := 6; i < len(payload); i += 6 {
		if payload[i] == payload[0] && payload[i+1] == payload[1] {
			return true
		}
	}
	return false
}
