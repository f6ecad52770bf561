package front

import (
	"bytes"
	"cmp"
	"errors"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"indrik/internal/http1"
	"indrik/internal/metrics"
	"indrik/internal/outbox"
	"indrik/internal/wire"
)

// streamPatience is how much of a response is sent before a deadline is set for the client
// to take it: smaller responses fit the window of any stream.
const streamPatience = 32 << 10

// A stream is a request of HTTP/2 and the sink of its response. Only the goroutine that
// net/http has started for it uses w and r: other goroutines put into the outbox what that
// one is to write.
type stream struct {
	s       *server
	w       http.ResponseWriter
	r       *http.Request
	control *http.ResponseController
	req     http1.Request
	ex      exchange
	out     outbox.Outbox

	work      chan struct{}   // run is to be called
	bodyWoken <-chan struct{} // wakes the goroutine that streams the body
	written   chan struct{}   // closed when all is
	aborted   atomic.Bool     // the client must see that it is not complete
	ended     atomic.Bool     // all of the body is in the outbox

	// Of the goroutine that answers.
	head    http2Head
	missing int64 // bytes of the body that are still to come; −1: unknown

	crowded  bool // its client has too many streams
	headHeld int  // bytes of the head that are accounted for

	sent        int // bytes of the body, by Send
	headWritten bool
}

// An http2Head is the head of a response that was not written yet.
type http2Head struct {
	pending bool // it is still to be written
	code    int
	fields  [][2]string
}

func (s *server) serveStream(w http.ResponseWriter, r *http.Request) {
	c := r.Context().Value(connKey{}).(*conn)
	c.served.Store(true)
	st := &stream{
		s: s, w: w, r: r, control: http.NewResponseController(w),
		work: make(chan struct{}, 1), written: make(chan struct{}),
	}
	st.ex.s, st.ex.info, st.ex.to, st.ex.req = s, &c.info, st, &st.req
	st.out.Init(st, st)
	st.ex.holder = c.held
	st.out.SetHolder(c.held)
	st.crowded = !c.held.OpenStream()
	defer c.held.CloseStream()
	c.hold(streamHeld)
	defer func() { c.hold(-streamHeld - st.headHeld) }()
	st.ex.begin(s.config())
	st.out.Begin(st.ex.kind != wire.KindSync)
	if err := st.readRequest(); err != nil {
		st.ex.Release()
		st.giveUp(err)
	} else {
		f := st.ex.bodyStream // a worker of another kind may get one that needs nothing of this stream
		s.submit(&st.ex, time.Now())
		if f != nil {
			go st.streamBody(f)
		}
	}
	st.writeResponse()
}

// readRequest reads the request, and makes the message for the worker.
func (st *stream) readRequest() error {
	cfg := st.ex.cfg
	head := appendRequest(nil, st.r)
	st.headHeld = 2 * len(head) // net/http has another one
	st.ex.holder.Hold(int64(st.headHeld))
	if _, err := http1.ParseRequest(&cfg.http2, head, &st.req); err != nil {
		return err
	}
	if st.req.Authority != nil && string(st.req.Method) != "CONNECT" {
		// RFC 9113 section 8.3.1: :path has no host in it.
		return http1.NewError(http1.InvalidRequestLine, st.req.Target)
	}
	st.req.Major, st.req.Minor = 2, 0
	st.ex.introduce()
	if st.crowded {
		st.s.metrics.Load().Refuse(metrics.ClientStreams)
		st.s.refusals.say(st.s.log, "Refusing a stream of "+st.ex.info.name()+": it has as many as limit_client_streams allows"+st.ex.idForLog())
		return errCrowded
	}
	if st.r.ContentLength == 0 { // −1 is that of a body without a declared size
		if st.req.ContentLength > 0 {
			// Most such requests end earlier, see fieldWatch.
			return http1.NewError(http1.InvalidHeader, []byte("CONTENT-LENGTH"))
		}
		return st.ex.encode(nil, st.req.ContentLength)
	}
	if err := st.ex.refuseBody(st.req.ContentLength); err != nil {
		return err
	}
	if st.ex.kind == wire.KindASGI && (st.req.Expect100 || st.req.ContentLength < 0 || st.req.ContentLength > inlineBody) {
		st.beginBodyStream()
		return st.ex.encode(nil, st.req.ContentLength)
	}
	body := st.ex.newSpool()
	if err := st.readBody(body); err != nil {
		body.discard()
		return err
	}
	return st.ex.encode(body, body.size)
}

