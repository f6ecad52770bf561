package front

import (
	"bytes"
	"os"
	"sync/atomic"
	"time"

	"indrik/internal/http1"
	"indrik/internal/wire"
)

// begin makes ex ready for the next request of its connection.
func (ex *exchange) begin(cfg *config) {
	ex.cfg = cfg
	ex.start = time.Now()
	ex.answered, ex.discarded, ex.warned = false, false, false
	ex.framing, ex.left, ex.sent = http1.FramingNone, 0, 0
	ex.status = 0
	ex.pid = os.Getpid()
	ex.path = nil
	ex.conn.out.begin()
}

// A cachedDate is the Date field for one second.
type cachedDate struct {
	second int64
	value  []byte
}

var dateNow atomic.Pointer[cachedDate]

func date() []byte {
	t := time.Now()
	if d := dateNow.Load(); d != nil && d.second == t.Unix() {
		return d.value
	}
	d := &cachedDate{t.Unix(), http1.AppendDate(nil, t)}
	dateNow.Store(d)
	return d.value
}

// appendHead appends the head of the response that the app gave. With an error
// dst is as it was.
func (ex *exchange) appendHead(dst []byte, status []byte, fields []wire.HeaderField, known int64) ([]byte, error) {
	ex.fields = ex.fields[:0]
	for _, f := range fields {
		ex.fields = append(ex.fields, http1.Field(f))
	}
	h := &ex.head
	*h = http1.Head{
		Minor:       min(ex.req.Minor, 1),
		HeadRequest: string(ex.req.Method) == "HEAD",
		Status:      status,
		Fields:      ex.fields,
		Date:        date(),
		KnownLength: known,
		KeepAlive:   ex.mayKeep(),
	}
	if ex.req.Major != 1 {
		h.Minor = 1
	}
	dst, framing, err := http1.AppendResponseHead(dst, h)
	ex.framing, ex.left, ex.status = framing, h.ContentLength, h.Code
	return dst, err
}

// mayKeep tells whether the connection may serve another request.
func (ex *exchange) mayKeep() bool {
	return ex.req.KeepAlive && !ex.req.ForceClose && ex.cfg.keepalive > 0 && !ex.conn.s.isLast()
}

// respond sends a whole response.
func (ex *exchange) respond(m *wire.WorkerMessage) {
	c := ex.conn
	b, err := ex.appendHead(c.out.scratch[:0], m.Status, m.Headers, int64(len(m.Body)))
	if err != nil {
		ex.badHead(err)
		return
	}
	body := ex.allowed(m.Body)
	ex.sent = int64(len(body))
	switch ex.framing {
	case http1.FramingChunked:
		b = http1.AppendChunk(b, body)
		b = append(b, http1.LastChunk...)
	default:
		b = append(b, body...)
	}
	c.out.scratch = b
	c.out.write(b)
	ex.complete()
}

// startResponse sends a head and the first part of a body.
func (ex *exchange) startResponse(m *wire.WorkerMessage) {
	c := ex.conn
	b, err := ex.appendHead(c.out.scratch[:0], m.Status, m.Headers, -1)
	if err != nil {
		ex.badHead(err)
		return
	}
	// The log is written at the end, when the message is long gone.
	if c.s.accessLog.on() {
		for i, f := range ex.fields {
			ex.fields[i] = http1.Field{Name: bytes.Clone(f.Name), Value: bytes.Clone(f.Value)}
		}
	} else {
		ex.fields = ex.fields[:0] // it may be there by then
	}
	c.out.scratch = ex.appendBody(b, m.Body)
	c.out.write(c.out.scratch)
}

// chunk sends more of a body.
func (ex *exchange) chunk(data []byte) {
	if ex.discarded {
		return
	}
	c := ex.conn
	c.out.scratch = ex.appendBody(c.out.scratch[:0], data)
	c.out.write(c.out.scratch)
}

func (ex *exchange) appendBody(b, data []byte) []byte {
	data = ex.allowed(data)
	ex.sent += int64(len(data))
	if ex.framing == http1.FramingChunked {
		return http1.AppendChunk(b, data)
	}
	return append(b, data...)
}

// allowed is as much of data as the framing has room for.
func (ex *exchange) allowed(data []byte) []byte {
	switch ex.framing {
	case http1.FramingNone:
		if len(data) > 0 && !ex.head.HeadRequest && !ex.warned {
			ex.warned = true
			ex.conn.s.log.Warnf("WSGI app sent body bytes on a no-body response (method=%s status=%d); dropping per RFC 9110.",
				ex.req.Method, ex.status)
		}
		return nil
	case http1.FramingLength:
		data = data[:min(int64(len(data)), ex.left)]
		ex.left -= int64(len(data))
	}
	return data
}

