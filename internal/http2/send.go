package http2

import (
	"strconv"
	"strings"

	"golang.org/x/net/http2/hpack"

	"indrik/internal/http1"
)

// keptFields is how many fields of responses are remembered as text: most responses have the
// same ones.
const keptFields = 16

func (c *Conn) makeEncoder() *hpack.Encoder {
	if c.encoder == nil {
		c.encoder = hpack.NewEncoder(&c.encoded)
		c.encoder.SetMaxDynamicTableSizeLimit(tableSize)
	}
	return c.encoder
}

// SendHead adds the head of a response with the status code to the output. end: the response
// ends with it. Names are sent in lower case.
func (c *Conn) SendHead(s *Stream, code int, fields []http1.Field, end bool) {
	c.encoded.b = c.encoded.b[:0]
	c.makeEncoder().WriteField(hpack.HeaderField{Name: ":status", Value: statusText(code)})
	c.sendFields(s, fields, end)
}

// SendTrailers adds the fields that end a response.
func (c *Conn) SendTrailers(s *Stream, fields []http1.Field) {
	c.encoded.b = c.encoded.b[:0]
	c.makeEncoder()
	c.sendFields(s, fields, true)
}

var statusTexts = func() (texts [1000]string) {
	for code := 100; code < len(texts); code++ {
		texts[code] = strconv.Itoa(code)
	}
	return texts
}()

func statusText(code int) string {
	if code < 0 || code >= len(statusTexts) {
		return strconv.Itoa(code)
	}
	return statusTexts[code]
}

func (c *Conn) sendFields(s *Stream, fields []http1.Field, end bool) {
	if !c.IsOpen(s) {
		return
	}
	for i := range fields {
		c.encoder.WriteField(c.text(&fields[i]))
	}
	kind, flags := byte(FrameHeaders), byte(0)
	if end {
		flags = flagEndStream
	}
	for block := c.encoded.b; ; {
		n := min(len(block), c.maxFrame)
		if n == len(block) {
			flags |= flagEndHeaders
		}
		c.out = append(appendFrame(c.out, n, kind, flags, s.id), block[:n]...)
		if block = block[n:]; len(block) == 0 {
			break
		}
		kind, flags = FrameContinuation, 0
	}
	if end {
		c.closeLocal(s)
	}
}

// text returns a field as text, without making new text of one that was sent before.
func (c *Conn) text(f *http1.Field) hpack.HeaderField {
	for i := range c.sent {
		if k := &c.sent[i]; k.raw == string(f.Name) && k.field.Value == string(f.Value) {
			return k.field
		}
	}
	raw := string(f.Name)
	h := hpack.HeaderField{Name: strings.ToLower(raw), Value: strings.Trim(string(f.Value), " \t")}
	// RFC 7541 section 7.1.3: what is secret must not be found by guessing.
	h.Sensitive = h.Name == "set-cookie" || h.Name == "authorization"
	if h.Sensitive || len(h.Value) > 64 {
		return h
	}
	if len(c.sent) < keptFields {
		c.sent = append(c.sent, sentField{raw, h})
	} else {
		c.sent[c.nextSent] = sentField{raw, h}
		c.nextSent = (c.nextSent + 1) % keptFields
	}
	return h
}

// A sentField is a field of a response, as it was given and as it was sent.
type sentField struct {
	raw   string
	field hpack.HeaderField
}

// Writable returns how many bytes of a response's body the client takes now.
func (c *Conn) Writable(s *Stream) int {
	if !c.IsOpen(s) {
		return 0
	}
	return int(max(0, min(s.sendWindow, c.sendWindow)))
}

// SendData adds a part of the body of a response to the output, at most [Conn.Writable]
// bytes. end: the response ends with it.
func (c *Conn) SendData(s *Stream, p []byte, end bool) {
	if !c.IsOpen(s) {
		return
	}
	s.sendWindow -= int64(len(p))
	c.sendWindow -= int64(len(p))
	for {
		n := min(len(p), c.maxFrame)
		flags := byte(0)
		if end && n == len(p) {
			flags = flagEndStream
		}
		c.out = append(appendFrame(c.out, n, FrameData, flags, s.id), p[:n]...)
		if p = p[n:]; len(p) == 0 {
			break
		}
	}
	if end {
		c.closeLocal(s)
	}
}
