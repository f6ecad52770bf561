package http1

import (
	"bytes"
	"net/netip"
	"strconv"
)

var (
	slash    = []byte("/")
	authMark = []byte("://")
)

// parseTarget splits a request target of one of the four forms of RFC 9112
// section 3.2.
func (r *Request) parseTarget(cfg *Config, t []byte) bool {
	// RFC 3986 section 2 has printable ASCII only: any other byte is to be
	// percent-encoded.
	for _, c := range t {
		if c <= ' ' || c == 0x7f || c > 0x7f && !cfg.PermitNonASCIITarget {
			return false
		}
	}
	switch {
	case len(t) == 0:
		return false
	case string(r.Method) == "CONNECT":
		r.Authority = t
		colon := bytes.LastIndexByte(t, ':') // before a port, which must be there
		return ValidHost(t) && colon > bytes.LastIndexByte(t, ']') && colon < len(t)-1
	case t[0] == '/':
		r.splitPath(t)
		return true
	case len(t) == 1 && t[0] == '*':
		r.Path = t
		return string(r.Method) == "OPTIONS"
	}
	scheme, rest, ok := bytes.Cut(t, authMark)
	if !ok || !validScheme(scheme) {
		return false
	}
	end := bytes.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	r.Authority = rest[:end]
	r.splitPath(rest[end:])
	if len(r.Path) == 0 {
		r.Path = slash // RFC 9112 section 3.2.2 by way of RFC 9110 section 4.2.3
	}
	// RFC 9110 section 4.2.1: without a host it is not valid. A user name
	// is not either here (section 4.2.4).
	return ValidHost(r.Authority)
}

// splitPath splits path and query and drops the fragment, which no client
// should send.
func (r *Request) splitPath(t []byte) {
	if i := bytes.IndexByte(t, '#'); i >= 0 {
		t = t[:i]
	}
	r.Path, r.Query, _ = bytes.Cut(t, []byte{'?'})
}

func validScheme(b []byte) bool {
	for i, c := range b {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || !isDigit(c) && c != '+' && c != '-' && c != '.') {
			return false
		}
	}
	return len(b) > 0
}

// ValidHost reports whether b is a host, with or without a port (RFC 9110
// section 7.2, RFC 3986 section 3.2.2): what a Host field holds, or :authority
// in HTTP/2. The host must not be empty, as http does not allow it to be, and a
// port must be one that TCP has.
func ValidHost(b []byte) bool {
	host := b
	// The colons of an IPv6 address stand in brackets.
	if colon := bytes.LastIndexByte(b, ':'); colon > bytes.LastIndexByte(b, ']') {
		host = b[:colon]
		port := 0
		for _, c := range b[colon+1:] {
			port = port*10 + int(c-'0')
			if !isDigit(c) || port > 65535 {
				return false
			}
		}
	}
	if len(host) > 0 && host[0] == '[' {
		return validIPv6(host)
	}
	for i, c := range host {
		if hostChars[c] {
			continue
		}
		if c != '%' || len(host)-i < 3 || unhex(host[i+1]) < 0 || unhex(host[i+2]) < 0 {
			return false
		}
	}
	return len(host) > 0
}

// hostChars are the bytes of a reg-name except the percent sign (RFC 3986
// section 3.2.2).
var hostChars = charTable("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._~!$&'()*+,;=")

// validIPv6 is about an address in brackets, which must not have a zone. Other
// things than IPv6 addresses in brackets are for a future that has not come
// (IPvFuture).
func validIPv6(b []byte) bool {
	if b[len(b)-1] != ']' || len(b) > len("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]") {
		return false
	}
	addr, err := netip.ParseAddr(string(b[1 : len(b)-1]))
	return err == nil && addr.Is6() && addr.Zone() == ""
}

// unhex is the value of a hexadecimal digit, -1 for anything else.
func unhex(c byte) int {
	switch {
	case isDigit(c):
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// DecodePath decodes the percent encoding of a path. What is not valid stays as it is.
func DecodePath(path []byte) []byte {
	if bytes.IndexByte(path, '%') < 0 {
		return path
	}
	dst := make([]byte, 0, len(path))
	for i := 0; i < len(path); i++ {
		if path[i] == '%' && i+2 < len(path) {
			if v, err := strconv.ParseUint(string(path[i+1:i+3]), 16, 8); err == nil {
				dst = append(dst, byte(v))
				i += 2
				continue
			}
		}
		dst = append(dst, path[i])
	}
	return dst
}
