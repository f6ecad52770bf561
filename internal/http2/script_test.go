package http2

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"

	"golang.org/x/net/http2/hpack"
)

// A script is what a client sends, made of bytes of which all are valid: so a fuzz target finds
// its way to every frame.
type script struct {
	b     []byte
	enc   *hpack.Encoder
	block bytes.Buffer
	last  uint32 // stream that was opened
	rest  []byte // of a head that is not sent whole
	of    uint32 // its stream; 0: there is none
}

func newScript(b []byte) *script {
	s := &script{b: b}
	s.enc = hpack.NewEncoder(&s.block)
	return s
}

// next is the next byte of the script, 0 at its end.
func (s *script) next() byte {
	if len(s.b) == 0 {
		return 0
	}
	b := s.b[0]
	s.b = s.b[1:]
	return b
}

// pick is one of n numbers; half of the bytes give 0.
func (s *script) pick(n int) int {
	if b := int(s.next()); b >= 128 {
		return b % n
	}
	return 0
}

// marker is the field by which a request tells its stream.
const marker = "x-stream"

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

// frame returns the next frame, nil at the end of the script. whole: the frame is followed by
// nothing that has to come before other frames.
func (s *script) frame() []byte {
	if len(s.b) == 0 {
		return nil
	}
	op := s.next()
	if s.of != 0 && op < 224 {
		return s.continuation()
	}
	switch op % 32 {
	default:
		return s.headers()
	case 12, 13, 14, 15, 16, 17, 18:
		return s.data()
	case 19, 20:
		return wholeFrame(FrameReset, 0, s.stream(), 0, 0, 0, 8)
	case 21, 22:
		return s.settings()
	case 23:
		return wholeFrame(FramePing, s.next()&flagAck, s.stream()*uint32(s.pick(2)), []byte("pingpong")...)
	case 24, 25:
		return s.number(FrameWindowUpdate, s.stream()*uint32(s.next()%2), []uint32{1, 0, 1 << 16, maxWindow, 1 << 31, 1<<31 - 65536})
	case 26:
		var payload []byte
		payload = append(binary.BigEndian.AppendUint32(payload, s.stream()), s.next())
		return wholeFrame(FramePriority, 0, s.stream(), payload...)
	case 27:
		return s.continuation()
	case 28:
		return wholeFrame(0x20+s.next()%64, s.next(), s.stream(), []byte("new")...)
	case 29:
		text := []string{"u=1", "i", "", "u=9", "a=\"", "u=1;x, i=?0"}[s.pick(6)]
		payload := binary.BigEndian.AppendUint32(nil, s.stream())
		return wholeFrame(FramePriorityUpdate, 0, s.stream()*uint32(s.pick(2)), append(payload, text...)...)
	case 30: // of a length that its type does not have
		kind := []byte{FrameReset, FrameSettings, FramePing, FrameWindowUpdate, FramePriority, FrameGoAway, FramePriorityUpdate, FrameData, FrameHeaders}[s.next()%9]
		n := int(s.next() % 10)
		return wholeFrame(kind, s.next(), s.stream()*uint32(s.next()%2), make([]byte, n)...)
	case 31:
		return wholeFrame(FramePushPromise, flagEndHeaders, s.stream(), 0, 0, 0, 2)
	}
}

func wholeFrame(kind, flags byte, stream uint32, payload ...byte) []byte {
	return append(appendFrame(nil, len(payload), kind, flags, stream), payload...)
}

// stream is one that may have been opened, or a wrong one.
func (s *script) stream() uint32 {
	switch n := s.next(); {
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

func (s *script) number(kind byte, stream uint32, values []uint32) []byte {
	return wholeFrame(kind, 0, stream, binary.BigEndian.AppendUint32(nil, values[s.pick(len(values))])...)
}

func (s *script) settings() []byte {
	var payload []byte
	for range s.pick(4) {
		id := uint16(s.next() % 10)
		payload = appendSetting(payload, id, []uint32{0, 1, 2, 100, 4096, 16384, 65536, 1 << 24, maxWindow, 1 << 31}[s.next()%10])
	}
	flags := byte(0)
	if s.next() > 240 {
		flags = flagAck
	}
	return wholeFrame(FrameSettings, flags, s.stream()*uint32(s.pick(2)), payload...)
}

// pad returns a payload with padding, or more than there is room for.
func (s *script) pad(payload []byte) []byte {
	n := s.next()
	if n > 250 {
		return append([]byte{n}, payload...)
	}
	n %= 8
	return append(append([]byte{n}, payload...), make([]byte, n)...)
}

func (s *script) data() []byte {
	flags := s.next() & (flagEndStream | flagPadded)
	payload := bytes.Repeat([]byte("b"), int(s.next()%7))
	if flags&flagPadded != 0 {
		payload = s.pad(payload)
	}
	return wholeFrame(FrameData, flags, s.stream(), payload...)
}

func (s *script) headers() []byte {
	id := s.last + 2
	if s.last == 0 {
		id = 1
	}
	switch n := s.next(); {
	case n >= 250:
		id = s.stream()
	case n >= 200:
		id = s.last // trailers
	}
	s.last = max(s.last, id)
	s.block.Reset()
	if s.next() > 250 {
		s.enc.SetMaxDynamicTableSize(uint32(s.next()) * 16)
	}
	s.field(":method", scriptMethods)
	s.field(":scheme", scriptSchemes)
	s.field(":path", scriptPaths)
	s.field(":authority", scriptAuthorities)
	for range s.pick(5) {
		f := scriptFields[int(s.next())%len(scriptFields)]
		s.enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1], Sensitive: s.next() > 200})
	}
	s.enc.WriteField(hpack.HeaderField{Name: marker, Value: strconv.Itoa(int(id))})
	if n := s.next(); n > 252 {
		s.block.Write(s.b[:min(len(s.b), int(n%16))])
	}
	flags := s.next() & (flagEndStream | flagPadded | flagPriority)
	payload := bytes.Clone(s.block.Bytes())
	if n := s.next(); n > 160 {
		cut := len(payload) * int(n) / 256
		s.rest, s.of = payload[cut:], id
		payload = payload[:cut]
	} else {
		flags |= flagEndHeaders
	}
	if flags&flagPriority != 0 {
		payload = append(append(binary.BigEndian.AppendUint32(nil, s.stream()), s.next()), payload...)
	}
	if flags&flagPadded != 0 {
		payload = s.pad(payload)
	}
	return wholeFrame(FrameHeaders, flags, id, payload...)
}

// field writes a pseudo-field, which may be missing.
func (s *script) field(name string, values []string) {
	if n := s.next(); n < 250 {
		s.enc.WriteField(hpack.HeaderField{Name: name, Value: values[s.pick(len(values))]})
	}
}

func (s *script) continuation() []byte {
	flags, id, piece := byte(flagEndHeaders), s.of, s.rest
	if n := s.next(); n > 160 {
		flags, piece = 0, s.rest[:len(s.rest)*int(n)/256]
		s.rest = s.rest[len(piece):]
	} else {
		s.rest, s.of = nil, 0
	}
	return wholeFrame(FrameContinuation, flags, id, piece...)
}
