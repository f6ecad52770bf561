package front

import (
	"sync"
	"time"
)

// Frames that cost a client little and the server more are limited by how many
// come beyond what a client has reason to send: CVE-2019-9511 to 9518, 2023-44487
// (rapid reset), 2023-45288 (CONTINUATION), 2025-8671 (made you reset). net/http
// bounds what each of them can keep busy, but bears them for ever.
const (
	// idleFrames is how many frames that ask for nothing a connection may send at
	// once, idleRate how many a second after that.
	idleFrames = 10000
	idleRate   = 100
	// A request is a reason for some PRIORITY and CONTINUATION frames, and each
	// bytesPerUpdate of a response for a WINDOW_UPDATE.
	framesPerRequest = 8
	bytesPerUpdate   = 256
	// resets and resetRate are the same for streams that end by RST_STREAM, be it
	// the client's or one that it made the server send.
	resets    = 1000
	resetRate = 50
)

// An allowance is what may be taken at once, and grows with time up to that.
type allowance struct {
	most, rate int64 // rate: a second
	spent      int64
	since      int64 // as [now] has it, of the last whole one that grew
}

func (a *allowance) grow(t int64) {
	step := int64(time.Second) / a.rate
	if n := (t - a.since) / step; n > 0 {
		a.since += n * step
		a.give(n)
	}
}

func (a *allowance) take(t int64) bool {
	a.grow(t)
	a.spent++
	return a.spent <= a.most
}

func (a *allowance) give(n int64) { a.spent = max(0, a.spent-n) }

// floodLimits are the limits of one connection.
type floodLimits struct {
	mu    sync.Mutex // sent and received come from two goroutines
	idle  allowance
	reset allowance
	flood bool
	small allowance     // DATA frames of a few bytes
	wait  time.Duration // until the next read, for their sake
}

// pace is how long the next read is to wait.
func (l *floodLimits) pace() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.wait
	l.wait = 0
	return d
}

func (l *floodLimits) begin(t int64) {
	l.idle = allowance{most: idleFrames, rate: idleRate, since: t}
	l.small = piecePace()
	l.reset = allowance{most: resets, rate: resetRate, since: t}
}

// received notes a frame of the client; false if it is one too many.
func (l *floodLimits) received(f *frame, t int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch f.kind {
	case frameHeaders:
		l.idle.give(framesPerRequest)
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

// sent notes a frame of the server.
func (l *floodLimits) sent(f *frame, t int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch f.kind {
	case frameData:
		l.idle.give(1 + int64(f.data)/bytesPerUpdate)
	case frameReset:
		// NO_ERROR is that of an answer that came before the body's end.
		if f.code != 0 && !l.reset.take(t) {
			l.flood = true
		}
	}
}
