package http1

import (
	"bytes"
	"fmt"
)

// A Request is the head of a request. Its slices are parts of the buffer that
// was parsed, or of memory of its own, and are good until the next
// [ParseRequest] into it or until the buffer changes. The zero value is ready;
// reuse it to avoid allocation.
type Request struct {
	Method    []byte // as sent; in upper case with CasefoldMethod
	Target    []byte // as sent
	Path      []byte // path of the target, still encoded; "*" kept; "/" for an absolute-form without one; empty for CONNECT
	Query     []byte // what follows the first "?" of the target, without the fragment
	Authority []byte // host and port of an absolute-form or authority-form target, else nil

	Major, Minor int // as sent: 1,0 or 1,1, seldom 1,2 to 1,9; anything with PermitVersion

	Fields        []Field
	ContentLength int64 // -1: none given
	Chunked       bool  // the body is chunked; ContentLength is -1
	ForceClose    bool  // a compression lies under the chunks, which is not undone: close after this request
	KeepAlive     bool  // what the client wants, by its version and its Connection fields
	Expect100     bool  // it waits for 100 Continue before it sends the body (HTTP/1.1 only)

	upper     []byte // Method, if it had to be changed
	folded    []byte // values of folded fields, one after the other
	foldField int    // the field whose value ends folded, -1 if none
	foldStart int    // where that value starts

	// What the calls so far saw, if the head is incomplete: bytes up to seen,
	// of which the parser had those up to parsed. Before until there is
	// nothing new to say without another line.
	seen, parsed, until int
}

// Reset forgets an incomplete head. It is needed only before r is used for
// another connection after ParseRequest wanted more bytes.
func (r *Request) Reset() {
	r.Method, r.Target, r.Path, r.Query, r.Authority = nil, nil, nil, nil, nil
	r.Major, r.Minor = 0, 0
	r.Fields = r.Fields[:0]
	r.ContentLength = -1
	r.Chunked, r.ForceClose, r.KeepAlive, r.Expect100 = false, false, false, false
	r.folded, r.foldField = r.folded[:0], -1
	r.seen, r.parsed, r.until = 0, 0, 0
}

// keptFields is how many fields a Request keeps room for when it is idle.
const keptFields = 32

// Forget lets go of the buffer that was parsed, so that it does not stay in
// memory because of r.
func (r *Request) Forget() {
	r.Reset()
	if cap(r.Fields) > keptFields {
		r.Fields = nil
	}
	clear(r.Fields[:cap(r.Fields)])
	r.folded = nil
}

// Get returns the value of the first field of that name in any case, nil if
// there is none.
func (r *Request) Get(name string) []byte {
next:
	for i := range r.Fields {
		f := &r.Fields[i]
		if len(f.Name) != len(name) {
			continue
		}
		for j, c := range f.Name {
			d := name[j]
			if c != d && (c|0x20 != d|0x20 || c|0x20 < 'a' || c|0x20 > 'z') {
				continue next
			}
		}
		if f.Value == nil {
			return []byte{}
		}
		return f.Value
	}
	return nil
}

// AtLeast11 reports whether the client speaks HTTP/1.1 or later: it
// understands chunks and interim responses, and keeps connections by default.
func (r *Request) AtLeast11() bool {
	return r.Major > 1 || r.Major == 1 && r.Minor >= 1
}

// ParseRequest reads the head at the start of buf into r and returns its
// length, so that buf[n:] is the start of the body. With 0 and no error it
// needs more bytes: call it again with the same r and all bytes so far. An
// error is always an [*Error]; it comes as soon as it can be told, so that a
// limit holds for an incomplete head too. Only in a head of several KiB that
// comes in small pieces other errors may be told a little later.
//
// An empty line before the request line is the caller's to pass over.
func ParseRequest(cfg *Config, buf []byte, r *Request) (n int, err error) {
	limit := cfg.LimitRequestHead
	full := limit > 0 && len(buf) >= limit
	if full {
		buf = buf[:limit] // whatever the rest is, it is not looked at
	} else if r.nothingNew(buf) {
		return 0, nil
	}
	r.Reset()
	n, e := r.parse(cfg, buf)
	if e == nil && n == 0 && full {
		e = newError(LimitRequestHeaders, "limit request head size")
	}
	if e != nil {
		return 0, e
	}
	return n, nil
}