// giveUp answers a request that cannot be read, unless the client has gone.
func (st *stream) giveUp(err error) {
	var bad *http1.Error
	var status statusError
	switch {
	case errors.As(err, &bad):
		st.s.log.Warnf("Invalid request from ip=%s: %s%s", st.ex.info.remote, bad.Text, st.ex.idForLog())
		body := http1.ErrorBody(bad.Reason, bad.Message)
		st.head = http2Head{pending: true, code: bad.Status, fields: [][2]string{
			{"Content-Type", "text/html"}, {"Content-Length", strconv.Itoa(len(body))},
		}}
		for _, f := range st.ex.appendRequestID(nil) {
			st.head.fields = append(st.head.fields, [2]string{string(f.Name), string(f.Value)})
		}
		if st.req.Major == 2 { // it has a head
			st.ex.logRefusal(bad.Status, len(body))
		} else {
			st.s.metrics.Load().RecordUnread(metrics.HTTP2, bad.Status)
		}
		st.missing = int64(len(body))
		st.body(body, true)
		st.finish(false)
	case errors.As(err, &status):
		if status.log {
			st.s.log.Errorf("%s%s", err, st.ex.idForLog())
		}
		st.ex.logCut(status)
		st.ex.writeError(status.code)
		st.finish(false)
	default:
		st.ex.cutSpan()
		st.kill() // the client has gone
	}
}

// writeResponse writes the response as it comes.
func (st *stream) writeResponse() {
	gone := st.r.Context().Done()
	for {
		select {
		case <-st.work:
			st.out.Run()
		case <-gone:
			gone = nil
			st.s.queue.CancelByClient(&st.ex.Job)
		case <-st.written:
			if st.aborted.Load() {
				st.flushCutOff()
				panic(http.ErrAbortHandler) // resets the stream
			}
			return
		}
	}
}

func (st *stream) start(h *http1.Head) (http1.Framing, error) {
	framing, err := h.Check()
	if err != nil {
		return framing, err
	}
	head := http2Head{pending: true, code: h.Code, fields: make([][2]string, 0, len(h.Fields)+3)}
	add := func(name, value string) { head.fields = append(head.fields, [2]string{name, value}) }
	if !h.NoServer {
		add("Server", cmp.Or(h.Server, http1.Server))
	}
	add("Date", string(h.Date))
	for i := range h.Fields {
		f := &h.Fields[i]
		if named(f, "Trailer") {
			if h.Trailers && framing == http1.FramingChunked {
				add(string(f.Name), string(f.Value))
			}
			continue
		}
		if http1.IsHopByHop(f.Name) && !(h.NoServer && named(f, "Server")) || named(f, "Content-Length") {
			continue
		}
		add(string(f.Name), string(f.Value))
	}
	st.missing = -1
	if h.ContentLength >= 0 {
		add("Content-Length", strconv.FormatInt(h.ContentLength, 10))
		if framing == http1.FramingLength {
			st.missing = h.ContentLength
		}
	}
	st.head = head
	return framing, nil
}

func named(f *http1.Field, name string) bool { return bytes.EqualFold(f.Name, []byte(name)) }

func (st *stream) body(p []byte, last bool) {
	if last {
		st.ended.Store(true)
	}
	st.pushHead()
	if st.missing >= 0 {
		st.missing -= int64(len(p))
	}
	if len(p) > 0 {
		st.out.Write(p)
	} else {
		st.out.Wake()
	}
}

func (st *stream) file(f *os.File, offset, size int64, last bool) {
	if last {
		st.ended.Store(true)
	}
	st.pushHead()
	if st.missing >= 0 {
		st.missing -= size
	}
	st.out.SendFile(outbox.FilePart{File: f, Offset: offset, Size: size})
	st.out.Wake()
}

