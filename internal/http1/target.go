package http1

import (
	"bytes"
	"net/netip"
	"strings"
)

var (
	slash    = []byte("/")
	authMark = []byte("://")
)

// parseTarget splits a request target of one of the four forms of RFC 9112
// section 3.2.
func (r *Request) parseTarget(t []byte) bool {
	for _, c := range t {
		if c <= ' ' || c == 0x7f {
			return false
		}
	}
	switch {
	case len(t) == 0:
		return false
	case string(r.Method) == "CONNECT":
		host, port, ok := splitPort(t)
		r.Authority = t
		return ok && validHost(host) && len(port) > 0
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
	host, _, ok := splitPort(r.Authority)
	return ok && validHost(host)
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

// splitPort takes the port off an authority; the colon of an IPv6 address
// stands in brackets.
func splitPort(b []byte) (host, port []byte, ok bool) {
	colon := bytes.LastIndexByte(b, ':')
	if colon < 0 || bytes.LastIndexByte(b, ']') > colon {
		return b, nil, true
	}
	host, port = b[:colon], b[colon+1:]
	for _, c := range port {
		if !isDigit(c) {
			return nil, nil, false
		}
	}
	return host, port, true
}

func validHost(b []byte) bool {
	if len(b) > 0 && b[0] == '[' {
		if b[len(b)-1] != ']' {
			return false
		}
		addr, err := netip.ParseAddr(string(b[1 : len(b)-1]))
		return err == nil && addr.Is6() && addr.Zone() == ""
	}
	for i, c := range b {
		switch {
		case c|0x20 >= 'a' && c|0x20 <= 'z' || isDigit(c):
		case c == '%':
			if len(b)-i < 3 || unhex(b[i+1]) < 0 || unhex(b[i+2]) < 0 {
				return false
			}
		case strings.IndexByte("-._~!$&'()*+,;=", c) < 0:
			return false
		}
	}
	return len(b) > 0
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
