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

// A bootFlow is the first start, in Gunicorn's order: configuration, preloaded app, pid
// file, on_starting, sockets, when_ready, workers. Its methods stand in the order in which
// they run.
type bootFlow struct {
	m *Master
	c *candidate
}

// boot starts the server.
func (m *Master) boot() {
	sp, err := m.startSpawner()
	if err != nil {
		m.refuse(lack("", err))
		return
	}
	c := &candidate{m: m, sp: sp, begun: m.service.started}
	c.flow = bootFlow{m, c}
	m.candidate = c
	c.configure()
}

// resolved goes on when the settings of the first generation are known.
func (b bootFlow) resolved() {
	m, cfg := b.m, b.c.cfg
	check := checks(cfg)
	if cfg.App() == "" && !check {
		b.failed(&failure{text: settings.NoApp("indrik", m.opts.Dir), code: exitcode.Config})
		return
	}
	if cfg.Daemon() && !check && !m.upgrader.upgraded && !m.sys.daemonized() {
		m.daemonize(cfg.EnableStdioInheritance())
		return
	}
	if err := m.sys.chdir(cfg.Chdir()); err != nil {
		f := &failure{text: fmt.Sprintf("\nError: can't chdir to '%s'", cfg.Chdir()), code: exitcode.Config}
		if oslayer.Limit(err) != "" {
			f = lack("", err)
		}
		b.failed(f)
		return
	}
	m.cfg, m.pool.target = cfg, m.scale.begin(cfg, m.upgrader.target)
	m.scale.adopt(cfg, b.c.change)
	if b.c.change != 0 { // TTIN and TTOU came already
		m.pool.target = m.scale.clamp(max(1, m.pool.target+b.c.change))
	}
	if check {
		m.check(b.c)
		return
	}
	b.describe()
}

// describe makes this process what the settings say: its logs, its title.
func (b bootFlow) describe() {
	m, cfg := b.m, b.c.cfg
	if m.sys.daemonized() {
		m.sys.umask(0o022)
	}
	if err := m.openLogs(cfg); err != nil {
		b.failed(lack("", err))
		return
	}
	m.tellSettings(cfg)
	m.sys.setTitle(m.title("master"))
	b.c.sp.setTitle(m.title("spawner"))
	if b.c.readCertificates() && b.c.readToken() {
		b.c.prepare(cfg.PreloadApp())
	}
}

// prepared goes on when the spawner can fork workers.
func (b bootFlow) prepared() {
	m := b.m
	m.setLogger(b.c.gen.logger)
	m.log.Infof("Starting indrik %s", version.Version)
	m.logging.tellSources(b.c.python, b.c.file)
	m.logging.tellModules(b.c.modules)
	if path := m.pidPath(m.cfg); path != "" {
		pid, err := m.sys.pidFile(path, os.Getpid())
		if err != nil {
			b.failed(lack("", err))
			return
		}
		m.ending.pid = pid
	}
	m.tellTarget(b.c.gen, m.pool.target, b.next(func() {
		m.hook(b.c.gen, "on_starting", b.next(b.bind))
	}))
}

// next returns what goes on with step after a hook, unless that has raised.
func (b bootFlow) next(step func()) func(*failure) {
	return func(f *failure) {
		switch {
		case b.c.over:
		case f != nil:
			b.failed(f)
		default:
			step()
		}
	}
}

// bind opens the sockets.
func (b bootFlow) bind() {
	b.c.bind(func(err error) {
		if err != nil {
			b.failed(&failure{code: lack("", err).code}) // the log has the rest
			return
		}
		b.listening()
	})
}

// listening goes on when the sockets listen.
func (b bootFlow) listening() {
	m := b.m
	m.takeListeners(b.c)
	m.openControl()
	m.log.Infof("Listening at: %s (%d)", m.front.urls(m.cfg.TLS(), b.c.gen.protocols), os.Getpid())
	m.takeAdmin(b.c)
	if m.kindIsCertain() {
		m.logging.tellKind(m.cfg)
	}
	b.c.tellWorkers()
	if m.pool.target != m.pool.told { // TTIN and TTOU came meanwhile
		m.tellTarget(b.c.gen, m.pool.target, m.logHook("nworkers_changed"))
	}
	m.hook(b.c.gen, "when_ready", b.next(func() { m.preparePools(b.c, b.fork) }))
}

// fork starts the front, and the workers of what serves from now on.
func (b bootFlow) fork() {
	m := b.m
	if err := m.startFront(); err != nil {
		b.failed(lack("", err))
		return
	}
	b.c.over = true
	m.candidate, m.gen = nil, b.c.gen
	m.sendGeneration(m.gen)
	m.watchServing()
	m.rotateTickets()
	m.feedWatchdog()
	m.balance()
	m.endBoot()
}

// endBoot ends the first start if every worker is ready.
func (m *Master) endBoot() {
	if m.state != booting {
		return
	}
	if m.pool.countServing() >= m.pool.target && m.poolWorkers.areReady(m.gen) {
		bootFlow{m: m}.ready()
	}
}

// ready ends the first start. Only now are connections taken: a master that cannot boot
// must not take any from one before it, which serves the same sockets.
func (b bootFlow) ready() {
	m := b.m
	m.upgrader.ready = true
	if m.upgrader.held {
		m.sendUpgradeTrial()
		m.sendFigures(&trial{})
	} else {
		m.front.accept()
	}
	m.logging.tellKind(m.cfg)
	m.tellReady(m.service.started)
	m.upgrader.tellReady()
	m.service.ready("Indrik serves")
	m.ending.letCommandReturn(exitcode.OK)
	m.enter(running)
	m.lookAgain()
	m.rememberAttributes()
	if m.reloader.due {
		m.reloadNow()
	}
}

// failed ends the first start.
func (b bootFlow) failed(f *failure) { b.m.failStart(f) }

// kindIsCertain reports whether the kind of worker is known before an app is: one that
// nobody has chosen may still turn out to be asgi.
func (m *Master) kindIsCertain() bool {
	return m.cfg.IsSet("worker_class") || m.cfg.Kind() != settings.WorkerSync
}

// tellReady logs that the workers serve, and how long that took since begun.
func (m *Master) tellReady(begun time.Time) {
	m.log.Infof("Ready: %s in %.1f s", plural(m.pool.target, "worker"), m.now().Sub(begun).Seconds())
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
