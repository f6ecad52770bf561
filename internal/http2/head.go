package http2

import (
	"bytes"
	"strings"

	"golang.org/x/net/http2/hpack"

	"indrik/internal/http1"
)

// A Head is the head of a request, in memory of its own. Reuse it to avoid allocation.
type Head struct {
	Method, Scheme, Authority, Path []byte
	Protocol                        []byte // of an extended CONNECT (RFC 8441); nil: it is none
	// Fields are those of the request. The first is Host, if the request names one; Cookie
	// fields are one (RFC 9113 section 8.2.3).
	Fields []http1.Field
	// TooLarge says that the fields are larger than allowed, so that they are not all there.
	TooLarge bool

	buf []byte
}

// Reset makes h ready for another request. [Conn.Next] does so, too.
func (h *Head) Reset() {
	*h = Head{Fields: h.Fields[:0], buf: h.buf[:0]}
}

// Size is how many bytes of memory the head takes.
func (h *Head) Size() int { return cap(h.buf) }

// keep returns a copy of a text in the memory of h.
func (h *Head) keep(text string) []byte {
	start := len(h.buf)
	h.buf = append(h.buf, text...)
	return h.buf[start:len(h.buf):len(h.buf)]
}

// A headReader takes the fields of a block as they are decoded.
type headReader struct {
	limit   int
	connect bool  // extended CONNECT is served
	head    *Head // nil: the fields are of no interest

	trailers  bool
	end       bool // END_STREAM
	regular   bool // a field that is no pseudo-field has come
	malformed string
	size      int // as SETTINGS_MAX_HEADER_LIST_SIZE counts it
	encoded   int // bytes of the block
	length    int64
	cookie    int // index of the first Cookie, −1: there is none
	host      int // fields of that name
}

func (r *headReader) begin(head *Head, trailers, end bool) {
	*r = headReader{limit: r.limit, connect: r.connect, head: head, trailers: trailers, end: end, length: -1, cookie: -1}
}

func (r *headReader) fail(why string) {
	if r.malformed == "" {
		r.malformed = why
	}
}

// field takes one field. What it refuses is malformed by RFC 9113 section 8.2 and 8.3.
func (r *headReader) field(f hpack.HeaderField) {
	r.size += len(f.Name) + len(f.Value) + 32
	if r.size > r.limit && r.malformed == "" {
		// Nothing is looked at any more: one byte of a block can stand for kilobytes.
		if r.head != nil {
			r.head.TooLarge = true
		}
		return
	}
	switch {
	case r.malformed != "":
		return
	case f.Name == "":
		r.fail("a field without a name")
	case hasBadByte(f.Value) || f.Value != "" && (isBlank(f.Value[0]) || isBlank(f.Value[len(f.Value)-1])):
		r.fail("a value with a line break, or with whitespace around it")
	case f.Name[0] == ':':
		r.pseudo(f)
		return
	}
	r.regular = true
	r.check(f)
	if r.malformed == "" && r.head != nil {
		r.add(f)
	}
}

// check refuses fields that HTTP/2 does not have.
func (r *headReader) check(f hpack.HeaderField) {
	for i := range len(f.Name) {
		if c := f.Name[i]; c <= ' ' || c >= 0x7f || 'A' <= c && c <= 'Z' || c == ':' {
			r.fail("a name of a field with an invalid byte")
			return
		}
	}
	switch f.Name {
	case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade":
		r.fail("a field " + f.Name)
	case "te":
		if !strings.EqualFold(f.Value, "trailers") {
			r.fail("a field te that is not trailers")
		}
	case "content-length":
		if n, ok := parseLength(f.Value); ok {
			r.length = n
		}
	}
}

// parseLength reads a Content-Length. What is none is for package http1 to refuse.
func parseLength(text string) (n int64, ok bool) {
	if text == "" || len(text) > 18 {
		return 0, false
	}
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return 0, false
		}
		n = n*10 + int64(text[i]-'0')
	}
	return n, true
}

