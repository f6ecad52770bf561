package front

import (
	"os"
	"time"

	"indrik/internal/dispatch"
	"indrik/internal/errlog"
	"indrik/internal/wire"
)

// This file implements what package dispatch needs: of an exchange, besides its message
// (message.go) and the client's worker (affinity.go), and of this process.

// A host implements [dispatch.Host] for this process.
type host struct {
	*errlog.Log
	send func(wire.FromFront)
	died func(age int, ran []dispatch.Ran)
}

// Send implements [dispatch.Host].
func (h host) Send(m wire.FromFront) { h.send(m) }

// submit gives a request to a worker, unless the server answers it by itself. The time is
// now, or has just been.
func (s *server) submit(ex *exchange, at time.Time) {
	if len(ex.cfg.healthPath) > 0 && s.answerHealth(ex) {
		return
	}
	if s.isQuarantined(ex) {
		ex.Fail(503)
		return
	}
	if m := s.metrics.Load(); m != nil && ex.body != nil {
		m.Receive(ex.body.size)
	}
	s.queue.Submit(&ex.Job, at)
}

// Reply implements [dispatch.Request].
func (ex *exchange) Reply(m *wire.Reply, file *os.File, came time.Time, more bool) (tookFile bool, err error) {
	ex.more = more
	switch {
	case m.Kind == wire.ReplyAccept, m.Kind == wire.ReplyMessage, m.Kind == wire.ReplyClose:
		return ex.replyWebSocket(m, file, came)
	case ex.IsMultiplexed():
		return ex.replyMultiplexed(m, file, came)
	}
	return ex.reply(m, file, came), nil
}

// replyWebSocket acts on a message about a WebSocket connection.
func (ex *exchange) replyWebSocket(m *wire.Reply, file *os.File, came time.Time) (tookFile bool, err error) {
	if ex.bytes != nil {
		ex.Release()
	}
	ex.heard = came
	tookFile, err = ex.webSocket.obey(m, file)
	if m.Kind == wire.ReplyAccept && ex.webSocket.isAccepted() {
		ex.s.queue.SetWait(&ex.Job, dispatch.ForFrames, true)
	}
	return tookFile, err
}

// reply acts on a message about the response that workers of all kinds send, and reports
// whether it has taken the file over.
func (ex *exchange) reply(m *wire.Reply, file *os.File, came time.Time) (tookFile bool) {
	if ex.bytes != nil {
		ex.Release()
	}
	ex.heard = came
	switch m.Kind {
	case wire.ReplyResponse:
		ex.replied = came
		ex.respond(m)
	case wire.ReplyStart:
		ex.startResponse(m)
	case wire.ReplyChunk:
		ex.sendChunk(m.Body)
	case wire.ReplyEnd:
		ex.endResponse()
	case wire.ReplyFile:
		ex.sendFile(m, file)
		return true
	case wire.ReplyError:
		ex.failWith(500)
	default: // not what a worker of any kind says
	}
	return false
}

// replyMultiplexed acts on a message of a multiplexed worker about the response.
func (ex *exchange) replyMultiplexed(m *wire.Reply, file *os.File, came time.Time) (tookFile bool, err error) {
	if m.Kind == wire.ReplyCredit {
		return false, ex.addBodyCredit(m.Count)
	}
	if (m.Kind == wire.ReplyChunk || m.Kind == wire.ReplyPart) && ex.unacked.Load() >= wire.ResponseWindow {
		return false, errResponseWindow
	}
	if m.Code != 0 {
		m.Status = statusOf(m.Code)
	}
	tookFile = ex.reply(m, file, came)
	switch m.Kind {
	case wire.ReplyStart, wire.ReplyChunk:
		ex.awaitAck(int64(len(m.Body)))
	case wire.ReplyPart:
		ex.awaitAck(ex.sendPart(m, file))
		tookFile = true
	case wire.ReplyTrailers:
		ex.sendTrailers(m)
	case wire.ReplyFail:
		ex.failWith(m.Code)
	default: // reply has acted on it
	}
	return tookFile, nil
}

// HintsLocked implements [dispatch.Request].
func (ex *exchange) HintsLocked(m *wire.Reply) { ex.sendHints(m) }

// Fail implements [dispatch.Request].
func (ex *exchange) Fail(status int) {
	ex.Release()
	ex.failWith(status)
}

// TimeOut implements [dispatch.Request].
func (ex *exchange) TimeOut(started bool) {
	switch {
	case !started:
		ex.Fail(504)
	case ex.webSocket == nil || !ex.webSocket.fail():
		ex.Kill()
	}
}

// Kill implements [dispatch.Request].
func (ex *exchange) Kill() {
	ex.cutSpan()
	ex.to.kill()
}

// Broken implements [dispatch.Request].
func (ex *exchange) Broken() bool { return ex.to.broken() }

// IsWebSocket implements [dispatch.Request].
func (ex *exchange) IsWebSocket() bool { return ex.webSocket != nil }

// LeaveLocked implements [dispatch.Request].
func (ex *exchange) LeaveLocked(after time.Duration) { ex.webSocket.leaveAt(now() + int64(after)) }

// IsStreaming implements [dispatch.Request].
func (ex *exchange) IsStreaming() bool { return ex.bodyStream != nil }

// DescribeLocked implements [dispatch.Request].
func (ex *exchange) DescribeLocked() dispatch.Description {
	if ex.webSocket != nil {
		return ex.webSocket.asked
	}
	return ex.describe()
}

func (ex *exchange) describe() dispatch.Description {
	return dispatch.Description{Method: string(ex.req.Method), Path: ex.reported(), RequestID: string(ex.requestID), Client: ex.ownClient()}
}
