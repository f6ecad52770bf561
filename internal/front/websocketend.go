package front

import (
	"time"

	"indrik/internal/websocket"
)

// This file is how a [webSocket] ends, when the front, the app, or the time wants it to.

// closeLocked sends a close frame. The client's is awaited then.
// +checklocks:sk.mu
func (sk *webSocket) closeLocked(code int, reason []byte) {
	sk.transport.frames(websocket.AppendClose(nil, code, reason))
	sk.state, sk.since = webSocketClosing, now()
	sk.enc.Release()
	sk.changed.Broadcast()
}

// endLocked closes the connection on the front's own account, and tells the worker.
// +checklocks:sk.mu
func (sk *webSocket) endLocked(code int, reason string) {
	sk.closeLocked(code, []byte(reason))
	sk.worker.closed(code, []byte(reason))
}

// dismiss closes the connection of a client that is to go. It reports false if it is not
// open.
func (sk *webSocket) dismiss(code int, reason string) bool {
	sk.mu.Lock()
	defer sk.mu.Unlock()
	if sk.state != webSocketOpen {
		return false
	}
	sk.endLocked(code, reason)
	sk.finishLocked()
	sk.transport.wake()
	return true
}

// setClosedLocked ends the WebSocket: nothing more is sent or received.
// +checklocks:sk.mu
func (sk *webSocket) setClosedLocked() {
	sk.state = webSocketClosed
	if sk.leaveTimer != nil {
		sk.leaveTimer.Stop()
	}
	if sk.app != nil {
		sk.app.stop()
	}
}

// finishLocked ends the connection after the closing handshake, or without one.
// +checklocks:sk.mu
func (sk *webSocket) finishLocked() {
	sk.tellRestartLocked()
	sk.setClosedLocked()
	sk.enc.Release()
	sk.changed.Broadcast()
	sk.transport.finish(false)
}

// tellRestartLocked tells the worker that the connection has ended for a restart, if it
// has.
// +checklocks:sk.mu
func (sk *webSocket) tellRestartLocked() {
	if sk.restarting {
		sk.restarting = false
		sk.worker.closed(websocket.CloseServiceRestart, []byte(restart))
	}
}

// leaveAt makes the connection end at a time, for a restart. With 0 it stays.
func (sk *webSocket) leaveAt(at int64) {
	sk.mu.Lock()
	defer sk.mu.Unlock()
	if sk.state == webSocketClosed || at != 0 && sk.leaveTime != 0 && at >= sk.leaveTime {
		return
	}
	sk.leaveTime = at
	if sk.leaveTimer != nil {
		sk.leaveTimer.Stop()
	}
	if at != 0 {
		// The sweep would end all at once that are due within the same second.
		sk.leaveTimer = time.AfterFunc(time.Duration(at-now()), func() { sk.checkTimeouts(now()) })
	}
}

// checkTimeouts does what is due at t. It never waits.
func (sk *webSocket) checkTimeouts(t int64) {
	sk.mu.Lock()
	defer sk.mu.Unlock()
	cfg := sk.ex.cfg
	switch {
	case sk.state == webSocketClosing && t-sk.since > int64(closeWait):
		sk.finishLocked()
	case sk.state != webSocketOpen:
	case sk.leaveTime != 0 && t >= sk.leaveTime && !sk.enc.InMessage():
		sk.closeLocked(websocket.CloseServiceRestart, []byte(restart))
		sk.restarting = true
	case sk.pinged != 0 && !sk.awaitingCredit:
		if exceeds(time.Duration(t-max(sk.pinged, sk.heard)), cfg.webSocketPingTimeout) {
			sk.endLocked(websocket.CloseInternalError, "no answer to a ping")
			sk.finishLocked()
		}
	case exceeds(time.Duration(t-sk.pingTime), cfg.webSocketPingInterval) && sk.pinged == 0 && !sk.transport.pending():
		sk.transport.frames(websocket.AppendPing(nil, nil))
		sk.pinged, sk.pingTime = t, t
	}
}
