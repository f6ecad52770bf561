package master

import (
	"time"

	"indrik/internal/wire"
)

// pause ends the workers and keeps the master (WINCH).
//
// With a successor alive the front first finishes its requests and hands its
// idle connections over; only then do the workers leave. In a daemon without a
// successor the connections stay, and requests wait until HUP or TTIN.
func (m *Master) pause() {
	switch {
	case m.upgrader.successor != nil && !m.upgrader.successor.isReady:
		m.log.Infof("The workers leave once the successor (pid:%d) is ready", m.upgrader.successor.pid)
		m.upgrader.pauseLater = true
		return
	case m.upgrader.successor == nil && !m.cfg.Daemon():
		m.log.Debugf("SIGWINCH ignored. Not daemonized")
		return
	}
	m.log.Infof("graceful stop of workers")
	if m.candidate != nil {
		m.candidate.discard()
	}
	m.enter(paused)
	m.tellNone()
	if m.upgrader.successor == nil {
		m.balance()
		return
	}
	m.upgrader.pausing = true
	m.pool.tellEnd(m.now().Add(m.gen.gracefulTimeout()))
	if !m.front.drain(wire.ToFront{Handover: true, Accept: wire.AcceptStop}) {
		m.on(drained, occurrence{})
	}
	m.expireAfter(m.gen.gracefulTimeout())
}

// letWorkersLeave ends the workers when the front has finished its requests.
func (m *Master) letWorkersLeave(occurrence) {
	if m.upgrader.pausing {
		m.upgrader.pausing = false
		m.balance()
	}
}

// restore brings the workers back (HUP while paused). With a successor alive
// that is a rollback: they get the configuration, and with preload_app the
// app, that they had. Otherwise it is a reload.
func (m *Master) restore() {
	m.log.Infof("Hang up: %s", m.name())
	if m.upgrader.successor == nil || m.gen.isLost() {
		m.renew()
		return
	}
	m.setTarget(m.scale.begin(m.cfg, m.pool.target))
	m.unpause()
	m.balance()
	m.lookAgain()
}

// restoreOne brings one worker back (TTIN while paused).
func (m *Master) restoreOne() {
	if m.gen.isLost() {
		m.renew()
		return
	}
	m.setTarget(max(1, m.scale.clamp(1)))
	m.unpause()
	m.balance()
	m.lookAgain()
}

// unpause takes requests again.
func (m *Master) unpause() {
	m.upgrader.pausing = false
	m.pool.tellEnd(time.Time{})
	if m.front.current == nil {
		m.replaceFront()
	} else {
		m.front.resume()
	}
	m.enter(running)
}

// pauseForSuccessor does a WINCH that has waited until the successor is ready.
func (m *Master) pauseForSuccessor(occurrence) {
	if m.upgrader.pauseLater {
		m.upgrader.pauseLater = false
		m.pause()
	}
}

// dropPause drops a WINCH that waits.
func (m *Master) dropPause(occurrence) { m.upgrader.pauseLater = false }

// keepWorkers drops a WINCH that waits for a successor which serves no more.
func (m *Master) keepWorkers(occurrence) {
	if m.upgrader.pauseLater {
		m.upgrader.pauseLater = false
		m.log.Warnf("The workers stay: there is no successor to take over")
	}
}

// serveAlone brings back workers that have left in favour of a successor which serves
// no more.
func (m *Master) serveAlone(o occurrence) {
	m.keepWorkers(o)
	if !m.gen.isLost() {
		m.log.Warnf("No successor serves any more: the workers come back")
		m.setTarget(m.scale.begin(m.cfg, m.pool.target))
		m.unpause()
		m.balance()
		m.lookAgain()
	} else if m.candidate == nil {
		m.renew()
	}
}
