package master

import (
	"os"
	"syscall"
	"time"

	"indrik/internal/listen"
	"indrik/internal/settings"
	"indrik/internal/wire"
)

// logFiles are the open files of the logs of one configuration.
type logFiles struct {
	errors *os.File
	access *os.File // nil: there is no access log
}

func (l *logFiles) close() {
	if l != nil {
		closeFiles([]*os.File{l.errors, l.access})
	}
}

// openLogFiles opens the log files that cfg names, and changes nothing yet.
func (m *Master) openLogFiles(cfg *settings.Config) (*logFiles, error) {
	uid, gid := owner(cfg)
	path := cfg.Errorlog()
	if path == "" { // None: Gunicorn has no handler then
		path, uid, gid = os.DevNull, -1, -1
	}
	errors, err := m.sys.openLog(path, uid, gid)
	if err != nil {
		return nil, err
	}
	uid, gid = owner(cfg)
	access, err := m.openAccessLog(cfg.Accesslog(), uid, gid)
	if err != nil {
		errors.Close()
		return nil, err
	}
	return &logFiles{errors, access}, nil
}

// useLogs directs all logs to files, which it takes over, as cfg says.
func (m *Master) useLogs(cfg *settings.Config, files *logFiles) {
	m.setLogLevel(cfg)
	m.log.SetFile(files.errors)
	m.log.SetFormat(cfg.LogFormat(), "master")
	closeFiles([]*os.File{m.access})
	m.access = files.access
	m.outlets.Set(cfg.SyslogSink(), cfg.StatsdSink())
	m.front.sendLogs()
}

// openLogs opens the log files of cfg, and directs all logs there.
func (m *Master) openLogs(cfg *settings.Config) error {
	files, err := m.openLogFiles(cfg)
	if err != nil {
		return err
	}
	m.useLogs(cfg, files)
	return nil
}

// setLogLevel: with a logger Python's logging decides.
func (m *Master) setLogLevel(cfg *settings.Config) {
	if m.logger != nil {
		m.log.SetLevel(m.logger.level)
		return
	}
	m.log.SetLevel(cfg.Loglevel())
}

// openAccessLog opens the access log, nil for none.
func (m *Master) openAccessLog(path string, uid, gid int) (*os.File, error) {
	switch path {
	case "":
		return nil, nil
	case "-":
		return m.sys.duplicate(os.Stdout)
	}
	return m.sys.openLog(path, uid, gid)
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
	m.logger.reopen()
}

// sendLogs tells the front where its logs go.
func (f *front) sendLogs() {
	if f == nil {
		return
	}
	m := f.m
	msg := wire.ToFront{
		Type: wire.TypeLogs, Error: true, Level: m.cfg.Loglevel(), Format: m.cfg.LogFormat(), Syslog: m.cfg.SyslogSink(), Statsd: m.cfg.StatsdSink(),
	}
	var files []*os.File
	// With a logger the access log is Python's to write.
	if m.access != nil && m.logger == nil {
		msg.Access = true
		files = append(files, m.access)
	}
	files = append(files, m.log.File())
	if m.logger != nil {
		msg.Logger, msg.Level = true, m.logger.level
		files = append(files, m.logger.file)
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
	if !m.cfg.EnableBacklogMetric() || m.state == quitting {
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
