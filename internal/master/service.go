package master

import (
	"fmt"
	"time"

	"indrik/internal/notify"
)

// workersGrace is how long there may be no worker that is ready before the watchdog of
// the service manager is not fed any more.
const workersGrace = 30 * time.Second

// A service is what the service manager is told, and whether there is progress.
type service struct {
	base
	notify    *notify.Notifier
	started   time.Time // when this process was
	still     string    // why the watchdog is not fed
	readySeen time.Time // when there was a worker that was ready, or none was to be
}

// check logs what could not be told to the service manager.
func (s *service) check(err error) {
	if err != nil {
		s.log.Debugf("sd_notify: %s", err)
	}
}

func (s *service) ready(status string) { s.check(s.notify.Ready(status)) }
func (s *service) reloading()          { s.check(s.notify.Reloading()) }
func (s *service) stopping()           { s.check(s.notify.Stopping()) }
func (s *service) mainPID(pid int)     { s.check(s.notify.MainPID(pid)) }

// feed feeds the watchdog of the service manager, from now on, as long as this loop
// runs and why, which says why the server makes no progress, says nothing.
func (s *service) feed(why func() string) {
	every := s.notify.Interval()
	if every <= 0 {
		return
	}
	reason := why()
	switch {
	case reason == "":
		s.check(s.notify.Ping())
	case s.still == "":
		s.log.Errorf("The watchdog of the service manager is not fed: %s", reason)
	}
	s.still = reason
	s.after(every, func() { s.feed(why) })
}

// feedWatchdog feeds the watchdog from now on.
func (m *Master) feedWatchdog() { m.service.feed(m.standsStill) }

// standsStill says why the server makes no progress, "" if it does.
func (m *Master) standsStill() string {
	now, f := m.now(), m.front.current
	serves := m.state == running || m.state == reloading || m.state == judging
	if !serves || m.pool.target == 0 || m.pool.hasReady() {
		m.service.readySeen = now
	}
	timeout := time.Duration(m.cfg.Timeout()) * time.Second
	switch {
	case f != nil && f.probe.hangs():
		return "the front hangs"
	case f == nil && serves:
		return "there is no front"
	case now.Sub(m.service.readySeen) > workersGrace:
		return fmt.Sprintf("there has been no worker for %.0f s", now.Sub(m.service.readySeen).Seconds())
	case f != nil && timeout > 0 && f.stalled > 2*timeout:
		// Workers that are over timeout are replaced: this cannot be.
		return fmt.Sprintf("requests have waited for %.0f s, and none was finished", f.stalled.Seconds())
	}
	return ""
}