func (r *headReader) add(f hpack.HeaderField) {
	h := r.head
	switch f.Name {
	case "cookie":
		if r.cookie >= 0 {
			c := &h.Fields[r.cookie]
			c.Value = bytes.Join([][]byte{c.Value, []byte(f.Value)}, []byte("; "))
			return
		}
		r.cookie = len(h.Fields)
	case "host":
		if r.host++; r.host == 1 && len(h.Authority) > 0 && strings.EqualFold(f.Value, string(h.Authority)) {
			return // :authority says the same; another Host makes two, which package http1 refuses
		}
	}
	h.Fields = append(h.Fields, http1.Field{Name: h.keep(f.Name), Value: h.keep(f.Value)})
}

func (r *headReader) pseudo(f hpack.HeaderField) {
	if r.trailers || r.regular {
		r.fail("a pseudo-field after others")
		return
	}
	if r.head == nil {
		return
	}
	h := r.head
	var to *[]byte
	switch {
	case f.Name == ":method":
		to = &h.Method
	case f.Name == ":scheme":
		to = &h.Scheme
	case f.Name == ":authority":
		to = &h.Authority
	case f.Name == ":path":
		to = &h.Path
	case f.Name == ":protocol" && r.connect:
		to = &h.Protocol
	default:
		r.fail("an unknown pseudo-field")
		return
	}
	if *to != nil {
		r.fail("two pseudo-fields " + f.Name)
		return
	}
	*to = h.keep(f.Value)
	if f.Name == ":authority" && f.Value != "" {
		h.Fields = append(h.Fields, http1.Field{Name: hostName, Value: *to})
	}
}

var hostName = []byte("host")

// finish checks the whole of a head (RFC 9113 sections 8.1.1, 8.3.1 and 8.5, RFC 8441
// section 4).
func (r *headReader) finish() {
	if r.malformed != "" || r.head == nil || r.trailers || r.head.TooLarge {
		return
	}
	h := r.head
	connect := string(h.Method) == "CONNECT"
	switch {
	case len(h.Method) == 0:
		r.fail("no :method")
	case connect && h.Protocol == nil:
		if h.Scheme != nil || h.Path != nil || len(h.Authority) == 0 {
			r.fail("a CONNECT without :authority, or with :scheme or :path")
		}
	case h.Protocol != nil && !connect:
		r.fail("a :protocol without CONNECT")
	case len(h.Scheme) == 0 || len(h.Path) == 0:
		r.fail("no :scheme or no :path")
	case !isScheme(h.Scheme):
		r.fail("a :scheme that is none")
	case h.Protocol == nil && r.end && r.length > 0:
		r.fail("a content-length without a body")
	}
}

// isScheme reports whether s is the name of a scheme (RFC 3986 section 3.1).
func isScheme(s []byte) bool {
	for i, c := range s {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (i == 0 || !('0' <= c && c <= '9' || c == '+' || c == '-' || c == '.')) {
			return false
		}
	}
	return true
}

func hasBadByte(s string) bool { return strings.ContainsAny(s, "\x00\r\n") }

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// maxEncoded bounds a block of fields as it is sent, in bytes.
func (c *Conn) maxEncoded() int { return 2*c.settings.MaxHeaderList + 16<<10 }

