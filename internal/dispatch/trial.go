package dispatch

import (
	"time"

	"indrik/internal/canary"
	"indrik/internal/wire"
)

// This file tries a new generation on a share of the requests, while the one before it serves
// the others, and counts how both answer; package canary judges that, in the master.
//
// Who gets a request is drawn when it comes to be handed over, in the order in which requests
// are. One that is drawn for the new generation and finds all of its workers occupied goes to the old
// one: so a new generation that hangs holds up no more requests than it has places. Except for
// those the share is exact. A request that has a home (see affinity.go) goes there, and nothing
// is drawn. If one of the two generations has no worker at all the other gets everything.
//
// A request counts for the generation that has it when its response begins, whatever becomes of
// the response: a stream or a WebSocket that stays open counts once, where it began. Requests
// that were handed over before the trial do not count.

const (
	// coldAnswers is how many answers of a worker say nothing of its latency: its caches are
	// cold. Nor does the first of each slot, whose thread may have connections of its own.
	coldAnswers = 5
	// longRunning is how long a request has run that counts though it has no response.
	longRunning = time.Second
)

// A trial is that of one generation. It is guarded by the mutex of [Queue].
type trial struct {
	generation int
	deck       *canary.Deck
	report     canary.Report // of what has happened since the last
}

// A drawn side says which generation a request is for.
type drawn uint8

const (
	notDrawn drawn = iota
	forOld
	forNew
)

// A tally says how a request has been counted in a trial.
type tally uint8

const (
	untallied     tally = iota
	tallied             // in its requests
	talliedFailed       // and in its failures
)

// BeginTrial gives a generation, which need not be there yet, a share of the requests until
// EndTrial.
func (q *Queue) BeginTrial(generation int, share canary.Share) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.trial = &trial{generation: generation, deck: canary.NewDeck(share, nil)}
	for _, j := range q.waiting {
		j.drawn = notDrawn
	}
}

// EndTrial ends the trial, if there is one. If the new generation has passed it gets all
// requests from now on, and its settings are returned; otherwise it gets no more.
func (q *Queue) EndTrial(passed bool) Config {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := q.trial
	if t == nil {
		return nil
	}
	q.trial = nil
	defer q.pumpLocked() // +checklocksignore
	g := q.generationLocked(t.generation)
	switch {
	case g == nil:
		return nil
	case !passed:
		g.rejected = true
		return nil
	case g.serves():
		q.served = max(q.served, g.number)
	}
	return q.servingConfigLocked()
}

// servingConfigLocked returns the settings of the newest generation that serves, and not only
// for a trial; nil if there is none.
// +checklocks:q.mu
func (q *Queue) servingConfigLocked() Config {
	for _, g := range q.gens {
		if g.serves() && !q.isTriedLocked(g) && !g.rejected {
			return g.config
		}
	}
	return nil
}

// TrialReport returns what has happened in the trial since the last report.
func (q *Queue) TrialReport(now time.Time) canary.Report {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := q.trial
	if t == nil {
		return canary.Report{}
	}
	r := t.report
	t.report = canary.Report{}
	for _, j := range q.inFlight {
		if j.trial != t || j.tally != untallied || j.left || j.standing != 0 {
			continue
		}
		if d := now.Sub(j.began); d > longRunning {
			r.Of(j.gen.number == t.generation).Running.Count(d)
		}
	}
	return r
}

// isTriedLocked reports whether g is the generation that is tried.
// +checklocks:q.mu
func (q *Queue) isTriedLocked(g *generation) bool {
	return q.trial != nil && q.trial.generation == g.number
}

// isForTriedLocked reports whether a request is drawn for the generation that is tried.
// +checklocks:q.mu
func (q *Queue) isForTriedLocked(j *Job) bool {
	if q.trial == nil {
		return false
	}
	if j.drawn == notDrawn {
		j.drawn = forOld
		if q.trial.deck.Draw() {
			j.drawn = forNew
		}
	}
	return j.drawn == forNew
}

