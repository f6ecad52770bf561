package front

import (
	"time"

	"indrik/internal/http2"
)

// Frames that cost a client little and the server more are limited by how many
// come beyond what a client has reason to send: CVE-2019-9511 to 9518, 2023-44487
// (rapid reset), 2023-45288 (CONTINUATION), 2025-8671 (made you reset).
const (
	// idleFrames is how many frames that ask for nothing a connection may send at
	// once, idleRate how many a second after that.
	idleFrames = 10000
	idleRate   = 100
	// A request is a reason for some PRIORITY and CONTINUATION frames, and each
	// bytesPerUpdate of a response for a WINDOW_UPDATE.
	framesPerRequest = 8
	bytesPerUpdate   = 256
	// resets and resetRate are the same for streams that end by RST_STREAM: the
	// client's, or one that it made the server send.
	resets    = 1000
	resetRate = 50
)

// floodLimits are the limits of one connection. They are guarded by its mutex.
type floodLimits struct {
	idle  tokenBucket
	reset tokenBucket
	small tokenBucket // DATA frames of a few bytes
}

func (l *floodLimits) init(t int64) {
	l.idle = tokenBucket{burst: idleFrames, rate: idleRate, refilled: t}
	l.small = piecePace()
	l.reset = tokenBucket{burst: resets, rate: resetRate, refilled: t}
}

// allow counts what has come from the client, and reports whether the connection may go on,
// and after which pause.
func (l *floodLimits) allow(ev *http2.Event, t int64) (pause time.Duration, ok bool) {
	ok = true
	if ev.ByUs {
		ok = l.reset.take(t)
	}
	if !ev.First {
		return 0, ok
	}
	switch ev.Frame {
	case http2.FrameHeaders:
		l.idle.refund(framesPerRequest)
	case http2.FrameData:
		switch {
		case ev.Ended:
		case ev.Size == 0:
			ok = l.idle.take(t) && ok
		case ev.Size < smallPiece:
			pause = l.small.spend(t, 1)
		}
	case http2.FrameReset:
		ok = l.reset.take(t) && ok
	default:
		ok = l.idle.take(t) && ok
	}
	return pause, ok
}

// countSent counts a DATA frame of the server with so many bytes.
func (l *floodLimits) countSent(n int) { l.idle.refund(1 + int64(n)/bytesPerUpdate) }
