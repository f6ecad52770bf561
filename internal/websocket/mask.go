package websocket

import "encoding/binary"

// unmask undoes the masking of b, which begins at byte at of its payload (RFC 6455
// section 5.3).
func unmask(b []byte, key [4]byte, at int64) {
	if key == ([4]byte{}) {
		return
	}
	if at&3 != 0 {
		var turned [4]byte
		for i := range turned {
			turned[i] = key[(at+int64(i))&3]
		}
		key = turned
	}
	k := uint64(binary.LittleEndian.Uint32(key[:]))
	k |= k << 32
	i := 0
	for ; i+8 <= len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], binary.LittleEndian.Uint64(b[i:])^k)
	}
	for ; i < len(b); i++ {
		b[i] ^= key[i&3]
	}
}

// AppendMasked appends a whole frame of a server as one of a client, whose mask is zeros.
// That is for a peer on the same machine: what a mask protects, the proxies on the way (RFC
// 6455 section 10.3), is not there.
func AppendMasked(dst, frame []byte) []byte {
	header := 2
	switch frame[1] {
	case 126:
		header = 4
	case 127:
		header = 10
	}
	dst = append(dst, frame[0], frame[1]|maskBit)
	dst = append(dst, frame[2:header]...)
	dst = append(dst, 0, 0, 0, 0)
	return append(dst, frame[header:]...)
}
