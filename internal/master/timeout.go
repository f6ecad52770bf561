package master

import (
	"fmt"
	"strings"
	"time"

	"indrik/internal/status"
	"indrik/internal/wire"
)

// timedOut is called when the front has answered a request of w that ran too long, or all
// requests of a blocked event loop. The worker takes no more requests; when those in its other threads are done,
// or graceful_timeout is over, it is aborted.
func (m *Master) timedOut(w *worker, msg wire.FromFront) {
	first := !w.late
	w.late = true
	if msg.Method != "" {
		w.overTime = append(w.overTime, status.Running{Method: msg.Method, Path: msg.Path, Seconds: msg.Seconds})
	} else {
		w.blocked = time.Duration(msg.Seconds * float64(time.Second))
	}
	m.stacks.of(w, func(stacks string) {
		text := fmt.Sprintf("WORKER TIMEOUT (pid:%d): %s %s after %.1f s", w.pid, msg.Method, msg.Path, msg.Seconds)
		if msg.RequestID != "" {
			text += " (request " + msg.RequestID + ")"
		}
		if msg.Method == "" {
			text = fmt.Sprintf("WORKER TIMEOUT (pid:%d): the event loop has been blocked for %.1f s, with %d requests", w.pid, msg.Seconds, msg.Blocked)
		}
		if stacks != "" {
			text += "\n" + strings.TrimRight(stacks, "\n")
		}
		m.log.Criticalf("%s", text)
		if !first {
			return
		}
		m.pool.retire(w)
		m.balance()
		if msg.Others == 0 || w.settled {
			m.pool.abort(w)
			return
		}
		// When the others are done, see settled, or:
		m.after(w.gen.gracefulTimeout(), func() { m.pool.abort(w) })
	})
}

// settled is called when a worker runs nothing but requests that are over time.
func (m *Master) settled(w *worker) {
	w.settled = true
	if w.late && len(w.awaiting) == 0 {
		m.pool.abort(w)
	}
}
