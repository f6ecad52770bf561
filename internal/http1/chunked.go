package http1

import (
	"bytes"
	"fmt"
)

const (
	// maxChunkLine bounds a size with its extension, in bytes with CRLF.
	maxChunkLine = 4096
	// maxChunkOverhead bounds how many bytes of framing may come beyond 16
	// for each chunk and as many as there was data: chunks of one byte with
	// long extensions are an attack and nothing else.
	maxChunkOverhead = 16 << 10
)

type chunkState uint8

const (
	chunkSize   chunkState = iota // in the digits
	chunkSpace                    // in whitespace after them
	chunkSizeLF                   // the CR of the line was read
	chunkData
	chunkDataCR
	chunkDataLF
	chunkTrailer
	chunkDone

	// In an extension, see [Chunked.extension].
	extensionStart  // before a name
	extensionName   // in it
	extensionSpace  // in whitespace after it
	extensionEquals // before a value
	extensionValue  // in one that is a token
	extensionQuoted // in one that is quoted
	extensionEscape // after a backslash in it
	extensionQuote  // after its closing quote
	extensionEnd    // in whitespace after a value
)

// Chunked decodes a chunked body (RFC 9112 section 7.1) piece by piece. Call
// Reset first. Extensions and trailers are checked and dropped.
type Chunked struct {
	cfg      *Config
	state    chunkState
	digits   bool  // the size has a digit
	left     int64 // of the chunk's data; while in a size line, the size so far
	line     int   // bytes of this size line
	overhead int64
	chunks   int // since Chunks was called
	trailers int
	room     int    // for the trailer read last
	trailer  []byte // an unfinished line
	name     []byte // of the trailer read last, in upper case
}

// Reset prepares c for a new body. cfg must not change until its end.
func (c *Chunked) Reset(cfg *Config) {
	*c = Chunked{cfg: cfg, trailer: c.trailer[:0], name: c.name[:0]}
}

// Chunks is how many chunks were begun since it was called last.
func (c *Chunked) Chunks() int {
	n := c.chunks
	c.chunks = 0
	return n
}

// Decode reads body bytes from src into dst: nd into dst, ns from src. It ends
// when dst is full, src is used up, or with done after the trailers; src[ns:]
// then belongs to the next request. With an empty dst it stops before the
// first byte of data. An error is an [*Error] and final.
func (c *Chunked) Decode(dst, src []byte) (nd, ns int, done bool, err error) {
	for c.state != chunkDone && ns < len(src) {
		if c.state == chunkData {
			n := copy(dst[nd:min(int64(len(dst)), int64(nd)+c.left)], src[ns:])
			if n == 0 {
				return nd, ns, false, nil
			}
			nd, ns = nd+n, ns+n
			if c.left -= int64(n); c.left == 0 {
				c.state = chunkDataCR
			}
			continue
		}
		if c.state == chunkTrailer {
			n, e := c.readTrailer(src[ns:])
			ns += n
			if e != nil {
				return nd, ns, false, e
			}
			continue
		}
		if e := c.framing(src[ns]); e != nil {
			return nd, ns, false, e
		}
		ns++
	}
	return nd, ns, c.state == chunkDone, nil
}

// framing takes one byte of what stands around the data.
func (c *Chunked) framing(b byte) *Error {
	switch c.state {
	case chunkDataCR:
		if b != '\r' {
			return NewError(ChunkMissingTerminator, []byte{b})
		}
		c.state = chunkDataLF
		return nil
	case chunkDataLF:
		if b != '\n' {
			return NewError(ChunkMissingTerminator, []byte{'\r', b})
		}
		c.state, c.digits, c.line = chunkSize, false, 0
		return nil
	default: // what follows is for the states within a line
	}

	if c.line++; c.line > maxChunkLine {
		return newError(InvalidChunkExtension, fmt.Sprintf("longer than %d bytes", maxChunkLine))
	}
	switch c.state {
	case chunkSize:
		d := unhex(b)
		switch {
		case d >= 0:
			if c.left >= 1<<58 {
				return newError(InvalidChunkSize, fmt.Sprintf("'%x...'", c.left))
			}
			c.left, c.digits = c.left<<4|int64(d), true
		case !c.digits:
			return NewError(InvalidChunkSize, []byte{b})
		case b == '\r':
			c.state = chunkSizeLF
		case b == ';':
			c.state = extensionStart
		case b == ' ' || b == '\t':
			c.state = chunkSpace
		default:
			return NewError(InvalidChunkSize, fmt.Appendf(nil, "%x%c", c.left, b))
		}
	case chunkSpace:
		// Before an extension only; RFC 9112 section 7.1.1 calls it bad.
		if b == ';' {
			c.state = extensionStart
		} else if b != ' ' && b != '\t' {
			return NewError(InvalidChunkSize, fmt.Appendf(nil, "%x ", c.left))
		}
	case chunkSizeLF:
		if b != '\n' {
			return NewError(InvalidChunkExtension, []byte{'\r', b})
		}
		return c.endSize()
	default:
		if c.state = c.extension(b); c.state == chunkSize {
			return NewError(InvalidChunkExtension, []byte{b})
		}
	}
	return nil
}

