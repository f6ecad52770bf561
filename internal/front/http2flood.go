package front

import (
	"sync"
	"time"
)

// Frames that cost a client little and the server more are limited by how many
// come beyond what a client has reason to send: CVE-2019-9511 to 9518, 2023-44487
// (rapid reset), 2023-45288 (CONTINUATION), 2025-8671 (made you reset). net/http
// bounds what each of them can keep busy, but never ends a connection for them.
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

// floodLimits are the limits of one connection.
type floodLimits struct {
	mu    sync.Mutex // frames are counted by two goroutines, one each way
	idle  tokenBucket
	reset tokenBucket
	// +checklocks:mu
	flood bool
	small tokenBucket // DATA frames of a few bytes
	// +checklocks:mu
	wait time.Duration // until the next read, because of them
}

// takeWait returns how long the next read has to wait, once.
func (l *floodLimits) takeWait() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.wait
	l.wait = 0
	return d
}

func (l *floodLimits) init(t int64) {
	l.idle = tokenBucket{burst: idleFrames, rate: idleRate, refilled: t}
	l.small = piecePace()
	l.reset = tokenBucket{burst: resets, rate: resetRate, refilled: t}
}

// allow counts a frame of the client, and reports whether the connection may go on.
func (l *floodLimits) allow(f *frame, t int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch f.kind {
	case frameHeaders:
		l.idle.refund(framesPerRequest)
	case frameData:
		if f.data == 0 && f.flags&flagEndStream == 0 && !l.idle.take(t) {
			l.flood = true
		}
		if 0 < f.data && f.data < smallPiece && f.flags&flagEndStream == 0 {
			l.wait = l.small.spend(t, 1)
		}
	case frameReset:
		if !l.reset.take(t) {
			l.flood = true
		}
	default:
		if !l.idle.take(t) {
			l.flood = true
		}
	}
	return !l.flood
}

// countSent counts a frame of the server.
func (l *floodLimits) countSent(f *frame, t int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch f.kind {
	case frameData:
		l.idle.refund(1 + int64(f.data)/bytesPerUpdate)
	case frameReset:
		// NO_ERROR ends the body of a request that was answered before its end.
		if f.code != 0 && !l.reset.take(t) {
			l.flood = true
		}
	}
}
