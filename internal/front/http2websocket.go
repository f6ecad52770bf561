package front

import (
	"net/http"
	"sync"
	"time"

	"indrik/internal/http1"
	"indrik/internal/websocket"
)

// This file joins a [webSocket] with a stream of HTTP/2 (RFC 8441).

// serveWebSocket serves an extended CONNECT, and then the connection that it opens.
func (st *stream) serveWebSocket() {
	s, ex := st.ex.s, &st.ex
	handshake, err := websocket.ParseConnect(&st.req, st.head.Protocol)
	if err != nil {
		st.refuseWebSocket(err)
		return
	}
	ex.closeAfter = true
	st.frames = newFrameQueue(st)
	ex.webSocket = newWebSocket(ex, handshake, webSocketStream{st}, webSocketWorker{ex})
	st.socket.Store(ex.webSocket)
	if err := ex.encode(nil, -1); err != nil {
		ex.Release()
		st.giveUp(err)
		return
	}
	if s.isDraining() {
		ex.webSocket.leaveAt(now())
	}
	st.submit()
	go st.frames.read(ex.webSocket)
}

// refuseWebSocket answers a handshake that is not valid.
func (st *stream) refuseWebSocket(err error) {
	status := handshakeStatus(err)
	st.giveUp(&http1.Error{Status: status, Reason: http.StatusText(status), Message: err.Error(), Text: "WebSocket handshake: " + err.Error()})
}

var methodGet = []byte("GET")

// A webSocketStream is a stream of HTTP/2. It implements frameTransport.
type webSocketStream struct{ *stream }

func (t webSocketStream) accept(fields []http1.Field) error {
	cfg := t.ex.cfg
	h := http1.Head{
		Minor: 1, Status: statusOf(200), Server: cfg.serverHeader, NoServer: cfg.noServerHeader, Date: date(time.Now()),
		Fields: fields, KnownLength: -1, KeepAlive: true,
	}
	if _, err := t.start(&h); err != nil {
		return err
	}
	t.queue(0, false)
	return nil
}

func (t webSocketStream) frames(b []byte) { t.stream.body(b, false) }

func (t webSocketStream) pending() bool { return t.out.IsWriting() }

func (t webSocketStream) finish(bool) {
	t.queue(0, true)
	t.out.Finish(false)
}

func (t webSocketStream) wake() { t.stream.frames.interrupt() }

// A frameQueue is what a client has sent on a WebSocket, and its reader has not taken yet: at
// most a window of the stream.
type frameQueue struct {
	st *stream

	mu      sync.Mutex
	changed sync.Cond
	// +checklocks:mu
	b []byte
	// +checklocks:mu
	ended bool
	// +checklocks:mu
	woken bool
}

func newFrameQueue(st *stream) *frameQueue {
	q := &frameQueue{st: st}
	q.changed.L = &q.mu
	return q
}

// add adds what has come. end: nothing more comes.
func (q *frameQueue) add(p []byte, end bool) {
	q.mu.Lock()
	q.b = append(q.b, p...)
	q.ended = q.ended || end
	q.st.ex.holder.Hold(int64(len(p)))
	q.changed.Broadcast()
	q.mu.Unlock()
}

// end is called when the stream is over.
func (q *frameQueue) end() { q.add(nil, true) }

// interrupt makes the reader look for what has changed.
func (q *frameQueue) interrupt() {
	q.mu.Lock()
	q.woken = true
	q.changed.Broadcast()
	q.mu.Unlock()
}

// read passes on what the client sends until the connection is over.
func (q *frameQueue) read(sk *webSocket) {
	defer func() {
		sk.dec.Release()
		sk.account(&sk.decHeld, sk.dec.Held())
	}()
	sk.awaitAnswer()
	var b []byte
	for {
		n, more := sk.receive(b)
		b = b[n:]
		if n > 0 {
			q.st.ex.holder.Hold(-int64(n))
			q.st.take(n)
			q.st.h.flush()
		}
		if !more {
			break
		}
		q.mu.Lock()
		for len(q.b) == 0 && !q.ended && !q.woken {
			q.changed.Wait()
		}
		q.woken = false
		b = append(b, q.b...)
		q.b = q.b[:0]
		ended := q.ended && len(b) == 0
		q.mu.Unlock()
		if ended {
			sk.connectionLost()
			break
		}
		sk.noteHeard()
	}
	q.st.ex.holder.Hold(-int64(len(b)))
}
