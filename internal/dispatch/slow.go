package dispatch

import (
	"time"

	"indrik/internal/wire"
)

// This file is about slow requests: those that a worker has run for longer than the setting
// slow_request_log. The scan finds them while they run, so that the master can ask where in
// the code they are; one that ends between two scans is told of all the same.
//
// What counts is the time in the app, without the queue, and without the time for which it
// waits for more of the body. The requests of multiplexed workers count until the response
// begins: streams last for as long as they are meant to.

// maxSlow is how many slow requests one message names. A message comes each scan at most.
const maxSlow = 50

// A slowReport is the slow requests that were found since the last message.
type slowReport struct {
	named  []wire.Slow
	others int
}

// findSlowLocked looks for slow requests among those that a worker runs.
// +checklocks:q.mu
func (q *Queue) findSlowLocked(w *worker, running []*Job, now time.Time) {
	for _, j := range running {
		if (j.assigned == nil || !j.answered) && j.isSlowLocked(w, now) {
			q.tellSlowLocked(j, w, now, false)
		}
	}
}

// heardSlowLocked looks at a request of which a worker has just begun the response, if it is a
// multiplexed one, or has completed it.
// +checklocks:q.mu
func (q *Queue) heardSlowLocked(j *Job, sl *slot) {
	if at := j.began.Add(j.ran); j.isSlowLocked(sl.w, at) {
		q.tellSlowLocked(j, sl.w, at, true)
	}
}

// isSlowLocked reports whether a request is slow at a time and nobody was told so.
func (j *Job) isSlowLocked(w *worker, now time.Time) bool {
	limit := w.gen.settings.SlowRequestLog
	return limit > 0 && !j.toldSlow && now.Sub(j.began)-j.body.total(now) >= limit && !j.request.IsWebSocket()
}

// tellSlowLocked has the next message to the master name a request, unless there are too many.
// +checklocks:q.mu
func (q *Queue) tellSlowLocked(j *Job, w *worker, now time.Time, ended bool) {
	j.toldSlow = true
	if len(q.slow.named) == maxSlow {
		q.slow.others++
		return
	}
	r := j.statusLocked(now)
	q.slow.named = append(q.slow.named, wire.Slow{
		Age: w.age, Number: r.Number, Ended: ended,
		Method: r.Method, Path: r.Path, Client: r.Client, RequestID: r.RequestID,
		Waited: j.began.Sub(j.queued).Seconds(), Ran: (now.Sub(j.began) - j.body.total(now)).Seconds(),
	})
}

// slowReportLocked returns the message about slow requests, none if there are none.
// +checklocks:q.mu
func (q *Queue) slowReportLocked() []wire.FromFront {
	if len(q.slow.named) == 0 {
		return nil
	}
	report := wire.FromFront{Type: wire.TypeSlow, Slow: q.slow.named, Others: q.slow.others}
	q.slow = slowReport{}
	return []wire.FromFront{report}
}
