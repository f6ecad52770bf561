package front

import (
	"sync/atomic"
	"time"

	"indrik/internal/http1"
)

var epoch = time.Now()

// now returns nanoseconds of the monotonic clock, the time in which connections count.
// In many virtual machines reading a clock takes a tenth of a microsecond, so a time that
// need not be exact is read once for several uses.
func now() int64 { return int64(time.Since(epoch)) }

// exceeds reports whether d is longer than a limit; 0 is no limit.
func exceeds(d, limit time.Duration) bool { return limit > 0 && d > limit }

// A cachedDate is the value of the Date field during one second.
type cachedDate struct {
	second int64
	value  []byte
}

var lastDate atomic.Pointer[cachedDate]

// date returns the value of the Date field at a time.
func date(t time.Time) []byte {
	if d := lastDate.Load(); d != nil && d.second == t.Unix() {
		return d.value
	}
	d := &cachedDate{t.Unix(), http1.AppendDate(nil, t)}
	lastDate.Store(d)
	return d.value
}