// Set makes r a request of a method, a target and fields that did not come as text of
// HTTP/1.1, but are held to the same rules. They stay the caller's, and must not change while
// r is used. A limit of the whole head is not looked at. An error is always an [*Error].
func (r *Request) Set(cfg *Config, method, target []byte, fields []Field) error {
	r.Reset()
	if e := r.set(cfg, method, target, fields); e != nil {
		return e
	}
	return nil
}

func (r *Request) set(cfg *Config, method, target []byte, fields []Field) *Error {
	if size, limit := len(method)+len(target)+len("  HTTP/1.1"), cfg.lineLimit(); size > limit {
		return newError(LimitRequestLine, fmt.Sprintf("%d > %d", size, limit))
	}
	if err := r.setMethod(cfg, method); err != nil {
		return err
	}
	r.Target, r.Major, r.Minor = target, 1, 1
	if bytes.IndexByte(target, ' ') >= 0 || !r.parseTarget(cfg, target) {
		return NewError(InvalidRequestLine, target)
	}
	if len(fields) > cfg.fieldLimit() {
		return newError(LimitRequestHeaders, "limit request headers fields")
	}
	for i := range fields {
		f := &fields[i]
		switch {
		case len(f.Name)+len(": \r\n")+len(f.Value) > cfg.fieldSizeLimit():
			return newError(LimitRequestHeaders, "limit request headers fields size")
		case !isToken(f.Name):
			return NewError(InvalidHeaderName, f.Name)
		case !validValue(f.Value):
			return NewError(InvalidHeader, bytes.ToUpper(f.Name))
		}
	}
	r.Fields = append(r.Fields, fields...)
	return r.interpret(cfg)
}

// promptHead is the size up to which each line of a head is looked at as soon
// as it is there.
const promptHead = 4096

// nothingNew reports whether buf may wait for more bytes. A head is parsed from
// its start each time; so that a client that sends it in small pieces does not
// have that done for each of them, a large head must first grow by a part of
// itself, or end.
func (r *Request) nothingNew(buf []byte) bool {
	if r.seen == 0 || len(buf) < r.seen {
		return false
	}
	news := len(buf) >= r.until || bytes.IndexByte(buf[r.seen:], '\n') >= 0
	if news && len(buf)-r.parsed < (len(buf)-promptHead)/16 {
		news = bytes.Contains(buf[max(0, r.seen-len("\n\r")):], headEnd)
	}
	if !news {
		r.seen = len(buf)
	}
	return !news
}

var headEnd = []byte("\n\r\n")

func (r *Request) parse(cfg *Config, buf []byte) (int, *Error) {
	limit := cfg.lineLimit()
	end := bytes.IndexByte(buf[:min(len(buf), limit+2)], '\n')
	if end < 0 {
		if len(buf) >= limit+2 {
			size := bytes.IndexByte(buf, '\n') - 1
			if size < 0 {
				size = len(buf)
			}
			return 0, newError(LimitRequestLine, fmt.Sprintf("%d > %d", size, limit))
		}
		return r.wait(buf, limit+2)
	}
	if end == 0 || buf[end-1] != '\r' {
		return 0, NewError(InvalidRequestLine, buf[:end+1])
	}
	if err := r.parseLine(cfg, buf[:end-1]); err != nil {
		return 0, err
	}
	n, err := r.parseFields(cfg, buf, end+1)
	if n == 0 || err != nil {
		return 0, err
	}
	return n, r.interpret(cfg)
}

func (r *Request) wait(buf []byte, until int) (int, *Error) {
	r.seen, r.parsed, r.until = len(buf), len(buf), until
	return 0, nil
}

