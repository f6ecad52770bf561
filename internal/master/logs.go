package master

import (
	"os"
	"syscall"
	"time"

	"indrik/internal/errlog"
	"indrik/internal/listen"
	"indrik/internal/settings"
	"indrik/internal/wire"
)

// openLogs has all logs go where cfg says.
func (m *Master) openLogs(cfg *settings.Config) error {
	uid, gid := owner(cfg)
	m.setLogLevel(cfg)
	path := cfg.String("errorlog")
	if path == "" { // None: Gunicorn has no handler then
		path, uid, gid = os.DevNull, -1, -1
	}
	if err := m.log.Open(path, uid, gid); err != nil {
		return err
	}
	uid, gid = owner(cfg)
	access, err := openAccessLog(cfg.String("accesslog"), uid, gid)
	if err != nil {
		return err
	}
	closeFiles([]*os.File{m.access})
	m.access = access
	m.outlets.Set(cfg.Syslog(), cfg.Statsd())
	m.front.sendLogs()
	return nil
}

// setLogLevel: with a relay Python's logging decides.
func (m *Master) setLogLevel(cfg *settings.Config) {
	if m.relay != nil {
		m.log.SetLevel(m.relay.level)
		return
	}
	m.log.SetLevel(cfg.LogLevel())
}

// openAccessLog opens the access log, nil for none.
func openAccessLog(path string, uid, gid int) (*os.File, error) {
	switch path {
	case "":
		return nil, nil
	case "-":
		return errlog.Duplicate(os.Stdout)
	}
	return errlog.OpenFile(path, uid, gid)
}

// reopenLogs opens every log file again, here and in every process (USR1).
func (m *Master) reopenLogs() {
	if m.cfg == nil {
		return
	}
	if err := m.openLogs(m.cfg); err != nil {
		m.log.Errorf("Cannot open the log files again, the old ones are kept: %s", err)
	}
	for _, sp := range m.spawners {
		if !sp.leaving {
			m.reopenIn(sp)
		}
	}
	for _, w := range m.workers {
		if w.proc != nil {
			w.proc.Signal(syscall.SIGUSR1)
		}
	}
	m.relay.reopen()
}

// sendLogs tells the front where its logs go.
func (f *front) sendLogs() {
	if f == nil {
		return
	}
	m := f.m
	msg := wire.ToFront{
		Type: wire.TypeLogs, Error: true, Level: m.cfg.LogLevel(), Syslog: m.cfg.Syslog(), Statsd: m.cfg.Statsd(),
	}
	var files []*os.File
	// With a relay the access log is Python's to write.
	if m.access != nil && m.relay == nil {
		msg.Access = true
		files = append(files, m.access)
	}
	files = append(files, m.log.File())
	if m.relay != nil {
		msg.Relay, msg.Level = true, m.relay.level
		files = append(files, m.relay.file)
	}
	f.send(msg, files...)
}

// countWorkers notes how many workers there are, whenever that changes.
func (m *Master) countWorkers() {
	n := 0
	for _, w := range m.workers {
		if w.pid != 0 {
			n++
		}
	}
	if n == m.counted {
		return
	}
	m.counted = n
	for _, sp := range m.spawners {
		if sp.lingers {
			m.tellWorkers(sp)
		}
	}
	m.log.Debugf("%d workers", n)
	m.outlets.View().Statsd.Gauge("gunicorn.workers", n)
}

// backlogEvery is how often the backlog is measured.
const backlogEvery = time.Second

// watchBacklog measures how many connections wait to be accepted, from now on, if the
// configuration that serves wants it. Otherwise there is no timer that would wake an
// idle master.
func (m *Master) watchBacklog() {
	if m.gauge != nil {
		m.gauge.Stop()
	}
	if !m.cfg.Bool("enable_backlog_metric") || m.state == quitting {
		return
	}
	if n := backlog(m.listeners); n >= 0 {
		m.log.Debugf("socket backlog: %d", n)
		m.outlets.View().Statsd.Histogram("gunicorn.backlog", n)
	}
	m.gauge = m.after(backlogEvery, m.watchBacklog)
}

// backlog is how many connections wait in the accept queues, −1 where that cannot be
// told: it can for TCP on Linux (tcp(7), TCP_INFO).
func backlog(listeners []*listen.Listener) int {
	total := -1
	for _, l := range listeners {
		if n := waitingIn(l); n >= 0 {
			total = max(total, 0) + n
		}
	}
	return total
}