// drawLocked returns the generation that a request which may go to any worker goes to, and the
// worker if that is a multiplexed one; nil if none has capacity.
// +checklocks:q.mu
func (q *Queue) drawLocked(j *Job) (*generation, *worker) {
	var tried *generation
	if q.trial != nil {
		tried = q.generationLocked(q.trial.generation)
	}
	if tried == nil {
		return q.freeLocked()
	}
	if q.isForTriedLocked(j) {
		if w, ok := tried.free(); ok {
			return tried, w
		}
	}
	g, w := q.freeLocked()
	if g == nil && !q.isServedBesidesLocked(tried) {
		if w, ok := tried.free(); ok {
			return tried, w
		}
	}
	return g, w
}

// isServedBesidesLocked reports whether there is a way to workers of another generation than
// the tried one.
// +checklocks:q.mu
func (q *Queue) isServedBesidesLocked(tried *generation) bool {
	for _, g := range q.gens {
		if g != tried && !g.rejected && (g.slots > 0 && !g.broken || len(g.multiplexed) > 0) {
			return true
		}
	}
	return false
}

// enterTrialLocked records that requests are handed over to g.
// +checklocks:q.mu
func (q *Queue) enterTrialLocked(j *Job, g *generation) {
	j.trial, j.tally = nil, untallied
	if !g.rejected {
		j.trial = q.trial
	}
}

// sideLocked returns where a request is counted, nil if it is not.
// +checklocks:q.mu
func (q *Queue) sideLocked(j *Job) *canary.Side {
	t := q.trial
	if t == nil || j.trial != t {
		return nil
	}
	return t.report.Of(j.gen.number == t.generation)
}

// countReplyLocked counts what a slot says of the response to a request.
// +checklocks:q.mu
func (q *Queue) countReplyLocked(j *Job, sl *slot, m *wire.Reply) {
	s := q.sideLocked(j)
	if s == nil {
		return
	}
	if j.tally == untallied {
		j.tally = tallied
		s.Requests++
		if sl.w.served >= coldAnswers && sl.warm {
			s.Latency.Count(j.ran)
		}
		sl.warm = true
	}
	if saysFailed(m) && j.tally != talliedFailed {
		j.tally = talliedFailed
		s.Errors++
	}
}

// saysFailed reports whether a message says that the app could not answer a request, or not
// to the end.
func saysFailed(m *wire.Reply) bool {
	switch m.Kind {
	case wire.ReplyResponse, wire.ReplyStart, wire.ReplyFile:
		return m.Code >= 500 || m.Code == 0 && len(m.Status) > 0 && m.Status[0] >= '5'
	case wire.ReplyError, wire.ReplyFail:
		return true
	case wire.ReplyClose:
		return m.CloseCode == 1011 // RFC 6455, section 7.4.1
	default:
		return false
	}
}

// countTimeOutsLocked counts requests of one worker that were over time at one moment. They are
// one failure, since they may well have one cause.
// +checklocks:q.mu
func (q *Queue) countTimeOutsLocked(ended []expired, now time.Time) {
	failed := false
	for _, e := range ended {
		if e.j == nil {
			continue
		}
		s := q.sideLocked(e.j)
		if s == nil {
			continue
		}
		if e.j.tally == untallied {
			s.Requests++
			s.Latency.Count(now.Sub(e.j.began))
		}
		if !failed && e.j.tally != talliedFailed {
			s.TimedOut++
			failed = true
		}
		e.j.tally = talliedFailed
	}
}

// countLeftLocked counts a request whose client has left before there was a response.
// +checklocks:q.mu
func (q *Queue) countLeftLocked(j *Job, now time.Time) {
	if s := q.sideLocked(j); s != nil && j.tally == untallied {
		j.tally = tallied
		s.Requests++
		s.Latency.Count(now.Sub(j.began))
	}
}
