// Package http2test makes what a client of HTTP/2 sends out of the bytes of a fuzz target.
package http2test

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	endStream  = 0x1 // of DATA and HEADERS
	ack        = 0x1 // of SETTINGS and PING
	endHeaders = 0x4
	padded     = 0x8
	priority   = 0x20
)

// A Script is what a client sends, made of bytes of which all are valid: so a fuzz target finds
// its way to every frame.
type Script struct {
	b     []byte
	enc   *hpack.Encoder
	block bytes.Buffer
	last  uint32 // stream that was opened
	rest  []byte // of a head that is not sent whole
	of    uint32 // its stream; 0: there is none
}

// New returns the script that the bytes are.
func New(b []byte) *Script {
	s := &Script{b: b}
	s.enc = hpack.NewEncoder(&s.block)
	return s
}

// Next is the next byte of the script, 0 at its end.
func (s *Script) Next() byte {
	if len(s.b) == 0 {
		return 0
	}
	b := s.b[0]
	s.b = s.b[1:]
	return b
}

// Left reports whether the script has not ended.
func (s *Script) Left() bool { return len(s.b) > 0 }

// pick is one of n numbers; half of the bytes give 0.
func (s *Script) pick(n int) int {
	if b := int(s.Next()); b >= 128 {
		return b % n
	}
	return 0
}

// Marker is the field by which a request tells its stream.
const Marker = "x-stream"

var (
	scriptMethods     = []string{"GET", "POST", "HEAD", "OPTIONS", "get", "", "CONNECT", "G T", "PROPFIND", "\x00"}
	scriptSchemes     = []string{"http", "https", "", "ftp", "HTTP", "h ttp"}
	scriptPaths       = []string{"/", "/a?b=c", "*", "", "x", "http://shop/", "/\x80", "/%zz", "/a b", "/#x", "//shop/x", "/\x7f", "?", "/ä"}
	scriptAuthorities = []string{"shop", "shop:80", "", "user@shop", "a b", "[::1]", "shop/", "SHOP"}
	scriptFields      = [][2]string{
		{"x", "1"}, {"content-length", "5"}, {"content-length", "0"}, {"content-length", "x"}, {"content-length", "+5"}, {"content-length", ""},
		{"cookie", "a=1"}, {"cookie", "b=2"}, {"host", "shop"}, {"host", "other"}, {"host", ""}, {"host", "SHOP"}, {"connection", "close"}, {"te", "trailers"}, {"te", "gzip"},
		{"te", ""}, {"te", "Trailers"}, {"transfer-encoding", "chunked"}, {"upgrade", "x"}, {"X", "1"}, {"", ""}, {"x", " 1"}, {"x", "1\t"}, {"x", "1\n"}, {"x", "1\r\ny: 2"},
		{"x", "\x7f"}, {"x", "\x00"}, {"x", "\x01"}, {"x", "\xe9"}, {"x", ""}, {":path", "/"}, {":status", "200"}, {":unknown", "1"}, {":protocol", "websocket"}, {":", ""},
		{"expect", "100-continue"}, {"expect", "more"}, {"trailer", "sum"}, {"sum", "1"}, {"content-type", "a"}, {"content-type", "b"}, {"priority", "u=1, i"},
		{"keep-alive", "1"}, {"proxy-connection", "x"}, {"x y", "1"}, {"x:", "1"}, {"x_y", "1"}, {"x\x80", "1"}, {"http2-settings", "x"}, {"x", strings.Repeat("long ", 50) + "."},
	}
)

// Frame returns the next frame, nil at the end of the script.
func (s *Script) Frame() []byte {
	if len(s.b) == 0 {
		return nil
	}
	op := s.Next()
	if s.of != 0 && op < 224 {
		return s.continuation()
	}
	switch op % 32 {
	default:
		return s.headers()
	case 12, 13, 14, 15, 16, 17, 18:
		return s.data()
	case 19, 20:
		return Frame(http2.FrameRSTStream, 0, s.stream(), 0, 0, 0, 8)
	case 21, 22:
		return s.settings()
	case 23:
		return Frame(http2.FramePing, s.Next()&ack, s.stream()*uint32(s.pick(2)), []byte("pingpong")...)
	case 24, 25:
		return s.number(http2.FrameWindowUpdate, s.stream()*uint32(s.Next()%2), []uint32{1, 0, 1 << 16, math.MaxInt32, 1 << 31, 1<<31 - 65536})
	case 26:
		var payload []byte
		payload = append(binary.BigEndian.AppendUint32(payload, s.stream()), s.Next())
		return Frame(http2.FramePriority, 0, s.stream(), payload...)
	case 27:
		return s.continuation()
	case 28:
		return Frame(http2.FrameType(0x20+s.Next()%64), s.Next(), s.stream(), []byte("new")...)
	case 29:
		text := []string{"u=1", "i", "", "u=9", "a=\"", "u=1;x, i=?0"}[s.pick(6)]
		payload := binary.BigEndian.AppendUint32(nil, s.stream())
		return Frame(http2.FramePriorityUpdate, 0, s.stream()*uint32(s.pick(2)), append(payload, text...)...)
	case 30: // of a length that its type does not have
		kind := []http2.FrameType{http2.FrameRSTStream, http2.FrameSettings, http2.FramePing, http2.FrameWindowUpdate, http2.FramePriority, http2.FrameGoAway, http2.FramePriorityUpdate, http2.FrameData, http2.FrameHeaders}[s.Next()%9]
		n := int(s.Next() % 10)
		return Frame(kind, s.Next(), s.stream()*uint32(s.Next()%2), make([]byte, n)...)
	case 31:
		return Frame(http2.FramePushPromise, endHeaders, s.stream(), 0, 0, 0, 2)
	}
}

