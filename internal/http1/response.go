package http1

import (
	"fmt"
	"strconv"
	"time"
)

// Server is the value of the field of that name in every response.
const Server = "indrik"

// Framing is how the client sees where a response's body ends.
type Framing int

const (
	FramingNone    Framing = iota // no body: HEAD, 1xx, 204, 304
	FramingLength                 // Content-Length bytes
	FramingChunked                // until LastChunk
	FramingClose                  // until the connection closes
)

// Head is the head of a response, and what decides on its form. Reuse it to
// avoid allocation.
type Head struct {
	Minor       int     // of the request's version 1.x: 0 gives HTTP/1.0 200 OK and no chunks
	HeadRequest bool    // the request's method is HEAD
	Status      []byte  // of the app: 200 OK
	Fields      []Field // of the app
	Date        []byte  // value of the Date field, see [AppendDate]; empty: none

	// KnownLength is the size of the body if the whole of it is at hand,
	// else -1. It becomes the Content-Length if the app gave none.
	KnownLength int64

	// KeepAlive is, going in, whether the connection may stay open, and
	// coming out, whether the head says so.
	KeepAlive bool

	// Code is the status as a number, coming out.
	Code int

	// ContentLength is, coming out, what the head says, or -1. If the app
	// gave it, it may differ from KnownLength: a longer body must be cut to
	// it, after a shorter one the connection must be closed.
	ContentLength int64
}

// AppendResponseHead appends the head with its empty line: status line, Server,
// Date, Connection, Transfer-Encoding, an added Content-Length, then the app's
// fields in their order and case. Left out, as Gunicorn does, are the app's
// own Server and Date and the hop-by-hop fields, which are the server's
// business (PEP 3333), and Content-Length where RFC 9110 section 8.6 forbids
// it. With an error, which says what the app did wrong, dst comes back as it was.
func AppendResponseHead(dst []byte, h *Head) ([]byte, Framing, error) {
	length := int64(-1)
	code, err := statusCode(h.Status)
	if err != nil {
		return dst, FramingNone, err
	}
	for i := range h.Fields {
		f := &h.Fields[i]
		if err := checkField(f); err != nil {
			return dst, FramingNone, err
		}
		if isContentLength(f) {
			n, ok := digits(trim(f.Value))
			if !ok {
				return dst, FramingNone, fmt.Errorf("invalid content-length of the response: %s", repr(f.Value))
			}
			if length >= 0 && length != n {
				return dst, FramingNone, fmt.Errorf("two values for content-length of the response: %d, %d", length, n)
			}
			length = n
		}
	}
	if code < 200 || code == 204 {
		length = -1
	}
	h.Code, h.ContentLength = code, length
	framing, added := h.framing()

	start := "HTTP/1.1 "
	if h.Minor == 0 {
		start = "HTTP/1.0 "
	}
	dst = append(dst, start...)
	dst = append(dst, h.Status...)
	if len(h.Status) == 3 {
		dst = append(dst, ' ') // RFC 9112 section 4: even without a reason
	}
	dst = append(dst, "\r\nServer: "+Server+"\r\n"...)
	if len(h.Date) > 0 {
		dst = append(dst, "Date: "...)
		dst = append(dst, h.Date...)
		dst = append(dst, '\r', '\n')
	}
	if h.KeepAlive {
		dst = append(dst, "Connection: keep-alive\r\n"...)
	} else {
		dst = append(dst, "Connection: close\r\n"...)
	}
	if framing == FramingChunked {
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	}
	if added {
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, h.ContentLength, 10)
		dst = append(dst, '\r', '\n')
	}
	seen := false
	for i := range h.Fields {
		f := &h.Fields[i]
		if isHopByHop(f.Name) {
			continue
		}
		if isContentLength(f) {
			if length < 0 || seen {
				continue
			}
			seen = true
		}
		dst = appendField(dst, f)
	}
	return append(dst, '\r', '\n'), framing, nil
}

