package front

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"

	"indrik/internal/http1"
	"indrik/internal/http2"
	"indrik/internal/metrics"
	"indrik/internal/outbox"
	"indrik/internal/wire"
)

// A stream is a request of HTTP/2, and the sink of its response. What the client sends is
// acted on by the goroutine of the connection; the response is sent by whoever has it. What
// the client does not take yet is in the outbox of the stream, whose goroutine waits for its
// turn (http2turns.go).
type stream struct {
	h    *http2Conn
	st   http2.Stream
	head http2.Head
	req  http1.Request
	ex   exchange
	out  outbox.Outbox

	socket   atomic.Pointer[webSocket] // nil: it is none
	crowded  bool                      // its client has too many streams
	headHeld int                       // bytes of the head that are accounted for
	bodiless bool                      // the request, which was submitted, has no body

	upload
	reply
}

// A reply is the state of a stream's response. What is not said to be somebody else's is
// guarded by the mutex of the connection.
type reply struct {
	pending bool // the head is still to be sent
	code    int
	fields  []http1.Field
	server  []byte // values of fields
	length  []byte

	// Of the goroutine that answers.
	missing int64 // bytes of the body that are still to come; −1: not known

	queued, sent int64         // bytes of the body: of the response so far, and with the engine
	ended        bool          // queued is all
	trailers     []http1.Field // that follow
	isOver       atomic.Bool   // the client has got all of it, or a part and the stream was reset
	isWhole      bool          // the client has got all of it, and has not reset the stream before
	waiting      bool          // for its turn
	turn         chan struct{} // wakes the goroutine that waits
	lastTurn     uint64
}

// begin begins the request whose head has come.
func (st *stream) begin(ev *http2.Event) {
	h, s := st.h, st.h.c.s
	h.mu.Lock()
	h.live++
	h.mu.Unlock()
	h.c.served.Store(true)
	st.crowded = !h.c.held.OpenStream()
	st.headHeld = streamHeld + st.head.Size()
	h.c.hold(st.headHeld)
	st.ex.begin(s.config())
	st.out.Begin(st.ex.kind != wire.KindSync)
	err := st.readHead()
	if err == nil {
		if st.head.Protocol != nil {
			st.serveWebSocket()
			return
		}
		err = st.beginBody(ev.End)
	}
	if err != nil {
		st.ex.Release()
		st.giveUp(err)
	}
}

// readHead makes the request.
func (st *stream) readHead() error {
	cfg := st.ex.cfg
	if st.head.TooLarge {
		return errHeadTooLarge
	}
	method, target := st.head.Method, st.head.Path
	switch {
	case st.head.Protocol != nil:
		method = methodGet // as with HTTP/1
	case string(method) == "CONNECT":
		target = st.head.Authority
	}
	if err := st.req.Set(&cfg.http2, method, target, st.head.Fields); err != nil {
		return err
	}
	if st.req.Authority != nil && string(method) != "CONNECT" {
		// RFC 9113 section 8.3.1: :path has no host in it.
		return http1.NewError(http1.InvalidRequestLine, st.req.Target)
	}
	st.req.Major, st.req.Minor = 2, 0
	st.ex.introduce()
	if st.crowded {
		st.ex.s.metrics.Load().Refuse(metrics.ClientStreams)
		st.ex.s.refusals.say(st.ex.s.log, "Refusing a stream of "+st.ex.info.name()+": it has as many as limit_client_streams allows"+st.ex.idForLog())
		return errCrowded
	}
	return nil
}

var errHeadTooLarge = &http1.Error{
	Kind: http1.LimitRequestHeaders, Status: 431, Reason: "Request Header Fields Too Large",
	Message: "Error parsing headers: 'limit request header list size'", Text: "limit request header list size",
}

