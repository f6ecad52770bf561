package front

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

// repeatsLater reports whether the setting at the start of payload comes again.
func repeatsLater(payload []byte) bool {
	for i := 6; i < len(payload); i += 6 {
		if payload[i] == payload[0] && payload[i+1] == payload[1] {
			return true
		}
	}
	return false
}
