package master

import (
	"encoding/json"
	"fmt"
	"os"
	"syscall"

	"indrik/internal/canary"
	"indrik/internal/settings"
	"indrik/internal/wire"
)

// This file tries the successor of an upgrade on a share of the connections before it takes
// over, as canary.go does with a candidate and requests. The successor accepts nothing until it is
// told to. The front of the predecessor gives it the share of the connections that it
// accepts, before a byte is read; each front counts its own requests; the successor sends
// its figures over the link, and the predecessor judges.

// What the masters of an upgrade say to each other about a trial.
const (
	typeFigures = "figures" // of the successor, since the last ones
	typeServe   = "serve"   // to the successor: the trial is over, accept
)

// beginUpgradeTrial tries the successor l, which is ready and accepts nothing yet.
func (m *Master) beginUpgradeTrial(l *link) {
	plan := *l.plan
	t := &trial{Trial: canary.Trial{Plan: plan}, begun: m.now(), dry: m.cfg.DryRun(settings.PolicyCanary)}
	m.upgrader.trial = t
	m.log.Infof("Canary: the successor (pid:%d) gets %s of the connections for %g s%s", l.pid, plan.Share, plan.Window.Seconds(), t.remark())
	m.sendUpgradeTrial()
	m.lookAtUpgrade(t, l)
}

// sendUpgradeTrial tells the front of the trial of an upgrade, if there is one: to give a share
// of its connections away, or only to count.
func (m *Master) sendUpgradeTrial() {
	msg := wire.ToFront{Type: wire.TypeTrial, Handover: true}
	switch {
	case m.upgrader.trial != nil:
		share := m.upgrader.trial.Plan.Share
		msg.Share = [2]int{share.Of, share.All}
	case !m.upgrader.held:
		return
	}
	m.front.send(msg)
}

// lookAtUpgrade asks the front for the figures of this server, and again after a while.
func (m *Master) lookAtUpgrade(t *trial, l *link) {
	if m.upgrader.trial != t {
		return
	}
	m.askTried(t, func(r canary.Report) {
		if m.upgrader.trial == t {
			t.AddOld(r.Old)
			m.judgeUpgrade(t, l)
		}
	})
	m.after(trialEvery, func() { m.lookAtUpgrade(t, l) })
}

// askTried asks the front for its figures, unless it has yet to answer.
func (m *Master) askTried(t *trial, then func(canary.Report)) {
	f := m.front.current
	if f == nil || t.asked == f {
		return
	}
	t.asked = f
	m.front.ask(wire.ToFront{Type: wire.TypeTried}, func(answer wire.FromFront) {
		t.asked = nil
		if r, err := canary.DecodeReport(answer.Trial); err == nil {
			then(r)
		}
	})
}

// figuresFromSuccessor adds what the successor says of its requests.
func (m *Master) figuresFromSuccessor(l *link, data json.RawMessage) {
	if t := m.upgrader.trial; t != nil && m.upgrader.successor == l {
		if r, err := canary.DecodeReport(data); err == nil {
			t.AddNew(r.Old)
		}
	}
}

// judgeUpgrade acts on the figures of both servers.
func (m *Master) judgeUpgrade(t *trial, l *link) {
	verdict, text := t.conclude(m.now(), &m.control.history.canaries)
	switch {
	case verdict == canary.Undecided:
	case verdict == canary.Failed && !t.dry:
		m.upgrader.trial = nil
		m.front.send(wire.ToFront{Type: wire.TypeTrial})
		m.upgrader.fail(text)
		if err := m.endSuccessor(l); err != nil {
			m.log.Errorf("%s", err)
		}
	default:
		m.log.Infof("%s", text)
		m.endUpgradeTrial()
		m.pause()
	}
}

// endUpgradeTrial has the successor accept, without a verdict or after a good one.
func (m *Master) endUpgradeTrial() {
	if m.dropUpgradeTrial() {
		m.upgrader.successor.conn.Send(linkMessage{Type: typeServe})
	}
}

// dropUpgradeTrial ends the trial of a successor that serves no more, and reports whether there
// was one.
func (m *Master) dropUpgradeTrial() bool {
	if m.upgrader.trial == nil {
		return false
	}
	m.upgrader.trial = nil
	m.front.send(wire.ToFront{Type: wire.TypeTrial})
	return true
}

// endSuccessor ends a successor gracefully.
func (m *Master) endSuccessor(l *link) error {
	proc, err := m.sys.child(l.pid, os.Getpid())
	if err == nil {
		err = proc.Signal(syscall.SIGTERM)
		proc.Release()
	}
	if err != nil {
		return fmt.Errorf("The successor (pid:%d) cannot be ended: %w", l.pid, err)
	}
	return nil
}

// noteUpgradeDeath counts the death of a worker in the trial of an upgrade.
func (m *Master) noteUpgradeDeath(w *worker, d death) {
	if w.leaving || !d.counts() {
		return
	}
	if m.upgrader.trial != nil {
		m.upgrader.trial.Old.Deaths++
	}
	if m.upgrader.held {
		m.upgrader.deaths++
	}
}

// serveHeld is done by a successor: it accepts nothing until its trial is over, or was given
// up.
func (m *Master) serveHeld() {
	if !m.upgrader.held {
		return
	}
	m.upgrader.held = false
	m.front.send(wire.ToFront{Type: wire.TypeTrial})
	if m.upgrader.ready {
		m.front.accept()
	}
}

// sendFigures is done by a successor: it tells the predecessor how its requests go, again and
// again.
func (m *Master) sendFigures(t *trial) {
	l := m.upgrader.predecessor
	if !m.upgrader.held || l == nil {
		return
	}
	m.askTried(t, func(r canary.Report) {
		r.Old.Deaths += m.upgrader.deaths
		m.upgrader.deaths = 0
		if data, err := json.Marshal(r); err == nil && m.upgrader.held {
			l.conn.Send(linkMessage{Type: typeFigures, Figures: data})
		}
	})
	m.after(trialEvery, func() { m.sendFigures(t) })
}
