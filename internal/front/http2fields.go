package front

import (
	"strings"

	"golang.org/x/net/http2/hpack"
)

const (
	// maxWatched is the size of the largest frame with fields that is looked at, and of
	// the largest name or value in it.
	maxWatched = 64 << 10
	// fieldTable is the size of the table of fields that a client may count on
	// (RFC 9113 section 6.5.2): net/http announces no other.
	fieldTable = 4096
)

// noSuchField is a field whose name is in upper case, as a literal that no table
// remembers (RFC 7541 section 6.2.2). It makes a request malformed.
var noSuchField = []byte{0, 1, 'A', 0}

// A fieldWatch looks in the fields of requests, and in their trailers, for fields that
// belong to a connection of HTTP/1, for values with whitespace around them, and for
// the length of a body that does not follow. A request with such a field is malformed
// and ends with a stream error (RFC 9113 sections 8.1.1 and 8.2.2); net/http would
// answer it with 400, or accept it. So the fieldWatch adds [noSuchField], for which
// net/http resets the stream.
type fieldWatch struct {
	decoder *hpack.Decoder
	lost    bool // the decoder's table is not known any more: everything passes

	// Of the fields that are being read.
	bad     bool // there was such a field
	last    bool // nothing follows them in their stream
	request bool // they are no trailers
	hasBody bool // they say that there is a body
}

// loseIfLarge gives up after a frame with fields that is too large to be looked at: each
// such frame can change the table.
func (w *fieldWatch) loseIfLarge(f *frame) {
	if f.length > maxWatched {
		w.lost = true
	}
}

// append appends a frame to dst. It changes the frame if the fields that end with it are
// bad.
func (w *fieldWatch) append(dst, whole []byte) []byte {
	fragment, priority, ok := fieldsOf(whole)
	if whole[3] == frameHeaders {
		w.bad, w.last, w.request, w.hasBody = false, whole[4]&flagEndStream != 0, false, false
	}
	if ok && w.decoder == nil {
		w.decoder = hpack.NewDecoder(fieldTable, w.field)
		w.decoder.SetMaxStringLength(maxWatched)
	}
	if ok {
		_, err := w.decoder.Write(fragment)
		ok = err == nil
	}
	end := whole[4]&flagEndHeaders != 0
	if ok && end {
		ok = w.decoder.Close() == nil
	}
	if !ok {
		w.lost = true // net/http finds the same error
		return append(dst, whole...)
	}
	if !end || !w.bad && !(w.last && w.request && w.hasBody) {
		return append(dst, whole...)
	}
	start := len(dst)
	dst = append(dst, whole[:frameHeader]...)
	if whole[3] == frameHeaders {
		dst[start+4] &^= flagPadded
	}
	dst = append(append(append(dst, priority...), fragment...), noSuchField...)
	setLength(dst[start:])
	return dst
}

// fieldsOf returns the part of a HEADERS or CONTINUATION frame that holds fields, and
// the part that holds the priority. It reports false if the frame is malformed.
func fieldsOf(whole []byte) (fragment, priority []byte, ok bool) {
	fragment = whole[frameHeader:]
	if whole[3] == frameContinuation {
		return fragment, nil, true
	}
	padding := 0
	if whole[4]&flagPadded != 0 {
		if len(fragment) == 0 {
			return nil, nil, false
		}
		padding, fragment = int(fragment[0]), fragment[1:]
	}
	if whole[4]&flagPriority != 0 {
		if len(fragment) < 5 {
			return nil, nil, false
		}
		priority, fragment = fragment[:5], fragment[5:]
	}
	if padding > len(fragment) {
		return nil, nil, false
	}
	return fragment[:len(fragment)-padding], priority, true
}

func (w *fieldWatch) field(f hpack.HeaderField) {
	if v := f.Value; v != "" && (isBlank(v[0]) || isBlank(v[len(v)-1])) {
		w.bad = true // RFC 9113 section 8.2.1
	}
	switch f.Name {
	case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade":
		w.bad = true
	case "te":
		w.bad = w.bad || f.Value != "trailers"
	case "content-length":
		w.hasBody = w.hasBody || strings.Trim(f.Value, "0") != ""
	default:
		w.request = w.request || strings.HasPrefix(f.Name, ":")
	}
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }
