package websocket

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/klauspost/compress/flate"
)

// frame is a frame as a client sends it.
func frame(first byte, payload []byte) []byte {
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, maskBit|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, maskBit|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, maskBit|127), uint64(n))
	}
	b = append(b, key[:]...)
	for i, c := range payload {
		b = append(b, c^key[i%4])
	}
	return b
}

func join(frames ...[]byte) []byte { return bytes.Join(frames, nil) }

// deflated is what a client makes of a message.
func deflated(data []byte) []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, 6)
	w.Write(data)
	w.Flush()
	return bytes.TrimSuffix(b.Bytes(), []byte(syncTail))
}

// read has d read b, which arrives in pieces of the given size, and returns what
// came of it: messages whole, and at the end the error.
func read(t testing.TB, d *Decoder, b []byte, piece int) []string {
	t.Helper()
	var got []string
	var buf, message []byte
	b = bytes.Clone(b)
	for len(b) > 0 {
		n := min(piece, len(b))
		buf = append(buf, b[:n]...)
		b = b[n:]
		for {
			n, ev, err := d.Next(buf)
			if err != nil {
				var e *Error
				if !errors.As(err, &e) || !MayClose(e.Code) {
					t.Fatalf("error %v is not an *Error with a code", err)
				}
				return append(got, fmt.Sprintf("error %d", e.Code))
			}
			switch ev.Kind {
			case Part:
				message = append(message, ev.Data...)
				if ev.Text && !utf8.Valid(ev.Data) {
					t.Fatalf("%q is passed on as text", ev.Data)
				}
				if d.MaxMessage > 0 && int64(len(message)) > d.MaxMessage {
					t.Fatalf("a message of %d bytes", len(message))
				}
				if ev.Last {
					kind := "binary"
					if ev.Text {
						kind = "text"
					}
					got = append(got, fmt.Sprintf("%s %q", kind, message))
					message = message[:0]
				}
			case Ping:
				got = append(got, fmt.Sprintf("ping %q", ev.Data))
			case Pong:
				got = append(got, fmt.Sprintf("pong %q", ev.Data))
			case Close:
				got = append(got, fmt.Sprintf("close %d %q", ev.Code, ev.Data))
			}
			buf = buf[n:]
			if ev.Kind == Nothing {
				break
			}
		}
	}
	return got
}

func closeFrame(code int, reason string) []byte {
	return frame(0x88, append([]byte{byte(code >> 8), byte(code)}, reason...))
}

