package front

import (
	"time"
)

// What asks for nothing, or for next to nothing, costs a client little to send and this
// process more to read. It is read no faster than the rates below: a client that sends
// more waits, instead of those who need the processor for something else. HTTP/2 has
// other bounds besides, beyond which a connection is closed; see http2flood.go.
const (
	// Frames of WebSocket: pings, pongs, fragments that are empty or tiny.
	idleSocketFrames = 500
	idleSocketRate   = 100 // a second
	// Chunks of a body of HTTP/1, and DATA frames of HTTP/2, of a few bytes.
	smallPieces    = 10000
	smallPieceRate = 20000 // a second
	smallPiece     = 16    // bytes; fewer are a few
	// paceCheck is how often a reader that waits checks whether it still has to.
	paceCheck = 100 * time.Millisecond
)

func socketPace() tokenBucket {
	return tokenBucket{burst: idleSocketFrames, rate: idleSocketRate, refilled: now()}
}

func piecePace() tokenBucket {
	return tokenBucket{burst: smallPieces, rate: smallPieceRate, refilled: now()}
}

// sleepUnless sleeps for d, or until ended reports true.
func sleepUnless(d time.Duration, ended func() bool) {
	for end := now() + int64(d); !ended(); {
		rest := time.Duration(end - now())
		if rest <= 0 {
			return
		}
		time.Sleep(min(rest, paceCheck))
	}
}
