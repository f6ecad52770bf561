package front

import (
	"bytes"
	"sync"
	"sync/atomic"
	"time"

	"indrik/internal/http1"
	"indrik/internal/websocket"
	"indrik/internal/wire"
)

const (
	// closeWait is how long a client has to answer a close frame.
	closeWait = 5 * time.Second
	// partCost is what a part of a message counts besides its bytes.
	partCost = 64
	// restart is the reason for the client when its worker is replaced.
	restart = "service restart"
	// grantPiece is how much room the worker is given back at a time, at
	// least: a quarter of what it has.
	grantPiece = 64 << 10
)

type socketState int

const (
	socketAsked   socketState = iota // the app has not answered the handshake yet
	socketOpen                       // messages go both ways
	socketClosing                    // a close frame was sent, the client's is awaited
	socketClosed                     // nothing more is said; also if the handshake was refused
)

// A socket is a WebSocket connection: an exchange whose response is the
// connection itself. Its reader, one goroutine, takes what the client sends;
// what the worker says comes from its slot, and the sweep looks after the time.
type socket struct {
	ex        *exchange
	line      socketLine
	peer      socketPeer
	handshake *websocket.Handshake

	dec     websocket.Decoder // of the reader
	pace    allowance         // of frames that ask for nothing
	decHeld int               // bytes of it that are counted

	mu      sync.Mutex
	changed *sync.Cond
	state   socketState
	since   int64 // when it began to close
	enc     websocket.Encoder
	encHeld int         // bytes of it that are counted
	room    int64       // bytes that the worker wants
	stalled bool        // the reader waits for room
	heard   int64       // when something came from the client
	pinged  int64       // when the ping was sent that is not answered yet; 0: none
	quiet   int64       // when a ping was sent, or answered, last
	leaveAt int64       // when it is to make way for a restart; 0: not
	leaving *time.Timer // until then
	parting bool        // it does: what the client sends until it knows is for the app yet
	waiting []byte      // the answer to a ping, while other frames wait

	ponging atomic.Bool  // waiting is to be sent
	unpaid  atomic.Int64 // room of what was sent, which the worker is to be given back
}

// A socketPeer is the worker's side of a socket. What it is given stays the
// caller's.
type socketPeer interface {
	// pass gives it a part of a message.
	pass(text bool, data []byte, more bool)
	// grant gives it room for so much more.
	grant(bytes int64)
	// gone tells it of the end, unless it knows.
	gone(code int, reason []byte)
}

// A socketLine is what carries the frames of a socket.
type socketLine interface {
	// accept answers the handshake with what is agreed on.
	accept(fields []http1.Field) error
	// frames sends frames, which stay the caller's.
	frames(b []byte)
	// whenLow calls f once little of what was sent waits for the client: at once,
	// or from another goroutine.
	whenLow(f func())
	// waits tells whether frames wait for the client.
	waits() bool
	// finish ends the connection after what was sent.
	finish(keep bool)
	// kill ends it at once.
	kill()
	// wake has the reader look at what has changed.
	wake()
}

func newSocket(ex *exchange, h *websocket.Handshake, line socketLine, peer socketPeer) *socket {
	sk := &socket{ex: ex, line: line, peer: peer, handshake: h, pace: socketPace()}
	sk.changed = sync.NewCond(&sk.mu)
	return sk
}

// obey acts on what the worker says. The error says how that breaks the protocol.
func (sk *socket) obey(m *wire.Reply) error {
	switch m.Kind {
	case wire.ReplyAccept:
		if err := sk.accept(m); err != nil {
			sk.ex.badHead(err, false)
			sk.line.finish(false)
			sk.peer.gone(websocket.CloseAbnormal, nil)
		}
	case wire.ReplyMessage:
		return sk.send(m)
	case wire.ReplyClose:
		if !sk.closeBy(m.CloseCode, m.Body) {
			sk.ex.failWith(403)
		}
	default: // no other kind comes here
	}
	return nil
}

// accept opens the connection. After an error the handshake is to be answered
// otherwise.
func (sk *socket) accept(m *wire.Reply) error {
	sk.mu.Lock()
	defer sk.mu.Unlock()
	if sk.state != socketAsked {
		return nil
	}
	ex := sk.ex
	protocol := string(m.Protocol)
	fields := make([]http1.Field, 0, len(m.Headers)+3)
	for _, f := range m.Headers {
		switch {
		case bytes.EqualFold(f.Name, []byte("Sec-WebSocket-Protocol")):
			if protocol == "" {
				protocol = string(f.Value)
			}
		case bytes.EqualFold(f.Name, []byte("Sec-WebSocket-Accept")), bytes.EqualFold(f.Name, []byte("Sec-WebSocket-Extensions")):
		default:
			fields = append(fields, http1.Field(f))
		}
	}
	fields = ex.appendAffinity(fields)
	deflate := ex.cfg.WebSocketCompression && sk.handshake.Window > 0
	fields = sk.handshake.AppendFields(fields, protocol, deflate)
	if err := sk.line.accept(fields); err != nil {
		sk.over()
		sk.changed.Broadcast()
		sk.line.wake()
		return err
	}
	sk.dec.MaxMessage = int64(ex.cfg.WebSocketMaxMessageSize)
	sk.dec.Deflate = deflate
	if deflate {
		sk.enc.Window = sk.handshake.Window
	}
	sk.state = socketOpen
	sk.heard, sk.quiet = now(), now()
	ex.status, ex.fields = 101, fields
	ex.s.accessLog.write(ex)
	ex.fields = ex.fields[:0] // parts of a message that is about to be gone
	sk.changed.Broadcast()
	sk.line.wake()
	return nil
}

