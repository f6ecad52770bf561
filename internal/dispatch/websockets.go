package dispatch

import (
	"time"

	"indrik/internal/wire"
)

// This file is about WebSocket connections: requests that last for as long as their clients
// like, and that have to make way when their worker leaves.

// openedLocked is called when the worker of a slot has accepted a WebSocket connection. What
// bounds a request does not bound that.
// +checklocks:q.mu
func (q *Queue) openedLocked(j *Job, sl *slot) {
	j.deadline = time.Time{}
	if j.assigned != nil {
		return
	}
	sl.w.board.ClearDeadline(sl.index)
	if sl.w.leaving { // it had taken the handshake before it was told to leave
		j.request.LeaveLocked(drainMax(sl.w))
	}
}

// isOf reports whether a worker was given a request, or has said something of it.
func (w *worker) isOf(j *Job) bool {
	return j.assigned == w || j.slot != nil && j.slot.w == w
}

// drainMax returns for how long the WebSocket connections of a worker may stay when it
// leaves. A worker that runs an app of WSGI is ended after graceful_timeout, of which
// something must be left for what the app does at their ends.
func drainMax(w *worker) time.Duration {
	s := w.gen.settings
	if w.kind == wire.KindASGI {
		return s.WebSocketDrainMax
	}
	return min(s.WebSocketDrainMax, s.GracefulTimeout/2)
}

// leaveWebSocketsLocked has the WebSocket connections of a worker that is being replaced
// end.
// +checklocks:q.mu
func (q *Queue) leaveWebSocketsLocked(w *worker) {
	var jobs []*Job
	for _, j := range q.inFlight {
		if j.request.IsWebSocket() && w.isOf(j) {
			jobs = append(jobs, j)
		}
	}
	for i, d := range LeaveDelays(len(jobs), drainMax(w), w.gen.settings.WebSocketDrainWindow) {
		jobs[i].request.LeaveLocked(d)
	}
}

// LeaveDelays returns in how long n WebSocket connections are to end: one after the other,
// within the last drainWindow of the time drainMax for which they may stay.
func LeaveDelays(n int, drainMax, drainWindow time.Duration) []time.Duration {
	drainWindow = min(drainWindow, drainMax)
	delays := make([]time.Duration, n)
	for i := range delays {
		delays[i] = drainMax - drainWindow + drainWindow*time.Duration(i+1)/time.Duration(n)
	}
	return delays
}
