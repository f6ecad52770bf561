package http1

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// decodeChunked decodes input, given in pieces of step bytes, through a window
// of room bytes, and returns the body and how much of input it was.
func decodeChunked(cfg *Config, input []byte, step, room int) (body []byte, n int, done bool, err error) {
	var c Chunked
	c.Reset(cfg)
	dst := make([]byte, room)
	for end := 0; end < len(input) && !done; {
		end = min(len(input), end+step)
		for n < end && !done {
			var nd, ns int
			nd, ns, done, err = c.Decode(dst, input[n:end])
			body = append(body, dst[:nd]...)
			n += ns
			if err != nil {
				return body, n, false, err
			}
			if nd+ns == 0 && !done {
				return body, n, false, fmt.Errorf("no progress at byte %d", n)
			}
		}
	}
	return body, n, done, nil
}

var chunkSteps = []struct{ step, room int }{{1 << 20, 1 << 20}, {1, 1}, {1, 100}, {100, 1}, {3, 2}, {7, 5}}

func TestChunked(t *testing.T) {
	tests := []struct{ name, input, want string }{
		{"empty", "0\r\n\r\n", ""},
		{"two chunks", "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world"},
		{"upper and lower case", "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789"},
		{"leading zeros", "00005\r\nhello\r\n000\r\n\r\n", "hello"},
		{"CRLF as data", "4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n"},
		{"extensions", "5;a=b;c=\"d e\\\"\"\r\nhello\r\n0;x\r\n\r\n", "hello"},
		{"space before an extension", "5 \t;a\r\nhello\r\n0\r\n\r\n", "hello"},
		{"spaces in extensions", "5; a \t=\tb ; c = \"d\" ; e ;f\r\nhello\r\n0\r\n\r\n", "hello"},
		{"quoted extension", "5;a=\"\xff\t;=\\\\\\\xff\";b=\"\"\r\nhello\r\n0\r\n\r\n", "hello"},
		{"trailers", "5\r\nhello\r\n0\r\nVary: *\r\nX-Sum: \xff\r\nEmpty:\r\n\r\n", "hello"},
	}
	cfg := DefaultConfig()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, s := range chunkSteps {
				body, n, done, err := decodeChunked(&cfg, []byte(test.input+"GET / "), s.step, s.room)
				if err != nil || !done || n != len(test.input) || string(body) != test.want {
					t.Errorf("by %d into %d: %q, %d of %d bytes, done %v, %v", s.step, s.room, body, n, len(test.input), done, err)
				}
			}
			for i := range len(test.input) {
				if _, n, done, err := decodeChunked(&cfg, []byte(test.input[:i]), 1, 1); done || err != nil || n != i {
					t.Errorf("the first %d bytes: %d, done %v, %v", i, n, done, err)
				}
			}
		})
	}
}

func TestChunkedFolding(t *testing.T) {
	cfg := DefaultConfig()
	cfg.PermitObsoleteFolding = true
	const input = "0\r\nA: b\r\n c\r\n\td\r\n\r\n"
	for _, s := range chunkSteps {
		if _, n, done, err := decodeChunked(&cfg, []byte(input), s.step, s.room); !done || err != nil || n != len(input) {
			t.Errorf("%d of %d bytes, done %v, %v", n, len(input), done, err)
		}
	}
	if _, _, _, err := decodeChunked(&cfg, []byte("0\r\nA: b\r\n \x00\r\n\r\n"), 1, 1); err == nil || asError(err).Kind != InvalidHeader {
		t.Errorf("NUL in a fold: %v", err)
	}
}

func TestChunkedRefuses(t *testing.T) {
	tests := []struct {
		name, input string
		kind        Kind
	}{
		{"underscore", "6_0\r\n", InvalidChunkSize},
		{"space after size", "5 \r\nhello\r\n0\r\n\r\n", InvalidChunkSize},
		{"space before size", " 5\r\nhello\r\n0\r\n\r\n", InvalidChunkSize},
		{"digits after space", "5 5;\r\nhello\r\n0\r\n\r\n", InvalidChunkSize},
		{"LF", "5\nhello\r\n0\r\n\r\n", InvalidChunkSize},
		{"CR alone", "5\rhello\r\n0\r\n\r\n", InvalidChunkExtension},
		{"no size", "\r\nhello\r\n0\r\n\r\n", InvalidChunkSize},
		{"no size but extension", ";a\r\nhello\r\n0\r\n\r\n", InvalidChunkSize},
		{"plus", "+5\r\nhello\r\n", InvalidChunkSize},
		{"minus", "-5\r\nhello\r\n", InvalidChunkSize},
		{"0x", "0x5\r\nhello\r\n", InvalidChunkSize},
		{"no hexadecimal", "g\r\nhello\r\n", InvalidChunkSize},
		{"64 bits", "10000000000000000\r\n", InvalidChunkSize},
		{"63 bits", "8000000000000000\r\n", InvalidChunkSize},
		{"CR in extension", "5;a\rb\r\nhello\r\n", InvalidChunkExtension},
		{"LF in extension", "5;a\nb\r\nhello\r\n", InvalidChunkExtension},
		{"NUL in extension", "5;\x00\r\nhello\r\n", InvalidChunkExtension},
		{"empty extension", "5;\r\nhello\r\n", InvalidChunkExtension},
		{"empty extension before another", "5;;a\r\nhello\r\n", InvalidChunkExtension},
		{"extension without a value", "5;a=\r\nhello\r\n", InvalidChunkExtension},
		{"extension with nothing but space for a value", "5;a= \r\nhello\r\n", InvalidChunkExtension},
		{"extension without a name", "5;=a\r\nhello\r\n", InvalidChunkExtension},
		{"two values", "5;a=b=c\r\nhello\r\n", InvalidChunkExtension},
		{"two words", "5;a b\r\nhello\r\n", InvalidChunkExtension},
		{"two words as a value", "5;a=b c\r\nhello\r\n", InvalidChunkExtension},
		{"name that is no token", "5;a@b\r\nhello\r\n", InvalidChunkExtension},
		{"name not ASCII", "5;\xff\r\nhello\r\n", InvalidChunkExtension},
		{"value not ASCII", "5;a=\xff\r\nhello\r\n", InvalidChunkExtension},
		{"quoted name", "5;\"a\"\r\nhello\r\n", InvalidChunkExtension},
		{"quote left open", "5;a=\"b\r\nhello\r\n", InvalidChunkExtension},
		{"quote left open by an escape", "5;a=\"b\\\"\r\nhello\r\n", InvalidChunkExtension},
		{"word behind a quote", "5;a=\"b\"c\r\nhello\r\n", InvalidChunkExtension},
		{"quote in a value", "5;a=b\"c\"\r\nhello\r\n", InvalidChunkExtension},
		{"NUL in a quote", "5;a=\"\x00\"\r\nhello\r\n", InvalidChunkExtension},
		{"DEL behind an escape", "5;a=\"\\\x7f\"\r\nhello\r\n", InvalidChunkExtension},
		{"LF in a quote", "5;a=\"\n\"\r\nhello\r\n", InvalidChunkExtension},
		{"space at the end of a name", "5;a \r\nhello\r\n", InvalidChunkExtension},
		{"space at the end of a value", "5;a=b\t\r\nhello\r\n", InvalidChunkExtension},
		{"space at the end of a quote", "5;a=\"b\" \r\nhello\r\n", InvalidChunkExtension},
		{"LF behind an extension", "5;a\nhello\r\n", InvalidChunkExtension},
		{"extension of the last chunk", "0;x=\r\n\r\n", InvalidChunkExtension},
		{"endless extension", "5;" + strings.Repeat("a", maxChunkLine), InvalidChunkExtension},
		{"endless zeros", strings.Repeat("0", maxChunkLine+1), InvalidChunkExtension},
		{"little data in many bytes", strings.Repeat("1;"+strings.Repeat("a", 1000)+"\r\nb\r\n", 20), InvalidChunkExtension},
		{"data too long", "5\r\nhello!\r\n", ChunkMissingTerminator},
		{"data with LF", "5\r\nhello\n0\r\n\r\n", ChunkMissingTerminator},
		{"data with CR", "5\r\nhello\r0\r\n\r\n", ChunkMissingTerminator},
		{"trailer without colon", "0\r\nabc\r\n\r\n", InvalidHeader},
		{"trailer with LF", "0\r\nA: b\n\r\n", InvalidHeader},
		{"LF at the end", "0\r\n\n", InvalidHeader},
		{"trailer name", "0\r\nA : b\r\n\r\n", InvalidHeaderName},
		{"trailer value", "0\r\nA: \x00\r\n\r\n", InvalidHeader},
		{"trailer folded", "0\r\nA: b\r\n c\r\n\r\n", ObsoleteFolding},
		{"trailer starts folded", "0\r\n A: b\r\n\r\n", InvalidHeaderName},
		{"trailer Host", "0\r\nHost: b\r\n\r\n", InvalidHeaderName},
		{"trailer Content-Length", "0\r\ncontent-length: 0\r\n\r\n", InvalidHeaderName},
		{"trailer Transfer-Encoding", "0\r\nTransfer-Encoding: chunked\r\n\r\n", InvalidHeaderName},
		{"trailer Trailer", "0\r\nTRAILER: x\r\n\r\n", InvalidHeaderName},
		{"trailer Authorization", "0\r\nAuthorization: x\r\n\r\n", InvalidHeaderName},
		{"trailer TE", "0\r\nTE: x\r\n\r\n", InvalidHeaderName},
		{"trailers over the limit", "0\r\n" + strings.Repeat("A: b\r\n", 101), LimitRequestHeaders},
		{"trailer over the limit", "0\r\nA: " + strings.Repeat("b", 8190), LimitRequestHeaders},
	}
	cfg := DefaultConfig()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, s := range chunkSteps {
				_, _, done, err := decodeChunked(&cfg, []byte(test.input), s.step, s.room)
				if err == nil || asError(err).Kind != test.kind || asError(err).Status != NewError(test.kind, nil).Status {
					t.Errorf("by %d into %d: done %v, %v", s.step, s.room, done, err)
				}
			}
		})
	}
}

