package proxyproto

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/netip"
	"strings"
	"testing"
)

// binaryHeader builds a header of version 2.
func binaryHeader(versionCommand, family byte, block string) string {
	b := []byte(signature2)
	b = append(b, versionCommand, family)
	b = binary.BigEndian.AppendUint16(b, uint16(len(block)))
	return string(b) + block
}

// vector builds a type-length-value vector.
func vector(kind byte, value string) string {
	b := binary.BigEndian.AppendUint16([]byte{kind}, uint16(len(value)))
	return string(b) + value
}

// summed puts the checksum where a header has none yet.
func summed(header string) string {
	hole := vector(typeCRC32C, "\x00\x00\x00\x00")
	at := strings.Index(header, hole)
	sum := crc32.Checksum([]byte(header), castagnoli)
	return header[:at+3] + string(binary.BigEndian.AppendUint32(nil, sum)) + header[at+7:]
}

const (
	block4 = "\xc0\x00\x02\x01" + "\xc6\x33\x64\x02" + "\xdc\x04" + "\x01\xbb"
	block6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02" + "\xff\xff" + "\x00\x00"
)

func full(version int, source, dest string) Header {
	return Header{Version: version, Source: netip.MustParseAddrPort(source), Dest: netip.MustParseAddrPort(dest)}
}

func local(version int) Header { return Header{Version: version, Local: true} }

