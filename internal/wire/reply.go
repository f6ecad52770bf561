package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"indrik/internal/http1"
)

// A ReplyKind is the first item of every message from a slot of a worker.
type ReplyKind int

// The kinds of messages from slots; docs/protocol.md has their shapes.
const (
	ReplyResponse ReplyKind = iota
	ReplyStart
	ReplyChunk
	ReplyEnd
	ReplyFile
	ReplyError
	ReplyRefused
	ReplyHints
	ReplyExtend

	// Only workers that do not read the queue send these, if nothing else is said.
	ReplyLeave // also those that read it, of WebSocket connections
	ReplyCredit
	ReplyTrailers
	ReplyPart
	ReplyFail
	ReplyAccept // also those that read it
	ReplyMessage
	ReplyClose // also those that read it
)

// replyKinds holds the name that each kind has in docs/protocol.md, and the number of items in
// its tuple.
var replyKinds = [...]struct {
	name  string
	items int
}{
	ReplyResponse: {"RESPONSE", 5},
	ReplyStart:    {"START", 5},
	ReplyChunk:    {"CHUNK", 3},
	ReplyEnd:      {"END", 2},
	ReplyFile:     {"FILE", 6},
	ReplyError:    {"ERROR", 2},
	ReplyRefused:  {"REFUSED", 2},
	ReplyHints:    {"HINTS", 3},
	ReplyExtend:   {"EXTEND", 3},
	ReplyLeave:    {"LEAVE", 2},
	ReplyCredit:   {"CREDIT", 3},
	ReplyTrailers: {"TRAILERS", 3},
	ReplyPart:     {"PART", 4},
	ReplyFail:     {"FAIL", 3},
	ReplyAccept:   {"ACCEPT", 4},
	ReplyMessage:  {"MESSAGE", 5},
	ReplyClose:    {"CLOSE", 4},
}

// String returns the name that the kind has in docs/protocol.md.
func (k ReplyKind) String() string {
	if !k.known() {
		return fmt.Sprintf("Kind(%d)", int(k))
	}
	return replyKinds[k].name
}

func (k ReplyKind) known() bool { return k >= 0 && int(k) < len(replyKinds) && replyKinds[k].items > 0 }

// OfQueue reports whether workers that read the queue send messages of this kind.
func (k ReplyKind) OfQueue() bool {
	return k <= ReplyExtend || k == ReplyLeave || k == ReplyAccept || k == ReplyClose
}

// A Reply is a message from a slot. Its slices are parts of the decoded message or of memory of
// its own, and are valid until either changes. Fields that messages of its kind do not have are
// empty. A Reply can be decoded into again, which saves allocations.
type Reply struct {
	Kind     ReplyKind
	ID       uint32        // of the request, 1 to 2³¹−1
	Token    uint64        // of the request, if Claimed
	Claimed  bool          // it names the request by a claim, as the queue's do, and not by its id alone
	Status   []byte        // empty if it came as a number
	Code     int           // the status if it came as a number
	Headers  []http1.Field // Latin-1 text
	Body     []byte        // a whole body, or a part of one or of a WebSocket message; the reason of a close
	InBuffer int           // bytes of a body that are in the response buffer of the slot instead
	InArena  int           // bytes of a body that are in the response arena of the slot instead
	ArenaAt  int           // where they begin there
	Offset   int64         // of the body in a file
	Count    int64         // bytes of the file from there, −1 for all; bytes that are wanted; milliseconds of an extension

	Protocol  []byte // the subprotocol; empty: none
	Text      bool   // the WebSocket message is a text
	More      bool   // more of it follows
	CloseCode int    // to close a WebSocket connection with

	latin1 []byte // what had to be converted, piece after piece
}

// errShort reports a message that ends before its value does.
var errShort = errors.New("it ends too early")

// DecodeReply reads the message at the start of b into m, and returns
// the bytes after it, since ASGI workers send several messages at a time. It accepts the
// shapes in docs/protocol.md and nothing else. After an error the content of m is undefined.
func DecodeReply(b []byte, m *Reply) (rest []byte, err error) {
	*m = Reply{Headers: m.Headers[:0], latin1: m.latin1[:0]}
	d := decoder{b: b}
	if err := d.message(m); err != nil {
		return nil, fmt.Errorf("message of a worker, at byte %d: %w", len(b)-len(d.b), err)
	}
	return d.b, nil
}

// A decoder reads from the front of b.
type decoder struct{ b []byte }

func (d *decoder) message(m *Reply) error {
	items, err := d.header(marshalTuple)
	if err != nil {
		return err
	}
	if items < 2 {
		return fmt.Errorf("a tuple of %d items is no message", items)
	}
	kind, err := d.int()
	if err != nil {
		return err
	}
	m.Kind = ReplyKind(kind)
	if !m.Kind.known() {
		return fmt.Errorf("unknown kind %d", kind)
	}
	if want := replyKinds[kind].items; items != want {
		return fmt.Errorf("%v has %d items, not %d", m.Kind, want, items)
	}
	if err := d.id(m); err != nil {
		return err
	}
	return d.rest(m)
}