func (c *Conn) headers(f frame, payload []byte, ev *Event) *ConnError {
	if f.stream%2 == 0 {
		return connError(ProtocolError, "HEADERS of stream %d", f.stream)
	}
	if f.has(flagPadded) && f.length == 0 {
		return connError(FrameSizeError, "HEADERS without the length of their padding")
	}
	block, ok := f.unpad(payload)
	if !ok {
		return connError(ProtocolError, "HEADERS with more padding than payload")
	}
	if f.has(flagPriority) {
		if len(block) < 5 {
			return connError(FrameSizeError, "HEADERS without the priority that they announce")
		}
		if parent := uint32(block[0]&0x7f)<<24 | uint32(block[1])<<16 | uint32(block[2])<<8 | uint32(block[3]); parent == f.stream {
			c.dependent = f.stream
		}
		block = block[5:]
	}
	end := f.has(flagEndStream)
	c.blockID = f.stream
	switch s := c.streams[f.stream]; {
	case s != nil: // trailers
		c.block = s
		c.head.begin(nil, true, end)
	case f.stream <= c.lastStream:
		if !c.wasReset(f.stream) {
			return connError(StreamClosed, "HEADERS of stream %d, which is over", f.stream)
		}
		c.head.begin(nil, false, end)
	case c.refusing || len(c.streams) >= c.settings.MaxStreams:
		c.lastStream = f.stream
		c.head.begin(nil, false, end)
		if !c.refusing {
			ev.ByUs = true
			c.appendReset(f.stream, RefusedStream)
		}
	default:
		c.lastStream = f.stream
		s, head := c.settings.Open()
		*s = Stream{
			Owner: s.Owner, id: f.stream, expected: -1,
			recvWindow: int64(c.settings.Window), sendWindow: c.initialWindow, Priority: unsaid,
		}
		head.Reset()
		c.streams[f.stream] = s
		c.block = s
		c.head.begin(head, false, end)
	}
	return c.decode(block, f.has(flagEndHeaders), ev)
}

func (c *Conn) continuation(f frame, payload []byte, ev *Event) *ConnError {
	if c.blockID == 0 {
		return connError(ProtocolError, "CONTINUATION without HEADERS")
	}
	return c.decode(payload, f.has(flagEndHeaders), ev)
}

// maxBlockCopy is the size up to which memory for a block of fields is used again, in bytes.
const maxBlockCopy = 1 << 10

// decode decodes more of a block of fields.
func (c *Conn) decode(block []byte, last bool, ev *Event) *ConnError {
	if c.decoder == nil {
		c.decoder = hpack.NewDecoder(tableSize, nil)
		c.decoder.SetMaxStringLength(c.maxEncoded())
		c.decoder.SetEmitFunc(c.head.field)
	}
	if c.head.encoded += len(block); c.head.encoded > c.maxEncoded() {
		return connError(EnhanceYourCalm, "a head of more than %d bytes", c.maxEncoded())
	}
	// The decoder goes on referring to what it was given last. That must not be the buffer of
	// the reader, which others use when the connection is idle.
	if cap(c.blockCopy) > maxBlockCopy {
		c.blockCopy = nil
	}
	c.blockCopy = append(c.blockCopy[:0], block...)
	if _, err := c.decoder.Write(c.blockCopy); err != nil {
		return connError(CompressionError, "fields that cannot be decoded: %s", err)
	}
	if !last {
		return nil
	}
	if err := c.decoder.Close(); err != nil {
		return connError(CompressionError, "fields that cannot be decoded: %s", err)
	}
	s, id := c.block, c.blockID
	c.block, c.blockID = nil, 0
	if s == nil || !c.IsOpen(s) {
		return nil // they are for nobody
	}
	c.head.finish()
	switch {
	case c.head.trailers && s.remoteClosed:
		c.streamError(id, StreamClosed, ev)
	case c.head.malformed != "" || c.dependent == id:
		c.streamError(id, ProtocolError, ev)
	case c.head.trailers && (!c.head.end || s.expected >= 0 && s.received != s.expected):
		c.streamError(id, ProtocolError, ev)
	case c.head.trailers:
		ev.Kind, ev.Stream, ev.End = Trailers, s, true
		c.closeRemote(s)
	default:
		ev.Kind, ev.Stream, ev.Head, ev.End = Request, s, c.head.head, c.head.end
		c.setPriority(s, ev.Head.Fields)
		s.expected = c.head.length
		if c.head.end {
			c.closeRemote(s)
		}
	}
	c.dependent = 0
	c.head.head = nil
	return nil
}
