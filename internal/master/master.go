package master

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"indrik/internal/errlog"
	"indrik/internal/exitcode"
	"indrik/internal/listen"
	"indrik/internal/notify"
	"indrik/internal/outlets"
	"indrik/internal/pidfile"
	"indrik/internal/settings"
	"indrik/internal/status"
)

// Master is one master process. All of its fields belong to the goroutine
// that runs its loop.
type Master struct {
	opts  Options
	sys   *system
	log   *errlog.Log
	state state
	start time.Time

	events     chan func()
	arrived    []syscall.Signal             // a moment ago: see signalled
	handled    map[syscall.Signal]time.Time // when each came last
	hinted     map[syscall.Signal]bool      // the log says what to do about one that came to a spawner
	deferred   []syscall.Signal             // to be handled once running
	over       bool                         // the loop ends
	code       int                          // with this exit code
	reason     string                       // and this reason, if it is a failure
	silent     bool                         // why was said already, before there was a log
	reports    int                          // of stacks that are awaited before the end
	drains     int                          // by TERM or WINCH, so far
	drainUntil time.Time                    // when a drain is to be over
	patient    bool                         // in quitting: workers have time for what is to be run at their end

	cfg        *settings.Config // of the generation that serves
	target     int              // how many workers there should be
	told       int              // the target that nworkers_changed heard of last, −1: none
	gen        *generation      // serves; nil until its workers are being made
	candidate  *candidate       // is being made; nil if none is
	python     string           // the interpreter, when the log told it last
	file       string           // the config file, likewise
	toldClass  bool             // the log says which kind of worker is used
	rebuild    backoff          // of generations made because their spawner died
	spawners   map[int]*spawner // by pid
	workers    map[int]*worker  // by number
	lastAge    int
	lastGen    int
	obituaries map[int]*obituary // of workers that died, until the front has said what they ran
	oomKills   int               // that the control group has seen, when looked last
	respawn    backoff
	respawner  *time.Timer // runs balance when the pause is over

	serving                       bool // workers are ready, or were: the front may accept
	front                         *front
	fronts                        int // started so far
	frontPause                    backoff
	attributes                    map[string]string // what hooks have put on `server`, when a spawner was asked last
	tickets                       tickets
	watcher                       *time.Timer // runs watchCertificates
	reloader                      reloader
	rotator                       *time.Timer // runs rotateTickets
	gauge                         *time.Timer // runs watchBacklog
	access                        *os.File    // access log
	outlets                       *outlets.Outlets
	logger                        *logger               // through which log lines go, nil: none
	loggers                       map[int]bool          // by pid
	leftLoggers                   map[*logger]time.Time // those that were let go, and when: they may still write
	loggerPause                   backoff
	loggerEnds                    bool // it was told to, at the end of this process
	said                          bool // the last line of the log
	counted                       int  // workers, when told last
	listeners                     []*listen.Listener
	control                       controlSocket
	ended                         chan struct{} // closed when the loop has ended
	reloads, failedReloads, kills int           // so far
	lastReload                    *status.Reload
	upgradeFailure                string // of the last one
	deaths                        []status.Death
	lastID                        int

	pid       *pidfile.File
	notify    *notify.Notifier
	still     string         // why the watchdog is not fed
	readySeen time.Time      // when there was a worker that was ready, or none was to be
	release   func(code int) // lets the command that started a daemon return
	daemon    process        // the daemon that this command started

	upgraded    bool  // another master started this one
	predecessor *link // that one, until promotion
	successor   *link // the master that this one started
	pausing     bool  // WINCH came, and the front still has requests
	pauseLater  bool  // WINCH came before the successor was ready
}

// Run is the whole life of a master process; it returns the exit code.
func Run(o Options) int {
	// The master handles a few events a second: a small heap matters more
	// than the time that collecting it takes.
	debug.SetGCPercent(20)
	m := newMaster(o, realSystem())
	defer m.outlets.Close()
	if m.sys.daemonized() {
		m.becomeDaemon()
	}
	return m.run()
}

