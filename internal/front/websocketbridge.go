package front

import (
	"bytes"
	"errors"
	"time"

	"indrik/internal/dispatch"
	"indrik/internal/http1"
	"indrik/internal/websocket"
	"indrik/internal/wire"
)

// This file joins a [socket] with the connection of HTTP/1 that it was, and with its
// worker.

// serveSocket serves a request for a WebSocket connection, and then that.
func (c *conn) serveSocket(ex *exchange) {
	h, err := websocket.ParseHandshake(&c.req)
	if err != nil {
		c.refuseSocket(err)
		return
	}
	ex.last = true // also when it is refused
	ex.socket = newSocket(ex, h, socketConn{c}, socketWorker{ex})
	if err := ex.pack(nil, -1); err != nil {
		ex.Release()
		c.giveUp(err)
		return
	}
	if c.s.isDraining() {
		ex.socket.leave(now())
	}
	c.socket.Store(ex.socket)
	c.enter(running)
	c.s.submit(ex, time.Now())
	c.readSocket(ex.socket)
}

// refuseSocket answers a handshake that is none.
func (c *conn) refuseSocket(err error) {
	status := 400
	var refusal *websocket.HandshakeError
	if errors.As(err, &refusal) {
		status = refusal.Status
	}
	c.s.log.Warnf("Invalid request from ip=%s: WebSocket handshake: %s", c.origin.remote, err)
	page := http1.AppendErrorPage(nil, status, socketRefusals[status], err.Error(), date(time.Now()))
	if status == 426 {
		// RFC 6455 section 4.2.2, and RFC 9110 sections 7.8 and 15.5.22.
		page = bytes.Replace(page, []byte("Connection: close\r\n"),
			[]byte("Connection: close, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"), 1)
	}
	_, body, _ := bytes.Cut(page, []byte("\r\n\r\n"))
	c.ex.logRefusal(status, len(body))
	c.answer(page)
}

var socketRefusals = map[int]string{400: "Bad Request", 426: "Upgrade Required"}

// readSocket reads what the client sends until the connection is over.
func (c *conn) readSocket(sk *socket) {
	defer func() {
		sk.dec.Release()
		sk.hold(&sk.decHeld, sk.dec.Held())
	}()
	for {
		n, more := sk.take(c.buf[c.r:c.w])
		c.r += n
		if !more {
			return
		}
		accepted := sk.isAccepted()
		c.resting = accepted && !sk.dec.InFrame()
		if accepted && c.r == c.w {
			c.r, c.w = 0, 0
		}
		if c.w == len(c.buf) && c.buf != nil {
			if !accepted {
				// It says more than it should before the answer.
				sk.awaitAnswer()
				continue
			}
			c.makeRoom(sk.ex.cfg)
		}
		err := c.fill()
		if err == nil {
			sk.hears()
		} else if !isTimeout(err) {
			sk.lost()
			return
		}
	}
}

// A socketConn is a connection of HTTP/1 as what carries a socket.
type socketConn struct{ *conn }

func (c socketConn) accept(fields []http1.Field) error {
	cfg := c.ex.cfg
	h := http1.Head{Server: cfg.serverHeader, NoServer: cfg.noServerHeader, Date: date(time.Now()), Fields: fields}
	b, err := http1.AppendUpgrade(nil, "websocket", &h)
	if err == nil {
		c.out.Write(b)
	}
	return err
}

func (c socketConn) frames(b []byte) { c.out.Write(b) }

func (c socketConn) waits() bool { return c.out.IsWriting() }

// A socketWorker is the worker of a socket.
type socketWorker struct{ ex *exchange }

func (w socketWorker) pass(text bool, data []byte, more bool) {
	event := messages.Get().(*[]byte)
	*event = wire.AppendMessage((*event)[:0], w.ex.ID(), text, data, more)
	w.ex.Send(w.ex.holder, *event)
	messages.Put(event)
}

func (w socketWorker) grant(bytes int64) {
	w.ex.Send(nil, wire.AppendCredit(nil, w.ex.ID(), bytes))
}

func (w socketWorker) gone(code int, reason []byte) {
	w.ex.SendGone(wire.AppendClosed(nil, w.ex.ID(), code, reason))
}

// leaveSockets ends sockets one after the other, within the last drainWindow of the time
// drainMax for which they may stay.
func leaveSockets(sks []*socket, drainMax, drainWindow time.Duration) {
	t := now()
	for i, d := range dispatch.LeaveDelays(len(sks), drainMax, drainWindow) {
		sks[i].leave(t + int64(d))
	}
}

const (
	// leaveEach is how long after one socket the next one leaves where no client comes back
	// here, and leaveMost how long that takes at most: enough for the app to end so many,
	// and little beside the ten seconds after which many supervisors kill.
	leaveEach = 2 * time.Millisecond
	leaveMost = 3 * time.Second
)

// leaveSockets ends all of them because the server ends: half of the time that it
// takes at most is for that, the rest for what the apps then do. If clients come back,
// to the server that follows on the same sockets, they do so over the drain window.
func (s *server) leaveSockets(comeBack bool) {
	var sks []*socket
	for _, c := range s.all() {
		if sk := c.socket.Load(); sk != nil {
			sks = append(sks, sk)
		}
	}
	cfg := s.config()
	window := min(seconds(cfg.WebSocketDrainWindow), seconds(cfg.GracefulTimeout)/2)
	if !comeBack {
		window = min(window, time.Duration(max(0, len(sks)-1))*leaveEach, leaveMost)
	}
	leaveSockets(sks, window, window)
}

// staySockets takes leaveSockets back.
func (s *server) staySockets() {
	for _, c := range s.all() {
		if sk := c.socket.Load(); sk != nil {
			sk.leave(0)
		}
	}
}