// giveUp answers a request that cannot be read.
func (st *stream) giveUp(err error) {
	s := st.ex.s
	var bad *http1.Error
	var status statusError
	switch {
	case errors.As(err, &bad):
		s.log.Warnf("Invalid request from ip=%s: %s%s", st.ex.info.remote, bad.Text, st.ex.idForLog())
		page := http1.ErrorBody(bad.Reason, bad.Message)
		fields := st.ex.appendRequestID([]http1.Field{
			{Name: []byte("Content-Type"), Value: []byte("text/html")},
			{Name: []byte("Content-Length"), Value: fmt.Append(nil, len(page))},
		})
		if st.req.Major == 2 { // it has a head
			st.ex.logRefusal(bad.Status, len(page))
		} else {
			s.metrics.Load().RecordUnread(metrics.HTTP2, bad.Status)
		}
		st.h.mu.Lock()
		st.pending, st.code, st.fields, st.missing = true, bad.Status, fields, int64(len(page))
		st.h.mu.Unlock()
		st.body(page, true)
		st.finish(false)
	case errors.As(err, &status):
		if status.log {
			s.log.Errorf("%s%s", err, st.ex.idForLog())
		}
		st.ex.logCut(status)
		st.ex.writeError(status.code)
		st.finish(false)
	default:
		st.ex.cutSpan()
		st.kill()
	}
}

// wasReset is called when the client has left the stream, or the connection is over.
func (st *stream) wasReset() {
	if st.ex.webSocket != nil {
		st.frames.end()
	}
	if st.stopUpload() {
		st.ex.Release()
		st.ex.cutSpan()
		st.kill()
		return
	}
	st.h.c.s.queue.CancelByClient(&st.ex.Job)
	st.h.mu.Lock()
	st.h.wakeLocked(st)
	st.h.mu.Unlock()
}

func (st *stream) start(h *http1.Head) (http1.Framing, error) {
	framing, err := h.Check()
	if err != nil {
		return framing, err
	}
	st.h.mu.Lock()
	defer st.h.mu.Unlock()
	fields := st.fields[:0]
	if !h.NoServer {
		server := h.Server
		if server == "" {
			server = http1.Server
		}
		st.server = append(st.server[:0], server...)
		fields = append(fields, http1.Field{Name: nameServer, Value: st.server})
	}
	fields = append(fields, http1.Field{Name: nameDate, Value: h.Date})
	for i := range h.Fields {
		f := &h.Fields[i]
		switch {
		case f.Is("trailer"):
			if !h.Trailers || framing != http1.FramingChunked {
				continue
			}
		case http1.IsHopByHop(f.Name) && !(h.NoServer && f.Is("server")), f.Is("content-length"):
			continue
		}
		fields = append(fields, *f)
	}
	st.missing = -1
	if h.ContentLength >= 0 {
		st.length = strconv.AppendInt(st.length[:0], h.ContentLength, 10)
		fields = append(fields, http1.Field{Name: nameLength, Value: st.length})
		if framing == http1.FramingLength {
			st.missing = h.ContentLength
		}
	}
	st.pending, st.code, st.fields = true, h.Code, fields
	return framing, nil
}

var nameServer, nameDate, nameLength = []byte("server"), []byte("date"), []byte("content-length")

// queue counts n more bytes of the body, with which it ends or not. It sends the head if
// nothing else is going to.
func (st *stream) queue(n int64, last bool) {
	st.h.mu.Lock()
	if st.missing >= 0 {
		st.missing -= n
	}
	st.queued += n
	if last && st.missing <= 0 { // else the client must not take it for complete
		st.ended = true
	}
	if n > 0 {
		st.h.mu.Unlock()
		return
	}
	st.sendHeadLocked()
	st.endLocked()
	later := st.h.flushesLaterLocked(st.hasMore())
	st.h.mu.Unlock()
	if !later {
		st.h.flush()
	}
}

// sendHeadLocked sends the head, if that was not done. The response may end with it.
// +checklocks:st.h.mu
func (st *stream) sendHeadLocked() {
	if !st.pending {
		return
	}
	st.pending = false
	end := st.ended && st.queued == 0 && st.trailers == nil
	if end {
		st.endsLocked()
	}
	st.h.engine.SendHead(&st.st, st.code, st.fields, end)
	clear(st.fields)
}

// endsLocked notes that the response ends with what is sent next.
// +checklocks:st.h.mu
func (st *stream) endsLocked() {
	st.isOver.Store(true)
	st.isWhole = st.h.engine.IsOpen(&st.st)
}

