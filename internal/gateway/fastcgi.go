package gateway

import (
	"encoding/binary"
	"slices"
)

// Types of records, and other numbers of the specification (section 8).
const (
	fcgiVersion = 1

	fcgiBeginRequest    = 1
	fcgiAbortRequest    = 2
	fcgiEndRequest      = 3
	fcgiParams          = 4
	fcgiStdin           = 5
	fcgiStdout          = 6
	fcgiGetValues       = 9
	fcgiGetValuesResult = 10
	fcgiUnknownType     = 11

	fcgiResponder = 1
	fcgiKeepConn  = 1

	fcgiCannotMultiplex = 1 // protocolStatus of END_REQUEST
	fcgiUnknownRole     = 3
)

const (
	fcgiHeader = 8
	// fcgiMost is how many bytes of a body a record of ours has: the most that are a
	// multiple of 8, so that it needs no padding.
	fcgiMost = 65528
	// maxManagement bounds the records between two requests that concern no request.
	maxManagement = 64
)

// A record is the header of one.
type record struct {
	kind           byte
	id             uint16
	length, padded int // of the content, and of it with its padding
}

// parseRecord reads a header. Every byte of it but the last has a meaning.
func parseRecord(b []byte) (record, *Error) {
	if b[0] != fcgiVersion {
		return record{}, badRequest("this is no FastCGI: a record begins with its version, 1, and not with %d", b[0])
	}
	r := record{kind: b[1], id: binary.BigEndian.Uint16(b[2:]), length: int(binary.BigEndian.Uint16(b[4:]))}
	r.padded = r.length + int(b[6])
	return r, nil
}

// appendRecord appends a record without padding.
func appendRecord(b []byte, kind byte, id uint16, content []byte) []byte {
	b = append(b, fcgiVersion, kind, byte(id>>8), byte(id), byte(len(content)>>8), byte(len(content)), 0, 0)
	return append(b, content...)
}

// A FastCGIHead is the start of a request of FastCGI: all that comes before its body. Reuse
// it to avoid allocation.
type FastCGIHead struct {
	ID        uint16 // of the request; what is answered has it, too
	KeepConn  bool   // the web server closes the connection, not this side
	Variables []Variable
	// Answer is to be sent when n is not 0, or together with Passed: the answers to records
	// that are not of this request.
	Answer []byte
	// Passed is how many bytes at the start of the buffer such records were. They are
	// not to be parsed again.
	Passed   int
	answered int    // bytes of Answer that are for what was passed
	params   []byte // what Variables are parts of, if they came in several records
}

// ParseFastCGI reads the records of a request up to its body. It returns their length, or 0
// if more bytes are needed.
func ParseFastCGI(buf []byte, h *FastCGIHead) (n int, err error) {
	*h = FastCGIHead{Variables: h.Variables[:0], params: h.params[:0]}
	begun, parts := false, 0
	for range maxManagement + maxVariables {
		rest := buf[n:]
		if len(rest) < fcgiHeader {
			if len(rest) > 0 && rest[0] != fcgiVersion {
				_, e := parseRecord(rest[:1])
				return 0, e
			}
			return h.wait()
		}
		r, e := parseRecord(rest)
		if e != nil {
			return 0, e
		}
		if n+r.padded > maxHead+fcgiHeader {
			return 0, tooLarge(FastCGI, "a head that is too large")
		}
		if len(rest) < fcgiHeader+r.padded {
			return h.wait()
		}
		content := rest[fcgiHeader : fcgiHeader+r.length]
		n += fcgiHeader + r.padded
		switch {
		case r.id == 0:
			h.Answer = appendManagement(h.Answer, r, content)
		case r.kind == fcgiBeginRequest && begun:
			// The specification lets an app say that it serves one request at a time.
			h.Answer = appendEnd(h.Answer, r.id, fcgiCannotMultiplex)
		case r.kind == fcgiBeginRequest:
			if len(content) < 3 {
				return 0, badRequest("the record that begins the FastCGI request is too short")
			}
			if role := binary.BigEndian.Uint16(content); role != fcgiResponder {
				h.Answer = appendEnd(h.Answer, r.id, fcgiUnknownRole)
				break
			}
			begun, h.ID, h.KeepConn = true, r.id, content[2]&fcgiKeepConn != 0
			continue
		case !begun || r.id != h.ID:
			// What remains of a request that was refused or aborted.
		case r.kind == fcgiAbortRequest:
			h.Answer = appendEnd(h.Answer, r.id, 0)
			begun, parts = false, 0
			h.params = h.params[:0]
		case r.kind == fcgiParams && r.length > 0:
			parts++
			h.params = append(h.params, content...)
			continue
		case r.kind == fcgiParams:
			if err := h.parseParams(); err != nil {
				return 0, err
			}
			return n, nil
		default:
			return 0, badRequest("a FastCGI record of type %d stands within the variables of a request", r.kind)
		}
		if !begun {
			h.Passed, h.answered = n, len(h.Answer)
		}
	}
	return 0, badRequest("the FastCGI request has too many records before its body")
}

// wait returns that more bytes are needed. What stands behind Passed is parsed again then, so
// it is not answered yet.
func (h *FastCGIHead) wait() (int, error) {
	h.Answer = h.Answer[:h.answered]
	return 0, nil
}

// parseParams reads the variables (section 3.4).
func (h *FastCGIHead) parseParams() error {
	for rest := h.params; len(rest) > 0; {
		name, rest2, ok := cutLength(rest)
		value, rest3, ok2 := cutLength(rest2)
		if !ok || !ok2 || name > len(rest3) || value > len(rest3)-name {
			return badRequest("the FastCGI request ends within a variable")
		}
		if len(h.Variables) == maxVariables {
			return tooLarge(FastCGI, errTooManyVariables)
		}
		h.Variables = append(h.Variables, Variable{rest3[:name], rest3[name : name+value]})
		rest = rest3[name+value:]
	}
	return nil
}

