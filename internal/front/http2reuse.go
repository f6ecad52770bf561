package front

import "sync"

// This file has the memory of streams that are over, for the streams that come next: of any
// connection, since most are idle most of the time.

// keptHead is how large the head of a request may have been, in bytes, so that the memory of
// its stream is used again.
const keptHead = 4 << 10

var freeStreams = sync.Pool{New: func() any {
	st := new(stream)
	st.st.Owner = st
	st.out.Init(st, st)
	st.turn = make(chan struct{}, 1)
	return st
}}

// newStream returns a stream that waits for its head.
func newStream(h *http2Conn) *stream {
	st := freeStreams.Get().(*stream)
	c := h.c
	st.h = h
	st.ex.s, st.ex.info, st.ex.to, st.ex.req, st.ex.holder = c.s, &c.info, st, &st.req, c.held
	st.out.SetHolder(c.held)
	return st
}

// free gives the memory of a stream back. Nothing may refer to it any more. That is so only
// if its request came whole in its head, so that the goroutine of the connection was done with
// it when it was submitted; and if the client got all of the response, so that nobody ends it
// in another way.
func (st *stream) free() {
	if st.head.Size() > keptHead || max(cap(st.req.Fields), cap(st.head.Fields), cap(st.fields), cap(st.ex.fields), cap(st.ex.responseFields)) > keptFields {
		return
	}
	st.h = nil
	st.ex.info, st.ex.holder = nil, nil
	st.req.Forget()
	st.ex.forget()
	st.crowded, st.bodiless = false, false
	st.code, st.missing, st.queued, st.sent = 0, 0, 0, 0
	st.ended, st.isWhole, st.trailers = false, false, nil
	st.isOver.Store(false)
	freeStreams.Put(st)
}
