package websocket

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

// asClient turns frames of the server into frames of a client, which the decoder
// reads.
func asClient(t testing.TB, b []byte) []byte {
	t.Helper()
	var out []byte
	for len(b) > 0 {
		n, size := 2, int(b[1])
		switch size {
		case 126:
			n, size = 4, int(b[2])<<8|int(b[3])
		case 127:
			n, size = 10, int(b[6])<<24|int(b[7])<<16|int(b[8])<<8|int(b[9])
		}
		out = append(out, frame(b[0], b[n:n+size])...)
		b = b[n+size:]
	}
	return out
}

func TestEncoder(t *testing.T) {
	noise := make([]byte, 70000)
	r := rand.NewChaCha8([32]byte{})
	r.Read(noise)
	for _, parts := range [][][]byte{
		{[]byte("Hello")},
		{nil},
		{[]byte("a"), []byte("b"), nil},
		{bytes.Repeat([]byte("x"), 125)},
		{bytes.Repeat([]byte("x"), 126)},
		{bytes.Repeat([]byte("x"), 1<<16-1)},
		{bytes.Repeat([]byte("x"), 1<<16)},
		{noise, noise, noise[:10]},
		{nil, noise, nil},
	} {
		for window := range maxWindow + 1 {
			if window > 0 && window < minWindow {
				continue
			}
			e := &Encoder{Window: window}
			var b []byte
			for range 2 { // a message after another
				for i, p := range parts {
					b = e.AppendPart(b, false, p, i == len(parts)-1)
				}
			}
			if e.deflate != nil {
				t.Error("a compressor is held between messages")
			}
			whole := fmt.Sprintf("binary %q", bytes.Join(parts, nil))
			got := read(t, &Decoder{Deflate: window > 0}, asClient(t, b), 1<<20)
			if len(got) != 2 || got[0] != whole || got[1] != whole {
				t.Errorf("window %d, %d parts: %.100s", window, len(parts), got)
			}
		}
	}
}

// TestEncoderCompresses: what repeats gets smaller, and a small message stays as it
// is.
func TestEncoderCompresses(t *testing.T) {
	e := &Encoder{Window: 15}
	text := strings.Repeat("the same again ", 100)
	if b := e.AppendPart(nil, true, []byte(text), true); len(b) > len(text)/5 || b[0] != 0xc1 {
		t.Errorf("%d bytes for %d, first %#x", len(b), len(text), b[0])
	}
	if b := e.AppendPart(nil, true, []byte("small"), true); string(b) != "\x81\x05small" {
		t.Errorf("%q", b)
	}
}

// TestWindow: a compressor with a small window does not refer back beyond it.
func TestWindow(t *testing.T) {
	noise := make([]byte, 4096)
	rand.NewChaCha8([32]byte{1}).Read(noise)
	twice := append(bytes.Clone(noise), noise...)
	for window := minWindow; window <= maxWindow; window++ {
		b := (&Encoder{Window: window}).AppendPart(nil, false, twice, true)
		if repeats := len(b) < 6000; repeats != (1<<window > len(noise)) {
			t.Errorf("window of %d bits: %d bytes of %d", window, len(b), len(twice))
		}
	}
}

func TestControlFrames(t *testing.T) {
	if b := AppendPing(nil, []byte("x")); string(b) != "\x89\x01x" {
		t.Errorf("%q", b)
	}
	if b := AppendPong(nil, []byte("x")); string(b) != "\x8a\x01x" {
		t.Errorf("%q", b)
	}
	if b := AppendClose(nil, 1012, []byte("bye")); string(b) != "\x88\x05\x03\xf4bye" {
		t.Errorf("%q", b)
	}
	b := AppendClose(nil, 1000, []byte(strings.Repeat("€", 50)))
	if len(b) > 2+maxControl || !utf8.Valid(b[4:]) || len(b) < maxControl-2 {
		t.Errorf("a long reason gives %q", b)
	}
}

// FuzzRoundTrip: what is written is what is read, by whatever window.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("Hello, Hello, Hello"), uint8(5), uint8(15))
	f.Add(bytes.Repeat([]byte("ab"), 300), uint8(0), uint8(8))
	f.Fuzz(func(t *testing.T, data []byte, cut, window uint8) {
		w := int(window) % (maxWindow + 1)
		if w < minWindow {
			w = 0
		}
		at := min(int(cut), len(data))
		e := &Encoder{Window: w}
		b := e.AppendPart(nil, false, data[:at], false)
		b = AppendPing(b, nil)
		b = e.AppendPart(b, false, data[at:], true)
		got := read(t, &Decoder{Deflate: w > 0}, asClient(t, b), len(b)+1000)
		if want := fmt.Sprintf("binary %q", data); len(got) != 2 || got[1] != want {
			t.Errorf("%q, not %q", got, want)
		}
	})
}