// cutLength reads a length: one byte, or four if the first has its highest bit set.
func cutLength(b []byte) (n int, rest []byte, ok bool) {
	switch {
	case len(b) == 0:
		return 0, b, false
	case b[0] < 0x80:
		return int(b[0]), b[1:], true
	case len(b) < 4:
		return 0, b, false
	}
	return int(binary.BigEndian.Uint32(b) &^ (1 << 31)), b[4:], true
}

// appendManagement answers a record that concerns no request (section 4).
func appendManagement(b []byte, r record, content []byte) []byte {
	if r.kind != fcgiGetValues {
		return appendRecord(b, fcgiUnknownType, 0, []byte{r.kind, 0, 0, 0, 0, 0, 0, 0})
	}
	var values []byte
	asked := FastCGIHead{params: content}
	if asked.parseParams() == nil {
		for _, v := range asked.Variables {
			if string(v.Name) == "FCGI_MPXS_CONNS" {
				values = append(values, byte(len(v.Name)), 1)
				values = append(append(values, v.Name...), '0')
			}
		}
	}
	return appendRecord(b, fcgiGetValuesResult, 0, values)
}

func appendEnd(b []byte, id uint16, status byte) []byte {
	return appendRecord(b, fcgiEndRequest, id, []byte{0, 0, 0, 0, status, 0, 0, 0})
}

// A Stdin decodes the body of a request of FastCGI, like [http1.Chunked] a chunked one. Call
// Reset first.
type Stdin struct {
	id      uint16
	header  [fcgiHeader]byte
	have    int // bytes of header
	left    int // of the content of the record
	padding int // that follows it
	records int // since Chunks was called
	size    int64
	want    int64 // of the whole body, −1: not known
	last    bool  // this is the record that ends the body
	done    bool
}

// Reset prepares s for the body of the request id, of so many bytes by CONTENT_LENGTH, −1 if
// that is not there.
func (s *Stdin) Reset(id uint16, length int64) { *s = Stdin{id: id, want: length} }

// EndsBody reports whether the record at the start of buf is the end of the body of the
// request id, so that there is none, and its length. known is false if more bytes are needed
// to tell.
func EndsBody(buf []byte, id uint16) (n int, ends, known bool) {
	if len(buf) < fcgiHeader {
		return 0, false, len(buf) > 0 && buf[0] != fcgiVersion
	}
	r, err := parseRecord(buf)
	if err != nil || r.kind != fcgiStdin || r.id != id || r.length > 0 {
		return 0, false, true // what is wrong shows when the body is read
	}
	n = fcgiHeader + r.padded
	return n, true, len(buf) >= n
}

// Chunks is how many records were begun since it was called last.
func (s *Stdin) Chunks() int {
	n := s.records
	s.records = 0
	return n
}

// Decode reads the body from src into dst: nd bytes into dst, ns from src. It ends when dst
// is full, src is used up, or with done after the record that ends the body; src[ns:] then
// belongs to the next request. With an empty dst it stops before the first byte of the body.
// An error is an [*Error] and final.
func (s *Stdin) Decode(dst, src []byte) (nd, ns int, done bool, err error) {
	for !s.done && ns < len(src) {
		switch {
		case s.left > 0:
			n := copy(dst[nd:min(len(dst), nd+s.left)], src[ns:])
			if n == 0 {
				return nd, ns, false, nil
			}
			nd, ns, s.left = nd+n, ns+n, s.left-n
			s.size += int64(n)
			if s.want >= 0 && s.size > s.want {
				return nd, ns, false, badRequest("the body of the FastCGI request is longer than its CONTENT_LENGTH")
			}
		case s.padding > 0:
			n := min(s.padding, len(src)-ns)
			ns, s.padding = ns+n, s.padding-n
			s.done = s.last && s.padding == 0
		default:
			n := copy(s.header[s.have:], src[ns:])
			ns, s.have = ns+n, s.have+n
			if s.have < fcgiHeader {
				return nd, ns, false, nil
			}
			s.have = 0
			if e := s.begin(); e != nil {
				return nd, ns, false, e
			}
		}
	}
	return nd, ns, s.done, nil
}

// begin begins a record.
func (s *Stdin) begin() *Error {
	r, e := parseRecord(s.header[:])
	switch {
	case e != nil:
		return e
	case r.id != s.id || r.kind != fcgiStdin:
		return badRequest("a FastCGI record of type %d, of request %d, stands within the body of request %d", r.kind, r.id, s.id)
	}
	s.records++
	s.left, s.padding = r.length, r.padded-r.length
	if r.length == 0 {
		if s.want >= 0 && s.size < s.want {
			return badRequest("the body of the FastCGI request is shorter than its CONTENT_LENGTH")
		}
		s.last, s.done = true, s.padding == 0
	}
	return nil
}

// AppendStdout appends records with a part of a response. p must not be empty.
func AppendStdout(b []byte, id uint16, p []byte) []byte {
	b = slices.Grow(b, len(p)+fcgiHeader*(len(p)/fcgiMost+1))
	for len(p) > 0 {
		n := min(len(p), fcgiMost)
		b = appendRecord(b, fcgiStdout, id, p[:n])
		p = p[n:]
	}
	return b
}

// AppendEnd appends what ends a response.
func AppendEnd(b []byte, id uint16) []byte {
	return appendEnd(appendRecord(b, fcgiStdout, id, nil), id, 0)
}