// Frame returns a frame.
func Frame(kind http2.FrameType, flags byte, stream uint32, payload ...byte) []byte {
	b := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), byte(kind), flags}
	return append(binary.BigEndian.AppendUint32(b, stream), payload...)
}

// stream is one that may have been opened, or a wrong one.
func (s *Script) stream() uint32 {
	switch n := s.Next(); {
	case n < 128:
		return s.last
	case n < 224:
		return max(s.last, 8) - 2*uint32(n%4)
	case n < 240:
		return s.last + 2
	default:
		return uint32(n % 8)
	}
}

func (s *Script) number(kind http2.FrameType, stream uint32, values []uint32) []byte {
	return Frame(kind, 0, stream, binary.BigEndian.AppendUint32(nil, values[s.pick(len(values))])...)
}

func (s *Script) settings() []byte {
	var payload []byte
	for range s.pick(4) {
		id := uint16(s.Next() % 10)
		payload = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(payload, id), []uint32{0, 1, 2, 100, 4096, 16384, 65536, 1 << 24, math.MaxInt32, 1 << 31}[s.Next()%10])
	}
	flags := byte(0)
	if s.Next() > 240 {
		flags = ack
	}
	return Frame(http2.FrameSettings, flags, s.stream()*uint32(s.pick(2)), payload...)
}

// pad returns a payload with padding, or more than there is room for.
func (s *Script) pad(payload []byte) []byte {
	n := s.Next()
	if n > 250 {
		return append([]byte{n}, payload...)
	}
	n %= 8
	return append(append([]byte{n}, payload...), make([]byte, n)...)
}

func (s *Script) data() []byte {
	flags := s.Next() & (endStream | padded)
	payload := bytes.Repeat([]byte("b"), int(s.Next()%7))
	if flags&padded != 0 {
		payload = s.pad(payload)
	}
	return Frame(http2.FrameData, flags, s.stream(), payload...)
}

func (s *Script) headers() []byte {
	id := s.last + 2
	if s.last == 0 {
		id = 1
	}
	switch n := s.Next(); {
	case n >= 250:
		id = s.stream()
	case n >= 200:
		id = s.last // trailers
	}
	s.last = max(s.last, id)
	s.block.Reset()
	if s.Next() > 250 {
		s.enc.SetMaxDynamicTableSize(uint32(s.Next()) * 16)
	}
	s.field(":method", scriptMethods)
	s.field(":scheme", scriptSchemes)
	s.field(":path", scriptPaths)
	s.field(":authority", scriptAuthorities)
	for range s.pick(5) {
		f := scriptFields[int(s.Next())%len(scriptFields)]
		s.enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1], Sensitive: s.Next() > 200})
	}
	s.enc.WriteField(hpack.HeaderField{Name: Marker, Value: strconv.Itoa(int(id))})
	if n := s.Next(); n > 252 {
		s.block.Write(s.b[:min(len(s.b), int(n%16))])
	}
	flags := s.Next() & (endStream | padded | priority)
	payload := bytes.Clone(s.block.Bytes())
	if n := s.Next(); n > 160 {
		cut := len(payload) * int(n) / 256
		s.rest, s.of = payload[cut:], id
		payload = payload[:cut]
	} else {
		flags |= endHeaders
	}
	if flags&priority != 0 {
		payload = append(append(binary.BigEndian.AppendUint32(nil, s.stream()), s.Next()), payload...)
	}
	if flags&padded != 0 {
		payload = s.pad(payload)
	}
	return Frame(http2.FrameHeaders, flags, id, payload...)
}

// field writes a pseudo-field, which may be missing.
func (s *Script) field(name string, values []string) {
	if n := s.Next(); n < 250 {
		s.enc.WriteField(hpack.HeaderField{Name: name, Value: values[s.pick(len(values))]})
	}
}

func (s *Script) continuation() []byte {
	flags, id, piece := byte(endHeaders), s.of, s.rest
	if n := s.Next(); n > 160 {
		flags, piece = 0, s.rest[:len(s.rest)*int(n)/256]
		s.rest = s.rest[len(piece):]
	} else {
		s.rest, s.of = nil, 0
	}
	return Frame(http2.FrameContinuation, flags, id, piece...)
}
