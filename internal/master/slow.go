package master

import (
	"fmt"
	"strings"
	"time"

	"indrik/internal/errlog"
	"indrik/internal/status"
	"indrik/internal/wire"
)

const (
	// maxSlow is how many slow requests a status tells of.
	maxSlow = 20
	// maxSlowCalls is how many calls of a slow request are kept, and maxSlowLines how many of
	// them are logged: the innermost.
	maxSlowCalls = 30
	maxSlowLines = 12
	// slowPause is how long a worker that showed where a slow request is does not have to do
	// so again, and slowTraces how many workers have to in that time: the loops of ASGI and
	// gevent do nothing else meanwhile, and what writes the log is to keep up.
	slowPause  = time.Second
	slowTraces = 8
)

// A slowLog decides of which slow requests the stacks are taken.
type slowLog struct {
	begun  time.Time // of the second that is counted
	traces int       // in it
}

// allows reports whether w is to show its stacks, and counts that.
func (s *slowLog) allows(w *worker, now time.Time) bool {
	if now.Sub(s.begun) >= slowPause {
		s.begun, s.traces = now, 0
	}
	if s.traces >= slowTraces || now.Sub(w.slowTraced) < slowPause {
		return false
	}
	s.traces++
	w.slowTraced = now
	return true
}

// slowRequests logs the slow requests that the front has found. Those that run are logged with
// the place in the code where they are.
func (m *Master) slowRequests(msg wire.FromFront) {
	traced := map[*worker][]wire.Slow{}
	for _, s := range msg.Slow {
		w := m.pool.workers[s.Age]
		switch {
		case w == nil:
			m.logSlow(s, 0, nil, "its worker has ended")
		case s.Ended:
			m.logSlow(s, w.pid, nil, "its response has begun")
		case traced[w] != nil || m.slow.allows(w, m.now()):
			traced[w] = append(traced[w], s)
		default:
			m.logSlow(s, w.pid, nil, "stacks are taken once a second")
		}
	}
	for w, slow := range traced {
		m.trace(w, func(t *status.Trace) {
			for _, s := range slow {
				calls, why := callsOf(t, s.Number)
				m.logSlow(s, w.pid, calls, why)
			}
		})
	}
	if msg.Others > 0 {
		m.log.Warnf("%s more, which are not listed", plural(msg.Others, "slow request"))
	}
}

// callsOf returns where a request is, of a trace of its worker, or why that is not known. Of
// one that runs in a loop which is stuck it returns where that is.
func callsOf(t *status.Trace, number uint32) (calls []string, why string) {
	var loop []string
	for _, s := range t.Stacks {
		switch {
		case s.Running != nil && s.Running.Number == number && len(s.Calls) > 0:
			return s.Calls, ""
		case s.Loop:
			loop = s.Calls
		}
	}
	switch {
	case len(t.Stacks) == 0:
		return nil, "the worker shows no stacks"
	case loop != nil && t.Stuck:
		return loop, "the event loop is stuck"
	}
	return nil, "it has ended meanwhile"
}

// logSlow logs a slow request, and keeps it for the status. why says what is to know about the
// stack, if anything.
func (m *Master) logSlow(s wire.Slow, pid int, calls []string, why string) {
	calls = calls[:min(len(calls), maxSlowCalls)]
	r := status.SlowRequest{
		At: m.now(), Method: s.Method, Path: s.Path, Client: s.Client, ID: s.RequestID, PID: pid,
		Waited: s.Waited, Ran: s.Ran, Ended: s.Ended, Stack: calls,
	}
	if r.Stack == nil {
		r.Stack = []string{}
	}
	h := &m.control.history
	h.slow = append([]status.SlowRequest{r}, h.slow[:min(len(h.slow), maxSlow-1)]...)

	var b strings.Builder
	verb := "has run"
	if s.Ended {
		verb = "ran"
	}
	b.WriteString("Slow request")
	if pid != 0 {
		fmt.Fprintf(&b, " (pid:%d)", pid)
	}
	fmt.Fprintf(&b, ": %s %s %s for %.3f s after %.3f s in the queue", status.PrintableLine(s.Method), status.PrintableLine(s.Path), verb, s.Ran, s.Waited)
	if s.RequestID != "" {
		fmt.Fprintf(&b, " (request %s)", status.PrintableLine(s.RequestID))
	}
	if why != "" {
		b.WriteString("; " + why)
	}
	for i, c := range calls {
		if i == maxSlowLines {
			fmt.Fprintf(&b, "\n  %d more", len(calls)-i)
			break
		}
		b.WriteString("\n  " + c)
	}
	m.log.LogDetail(errlog.Warning, "slow_request", r, b.String())
}
