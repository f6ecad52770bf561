package front

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"

	"indrik/internal/http1"
)

// This file gives requests the ids that request_id_header asks for.

// longestID is the length of an id that is taken over, in bytes.
const longestID = 128

// introduce gives a request whose head has come what the server adds to that.
func (ex *exchange) introduce() {
	if ex.cfg.requestIDHeader != nil {
		ex.identify()
	}
	if ex.s.tracer != nil {
		ex.startSpan()
	}
}

// identify gives a request an id, and puts it into the head in the place of what the client
// says: so the app, the log and all that looks at the head find it.
func (ex *exchange) identify() {
	name := ex.cfg.requestIDHeader
	var said []byte
	fields, times := ex.req.Fields[:0], 0
	for _, f := range ex.req.Fields {
		switch {
		case bytes.EqualFold(f.Name, name):
			times++
			said = f.Value
		case !sameName(f.Name, name), ex.cfg.refuses(f.Name):
			fields = append(fields, f)
		}
	}
	if times == 1 && isRequestID(said) && ex.cfg.trusts(ex.info.client) {
		ex.requestID = bytes.Clone(said) // the head of a WebSocket is not kept
	} else {
		ex.requestID = newRequestID()
	}
	ex.req.Fields = append(fields, http1.Field{Name: name, Value: ex.requestID})
}

// isRequestID reports whether a text of somebody else's can be an id: it is shown in logs,
// and sent on.
func isRequestID(text []byte) bool {
	return len(text) > 0 && len(text) <= longestID && !bytes.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

// newRequestID returns 128 random bits in hexadecimal. They tell requests apart, and are no
// secret: the generator (ChaCha8) makes no system call.
func newRequestID() []byte {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:8], rand.Uint64())
	binary.LittleEndian.PutUint64(b[8:], rand.Uint64())
	return hex.AppendEncode(make([]byte, 0, 2*len(b)), b[:])
}

// appendRequestID appends the field with the id of the request to those of its response,
// unless the app has set it.
func (ex *exchange) appendRequestID(fields []http1.Field) []http1.Field {
	return ex.cfg.appendRequestID(fields, ex.requestID)
}

func (c *config) appendRequestID(fields []http1.Field, id []byte) []http1.Field {
	if id == nil {
		return fields
	}
	for i := range fields {
		if bytes.EqualFold(fields[i].Name, c.requestIDHeader) {
			return fields
		}
	}
	return append(fields, http1.Field{Name: c.requestIDHeader, Value: id})
}

// idForLog returns what the log says behind a line about the request, nothing if it has no
// id.
func (ex *exchange) idForLog() string { return idForLog(ex.requestID) }

func idForLog(id []byte) string {
	if id == nil {
		return ""
	}
	return " (request " + string(id) + ")"
}

// idOfRefused returns the id of what the connection has sent last and that is refused. If
// it has no head that could be read, it gets an id here, by which the client's page and the
// line of the log can be matched. field has the id for the response.
func (c *conn) idOfRefused() (id []byte, field []http1.Field) {
	if c.isBusy() {
		return c.ex.requestID, c.ex.appendRequestID(nil)
	}
	cfg := c.s.config()
	if cfg.requestIDHeader == nil {
		return nil, nil
	}
	id = newRequestID()
	return id, cfg.appendRequestID(nil, id)
}