// Many small chunks are slow but honest.
func TestChunkedSmall(t *testing.T) {
	cfg := DefaultConfig()
	input := strings.Repeat("1\r\na\r\n", 100000) + "0\r\n\r\n"
	body, _, done, err := decodeChunked(&cfg, []byte(input), 4096, 4096)
	if !done || err != nil || !bytes.Equal(body, bytes.Repeat([]byte("a"), 100000)) {
		t.Errorf("%d bytes, done %v, %v", len(body), done, err)
	}
}

// With no room it reads up to the first byte of data and no further, and
// after the end nothing at all.
func TestChunkedNoRoom(t *testing.T) {
	cfg := DefaultConfig()
	var c Chunked
	c.Reset(&cfg)
	input := []byte("5\r\nhello\r\n0\r\n\r\n")
	nd, ns, done, err := c.Decode(nil, input)
	if nd != 0 || ns != 3 || done || err != nil {
		t.Fatal(nd, ns, done, err)
	}
	var dst [100]byte
	nd, n, done, err := c.Decode(dst[:], input[ns:])
	if string(dst[:nd]) != "hello" || ns+n != len(input) || !done || err != nil {
		t.Fatal(nd, n, done, err)
	}
	if nd, ns, done, err = c.Decode(dst[:], input); nd != 0 || ns != 0 || !done || err != nil {
		t.Fatal(nd, ns, done, err)
	}
}
