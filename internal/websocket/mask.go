package websocket

import "encoding/binary"

// unmask undoes the masking of b, which begins at byte at of its payload (RFC 6455
// section 5.3).
func unmask(b []byte, key [4]byte, at int64) {
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
