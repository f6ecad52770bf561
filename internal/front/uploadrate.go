package front

import (
	"fmt"
	"sync/atomic"
	"time"
)

// rateWindow is over which time the rate of a body is measured.
const rateWindow = 20 * time.Second

// An upload is how a body comes in, for who has to judge whether that is too
// slow.
type upload struct {
	bytes     atomic.Int64
	slow      atomic.Pointer[statusError] // what it is ended with
	answering atomic.Bool                 // the app has begun to answer: it sets the pace

	// Of the judge; begin sets them while nobody judges.
	start  atomic.Int64 // as [now] has it
	window atomic.Int64 // the same, of the window
	before atomic.Int64 // bytes before the window
}

func (u *upload) begin() {
	t := now()
	u.bytes.Store(0)
	u.slow.Store(nil)
	u.answering.Store(false)
	u.start.Store(t)
	u.window.Store(t)
	u.before.Store(0)
}

// judge reports whether the body has taken longer than it may, all of it longer than
// body_timeout, or a window with fewer bytes than body_min_rate gives, and notes what
// it is ended with. Client and app may talk with each other at any pace: so the rate
// does not count once the app answers.
func (u *upload) judge(t int64, cfg *config) bool {
	if most := cfg.bodyTimeout; most > 0 && t-u.start.Load() > int64(most) {
		u.slow.Store(&statusError{code: 408, cut: fmt.Sprintf("its body is not complete after body_timeout (%s)", most)})
		return true
	}
	if d := t - u.window.Load(); cfg.BodyMinRate > 0 && d >= int64(rateWindow) {
		bytes := u.bytes.Load()
		if n := bytes - u.before.Load(); n < int64(cfg.BodyMinRate)*d/int64(time.Second) && !u.answering.Load() {
			u.slow.Store(&statusError{code: 408, cut: fmt.Sprintf("%d bytes of its body in %s are less than body_min_rate (%d a second)",
				n, time.Duration(d).Round(time.Second), cfg.BodyMinRate)})
			return true
		}
		u.window.Store(t)
		u.before.Store(bytes)
	}
	return false
}

// excuse makes up for a time in which the client was not read.
func (u *upload) excuse(d int64) {
	u.start.Add(d)
	u.window.Add(d)
}
