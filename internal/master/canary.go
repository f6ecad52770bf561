package master

import (
	"fmt"
	"time"

	"indrik/internal/canary"
	"indrik/internal/recycle"
	"indrik/internal/settings"
	"indrik/internal/status"
	"indrik/internal/wire"
)

// This file tries a candidate that is ready on a share of the requests before it takes over
// (the setting canary). The old generation stays whole until the verdict: it is replaced by the
// candidate then, or the candidate ends as old workers do, with what it has begun. The front
// deals the requests and counts; package canary judges.

// trialEvery is how often the front is asked for its figures.
const trialEvery = 250 * time.Millisecond

// A trial is that of a candidate.
type trial struct {
	canary.Trial
	begun time.Time
	dry   bool          // it takes over in any case
	asked *frontProcess // the front that has a question for its figures

	recycler recycle.Policy // of its workers

	verdict string // for people, once it has taken over
}

// plan returns how c is to be tried; ok is false if it is not.
func (c *candidate) plan() (p canary.Plan, ok bool) {
	switch {
	case c.freshCode, c.cfg.Reload():
		return p, false // somebody edits the code, and wants to see it
	case c.m.gen.isLost(), !c.m.pool.serves(c.m.gen):
		return p, false // what it would be compared with is not whole
	case c.m.upgrader.trial != nil, c.m.upgrader.held:
		return p, false // another server is tried, or this one
	}
	p, ok = c.cfg.CanaryPlan()
	switch {
	case c.asked == nil:
		return p, ok
	case c.asked.Window != 0:
		return *c.asked, true
	case !ok:
		return canary.Default, true
	}
	return p, true
}

// serves reports whether a worker of g has its app and is not told to end.
func (p *pool) serves(g *generation) bool {
	for _, w := range p.workers {
		if w.gen == g && w.ready && !w.leaving {
			return true
		}
	}
	return false
}

// tryOrTakeOver goes on with a candidate that is ready.
func (m *Master) tryOrTakeOver(o occurrence) {
	c := m.candidate
	plan, ok := c.plan()
	if !ok {
		m.takeOver(o)
		return
	}
	c.trial = &trial{Trial: canary.Trial{Plan: plan}, begun: m.now(), dry: c.cfg.DryRun(settings.PolicyCanary)}
	m.enter(judging)
	m.log.Infof("Canary: generation %d gets %s of the requests for %g s%s", c.gen.number, plan.Share, plan.Window.Seconds(), c.trial.remark())
	m.front.sendTrial(c)
	for _, w := range m.pool.byAge() {
		if w.gen == c.gen && w.ready {
			m.pool.activate(w)
		}
	}
	m.balance()
	m.lookAtTrial(c)
}

// remark is what lines say of a dry run.
func (t *trial) remark() string {
	if t.dry {
		return " (dry run: it takes over in any case)"
	}
	return ""
}

// sendTrial tells the front of the trial of c, if there is one.
func (l *frontLink) sendTrial(c *candidate) {
	if c != nil && c.trial != nil && !c.over {
		share := c.trial.Plan.Share
		l.send(wire.ToFront{Type: wire.TypeTrial, Generation: c.gen.number, Share: [2]int{share.Of, share.All}})
	}
}

// endTrial tells the front that the trial of c is over. Without a trial there is nothing to do.
func (m *Master) endTrial(c *candidate, passed bool) {
	if c.trial == nil {
		return
	}
	m.front.send(wire.ToFront{Type: wire.TypeTrial, Passed: passed})
	if !passed {
		m.pool.respawn.lived() // the workers that stay are not to wait for what these did
	}
}

// lookAtTrial asks the front for its figures, and again after a while.
func (m *Master) lookAtTrial(c *candidate) {
	if c.over {
		return
	}
	if f := m.front.current; f != nil && c.trial.asked != f {
		c.trial.asked = f
		m.front.ask(wire.ToFront{Type: wire.TypeTried}, func(answer wire.FromFront) {
			c.trial.asked = nil
			m.judge(c, answer)
		})
	}
	m.after(trialEvery, func() { m.lookAtTrial(c) })
}

// judge acts on the figures of the front.
func (m *Master) judge(c *candidate, answer wire.FromFront) {
	if c.over {
		return
	}
	r, err := canary.DecodeReport(answer.Trial)
	if err != nil {
		c.fail(&failure{text: "The canary cannot be judged: the figures of the front are none: " + err.Error()})
		return
	}
	t := c.trial
	t.Add(r)
	verdict, text := t.conclude(m.now(), &m.control.history.canaries)
	switch {
	case verdict == canary.Undecided:
	case verdict == canary.Failed && !t.dry:
		c.fail(&failure{text: text})
	default:
		t.verdict = text
		m.log.Infof("%s", text)
		m.on(candidatePassed, occurrence{})
	}
}

// conclude returns the verdict at a time, which it counts in n, and what to say of it.
func (t *trial) conclude(now time.Time, n *status.Canaries) (v canary.Verdict, text string) {
	elapsed := now.Sub(t.begun)
	v, why := t.Judge(elapsed)
	if v == canary.Undecided {
		return v, ""
	}
	verb := "passed"
	switch {
	case v == canary.Passed:
		n.Passed++
	case t.dry:
		n.WouldFail++
		verb = "(dry run) would have failed"
	default:
		n.Failed++
		verb = "failed"
	}
	if why != "" {
		why = ": " + why
	}
	return v, fmt.Sprintf("Canary %s after %.1f s%s. %s", verb, elapsed.Seconds(), why, t.Report)
}

// countDeath counts the death of a worker while a candidate is tried, and replaces it.
func (m *Master) countDeath(o occurrence) {
	w := o.worker
	if !w.leaving && o.death.counts() {
		m.candidate.trial.Report.Of(w.gen == m.candidate.gen).Deaths++
	}
	m.replaceWorker(o)
}

// canaryStatus is what a status tells of the trial, nil if there is none.
func (m *Master) canaryStatus() *status.Canary {
	t, generation := m.upgrader.trial, 0
	if c := m.candidate; c != nil && c.trial != nil {
		t, generation = c.trial, c.gen.number
	}
	if t == nil {
		return nil
	}
	side := func(s *canary.Side) status.CanarySide {
		return status.CanarySide{
			Requests: s.Requests, Failed: s.Failed(), Errors: s.Errors, TimedOut: s.TimedOut, Deaths: s.Deaths,
			Median: s.Latency.Quantile(0.5).Seconds(), P95: s.Latency.Quantile(0.95).Seconds(), P99: s.Latency.Quantile(0.99).Seconds(),
		}
	}
	return &status.Canary{
		Generation: generation, Share: t.Plan.Share.Float(), Window: t.Plan.Window.Seconds(),
		Elapsed: m.now().Sub(t.begun).Seconds(), DryRun: t.dry, New: side(&t.New), Old: side(&t.Old),
	}
}
