package front

import (
	"fmt"
	"sync/atomic"
	"time"
)

// rateWindow is the time over which the rate of a body is measured.
const rateWindow = 20 * time.Second

// A bodyRate measures how fast a body comes in, and says when that is too slow. The
// goroutine that reads the body counts the bytes; the deadline sweep, or a timer,
// measures.
type bodyRate struct {
	bytes     atomic.Int64
	tooSlow   atomic.Pointer[statusError] // what the request is ended with, once the body is too slow
	answering atomic.Bool                 // the app has begun to answer: it sets the pace

	// Of measure; start sets them while nobody measures.
	begin  atomic.Int64 // of the body, as [now] has it
	window atomic.Int64 // when the window began
	before atomic.Int64 // bytes before the window
}

// start begins to measure another body.
func (r *bodyRate) start() {
	t := now()
	r.bytes.Store(0)
	r.tooSlow.Store(nil)
	r.answering.Store(false)
	r.begin.Store(t)
	r.window.Store(t)
	r.before.Store(0)
}

// measure sets tooSlow, and reports true, once the body has taken longer than it may: all
// of it longer than body_timeout, or a window with fewer bytes than body_min_rate gives.
// Client and app may talk with each other at any pace, so the rate does not count once
// the app answers.
func (r *bodyRate) measure(t int64, cfg *config) bool {
	if limit := cfg.bodyTimeout; limit > 0 && t-r.begin.Load() > int64(limit) {
		r.tooSlow.Store(&statusError{code: 408, cut: fmt.Sprintf("its body is not complete after body_timeout (%s)", limit)})
		return true
	}
	if d := t - r.window.Load(); cfg.BodyMinRate > 0 && d >= int64(rateWindow) {
		bytes := r.bytes.Load()
		if n := bytes - r.before.Load(); n < int64(cfg.BodyMinRate)*d/int64(time.Second) && !r.answering.Load() {
			r.tooSlow.Store(&statusError{code: 408, cut: fmt.Sprintf("%d bytes of its body in %s are less than body_min_rate (%d a second)",
				n, time.Duration(d).Round(time.Second), cfg.BodyMinRate)})
			return true
		}
		r.window.Store(t)
		r.before.Store(bytes)
	}
	return false
}

// pause takes out of the measurement a time in which the client was not read.
func (r *bodyRate) pause(d int64) {
	r.begin.Add(d)
	r.window.Add(d)
}
