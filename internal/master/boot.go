package master

import (
	"fmt"
	"os"
	"strings"
	"time"

	"indrik/internal/exitcode"
	"indrik/internal/oslayer"
	"indrik/internal/settings"
	"indrik/internal/version"
)

// boot starts the server; what it has to wait for goes on in callbacks, in
// Gunicorn's order: configuration, preloaded app, pid file, on_starting,
// sockets, when_ready, workers.
func (m *Master) boot() {
	sp, err := m.startSpawner()
	if err != nil {
		m.refuse(lack("", err))
		return
	}
	b := &candidate{m: m, sp: sp, begun: m.start}
	m.candidate = b
	b.resolved = func() { m.resolved(b) }
	b.prepared = func() { m.prepared(b) }
	b.failed = func(f *failure) { m.fail(f) }
	b.configure()
}

// resolved goes on when the settings of the first generation are known.
func (m *Master) resolved(b *candidate) {
	cfg := b.cfg
	check := checks(cfg)
	if cfg.App() == "" && !check {
		m.fail(&failure{text: settings.NoApp("indrik", m.opts.Dir), code: exitcode.Config})
		return
	}
	if cfg.Daemon() && !check && !m.upgraded && !m.sys.daemonized() {
		m.daemonize(cfg.EnableStdioInheritance())
		return
	}
	if err := m.sys.chdir(cfg.Chdir()); err != nil {
		f := &failure{text: fmt.Sprintf("\nError: can't chdir to '%s'", cfg.Chdir()), code: exitcode.Config}
		if oslayer.Limit(err) != "" {
			f = lack("", err)
		}
		m.fail(f)
		return
	}
	m.cfg, m.target = cfg, cfg.Workers()
	if b.change != 0 { // TTIN and TTOU came already
		m.target = max(1, m.target+b.change)
	}
	if check {
		m.check(b)
		return
	}
	if m.sys.daemonized() {
		m.sys.umask(0o022)
	}
	if err := m.openLogs(cfg); err != nil {
		m.fail(lack("", err))
		return
	}
	m.tellSettings(cfg)
	m.sys.setTitle(title("master", m.procName()))
	m.nameSpawner(b.sp)
	if !b.readCertificates() {
		return
	}
	b.prepare(cfg.PreloadApp())
}

// prepared goes on when the spawner can fork workers.
func (m *Master) prepared(b *candidate) {
	m.setLogger(b.gen.logger)
	m.log.Infof("Starting indrik %s", version.Version)
	b.tellSources()
	if path := m.pidPath(m.cfg); path != "" {
		pid, err := m.sys.pidFile(path, os.Getpid())
		if err != nil {
			m.fail(lack("", err))
			return
		}
		m.pid = pid
	}
	m.tellTarget(b.gen, m.target, func(f *failure) {
		if b.over {
			return
		}
		if f != nil {
			m.fail(f)
			return
		}
		m.hook(b.gen, "on_starting", func(f *failure) { m.starting(b, f) })
	})
}

// starting goes on after the hook on_starting.
func (m *Master) starting(b *candidate, f *failure) {
	if b.over {
		return
	}
	if f != nil {
		m.fail(f)
		return
	}
	b.bind(func(err error) {
		if err != nil {
			m.fail(&failure{code: lack("", err).code}) // the log has the rest
			return
		}
		m.listening(b)
	})
}

// listening goes on when the sockets listen.
func (m *Master) listening(b *candidate) {
	m.takeListeners(b)
	m.control.open(m.cfg)
	m.log.Infof("Listening at: %s (%d)", m.bindNames(), os.Getpid())
	if m.kindIsCertain() {
		m.tellClass()
	}
	b.tellWorkers()
	if m.target != m.told { // TTIN and TTOU came meanwhile
		m.tellTarget(b.gen, m.target, m.logHook("nworkers_changed"))
	}
	m.hook(b.gen, "when_ready", func(f *failure) {
		if b.over {
			return
		}
		if f != nil {
			m.fail(f)
			return
		}
		if err := m.startFront(); err != nil {
			m.fail(lack("", err))
			return
		}
		b.over = true
		m.candidate, m.gen = nil, b.gen
		m.front.sendGeneration(b.gen)
		m.watchCertificates()
		m.watchCode()
		m.rotateTickets()
		m.watchdog()
		m.watchBacklog()
		m.balance()
		m.booted()
	})
}

// booted ends the boot once every worker is ready.
func (m *Master) booted() {
	if m.state != booting {
		return
	}
	ready := 0
	for _, w := range m.workers {
		if w.ready && !w.leaving {
			ready++
		}
	}
	if ready < m.target {
		return
	}
	// Only now are connections taken. A master that cannot boot must not take
	// any from one before it, which serves the same sockets.
	m.serving = true
	m.front.sendListeners()
	m.tellClass()
	m.tellReady(m.start)
	if m.predecessor != nil {
		m.predecessor.ready()
	}
	m.tell(m.notify.Ready("Indrik serves"))
	if m.release != nil {
		m.release(exitcode.OK)
	}
	m.enter(running)
	m.rememberAttributes()
	if m.reloader.due {
		m.reloadCode()
	}
}

// kindIsCertain reports whether the kind of worker is known before an app is: one that
// nobody has chosen may still turn out to be asgi.
func (m *Master) kindIsCertain() bool {
	return m.cfg.IsSet("worker_class") || m.cfg.Kind() != settings.WorkerSync
}

// tellClass logs the kind of worker, once.
func (m *Master) tellClass() {
	if !m.toldClass {
		m.toldClass = true
		m.log.Infof("Using worker: %s", m.cfg.KindForLog())
	}
}

// tellReady logs that the workers serve, and how long that took since begun.
func (m *Master) tellReady(begun time.Time) {
	m.log.Infof("Ready: %s in %.1f s", plural(m.target, "worker"), m.now().Sub(begun).Seconds())
}

// plural is n with the noun, which is given for one.
func plural(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// tellSettings logs what there is to say about the settings.
func (m *Master) tellSettings(cfg *settings.Config) {
	for _, text := range cfg.Warnings() {
		m.log.Warnf("%s", text)
	}
	for _, text := range cfg.Notes() {
		m.log.Debugf("%s", text)
	}
	m.log.Debugf("Current configuration:\n%s", strings.TrimRight(cfg.Text(), "\n"))
}

// tell notes what could not be told to the service manager.
func (m *Master) tell(err error) {
	if err != nil {
		m.log.Debugf("sd_notify: %s", err)
	}
}
