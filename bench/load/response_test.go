package load

import (
	"errors"
	"testing"
)

func TestResponse(t *testing.T) {
	for _, c := range []struct {
		name, text string
		closed     bool
		want       head
		body, rest string
	}{
		{
			"length", "HTTP/1.1 200 OK\r\ncontent-length:  5 \r\nServer: x\r\n\r\nhello", false,
			head{status: 200, length: 5}, "hello", "",
		},
		{
			"bytes after the end are not taken", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP", false,
			head{status: 200, length: 2}, "ok", "HTTP",
		},
		{
			"connection close", "HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n", false,
			head{status: 200, last: true}, "", "",
		},
		{
			"1.0 closes", "HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n", false,
			head{status: 404, last: true}, "", "",
		},
		{
			"1.0 with keep-alive", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", false,
			head{status: 200}, "", "",
		},
		{
			"no reason", "HTTP/1.1 204\r\n\r\n", false,
			head{status: 204}, "", "",
		},
		{
			"interim", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", false,
			head{status: 200, length: 1}, "x", "",
		},
		{
			"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n", false,
			head{status: 200, framing: byChunks}, "abc0123456789", "",
		},
		{
			"chunks win over a length",
			"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\nContent-Length: 7\r\n\r\n0\r\nT: 1\r\n\r\n",
			false, head{status: 200, framing: byChunks, length: 7}, "", "",
		},
		{
			"until close", "HTTP/1.1 200 OK\r\n\r\nall of it", true,
			head{status: 200, framing: byClose, last: true}, "all of it", "",
		},
	} {
		h, body, size, err := response([]byte(c.text), c.closed)
		if err != nil || h != c.want || string(body) != c.body || c.text[size:] != c.rest {
			t.Errorf("%s: %+v, body %q, %d of %d bytes, error %v; want %+v, body %q", c.name, h, body, size, len(c.text), err, c.want, c.body)
		}
		// Every start of it, as it comes in, is neither an answer nor an error.
		for n := range len(c.text) - len(c.rest) {
			if _, _, size, err := response([]byte(c.text[:n]), false); size != 0 || err != nil {
				t.Errorf("%s: the first %d bytes gave size %d, error %v", c.name, n, size, err)
			}
		}
	}
}

func TestResponseRefuses(t *testing.T) {
	for _, text := range []string{
		"HTTP/2 200 OK\r\n\r\n",
		"ICY 200 OK, and more\r\n\r\n",
		"HTTP/1.1 2x0 OK\r\n\r\n",
		"HTTP/1.1 099 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 12345678901\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabcd",
	} {
		if _, _, _, err := response([]byte(text), false); !errors.Is(err, errMalformed) {
			t.Errorf("response(%q): error %v, want malformed", text, err)
		}
	}
}

func FuzzResponse(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), false)
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"), true)
	f.Fuzz(func(t *testing.T, text []byte, closed bool) {
		_, body, size, err := response(text, closed)
		if size < 0 || size > len(text) || len(body) > size || err != nil && size > 0 && len(body) > 0 {
			t.Errorf("size %d, body %d bytes of %d, error %v", size, len(body), len(text), err)
		}
	})
}
