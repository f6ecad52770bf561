package http1

import (
	"bytes"
	"encoding/binary"
)

// A Field is one field of a head. Its slices belong to whoever made it; for a
// parsed request that is the buffer it was parsed from.
type Field struct{ Name, Value []byte }

// tokenChars are the bytes of a token (RFC 9110 section 5.6.2).
var tokenChars = charTable("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ!#$%&'*+-.^_`|~")

func charTable(chars string) (t [256]bool) {
	for i := range len(chars) {
		t[chars[i]] = true
	}
	return t
}

func isToken(b []byte) bool {
	for _, c := range b {
		if !tokenChars[c] {
			return false
		}
	}
	return len(b) > 0
}

// validValue reports whether b has no control byte but HTAB (RFC 9110
// section 5.5). Bytes from 0x80 on are opaque and allowed.
func validValue(b []byte) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for len(b) >= 8 {
		w := binary.LittleEndian.Uint64(b)
		del := w ^ 0x7f*ones
		// A high bit stays set if some byte is below 0x20, or is 0x7f.
		if ((w-0x20*ones)&^w|(del-ones)&^del)&highs != 0 && !validBytes(b[:8]) {
			return false
		}
		b = b[8:]
	}
	return validBytes(b)
}

func validBytes(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// parseField reads a field line without its line end.
func parseField(cfg *Config, line []byte) (Field, *Error) {
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 {
		return Field{}, NewError(InvalidHeader, line)
	}
	name := line[:colon]
	if cfg.StripHeaderSpaces {
		name = trimRight(name)
	}
	if !isToken(name) {
		return Field{}, NewError(InvalidHeaderName, name)
	}
	value := trim(line[colon+1:])
	if !validValue(value) {
		return Field{}, NewError(InvalidHeader, bytes.ToUpper(name))
	}
	return Field{name, value}, nil
}

// trim removes optional whitespace (RFC 9110 section 5.6.3) and nothing else:
// what Unicode or a C library takes for a space besides is data here.
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	return trimRight(b)
}

func trimRight(b []byte) []byte {
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// equalFold reports whether b is the lower-case ASCII word s in any case.
func equalFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != s[i] {
			return false
		}
	}
	return true
}

// nextToken takes the first element off a comma-separated list.
func nextToken(list []byte) (token, rest []byte, more bool) {
	if i := bytes.IndexByte(list, ','); i >= 0 {
		return trim(list[:i]), list[i+1:], true
	}
	return trim(list), nil, false
}

// digits reads a decimal number of nothing but digits, as Content-Length is
// (RFC 9110 section 8.6).
func digits(b []byte) (n int64, ok bool) {
	const most = 1<<63 - 1
	for _, c := range b {
		d := int64(c) - '0'
		if d < 0 || d > 9 || n > (most-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, len(b) > 0
}

// Is reports whether the name of the field is a word in lower-case ASCII, in any case.
func (f *Field) Is(name string) bool { return equalFold(f.Name, name) }