// id reads which request the message is about: a claim, or an id.
func (d *decoder) id(m *Reply) error {
	if len(d.b) > 0 && d.b[0] == marshalBytes {
		claim, err := d.bytes()
		if err != nil {
			return err
		}
		if len(claim) != ClaimSize {
			return fmt.Errorf("%d bytes are no claim", len(claim))
		}
		m.Claimed, m.Token = true, binary.NativeEndian.Uint64(claim)
		return m.setID(binary.NativeEndian.Uint64(claim[8:]))
	}
	id, err := d.int()
	if err != nil {
		return err
	}
	return m.setID(uint64(id))
}

func (m *Reply) setID(id uint64) error {
	if id < 1 || id > math.MaxInt32 {
		return fmt.Errorf("%d is no request id", id)
	}
	m.ID = uint32(id)
	return nil
}

// rest reads what follows the id.
func (d *decoder) rest(m *Reply) (err error) {
	switch m.Kind {
	case ReplyResponse, ReplyStart, ReplyFile:
		if err = d.status(m); err != nil {
			return err
		}
		if err = d.headers(m); err != nil {
			return err
		}
	case ReplyHints, ReplyTrailers:
		return d.headers(m)
	case ReplyAccept, ReplyMessage, ReplyClose:
		return d.webSocket(m)
	default: // no status, no fields
	}
	switch m.Kind {
	case ReplyResponse, ReplyStart, ReplyChunk:
		err = d.body(m)
	case ReplyExtend:
		if m.Count, err = d.int(); err == nil && (m.Count < 0 || m.Count > math.MaxInt32) {
			err = fmt.Errorf("an extension of %d ms", m.Count)
		}
	case ReplyFile, ReplyPart:
		if m.Offset, err = d.int(); err != nil {
			return err
		}
		if m.Count, err = d.int(); err != nil {
			return err
		}
		if m.Offset < 0 || m.Count < -1 {
			err = fmt.Errorf("%d bytes from %d are no part of a file", m.Count, m.Offset)
		}
	case ReplyCredit:
		if m.Count, err = d.int(); err == nil && m.Count < 1 {
			err = fmt.Errorf("%d bytes cannot be wanted", m.Count)
		}
	case ReplyFail:
		if err = d.statusNumber(m); err == nil && (m.Code < 400 || m.Code > 599) {
			err = fmt.Errorf("%d is the status of no error", m.Code)
		}
	default: // nothing follows
	}
	return err
}

// maxCloseReason is how many bytes of a reason a close frame has room for (RFC 6455 section
// 5.5).
const maxCloseReason = 123

// webSocket reads what follows the id in the kinds of WebSocket.
func (d *decoder) webSocket(m *Reply) (err error) {
	switch m.Kind {
	case ReplyAccept:
		if m.Protocol, err = d.str(m); err != nil {
			return err
		}
		return d.headers(m)
	case ReplyMessage:
		if m.Text, err = d.flag(); err != nil {
			return err
		}
		if m.Body, err = d.bytes(); err != nil {
			return err
		}
		m.More, err = d.flag()
		return err
	default: // a close
	}
	code, err := d.int()
	if err != nil {
		return err
	}
	if code < 1000 || code > 4999 {
		return fmt.Errorf("%d is no close code", code)
	}
	m.CloseCode = int(code)
	if m.Body, err = d.bytes(); err == nil && (len(m.Body) > maxCloseReason || !utf8.Valid(m.Body)) {
		err = fmt.Errorf("the reason %q of a close", m.Body)
	}
	return err
}

func (d *decoder) flag() (bool, error) {
	n, err := d.int()
	if err == nil && n != 0 && n != 1 {
		err = fmt.Errorf("%d is neither 0 nor 1", n)
	}
	return n == 1, err
}

// status reads a status such as 200 OK, or its number.
func (d *decoder) status(m *Reply) (err error) {
	if len(d.b) > 0 && d.b[0] == marshalInt {
		return d.statusNumber(m)
	}
	m.Status, err = d.str(m)
	return err
}

func (d *decoder) statusNumber(m *Reply) error {
	n, err := d.int()
	if err != nil {
		return err
	}
	if n < 100 || n > 999 {
		return fmt.Errorf("%d is no status", n)
	}
	m.Code = int(n)
	return nil
}

func (d *decoder) headers(m *Reply) error {
	n, err := d.sequence()
	if err != nil {
		return err
	}
	for range n {
		items, err := d.sequence()
		if err != nil {
			return err
		}
		if items != 2 {
			return fmt.Errorf("a header has 2 items, not %d", items)
		}
		var f http1.Field
		if f.Name, err = d.text(m); err != nil {
			return err
		}
		if f.Value, err = d.text(m); err != nil {
			return err
		}
		m.Headers = append(m.Headers, f)
	}
	return nil
}

// sequence begins a list or a tuple.
func (d *decoder) sequence() (int, error) {
	c, err := d.code()
	if err != nil {
		return 0, err
	}
	if c != marshalList && c != marshalTuple {
		return 0, fmt.Errorf("type %q, neither list nor tuple", c)
	}
	return d.size()
}

