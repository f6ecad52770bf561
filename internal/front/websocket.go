package front

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"indrik/internal/dispatch"
	"indrik/internal/http1"
	"indrik/internal/websocket"
	"indrik/internal/wire"
)

const (
	// closeWait is how long a client has to answer a close frame.
	closeWait = 5 * time.Second
	// restart is the reason that the client is told when its worker is replaced.
	restart = "service restart"
)

type webSocketState int

const (
	webSocketAsked   webSocketState = iota // the app has not answered the handshake yet
	webSocketOpen                          // messages go both ways
	webSocketClosing                       // a close frame was sent, the client's is awaited
	webSocketClosed                        // nothing more is sent or received; also if the handshake was refused
)

// A webSocket is a WebSocket connection: an exchange whose response is the connection
// itself. One goroutine, the reader, handles what the client sends. The worker's replies
// come from the goroutine of its slot, and the deadline sweep checks the time-outs.
type webSocket struct {
	ex        *exchange
	transport frameTransport
	worker    messageReceiver
	request   *websocket.Handshake

	// What the dispatcher wants to know of the head, which is not kept.
	asked  dispatch.Description
	client netip.Addr

	// Of the reader.
	dec     websocket.Decoder
	decHeld int         // bytes of dec that are accounted for
	pace    tokenBucket // of frames that ask for nothing

	mu      sync.Mutex
	changed *sync.Cond
	// +checklocks:mu
	state webSocketState
	// +checklocks:mu
	since int64 // when the closing handshake began
	// +checklocks:mu
	enc websocket.Encoder
	// +checklocks:mu
	encHeld int   // bytes of enc that are accounted for
	window  int64 // bytes that the worker has given credit for
	// +checklocks:mu
	awaitingCredit bool // the reader waits for the window to open
	// +checklocks:mu
	heard int64 // when something came from the client
	// +checklocks:mu
	pinged int64 // when the ping was sent that is not answered yet; 0: none
	// +checklocks:mu
	pingTime int64 // when a ping was sent last, or the connection was opened
	// +checklocks:mu
	leaveTime int64 // when it is to make way for a restart; 0: not
	// +checklocks:mu
	leaveTimer *time.Timer // for that
	// +checklocks:mu
	restarting bool // it makes way: what the client sends until it knows still goes to the app
	// +checklocks:mu
	app *appSocket // worker, if the app frames its messages itself
	// +checklocks:mu
	appPing []byte // what the app has last pinged with; nil: it has not, or was answered
	// +checklocks:mu
	pongData []byte // of the answer to a ping that came while other frames wait

	pongWaits atomic.Bool  // a pong with pongData is to be sent
	unacked   atomic.Int64 // bytes that were sent, for which the worker is to get credit
}

// A messageReceiver is the worker's side of a WebSocket. The bytes that it is given stay
// the caller's.
type messageReceiver interface {
	// message gives it a part of a message.
	message(text bool, data []byte, more bool)
	// credit allows it to send so many more bytes.
	credit(bytes int64)
	// closed tells it of the end, unless it knows.
	closed(code int, reason []byte)
}

// A frameTransport carries the frames of a WebSocket.
type frameTransport interface {
	// accept answers the handshake with the fields that were agreed on.
	accept(fields []http1.Field) error
	// frames sends frames, which stay the caller's.
	frames(b []byte)
	// whenLow calls f once little of what was sent waits for the client: at once,
	// or from another goroutine.
	whenLow(f func())
	// pending reports whether frames wait for the client.
	pending() bool
	// finish ends the connection after what was sent.
	finish(keep bool)
	// kill ends the connection at once.
	kill()
	// wake wakes the reader.
	wake()
}

func newWebSocket(ex *exchange, request *websocket.Handshake, transport frameTransport, worker messageReceiver) *webSocket {
	sk := &webSocket{ex: ex, transport: transport, worker: worker, request: request, pace: socketPace()}
	sk.changed = sync.NewCond(&sk.mu)
	return sk
}

