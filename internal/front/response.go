package front

import (
	"bytes"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"indrik/internal/http1"
	"indrik/internal/wire"
)

// startWith gives the sink the head of the response. known is the length of the body, −1
// if it is not known.
func (ex *exchange) startWith(status []byte, fields []http1.Field, known int64) error {
	if ex.webSocket != nil {
		ex.webSocket.refuseHandshake()
	}
	ex.responseFields = ex.appendRequestID(ex.appendAffinity(append(ex.responseFields[:0], fields...)))
	if ex.cfg.ServerTiming {
		ex.responseFields = ex.appendServerTiming(ex.responseFields)
	}
	if ex.replied.IsZero() {
		ex.replied = time.Now()
	}
	h := &ex.head
	*h = http1.Head{
		Trailers:    ex.trailers,
		Minor:       min(ex.req.Minor, 1),
		HeadRequest: string(ex.req.Method) == "HEAD",
		Connect:     string(ex.req.Method) == "CONNECT",
		Status:      status,
		Fields:      ex.responseFields,
		Date:        date(ex.replied),
		Server:      ex.cfg.serverHeader,
		NoServer:    ex.cfg.noServerHeader,
		KnownLength: known,
		KeepAlive:   ex.mayKeep() && (ex.bodyStream == nil || ex.bodyStream.endIsNear()),
	}
	if ex.req.Major != 1 {
		h.Minor = 1
	}
	if ex.bodyStream != nil {
		ex.bodyStream.setAnswering()
	}
	framing, err := ex.to.start(h)
	ex.framing, ex.remaining, ex.status = framing, h.ContentLength, h.Code
	return err
}

// mayKeep reports whether the connection may serve another request.
func (ex *exchange) mayKeep() bool {
	return ex.req.KeepAlive && !ex.req.ForceClose && !ex.closeAfter && ex.cfg.keepalive > 0 && !ex.s.closesAfterResponse(ex.info)
}

// respond sends a whole response.
func (ex *exchange) respond(m *wire.Reply) {
	if err := ex.startWith(m.Status, m.Headers, int64(len(m.Body))); err != nil {
		ex.badHead(err, true)
		return
	}
	ex.sendBody(m.Body, true)
	ex.complete()
}

// startResponse sends a head and the first part of a body.
func (ex *exchange) startResponse(m *wire.Reply) {
	if err := ex.startWith(m.Status, m.Headers, -1); err != nil {
		ex.badHead(err, false)
		return
	}
	ex.sendBody(m.Body, false)
	// The access log is written at the end, when the buffer of the message is in use for
	// something else.
	if ex.s.accessLog.needsFields() {
		for i, f := range ex.responseFields {
			ex.responseFields[i] = http1.Field{Name: bytes.Clone(f.Name), Value: bytes.Clone(f.Value)}
		}
	} else {
		ex.responseFields = ex.responseFields[:0] // the log may be on by then
	}
}

// sendChunk sends more of a body.
func (ex *exchange) sendChunk(data []byte) {
	if !ex.discarded {
		ex.sendBody(data, false)
	}
}

func (ex *exchange) sendBody(data []byte, last bool) {
	data = ex.allowed(data)
	ex.sent += int64(len(data))
	ex.to.body(data, last)
}

// allowed returns as much of data as the framing allows.
func (ex *exchange) allowed(data []byte) []byte {
	switch ex.framing {
	case http1.FramingNone:
		if len(data) > 0 && !ex.head.HeadRequest && !ex.warned {
			ex.warned = true
			ex.s.log.Warnf("WSGI app sent body bytes on a no-body response (method=%s status=%d); dropping per RFC 9110.%s",
				ex.req.Method, ex.status, ex.idForLog())
		}
		return nil
	case http1.FramingLength:
		data = data[:min(int64(len(data)), ex.remaining)]
		ex.remaining -= int64(len(data))
	default: // as much as the app sends
	}
	return data
}

// endResponse ends a response that came in parts.
func (ex *exchange) endResponse() {
	if ex.discarded {
		ex.to.finish(ex.head.KeepAlive)
		return
	}
	ex.to.body(nil, true)
	ex.complete()
}

// sendFile sends a response whose body is in a file. It takes f over.
func (ex *exchange) sendFile(m *wire.Reply, f *os.File) {
	if f == nil {
		ex.logNoFile()
		ex.failWith(502)
		return
	}
	size := sizeOf(m, f)
	if err := ex.startWith(m.Status, m.Headers, size); err != nil {
		f.Close()
		ex.badHead(err, true)
		return
	}
	switch ex.framing {
	case http1.FramingNone:
		size = 0
	case http1.FramingLength:
		size = min(size, ex.remaining)
		ex.remaining -= size
	default: // all of it
	}
	ex.sent = size
	ex.to.file(f, m.Offset, size, true)
	ex.complete()
}

// sizeOf returns how many bytes of a file belong to the body.
func sizeOf(m *wire.Reply, f *os.File) int64 {
	size := m.Count
	var st unix.Stat_t // unlike that of File.Stat it is not allocated
	if unix.Fstat(int(f.Fd()), &st) == nil {
		rest := max(0, st.Size-m.Offset)
		if size < 0 || size > rest {
			size = rest
		}
	}
	return size
}

