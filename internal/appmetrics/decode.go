package appmetrics

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// A file begins with an integer of 4 bytes that says how much of it is used, and 4 bytes of
// padding. Then come entries: the length of the key as an integer of 4 bytes, the key, spaces
// up to a multiple of 8 bytes, at least one, and the value as a float of 8 bytes. Since version
// 0.18 of the library there are 8 more bytes, when the value was set; nothing says so but the
// entries themselves. Numbers are in the order of the machine. An entry is written before it
// is counted as used, and a value is written in one piece.
const (
	headSize  = 8
	valueSize = 8
	// stampedSize is the size of a value with its time.
	stampedSize = 16
)

// Limits of what is read.
const (
	// MaxFile is how many bytes of a file may be used.
	MaxFile = 16 << 20
	// maxKey is the size of the longest key.
	maxKey = 8 << 10
)

// An entry is one value. Its key is JSON: see parseKey.
type entry struct {
	key   []byte
	value float64
	time  float64 // when it was set, in seconds since 1970; 0: not known
}

var errCorrupt = errors.New("its entries make no sense")

// ReadUsed returns the used part of a file. The error is that of r, or says that the file is too
// large or that there is less of it than it says.
func ReadUsed(r io.ReaderAt) ([]byte, error) {
	// A buffer of its own, as aligned as the file: so values are copied in one piece, too.
	data := make([]byte, 4096)
	n, err := r.ReadAt(data, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if n < headSize {
		return nil, nil // it was just made
	}
	used := int(int32(binary.NativeEndian.Uint32(data)))
	switch {
	case used < 0 || used > MaxFile:
		return nil, fmt.Errorf("it has %d bytes, and the limit is %d", used, MaxFile)
	case used <= n:
		return data[:used], nil
	}
	data = make([]byte, used)
	if n, _ = r.ReadAt(data, 0); n < used {
		return nil, fmt.Errorf("it ends after %d of %d bytes", n, used)
	}
	return data, nil
}

// decode returns the entries of the used part of a file, and whether they have times.
func decode(data []byte) (entries []entry, stamped bool, err error) {
	if len(data) == 0 {
		return nil, false, nil // the header is yet to be written
	}
	if entries, err = walk(data, stampedSize); err == nil {
		return entries, true, nil
	}
	entries, err = walk(data, valueSize)
	return entries, false, err
}

// walk returns the entries of data if their values have so many bytes. With another number it
// would read a length in the middle of a key: that does not lead to the beginning of a key.
func walk(data []byte, size int) (entries []entry, err error) {
	for pos := headSize; pos < len(data); {
		if len(data)-pos < 4 {
			return nil, errCorrupt
		}
		n := int(int32(binary.NativeEndian.Uint32(data[pos:])))
		if n < 2 || n > len(data)-pos {
			return nil, errCorrupt
		}
		key := data[pos+4:]
		pos += 4 + n + padding(n)
		if len(data)-pos < size || !bytes.HasPrefix(key, keyStart) {
			return nil, errCorrupt
		}
		e := entry{key: key[:n:n], value: float(data[pos:])}
		if size == stampedSize {
			if t := float(data[pos+valueSize:]); !math.IsNaN(t) {
				e.time = t
			}
		}
		entries = append(entries, e)
		pos += size
	}
	return entries, nil
}

// keyStart is what each key begins with.
var keyStart = []byte(`["`)

func float(data []byte) float64 { return math.Float64frombits(binary.NativeEndian.Uint64(data)) }

// padding is how many spaces follow a key of n bytes.
func padding(n int) int { return 8 - (n+4)%8 }

// encode returns the used part of a file with entries.
func encode(entries []entry, stamped bool) []byte {
	data := make([]byte, headSize)
	for _, e := range entries {
		data = binary.NativeEndian.AppendUint32(data, uint32(len(e.key)))
		data = append(data, e.key...)
		data = append(data, "        "[:padding(len(e.key))]...)
		data = binary.NativeEndian.AppendUint64(data, math.Float64bits(e.value))
		if stamped {
			data = binary.NativeEndian.AppendUint64(data, math.Float64bits(e.time))
		}
	}
	binary.NativeEndian.PutUint32(data, uint32(len(data)))
	return data
}
