package websocket

import (
	"bytes"
	"strconv"
)

// The window of a compressor, in bits (RFC 7692 section 7.1.2).
const (
	minWindow = 8
	maxWindow = 15
)

// An extension is one element of Sec-WebSocket-Extensions.
type extension struct {
	name   string
	params []param
}

type param struct {
	name, value string
	valued      bool // there was a value, if perhaps an empty one
}

// parseExtensions reads the value of Sec-WebSocket-Extensions (RFC 6455 section 9.1);
// false if it is malformed.
func parseExtensions(b []byte) ([]extension, bool) {
	var exts []extension
	p := listParser{b}
	for {
		p.space()
		if len(p.b) == 0 {
			return exts, true
		}
		if p.b[0] == ',' {
			p.b = p.b[1:] // an empty element (RFC 9110 section 5.6.1.2)
			continue
		}
		var e extension
		var ok bool
		if e.name, ok = p.token(); !ok {
			return nil, false
		}
		for p.space(); p.next(';'); p.space() {
			var v param
			p.space()
			if v.name, ok = p.token(); !ok {
				return nil, false
			}
			p.space()
			if p.next('=') {
				p.space()
				v.valued = true
				if v.value, ok = p.value(); !ok {
					return nil, false
				}
			}
			e.params = append(e.params, v)
		}
		if len(p.b) > 0 && p.b[0] != ',' {
			return nil, false
		}
		exts = append(exts, e)
	}
}

// A listParser reads the elements of a header's value from the front of b.
type listParser struct{ b []byte }

func (p *listParser) space() { p.b = bytes.TrimLeft(p.b, " \t") }

func (p *listParser) next(c byte) bool {
	if len(p.b) == 0 || p.b[0] != c {
		return false
	}
	p.b = p.b[1:]
	return true
}

func (p *listParser) token() (string, bool) {
	n := 0
	for n < len(p.b) && isTokenChar(p.b[n]) {
		n++
	}
	t := string(p.b[:n])
	p.b = p.b[n:]
	return t, n > 0
}

// value reads a token, or one in quotes.
func (p *listParser) value() (string, bool) {
	if !p.next('"') {
		return p.token()
	}
	v, ok := p.token() // RFC 6455 section 9.1: without the quotes it must be one
	return v, ok && p.next('"')
}

func isTokenChar(c byte) bool {
	switch {
	case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		return true
	}
	return bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), c) >= 0
}

// window is what an offer of permessage-deflate leaves the server to compress with, and
// whether it says so itself; 0 if it is no offer that can be accepted.
func (e *extension) window() (bits int, named bool) {
	if e.name != "permessage-deflate" {
		return 0, false
	}
	window := maxWindow
	seen := map[string]bool{}
	for _, p := range e.params {
		if seen[p.name] {
			return 0, false
		}
		seen[p.name] = true
		bits, err := strconv.Atoi(p.value)
		inRange := err == nil && bits >= minWindow && bits <= maxWindow && p.value[0] != '0' && p.value[0] != '+'
		switch p.name {
		case "server_no_context_takeover", "client_no_context_takeover":
			if p.valued {
				return 0, false
			}
		case "server_max_window_bits":
			if !inRange {
				return 0, false
			}
			window, named = bits, true
		case "client_max_window_bits":
			// It may say so of itself; nothing is asked of it.
			if p.valued && !inRange {
				return 0, false
			}
		default:
			return 0, false
		}
	}
	return window, named
}

// appendDeflate writes the answer to an offer that left that window. One that named it
// wants to hear it back (RFC 7692 section 7.1.2.1).
func appendDeflate(b []byte, window int, named bool) []byte {
	b = append(b, "permessage-deflate; server_no_context_takeover; client_no_context_takeover"...)
	if named {
		b = append(b, "; server_max_window_bits="...)
		b = strconv.AppendInt(b, int64(window), 10)
	}
	return b
}