// extension is the state after a byte of an extension (RFC 9112 section 7.1.1),
// chunkSize if it may not stand there. What is no extension is where parsers
// disagree about the end of the line:
//
//	chunk-ext = *( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] )
func (c *Chunked) extension(b byte) chunkState {
	space := b == ' ' || b == '\t'
	text := b >= ' ' && b != 0x7f || b == '\t'
	switch c.state {
	case extensionStart:
		switch {
		case tokenChars[b]:
			return extensionName
		case space:
			return extensionStart
		}
	case extensionName:
		switch {
		case tokenChars[b]:
			return extensionName
		case space:
			return extensionSpace
		case b == '=':
			return extensionEquals
		case b == ';':
			return extensionStart
		case b == '\r':
			return chunkSizeLF
		}
	case extensionSpace:
		switch {
		case space:
			return extensionSpace
		case b == '=':
			return extensionEquals
		case b == ';':
			return extensionStart
		}
	case extensionEquals:
		switch {
		case space:
			return extensionEquals
		case b == '"':
			return extensionQuoted
		case tokenChars[b]:
			return extensionValue
		}
	case extensionQuoted:
		switch {
		case b == '"':
			return extensionQuote
		case b == '\\':
			return extensionEscape
		case text:
			return extensionQuoted
		}
	case extensionEscape:
		if text {
			return extensionQuoted
		}
	case extensionValue, extensionQuote, extensionEnd:
		switch {
		case tokenChars[b] && c.state == extensionValue:
			return extensionValue
		case space:
			return extensionEnd
		case b == ';':
			return extensionStart
		case b == '\r' && c.state != extensionEnd:
			return chunkSizeLF
		}
	default: // not in an extension
	}
	return chunkSize
}

func (c *Chunked) endSize() *Error {
	c.overhead = max(0, c.overhead+int64(c.line)+2-16-min(c.left, 1<<32))
	if c.overhead > maxChunkOverhead {
		return newError(InvalidChunkExtension, "too many bytes around the data")
	}
	c.state = chunkData
	c.chunks++
	if c.left == 0 {
		c.state = chunkTrailer
	}
	return nil
}

// forbiddenTrailers would change what the head already decided (RFC 9110
// section 6.5.1).
var forbiddenTrailers = [...]string{"host", "content-length", "transfer-encoding", "trailer", "authorization", "te"}

// readTrailer reads as much of one trailer line as there is, under the limits
// of the head.
func (c *Chunked) readTrailer(src []byte) (n int, err *Error) {
	if len(c.trailer) == 0 {
		if fold := (src[0] == ' ' || src[0] == '\t') && c.trailers > 0; !fold {
			c.room = max(c.cfg.fieldSizeLimit(), len("\r\n"))
		} else if !c.cfg.PermitObsoleteFolding {
			return 0, NewError(ObsoleteFolding, c.name)
		}
	}
	n = bytes.IndexByte(src, '\n') + 1
	whole := n > 0
	if !whole {
		n = len(src)
	}
	if len(c.trailer)+n > c.room || !whole && len(c.trailer)+n == c.room {
		return 0, newError(LimitRequestHeaders, "limit request headers fields size")
	}
	c.trailer = append(c.trailer, src[:n]...)
	if !whole {
		return n, nil
	}
	line := c.trailer
	c.trailer = c.trailer[:0]
	c.room -= len(line)
	if len(line) < 2 || line[len(line)-2] != '\r' {
		return 0, NewError(InvalidHeader, line)
	}
	return n, c.endTrailer(line[:len(line)-2])
}

func (c *Chunked) endTrailer(line []byte) *Error {
	if len(line) == 0 {
		c.state = chunkDone
		return nil
	}
	if c.trailers > 0 && (line[0] == ' ' || line[0] == '\t') {
		if !validValue(line) {
			return NewError(InvalidHeader, c.name)
		}
		return nil
	}
	if c.trailers++; c.trailers > c.cfg.fieldLimit() {
		return newError(LimitRequestHeaders, "limit request headers fields")
	}
	f, err := parseField(c.cfg, line)
	if err != nil {
		return err
	}
	c.name = append(c.name[:0], bytes.ToUpper(f.Name)...)
	for _, name := range forbiddenTrailers {
		if equalFold(f.Name, name) {
			return NewError(InvalidHeaderName, c.name)
		}
	}
	return nil
}
