package wire

import (
	"encoding/binary"
	"math"
)

// The type codes of Python's marshal format that are used here. CPython from
// 3.4 on and PyPy load them all; what Python sends is of format version 2,
// which has no back-references.
const (
	marshalNone               = 'N'
	marshalInt                = 'i' // 32 bits
	marshalLong               = 'l' // a count of 15-bit digits, its sign that of the number
	marshalBytes              = 's'
	marshalTuple              = '('
	marshalList               = '['
	marshalDict               = '{' // keys and values in turn until marshalNull
	marshalNull               = '0'
	marshalUnicode            = 'u' // UTF-8
	marshalInterned           = 't' // UTF-8
	marshalASCII              = 'a'
	marshalASCIIInterned      = 'A'
	marshalShortASCII         = 'z' // length in one byte
	marshalShortASCIIInterned = 'Z'
)

// AppendTuple begins a tuple; its n items follow.
func AppendTuple(dst []byte, n int) []byte { return appendHeader(dst, marshalTuple, n) }

// AppendList begins a list; its n items follow.
func AppendList(dst []byte, n int) []byte { return appendHeader(dst, marshalList, n) }

// ListHeader is the size of what [AppendList] appends, in bytes.
const ListHeader = 5

// AppendDict begins a dict; keys and values follow in turn, then
// [AppendDictEnd].
func AppendDict(dst []byte) []byte { return append(dst, marshalDict) }

// AppendDictEnd ends a dict.
func AppendDictEnd(dst []byte) []byte { return append(dst, marshalNull) }

// AppendNone appends None.
func AppendNone(dst []byte) []byte { return append(dst, marshalNone) }

// AppendInt appends an int.
func AppendInt(dst []byte, v int64) []byte {
	if v >= math.MinInt32 && v <= math.MaxInt32 {
		return binary.LittleEndian.AppendUint32(append(dst, marshalInt), uint32(v))
	}
	abs := uint64(v)
	if v < 0 {
		abs = -abs
	}
	count := int32(0)
	for rest := abs; rest > 0; rest >>= 15 {
		count++
	}
	if v < 0 {
		count = -count
	}
	dst = binary.LittleEndian.AppendUint32(append(dst, marshalLong), uint32(count))
	for ; abs > 0; abs >>= 15 {
		dst = binary.LittleEndian.AppendUint16(dst, uint16(abs&0x7fff))
	}
	return dst
}

// AppendBytes appends bytes.
func AppendBytes(dst, b []byte) []byte {
	return append(AppendBytesHeader(dst, len(b)), b...)
}

// AppendBytesHeader begins a bytes object, whose n bytes the caller puts
// straight behind it.
func AppendBytesHeader(dst []byte, n int) []byte { return appendHeader(dst, marshalBytes, n) }

// AppendKey appends a str that is used again and again, such as a key of the
// environ: Python then keeps one of it. s is Latin-1 text.
func AppendKey(dst []byte, s string) []byte {
	if len(s) <= math.MaxUint8 && highBytes(s) == 0 {
		return append(append(dst, marshalShortASCIIInterned, byte(len(s))), s...)
	}
	return appendLatin1(dst, s)
}

// AppendLatin1 appends a str; b is Latin-1 text, so any bytes will do.
func AppendLatin1(dst, b []byte) []byte { return appendLatin1(dst, b) }

// AppendUTF8 appends a str; b must be valid UTF-8.
func AppendUTF8(dst, b []byte) []byte {
	switch {
	case highBytes(b) > 0:
		dst = appendHeader(dst, marshalUnicode, len(b))
	case len(b) <= math.MaxUint8:
		dst = append(dst, marshalShortASCII, byte(len(b)))
	default:
		dst = appendHeader(dst, marshalASCII, len(b))
	}
	return append(dst, b...)
}

func appendLatin1[T string | []byte](dst []byte, s T) []byte {
	high := highBytes(s)
	switch {
	case high > 0:
		dst = appendHeader(dst, marshalUnicode, len(s)+high)
		for i := range len(s) {
			if c := s[i]; c < 0x80 {
				dst = append(dst, c)
			} else {
				dst = append(dst, 0xc0|c>>6, 0x80|c&0x3f)
			}
		}
		return dst
	case len(s) <= math.MaxUint8:
		dst = append(dst, marshalShortASCII, byte(len(s)))
	default:
		dst = appendHeader(dst, marshalASCII, len(s))
	}
	return append(dst, s...)
}

func appendHeader(dst []byte, code byte, n int) []byte {
	return binary.LittleEndian.AppendUint32(append(dst, code), uint32(n))
}

// highBytes counts the bytes that are not ASCII.
func highBytes[T string | []byte](s T) (n int) {
	for i := range len(s) {
		n += int(s[i] >> 7)
	}
	return n
}
