package front

import (
	"time"

	"indrik/internal/errlog"
)

// What a client sends that asks for nothing, or for next to nothing, costs it little and
// this process more. It is read no faster than below: whoever sends more waits, and not
// those who want the processor for something else. HTTP/2 has bounds besides, beyond
// which a connection is closed; see http2flood.go.
const (
	// Frames of WebSocket: pings, pongs, fragments that are empty or tiny.
	idleSocketFrames = 500
	idleSocketRate   = 100 // a second
	// Chunks of a body of HTTP/1, and DATA frames of HTTP/2, of a few bytes.
	smallPieces    = 10000
	smallPieceRate = 20000 // a second
	smallPiece     = 16    // bytes; fewer are few
	// paceLook is how often somebody who waits looks whether that is of use.
	paceLook = 100 * time.Millisecond
)

func socketPace() allowance {
	return allowance{most: idleSocketFrames, rate: idleSocketRate, since: now()}
}

func piecePace() allowance {
	return allowance{most: smallPieces, rate: smallPieceRate, since: now()}
}

// spend takes n at once, and returns how long it takes until as much has grown again as
// was too much.
func (a *allowance) spend(t int64, n int) time.Duration {
	a.grow(t)
	a.spent += int64(n)
	return time.Duration(max(0, a.spent-a.most)) * time.Second / time.Duration(a.rate)
}

// pause waits for d, or until over says that it need not.
func pause(d time.Duration, over func() bool) {
	for end := time.Now().Add(d); !over(); {
		left := time.Until(end)
		if left <= 0 {
			return
		}
		time.Sleep(min(left, paceLook))
	}
}

// slowed tells the operator who is read more slowly.
func (c *complaint) slowed(log *errlog.Log, o *origin, what string) {
	c.say(log, "Reading "+o.name()+" more slowly: it sends too many "+what)
}
