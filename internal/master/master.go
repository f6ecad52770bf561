package master

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"syscall"
	"time"

	"indrik/internal/errlog"
	"indrik/internal/exitcode"
	"indrik/internal/notify"
	"indrik/internal/recycle"
	"indrik/internal/settings"
	"indrik/internal/sinks"
	"indrik/internal/status"
	"indrik/internal/wire"
)

// Master is one master process. All of its fields belong to the goroutine that runs its
// loop. What concerns one kind of process, or one task, is in a part of its own, which
// knows nothing of the others except what it was given.
type Master struct {
	base
	opts Options

	state     state
	cfg       *settings.Config // of the generation that serves
	gen       *generation      // serves; nil until its workers are being made
	candidate *candidate       // is being made; nil if none is

	pool     pool          // the workers
	scale    scaling       // how many of them the load needs
	front    frontLink     // the front, and the listening sockets
	spawners spawners      // the Python processes that fork workers
	upgrader upgrader      // the other master of a hot upgrade
	logging  logging       // log files, the logger, metrics
	tls      tlsKeys       // certificates and session tickets
	reloader reloader      // code that changes
	recycler recycler      // which workers are to be replaced
	deaths   obituaries    // messages about workers that died
	inbox    inbox         // signals
	service  service       // the service manager
	stacks   stacks        // of processes that hang
	slow     slowLog       // which slow requests show where they are
	refork   reforker      // workers that fork others
	usage    usageMeter    // what workers and templates take
	control  controlSocket // commands of operators
	admin    adminSocket   // where the front answers those who watch the server
	metrics  appMetrics    // of the app, in files
	ending   ending        // how, and how far, the server ends

	poolWorkers poolWorkers // the workers of pools
}

// Run is the whole life of a master process; it returns the exit code.
func Run(o Options) int {
	// The master handles a few events a second: a small heap matters more
	// than the time that collecting it takes.
	debug.SetGCPercent(20)
	m := newMaster(o, realSystem())
	defer m.logging.sinks.Close()
	if m.sys.daemonized() {
		m.becomeDaemon()
	}
	return m.run()
}

func newMaster(o Options, sys *system) *Master {
	log := errlog.New(o.Stderr)
	b := base{&eventLoop{sys, make(chan func(), 64)}, sys, log}
	m := &Master{base: b, opts: o}
	m.front = frontLink{base: b}
	m.pool = pool{base: b, front: &m.front, retiring: m.promote, forgotten: m.workerForgotten, workers: map[int]*worker{}, told: -1}
	m.poolWorkers = poolWorkers{base: b, front: &m.front, forgotten: m.poolWorkerForgotten, workers: map[int]*poolWorker{}}
	m.scale = scaling{base: b}
	m.refork = reforker{base: b, templates: map[int]*template{}}
	m.usage = usageMeter{base: b}
	m.spawners = spawners{base: b, opts: &m.opts, byPid: map[int]*spawner{}}
	m.recycler = recycler{base: b, count: map[recycle.Reason]int{}, dry: map[recycle.Reason]int{}}
	m.upgrader = upgrader{base: b}
	m.logging = logging{base: b, sinks: sinks.New(log, "master"), loggers: map[int]bool{}, left: map[*logger]time.Time{}}
	m.tls = tlsKeys{base: b}
	m.stacks = stacks{base: b, arrived: m.exitIfDone}
	m.reloader = reloader{base: b}
	m.metrics = appMetrics{base: b, front: &m.front, reported: map[string]bool{}}
	m.control = controlSocket{base: b, handler: &controlHandler{m}, history: history{deaths: []status.Death{}, byCause: map[status.Cause]int{}, slow: []status.SlowRequest{}}}
	m.ending = ending{ended: make(chan struct{})}
	m.deaths = obituaries{base: b, front: &m.front, untold: map[int]*obituary{}, oomKills: sys.oomKills(), told: m.recordDeath}
	m.inbox = inbox{handled: map[syscall.Signal]time.Time{}, hinted: map[syscall.Signal]bool{}}
	m.service = service{base: b, notify: notify.New(sys.getenv), started: sys.now()}
	return m
}

// run runs the loop until the server has ended, and returns the exit code.
func (m *Master) run() int {
	heard := make([]os.Signal, 0, 1+len(signals))
	heard = append(heard, syscall.SIGCHLD)
	for s := range signals {
		heard = append(heard, s)
	}
	arriving := m.sys.signals(heard...)
	m.sys.protect(m.log.Debugf)
	if err := m.inherit(); err != nil {
		return m.refuse(err)
	}
	m.boot()
	defer close(m.ending.ended)
	events := m.loop.(*eventLoop).events
	for !m.ending.over {
		select {
		case f := <-events:
			f()
		case s := <-arriving:
			if s == syscall.SIGCHLD {
				m.reap()
			} else {
				m.signalled(s.(syscall.Signal))
			}
		}
		m.control.settle()
		m.tellAdmin()
		m.tellLeast()
	}
	return m.ending.code
}

// refuse says why the server does not start, and returns the exit code.
func (m *Master) refuse(err error) int {
	m.ending.over, m.ending.code = true, exitcode.Config
	if f := (*failure)(nil); errors.As(err, &f) {
		m.ending.code = f.code
	}
	m.say(err.Error())
	m.upgrader.tellFailure(err.Error())
	return m.ending.code
}

// name is how this master calls itself in the log.
func (m *Master) name() string {
	if m.upgrader.predecessor != nil {
		return "Master.2"
	}
	return "Master"
}

// procName returns the text that titles have in brackets, for a configuration.
func (m *Master) procName(cfg *settings.Config) string { return cfg.ProcName() + m.upgrader.suffix() }

// title returns the title of a process of this master.
func (m *Master) title(role string) string {
	return fmt.Sprintf("indrik: %s [%s]", role, m.procName(m.cfg))
}

// pidPath returns where this master keeps its pid file, "" for none.
func (m *Master) pidPath(cfg *settings.Config) string {
	path := cfg.Pidfile()
	if path == "" {
		return ""
	}
	return path + m.upgrader.suffix()
}

// server is what hooks see of this master.
func (m *Master) server(cfg *settings.Config) *wire.Server {
	s := &wire.Server{
		Pid: os.Getpid(), ProcName: m.procName(cfg), NumWorkers: m.pool.target,
		MasterName: m.name(), Address: []string{},
	}
	for _, l := range m.front.listeners {
		s.Address = append(s.Address, l.Bind)
	}
	return s
}
