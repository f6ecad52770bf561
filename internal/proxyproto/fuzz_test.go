package proxyproto

import (
	"errors"
	"strconv"
	"strings"
	"testing"
)

// FuzzParse checks what holds for every input: a header is accepted at its
// full length only, whatever follows; once refused, more bytes do not help;
// the modes agree; and what was accepted means what it says.
func FuzzParse(f *testing.F) {
	for _, test := range accepted {
		f.Add([]byte(test.text))
		f.Add([]byte(test.text + "GET / HTTP/1.1\r\n\r\n"))
	}
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add([]byte("PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n"))
	f.Add([]byte("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = b[:min(len(b), MaxLen+16)] // each prefix of it is parsed
		h, n, err := Parse(Auto, b)
		if err != nil {
			var e *Error
			if n != 0 || h != (Header{}) || !errors.Is(err, ErrNone) && !errors.As(err, &e) {
				t.Fatalf("%+v, %d, %v", h, n, err)
			}
			for _, r := range err.Error() {
				if !strconv.IsPrint(r) {
					t.Fatalf("the error is not printable: %q", err)
				}
			}
		}
		switch {
		case err == nil && n == 0 && len(b) >= MaxLen:
			t.Fatalf("%d bytes are not enough", len(b))
		case n > 0:
			check(t, b[:n], h)
		}

		// Each prefix: wants more, until the answer is there for good.
		for i := range b {
			ph, pn, perr := Parse(Auto, b[:i])
			switch {
			case n > 0 && i < n && (pn != 0 || perr != nil):
				t.Fatalf("%d of %d bytes are %+v, %d, %v", i, n, ph, pn, perr)
			case n > 0 && i >= n && (ph != h || pn != n || perr != nil):
				t.Fatalf("with %d bytes after it the header is %+v, %d, %v", i-n, ph, pn, perr)
			case n == 0 && (pn != 0 || err == nil && perr != nil):
				t.Fatalf("%d bytes are %+v, %d, %v, all are %v", i, ph, pn, perr, err)
			case errors.Is(perr, ErrNone) && !errors.Is(err, ErrNone):
				t.Fatalf("%d bytes are no header, all are %v", i, err)
			}
		}

		h1, n1, err1 := Parse(V1, b)
		h2, n2, err2 := Parse(V2, b)
		if n1 > 0 && n2 > 0 || n1 > 0 && (h1 != h || n1 != n) || n2 > 0 && (h2 != h || n2 != n) || n > 0 && n1 == 0 && n2 == 0 {
			t.Fatalf("auto %+v %d %v, v1 %+v %d %v, v2 %+v %d %v", h, n, err, h1, n1, err1, h2, n2, err2)
		}
		if _, n, err := Parse(Off, b); n != 0 || !errors.Is(err, ErrNone) {
			t.Fatalf("off: %d, %v", n, err)
		}
	})
}

// check compares a header with the bytes that it was read from.
func check(t *testing.T, b []byte, h Header) {
	if h.Local != !h.Source.IsValid() || h.Source.IsValid() != h.Dest.IsValid() || h.Source.Addr().Is4() != h.Dest.Addr().Is4() {
		t.Fatalf("%q is %+v", b, h)
	}
	if h.Version == 2 {
		return
	}
	line, ok := strings.CutSuffix(string(b), "\r\n")
	if !ok || strings.ContainsAny(line, "\r\n") || len(b) > maxLine || h.Version != 1 {
		t.Fatalf("%q is %+v", b, h)
	}
	if h.Local {
		return
	}
	f := strings.Split(line, " ")
	if len(f) != 6 || f[4] != strconv.Itoa(int(h.Source.Port())) || f[5] != strconv.Itoa(int(h.Dest.Port())) {
		t.Fatalf("%q is %+v", b, h)
	}
	if h.Source.Addr().Is4() && (f[1] != "TCP4" || f[2] != h.Source.Addr().String() || f[3] != h.Dest.Addr().String()) {
		t.Fatalf("%q is %+v", b, h)
	}
}
