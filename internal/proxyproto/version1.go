package proxyproto

import (
	"bytes"
	"net/netip"
	"strings"
)

const (
	signature1 = "PROXY "
	maxLine    = 107 // with its CR LF: UNKNOWN with two whole IPv6 addresses
)

// parse1 decodes a line of version 1 (section 2.1), of which buf has at least
// a beginning. The line is looked at only once all of it is there.
func parse1(buf []byte) (Header, int, error) {
	end := bytes.IndexAny(buf[:min(len(buf), maxLine)], "\r\n")
	switch {
	case end < 0 && len(buf) >= maxLine:
		return Header{}, 0, invalid(1, "no end within %d bytes: %.*q", maxLine, maxLine, buf)
	case end < 0:
		return Header{}, 0, nil
	case buf[end] == '\n':
		return Header{}, 0, invalid(1, "ends with a single LF: %q", buf[:end])
	case end+1 >= maxLine:
		return Header{}, 0, invalid(1, "longer than %d bytes: %q", maxLine, buf[:end])
	case end+1 == len(buf):
		return Header{}, 0, nil
	case buf[end+1] != '\n':
		return Header{}, 0, invalid(1, "ends with a single CR: %q", buf[:end])
	}
	h, err := parseLine(string(buf[:end]))
	if err != nil {
		return Header{}, 0, err
	}
	return h, end + 2, nil
}

func parseLine(line string) (Header, error) {
	fields := strings.Split(line, " ")
	is4 := false
	switch fields[1] {
	case "UNKNOWN": // whatever follows must be ignored
		return Header{Version: 1, Local: true}, nil
	case "TCP4":
		is4 = true
	case "TCP6":
	default:
		return Header{}, invalid(1, "protocol %q is none of TCP4, TCP6, UNKNOWN: %q", fields[1], line)
	}
	if len(fields) != 6 {
		return Header{}, invalid(1, "%d fields instead of 6: %q", len(fields), line)
	}
	var addrs [2]netip.Addr
	var ports [2]uint16
	for i := range 2 {
		// ParseAddr is as strict as the specification for IPv4 (four numbers,
		// no leading zeros). Zones are its addition.
		a, err := netip.ParseAddr(fields[2+i])
		if err != nil || a.Is4() != is4 || a.Zone() != "" {
			return Header{}, invalid(1, "%q is no address of %s: %q", fields[2+i], fields[1], line)
		}
		addrs[i] = a
	}
	for i := range 2 {
		p, ok := port(fields[4+i])
		if !ok {
			return Header{}, invalid(1, "%q is no port: %q", fields[4+i], line)
		}
		ports[i] = p
	}
	return Header{
		Version: 1,
		Source:  netip.AddrPortFrom(addrs[0], ports[0]),
		Dest:    netip.AddrPortFrom(addrs[1], ports[1]),
	}, nil
}

// port reads a decimal number of 0 to 65535, without sign or leading zeros.
func port(s string) (uint16, bool) {
	if s == "" || len(s) > 5 || s[0] == '0' && s != "0" {
		return 0, false
	}
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return uint16(n), n <= 65535
}