func (r *Request) parseLine(cfg *Config, line []byte) *Error {
	method, rest, ok := bytes.Cut(line, []byte{' '})
	target, version, ok2 := bytes.Cut(rest, []byte{' '})
	if !ok || !ok2 {
		return NewError(InvalidRequestLine, line)
	}
	if err := r.setMethod(cfg, method); err != nil {
		return err
	}
	r.Target = target
	if !r.parseTarget(cfg, target) {
		return NewError(InvalidRequestLine, line)
	}
	if len(version) != 8 || string(version[:5]) != "HTTP/" || version[6] != '.' || !isDigit(version[5]) || !isDigit(version[7]) {
		return NewError(InvalidHTTPVersion, version)
	}
	r.Major, r.Minor = int(version[5]-'0'), int(version[7]-'0')
	if r.Major != 1 && !cfg.PermitUnconventionalHTTPVersion {
		return newError(InvalidHTTPVersion, fmt.Sprintf("(%d, %d)", r.Major, r.Minor))
	}
	return nil
}

func (r *Request) setMethod(cfg *Config, method []byte) *Error {
	if !validMethod(cfg, method) {
		return NewError(InvalidRequestMethod, method)
	}
	r.Method = method
	if cfg.CasefoldHTTPMethod {
		r.upper = r.upper[:0]
		for _, c := range method {
			if c >= 'a' && c <= 'z' {
				c -= 'a' - 'A'
			}
			r.upper = append(r.upper, c)
		}
		r.Method = r.upper
	}
	return nil
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// validMethod holds a method to what all registered ones have in common: it
// rejects the random bytes that a client sends which speaks another protocol.
func validMethod(cfg *Config, method []byte) bool {
	if cfg.PermitUnconventionalHTTPMethod {
		return isToken(method)
	}
	if len(method) < 3 || len(method) > 20 {
		return false
	}
	for _, c := range method {
		if !tokenChars[c] || c >= 'a' && c <= 'z' || c == '#' {
			return false
		}
	}
	return true
}

// parseFields reads the field lines from pos on and returns where the body
// starts, or 0 if bytes are missing. It decides on nothing before it has read
// it, so that the same input has the same outcome however it was cut.
func (r *Request) parseFields(cfg *Config, buf []byte, pos int) (int, *Error) {
	count, size := cfg.fieldLimit(), cfg.fieldSizeLimit()
	room := 0 // of the field read last, for lines folded into it
	for {
		rest := buf[pos:]
		if len(rest) == 0 {
			return r.wait(buf, pos+1)
		}
		if rest[0] == '\r' {
			if len(rest) == 1 {
				return r.wait(buf, pos+2)
			}
			if rest[1] == '\n' {
				return pos + 2, nil
			}
		}
		fold := (rest[0] == ' ' || rest[0] == '\t') && len(r.Fields) > 0
		if fold && !cfg.PermitObsoleteFolding {
			return 0, NewError(ObsoleteFolding, bytes.ToUpper(r.Fields[len(r.Fields)-1].Name))
		}
		if !fold {
			if len(r.Fields) >= count {
				return 0, newError(LimitRequestHeaders, "limit request headers fields")
			}
			room = size
		}
		end := bytes.IndexByte(rest[:min(len(rest), room)], '\n')
		if end < 0 {
			if len(rest) >= room {
				return 0, newError(LimitRequestHeaders, "limit request headers fields size")
			}
			return r.wait(buf, pos+room)
		}
		if end == 0 || rest[end-1] != '\r' {
			return 0, NewError(InvalidHeader, rest[:end+1])
		}
		line := rest[:end-1]
		if fold {
			if err := r.fold(trim(line)); err != nil {
				return 0, err
			}
		} else {
			f, err := parseField(cfg, line)
			if err != nil {
				return 0, err
			}
			r.Fields = append(r.Fields, f)
		}
		room -= end + 1
		pos += end + 1
	}
}

// fold joins a continuation line to the last field.
func (r *Request) fold(line []byte) *Error {
	f := &r.Fields[len(r.Fields)-1]
	if !validValue(line) {
		return NewError(InvalidHeader, bytes.ToUpper(f.Name))
	}
	if r.foldField != len(r.Fields)-1 {
		r.foldField, r.foldStart = len(r.Fields)-1, len(r.folded)
		r.folded = append(r.folded, f.Value...)
	}
	if len(line) > 0 {
		if len(r.folded) > r.foldStart {
			r.folded = append(r.folded, ' ')
		}
		r.folded = append(r.folded, line...)
	}
	f.Value = r.folded[r.foldStart:]
	return nil
}