// endLocked ends the response if all of it was sent.
// +checklocks:st.h.mu
func (st *stream) endLocked() {
	if !st.ended || st.sent != st.queued || st.isOver.Load() {
		return
	}
	st.endsLocked()
	if st.trailers != nil {
		st.h.engine.SendTrailers(&st.st, st.trailers)
	} else {
		st.h.engine.SendData(&st.st, nil, true)
	}
}

func (st *stream) body(p []byte, last bool) {
	st.queue(int64(len(p)), last)
	st.out.Write(p)
}

func (st *stream) file(f *os.File, offset, size int64, last bool) {
	st.queue(size, last)
	st.out.SendFile(nil, outbox.FilePart{File: f, Offset: offset, Size: size})
}

func (st *stream) hints(fields []http1.Field) error {
	if _, err := http1.AppendInterim(nil, 103, fields); err != nil {
		return err // what holds for one version holds for the other
	}
	sent := make([]http1.Field, 0, len(fields))
	for i := range fields {
		if f := &fields[i]; !http1.IsHopByHop(f.Name) && !f.Is("content-length") {
			sent = append(sent, *f)
		}
	}
	st.interim(103, sent)
	return nil
}

// interim sends an interim response.
func (st *stream) interim(code int, fields []http1.Field) {
	st.h.mu.Lock()
	st.h.engine.SendHead(&st.st, code, fields, false)
	st.h.mu.Unlock()
	st.h.flush()
}

func (st *stream) trail(fields []http1.Field) {
	kept := make([]http1.Field, len(fields))
	for i, f := range fields {
		kept[i] = http1.Field{Name: append([]byte(nil), f.Name...), Value: append([]byte(nil), f.Value...)}
	}
	st.h.mu.Lock()
	st.trailers = kept
	st.h.mu.Unlock()
	st.queue(0, true)
}

func (st *stream) whenLow(f func()) { st.out.WhenLow(f) }

func (st *stream) finish(keep bool) { st.out.Finish(keep) }

func (st *stream) kill() { st.out.Kill() }

func (st *stream) broken() bool { return st.out.HasFailed() }

// TmpFile implements [outbox.Owner].
func (st *stream) TmpFile() (*os.File, error) { return st.ex.s.tmpFile() }

// CannotSpool implements [outbox.Owner].
func (st *stream) CannotSpool(err error) { st.ex.s.cannotSpool(err) }

// StartWriting implements [outbox.Owner].
func (st *stream) StartWriting() { go st.out.Run() }

// StopWriting implements [outbox.Owner].
func (st *stream) StopWriting() {}

// ResponseDone implements [outbox.Owner]. A response that is not complete ends with an error;
// after a complete one the client need not send the rest of its request.
func (st *stream) ResponseDone(bool) {
	if !st.bodiless {
		st.stopUpload()
		if b := st.ex.bodyStream; b != nil {
			b.stop()
		}
	}
	h := st.h
	h.mu.Lock()
	whole := st.isOver.Load() && st.st.IsRequestOver()
	switch {
	case whole:
	case !st.isOver.Load():
		h.engine.ResetStream(&st.st, http2.InternalError)
	default:
		h.engine.ResetStream(&st.st, http2.NoError)
	}
	free := st.isWhole && st.bodiless
	h.mu.Unlock()
	if !whole {
		h.flush()
	}
	h.c.hold(-st.headHeld)
	h.c.held.CloseStream()
	if free {
		st.free()
	} else {
		st.head = http2.Head{}
	}
	h.mu.Lock()
	if h.live--; h.live == 0 {
		h.idleSince = now()
		h.done.Broadcast()
	}
	retiring := h.live == 0 && h.retired != 0
	h.mu.Unlock()
	if retiring {
		h.c.wake()
	}
}

// Abort implements [outbox.Owner]: the client must see that the response is not complete.
func (st *stream) Abort() {
	st.h.mu.Lock()
	st.h.engine.ResetStream(&st.st, http2.InternalError)
	st.h.wakeLocked(st)
	st.h.mu.Unlock()
	st.h.flush()
}
