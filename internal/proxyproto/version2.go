package proxyproto

import (
	"encoding/binary"
	"hash/crc32"
	"net/netip"
)

// The header of version 2 (section 2.2): the signature, a byte of version and
// command, one of address family and transport, the length of what follows,
// the addresses, and type-length-value vectors.
const (
	signature2 = "\r\n\r\n\x00\r\nQUIT\n"
	fixed      = len(signature2) + 4

	version2     = 2
	commandLocal = 0
	commandProxy = 1

	familyUnspec = 0
	familyINET   = 1
	familyINET6  = 2

	transportUnspec = 0
	transportStream = 1

	typeCRC32C = 3
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// parse2 decodes a header of version 2, of which buf has at least a beginning.
// It refuses one as soon as it can, but accepts one only when all of it is there.
func parse2(buf []byte) (Header, int, error) {
	command, addresses := 0, 0
	family, transport := 0, 0
	if len(buf) > len(signature2) {
		b := buf[len(signature2)]
		command = int(b & 15)
		if v := b >> 4; v != version2 {
			return Header{}, 0, invalid(2, "version %d instead of 2", v)
		}
		if command != commandLocal && command != commandProxy {
			return Header{}, 0, invalid(2, "command %d is neither LOCAL nor PROXY", command)
		}
	}
	if len(buf) > len(signature2)+1 && command == commandProxy {
		b := buf[len(signature2)+1]
		family, transport = int(b>>4), int(b&15)
		switch family {
		case familyUnspec:
		case familyINET:
			addresses = 2*4 + 2*2
		case familyINET6:
			addresses = 2*16 + 2*2
		default:
			return Header{}, 0, invalid(2, "address family %d is none of UNSPEC, INET, INET6", family)
		}
		if transport != transportStream && !(family == familyUnspec && transport == transportUnspec) {
			return Header{}, 0, invalid(2, "transport %d is not STREAM", transport)
		}
	}
	if len(buf) < fixed {
		return Header{}, 0, nil
	}
	n := fixed + int(binary.BigEndian.Uint16(buf[fixed-2:]))
	switch {
	case n > MaxLen:
		return Header{}, 0, invalid(2, "%d bytes are longer than %d", n, MaxLen)
	case n < fixed+addresses:
		return Header{}, 0, invalid(2, "%d bytes instead of %d or more for the addresses", n-fixed, addresses)
	case len(buf) < n:
		return Header{}, 0, nil
	}

	// With LOCAL the block must be discarded, and UNSPEC does not say where
	// addresses end and vectors begin. Nothing is taken from either.
	if command == commandLocal || family == familyUnspec {
		return Header{Version: 2, Local: true}, n, nil
	}
	if err := checkVectors(buf[:n], fixed+addresses); err != nil {
		return Header{}, 0, err
	}
	block := buf[fixed:]
	size := (addresses - 2*2) / 2
	source, _ := netip.AddrFromSlice(block[:size])
	dest, _ := netip.AddrFromSlice(block[size : 2*size])
	return Header{
		Version: 2,
		Source:  netip.AddrPortFrom(source, binary.BigEndian.Uint16(block[2*size:])),
		Dest:    netip.AddrPortFrom(dest, binary.BigEndian.Uint16(block[2*size+2:])),
	}, n, nil
}

// checkVectors checks that the vectors from index at on fill the header
// exactly, and the checksum if there is one. None of the others concerns a
// server.
func checkVectors(header []byte, at int) error {
	summed := false
	for at < len(header) {
		if len(header)-at < 3 {
			return invalid(2, "%d bytes are left at the end", len(header)-at)
		}
		kind, length := header[at], int(binary.BigEndian.Uint16(header[at+1:]))
		at += 3
		if length > len(header)-at {
			return invalid(2, "a vector of type %#02x and %d bytes goes beyond the end", kind, length)
		}
		if kind == typeCRC32C {
			if length != 4 || summed {
				return invalid(2, "more than one CRC32c, or one that has not 4 bytes")
			}
			summed = true
			if err := checkSum(header, at); err != nil {
				return err
			}
		}
		at += length
	}
	return nil
}

// checkSum compares the CRC32c at an index with that of the header, in which
// its own bytes count as zero (section 2.2.3).
func checkSum(header []byte, at int) error {
	sum := crc32.Update(0, castagnoli, header[:at])
	sum = crc32.Update(sum, castagnoli, []byte{0, 0, 0, 0})
	sum = crc32.Update(sum, castagnoli, header[at+4:])
	if got := binary.BigEndian.Uint32(header[at:]); got != sum {
		return invalid(2, "the CRC32c is %08x, the header has %08x", got, sum)
	}
	return nil
}