// logNoFile is called when a file did not come with its message, since this process has
// too many files open.
func (ex *exchange) logNoFile() {
	ex.s.log.Errorf("Error handling request %s %s: %s%s", ex.req.Method, ex.cfg.logRedact.Target(ex.req.Target), unix.EMFILE, ex.idForLog())
}

// sendPart sends a part of a file as more of the body, and returns its size. It takes f
// over.
func (ex *exchange) sendPart(m *wire.Reply, f *os.File) int64 {
	if f == nil {
		ex.logNoFile()
		if !ex.discarded {
			ex.discarded = true
			ex.s.accessLog.record(ex)
			ex.to.kill()
		}
		return 0
	}
	size := sizeOf(m, f)
	if ex.discarded || ex.status == 0 {
		f.Close()
		return size
	}
	send := size
	switch ex.framing {
	case http1.FramingNone:
		send = 0
	case http1.FramingLength:
		send = min(size, ex.remaining)
		ex.remaining -= send
	default: // all of it
	}
	ex.sent += send
	ex.to.file(f, m.Offset, send, false)
	return size
}

// sendTrailers ends a response with trailers.
func (ex *exchange) sendTrailers(m *wire.Reply) {
	if ex.discarded || !ex.trailers || ex.framing != http1.FramingChunked {
		ex.endResponse()
		return
	}
	if err := http1.CheckTrailers(m.Headers); err != nil {
		ex.s.log.Warnf("Trailers of %s %s dropped: %s%s", ex.req.Method, ex.reported(), err, ex.idForLog())
		ex.endResponse()
		return
	}
	ex.to.trail(m.Headers)
	ex.complete()
}

// sendHints sends 103 Early Hints, unless the client speaks HTTP/1.0 or the response has
// begun.
func (ex *exchange) sendHints(m *wire.Reply) {
	if !ex.req.AtLeast11() || ex.status != 0 {
		return
	}
	if err := ex.to.hints(m.Headers); err != nil {
		ex.s.log.Warnf("Early hints dropped: %s%s", err, ex.idForLog())
	}
}

// complete ends a response of which all was sent.
func (ex *exchange) complete() {
	keep := ex.head.KeepAlive
	if ex.framing == http1.FramingLength && ex.remaining > 0 {
		ex.s.log.Warnf("Response to %s %s is %d bytes shorter than its Content-Length: the connection is closed%s",
			ex.req.Method, ex.reported(), ex.remaining, ex.idForLog())
		keep = false
	}
	ex.s.accessLog.record(ex)
	ex.to.finish(keep)
}

// badHead answers for an app whose head cannot be sent. last says that no more of the
// response comes.
func (ex *exchange) badHead(err error, last bool) {
	ex.s.log.Errorf("Error handling request %s %s: %s%s", ex.req.Method, ex.cfg.logRedact.Target(ex.req.Target), err, ex.idForLog())
	// If more of the response comes, it is for nobody.
	ex.discarded = true
	ex.writeError(500)
	if last {
		ex.to.finish(ex.head.KeepAlive)
	}
}

// failWith answers with an error page if nothing was sent yet. Otherwise it ends the
// connection where the body should go on.
func (ex *exchange) failWith(status int) {
	switch {
	case ex.webSocket != nil && ex.webSocket.fail():
	case ex.status == 0:
		ex.writeError(status)
		ex.to.finish(ex.head.KeepAlive)
	case ex.discarded: // another error was sent, all of it
		ex.to.finish(ex.head.KeepAlive)
	case ex.framing == http1.FramingClose:
		// Closing the connection would be the end of a complete body.
		ex.s.accessLog.record(ex)
		ex.to.kill()
	default:
		ex.s.accessLog.record(ex)
		ex.to.finish(false)
	}
}

var statuses [1000]atomic.Pointer[[]byte]

// statusOf returns a status with its reason, such as 200 OK.
func statusOf(code int) []byte {
	if s := statuses[code].Load(); s != nil {
		return *s
	}
	s := strconv.AppendInt(nil, int64(code), 10)
	if reason := http.StatusText(code); reason != "" {
		s = append(append(s, ' '), reason...)
	}
	statuses[code].Store(&s)
	return s
}

// writeError writes an error page as the response.
func (ex *exchange) writeError(status int) {
	body := http1.ErrorBody(http.StatusText(status), "")
	fields := []http1.Field{{Name: []byte("Content-Type"), Value: []byte("text/html")}}
	if status == 503 {
		fields = append(fields, http1.Field{Name: []byte("Retry-After"), Value: strconv.AppendInt(nil, int64(ex.s.retryAfter(ex)), 10)})
	}
	if err := ex.startWith(statusOf(status), fields, int64(len(body))); err != nil {
		ex.s.log.Errorf("%s", err)
		ex.to.kill()
		return
	}
	if ex.framing == http1.FramingNone {
		body = nil
	}
	ex.remaining = 0
	ex.sent = int64(len(body))
	ex.to.body(body, true)
	ex.s.accessLog.record(ex)
}
