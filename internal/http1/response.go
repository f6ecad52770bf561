package http1

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Server is the value of the field of that name in every response.
const Server = "indrik"

// Framing is how the client sees where a response's body ends.
type Framing int

const (
	FramingNone    Framing = iota // no body: HEAD, 204, 205, 304
	FramingLength                 // Content-Length bytes
	FramingChunked                // until LastChunk; in HTTP/2 until the stream ends
	FramingClose                  // until the connection closes, or the record that ends the response (ForFastCGI)
)

// Form is whom the head of a response is for.
type Form uint8

const (
	ForClient  Form = iota
	ForGateway      // a web server that speaks uwsgi: no fields about the connection, and no chunks
	ForCGI          // likewise, and a field Status in place of the status line (RFC 3875 section 6.3.3)
	ForFastCGI      // likewise, in records that show where the response ends: its connection may stay open
)

// Head is the head of a response, and what decides on its form. Reuse it to
// avoid allocation.
type Head struct {
	Form        Form
	Minor       int     // of the request's version 1.x: 0 gives HTTP/1.0 200 OK and no chunks; 1 for HTTP/2
	HeadRequest bool    // the request's method is HEAD
	Connect     bool    // it is CONNECT
	Status      []byte  // of the app: 200 OK
	Fields      []Field // of the app
	Date        []byte  // value of the Date field, see [AppendDate]; empty: none

	// Server is the value of the Server field, the default if it is empty.
	// NoServer: the server adds none, and one of the app's own goes out.
	Server   string
	NoServer bool

	// KnownLength is the size of the body if the whole of it is at hand,
	// else -1. It becomes the Content-Length if the app gave none.
	KnownLength int64

	// Trailers reports whether trailers may follow a chunked body. Then the
	// client gets to see a Trailer field.
	Trailers bool

	// KeepAlive is, going in, whether the connection may stay open, and
	// coming out, whether the head says so. An app that wants its end says so
	// in a Connection field.
	KeepAlive bool

	// Code is the status as a number, coming out.
	Code int

	// ContentLength is, coming out, what the head says, or -1. If the app
	// gave it, it may differ from KnownLength: a longer body must be cut to
	// it, after a shorter one the connection must be closed.
	ContentLength int64

	// LengthAdded is, coming out, whether ContentLength is the server's: then
	// a Content-Length among the fields does not count.
	LengthAdded bool
}

// Check examines the status and the fields and decides on the form of the
// response: it sets Code, ContentLength, LengthAdded and KeepAlive. An error
// says what the app did wrong. Of the fields, the client is not to see those
// that [IsHopByHop] names, and Content-Length only once, and not if
// ContentLength is -1.
func (h *Head) Check() (Framing, error) {
	code, err := statusCode(h.Status)
	if err != nil {
		return FramingNone, err
	}
	if code < 200 {
		// RFC 9110 section 15.2: the client would go on waiting for another.
		return FramingNone, fmt.Errorf("status %d cannot be that of a response: it only announces one", code)
	}
	length := int64(-1)
	for i := range h.Fields {
		f := &h.Fields[i]
		if err := checkField(f); err != nil {
			return FramingNone, err
		}
		if isContentLength(f.Name) {
			n, ok := digits(trim(f.Value))
			if !ok {
				return FramingNone, fmt.Errorf("invalid content-length of the response: %s", repr(f.Value))
			}
			if length >= 0 && length != n {
				return FramingNone, fmt.Errorf("two values for content-length of the response: %d, %d", length, n)
			}
			length = n
		} else if len(f.Name) == len("connection") && equalFold(f.Name, "connection") {
			if close, _ := connectionOptions(f.Value); close {
				h.KeepAlive = false
			}
		}
	}
	h.Code, h.ContentLength, h.LengthAdded = code, length, false
	return h.framing(), nil
}

// framing decides how the body ends, and with it on KeepAlive.
func (h *Head) framing() Framing {
	switch {
	case h.Code == 204:
		h.ContentLength = -1 // RFC 9110 section 8.6
		return FramingNone
	case h.Code == 205:
		// RFC 9110 section 15.3.6: there is no body, but a client that does
		// not know the status looks for its end.
		h.ContentLength, h.LengthAdded = 0, true
		return FramingNone
	case h.HeadRequest || h.Code == 304:
		return FramingNone
	case h.Connect && h.Code < 300:
		// RFC 9110 section 9.3.6: the client takes what follows for what the other
		// end of a tunnel says, until the end of the connection.
		h.ContentLength, h.KeepAlive = -1, false
		return FramingClose
	case h.ContentLength >= 0:
		if h.KnownLength >= 0 && h.KnownLength < h.ContentLength {
			h.KeepAlive = false
		}
		return FramingLength
	case h.KnownLength >= 0:
		h.ContentLength, h.LengthAdded = h.KnownLength, true
		return FramingLength
	case h.Minor > 0 && h.Form == ForClient:
		return FramingChunked
	}
	h.KeepAlive = h.KeepAlive && h.Form == ForFastCGI
	return FramingClose
}