// text reads a str or the bytes of one.
func (d *decoder) text(m *Reply) ([]byte, error) {
	if len(d.b) > 0 && d.b[0] == marshalBytes {
		return d.bytes()
	}
	return d.str(m)
}

func (d *decoder) code() (byte, error) {
	if len(d.b) == 0 {
		return 0, errShort
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c, nil
}

// size reads a count of items or bytes. Each of them takes a byte at least, so
// a larger count than there are bytes is wrong, and no loop runs on it.
func (d *decoder) size() (int, error) {
	if len(d.b) < 4 {
		return 0, errShort
	}
	n := binary.LittleEndian.Uint32(d.b)
	d.b = d.b[4:]
	if uint64(n) > uint64(len(d.b)) {
		return 0, errShort
	}
	return int(n), nil
}

func (d *decoder) header(want byte) (int, error) {
	c, err := d.code()
	if err != nil {
		return 0, err
	}
	if c != want {
		return 0, fmt.Errorf("type %q, not %q", c, want)
	}
	return d.size()
}

func (d *decoder) take(n int) []byte {
	b := d.b[:n:n]
	d.b = d.b[n:]
	return b
}

// body reads a body, or how much of it is elsewhere.
func (d *decoder) body(m *Reply) (err error) {
	switch {
	case len(d.b) > 0 && d.b[0] == marshalInt:
	case len(d.b) > 0 && d.b[0] == marshalTuple:
		return d.place(m)
	default:
		m.Body, err = d.bytes()
		return err
	}
	n, err := d.int()
	if err == nil && (n < 1 || n > ResponseBufferSize) {
		err = fmt.Errorf("%d bytes in the response buffer", n)
	}
	m.InBuffer = int(n)
	return err
}

// place reads where in the response arena a body is.
func (d *decoder) place(m *Reply) error {
	items, err := d.header(marshalTuple)
	if err != nil {
		return err
	}
	if items != 2 {
		return fmt.Errorf("a place in the response arena has 2 items, not %d", items)
	}
	at, err := d.int()
	if err != nil {
		return err
	}
	n, err := d.int()
	if err != nil {
		return err
	}
	if at < 0 || n < 1 || at > ResponseArenaSize || n > ResponseArenaSize-at {
		return fmt.Errorf("%d bytes at %d of the response arena", n, at)
	}
	m.ArenaAt, m.InArena = int(at), int(n)
	return nil
}

func (d *decoder) bytes() ([]byte, error) {
	n, err := d.header(marshalBytes)
	if err != nil {
		return nil, err
	}
	return d.take(n), nil
}

func (d *decoder) int() (int64, error) {
	c, err := d.code()
	if err != nil {
		return 0, err
	}
	if len(d.b) < 4 {
		return 0, errShort
	}
	n := int32(binary.LittleEndian.Uint32(d.b))
	d.b = d.b[4:]
	switch c {
	case marshalInt:
		return int64(n), nil
	case marshalLong:
		return d.long(n)
	}
	return 0, fmt.Errorf("type %q, not an int", c)
}

// long reads the digits of an int beyond 32 bits; their number has its sign.
func (d *decoder) long(count int32) (int64, error) {
	sign := int64(1)
	if count < 0 {
		sign, count = -1, -count
	}
	const digits = 5 // 63 bits need no more
	if count < 0 || count > digits {
		return 0, errors.New("the int has more than 64 bits")
	}
	if len(d.b) < 2*int(count) {
		return 0, errShort
	}
	var v int64
	for i := range count {
		digit := int64(binary.LittleEndian.Uint16(d.b))
		d.b = d.b[2:]
		shift := 15 * i
		if digit > 0x7fff || digit > math.MaxInt64>>shift {
			return 0, errors.New("the int has more than 64 bits")
		}
		v |= digit << shift
	}
	return sign * v, nil
}

// str reads a str of any form and returns it as Latin-1: a part of the message
// if it is ASCII, else a copy.
func (d *decoder) str(m *Reply) ([]byte, error) {
	c, err := d.code()
	if err != nil {
		return nil, err
	}
	var n int
	switch c {
	case marshalShortASCII, marshalShortASCIIInterned:
		size, err := d.code()
		if err != nil {
			return nil, err
		}
		if n = int(size); n > len(d.b) {
			return nil, errShort
		}
	case marshalUnicode, marshalInterned, marshalASCII, marshalASCIIInterned:
		if n, err = d.size(); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("type %q, not a str", c)
	}
	b := d.take(n)
	if highBytes(b) == 0 {
		return b, nil
	}
	if c != marshalUnicode && c != marshalInterned {
		return nil, errors.New("a str that is not ASCII, as it should be")
	}
	start := len(m.latin1)
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c >= 0x80 {
			// The two-byte forms of U+0080 to U+00FF begin with C2 or C3.
			if c&^1 != 0xc2 || i+1 == len(b) || b[i+1]&0xc0 != 0x80 {
				return nil, fmt.Errorf("the str %q has a character beyond Latin-1", b)
			}
			i++
			c = c<<6 | b[i]&0x3f
		}
		m.latin1 = append(m.latin1, c)
	}
	return m.latin1[start:len(m.latin1):len(m.latin1)], nil
}
