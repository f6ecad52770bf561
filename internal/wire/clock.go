package wire

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// clockStart is one moment by both clocks.
var clockStart = sync.OnceValues(func() (time.Time, time.Duration) {
	var ts unix.Timespec
	_ = unix.ClockGettime(clockID, &ts) // it fails for clocks that do not exist alone
	return time.Now(), time.Duration(ts.Nano())
})

// monotonic is t by the clock that Python's time.monotonic reads. That is also
// the one that Go measures with, but Go does not show what it says.
func monotonic(t time.Time) time.Duration {
	now, clock := clockStart()
	return clock + t.Sub(now)
}