// end ends a response that came in parts.
func (ex *exchange) end() {
	if ex.discarded {
		ex.conn.out.finish(ex.head.KeepAlive)
		return
	}
	if ex.framing == http1.FramingChunked {
		ex.conn.out.write([]byte(http1.LastChunk))
	}
	ex.complete()
}

// sendFile sends a response whose body is in a file. It takes f over.
func (ex *exchange) sendFile(m *wire.WorkerMessage, f *os.File) {
	if f == nil {
		ex.failWith(502)
		return
	}
	size := m.Count
	if st, err := f.Stat(); err == nil {
		rest := max(0, st.Size()-m.Offset)
		if size < 0 || size > rest {
			size = rest
		}
	}
	c := ex.conn
	b, err := ex.appendHead(c.out.scratch[:0], m.Status, m.Headers, size)
	if err != nil {
		f.Close()
		ex.badHead(err)
		return
	}
	c.out.scratch = b
	switch ex.framing {
	case http1.FramingNone:
		size = 0
	case http1.FramingLength:
		size = min(size, ex.left)
		ex.left -= size
	}
	ex.sent = size
	c.out.write(b)
	c.out.sendFile(f, m.Offset, size)
	ex.complete()
}

// hints sends 103 Early Hints, to those who understand it.
func (ex *exchange) hints(m *wire.WorkerMessage) {
	if !ex.req.AtLeast11() || ex.status != 0 {
		return
	}
	fields := make([]http1.Field, len(m.Headers))
	for i, f := range m.Headers {
		fields[i] = http1.Field(f)
	}
	b, err := http1.AppendInterim(nil, 103, fields)
	if err != nil {
		ex.conn.s.log.Warnf("Early hints dropped: %s", err)
		return
	}
	ex.conn.out.write(b)
}

// complete ends a response that was sent as far as there is one.
func (ex *exchange) complete() {
	keep := ex.head.KeepAlive
	if ex.framing == http1.FramingLength && ex.left > 0 {
		ex.conn.s.log.Warnf("Response to %s %s is %d bytes shorter than its Content-Length: the connection is closed",
			ex.req.Method, ex.req.Target, ex.left)
		keep = false
	}
	ex.conn.s.accessLog.write(ex)
	ex.conn.out.finish(keep)
}

// badHead answers for an app whose head cannot be sent.
func (ex *exchange) badHead(err error) {
	ex.conn.s.log.Errorf("Error handling request %s %s: %s", ex.req.Method, ex.req.Target, err)
	// The rest of the response, if it comes in parts, is for nobody.
	ex.discarded = true
	last := ex.place == nowhere
	ex.writeError(500)
	if last {
		ex.conn.out.finish(ex.head.KeepAlive)
	}
}

// appFailed answers for an app that raised: 500, or, once the head is sent, by
// closing the connection where the end of the body should be.
func (ex *exchange) appFailed() { ex.failWith(500) }

// workerDied answers for a worker that died while it ran the request.
func (ex *exchange) workerDied() { ex.failWith(502) }

// failWith answers with an error if nothing was sent yet. Otherwise it ends the
// connection where the body should go on, after what there was of that.
func (ex *exchange) failWith(status int) {
	switch {
	case ex.status == 0:
		ex.writeError(status)
		ex.conn.out.finish(ex.head.KeepAlive)
	case ex.discarded: // another error was sent, all of it
		ex.conn.out.finish(ex.head.KeepAlive)
	case ex.framing == http1.FramingClose:
		// A plain end would pass for the end of the body.
		ex.conn.s.accessLog.write(ex)
		ex.conn.out.kill()
	default:
		ex.conn.s.accessLog.write(ex)
		ex.conn.out.finish(false)
	}
}

var reasons = map[int]string{
	500: "Internal Server Error",
	502: "Bad Gateway",
	503: "Service Unavailable",
	504: "Gateway Timeout",
}

// writeError writes an error of the server's own. All of the request was read,
// so that the connection can go on.
func (ex *exchange) writeError(status int) {
	reason := reasons[status]
	page := http1.AppendErrorPage(nil, status, reason, "")
	_, body, _ := bytes.Cut(page, []byte("\r\n\r\n"))
	fields := []wire.HeaderField{{Name: []byte("Content-Type"), Value: []byte("text/html")}}
	if status == 503 {
		fields = append(fields, wire.HeaderField{Name: []byte("Retry-After"), Value: []byte("1")})
	}
	b, err := ex.appendHead(nil, append(page[9:12:12], " "+reason...), fields, int64(len(body)))
	if err != nil {
		ex.conn.s.log.Errorf("%s", err)
		ex.conn.out.kill()
		return
	}
	if ex.framing == http1.FramingNone {
		body = nil
	}
	ex.left = 0
	ex.sent = int64(len(body))
	ex.conn.out.write(append(b, body...))
	ex.conn.s.accessLog.write(ex)
}
