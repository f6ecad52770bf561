package canary

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	// enoughEvidence ends a trial: 1/α with α = 0.001.
	enoughEvidence = 1000
	// fewEvidence is enough at the end of a trial that has had few requests: α = 0.05.
	fewEvidence = 20
	// few is how many answers of the new generation are too few for the former.
	few = 100
	// leastWorse is by how much more of its requests a new generation has to fail to be
	// worse than the old one.
	leastWorse = 0.001

	// latencyAtEnd and latencyBefore are the standard normal deviates of the levels 0.001
	// and 10⁻⁶.
	latencyAtEnd  = 3.0902
	latencyBefore = 4.7534
	// leastSlower is how often, of two latencies one of each side, that of the new generation
	// has to be the larger one.
	leastSlower = 0.56
	// latencyLeast is how many latencies of each side are enough for these.
	latencyLeast = 8

	// tailAtEnd and tailBefore are the same levels, for the tail.
	tailAtEnd  = 0.001
	tailBefore = 1e-6
)

// A Report is what has happened on both sides since the report before it.
type Report struct {
	New Side `json:"new"`
	Old Side `json:"old"`
}

// Of returns one of the sides.
func (r *Report) Of(isNew bool) *Side {
	if isNew {
		return &r.New
	}
	return &r.Old
}

// DecodeReport reads the report of a front, which may be broken: its numbers are such that
// they can be added up.
func DecodeReport(data []byte) (Report, error) {
	var r Report
	if err := json.Unmarshal(data, &r); err != nil {
		return Report{}, err
	}
	if !r.New.valid() || !r.Old.valid() {
		return Report{}, errors.New("the figures of a canary are no counts")
	}
	return r, nil
}

// A Trial is what is known of both generations.
type Trial struct {
	Plan Plan
	Report

	spans spans
}

// Add adds a report.
func (t *Trial) Add(r Report) {
	t.AddNew(r.New)
	t.AddOld(r.Old)
}

// AddNew and AddOld add the report of one side. They take turns, so that what is added at the same
// time belongs to the same span.
func (t *Trial) AddNew(s Side) {
	t.New.Add(s)
	t.spans.last().latest.merge(s.Latency)
}

// AddOld adds the report of the old generation.
func (t *Trial) AddOld(s Side) {
	t.Old.Add(s)
	t.spans.last().old.merge(s.Latency)
	t.spans.turn()
}

// A Verdict is what a trial has come to.
type Verdict int

const (
	Undecided Verdict = iota
	Passed
	Failed
)

// Judge returns the verdict after some time, and why: of a new generation that is worse what
// it is worse in, of one that takes over without having been judged how it came to that.
func (t *Trial) Judge(elapsed time.Duration) (v Verdict, why string) {
	over := elapsed >= t.Plan.Window
	evidence := Evidence(t.New.Failed(), t.Old.Failed(), t.share())
	isFew := t.New.Requests < few
	switch {
	case t.New.rate() < t.Old.rate()+leastWorse:
		// It fails no more often, as far as anybody would notice.
	case evidence >= enoughEvidence, over && isFew && evidence >= fewEvidence:
		return Failed, fmt.Sprintf("it fails more often (evidence %.4g)", evidence)
	}
	switch {
	case t.isSlower(farSlack, latencyBefore), over && t.isSlower(slack, latencyAtEnd):
		return Failed, "it is slower"
	case t.hasWorseTail(farSlack, tailBefore), over && t.hasWorseTail(slack, tailAtEnd):
		return Failed, "its slowest requests are slower"
	case !over:
		return Undecided, ""
	case t.New.Requests == 0:
		return Passed, "nothing has judged it: it had no request"
	case isFew:
		return Passed, "few requests have judged it"
	}
	return Passed, ""
}

// isSlower reports whether the new generation is slower by more than a number of buckets, at a
// level.
func (t *Trial) isSlower(down int, level float64) bool {
	latest, old := t.New.latencies(), t.Old.latencies()
	if min(latest.Total(), old.Total()) < latencyLeast {
		return false
	}
	z, effect := slower(latest, old, down)
	return z > level && effect >= leastSlower
}

// share is the share of requests that the new generation has had, or should have had if that
// is more: what its workers were too busy for went to the others.
func (t *Trial) share() float64 {
	s := t.Plan.Share.Float()
	if all := t.New.Requests + t.Old.Requests; all > 0 {
		s = max(s, float64(t.New.Requests)/float64(all))
	}
	return min(s, 0.99)
}

// String returns the figures of both sides for people.
func (r Report) String() string {
	return "New: " + r.New.text() + ". Old: " + r.Old.text()
}

func (s *Side) text() string {
	var b strings.Builder
	unit := "requests"
	if s.Requests == 1 {
		unit = "request"
	}
	fmt.Fprintf(&b, "%d %s, %d failed (%.2f %%", s.Requests, unit, s.Failed(), 100*s.rate())
	for _, part := range []struct {
		n    int
		what string
	}{{s.Errors, "errors"}, {s.TimedOut, "over time"}, {s.Deaths, "deaths"}} {
		if part.n > 0 && part.n < s.Failed() || part.n > 0 && part.what != "errors" {
			fmt.Fprintf(&b, ", %d %s", part.n, part.what)
		}
	}
	b.WriteString(")")
	if all := s.latencies(); all.Total() > 0 {
		fmt.Fprintf(&b, ", median %s, p95 %s, p99 %s", milliseconds(all.Quantile(0.5)), milliseconds(all.Quantile(0.95)), milliseconds(all.Quantile(0.99)))
	}
	return b.String()
}

func milliseconds(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	if ms < 10 {
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.0f ms", ms)
}
