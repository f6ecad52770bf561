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

// A frame is what stands at the start of one.
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
	head [frameHeader + 4]byte
	n    int // bytes of head
	left int // bytes of the payload that are to come
}

// scan calls each for every frame, once its start is there.
func (s *frameScanner) scan(p []byte, each func(*frame)) {
	for len(p) > 0 {
		if s.left > 0 && s.n == 0 {
			k := min(s.left, len(p))
			s.left -= k
			p = p[k:]
			continue
		}
		k := s.fill(p)
		p = p[k:]
		if f, ok := s.frame(); ok {
			each(&f)
		}
	}
}

// fill takes bytes into the head, as many as are needed to understand it.
func (s *frameScanner) fill(p []byte) int {
	k := copy(s.head[s.n:s.want()], p)
	s.n += k
	if s.n == frameHeader {
		m := copy(s.head[s.n:s.want()], p[k:])
		s.n += m
		k += m
	}
	return k
}

// want is how long the head is to be.
func (s *frameScanner) want() int {
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

// frame returns what is in the head, if that is all there; the rest of the
// payload is expected then.
func (s *frameScanner) frame() (frame, bool) {
	if s.n < frameHeader || s.n < s.want() {
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
	s.left = f.length - (s.n - frameHeader)
	s.n = 0
	return f, true
}

// An http2Filter is what the bytes of a client pass through: it looks for a flood,
// and lets each setting stand in a SETTINGS frame once only. net/http takes
// repetitions for an error, where RFC 9113 section 6.5.3 has the last one hold.
// Fields that HTTP/2 does not have make a request malformed; see [fieldWatch].
type http2Filter struct {
	limits  *floodLimits
	unread  *unread
	scanner frameScanner
	fields  fieldWatch
	preface int    // bytes of it that have passed
	whole   []byte // a frame that is not all there, and passes as one
	want    int    // bytes of it, when it is
}

// maxSettings is how large a SETTINGS frame may be that is put in order; net/http
// refuses those of more than 100 settings.
const maxSettings = 100 * 6

// filter appends to dst what of p may pass.
func (h *http2Filter) filter(dst, p []byte) ([]byte, error) {
	if k := min(len(http2Preface)-h.preface, len(p)); k > 0 {
		dst = append(dst, p[:k]...)
		h.preface += k
		p = p[k:]
	}
	s := &h.scanner
	for len(p) > 0 {
		switch {
		case h.want > 0:
			k := min(h.want-len(h.whole), len(p))
			h.whole = append(h.whole, p[:k]...)
			p = p[k:]
			dst = h.passWhole(dst)
		case s.n == 0 && s.left > 0:
			k := min(s.left, len(p))
			dst = append(dst, p[:k]...)
			s.left -= k
			p = p[k:]
		default:
			p = p[s.fill(p):]
			read := s.n
			f, ok := s.frame()
			if !ok {
				continue
			}
			if !h.limits.received(&f, now()) {
				return nil, errFlood
			}
			if f.kind == frameData {
				h.unread.received(f.length)
			}
			if h.holds(&f) {
				h.whole, h.want = append(h.whole[:0], s.head[:read]...), frameHeader+f.length
				s.left = 0
				dst = h.passWhole(dst)
				continue
			}
			dst = append(dst, s.head[:read]...)
		}
	}
	return dst, nil
}

// holds tells whether a frame is to pass as one.
func (h *http2Filter) holds(f *frame) bool {
	switch f.kind {
	case frameSettings:
		return f.flags&flagAck == 0 && f.length > 6 && f.length <= maxSettings
	case frameHeaders, frameContinuation:
		return h.fields.watches(f)
	}
	return false
}

// passWhole appends the frame that was held, once all of it is there.
func (h *http2Filter) passWhole(dst []byte) []byte {
	if len(h.whole) < h.want {
		return dst
	}
	if h.whole[3] == frameSettings {
		dst = appendSettings(dst, h.whole)
	} else {
		dst = h.fields.append(dst, h.whole)
	}
	h.want = 0
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

// repeatsLater tells whether the setting at the start of payload comes again.
func repeatsLater(payload []byte) bool {
	for i := 6; i < len(payload); i += 6 {
		if payload[i] == payload[0] && payload[i+1] == payload[1] {
			return true
		}
	}
	return false
}
