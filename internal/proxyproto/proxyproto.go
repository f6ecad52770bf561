package proxyproto

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
)

// MaxLen is the length of the longest header that is accepted: a Parse of that
// many bytes never wants more. Version 1 has at most 107 bytes (section 2.1);
// the length field of version 2 would allow 64 KiB, but the longest that
// proxies send, with the names of a client certificate, has some hundred.
const MaxLen = 4096

// A Mode says which versions are looked for.
type Mode int

const (
	Off  Mode = iota // none: every connection starts without a header
	V1               // the text line only
	V2               // the binary header only
	Auto             // whichever comes
)

// ParseMode reads a mode as the setting proxy_protocol has it.
func ParseMode(s string) (Mode, error) {
	switch s {
	case "off":
		return Off, nil
	case "v1":
		return V1, nil
	case "v2":
		return V2, nil
	case "auto":
		return Auto, nil
	}
	return Off, fmt.Errorf("must be off, v1, v2 or auto, not %q", s)
}

// A Header is what a proxy says about a connection.
type Header struct {
	Version int  // 1 or 2
	Local   bool // nothing: the connection's own addresses hold, Source and Dest are zero

	// The ends of the connection between the client and the proxy. Both are of
	// one family. An IPv4 address that was written as an IPv6 one
	// (::ffff:192.0.2.1) is left so.
	Source, Dest netip.AddrPort
}

// ErrNone is what Parse returns for a connection that does not start with a
// header of the versions looked for.
var ErrNone = errors.New("no PROXY header")

// An Error says what is wrong with a header.
type Error struct {
	Version int    // 1 or 2
	Reason  string // printable, whatever was sent
}

// Error is the reason alone: callers put Gunicorn's words in front of it, which
// are "Invalid PROXY line: " in version 1 and "Invalid PROXY header: " in version 2.
func (e *Error) Error() string { return e.Reason }

func invalid(version int, format string, args ...any) error {
	return &Error{version, fmt.Sprintf(format, args...)}
}

// Parse looks at the first bytes of a connection, as many as there are. n is
// the length of the header; 0 with a nil error says that more bytes are needed
// to tell. The error is ErrNone, with the first byte that cannot belong to a
// header, or an *Error.
func Parse(mode Mode, buf []byte) (h Header, n int, err error) {
	if mode == V1 || mode == Auto {
		if begins(buf, signature1) {
			return parse1(buf)
		}
	}
	if mode == V2 || mode == Auto {
		if begins(buf, signature2) {
			return parse2(buf)
		}
	}
	return Header{}, 0, ErrNone
}

// begins reports whether buf starts with a signature, as far as it goes. The two
// signatures differ in their first byte; only an empty buf begins both.
func begins(buf []byte, signature string) bool {
	k := min(len(buf), len(signature))
	return bytes.Equal(buf[:k], []byte(signature[:k]))
}
