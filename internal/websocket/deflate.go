package websocket

import (
	"bytes"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
)

// syncTail ends every compressed message, and is left out (RFC 7692 section
// 7.2.1). A final block after it tells the reader that this is the end.
const (
	syncTail  = "\x00\x00\xff\xff"
	finalTail = syncTail + "\x01\x00\x00\xff\xff"
)

// What an inflater without its payload, and a deflater, have of memory, about.
const (
	inflaterSize = 96 << 10
	deflaterSize = 1 << 20
)

// keptPayload is the largest buffer for a compressed message that is kept for
// others.
const keptPayload = 64 << 10

// An inflater reads a compressed message: first its payload, then what that means.
type inflater struct {
	payload []byte
	in      bytes.Reader
	flate   io.ReadCloser // nil until it is first needed
	out     [partSize]byte
	reading bool // the payload is complete
	done    bool // all was read; out is still in use
}

var inflaters = sync.Pool{New: func() any { return new(inflater) }}

func newInflater() *inflater { return inflaters.Get().(*inflater) }

func (in *inflater) release() {
	if cap(in.payload) > keptPayload {
		in.payload = nil
	}
	in.payload = in.payload[:0]
	in.in.Reset(nil)
	in.reading, in.done = false, false
	inflaters.Put(in)
}

func (in *inflater) add(b []byte) { in.payload = append(in.payload, b...) }

// begin says that the payload is complete.
func (in *inflater) begin() {
	if len(in.payload) == 0 {
		// It should be one byte (RFC 7692 section 7.2.3.6); zlib leaves it out.
		in.payload = append(in.payload, 0)
	}
	in.payload = append(in.payload, finalTail...)
	in.in.Reset(in.payload)
	in.reset()
	in.reading = true
}

func (in *inflater) reset() {
	if in.flate == nil {
		in.flate = flate.NewReader(&in.in)
		return
	}
	_ = in.flate.(flate.Resetter).Reset(&in.in, nil) // it has no way to fail
}

// read reads of the message.
func (in *inflater) read(p []byte) (int, error) {
	n, err := in.flate.Read(p)
	if err == io.EOF && in.in.Len() > 0 {
		// The client may have ended a block as the final one, and gone on
		// (RFC 7692 section 7.2.3.5).
		in.reset()
		err = nil
	}
	return n, err
}

// A deflater compresses one message.
type deflater struct {
	window int
	flate  *flate.Writer
	out    bytes.Buffer
}

// deflaters has those of each size of the window, in bits.
var deflaters [maxWindow + 1]sync.Pool

// compression is the level: most of what there is to be saved, at a fraction of the
// time that the best takes.
const compression = flate.BestSpeed

func newDeflater(window int) *deflater {
	d, _ := deflaters[window].Get().(*deflater)
	if d == nil {
		d = &deflater{window: window}
		// What can fail is a level or a window that does not exist.
		if window == maxWindow {
			d.flate, _ = flate.NewWriter(&d.out, compression)
		} else {
			d.flate, _ = flate.NewWriterWindow(&d.out, 1<<window)
		}
	}
	d.out.Reset()
	d.flate.Reset(&d.out)
	return d
}

func (d *deflater) release() {
	if d.out.Cap() > keptPayload {
		d.out = bytes.Buffer{}
	}
	deflaters[d.window].Put(d)
}

// part compresses a part of the message. What it returns is good until the next
// call.
func (d *deflater) part(b []byte, last bool) []byte {
	d.out.Reset()
	_, _ = d.flate.Write(b) // to memory
	_ = d.flate.Flush()
	if last {
		return bytes.TrimSuffix(d.out.Bytes(), []byte(syncTail))
	}
	return d.out.Bytes()
}