func TestDecoder(t *testing.T) {
	long := bytes.Repeat([]byte("long "), 20000)
	for _, test := range []struct {
		name    string
		in      []byte
		max     int64
		deflate bool
		want    string
	}{
		{name: "text", in: frame(0x81, []byte("Hello")), want: `text "Hello"`},
		{name: "binary", in: frame(0x82, []byte{0, 255}), want: `binary "\x00\xff"`},
		{name: "empty", in: frame(0x81, nil), want: `text ""`},
		{name: "two", in: join(frame(0x81, []byte("a")), frame(0x82, []byte("b"))), want: `text "a" binary "b"`},
		{name: "fragments", in: join(frame(0x01, []byte("Hel")), frame(0x00, nil), frame(0x80, []byte("lo"))), want: `text "Hello"`},
		{
			name: "control between fragments",
			in:   join(frame(0x02, []byte("a")), frame(0x89, []byte("p")), frame(0x8a, []byte("q")), frame(0x80, []byte("b"))),
			want: `ping "p" pong "q" binary "ab"`,
		},
		{name: "16 bits", in: frame(0x82, make([]byte, 126)), want: fmt.Sprintf("binary %q", make([]byte, 126))},
		{name: "64 bits", in: frame(0x82, make([]byte, 1<<16)), want: fmt.Sprintf("binary %q", make([]byte, 1<<16))},

		{name: "close without code", in: frame(0x88, nil), want: `close 1005 ""`},
		{name: "close", in: closeFrame(4321, "bye €"), want: `close 4321 "bye €"`},
		{name: "nothing counts after close", in: join(closeFrame(1000, ""), frame(0x81, []byte("x"))), want: `close 1000 ""`},
		{name: "half a code", in: frame(0x88, []byte{3}), want: "error 1002"},
		{name: "reason is no UTF-8", in: closeFrame(1000, "\xff"), want: "error 1007"},

		{name: "opcode 3", in: frame(0x83, nil), want: "error 1002"},
		{name: "opcode 15", in: frame(0x8f, nil), want: "error 1002"},
		{name: "RSV1", in: frame(0xc1, nil), want: "error 1002"},
		{name: "RSV2", in: frame(0xa1, nil), deflate: true, want: "error 1002"},
		{name: "RSV3", in: frame(0x91, nil), deflate: true, want: "error 1002"},
		{name: "RSV1 of a ping", in: frame(0xc9, nil), deflate: true, want: "error 1002"},
		{name: "RSV1 of a continuation", in: join(frame(0x41, nil), frame(0xc0, nil)), deflate: true, want: "error 1002"},
		{name: "no mask", in: []byte{0x81, 0x01, 'x'}, want: "error 1002"},
		{name: "ping in fragments", in: frame(0x09, nil), want: "error 1002"},
		{name: "large ping", in: frame(0x89, make([]byte, 126)), want: "error 1002"},
		{name: "largest ping", in: frame(0x89, make([]byte, 125)), want: fmt.Sprintf("ping %q", make([]byte, 125))},
		{name: "continuation of nothing", in: frame(0x80, nil), want: "error 1002"},
		{name: "continuation after the end", in: join(frame(0x81, []byte("a")), frame(0x80, nil)), want: `text "a" error 1002`},
		{name: "message in a message", in: join(frame(0x01, nil), frame(0x81, nil)), want: "error 1002"},
		{name: "16 bits for less", in: []byte{0x82, 0xfe, 0, 125}, want: "error 1002"},
		{name: "64 bits for less", in: []byte{0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, want: "error 1002"},
		{name: "negative", in: []byte{0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0}, want: "error 1002"},

		{name: "invalid UTF-8", in: frame(0x81, []byte("a\xff")), want: "error 1007"},
		{name: "invalid at once", in: frame(0x01, []byte("a\xff")), want: "error 1007"},
		{name: "character cut off", in: frame(0x81, []byte("\xe2\x82")), want: "error 1007"},
		{name: "character cut off by an empty frame", in: join(frame(0x01, []byte("\xe2\x82")), frame(0x80, nil)), want: "error 1007"},
		{name: "surrogate", in: frame(0x81, []byte("\xed\xa0\x80")), want: "error 1007"},
		{name: "too long a form", in: frame(0x81, []byte("\xc0\xaf")), want: "error 1007"},
		{name: "beyond Unicode", in: frame(0x81, []byte("\xf4\x90\x80\x80")), want: "error 1007"},
		{
			name: "character over three frames",
			in:   join(frame(0x01, []byte("a\xf0\x9f")), frame(0x00, []byte("\x98")), frame(0x80, []byte("\x80b"))),
			want: `text "a😀b"`,
		},
		{name: "character broken by the next frame", in: join(frame(0x01, []byte("\xe2\x82")), frame(0x80, []byte("a"))), want: "error 1007"},
		{name: "binary may be anything", in: frame(0x82, []byte("\xff\xe2\x82")), want: `binary "\xff\xe2\x82"`},

		{name: "as large as may be", in: frame(0x82, make([]byte, 10)), max: 10, want: fmt.Sprintf("binary %q", make([]byte, 10))},
		{name: "too large", in: frame(0x82, make([]byte, 11)), max: 10, want: "error 1009"},
		{name: "too large by its header", in: []byte{0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, max: 10, want: "error 1009"},
		{name: "too large in sum", in: join(frame(0x02, make([]byte, 6)), frame(0x80, make([]byte, 5))), max: 10, want: "error 1009"},

		{name: "compressed", in: frame(0xc1, deflated([]byte("Hello"))), deflate: true, want: `text "Hello"`},
		// RFC 7692 section 7.2.3.
		{name: "one block", in: frame(0xc1, []byte{0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}), deflate: true, want: `text "Hello"`},
		{name: "without compression", in: frame(0xc1, []byte{0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00}), deflate: true, want: `text "Hello"`},
		{name: "final block", in: frame(0xc1, []byte{0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00}), deflate: true, want: `text "Hello"`},
		{name: "two blocks", in: frame(0xc1, []byte{0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00}), deflate: true, want: `text "Hello"`},
		{
			name: "compressed in fragments", deflate: true,
			in:   join(frame(0x41, []byte{0xf2, 0x48, 0xcd}), frame(0x89, nil), frame(0x80, []byte{0xc9, 0xc9, 0x07, 0x00})),
			want: `ping "" text "Hello"`,
		},
		{name: "compressed empty", in: frame(0xc2, []byte{0x00}), deflate: true, want: `binary ""`},
		{name: "not compressed among such", in: join(frame(0xc1, deflated([]byte("a"))), frame(0x81, []byte("b"))), deflate: true, want: `text "a" text "b"`},
		{name: "no context", in: join(frame(0xc1, deflated([]byte("Hello"))), frame(0xc1, []byte{0xf2, 0x00, 0x11, 0x00, 0x00})), deflate: true, want: `text "Hello" error 1007`},
		{name: "compressed and long", in: frame(0xc2, deflated(long)), deflate: true, want: fmt.Sprintf("binary %q", long)},
		{name: "compressed, too large inside", in: frame(0xc2, deflated(long)), deflate: true, max: int64(len(long)) - 1, want: "error 1009"},
		{name: "compressed, just right", in: frame(0xc2, deflated(long)), deflate: true, max: int64(len(long)), want: fmt.Sprintf("binary %q", long)},
		{name: "not to be decompressed", in: frame(0xc1, []byte{0xff, 0xff, 0xff}), deflate: true, want: "error 1007"},
		{name: "compressed nothing", in: frame(0xc1, nil), deflate: true, want: `text ""`},
		{name: "compressed, no UTF-8", in: frame(0xc1, deflated([]byte("\xff"))), deflate: true, want: "error 1007"},
		{name: "compressed, cut character", in: frame(0xc1, deflated([]byte("\xe2"))), deflate: true, want: "error 1007"},
		{
			name: "compressed text whose parts cut characters", in: frame(0xc1, deflated([]byte("a"+strings.Repeat("€", 40000)))), deflate: true,
			want: fmt.Sprintf("text %q", "a"+strings.Repeat("€", 40000)),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, piece := range []int{1, 2, 3, 7, 1 << 20} {
				if piece < 7 && len(test.in) > 4096 {
					continue
				}
				d := &Decoder{MaxMessage: test.max, Deflate: test.deflate}
				got := strings.Join(read(t, d, test.in, piece), " ")
				if got != test.want {
					t.Errorf("in pieces of %d: %.200s, not %.200s", piece, got, test.want)
				}
				if d.inflate != nil {
					t.Error("an inflater is held between messages")
				}
			}
		})
	}
}

func TestCloseCodes(t *testing.T) {
	for code := range 6000 {
		valid := code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006 || code >= 3000 && code < 5000
		want := "error 1002"
		if valid {
			want = fmt.Sprintf(`close %d "r"`, code)
		}
		if got := read(t, &Decoder{}, closeFrame(code, "r"), 99)[0]; got != want {
			t.Errorf("code %d: %s", code, got)
		}
		sent := AppendClose(nil, code, []byte("r"))
		if valid != (len(sent) == 5) || !valid && len(sent) != 2 {
			t.Errorf("code %d is sent as %x", code, sent)
		}
	}
}

func TestUnmask(t *testing.T) {
	key := [4]byte{1, 2, 3, 4}
	b := make([]byte, 64)
	for n := range len(b) {
		for at := range int64(9) {
			clear(b)
			unmask(b[:n], key, at)
			for i := range b {
				want := byte(0)
				if i < n {
					want = key[(at+int64(i))%4]
				}
				if b[i] != want {
					t.Fatalf("%d bytes at %d: %x", n, at, b[:n])
				}
			}
		}
	}
}

// TestFailFast: what is wrong is told before the rest of it came.
func TestFailFast(t *testing.T) {
	for name, b := range map[string][]byte{
		"UTF-8":   frame(0x81, append([]byte("\xff"), make([]byte, 100)...))[:8],
		"opcode":  {0x83, 0x80},
		"size":    {0x82, 0xff, 0, 0, 0, 0, 1, 0, 0, 0},
		"control": {0x89, 0xfe},
	} {
		if _, _, err := (&Decoder{MaxMessage: 1 << 20}).Next(b); err == nil {
			t.Errorf("%s: no error yet", name)
		}
	}
}

// FuzzDecoder: whatever comes, the same is read in whatever pieces it comes, texts
// are UTF-8, and messages no larger than they may be.
func FuzzDecoder(f *testing.F) {
	f.Add([]byte("\x01\x03a\xf0\x9f\x80\x03\x98\x80b"), uint64(1), false)
	f.Add(join(frame(0x01, []byte("a\xf0\x9f")), frame(0x80, []byte("\x98\x80b"))), uint64(6), false)
	f.Add(join(frame(0xc1, deflated([]byte("Hello"))), closeFrame(1000, "bye")), uint64(2), true)
	f.Add(join(frame(0x41, []byte{0xf2, 0x48, 0xcd}), frame(0x89, nil), frame(0x80, []byte{0xc9, 0xc9, 0x07, 0x00})), uint64(8), true)
	f.Add(frame(0xc1, []byte{0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00}), uint64(4), true)
	f.Fuzz(func(t *testing.T, in []byte, seed uint64, deflate bool) {
		const most = 100 << 10
		server := seed%2 == 1
		one := read(t, &Decoder{MaxMessage: most, Deflate: deflate, OfServer: server}, in, len(in)+1)
		piece := 1 + rand.New(rand.NewPCG(seed, 0)).IntN(8)
		other := read(t, &Decoder{MaxMessage: most, Deflate: deflate, OfServer: server}, in, piece)
		if strings.Join(one, "\n") != strings.Join(other, "\n") {
			t.Errorf("in one piece: %q, in pieces of %d: %q", one, piece, other)
		}
	})
}

// Frames that ask for nothing are counted, and no others.
func TestIdleFrames(t *testing.T) {
	frame := func(first byte, payload string) string {
		return string([]byte{first, 0x80 | byte(len(payload)), 0, 0, 0, 0}) + payload
	}
	large := strings.Repeat("x", smallFragment)
	for input, want := range map[string]int{
		frame(0x89, "") + frame(0x8a, "x"):                                        2,
		frame(0x01, "") + frame(0x00, "") + frame(0x00, "y") + frame(0x80, ""):    3,
		frame(0x01, large) + frame(0x00, large) + frame(0x80, ""):                 0,
		frame(0x81, "") + frame(0x82, "x"):                                        0,
		frame(0x01, large) + frame(0x89, "") + frame(0x00, "") + frame(0x80, "z"): 2,
	} {
		var d Decoder
		for b := []byte(input); ; {
			n, ev, err := d.Next(b)
			b = b[n:]
			if err != nil {
				t.Fatal(err)
			}
			if ev.Kind == Nothing {
				break
			}
		}
		if got := d.Idle(); got != want || d.Idle() != 0 {
			t.Errorf("%x: %d, want %d", input, got, want)
		}
	}
}

// TestFramesOfServers: a decoder of a server's frames takes no masks, and what AppendMasked makes
// of them is what a client sends.
func TestFramesOfServers(t *testing.T) {
	var server, client []byte
	var e Encoder
	for _, size := range []int{0, 1, 125, 126, 1<<16 - 1, 1 << 16} {
		frame := e.AppendPart(nil, size%2 == 0, bytes.Repeat([]byte("x"), size), true)
		server = append(server, frame...)
		client = AppendMasked(client, frame)
	}
	for _, frame := range [][]byte{AppendPing(nil, []byte("p")), AppendPong(nil, nil), AppendClose(nil, 4000, []byte("bye"))} {
		server = append(server, frame...)
		client = AppendMasked(client, frame)
	}
	want := read(t, &Decoder{OfServer: true}, server, 7)
	if got := read(t, &Decoder{}, client, 7); len(want) != 9 || strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%.100q, not %.100q", got, want)
	}
	if got := read(t, &Decoder{OfServer: true}, client, 7); len(got) != 1 || got[0] != "error 1002" {
		t.Errorf("%.100q", got)
	}
}
