package front

import (
	"bytes"
	"errors"

	"indrik/internal/websocket"
	"indrik/internal/wire"
)

// This file is what a [webSocket] does with what its client sends. It is called by the
// goroutine that reads that.

// receive acts on all that the client has sent, which is in b, and returns how many bytes
// are done with. It waits while the worker gives no credit. It reports false if nothing
// more is to be read.
func (sk *webSocket) receive(b []byte) (int, bool) {
	taken := 0
	for {
		switch sk.awaitWindow() {
		case webSocketAsked:
			return taken, true
		case webSocketClosed:
			return taken, false
		default: // it is open, or waits for the answer to its close
		}
		n, ev, err := sk.dec.Next(b[taken:])
		taken += n
		sk.account(&sk.decHeld, sk.dec.Held())
		if idle := sk.dec.Idle(); idle > 0 {
			sk.slowDown(idle)
		}
		if err != nil {
			sk.violated(err)
			return taken, false
		}
		switch ev.Kind {
		case websocket.Nothing:
			return taken, true
		case websocket.Part:
			sk.forward(&ev)
		case websocket.Ping:
			sk.pong(ev.Data)
		case websocket.Pong:
			sk.ponged(ev.Data)
		case websocket.Close:
			sk.closedByClient(ev.Code, ev.Data)
			return taken, false
		}
	}
}

// slowDown sleeps if there were too many frames that ask for nothing.
func (sk *webSocket) slowDown(idle int) {
	d := sk.pace.spend(now(), idle)
	if d == 0 {
		return
	}
	sk.ex.s.slowings.slowed(sk.ex.s.log, sk.ex.info, "WebSocket frames that ask for nothing")
	sleepUnless(d, func() bool {
		sk.mu.Lock()
		defer sk.mu.Unlock()
		return sk.state == webSocketClosed
	})
}

// account accounts for n bytes of memory instead of the *held bytes of before.
func (sk *webSocket) account(held *int, n int) {
	if n != *held {
		sk.ex.holder.Hold(int64(n - *held))
		*held = n
	}
}

// awaitWindow waits until the window is open, and returns the state.
func (sk *webSocket) awaitWindow() webSocketState {
	sk.mu.Lock()
	defer sk.mu.Unlock()
	for (sk.state == webSocketOpen || sk.restarting) && sk.window <= 0 {
		sk.awaitingCredit = true
		sk.changed.Wait()
	}
	if sk.awaitingCredit {
		sk.awaitingCredit = false
		sk.heard = now() // what the client sent meanwhile is unread
	}
	return sk.state
}

// awaitAnswer waits until the app has answered the handshake.
func (sk *webSocket) awaitAnswer() {
	sk.mu.Lock()
	defer sk.mu.Unlock()
	for sk.state == webSocketAsked {
		sk.changed.Wait()
	}
}

// forward passes a part of a message on to the worker.
func (sk *webSocket) forward(ev *websocket.Event) {
	sk.mu.Lock()
	defer sk.mu.Unlock()
	if sk.state != webSocketOpen && !sk.restarting || len(ev.Data) == 0 && !ev.Last {
		return
	}
	sk.window -= int64(len(ev.Data) + wire.PartCost)
	sk.worker.message(ev.Text, ev.Data, !ev.Last)
}

// pong answers a ping. While other frames wait only the last one is answered (RFC
// 6455 section 5.5.3), so that a client that reads nothing cannot pile them up.
func (sk *webSocket) pong(data []byte) {
	sk.mu.Lock()
	defer sk.mu.Unlock()
	if sk.state != webSocketOpen {
		return
	}
	if sk.pongWaits.Load() || sk.transport.pending() {
		sk.pongData = append(sk.pongData[:0], data...)
		if !sk.pongWaits.Swap(true) {
			sk.transport.whenLow(sk.sendCredit)
		}
		return
	}
	sk.transport.frames(websocket.AppendPong(nil, data))
}

// pongLater sends the pong that waits.
func (sk *webSocket) pongLater() {
	sk.mu.Lock()
	defer sk.mu.Unlock()
	if sk.pongWaits.Swap(false) && sk.state == webSocketOpen {
		sk.transport.frames(websocket.AppendPong(nil, sk.pongData))
	}
	sk.pongData = nil
}

// ponged notes that the client has answered a ping.
func (sk *webSocket) ponged(data []byte) {
	sk.mu.Lock()
	defer sk.mu.Unlock()
	sk.pinged = 0
	if sk.appPing != nil && bytes.Equal(data, sk.appPing) {
		sk.appPing = nil
		sk.app.pong(data)
	}
}

// closedByClient acts on the client's close frame.
func (sk *webSocket) closedByClient(code int, reason []byte) {
	sk.mu.Lock()
	defer sk.mu.Unlock()
	if sk.state == webSocketOpen {
		sk.transport.frames(websocket.AppendClose(nil, code, reason))
		sk.worker.closed(code, reason)
	}
	if sk.state != webSocketClosed {
		sk.finishLocked()
	}
}

// violated closes the connection of a client that broke the protocol.
func (sk *webSocket) violated(err error) {
	sk.mu.Lock()
	defer sk.mu.Unlock()
	var e *websocket.Error
	if !errors.As(err, &e) {
		e = &websocket.Error{Code: websocket.CloseInternalError, Text: err.Error()}
	}
	sk.ex.s.log.Debugf("WebSocket of ip=%s: %s", sk.ex.info.remote, e.Text)
	if sk.state == webSocketOpen {
		sk.endLocked(e.Code, e.Text)
	}
	if sk.state != webSocketClosed {
		sk.finishLocked()
	}
}

// connectionLost is called when nothing can be read any more.
func (sk *webSocket) connectionLost() {
	sk.mu.Lock()
	was := sk.state
	sk.tellRestartLocked()
	sk.setClosedLocked()
	sk.dec.Release()
	sk.enc.Release()
	sk.mu.Unlock()
	switch was {
	case webSocketAsked:
		sk.ex.s.queue.CancelByClient(&sk.ex.Job)
	case webSocketOpen:
		sk.worker.closed(websocket.CloseAbnormal, nil)
		sk.transport.kill()
	case webSocketClosing:
		sk.transport.finish(false)
	default: // it was closed before
	}
}

// noteHeard notes that the client has sent something.
func (sk *webSocket) noteHeard() {
	sk.mu.Lock()
	sk.heard = now()
	sk.mu.Unlock()
}