var accepted = []struct {
	name, text string
	want       Header
}{
	{"v1 TCP4", "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n", full(1, "192.168.0.1:56324", "192.168.0.11:443")},
	{"v1 TCP4 limits", "PROXY TCP4 255.255.255.255 0.0.0.0 65535 0\r\n", full(1, "255.255.255.255:65535", "0.0.0.0:0")},
	{"v1 TCP6", "PROXY TCP6 2001:DB8::1 2001:db8:0:0:0:0:0:2 1 80\r\n", full(1, "[2001:db8::1]:1", "[2001:db8::2]:80")},
	{"v1 TCP6 mapped", "PROXY TCP6 ::ffff:192.0.2.1 ::1 1 80\r\n", full(1, "[::ffff:192.0.2.1]:1", "[::1]:80")},
	{"v1 TCP6 longest", "PROXY TCP6 " + strings.Repeat("ffff:", 7) + "ffff " + strings.Repeat("ffff:", 7) + "ffff 65535 65535\r\n",
		full(1, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535")},
	{"v1 UNKNOWN", "PROXY UNKNOWN\r\n", local(1)},
	{"v1 UNKNOWN with anything", "PROXY UNKNOWN  \x00 so what\r\n", local(1)},
	{"v1 UNKNOWN longest", "PROXY UNKNOWN " + strings.Repeat("f", 91) + "\r\n", local(1)},
	{"v2 INET", binaryHeader(0x21, 0x11, block4), full(2, "192.0.2.1:56324", "198.51.100.2:443")},
	{"v2 INET6", binaryHeader(0x21, 0x21, block6), full(2, "[2001:db8::1]:65535", "[2001:db8::2]:0")},
	{"v2 UNSPEC", binaryHeader(0x21, 0x00, ""), local(2)},
	{"v2 UNSPEC with a block", binaryHeader(0x21, 0x01, "whatever"), local(2)},
	{"v2 LOCAL", binaryHeader(0x20, 0x00, ""), local(2)},
	{"v2 LOCAL, its family ignored", binaryHeader(0x20, 0xff, "x"), local(2)},
	{"v2 LOCAL with addresses", binaryHeader(0x20, 0x11, block4), local(2)},
	{"v2 vectors", binaryHeader(0x21, 0x11, block4+vector(1, "h2")+vector(4, "")+vector(0xea, "vpce")),
		full(2, "192.0.2.1:56324", "198.51.100.2:443")},
	{"v2 checksum", summed(binaryHeader(0x21, 0x11, block4+vector(2, "host")+vector(typeCRC32C, "\x00\x00\x00\x00")+vector(4, "abc"))),
		full(2, "192.0.2.1:56324", "198.51.100.2:443")},
	{"v2 longest", binaryHeader(0x21, 0x11, block4+vector(4, strings.Repeat("x", MaxLen-fixed-12-3))),
		full(2, "192.0.2.1:56324", "198.51.100.2:443")},
}

func TestAccepted(t *testing.T) {
	for _, test := range accepted {
		t.Run(test.name, func(t *testing.T) {
			own, other := V1, V2
			if test.want.Version == 2 {
				own, other = V2, V1
			}
			for _, mode := range []Mode{own, Auto} {
				for _, next := range []string{"", "GET / HTTP/1.1\r\n", "\x16\x03\x01", test.text} {
					h, n, err := Parse(mode, []byte(test.text+next))
					if h != test.want || n != len(test.text) || err != nil {
						t.Errorf("mode %d, followed by %q: %+v, %d, %v", mode, next, h, n, err)
					}
				}
				for i := range len(test.text) {
					if h, n, err := Parse(mode, []byte(test.text[:i])); n != 0 || err != nil || h != (Header{}) {
						t.Fatalf("mode %d, %d of %d bytes: %+v, %d, %v", mode, i, len(test.text), h, n, err)
					}
				}
			}
			for _, mode := range []Mode{Off, other} {
				if _, n, err := Parse(mode, []byte(test.text)); n != 0 || !errors.Is(err, ErrNone) {
					t.Errorf("mode %d: %d, %v", mode, n, err)
				}
			}
		})
	}
}

func TestMalformed(t *testing.T) {
	line := func(s string) string { return s + "\r\n" }
	checksum := summed(binaryHeader(0x21, 0x11, block4+vector(typeCRC32C, "\x00\x00\x00\x00")))
	for _, test := range []struct{ name, text, reason string }{
		{"v1 nothing", line("PROXY "), `protocol "" is none of TCP4, TCP6, UNKNOWN: "PROXY "`},
		{"v1 protocol", line("PROXY UDP4 1.2.3.4 1.2.3.4 1 2"), `protocol "UDP4"`},
		{"v1 lower case", line("PROXY tcp4 1.2.3.4 1.2.3.4 1 2"), `protocol "tcp4"`},
		{"v1 a method", line("PROXY / HTTP/1.1"), `protocol "/"`},
		{"v1 UNKNOWN and more", line("PROXY UNKNOWNS"), `protocol "UNKNOWNS"`},
		{"v1 two fields", line("PROXY TCP4"), `2 fields instead of 6: "PROXY TCP4"`},
		{"v1 five fields", line("PROXY TCP4 1.2.3.4 1.2.3.4 1"), "5 fields"},
		{"v1 seven fields", line("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3"), "7 fields"},
		{"v1 space at the end", line("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 "), "7 fields"},
		{"v1 two spaces", line("PROXY TCP4  1.2.3.4 1.2.3.4 1 2"), "7 fields"},
		{"v1 two spaces, six fields", line("PROXY TCP4  1.2.3.4 1.2.3.4 1"), `"" is no address of TCP4`},
		{"v1 tab", line("PROXY TCP4\t1.2.3.4 1.2.3.4 1 2"), `protocol "TCP4\t1.2.3.4"`},
		{"v1 IPv6 in TCP4", line("PROXY TCP4 ::1 1.2.3.4 1 2"), `"::1" is no address of TCP4`},
		{"v1 IPv4 in TCP6", line("PROXY TCP6 ::1 1.2.3.4 1 2"), `"1.2.3.4" is no address of TCP6`},
		{"v1 zone", line("PROXY TCP6 fe80::1%eth0 ::1 1 2"), `"fe80::1%eth0" is no address`},
		{"v1 brackets", line("PROXY TCP6 [::1] ::1 1 2"), `"[::1]" is no address`},
		{"v1 octet", line("PROXY TCP4 1.2.3.256 1.2.3.4 1 2"), `"1.2.3.256" is no address`},
		{"v1 octal", line("PROXY TCP4 1.2.3.010 1.2.3.4 1 2"), `"1.2.3.010" is no address`},
		{"v1 three octets", line("PROXY TCP4 1.2.3 1.2.3.4 1 2"), `"1.2.3" is no address`},
		{"v1 two compressions", line("PROXY TCP6 1::2::3 ::1 1 2"), `"1::2::3" is no address`},
		{"v1 name", line("PROXY TCP4 localhost 1.2.3.4 1 2"), `"localhost" is no address`},
		{"v1 port too large", line("PROXY TCP4 1.2.3.4 1.2.3.4 65536 2"), `"65536" is no port`},
		{"v1 port huge", line("PROXY TCP4 1.2.3.4 1.2.3.4 1 100000"), `"100000" is no port`},
		{"v1 port signs", line("PROXY TCP4 1.2.3.4 1.2.3.4 +1 2"), `"+1" is no port`},
		{"v1 port negative", line("PROXY TCP4 1.2.3.4 1.2.3.4 -1 2"), `"-1" is no port`},
		{"v1 port zeros", line("PROXY TCP4 1.2.3.4 1.2.3.4 1 02"), `"02" is no port`},
		{"v1 port empty", line("PROXY TCP4 1.2.3.4 1.2.3.4 1 "), `"" is no port`},
		{"v1 port hex", line("PROXY TCP4 1.2.3.4 1.2.3.4 1 0x1"), `"0x1" is no port`},
		{"v1 port with NUL", line("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\x00"), `"2\x00" is no port`},
		{"v1 LF", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", "ends with a single LF"},
		{"v1 CR", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\rG", "ends with a single CR"},
		{"v1 LF in UNKNOWN", "PROXY UNKNOWN \n", "ends with a single LF"},
		{"v1 108 bytes", "PROXY UNKNOWN " + strings.Repeat("f", 92) + "\r\n", "longer than 107 bytes"},
		{"v1 no end", "PROXY UNKNOWN " + strings.Repeat("f", 93), "no end within 107 bytes"},

		{"v2 version 1", binaryHeader(0x11, 0x11, block4), "version 1 instead of 2"},
		{"v2 version 3", binaryHeader(0x31, 0x11, block4), "version 3 instead of 2"},
		{"v2 command", binaryHeader(0x22, 0x11, block4), "command 2 is neither LOCAL nor PROXY"},
		{"v2 unix", binaryHeader(0x21, 0x31, strings.Repeat("\x00", 216)), "address family 3"},
		{"v2 family", binaryHeader(0x21, 0x41, block4), "address family 4"},
		{"v2 datagram", binaryHeader(0x21, 0x12, block4), "transport 2 is not STREAM"},
		{"v2 no transport", binaryHeader(0x21, 0x10, block4), "transport 0 is not STREAM"},
		{"v2 transport without family", binaryHeader(0x21, 0x02, ""), "transport 2 is not STREAM"},
		{"v2 no addresses", binaryHeader(0x21, 0x11, ""), "0 bytes instead of 12 or more"},
		{"v2 short INET", binaryHeader(0x21, 0x11, block4[:11]), "11 bytes instead of 12 or more"},
		{"v2 short INET6", binaryHeader(0x21, 0x21, block4), "12 bytes instead of 36 or more"},
		{"v2 too long", binaryHeader(0x21, 0x11, strings.Repeat("\x00", MaxLen-fixed+1)), "4097 bytes are longer than 4096"},
		{"v2 LOCAL too long", binaryHeader(0x20, 0x00, strings.Repeat("\x00", 65535)), "65551 bytes are longer than 4096"},
		{"v2 a byte too many", binaryHeader(0x21, 0x11, block4+"\x04"), "1 bytes are left at the end"},
		{"v2 part of a vector", binaryHeader(0x21, 0x11, block4+"\x04\x00"), "2 bytes are left at the end"},
		{"v2 vector too long", binaryHeader(0x21, 0x11, block4+"\x04\x00\x02x"), "type 0x04 and 2 bytes goes beyond the end"},
		{"v2 checksum wrong", checksum[:len(checksum)-1] + "\x00", "CRC32c is"},
		{"v2 checksum of other addresses", strings.Replace(checksum, "\xc0\x00\x02\x01", "\xc0\x00\x02\x02", 1), "CRC32c is"},
		{"v2 checksum too short", binaryHeader(0x21, 0x11, block4+vector(typeCRC32C, "abc")), "has not 4 bytes"},
		{"v2 two checksums", binaryHeader(0x21, 0x11, block4+vector(typeCRC32C, "abcd")+vector(typeCRC32C, "abcd")), "CRC32c"},
	} {
		t.Run(test.name, func(t *testing.T) {
			version := 1
			if strings.HasPrefix(test.text, signature2) {
				version = 2
			}
			h, n, err := Parse(Auto, []byte(test.text))
			var e *Error
			if h != (Header{}) || n != 0 || !errors.As(err, &e) || e.Version != version || !strings.Contains(err.Error(), test.reason) {
				t.Fatalf("%+v, %d, %v, want an error about %q", h, n, err, test.reason)
			}
			// Until it is refused, more is wanted; from then on it stays refused.
			refused := false
			for i := range len(test.text) {
				h, n, err := Parse(Auto, []byte(test.text[:i]))
				if n != 0 || h != (Header{}) || refused && err == nil {
					t.Fatalf("%d bytes: %+v, %d, %v", i, h, n, err)
				}
				refused = err != nil
			}
			if _, _, err := Parse(Auto, []byte(test.text+"GET / HTTP/1.1\r\n\r\n")); !errors.As(err, &e) {
				t.Errorf("with a request after it: %v", err)
			}
		})
	}
}

func TestNone(t *testing.T) {
	for text, decided := range map[string]int{
		"GET / HTTP/1.1\r\n":       1,
		"\x16\x03\x01\x02\x00\x01": 1,
		"POST / HTTP/1.1\r\n":      2,
		"PROPFIND / HTTP/1.1\r\n":  4,
		"PROXYING / HTTP/1.1\r\n":  6,
		"PROXY\r\n":                6,
		" PROXY UNKNOWN\r\n":       1,
		"proxy UNKNOWN\r\n":        1,
		"\r\nGET / HTTP/1.1\r\n":   3,
		"\r\n\r\n\x00\r\nquit\n":   8,
		"\r\n\r\n\x00\r\nQUIT\r\n": 12,
	} {
		for i := range len(text) + 1 {
			_, n, err := Parse(Auto, []byte(text[:i]))
			if n != 0 || i < decided && err != nil || i >= decided && !errors.Is(err, ErrNone) {
				t.Errorf("%d bytes of %q: %d, %v, want a decision at %d", i, text, n, err, decided)
			}
		}
	}
	if _, n, err := Parse(Off, nil); n != 0 || !errors.Is(err, ErrNone) {
		t.Errorf("off: %d, %v", n, err)
	}
}

func TestParseMode(t *testing.T) {
	for text, want := range map[string]Mode{"off": Off, "v1": V1, "v2": V2, "auto": Auto} {
		if got, err := ParseMode(text); got != want || err != nil {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "on", "V1", "true"} {
		if got, err := ParseMode(text); got != Off || err == nil {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	for _, text := range []string{binaryHeader(0x21, 0x21, block6+vector(4, "")), "GET / HTTP/1.1\r\n"} {
		buf := []byte(text)
		if n := testing.AllocsPerRun(100, func() { Parse(Auto, buf) }); n != 0 {
			t.Errorf("%q: %v allocations", text, n)
		}
	}
}
