package front

import (
	"sync/atomic"
	"time"
)

// rateWindow is over which time the rate of a body is measured.
const rateWindow = 20 * time.Second

// An upload is how a body comes in, for who has to judge whether that is too
// slow.
type upload struct {
	bytes atomic.Int64
	late  atomic.Bool

	// Of the judge; begin sets them while nobody judges.
	start  atomic.Int64 // as [now] has it
	window atomic.Int64 // the same, of the window
	before atomic.Int64 // bytes before the window
}

func (u *upload) begin() {
	t := now()
	u.bytes.Store(0)
	u.late.Store(false)
	u.start.Store(t)
	u.window.Store(t)
	u.before.Store(0)
}

// judge tells whether the body has taken longer than it may: all of it longer
// than most, or a window with fewer bytes than rate gives; 0 sets no bound.
func (u *upload) judge(t int64, most time.Duration, rate int) bool {
	if most > 0 && t-u.start.Load() > int64(most) {
		return true
	}
	if d := t - u.window.Load(); rate > 0 && d >= int64(rateWindow) {
		bytes := u.bytes.Load()
		if bytes-u.before.Load() < int64(rate)*d/int64(time.Second) {
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