// obey acts on a reply of the worker, and reports whether it has taken the file over. The
// error says how the reply breaks the protocol.
func (sk *webSocket) obey(m *wire.Reply, file *os.File) (tookFile bool, err error) {
	switch m.Kind {
	case wire.ReplyAccept:
		if sk.ex.kind != wire.KindASGI {
			return true, sk.openForApp(m, file)
		}
		sk.openOrFail(m)
	case wire.ReplyMessage:
		return false, sk.sendMessage(m)
	case wire.ReplyClose:
		if app := sk.appSocket(); app != nil {
			app.endAfterRest(m.CloseCode, m.Body)
		} else if !sk.closeByApp(m.CloseCode, m.Body) {
			sk.ex.failWith(403)
		}
	default: // no other kind comes here
	}
	return false, nil
}

// openForApp accepts the handshake for an app that frames its messages itself, on the
// socket that came along. It takes the file over.
func (sk *webSocket) openForApp(m *wire.Reply, file *os.File) error {
	if file == nil { // this process has too many files open
		sk.ex.logNoFile()
		sk.ex.failWith(502)
		return nil
	}
	app, err := newAppSocket(sk, file)
	if errors.Is(err, errNoStream) {
		return err
	}
	if err != nil {
		sk.ex.s.log.Errorf("%s", err)
		sk.ex.failWith(502)
		return nil
	}
	sk.mu.Lock()
	sk.app, sk.worker, sk.window = app, app, wire.BodyWindow
	over := sk.state == webSocketClosed
	sk.mu.Unlock()
	if over { // the client has gone
		app.stop()
	}
	sk.openOrFail(m)
	go app.passOn()
	return nil
}

// appSocket returns the socket of an app that frames its messages itself, nil if there is none.
func (sk *webSocket) appSocket() *appSocket {
	sk.mu.Lock()
	defer sk.mu.Unlock()
	return sk.app
}

// openOrFail accepts the handshake, or answers it with an error page.
func (sk *webSocket) openOrFail(m *wire.Reply) {
	if err := sk.open(m); err != nil {
		sk.ex.badHead(err, false)
		sk.transport.finish(false)
		sk.worker.closed(websocket.CloseAbnormal, nil)
	}
}

// open accepts the handshake. After an error the caller has to answer the handshake with
// an error page.
func (sk *webSocket) open(m *wire.Reply) error {
	sk.mu.Lock()
	defer sk.mu.Unlock()
	if sk.state != webSocketAsked {
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
			fields = append(fields, f)
		}
	}
	fields = ex.appendRequestID(ex.appendAffinity(fields))
	deflate := ex.cfg.WebSocketCompression && sk.request.Window > 0
	fields = sk.request.AppendFields(fields, protocol, deflate)
	if err := sk.transport.accept(fields); err != nil {
		sk.setClosedLocked()
		sk.changed.Broadcast()
		sk.transport.wake()
		return err
	}
	sk.dec.MaxMessage = int64(ex.cfg.WebSocketMaxMessageSize)
	sk.dec.Deflate = deflate
	if deflate {
		sk.enc.Window = sk.request.Window
	}
	sk.state = webSocketOpen
	t := now()
	sk.heard, sk.pingTime = t, t
	ex.status, ex.responseFields = 101, fields
	ex.s.accessLog.record(ex)
	ex.responseFields = ex.responseFields[:0] // they are parts of a message whose buffer is about to be reused
	sk.changed.Broadcast()
	sk.transport.wake()
	return nil
}

// sendMessage sends a part of a message to the client.
func (sk *webSocket) sendMessage(m *wire.Reply) error {
	sk.mu.Lock()
	defer sk.mu.Unlock()
	if sk.state == webSocketOpen && sk.unacked.Load() >= wire.ResponseWindow {
		return errResponseWindow
	}
	sk.sendPartLocked(m.Text, m.Body, m.More)
	return nil
}

