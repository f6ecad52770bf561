package http1

import (
	"bytes"
	"testing"
)

// FuzzChunked checks that a body that Chunked decodes to its end is the same
// body to net/http, with the same end, but for the listed differences; and that
// it is the same body however the input was cut.
func FuzzChunked(f *testing.F) {
	f.Fuzz(func(t *testing.T, input []byte, step, room uint8) {
		if len(input) > largeInput {
			return
		}
		cfg := permissive()
		body, n, done, err := decodeChunked(&cfg, input, len(input)+1, len(input)+1)
		body2, n2, done2, err2 := decodeChunked(&cfg, input, int(step)+1, int(room)+1)
		if done != done2 || done && n != n2 || err == nil && !bytes.Equal(body, body2) || (err == nil) != (err2 == nil) ||
			err != nil && asError(err).Kind != asError(err2).Kind {
			t.Fatalf("at once: %q, %d, %v, %v; in pieces: %q, %d, %v, %v", body, n, done, err, body2, n2, done2, err2)
		}
		if done {
			compareStream(t, &cfg, append([]byte("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), input...))
		}
	})
}

// FuzzAppendChunk checks that what is written as chunks is decoded to what it was.
func FuzzAppendChunk(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte, size uint16) {
		var out []byte
		for rest := data; len(rest) > 0; {
			n := min(len(rest), int(size)+1)
			out = AppendChunk(out, rest[:n])
			rest = rest[n:]
		}
		out = append(out, LastChunk...)
		cfg := permissive()
		body, n, done, err := decodeChunked(&cfg, out, len(out), len(out))
		if !done || err != nil || n != len(out) || !bytes.Equal(body, data) {
			t.Errorf("%q became %q: %d bytes, done %v, %v", data, body, n, done, err)
		}
	})
}
