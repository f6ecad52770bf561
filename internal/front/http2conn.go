package front

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"indrik/internal/http2"
)

// This file serves a connection of HTTP/2. Its goroutine reads; what goes to the client is
// made by whoever has it, under the mutex of the connection, and sent by one goroutine at a
// time, so that frames of several streams go in one write.

const (
	// http2Ping is how long a connection may be silent before the client is asked whether
	// it is there, and how long it has to answer.
	http2Ping = 15 * time.Second
	// goAwayTime is how long a client has to learn that it is to open no more streams
	// (RFC 9113 section 6.8).
	goAwayTime = time.Second
	// maxUnsent is how many bytes of frames wait to be sent before streams wait for their
	// turn.
	maxUnsent = 64 << 10
	// maxUntaken is how many bytes may wait for a client whose frames are still read. Bodies
	// of responses stop before that, so it has asked for more heads or acknowledgements than
	// it takes, and no window bounds these.
	maxUntaken = 384 << 10
	// minConnWindow is the least that all streams of a connection may have on their way to
	// the server, in bytes.
	minConnWindow = 1 << 20
)

var (
	errHTTP2    = errors.New("the client speaks HTTP/2")
	errNotHTTP2 = errors.New("the client does not speak HTTP/2")
)

// beginsHTTP2 reports whether b is the start of the preface, or starts with it.
func beginsHTTP2(b []byte) bool {
	n := min(len(b), len(http2.Preface))
	return string(b[:n]) == http2.Preface[:n]
}

// An http2Conn is what a conn has besides for HTTP/2. Its mutex comes after those of the
// outboxes of its streams, and before that of the outbox of the connection.
type http2Conn struct {
	c    *conn
	idle time.Duration // without streams, after which the connection ends; 0: no limit

	heard  atomic.Int64 // when something came from the client, as [now] has it
	pinged atomic.Int64 // when the ping was sent that is not answered yet; 0: none

	taken chan struct{} // wakes the goroutine that reads: the client has taken something, or is lost

	mu   sync.Mutex
	done sync.Cond // live became 0, or flushing false
	// +checklocks:mu
	engine *http2.Conn
	// +checklocks:mu
	limits floodLimits
	// +checklocks:mu
	memory *[]byte // of the engine's output; nil: it has none of the pool
	// +checklocks:mu
	flushing bool // a goroutine sends what the engine has
	// +checklocks:mu
	flushesSoon bool // a goroutine is about to
	// +checklocks:mu
	flushFn func() // flushAfterOthers, once it was needed
	// +checklocks:mu
	blocked bool // the client does not take what was sent
	// +checklocks:mu
	waiters []*stream // whose responses wait for their turn
	// +checklocks:mu
	turns uint64 // that streams have had
	// +checklocks:mu
	retired int64 // when the client was told to open no more streams; 0: it was not
	// +checklocks:mu
	idleSince int64 // when the last stream ended
	// +checklocks:mu
	live int // streams whose response is not done
}

// serveHTTP2 serves a connection until it is over.
func (s *server) serveHTTP2(c *conn) {
	cfg := s.config()
	h := newHTTP2Conn(c, cfg)
	c.hold(http2Held)
	c.out.Begin(true)
	c.h2.Store(h)
	c.enter(multiplexed)
	if s.isDraining() {
		h.retire()
	}
	h.flush()
	end := h.read(cfg)
	h.endConnection(end)
}

