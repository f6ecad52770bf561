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
	case m.successor != nil && !m.successor.isReady:
		m.log.Infof("The workers leave once the successor (pid:%d) is ready", m.successor.pid)
		m.pauseLater = true
		return
	case m.successor == nil && !m.cfg.Daemon():
		m.log.Debugf("SIGWINCH ignored. Not daemonized")
		return
	}
	m.log.Infof("graceful stop of workers")
	if m.candidate != nil {
		m.candidate.discard()
	}
	m.enter(paused)
	m.tellNone()
	if m.successor == nil {
		m.balance()
		return
	}
	m.pausing = true
	m.tellEnd(m.now().Add(m.gen.gracefulTimeout()))
	m.front.drain(wire.ToFront{Handover: true, Accept: wire.AcceptStop}, func() {
		m.pausing = false
		m.balance()
	})
	m.expireAfter(m.gen.gracefulTimeout())
}

// restore brings the workers back (HUP while paused). With a successor alive
// that is a rollback: they get the configuration, and with preload_app the
// app, that they had. Otherwise it is a reload.
func (m *Master) restore() {
	m.log.Infof("Hang up: %s", m.name())
	if m.successor == nil || m.gen.isLost() {
		m.renew()
		return
	}
	m.setTarget(m.cfg.Workers())
	m.unpause()
	m.balance()
}

// restoreOne brings one worker back (TTIN while paused).
func (m *Master) restoreOne() {
	if m.gen.isLost() {
		m.renew()
		return
	}
	m.setTarget(1)
	m.unpause()
	m.balance()
}

// unpause takes requests again.
func (m *Master) unpause() {
	m.pausing = false
	m.tellEnd(time.Time{})
	if m.front == nil {
		m.replaceFront()
	} else {
		m.front.drained = nil
		m.front.send(wire.ToFront{Type: wire.TypeResume})
		m.front.sendListeners()
	}
	m.enter(running)
}

// drain tells the front to finish what it has, as msg says; done is called when
// nothing is left.
func (f *front) drain(msg wire.ToFront, done func()) {
	if f == nil {
		done()
		return
	}
	f.drained = func() {
		f.drained = nil
		done()
	}
	msg.Type = wire.TypeDrain
	f.send(msg)
}

// expireAfter has the front answer what is still running after d with 504, unless it
// is done by then, or has since been told something else: each drain has its own time.
func (m *Master) expireAfter(d time.Duration) {
	m.drains++
	drain := m.drains
	still := func() bool { return m.drains == drain && (m.pausing || m.state == draining) }
	m.after(d, func() {
		if !still() {
			return
		}
		m.front.send(wire.ToFront{Type: wire.TypeExpire})
		m.after(expireGrace, func() {
			if still() && m.front != nil && m.front.drained != nil {
				m.front.drained()
			}
		})
	})
}
