package master

import (
	"fmt"
	"time"
)

// workersGrace is how long there may be no worker that is ready before the watchdog of
// the service manager is not fed any more.
const workersGrace = 30 * time.Second

// watchdog feeds the watchdog of the service manager, from now on, as long as this loop
// runs and the server makes progress.
func (m *Master) watchdog() {
	every := m.notify.Interval()
	if every <= 0 {
		return
	}
	why := m.standsStill()
	switch {
	case why == "":
		m.tell(m.notify.Ping())
	case m.still == "":
		m.log.Errorf("The watchdog of the service manager is not fed: %s", why)
	}
	m.still = why
	m.after(every, m.watchdog)
}

// standsStill says why the server makes no progress, "" if it does.
func (m *Master) standsStill() string {
	now := m.now()
	if m.state != running && m.state != reloading || m.target == 0 || m.hasReady() {
		m.readySeen = now
	}
	timeout := time.Duration(m.cfg.Timeout()) * time.Second
	switch {
	case m.front != nil && m.front.probe.hangs():
		return "the front hangs"
	case m.front == nil && (m.state == running || m.state == reloading):
		return "there is no front"
	case now.Sub(m.readySeen) > workersGrace:
		return fmt.Sprintf("there has been no worker for %.0f s", now.Sub(m.readySeen).Seconds())
	case m.front != nil && timeout > 0 && m.front.stalled > 2*timeout:
		// Workers that are over timeout are replaced: this cannot be.
		return fmt.Sprintf("requests have waited for %.0f s, and none was finished", m.front.stalled.Seconds())
	}
	return ""
}

// hasReady reports whether there is a worker that has its app.
func (m *Master) hasReady() bool {
	for _, w := range m.workers {
		if w.ready {
			return true
		}
	}
	return false
}
