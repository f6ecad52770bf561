package http1

import (
	"fmt"
	"strconv"
	"strings"
)

// Kind is the class of a refused request, named as Gunicorn names its
// exceptions.
type Kind int

const (
	InvalidRequestLine Kind = iota
	InvalidRequestMethod
	InvalidHTTPVersion
	InvalidHeader
	InvalidHeaderName
	ObsoleteFolding
	LimitRequestLine
	LimitRequestHeaders
	UnsupportedTransferCoding
	ExpectationFailed
	InvalidChunkSize
	InvalidChunkExtension
	ChunkMissingTerminator

	// For the caller: the parser knows no schemes, no paths of apps, no sizes
	// of bodies and no PROXY protocol.
	InvalidSchemeHeaders
	ConfigurationProblem  // see [NewBadScriptName]
	RequestBodyTooLarge   // see [NewBodyTooLarge]
	InvalidProxyLine      // of PROXY protocol version 1
	InvalidProxyHeader    // of version 2
	ForbiddenProxyRequest // from an address that may not send one
)

// kinds says how each Kind is answered. Text and page have the subject, or
// the text, in place of their %; an empty page is the text itself. The reason
// phrases that do not fit the status are Gunicorn's.
var kinds = [...]struct {
	status             int
	reason, text, page string
}{
	InvalidRequestLine:        {400, "Bad Request", "Invalid HTTP request line: %", "Invalid Request Line '%'"},
	InvalidRequestMethod:      {400, "Bad Request", "Invalid HTTP method: %", "Invalid Method '%'"},
	InvalidHTTPVersion:        {400, "Bad Request", "Invalid HTTP Version: %", "Invalid HTTP Version '%'"},
	InvalidHeader:             {400, "Bad Request", "Invalid HTTP Header: %", ""},
	InvalidHeaderName:         {400, "Bad Request", "Invalid HTTP header name: %", ""},
	ObsoleteFolding:           {400, "Bad Request", "Obsolete line folding is unacceptable: %", ""},
	LimitRequestLine:          {414, "URI Too Long", "Request Line is too large (%)", ""},
	LimitRequestHeaders:       {431, "Request Header Fields Too Large", "%", "Error parsing headers: '%'"},
	UnsupportedTransferCoding: {501, "Bad Request", "Unsupported transfer coding: %", ""},
	ExpectationFailed:         {417, "Expectation Failed", "Unable to comply with expectation: %", ""},
	InvalidChunkSize:          {400, "Bad Request", "Invalid chunk size: %", ""},
	InvalidChunkExtension:     {400, "Bad Request", "Invalid chunk extension: %", ""},
	ChunkMissingTerminator:    {400, "Bad Request", `Invalid chunk terminator is not '\r\n': %`, ""},
	InvalidSchemeHeaders:      {400, "Bad Request", "Contradictory scheme headers", ""},
	ConfigurationProblem:      {500, "Bad Request", "Configuration problem: %", ""},
	RequestBodyTooLarge:       {413, "Content Too Large", "Request body is too large (%)", ""},
	InvalidProxyLine:          {400, "Bad Request", "Invalid PROXY line: %", "'%'"},
	InvalidProxyHeader:        {400, "Bad Request", "Invalid PROXY header: %", "'%'"},
	ForbiddenProxyRequest:     {403, "Forbidden", "Request forbidden", ""},
}

// An Error is why a request is refused, and how.
type Error struct {
	Kind    Kind
	Status  int    // of the response
	Reason  string // phrase of the response, as Gunicorn has it: 501 says Bad Request
	Message string // for the page; not escaped yet
	Text    string // for the log, after `Invalid request from ip=ADDR: `
}

// Error is the text for the log.
func (e *Error) Error() string { return e.Text }

// NewError makes an error of a kind about some bytes of the request, which
// show up quoted in its texts.
func NewError(kind Kind, subject []byte) *Error { return newError(kind, repr(subject)) }

// NewBadScriptName makes the error that an app is not mounted where a path leads to.
func NewBadScriptName(path, script []byte) *Error {
	return newError(ConfigurationProblem, fmt.Sprintf("Request path %s does not start with SCRIPT_NAME %s", repr(path), repr(script)))
}

// NewBodyTooLarge makes the error about a body of size bytes, or at least so
// many, where limit are allowed.
func NewBodyTooLarge(size, limit int64) *Error {
	return newError(RequestBodyTooLarge, fmt.Sprintf("%d > %d", size, limit))
}

