package front

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"indrik/internal/errlog"
)

func waited(d time.Duration) []*exchange { return []*exchange{{queued: time.Now().Add(-d)}} }

// One line a second says how many were refused, how many waited, and how long.
func TestOverloadIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		o := &overload{log: errlog.New(&log)}
		o.handedOver(waited(time.Minute)) // while nobody is refused, that is nobody's business
		o.full(16)
		o.handedOver(waited(100 * time.Millisecond))
		o.handedOver(waited(300 * time.Millisecond))
		o.full(15)
		o.late(10, 2*time.Second)
		time.Sleep(overloadEvery + time.Millisecond)
		synctest.Wait()
		o.handedOver(waited(time.Minute))
		o.full(3)
		time.Sleep(overloadEvery + time.Millisecond)
		synctest.Wait()
		for _, want := range []string{
			"Overload: 3 requests answered 503 in 1s (queue full: 2, waited too long: 1); up to 16 were waiting, up to 2s; 2 were run, after 200ms on average\n",
			"Overload: 1 requests answered 503 in 1s (queue full: 1, waited too long: 0); up to 3 were waiting, up to 0s; 0 were run, after 0s on average\n",
		} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log is\n%swant\n%s", log.String(), want)
			}
		}
	})
}
