// Package accesslog writes lines of the access log in Gunicorn's formats, such as
//
//	%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"
//
// A format is compiled once. [Format.Append] then adds lines to a buffer of the
// caller's without allocating, from any number of goroutines.
//
// No client can forge a line, or end a quoted field: " is written \", control
// characters and bytes that are not UTF-8 are written \xHH. A format whose lines are
// JSON is recognized, and its values are escaped as JSON wants them; [JSON] is one with
// fixed names.
//
// Try it with go test ./internal/accesslog.
package accesslog

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Format is a compiled access_log_format.
type Format struct {
	parts []part
	json  bool // its lines are JSON
}

// A part is literal text or, if write is set, an atom.
type part struct {
	text  string // the literal text, or the name of a header or variable
	write func(dst []byte, r *Record, name string) []byte
	style style
	place place // in JSON
}

// A style is how Python's % operator pads a value.
type style struct {
	width     int
	precision int // characters of a text, least digits of a number; −1: none given
	left      bool
	zero      bool
	sign      byte // ' ' or '+' in front of a number, or 0
	number    bool // d, i or u
}

// plain is the style of %(x)s.
var plain = style{precision: -1}

var errNumberOnly = errors.New("a number is required")

// Compile reads a format: the text with %(atom)s in it and %% for a percent sign, with
// the flags, width and precision of Python's % operator. An atom that does not exist
// prints "-".
func Compile(format string) (*Format, error) {
	f := &Format{}
	var text strings.Builder
	rest := format
	for {
		before, after, found := strings.Cut(rest, "%")
		text.WriteString(before)
		if !found {
			break
		}
		if strings.HasPrefix(after, "%") {
			text.WriteByte('%')
			rest = after[1:]
			continue
		}
		p, n, err := compileAtom(after)
		if err != nil {
			return nil, fmt.Errorf("access log format %q: at character %d: %w", format, len(format)-len(after), err)
		}
		f.literal(&text)
		f.parts = append(f.parts, p)
		rest = after[n:]
	}
	f.literal(&text)
	f.findJSON()
	return f, nil
}

func (f *Format) literal(text *strings.Builder) {
	if text.Len() > 0 {
		f.parts = append(f.parts, part{text: text.String()})
		text.Reset()
	}
}

// compileAtom reads what follows a percent sign; n is its length.
func compileAtom(s string) (p part, n int, err error) {
	if !strings.HasPrefix(s, "(") {
		return part{}, 0, errors.New("% is followed by neither ( nor %")
	}
	// A name may hold balanced parentheses.
	end, depth := 0, 0
	for i := 0; i < len(s) && end == 0; i++ {
		switch s[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				end = i
			}
		}
	}
	if end == 0 {
		return part{}, 0, errors.New("the name of an atom is not closed by )")
	}
	name := s[1:end]
	st, n, err := compileStyle(s[end+1:])
	if err != nil {
		return part{}, 0, fmt.Errorf("atom %s: %w", name, err)
	}
	p = lookup(name)
	p.style = st
	if st.number && !isNumber(name) {
		return part{}, 0, fmt.Errorf("atom %s: %w", name, errNumberOnly)
	}
	return p, end + 1 + n, nil
}

// compileStyle reads flags, width, precision and conversion.
func compileStyle(s string) (st style, n int, err error) {
	st = plain
	for ; n < len(s) && strings.IndexByte("-+ #0", s[n]) >= 0; n++ {
		switch s[n] {
		case '-':
			st.left = true
		case '0':
			st.zero = true
		case '+':
			st.sign = '+'
		case ' ':
			if st.sign == 0 {
				st.sign = ' '
			}
		}
	}
	st.width, n, err = digits(s, n)
	if err != nil {
		return st, n, err
	}
	if n < len(s) && s[n] == '.' {
		if st.precision, n, err = digits(s, n+1); err != nil {
			return st, n, err
		}
	}
	if n < len(s) && strings.IndexByte("hlL", s[n]) >= 0 {
		n++ // C's length of a number means nothing to Python
	}
	if n == len(s) {
		return st, n, errors.New("the conversion character, mostly s, is missing")
	}
	switch s[n] {
	case 's':
		st.sign, st.zero = 0, false // a text has neither
	case 'd', 'i', 'u':
		st.number = true
	default:
		return st, n, fmt.Errorf("conversion %q is not one of s, d, i, u", s[n])
	}
	return st, n + 1, nil
}

// maxWidth keeps a slip of the pen from making lines of gigabytes.
const maxWidth = 10000

func digits(s string, n int) (value, next int, err error) {
	start := n
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	if n == start {
		return 0, n, nil
	}
	value, err = strconv.Atoi(s[start:n])
	if err != nil || value > maxWidth {
		return 0, n, fmt.Errorf("width %s is too large", s[start:n])
	}
	return value, n, nil
}

// A Record is a request that was answered, or refused.
//
// The getters return nil for what is absent. They are given names as the format has
// them, and must not mind case. Of a field that occurs several times Gunicorn logs the
// last one. A getter that is nil finds nothing.
type Record struct {
	RemoteAddr string // "" on a unix socket
	Method     []byte
	RawURI     []byte // the target as it was sent
	Path       []byte // decoded, without SCRIPT_NAME and query
	Query      []byte
	Proto      string // such as HTTP/1.1
	Status     int
	BodyBytes  int64 // of the response's body; −1: not known
	Start      time.Time
	Duration   time.Duration
	Pid        int // the process that served it

	RequestID, TraceID []byte               // nil: it has none
	Waited, Ran        time.Duration        // in the queue, and in the app; 0: not known
	Balancer           func() time.Duration // how long it took to come here, as a proxy says; 0, or nil: not known

	Request  func(name string) []byte // a header field of the request
	Response func(name string) []byte // a header field of the response
	Environ  func(name string) []byte // a variable of the WSGI environ

	raw bool // values are escaped later
}

func (r *Record) balancer() time.Duration {
	if r.Balancer == nil {
		return 0
	}
	return r.Balancer()
}

// Append adds the line for r to dst, without a newline.
func (f *Format) Append(dst []byte, r *Record) []byte {
	r.raw = f.json
	for i := range f.parts {
		p := &f.parts[i]
		if p.write == nil {
			dst = append(dst, p.text...)
			continue
		}
		start := len(dst)
		dst = p.write(dst, r, p.text)
		if p.style != plain {
			dst = p.style.apply(dst, start)
		}
		if f.json {
			dst = p.place.quote(dst, start)
		}
	}
	return dst
}