func newError(kind Kind, subject string) *Error {
	k := &kinds[kind]
	e := &Error{Kind: kind, Status: k.status, Reason: k.reason}
	e.Text = strings.Replace(k.text, "%", subject, 1)
	e.Message = e.Text
	if k.page != "" {
		e.Message = strings.Replace(k.page, "%", e.Text, 1)
	}
	return e
}

// maxSubject bounds what is quoted of a request: a log line is no place for
// a megabyte of target.
const maxSubject = 1024

// repr quotes b as Python's repr does the str of the same Latin-1 text.
func repr(b []byte) string {
	more := len(b) > maxSubject
	if more {
		b = b[:maxSubject]
	}
	quote := byte('\'')
	if s := string(b); strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	const hex = "0123456789abcdef"
	out := append(make([]byte, 0, len(b)+2), quote)
	for _, c := range b {
		switch {
		case c == quote || c == '\\':
			out = append(out, '\\', c)
		case c == '\n':
			out = append(out, '\\', 'n')
		case c == '\r':
			out = append(out, '\\', 'r')
		case c == '\t':
			out = append(out, '\\', 't')
		case c < ' ' || c >= 0x7f && c <= 0xa0 || c == 0xad:
			out = append(out, '\\', 'x', hex[c>>4], hex[c&15])
		case c >= 0x80:
			out = append(out, string(rune(c))...)
		default:
			out = append(out, c)
		}
	}
	out = append(out, quote)
	if more {
		out = append(out, "..."...)
	}
	return string(out)
}

// ErrorPage returns a whole response that refuses a request and says that the connection
// is closed, as its head and its body. It is HTTP/1.1 whatever the request was, and
// has no Server, like Gunicorn's; but it has a Date, see [AppendDate], which RFC 9110
// section 6.6.1 wants. The message is escaped here. Of more fields, those named
// Connection are joined with close.
func ErrorPage(status int, reason, message string, date []byte, more ...Field) (head, body []byte) {
	body = ErrorBody(reason, message)
	head = append(make([]byte, 0, 256), "HTTP/1.1 "...)
	head = strconv.AppendInt(head, int64(status), 10)
	head = append(head, ' ')
	head = append(head, reason...)
	head = append(head, "\r\nDate: "...)
	head = append(head, date...)
	head = append(head, "\r\nConnection: close"...)
	for _, f := range more {
		if string(f.Name) == "Connection" {
			head = append(append(head, ", "...), f.Value...)
		}
	}
	for _, f := range more {
		if string(f.Name) != "Connection" {
			head = append(append(head, "\r\n"...), f.Name...)
			head = append(append(head, ": "...), f.Value...)
		}
	}
	head = append(head, "\r\nContent-Type: text/html\r\nContent-Length: "...)
	head = strconv.AppendInt(head, int64(len(body)), 10)
	return append(head, "\r\n\r\n"...), body
}

// ErrorBody returns the body of an [ErrorPage].
func ErrorBody(reason, message string) []byte {
	const (
		top    = "<html>\n  <head>\n    <title>"
		middle = "</title>\n  </head>\n  <body>\n    <h1><p>"
		bottom = "</p></h1>\n    "
		end    = "\n  </body>\n</html>\n"
	)
	page := make([]byte, 0, len(top)+len(middle)+len(bottom)+len(end)+2*len(reason)+len(message))
	page = append(page, top...)
	page = appendEscaped(page, reason)
	page = append(page, middle...)
	page = appendEscaped(page, reason)
	page = append(page, bottom...)
	page = appendEscaped(page, message)
	return append(page, end...)
}

// appendEscaped makes s safe in HTML. What is not ASCII becomes a character
// reference, because the page names no charset.
func appendEscaped(dst []byte, s string) []byte {
	for _, r := range s {
		switch {
		case r == '&':
			dst = append(dst, "&amp;"...)
		case r == '<':
			dst = append(dst, "&lt;"...)
		case r == '>':
			dst = append(dst, "&gt;"...)
		case r == '"':
			dst = append(dst, "&quot;"...)
		case r == '\'':
			dst = append(dst, "&#x27;"...)
		case r >= 0x80:
			dst = append(dst, "&#"...)
			dst = strconv.AppendInt(dst, int64(r), 10)
			dst = append(dst, ';')
		default:
			dst = append(dst, byte(r))
		}
	}
	return dst
}