func (st *stream) hints(fields []http1.Field) error {
	names := make([]string, 0, len(fields))
	values := make([]string, 0, len(fields))
	if _, err := http1.AppendInterim(nil, http.StatusEarlyHints, fields); err != nil {
		return err // what holds for one version holds for the other
	}
	for i := range fields {
		if f := &fields[i]; !http1.IsHopByHop(f.Name) && !named(f, "Content-Length") {
			names, values = append(names, string(f.Name)), append(values, string(f.Value))
		}
	}
	st.out.Push(func() error {
		header := st.w.Header()
		for i, name := range names {
			header.Add(name, values[i])
		}
		st.w.WriteHeader(http.StatusEarlyHints)
		clear(header)
		return nil
	})
	st.out.Wake()
	return nil
}

func (st *stream) trail(fields []http1.Field) {
	st.pushHead()
	st.ended.Store(true)
	type trailer struct{ name, value string }
	trailers := make([]trailer, len(fields))
	for i, f := range fields {
		trailers[i] = trailer{http.TrailerPrefix + http.CanonicalHeaderKey(string(f.Name)), string(f.Value)}
	}
	st.out.Push(func() error {
		for _, t := range trailers {
			st.w.Header().Add(t.name, t.value)
		}
		return nil
	})
	st.out.Wake()
}

func (st *stream) whenLow(f func()) { st.out.WhenLow(f) }

func (st *stream) pushHead() {
	if !st.head.pending {
		return
	}
	head := st.head
	st.head.pending = false
	st.out.Push(func() error {
		header := st.w.Header()
		header["Content-Type"] = nil // so that net/http does not guess it
		for _, f := range head.fields {
			if name := http.CanonicalHeaderKey(f[0]); name == "Content-Type" {
				header[name] = append(header[name], f[1])
			} else {
				header.Add(f[0], f[1])
			}
		}
		st.w.WriteHeader(head.code)
		st.headWritten = true
		return nil
	})
}

// flushCutOff sends what there was of a response that is cut off, if the client takes that
// soon. A client of HTTP/1 gets it too.
func (st *stream) flushCutOff() {
	if !st.headWritten || st.out.HasFailed() {
		return
	}
	if st.control.SetWriteDeadline(time.Now().Add(time.Second)) == nil {
		_ = st.control.Flush() // what comes next ends the stream anyway
	}
}

func (st *stream) finish(keep bool) {
	if !st.ended.Load() || st.missing > 0 {
		st.aborted.Store(true)
	}
	st.out.Finish(keep)
}

func (st *stream) kill() { st.out.Kill() }

func (st *stream) broken() bool { return st.out.HasFailed() }

// TmpFile implements [outbox.Owner].
func (st *stream) TmpFile() (*os.File, error) { return st.s.tmpFile() }

// CannotSpool implements [outbox.Owner].
func (st *stream) CannotSpool(err error) { st.s.cannotSpool(err) }

// StartWriting implements [outbox.Owner].
func (st *stream) StartWriting() {
	select {
	case st.work <- struct{}{}:
	default:
	}
}

// StopWriting implements [outbox.Owner].
func (st *stream) StopWriting() {}

// ResponseDone implements [outbox.Owner].
func (st *stream) ResponseDone(bool) {
	if f := st.ex.bodyStream; f != nil {
		f.stop()
	}
	close(st.written)
}

// Abort implements [outbox.Owner].
func (st *stream) Abort() { st.aborted.Store(true) }

// Try implements [outbox.Transport]. Nothing can be sent without waiting, since only one
// goroutine may send.
func (st *stream) Try(p []byte) ([]byte, error) { return p, nil }

// Pending implements [outbox.Transport].
func (st *stream) Pending() bool { return false }

// Send implements [outbox.Transport].
func (st *stream) Send(p []byte) error {
	if st.sent += len(p); st.sent > streamPatience && st.ex.cfg.writeTimeout > 0 {
		if err := st.control.SetWriteDeadline(time.Now().Add(st.ex.cfg.writeTimeout)); err != nil {
			return err
		}
	}
	_, err := st.w.Write(p)
	return err
}

// SendFile implements [outbox.Transport].
func (st *stream) SendFile(p outbox.FilePart) (int, error) { return copyPart(p, st.Send) }

// Flush implements [outbox.Transport].
func (st *stream) Flush() error {
	if st.ended.Load() {
		return nil // the end comes with it
	}
	return st.control.Flush()
}
