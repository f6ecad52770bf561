package front

import (
	"errors"

	"indrik/internal/dispatch"
	"indrik/internal/wire"
)

// This file is about the flow control between a multiplexed worker and a client: how much
// of a response, and of a body, may be on its way (docs/protocol.md).

// creditAfter is how many bytes of a response must have gone to the client for the
// worker to be told. It is less than the window by far.
const creditAfter = 64 << 10

var (
	errBodyWindow     = errors.New("it asked for more of a body than it may have on the way")
	errResponseWindow = errors.New("it sent more of a response than it may have on the way")
)

// addBodyCredit is called when the worker gives credit for more of what the client sends.
func (ex *exchange) addBodyCredit(bytes int64) error {
	var within bool
	if ex.bodyStream != nil {
		within = ex.bodyStream.addCredit(bytes)
	} else {
		within = ex.webSocket.addCredit(bytes)
	}
	if !within {
		return errBodyWindow
	}
	return nil
}

// awaitAck records bytes of a response that are on their way to the client. Once they
// have gone the worker gets the credit back.
func (ex *exchange) awaitAck(n int64) {
	unacked := ex.unacked.Add(n)
	if unacked >= wire.ResponseWindow && !ex.full.Swap(true) {
		ex.s.queue.SetWait(&ex.Job, dispatch.ForReader, true)
	}
	if unacked >= creditAfter {
		ex.to.whenLow(ex.sendCredit)
	}
}

// sendCredit gives the worker credit for what has gone to the client.
func (ex *exchange) sendCredit() {
	n := ex.unacked.Swap(0)
	if ex.full.Swap(false) {
		ex.s.queue.SetWait(&ex.Job, dispatch.ForReader, false)
	}
	if n > 0 {
		ex.Send(nil, wire.AppendCredit(nil, ex.ID(), n))
	}
}
