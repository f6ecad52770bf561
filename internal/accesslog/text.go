package accesslog

import (
	"unicode/utf8"
)

// escape adds a value of r, so that it cannot leave its place in a line: at once, or
// later, once its width is known, for JSON.
func escape[T string | []byte](r *Record, dst []byte, s T) []byte {
	if r.raw {
		return append(dst, s...)
	}
	return appendEscaped(dst, s)
}

const hex = "0123456789abcdef"

// appendEscaped adds s so that it stays inside its quotes and its line. Beyond ASCII
// only whole UTF-8 characters are left as they are, without the control characters
// (U+0080 to U+009F) and line ends (U+2028, U+2029) among them, which some terminals
// and log readers obey.
func appendEscaped[T string | []byte](dst []byte, s T) []byte {
	kept := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < 0x7f && c != '"' {
			i++
			continue
		}
		n := 1
		if c >= utf8.RuneSelf {
			var char rune
			char, n = decode(s, i)
			if n > 1 && char > 0x9f && char != 0x2028 && char != 0x2029 {
				i += n
				continue
			}
		}
		dst = append(dst, s[kept:i]...)
		if c == '"' {
			dst = append(dst, '\\', '"')
		} else {
			for j := i; j < i+n; j++ {
				dst = append(dst, '\\', 'x', hex[s[j]>>4], hex[s[j]&15])
			}
		}
		i += n
		kept = i
	}
	return append(dst, s[kept:]...)
}

// decode returns the character at s[i] and its length.
func decode[T string | []byte](s T, i int) (rune, int) {
	var b [utf8.UTFMax]byte
	n := copy(b[:], s[i:])
	return utf8.DecodeRune(b[:n])
}

// apply pads and cuts the value dst[start:].
func (st style) apply(dst []byte, start int) []byte {
	if st.number {
		dst = st.digits(dst, start)
	} else if st.precision >= 0 {
		n := start
		for range st.precision {
			if n == len(dst) {
				break
			}
			_, size := utf8.DecodeRune(dst[n:])
			n += size
		}
		dst = dst[:n]
	}
	pad := st.width - utf8.RuneCount(dst[start:])
	if pad <= 0 {
		return dst
	}
	if st.left {
		for range pad {
			dst = append(dst, ' ')
		}
		return dst
	}
	fill := byte(' ')
	if st.zero {
		fill = '0'
		if st.sign != 0 {
			start++ // zeros go behind the sign
		}
	}
	return insert(dst, start, fill, pad)
}

// digits gives the number dst[start:] its sign and its least number of digits.
func (st style) digits(dst []byte, start int) []byte {
	if n := st.precision - (len(dst) - start); n > 0 {
		dst = insert(dst, start, '0', n)
	}
	if st.sign != 0 {
		dst = insert(dst, start, st.sign, 1)
	}
	return dst
}

// insert puts n times fill in front of dst[at:].
func insert(dst []byte, at int, fill byte, n int) []byte {
	for range n {
		dst = append(dst, fill)
	}
	copy(dst[at+n:], dst[at:])
	for i := at; i < at+n; i++ {
		dst[i] = fill
	}
	return dst
}
