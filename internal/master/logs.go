package master

import (
	"os"
	"strings"
	"time"

	"indrik/internal/listen"
	"indrik/internal/settings"
	"indrik/internal/sinks"
	"indrik/internal/wire"
)

// logging is where the log lines of this master and its front go, and what the log has
// said already.
type logging struct {
	base
	sinks  *sinks.Sinks
	access *os.File    // access log; nil: there is none
	gauge  *time.Timer // runs watchBacklog

	logger  *logger               // through which log lines go, nil: none
	loggers map[int]bool          // by pid
	left    map[*logger]time.Time // those that were let go, and when: they may still write
	backoff backoff
	ends    bool // the logger was told to, at the end of this process

	python   string          // the interpreter, when the log told it last
	file     string          // the config file, when the log told it last
	toldKind bool            // the log says which kind of worker is used
	speed    string          // the version of indrik-speed, when the log told it last
	modules  map[string]bool // of Gunicorn's, for which the log has said that ours are used
}

// logFiles are the open files of the logs of one configuration.
type logFiles struct {
	errors *os.File
	access *os.File // nil: there is no access log
}

func (l *logFiles) close() {
	if l != nil {
		wire.CloseAll([]*os.File{l.errors, l.access})
	}
}

// openFiles opens the log files that cfg names, and changes nothing yet.
func (l *logging) openFiles(cfg *settings.Config) (*logFiles, error) {
	uid, gid := owner(cfg)
	path := cfg.Errorlog()
	if path == "" { // None: Gunicorn has no handler then
		path, uid, gid = os.DevNull, -1, -1
	}
	errors, err := l.sys.openLog(path, uid, gid)
	if err != nil {
		return nil, err
	}
	uid, gid = owner(cfg)
	access, err := l.openAccessLog(cfg.Accesslog(), uid, gid)
	if err != nil {
		errors.Close()
		return nil, err
	}
	return &logFiles{errors, access}, nil
}

// openAccessLog opens the access log, nil for none.
func (l *logging) openAccessLog(path string, uid, gid int) (*os.File, error) {
	switch path {
	case "":
		return nil, nil
	case "-":
		return l.sys.duplicate(os.Stdout)
	}
	return l.sys.openLog(path, uid, gid)
}

// use directs all logs of this process to files, which it takes over, as cfg says.
func (l *logging) use(cfg *settings.Config, files *logFiles) {
	l.setLevel(cfg)
	l.log.SetFile(files.errors)
	l.log.SetFormat(cfg.LogFormat(), "master")
	wire.CloseAll([]*os.File{l.access})
	l.access = files.access
	l.sinks.Set(cfg.SyslogSink(), cfg.StatsdSink())
}

// setLevel sets which lines are written. With a logger Python's logging decides.
func (l *logging) setLevel(cfg *settings.Config) {
	if l.logger != nil {
		l.log.SetLevel(l.logger.level)
		return
	}
	l.log.SetLevel(cfg.Loglevel())
}

// message tells a front where its logs go.
func (l *logging) message(cfg *settings.Config) (msg wire.ToFront, files []*os.File) {
	msg = wire.ToFront{
		Type: wire.TypeLogs, Error: true, Level: cfg.Loglevel(), Format: cfg.LogFormat(), Syslog: cfg.SyslogSink(), Statsd: cfg.StatsdSink(),
	}
	// With a logger the access log is Python's to write.
	if l.access != nil && l.logger == nil {
		msg.Access = true
		files = append(files, l.access)
	}
	files = append(files, l.log.File())
	if l.logger != nil {
		msg.Logger, msg.Level = true, l.logger.level
		files = append(files, l.logger.file)
	}
	return msg, files
}

// tellKind logs the kind of worker, once.
func (l *logging) tellKind(cfg *settings.Config) {
	if !l.toldKind {
		l.toldKind = true
		l.log.Infof("Using worker: %s", cfg.KindForLog())
	}
}

// tellSources logs which Python runs a generation, and the config file that was read, if
// they are others than before.
func (l *logging) tellSources(python, file string) {
	if python != "" && python != l.python {
		l.log.Infof("Using Python: %s", python)
	}
	if file != "" && file != l.file {
		l.log.Infof("Configuration: %s", file)
	}
	l.python, l.file = python, file
}

// tellSpeed logs that workers use indrik-speed, or no longer do, if that was not said yet.
// version is empty if they do not.
func (l *logging) tellSpeed(version string) {
	switch {
	case version == l.speed:
		return
	case version != "":
		l.log.Infof("Using indrik-speed: %s", version)
	default:
		l.log.Infof("Using indrik-speed no more")
	}
	l.speed = version
}

// modulesMost is how many names of modules the log says in all: workers tell them.
const modulesMost = 100

// tellModules logs that our modules were found in the place of Gunicorn's, once for each.
func (l *logging) tellModules(names []string) {
	var fresh []string
	for _, name := range names {
		if !l.modules[name] && len(l.modules)+len(fresh) < modulesMost {
			fresh = append(fresh, name)
		}
	}
	if len(fresh) == 0 {
		return
	}
	if l.modules == nil {
		l.modules = make(map[string]bool)
	}
	for _, name := range fresh {
		l.modules[name] = true
	}
	l.log.Infof("Imports of %s find Indrik's own", strings.Join(fresh, ", "))
}

// backlogEvery is how often the backlog is measured.
const backlogEvery = time.Second

// watchBacklog measures how many connections wait to be accepted, from now on and as long
// as wanted says so. Otherwise there is no timer that would wake an idle master.
func (l *logging) watchBacklog(listeners func() []*listen.Listener, wanted func() bool) {
	if l.gauge != nil {
		l.gauge.Stop()
	}
	if !wanted() {
		return
	}
	if n := backlog(listeners()); n >= 0 {
		l.log.Debugf("socket backlog: %d", n)
		l.sinks.View().Statsd.Histogram("gunicorn.backlog", n)
	}
	l.gauge = l.after(backlogEvery, func() { l.watchBacklog(listeners, wanted) })
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
