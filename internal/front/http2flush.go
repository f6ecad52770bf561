package front

import "runtime"

// This file sends what the engine of a connection has for the client.

// lendLocked gives the engine memory for its output.
// +checklocks:h.mu
func (h *http2Conn) lendLocked() {
	if h.memory == nil && !h.engine.HasOutput() {
		h.memory = messages.Get().(*[]byte)
		h.engine.TakeOutput((*h.memory)[:0])
	}
}

// takeBackLocked takes the memory back that the engine has, if it has no output.
// +checklocks:h.mu
func (h *http2Conn) takeBackLocked() {
	if h.memory == nil || h.engine.HasOutput() {
		return
	}
	if b := h.engine.TakeOutput(nil); cap(b) <= maxPooled {
		*h.memory = b[:0]
		messages.Put(h.memory)
	}
	h.memory = nil
}

// flush sends what the engine has for the client, unless another goroutine is about to.
func (h *http2Conn) flush() {
	h.mu.Lock()
	if h.flushing || !h.engine.HasOutput() {
		h.mu.Unlock()
		return
	}
	h.flushing = true
	next := messages.Get().(*[]byte)
	for h.engine.HasOutput() {
		if h.memory == nil {
			h.memory = new([]byte)
		}
		out := h.engine.TakeOutput((*next)[:0])
		h.memory, next = next, h.memory
		h.mu.Unlock()
		h.c.out.Write(out)
		waits := h.c.out.IsWriting()
		*next = out
		h.mu.Lock()
		if waits && !h.blocked {
			h.blocked = true
			h.mu.Unlock()
			h.c.out.WhenLow(h.unblock)
			h.mu.Lock()
		}
	}
	h.flushing = false
	h.done.Broadcast()
	h.nextTurnLocked()
	h.mu.Unlock()
	if cap(*next) > 0 && cap(*next) <= maxPooled {
		messages.Put(next)
	}
}

// flushesLaterLocked reports whether what was just added to the output is sent by another
// goroutine, so that the caller need not. more: the caller is about to act on another message
// of a worker, so that more may be added at once.
// +checklocks:h.mu
func (h *http2Conn) flushesLaterLocked(more bool) bool {
	if h.flushing || h.flushesSoon {
		return true
	}
	if !more || h.live < 2 {
		return false
	}
	h.flushesSoon = true
	if h.flushFn == nil {
		h.flushFn = h.flushAfterOthers
	}
	go h.flushFn()
	return true
}

// hasMore reports whether the caller, who answers, is about to act on another message of a
// worker. Of a WebSocket others send, too.
func (st *stream) hasMore() bool { return st.ex.webSocket == nil && st.ex.more }

// flushAfterOthers flushes when the goroutines that can run have run: the answers that workers
// have sent together go to the client together.
func (h *http2Conn) flushAfterOthers() {
	runtime.Gosched()
	h.mu.Lock()
	h.flushesSoon = false
	h.mu.Unlock()
	h.flush()
}

// awaitFlush waits until no goroutine sends.
func (h *http2Conn) awaitFlush() {
	h.mu.Lock()
	for h.flushing {
		h.done.Wait()
	}
	h.mu.Unlock()
}