// sendPart is sendMessage for an app that frames its messages itself.
func (sk *webSocket) sendPart(text bool, data []byte, more bool) {
	sk.mu.Lock()
	defer sk.mu.Unlock()
	sk.sendPartLocked(text, data, more)
}

// +checklocks:sk.mu
func (sk *webSocket) sendPartLocked(text bool, data []byte, more bool) {
	if sk.state != webSocketOpen {
		return
	}
	b := messages.Get().(*[]byte)
	frame := sk.enc.AppendPart((*b)[:0], text, data, !more)
	sk.account(&sk.encHeld, sk.enc.Held())
	sk.transport.frames(frame)
	if cap(frame) <= maxPooled {
		*b = frame[:0]
		messages.Put(b)
	}
	sk.countSentLocked(len(data))
}

// countSentLocked counts what was sent, for which the worker is to get credit.
// +checklocks:sk.mu
func (sk *webSocket) countSentLocked(bytes int) {
	if sk.unacked.Add(int64(bytes+wire.PartCost)) >= creditAfter {
		sk.transport.whenLow(sk.sendCredit)
	}
}

// pingByApp passes on a ping of an app that frames its messages itself.
func (sk *webSocket) pingByApp(data []byte) {
	sk.mu.Lock()
	defer sk.mu.Unlock()
	if sk.state != webSocketOpen {
		return
	}
	sk.appPing = append(make([]byte, 0, len(data)), data...)
	sk.transport.frames(websocket.AppendPing(nil, data))
	sk.countSentLocked(len(data))
}

// sendCredit gives the worker credit for what the client has taken, and sends the pong that
// waits. It is called when little waits for the client; the mutex may be held.
func (sk *webSocket) sendCredit() {
	if n := sk.unacked.Swap(0); n > 0 {
		sk.worker.credit(n)
	}
	if sk.pongWaits.Load() {
		go sk.pongLater()
	}
}

// addCredit enlarges the window for what the client sends. It reports false if the window
// would be larger than any may be.
func (sk *webSocket) addCredit(bytes int64) bool {
	sk.mu.Lock()
	defer sk.mu.Unlock()
	if bytes > wire.BodyWindow-sk.window {
		return false
	}
	sk.window += bytes
	sk.changed.Broadcast()
	return true
}

// refuseHandshake closes a WebSocket whose handshake was not answered yet, so that it can
// be answered with another response. It reports false if it was answered.
func (sk *webSocket) refuseHandshake() bool {
	sk.mu.Lock()
	defer sk.mu.Unlock()
	was := sk.state
	if was == webSocketAsked {
		sk.setClosedLocked()
		sk.changed.Broadcast()
		sk.transport.wake()
	}
	return was == webSocketAsked
}

// closeByApp closes the connection because the app says so. It reports false if the
// handshake was not accepted: then the caller has to refuse it.
func (sk *webSocket) closeByApp(code int, reason []byte) bool {
	if sk.refuseHandshake() {
		return false
	}
	sk.mu.Lock()
	defer sk.mu.Unlock()
	if sk.state == webSocketOpen {
		sk.closeLocked(code, reason)
	}
	return true
}

// fail closes the connection because the app, or its worker, cannot go on. It reports
// false if the handshake was not accepted: then the caller has to answer it with an
// error.
func (sk *webSocket) fail() bool {
	if sk.refuseHandshake() {
		return false
	}
	if app := sk.appSocket(); app != nil {
		app.endAfterRest(websocket.CloseInternalError, nil)
		return sk.ex.status == 101
	}
	sk.mu.Lock()
	defer sk.mu.Unlock()
	switch sk.state {
	case webSocketClosed:
		return sk.ex.status == 101
	case webSocketOpen:
		sk.closeLocked(websocket.CloseInternalError, nil)
	default: // it is on its way already
	}
	return true
}

// isAccepted reports whether the handshake was accepted and the connection is not closed.
func (sk *webSocket) isAccepted() bool {
	sk.mu.Lock()
	defer sk.mu.Unlock()
	return sk.state == webSocketOpen || sk.state == webSocketClosing
}
