package front

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"indrik/internal/http1"
	"indrik/internal/wire"
)

// An upload is the state of the body of a stream's request. The goroutine of the connection
// brings what has come; nothing waits for anybody there.
//
// For most kinds of workers the body is received whole first, and the window of the stream is
// opened again at once. A worker of ASGI gets it part by part as it gives credit; until then
// the bytes are kept here, and the window is not opened: so a client has at most a window on
// its way.
type upload struct {
	rate    bodyRate
	uploads atomic.Bool // the client is waited for
	frames  *frameQueue // of a WebSocket; nil: it is none

	bodyMu sync.Mutex // comes before that of the worker's send queue, and of the connection
	// +checklocks:bodyMu
	spool *spool // nil: the body is streamed, or nobody wants it
	// +checklocks:bodyMu
	streams bool // to the worker
	// +checklocks:bodyMu
	kept []byte // and not forwarded yet
	// +checklocks:bodyMu
	keptEnd bool // the body ends with kept
	// +checklocks:bodyMu
	over bool // nobody wants more of it
	// +checklocks:bodyMu
	creditless int64 // since when the client is not waited for, but the worker; 0: it is the client
}

// beginBody begins to receive the body, if there is one, and submits the request when it may
// run. end: there is none.
func (st *stream) beginBody(end bool) error {
	ex := &st.ex
	if end {
		if err := ex.encode(nil, st.req.ContentLength); err != nil {
			return err
		}
		st.bodiless = true
		ex.s.submit(ex, ex.Start)
		return nil
	}
	if err := ex.refuseBody(st.req.ContentLength); err != nil {
		return err
	}
	st.rate.start()
	if st.req.Expect100 {
		st.interim(100, nil)
	}
	if ex.kind == wire.KindASGI && (st.req.Expect100 || st.req.ContentLength < 0 || st.req.ContentLength > inlineBody) {
		b := &bodyStream{ex: ex, limit: ex.cfg.LimitRequestBody, unread: st.req.ContentLength, rate: &st.rate}
		b.wake = st.forward
		ex.bodyStream = b
		if err := ex.encode(nil, st.req.ContentLength); err != nil {
			ex.bodyStream = nil
			return err
		}
		st.bodyMu.Lock()
		st.streams, st.creditless = true, now()
		st.bodyMu.Unlock()
		st.submit()
		return nil
	}
	st.bodyMu.Lock()
	st.spool = ex.newSpool()
	st.bodyMu.Unlock()
	st.uploads.Store(true)
	return nil
}

func (st *stream) submit() { st.ex.s.submit(&st.ex, time.Now()) }

// receive takes a part of the body, which stays the caller's.
func (st *stream) receive(p []byte, end bool) {
	if st.frames != nil {
		st.frames.add(p, end)
		return
	}
	st.rate.bytes.Add(int64(len(p)))
	st.bodyMu.Lock()
	switch {
	case st.over:
		st.bodyMu.Unlock()
		st.take(len(p))
	case st.streams:
		st.kept = append(st.kept, p...)
		st.keptEnd = st.keptEnd || end
		st.ex.holder.Hold(int64(len(p)))
		st.bodyMu.Unlock()
		st.ex.s.metrics.Load().Receive(int64(len(p)))
		st.ex.s.queue.GotBody(&st.ex.Job)
		st.forward()
	default:
		st.receiveWhole(p, end)
	}
}

// receiveWhole adds to a body that is received whole. It unlocks bodyMu.
// +checklocksrelease:st.bodyMu
func (st *stream) receiveWhole(p []byte, end bool) {
	body := st.spool
	err := body.add(p)
	if err == nil && !end {
		st.bodyMu.Unlock()
		st.take(len(p))
		return
	}
	st.spool, st.over = nil, true
	st.bodyMu.Unlock()
	st.uploads.Store(false)
	st.take(len(p))
	if err == nil {
		if err = st.ex.encode(body, body.size); err == nil {
			st.submit()
			return
		}
	} else {
		body.discard()
	}
	st.ex.Release()
	st.giveUp(err)
}