// AppendResponseHead checks the head (see [Head.Check]) and appends it with its
// empty line: status line, Server, Date, Connection, Transfer-Encoding, an
// added Content-Length, then the app's fields in their order and case. Left
// out, as Gunicorn does, are the app's own Server and Date and the hop-by-hop
// fields, which are the server's business (PEP 3333), and Content-Length where
// RFC 9110 section 8.6 forbids it. With an error dst comes back as it was.
func AppendResponseHead(dst []byte, h *Head) ([]byte, Framing, error) {
	framing, err := h.Check()
	if err != nil {
		return dst, framing, err
	}
	start := "HTTP/1.1 "
	switch {
	case h.Form == ForCGI, h.Form == ForFastCGI:
		start = "Status: "
	case h.Minor == 0:
		start = "HTTP/1.0 "
	}
	dst = append(dst, start...)
	dst = append(dst, h.Status...)
	if len(h.Status) == 3 {
		dst = append(dst, ' ') // RFC 9112 section 4: even without a reason
	}
	dst = append(dst, '\r', '\n')
	if !h.NoServer {
		dst = appendServer(dst, h.Server)
	}
	if len(h.Date) > 0 {
		dst = append(dst, "Date: "...)
		dst = append(dst, h.Date...)
		dst = append(dst, '\r', '\n')
	}
	switch {
	case h.Form != ForClient:
	case h.KeepAlive:
		dst = append(dst, "Connection: keep-alive\r\n"...)
	default:
		dst = append(dst, "Connection: close\r\n"...)
	}
	if framing == FramingChunked {
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	}
	if h.LengthAdded {
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, h.ContentLength, 10)
		dst = append(dst, '\r', '\n')
	}
	length := h.ContentLength >= 0 && !h.LengthAdded
	for i := range h.Fields {
		f := &h.Fields[i]
		if IsHopByHop(f.Name) && !(h.Trailers && framing == FramingChunked && equalFold(f.Name, "trailer")) &&
			!(h.NoServer && equalFold(f.Name, "server")) {
			continue
		}
		if isContentLength(f.Name) {
			if !length {
				continue
			}
			length = false
		}
		dst = appendField(dst, f)
	}
	return append(dst, '\r', '\n'), framing, nil
}

// appendServer appends the field Server, of the default value if value is empty.
func appendServer(dst []byte, value string) []byte {
	if value == "" {
		return append(dst, "Server: "+Server+"\r\n"...)
	}
	dst = append(append(dst, "Server: "...), value...)
	return append(dst, '\r', '\n')
}

// IsServerValue reports whether a text can be the value of the field Server.
func IsServerValue(text string) bool {
	return text != "" && text == strings.TrimSpace(text) && validValue([]byte(text))
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
		// The value may be a secret, which has no place in a log.
		at := slices.IndexFunc(f.Value, func(c byte) bool { return !validBytes([]byte{c}) })
		return fmt.Errorf("invalid value of the response's header %s: byte %d of it is 0x%02x", f.Name, at, f.Value[at])
	}
	return nil
}

func appendField(dst []byte, f *Field) []byte {
	dst = append(dst, f.Name...)
	dst = append(dst, ':', ' ')
	dst = append(dst, trim(f.Value)...)
	return append(dst, '\r', '\n')
}

func isContentLength(name []byte) bool {
	return len(name) == len("content-length") && equalFold(name, "content-length")
}

// IsHopByHop reports whether the server, not the app, has a say in a field of
// a response. The list is Gunicorn's, with Trailer, since none are sent, and
// Proxy-Connection, which HTTP/2 forbids like the others (RFC 9113 section
// 8.2.2).
func IsHopByHop(name []byte) bool {
	switch len(name) {
	case 2:
		return equalFold(name, "te")
	case 4:
		return equalFold(name, "date")
	case 6:
		return equalFold(name, "server")
	case 7:
		return equalFold(name, "upgrade") || equalFold(name, "trailer")
	case 8:
		return equalFold(name, "trailers")
	case 10:
		return equalFold(name, "connection") || equalFold(name, "keep-alive")
	case 16:
		return equalFold(name, "proxy-connection")
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

// AppendTrailers ends a chunked body with trailers (RFC 9112 section 7.1.2). With an
// error dst comes back as it was.
func AppendTrailers(dst []byte, fields []Field) ([]byte, error) {
	if err := CheckTrailers(fields); err != nil {
		return dst, err
	}
	dst = append(dst, "0\r\n"...)
	for i := range fields {
		dst = appendField(dst, &fields[i])
	}
	return append(dst, '\r', '\n'), nil
}

// CheckTrailers examines trailers. Fields that say how a message is to be framed or
// where it goes are none (RFC 9110 section 6.5.1).
func CheckTrailers(fields []Field) error {
	for i := range fields {
		f := &fields[i]
		if err := checkField(f); err != nil {
			return err
		}
		if IsHopByHop(f.Name) || isContentLength(f.Name) || equalFold(f.Name, "host") {
			return fmt.Errorf("%s cannot be a trailer", f.Name)
		}
	}
	return nil
}

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
		if f := &fields[i]; !IsHopByHop(f.Name) && !isContentLength(f.Name) {
			dst = appendField(dst, f)
		}
	}
	return append(dst, '\r', '\n'), nil
}

// AppendUpgrade appends a response 101 whole, to a request whose protocol is to be
// changed for another one (RFC 9110 section 7.8). Of h it needs Server, NoServer, Date
// and Fields. With an error dst comes back as it was.
func AppendUpgrade(dst []byte, protocol string, h *Head) ([]byte, error) {
	fields := h.Fields
	for i := range fields {
		if err := checkField(&fields[i]); err != nil {
			return dst, err
		}
	}
	dst = append(dst, "HTTP/1.1 101 Switching Protocols\r\n"...)
	if !h.NoServer {
		dst = appendServer(dst, h.Server)
	}
	dst = append(append(dst, "Date: "...), h.Date...)
	dst = append(dst, "\r\nConnection: Upgrade\r\nUpgrade: "...)
	dst = append(append(dst, protocol...), '\r', '\n')
	for i := range fields {
		if f := &fields[i]; !IsHopByHop(f.Name) && !isContentLength(f.Name) {
			dst = appendField(dst, f)
		}
	}
	return append(dst, '\r', '\n'), nil
}
