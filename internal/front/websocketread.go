package front

import (
	"errors"

	"indrik/internal/websocket"
)

// This file is what a [socket] does with what its client sends. It is called by the
// goroutine that reads that.

// take acts on what the client has sent, all that is in b, and returns how much of
// that is done with. It waits while the worker wants no more. false: there is
// nothing more to be read.
func (sk *socket) take(b []byte) (int, bool) {
	taken := 0
	for {
		switch sk.ready() {
		case socketAsked:
			return taken, true
		case socketClosed:
			return taken, false
		default: // it is open, or waits for the answer to its close
		}
		n, ev, err := sk.dec.Next(b[taken:])
		taken += n
		sk.hold(&sk.decHeld, sk.dec.Held())
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
			sk.received(&ev)
		case websocket.Ping:
			sk.pong(ev.Data)
		case websocket.Pong:
			sk.answered()
		case websocket.Close:
			sk.closedBy(ev.Code, ev.Data)
			return taken, false
		}
	}
}

// slowDown waits if there were too many frames that ask for nothing.
func (sk *socket) slowDown(idle int) {
	d := sk.pace.spend(now(), idle)
	if d == 0 {
		return
	}
	sk.ex.s.slowings.slowed(sk.ex.s.log, sk.ex.from, "WebSocket frames that ask for nothing")
	pause(d, func() bool {
		sk.mu.Lock()
		defer sk.mu.Unlock()
		return sk.state == socketClosed
	})
}

// hold notes how much memory a part of the socket has.
func (sk *socket) hold(held *int, n int) {
	if n != *held {
		sk.ex.holder.Hold(int64(n - *held))
		*held = n
	}
}

// ready waits until the worker wants something, and returns the state.
func (sk *socket) ready() socketState {
	sk.mu.Lock()
	defer sk.mu.Unlock()
	for (sk.state == socketOpen || sk.parting) && sk.room <= 0 {
		sk.stalled = true
		sk.changed.Wait()
	}
	if sk.stalled {
		sk.stalled = false
		sk.heard = now() // what it said meanwhile is unread
	}
	return sk.state
}

// awaitAnswer waits until the app has answered the handshake.
func (sk *socket) awaitAnswer() {
	sk.mu.Lock()
	defer sk.mu.Unlock()
	for sk.state == socketAsked {
		sk.changed.Wait()
	}
}

// received passes a part of a message on to the worker.
func (sk *socket) received(ev *websocket.Event) {
	sk.mu.Lock()
	defer sk.mu.Unlock()
	if sk.state != socketOpen && !sk.parting || len(ev.Data) == 0 && !ev.Last {
		return
	}
	sk.room -= int64(len(ev.Data) + partCost)
	sk.peer.pass(ev.Text, ev.Data, !ev.Last)
}

// pong answers a ping. While other frames wait only the last one is answered (RFC
// 6455 section 5.5.3), so that a client that reads nothing cannot pile them up.
func (sk *socket) pong(data []byte) {
	sk.mu.Lock()
	defer sk.mu.Unlock()
	if sk.state != socketOpen {
		return
	}
	if sk.ponging.Load() || sk.line.waits() {
		sk.waiting = append(sk.waiting[:0], data...)
		if !sk.ponging.Swap(true) {
			sk.line.whenLow(sk.low)
		}
		return
	}
	sk.line.frames(websocket.AppendPong(nil, data))
}

func (sk *socket) pongLater() {
	sk.mu.Lock()
	defer sk.mu.Unlock()
	if sk.ponging.Swap(false) && sk.state == socketOpen {
		sk.line.frames(websocket.AppendPong(nil, sk.waiting))
	}
	sk.waiting = nil
}

func (sk *socket) answered() {
	sk.mu.Lock()
	defer sk.mu.Unlock()
	sk.pinged = 0
}

// closedBy acts on the client's close frame.
func (sk *socket) closedBy(code int, reason []byte) {
	sk.mu.Lock()
	defer sk.mu.Unlock()
	if sk.state == socketOpen {
		sk.line.frames(websocket.AppendClose(nil, code, reason))
		sk.peer.gone(code, reason)
	}
	if sk.state != socketClosed {
		sk.finish()
	}
}

// violated ends the connection of a client that broke the protocol.
func (sk *socket) violated(err error) {
	sk.mu.Lock()
	defer sk.mu.Unlock()
	var e *websocket.Error
	if !errors.As(err, &e) {
		e = &websocket.Error{Code: websocket.CloseInternalError, Text: err.Error()}
	}
	sk.ex.s.log.Debugf("WebSocket of ip=%s: %s", sk.ex.from.remote, e.Text)
	if sk.state == socketOpen {
		sk.end(e.Code, e.Text)
	}
	if sk.state != socketClosed {
		sk.finish()
	}
}

// lost is called when nothing can be read any more.
func (sk *socket) lost() {
	sk.mu.Lock()
	was := sk.state
	sk.over()
	sk.part()
	sk.dec.Release()
	sk.enc.Release()
	sk.mu.Unlock()
	switch was {
	case socketAsked:
		sk.ex.s.queue.CancelByClient(&sk.ex.Job)
	case socketOpen:
		sk.peer.gone(websocket.CloseAbnormal, nil)
		sk.line.kill()
	case socketClosing:
		sk.line.finish(false)
	default: // it was closed before
	}
}

// hears notes that the client said something.
func (sk *socket) hears() {
	sk.mu.Lock()
	sk.heard = now()
	sk.mu.Unlock()
}
