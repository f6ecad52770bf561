package load

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// framing is how the end of a response body is told (RFC 9112, section 6.3).
type framing int

const (
	byLength framing = iota
	byChunks
	byClose
)

// head is what the generator needs to know of the head of a response.
type head struct {
	status  int
	framing framing
	length  int
	// last: the server will close the connection after this response.
	last bool
}

var errMalformed = errors.New("malformed response")

// parseHead reads the head of a response at the start of buf. size is its
// length; 0 and no error: more bytes are needed. Interim responses (1xx) in
// front of it are part of size.
func parseHead(buf []byte) (h head, size int, err error) {
	for {
		n := bytes.Index(buf[size:], []byte("\r\n\r\n"))
		if n < 0 {
			return head{}, 0, nil
		}
		h, err = parseFields(buf[size : size+n+2])
		if err != nil {
			return head{}, 0, err
		}
		size += n + 4
		if h.status >= 200 {
			return h, size, nil
		}
	}
}

// parseFields reads a status line and fields, each ending in CRLF.
func parseFields(text []byte) (head, error) {
	line, rest, _ := bytes.Cut(text, []byte("\r\n"))
	if len(line) < len("HTTP/1.1 200") || !bytes.HasPrefix(line, []byte("HTTP/1.")) || line[8] != ' ' {
		return head{}, fmt.Errorf("%w: status line %q", errMalformed, line)
	}
	status, ok := digits(line[9:12])
	if !ok || status < 100 {
		return head{}, fmt.Errorf("%w: status line %q", errMalformed, line)
	}
	h := head{status: status, framing: byClose, last: line[7] == '0'}
	if status < 200 || status == 204 || status == 304 {
		h.framing = byLength
	}
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, found := bytes.Cut(line, []byte(":"))
		if !found {
			return head{}, fmt.Errorf("%w: field %q", errMalformed, line)
		}
		value = bytes.Trim(value, " \t")
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			n, ok := digits(value)
			if !ok {
				return head{}, fmt.Errorf("%w: Content-Length %q", errMalformed, value)
			}
			if h.framing == byClose {
				h.framing, h.length = byLength, n
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			if !bytes.EqualFold(value, []byte("chunked")) {
				return head{}, fmt.Errorf("%w: Transfer-Encoding %q", errMalformed, value)
			}
			h.framing = byChunks
		case bytes.EqualFold(name, []byte("Connection")):
			if bytes.EqualFold(value, []byte("close")) {
				h.last = true
			} else if bytes.EqualFold(value, []byte("keep-alive")) {
				h.last = false
			}
		}
	}
	if h.framing == byClose {
		h.last = true
	}
	return h, nil
}

// digits reads a decimal number of at most nine digits and nothing else.
func digits(text []byte) (n int, ok bool) {
	if len(text) == 0 || len(text) > 9 {
		return 0, false
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// dechunk decodes a chunked body (RFC 9112, section 7.1) without extensions.
// size is how much of buf it takes, the end of the trailers included; 0 and no
// error: more bytes are needed.
func dechunk(buf []byte) (body []byte, size int, err error) {
	for {
		n := bytes.Index(buf[size:], []byte("\r\n"))
		if n < 0 {
			return nil, 0, nil
		}
		length, err := strconv.ParseUint(string(buf[size:size+n]), 16, 31)
		if err != nil {
			return nil, 0, fmt.Errorf("%w: chunk size %q", errMalformed, buf[size:size+n])
		}
		size += n + 2
		if length == 0 {
			break
		}
		end := size + int(length)
		if len(buf) < end+2 {
			return nil, 0, nil
		}
		if buf[end] != '\r' || buf[end+1] != '\n' {
			return nil, 0, fmt.Errorf("%w: no line end after a chunk", errMalformed)
		}
		body = append(body, buf[size:end]...)
		size = end + 2
	}
	for { // trailers, up to an empty line
		n := bytes.Index(buf[size:], []byte("\r\n"))
		if n < 0 {
			return nil, 0, nil
		}
		size += n + 2
		if n == 0 {
			return body, size, nil
		}
	}
}

// response reads the response at the start of buf. size 0 and no error: more
// bytes are needed. closed says that no more will come. body may be a part of
// buf.
func response(buf []byte, closed bool) (h head, body []byte, size int, err error) {
	h, start, err := parseHead(buf)
	if err != nil || start == 0 {
		return h, nil, 0, err
	}
	switch h.framing {
	case byLength:
		if end := start + h.length; len(buf) >= end {
			return h, buf[start:end], end, nil
		}
	case byChunks:
		body, n, err := dechunk(buf[start:])
		if err != nil || n > 0 {
			return h, body, start + n, err
		}
	case byClose:
		if closed {
			return h, buf[start:], len(buf), nil
		}
	}
	return h, nil, 0, nil
}