// framing decides how the body ends, and with it on KeepAlive. added means that
// ContentLength was not the app's.
func (h *Head) framing() (f Framing, added bool) {
	switch {
	case h.Code < 200:
		// The client goes on waiting for the real response. Only the end
		// of the connection tells it that there is none.
		h.KeepAlive = false
		return FramingNone, false
	case h.HeadRequest || h.Code == 204 || h.Code == 304:
		return FramingNone, false
	case h.ContentLength >= 0:
		if h.KnownLength >= 0 && h.KnownLength < h.ContentLength {
			h.KeepAlive = false
		}
		return FramingLength, false
	case h.KnownLength >= 0:
		h.ContentLength = h.KnownLength
		return FramingLength, true
	case h.Minor > 0:
		return FramingChunked, false
	}
	h.KeepAlive = false
	return FramingClose, false
}

// statusCode reads the number of a status such as 200 OK.
func statusCode(status []byte) (int, error) {
	if len(status) < 3 || len(status) > 3 && status[3] != ' ' || !validValue(status) {
		return 0, fmt.Errorf("invalid status of the response: %s", repr(status))
	}
	code, ok := digits(status[:3])
	if !ok || code < 100 {
		return 0, fmt.Errorf("invalid status of the response: %s", repr(status))
	}
	return int(code), nil
}

func checkField(f *Field) error {
	if !isToken(f.Name) {
		return fmt.Errorf("invalid header name of the response: %s", repr(f.Name))
	}
	if !validValue(f.Value) {
		return fmt.Errorf("invalid value of the response's header %s: %s", f.Name, repr(f.Value))
	}
	return nil
}

func appendField(dst []byte, f *Field) []byte {
	dst = append(dst, f.Name...)
	dst = append(dst, ':', ' ')
	dst = append(dst, trim(f.Value)...)
	return append(dst, '\r', '\n')
}

func isContentLength(f *Field) bool {
	return len(f.Name) == len("content-length") && equalFold(f.Name, "content-length")
}

// isHopByHop reports whether the server, not the app, has a say in a field.
// The list is Gunicorn's.
func isHopByHop(name []byte) bool {
	switch len(name) {
	case 2:
		return equalFold(name, "te")
	case 4:
		return equalFold(name, "date")
	case 6:
		return equalFold(name, "server")
	case 7:
		return equalFold(name, "upgrade")
	case 8:
		return equalFold(name, "trailers")
	case 10:
		return equalFold(name, "connection") || equalFold(name, "keep-alive")
	case 17:
		return equalFold(name, "transfer-encoding")
	case 18:
		return equalFold(name, "proxy-authenticate")
	case 19:
		return equalFold(name, "proxy-authorization")
	}
	return false
}

// AppendDate appends t as the value of a Date field (RFC 9110 section 5.6.7).
func AppendDate(dst []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(dst, "Mon, 02 Jan 2006 15:04:05 GMT")
}

// LastChunk ends a chunked body, without trailers.
const LastChunk = "0\r\n\r\n"

// AppendChunk appends data as one chunk, and nothing if there is no data, since
// an empty chunk would end the body.
func AppendChunk(dst, data []byte) []byte {
	if len(data) == 0 {
		return dst
	}
	dst = AppendChunkSize(dst, int64(len(data)))
	dst = append(dst, data...)
	return append(dst, '\r', '\n')
}

// AppendChunkSize appends the line before n bytes of data, which the caller
// ends with CRLF; n must not be 0.
func AppendChunkSize(dst []byte, n int64) []byte {
	const hex = "0123456789ABCDEF"
	var b [16]byte
	i := len(b)
	for ; n > 0; n >>= 4 {
		i--
		b[i] = hex[n&15]
	}
	dst = append(dst, b[i:]...)
	return append(dst, '\r', '\n')
}

// AppendInterim appends an interim response whole: 100, which has no fields,
// or 103, which has those of them that make sense in one. With an error dst
// comes back as it was.
func AppendInterim(dst []byte, code int, fields []Field) ([]byte, error) {
	for i := range fields {
		if err := checkField(&fields[i]); err != nil {
			return dst, err
		}
	}
	switch code {
	case 100:
		return append(dst, "HTTP/1.1 100 Continue\r\n\r\n"...), nil
	case 103:
		dst = append(dst, "HTTP/1.1 103 Early Hints\r\n"...)
	default:
		return dst, fmt.Errorf("no interim response has the status %d", code)
	}
	for i := range fields {
		if f := &fields[i]; !isHopByHop(f.Name) && !isContentLength(f) {
			dst = appendField(dst, f)
		}
	}
	return append(dst, '\r', '\n'), nil
}
