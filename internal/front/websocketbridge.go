package front

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"time"

	"indrik/internal/dispatch"
	"indrik/internal/http1"
	"indrik/internal/websocket"
	"indrik/internal/wire"
)

// This file joins a [webSocket] with the connection of HTTP/1 that it was, and with its
// worker.

// serveWebSocket serves a request for a WebSocket connection, and then the connection. It
// reports false for what is a request like any other to an app of WSGI: a handshake that is
// not valid.
func (c *conn) serveWebSocket(ex *exchange) bool {
	h, err := websocket.ParseHandshake(&c.req)
	if err != nil {
		if ex.kind != wire.KindASGI {
			return false
		}
		c.refuseWebSocket(err)
		return true
	}
	ex.closeAfter = true // also if the app refuses
	ex.webSocket = newWebSocket(ex, h, webSocketConn{c}, webSocketWorker{ex})
	if err := ex.encode(nil, -1); err != nil {
		ex.Release()
		c.giveUp(err)
		return true
	}
	ex.webSocket.asked, ex.webSocket.client = ex.describe(), ex.clientAddr()
	if c.s.isDraining() {
		ex.webSocket.leaveAt(now())
	}
	c.webSocket.Store(ex.webSocket)
	c.enter(running)
	c.s.submit(ex, time.Now())
	c.readWebSocket(ex.webSocket)
	return true
}

// refuseWebSocket answers a handshake that is not valid.
func (c *conn) refuseWebSocket(err error) {
	status := handshakeStatus(err)
	c.s.log.Warnf("Invalid request from ip=%s: WebSocket handshake: %s%s", c.info.remote, err, c.ex.idForLog())
	var fields []http1.Field
	if status == 426 {
		fields = upgradeFields
	}
	reason := http.StatusText(status)
	c.ex.logRefusal(status, len(http1.ErrorBody(reason, err.Error())))
	c.answerError(status, reason, err.Error(), c.ex.appendRequestID(fields)...)
}

// handshakeStatus returns the status that answers a handshake with that error.
func handshakeStatus(err error) int {
	var refusal *websocket.HandshakeError
	if errors.As(err, &refusal) {
		return refusal.Status
	}
	return 400
}

// upgradeFields are the fields of a response that asks for another version of WebSocket
// (RFC 6455 section 4.2.2, RFC 9110 sections 7.8 and 15.5.22).
var upgradeFields = []http1.Field{
	{Name: []byte("Connection"), Value: []byte("Upgrade")},
	{Name: []byte("Upgrade"), Value: []byte("websocket")},
	{Name: []byte("Sec-WebSocket-Version"), Value: []byte("13")},
}

// fieldsForApp returns the fields of a handshake for an app that answers it itself, and
// frames its messages: one of HTTP/1 (RFC 6455 section 4.1), whatever the client has sent.
// Compression is not the app's.
func (sk *webSocket) fieldsForApp(fields []http1.Field) []http1.Field {
	fields = slices.DeleteFunc(fields, func(f http1.Field) bool { return bytes.EqualFold(f.Name, extensionsField) })
	if sk.request.Key != nil {
		return fields
	}
	var key [16]byte
	_, _ = rand.Read(key[:]) // it does not fail
	return append(fields,
		http1.Field{Name: []byte("Upgrade"), Value: []byte("websocket")},
		http1.Field{Name: []byte("Connection"), Value: []byte("Upgrade")},
		http1.Field{Name: []byte("Sec-WebSocket-Key"), Value: base64.StdEncoding.AppendEncode(nil, key[:])},
	)
}

var extensionsField = []byte("Sec-WebSocket-Extensions")

// readWebSocket reads what the client sends until the connection is over.
func (c *conn) readWebSocket(sk *webSocket) {
	defer func() {
		sk.dec.Release()
		sk.account(&sk.decHeld, sk.dec.Held())
	}()
	for {
		n, more := sk.receive(c.buf[c.r:c.w])
		c.r += n
		if !more {
			return
		}
		accepted := sk.isAccepted()
		c.betweenFrames = accepted && !sk.dec.InFrame()
		if accepted && c.r == c.w {
			c.r, c.w = 0, 0
		}
		if c.w == len(c.buf) && c.buf != nil {
			if !accepted {
				// The client sends more than it should before the answer.
				sk.awaitAnswer()
				continue
			}
			c.growBuffer(sk.ex.cfg)
		}
		err := c.read()
		if err == nil {
			sk.noteHeard()
		} else if !isTimeout(err) {
			sk.connectionLost()
			return
		}
	}
}

// A webSocketConn is an HTTP/1 connection. It implements frameTransport.
type webSocketConn struct{ *conn }

func (c webSocketConn) accept(fields []http1.Field) error {
	cfg := c.ex.cfg
	h := http1.Head{Server: cfg.serverHeader, NoServer: cfg.noServerHeader, Date: date(time.Now()), Fields: fields}
	b, err := http1.AppendUpgrade(nil, "websocket", &h)
	if err == nil {
		c.out.Write(b)
	}
	return err
}

func (c webSocketConn) frames(b []byte) { c.out.Write(b) }

func (c webSocketConn) pending() bool { return c.out.IsWriting() }

// A webSocketWorker sends events to the worker of an exchange. It implements
// messageReceiver.
type webSocketWorker struct{ ex *exchange }

func (w webSocketWorker) message(text bool, data []byte, more bool) {
	event := messages.Get().(*[]byte)
	*event = wire.AppendMessage((*event)[:0], w.ex.ID(), text, data, more)
	w.ex.Send(w.ex.holder, *event)
	messages.Put(event)
}

func (w webSocketWorker) credit(bytes int64) {
	w.ex.Send(nil, wire.AppendCredit(nil, w.ex.ID(), bytes))
}

func (w webSocketWorker) closed(code int, reason []byte) {
	w.ex.SendGone(wire.AppendClosed(nil, w.ex.ID(), code, reason))
}

// leaveInTurn ends WebSockets one after the other, within the last drainWindow of the time
// drainMax for which they may stay.
func leaveInTurn(sks []*webSocket, drainMax, drainWindow time.Duration) {
	t := now()
	for i, d := range dispatch.LeaveDelays(len(sks), drainMax, drainWindow) {
		sks[i].leaveAt(t + int64(d))
	}
}

const (
	// leaveEach is how long after one WebSocket the next one leaves if no client comes back
	// here, and leaveMost how long that takes for all of them: enough for the app to end
	// that many, and little compared to the ten seconds after which many supervisors kill.
	leaveEach = 2 * time.Millisecond
	leaveMost = 3 * time.Second
)

// leaveWebSockets ends all WebSockets because the server ends. That takes up to half of
// the graceful time-out; the rest is for what the apps do then. If clients come back, to
// the server that follows on the same listening sockets, they do so over the drain
// window.
func (s *server) leaveWebSockets(comeBack bool) {
	var sks []*webSocket
	for _, c := range s.all() {
		sks = append(sks, c.webSockets()...)
	}
	cfg := s.config()
	window := min(seconds(cfg.WebSocketDrainWindow), seconds(cfg.GracefulTimeout)/2)
	if !comeBack {
		window = min(window, time.Duration(max(0, len(sks)-1))*leaveEach, leaveMost)
	}
	leaveInTurn(sks, window, window)
}

// keepWebSockets takes leaveWebSockets back.
func (s *server) keepWebSockets() {
	for _, c := range s.all() {
		for _, sk := range c.webSockets() {
			sk.leaveAt(0)
		}
	}
}