func newHTTP2Conn(c *conn, cfg *config) *http2Conn {
	h := &http2Conn{c: c, idle: cfg.http2IdleTimeout, taken: make(chan struct{}, 1)}
	h.done.L = &h.mu
	t := now()
	h.heard.Store(t)
	list := cfg.HTTP2MaxHeaderListSize
	if list == 0 {
		list = cfg.http2.MaxHead()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.limits.init(t)
	h.idleSince = t
	h.engine = http2.NewConn(http2.Settings{
		MaxStreams: cfg.HTTP2MaxConcurrentStreams, Window: cfg.HTTP2InitialWindowSize, ConnWindow: max(minConnWindow, cfg.HTTP2InitialWindowSize),
		MaxFrame: cfg.HTTP2MaxFrameSize, MaxHeaderList: list, Connect: true,
		Open: func() (*http2.Stream, *http2.Head) {
			st := newStream(h)
			return &st.st, &st.head
		},
	})
	return h
}

// unblock is called once the client has taken most of what was sent.
func (h *http2Conn) unblock() {
	h.mu.Lock()
	h.blocked = false
	h.nextTurnLocked()
	h.mu.Unlock()
	h.wakeReader()
}

// wakeReader wakes the goroutine that reads, if it waits until the client takes something. It
// takes no lock.
func (h *http2Conn) wakeReader() {
	select {
	case h.taken <- struct{}{}:
	default: // it is to be woken already
	}
}

// isDeafLocked reports whether so much waits for the client that it is not listened to. If so,
// [http2Conn.unblock] will be called, or the outbox has failed or will.
// +checklocks:h.mu
func (h *http2Conn) isDeafLocked() bool { return h.blocked && h.c.out.Kept() > maxUntaken }

// awaitTaken waits while the client is deaf.
func (h *http2Conn) awaitTaken() {
	begin := now()
	for {
		h.mu.Lock()
		deaf := h.isDeafLocked() && !h.c.out.HasFailed()
		h.mu.Unlock()
		if !deaf {
			break
		}
		<-h.taken
	}
	h.pauseUploads(now() - begin)
}

// pauseUploads takes out of the rates of bodies a time in which nothing was read.
func (h *http2Conn) pauseUploads(d int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.engine.Each(func(s *http2.Stream) bool {
		s.Owner.(*stream).rate.pause(d)
		return true
	})
}

// An http2End is why a connection is over.
type http2End int

const (
	leftByClient http2End = iota // or broke the connection
	servedAll                    // no stream is open, and none is to come
	cutForFault                  // for what it has done
)

// read reads what the client sends until the connection is over.
func (h *http2Conn) read(cfg *config) http2End {
	c := h.c
	for t := now(); ; {
		if end, over := h.process(t); over {
			return end
		}
		if c.r == c.w {
			c.r, c.w = 0, 0
		} else if c.w == len(c.buf) {
			c.growBuffer(cfg)
		}
		err := h.readMore(h.rest(t))
		t = now()
		switch {
		case err == nil:
			h.heard.Store(t)
		case !isTimeout(err):
			return leftByClient
		}
		if h.isDone(t) {
			return servedAll
		}
	}
}

// isIdle reports whether the connection has been idle for so long that it is to hold no memory
// that others can use.
func (h *http2Conn) isIdle(t int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.isIdleLocked(t)
}

// +checklocks:h.mu
func (h *http2Conn) isIdleLocked(t int64) bool {
	return h.live == 0 && h.engine.IsIdle() && t-h.idleSince > int64(bufferTime)
}

// rest reports whether the connection is idle, and all that was read is done with. Then the
// engine holds no memory that others can use any more.
func (h *http2Conn) rest(t int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.c.r < h.c.w || !h.isIdleLocked(t) {
		return false
	}
	h.takeBackLocked()
	return true
}

// readMore waits for bytes and reads them into the buffer of the connection. While that rests
// it has no buffer.
func (h *http2Conn) readMore(rests bool) error {
	c := h.c
	c.hasBuffer.Store(!rests)
	if rests {
		c.releaseBuffer()
	}
	if rests || c.tls == nil {
		return c.read()
	}
	if c.buf == nil {
		c.buf = *buffers.Get().(*[]byte)
	}
	n, err := c.nc.Read(c.buf[c.w:])
	c.w += n
	if isTimeout(err) {
		c.clearWake()
	}
	if n > 0 {
		return nil
	}
	return err
}

// process acts on what was read, at a time that is now or has just been. It reports whether the connection is over.
func (h *http2Conn) process(t int64) (end http2End, over bool) {
	c := h.c
	defer h.flush()
	for {
		h.mu.Lock()
		h.lendLocked()
		n, ev, err := h.engine.Next(c.buf[c.r:c.w])
		pause, ok := h.limits.allow(&ev, t)
		deaf := h.isDeafLocked()
		h.mu.Unlock()
		c.r += n
		switch {
		case err != nil:
			c.s.log.Debugf("HTTP/2 of ip=%s: %s", c.info.remote, err)
			return cutForFault, true
		case !ok:
			h.act(&ev) // a stream that has ended is not known any more
			c.s.log.Warnf("Closing the connection of ip=%s: %s", c.info.remote, errFlood)
			c.out.Kill() // nothing waits for such a client
			return cutForFault, true
		}
		if pause > 0 {
			c.s.slowings.slowed(c.s.log, &c.info, "DATA frames of a few bytes")
			sleepUnless(pause, c.isEnding)
			t = now()
		}
		if ev.Kind == http2.Nothing {
			return 0, false
		}
		h.act(&ev)
		if deaf {
			h.awaitTaken()
			t = now()
		}
	}
}

var errFlood = errors.New("too many HTTP/2 frames that ask for nothing")

// act acts on one event.
func (h *http2Conn) act(ev *http2.Event) {
	switch ev.Kind {
	case http2.Request:
		ev.Stream.Owner.(*stream).begin(ev)
	case http2.Data, http2.Trailers:
		ev.Stream.Owner.(*stream).receive(ev.Data, ev.End)
	case http2.Reset:
		ev.Stream.Owner.(*stream).wasReset()
	case http2.Window:
		h.mu.Lock()
		h.nextTurnLocked()
		h.mu.Unlock()
	case http2.PingAck:
		h.pinged.Store(0)
	default: // nothing follows from it
	}
}

// isDone reports whether the connection is to end now: no stream is open, and none is to
// come, or it has been idle for long enough.
func (h *http2Conn) isDone(t int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.live > 0 || h.engine.Streams() > 0 {
		return false
	}
	idle := t - h.idleSince
	return h.retired != 0 && t-h.retired >= int64(goAwayTime) || h.idle > 0 && idle >= int64(h.idle) || h.c.isEnding()
}

// check is called by the deadline sweep once a second.
func (h *http2Conn) check(t int64, cfg *config) {
	silent := t - h.heard.Load()
	pinged := h.pinged.Load()
	switch {
	// What it is asked by may have waited with the rest that it had not taken before.
	case pinged != 0 && min(t-pinged, silent, t-h.c.since.Load()) > int64(http2Ping):
		h.c.out.Kill()
		h.c.Abort()
		return
	case pinged == 0 && silent > int64(http2Ping):
		h.pinged.Store(t)
		h.mu.Lock()
		h.engine.Ping()
		h.mu.Unlock()
		h.flush()
	}
	var slow []*stream
	h.mu.Lock()
	h.engine.Each(func(s *http2.Stream) bool {
		if st := s.Owner.(*stream); st.uploads.Load() && st.rate.measure(t, cfg) {
			slow = append(slow, st)
		}
		return true
	})
	h.mu.Unlock()
	for _, st := range slow {
		st.bodyIsTooSlow()
	}
	if h.isDone(t) || h.c.hasBuffer.Load() && h.isIdle(t) {
		h.c.wake()
	}
}

// retire tells the client to open no more streams. Those that it opens before it knows are
// served.
func (h *http2Conn) retire() {
	h.mu.Lock()
	first := h.retired == 0
	if first {
		h.retired = now()
		h.engine.Retire()
	}
	h.mu.Unlock()
	if !first {
		return
	}
	h.flush()
	time.AfterFunc(goAwayTime, func() {
		h.mu.Lock()
		h.engine.GoAway(http2.NoError, "")
		h.mu.Unlock()
		h.flush()
		h.c.wake()
	})
}

// endConnection ends a connection of which nothing more is read.
func (h *http2Conn) endConnection(end http2End) {
	c := h.c
	var open []*http2.Stream
	h.mu.Lock()
	if end == servedAll {
		h.engine.GoAway(http2.NoError, "")
	}
	h.engine.Each(func(s *http2.Stream) bool {
		open = append(open, s)
		return true
	})
	for _, s := range open {
		h.engine.ResetStream(s, http2.Cancel)
	}
	h.mu.Unlock()
	h.flush()
	h.awaitFlush()
	if end == leftByClient {
		c.out.Kill()
	}
	for _, s := range open {
		s.Owner.(*stream).wasReset()
	}
	if !c.out.HasFailed() {
		c.setBusy(true)
		c.out.Finish(false) // the client may still read GOAWAY
	}
}

// awaitStreams waits until the responses of all streams are done, if it is a connection of
// HTTP/2.
func (c *conn) awaitStreams() {
	h := c.h2.Load()
	if h == nil {
		return
	}
	h.mu.Lock()
	for h.live > 0 {
		h.done.Wait()
	}
	h.mu.Unlock()
	h.awaitFlush()
}

// webSockets returns the streams that are WebSockets.
func (h *http2Conn) webSockets() []*webSocket {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []*webSocket
	h.engine.Each(func(s *http2.Stream) bool {
		if sk := s.Owner.(*stream).socket.Load(); sk != nil {
			list = append(list, sk)
		}
		return true
	})
	return list
}

// endHTTP2 tells all clients of HTTP/2 to finish the streams that they have begun.
func (s *server) endHTTP2() {
	for _, c := range s.all() {
		if h := c.h2.Load(); h != nil {
			h.retire()
		}
	}
}