// send sends a part of a message to the client.
func (sk *socket) send(m *wire.Reply) error {
	sk.mu.Lock()
	defer sk.mu.Unlock()
	if sk.state != socketOpen {
		return nil
	}
	if sk.unpaid.Load() >= responseWindow {
		return errResponseWindow
	}
	b := messages.Get().(*[]byte)
	frame := sk.enc.AppendPart((*b)[:0], m.Text, m.Body, !m.More)
	sk.hold(&sk.encHeld, sk.enc.Held())
	sk.line.frames(frame)
	if cap(frame) <= maxPooled {
		*b = frame[:0]
		messages.Put(b)
	}
	if sk.unpaid.Add(int64(len(m.Body)+partCost)) >= grantPiece {
		sk.line.whenLow(sk.low)
	}
	return nil
}

// low is called when little waits for the client. The mutex may be held.
func (sk *socket) low() {
	if n := sk.unpaid.Swap(0); n > 0 {
		sk.peer.grant(n)
	}
	if sk.ponging.Load() {
		go sk.pongLater()
	}
}

// want gives the reader room; false if that is too much.
func (sk *socket) want(bytes int64) bool {
	sk.mu.Lock()
	defer sk.mu.Unlock()
	if bytes > bodyWindow-sk.room {
		return false
	}
	sk.room += bytes
	sk.changed.Broadcast()
	return true
}

// deny tells whether the app may refuse the handshake with a response of its own.
func (sk *socket) deny() bool {
	sk.mu.Lock()
	defer sk.mu.Unlock()
	was := sk.state
	if was == socketAsked {
		sk.over()
		sk.changed.Broadcast()
		sk.line.wake()
	}
	return was == socketAsked
}

// closeBy ends the connection because the app says so; false if there is none, and
// the handshake is to be refused.
func (sk *socket) closeBy(code int, reason []byte) bool {
	if sk.deny() {
		return false
	}
	sk.mu.Lock()
	defer sk.mu.Unlock()
	if sk.state == socketOpen {
		sk.close(code, reason)
	}
	return true
}

// fail ends the connection because the app, or its worker, cannot go on; false if
// there is none, and the handshake is to be answered with an error.
func (sk *socket) fail() bool {
	if sk.deny() {
		return false
	}
	sk.mu.Lock()
	defer sk.mu.Unlock()
	switch sk.state {
	case socketClosed:
		return sk.ex.status == 101
	case socketOpen:
		sk.close(websocket.CloseInternalError, nil)
	default: // it is on its way already
	}
	return true
}

// isAccepted tells whether there is a connection, or was.
func (sk *socket) isAccepted() bool {
	sk.mu.Lock()
	defer sk.mu.Unlock()
	return sk.state == socketOpen || sk.state == socketClosing
}

// close sends a close frame, and waits for the client's. It is called with the mutex
// held, as are the following.
func (sk *socket) close(code int, reason []byte) {
	sk.line.frames(websocket.AppendClose(nil, code, reason))
	sk.state, sk.since = socketClosing, now()
	sk.enc.Release()
	sk.changed.Broadcast()
}

// end ends the connection for the front, and tells the worker.
func (sk *socket) end(code int, reason string) {
	sk.close(code, []byte(reason))
	sk.peer.gone(code, []byte(reason))
}

// dismiss ends a connection of a client that is to go; false if there is none.
func (sk *socket) dismiss(code int, reason string) bool {
	sk.mu.Lock()
	defer sk.mu.Unlock()
	if sk.state != socketOpen {
		return false
	}
	sk.end(code, reason)
	sk.finish()
	sk.line.wake()
	return true
}

// over notes that nothing more is said.
func (sk *socket) over() {
	sk.state = socketClosed
	if sk.leaving != nil {
		sk.leaving.Stop()
	}
}

// finish ends the connection after the closing handshake, or without it.
func (sk *socket) finish() {
	sk.over()
	sk.part()
	sk.enc.Release()
	sk.changed.Broadcast()
	sk.line.finish(false)
}

// part tells the worker of the end that a restart brings.
func (sk *socket) part() {
	if sk.parting {
		sk.parting = false
		sk.peer.gone(websocket.CloseServiceRestart, []byte(restart))
	}
}

// leave has the connection end at a time, for a restart; at 0 it does not.
func (sk *socket) leave(at int64) {
	sk.mu.Lock()
	defer sk.mu.Unlock()
	if sk.state == socketClosed || at != 0 && sk.leaveAt != 0 && at >= sk.leaveAt {
		return
	}
	sk.leaveAt = at
	if sk.leaving != nil {
		sk.leaving.Stop()
	}
	if at != 0 {
		// The sweep would have all leave together that are due within a second.
		sk.leaving = time.AfterFunc(time.Duration(at-now()), func() { sk.sweep(now()) })
	}
}

// sweep does what is due at t. It never waits.
func (sk *socket) sweep(t int64) {
	sk.mu.Lock()
	defer sk.mu.Unlock()
	cfg := sk.ex.cfg
	switch {
	case sk.state == socketClosing && t-sk.since > int64(closeWait):
		sk.finish()
	case sk.state != socketOpen:
	case sk.leaveAt != 0 && t >= sk.leaveAt && !sk.enc.InMessage():
		sk.close(websocket.CloseServiceRestart, []byte(restart))
		sk.parting = true
	case sk.pinged != 0 && !sk.stalled:
		if exceeds(time.Duration(t-max(sk.pinged, sk.heard)), cfg.webSocketPingTimeout) {
			sk.end(websocket.CloseInternalError, "no answer to a ping")
			sk.finish()
		}
	case exceeds(time.Duration(t-sk.quiet), cfg.webSocketPingInterval) && sk.pinged == 0 && !sk.line.waits():
		sk.line.frames(websocket.AppendPing(nil, nil))
		sk.pinged, sk.quiet = t, t
	}
}