func newMaster(o Options, sys *system) *Master {
	m := &Master{
		opts:        o,
		sys:         sys,
		log:         errlog.New(o.Stderr),
		start:       sys.now(),
		events:      make(chan func(), 64),
		ended:       make(chan struct{}),
		deaths:      []status.Death{},
		spawners:    map[int]*spawner{},
		workers:     map[int]*worker{},
		loggers:     map[int]bool{},
		leftLoggers: map[*logger]time.Time{},
		obituaries:  map[int]*obituary{},
		oomKills:    sys.oomKills(),
		told:        -1,
		notify:      notify.New(sys.getenv),
	}
	m.control.m = m
	m.outlets = outlets.New(m.log, "master")
	return m
}

// now is the time by the clock of the system.
func (m *Master) now() time.Time { return m.sys.now() }

func (m *Master) run() int {
	heard := append(make([]os.Signal, 0, 1+len(signals)), syscall.SIGCHLD)
	for s := range signals {
		heard = append(heard, s)
	}
	sigs := m.sys.signals(heard...)
	m.sys.protect(m.log.Debugf)
	if err := m.inherit(); err != nil {
		return m.refuse(err)
	}
	m.boot()
	defer close(m.ended)
	for !m.over {
		select {
		case f := <-m.events:
			f()
		case s := <-sigs:
			if s == syscall.SIGCHLD {
				m.reap()
			} else {
				m.signalled(s.(syscall.Signal))
			}
		}
		m.control.settle()
	}
	return m.code
}

// post has f run by the loop. It may be called from any goroutine but the loop's.
func (m *Master) post(f func()) { m.events <- f }

// hear has the loop act on each message that comes over conn, if act is not nil, and then
// on its end, which is when no process holds the other end any more.
func hear[T any](m *Master, conn controlConn, act func(T), end func()) {
	go func() {
		defer conn.Close()
		for {
			var msg T
			files, err := conn.Recv(&msg)
			closeFiles(files) // nobody sends the master any
			if err != nil {
				break
			}
			if act != nil {
				m.post(func() { act(msg) })
			}
		}
		if end != nil {
			m.post(end)
		}
	}()
}

// after has f run by the loop after d.
func (m *Master) after(d time.Duration, f func()) *time.Timer {
	return m.sys.after(d, func() { m.post(f) })
}

// refuse says why the server does not start, and returns the exit code.
func (m *Master) refuse(err error) int {
	m.over, m.code = true, exitcode.Config
	if f := (*failure)(nil); errors.As(err, &f) {
		m.code = f.code
	}
	m.say(err.Error())
	if m.predecessor != nil {
		m.predecessor.failed(err.Error())
	}
	return m.code
}

// name is how this master calls itself in the log.
func (m *Master) name() string {
	if m.predecessor != nil {
		return "Master.2"
	}
	return "Master"
}

// procName is what titles have in brackets.
func (m *Master) procName() string { return m.procNameOf(m.cfg) }

func (m *Master) procNameOf(cfg *settings.Config) string {
	name := cfg.ProcName()
	if m.predecessor != nil {
		name += ".2"
	}
	return name
}

func title(role, name string) string { return fmt.Sprintf("indrik: %s [%s]", role, name) }

// pidPath is where this master keeps its pid file, "" for none.
func (m *Master) pidPath(cfg *settings.Config) string {
	path := cfg.Pidfile()
	if path == "" {
		return ""
	}
	if m.predecessor != nil {
		path += ".2"
	}
	return path
}

// bindNames is what `Listening at:` lists.
func (m *Master) bindNames() string {
	urls := make([]string, 0, len(m.listeners))
	for _, l := range m.listeners {
		url := l.URL()
		if rest, ok := strings.CutPrefix(url, "http:"); ok && m.cfg.TLS() {
			url = "https:" + rest
		}
		urls = append(urls, url)
	}
	return strings.Join(urls, ",")
}