// take opens the window of the stream again for n bytes that are done with.
func (st *stream) take(n int) {
	h := st.h
	h.mu.Lock()
	h.engine.Take(&st.st, n)
	h.mu.Unlock()
}

// forward sends what is kept to the worker, as far as that has given credit.
func (st *stream) forward() {
	b := st.ex.bodyStream
	taken := 0
	st.bodyMu.Lock()
	err := st.forwardLocked(b, &taken)
	st.bodyMu.Unlock()
	if taken > 0 {
		st.take(taken)
		st.h.flush()
	}
	if err != nil {
		st.endUpload(err)
	}
}

// +checklocks:st.bodyMu
func (st *stream) forwardLocked(b *bodyStream, taken *int) error {
	for st.streams && !st.over {
		window, stopped := b.state()
		if stopped {
			st.dropLocked(taken)
			return nil
		}
		n := int(min(window, int64(len(st.kept)), streamPart))
		last := st.keptEnd && n == len(st.kept)
		if n == 0 && !last {
			st.awaitLocked(window > 0)
			return nil
		}
		p := partBuffers.Get().(*partBuffer)
		copy(p.part(int64(n)), st.kept)
		var eof error
		if last {
			eof = io.EOF
		}
		end, err := b.forward(p, n, eof)
		partBuffers.Put(p)
		st.kept = st.kept[n:]
		st.ex.holder.Hold(-int64(n))
		*taken += n
		if end || err != nil {
			st.dropLocked(taken)
			return err
		}
	}
	return nil
}

// awaitLocked notes for whom the body waits: the client, or the worker.
// +checklocks:st.bodyMu
func (st *stream) awaitLocked(client bool) {
	if len(st.kept) == 0 {
		st.kept = nil
	}
	switch {
	case client && st.creditless != 0:
		st.rate.pause(now() - st.creditless)
		st.creditless = 0
		fallthrough
	case client:
		st.ex.AwaitBody()
	case st.creditless == 0:
		st.creditless = now()
	}
	st.uploads.Store(client)
}

// dropLocked drops what is kept: nobody wants more of the body.
// +checklocks:st.bodyMu
func (st *stream) dropLocked(taken *int) {
	*taken += len(st.kept)
	st.ex.holder.Hold(-int64(len(st.kept)))
	st.kept, st.over = nil, true
	st.uploads.Store(false)
}

// stopUpload is called when nobody wants more of the body. It reports whether the request
// waited for it, and was not submitted.
func (st *stream) stopUpload() (waited bool) {
	taken := 0
	st.bodyMu.Lock()
	if waited = st.spool != nil; waited {
		st.spool.discard()
		st.spool = nil
	}
	st.dropLocked(&taken)
	st.bodyMu.Unlock()
	if taken > 0 {
		st.take(taken)
	}
	return waited
}

// bodyIsTooSlow ends a request whose body comes too slowly.
func (st *stream) bodyIsTooSlow() {
	slow := st.rate.tooSlow.Load()
	if slow == nil {
		return
	}
	switch waited := st.stopUpload(); {
	case waited:
		st.ex.Release()
		st.giveUp(*slow)
	case st.ex.bodyStream != nil:
		st.endUpload(*slow)
	default: // it has come meanwhile
	}
}

// endUpload ends a request whose body was being streamed.
func (st *stream) endUpload(err error) {
	var bad *http1.Error
	var status statusError
	queue := st.ex.s.queue
	if errors.As(err, &bad) || errors.As(err, &status) {
		if queue.TakeBack(&st.ex.Job) {
			st.giveUp(err)
			return
		}
		st.ex.logCut(status)
	}
	queue.CancelByClient(&st.ex.Job)
	st.Abort()
}
