package master

import (
	"os"
	"time"

	"indrik/internal/exitcode"
	"indrik/internal/listen"
	"indrik/internal/settings"
	"indrik/internal/wire"
)

// A candidate is a generation in the making: its config file is evaluated, the
// settings are resolved, the app is imported if it is preloaded, and its
// workers are forked. Nothing of the serving generation is touched until all
// of that has succeeded.
type candidate struct {
	m         *Master
	flow      flow // that it is part of
	sp        *spawner
	reused    bool // sp serves the generation before it, too (preload_app)
	freshCode bool // because code has changed
	cfg       *settings.Config
	sizing    string // why it has as many workers as it has, if they were not told
	wrong     error  // what is wrong with the settings, when they are only looked at
	hooks     map[string]bool
	python    string        // the interpreter, for people
	file      string        // the config file that was read, for people
	begun     time.Time     // when it was begun
	certs     *certificates // nil without TLS
	gen       *generation
	listeners []*listen.Listener // from when they are bound until it takes over
	target    int                // how many workers it is to have
	change    int                // by TTIN and TTOU since it was begun
	bound     bool               // its addresses are open, and on_reload has run
	forked    bool               // its workers are being made
	over      bool               // it took over, or was given up
}

// A flow is what a candidate is made for: its methods are the steps that follow when a
// step of the candidate itself is done. The steps of one flow are in one file, in order.
type flow interface {
	resolved()       // the settings are known
	prepared()       // the spawner can fork workers
	ready()          // all workers have their app
	failed(*failure) // a step has failed; the candidate is yet to be discarded
}

// keepsApp reports whether a reload goes on with the app that a spawner holds.
func keepsApp(old, next *settings.Config) bool {
	if !old.PreloadApp() || !next.PreloadApp() || old.App() != next.App() {
		return false
	}
	if (old.Kind() == settings.WorkerGevent) != (next.Kind() == settings.WorkerGevent) {
		return false // a library that was patched stays so
	}
	return old.Chdir() == next.Chdir() && old.Pythonpath() == next.Pythonpath()
}

// readCertificates reads the certificate files and reports whether they are good;
// b has failed if they are not.
func (b *candidate) readCertificates() bool {
	var err error
	if b.certs, err = b.m.tls.read(b.cfg); err != nil {
		b.fail(&failure{text: "\nError: " + err.Error(), code: exitcode.Config})
		return false
	}
	return true
}

// prepare makes the generation, and readies the spawner to fork its workers.
func (b *candidate) prepare(load bool) {
	m := b.m
	g, err := m.newGeneration()
	if err != nil {
		b.fail(lack("", err))
		return
	}
	g.cfg, g.sp, g.hooks, g.certs = b.cfg, b.sp, b.hooks, b.certs
	b.gen = g
	m.spawners.call(b.sp, wire.ToSpawner{
		Type: wire.TypePrepare, Generation: g.number, Settings: b.cfg.All(), App: b.cfg.App(), Kind: b.cfg.Kind(),
		Server: m.server(b.cfg), Load: load, StandIn: b.standIn(), Terminal: m.terminal(b.cfg),
	}, []*os.File{g.queueWorker}, func(r wire.FromSpawner) {
		if b.over {
			return
		}
		if r.Type == wire.TypeFailed {
			b.fail(failed(r))
			return
		}
		if !r.Logger {
			b.flow.prepared()
			return
		}
		m.startLogger(b.gen, func(f *failure) {
			switch {
			case b.over:
				m.logging.letGo(b.gen.logger)
			case f != nil:
				b.fail(f)
			default:
				b.flow.prepared()
			}
		})
	})
}

// standIn reports whether an app that does not compile is replaced by one that shows
// why, until it does: with reload, as long as there is nothing better to serve.
func (b *candidate) standIn() bool {
	return b.cfg.Reload() && b.m.upgrader.predecessor == nil && (b.m.gen == nil || b.m.gen.standIn)
}

// fork makes the workers, once the front knows their generation.
func (b *candidate) fork() {
	if !b.bound || !b.gen.taken || b.forked {
		return
	}
	b.forked = true
	for range b.target {
		if !b.m.spawn(b.gen) {
			return // b has failed
		}
	}
	b.workerReady() // there may be none to wait for
}

// workerReady is called when one more worker of b is ready.
func (b *candidate) workerReady() {
	if b.over || !b.forked {
		return
	}
	if b.m.pool.countReady(b.gen) >= b.target {
		b.flow.ready()
	}
}

// fail is called when a step has failed.
func (b *candidate) fail(f *failure) {
	if !b.over {
		b.flow.failed(f)
	}
}

// discard gives b up: what was made for it ends.
func (b *candidate) discard() {
	if b.over {
		return
	}
	b.over = true
	m := b.m
	if m.candidate == b {
		m.candidate = nil
	}
	if b.gen != nil {
		for _, w := range m.pool.workers {
			if w.gen == b.gen {
				m.pool.quit(w)
			}
		}
		m.logging.letGo(b.gen.logger)
		m.releaseUnused(b.gen)
	}
	b.closeListeners()
	if !b.reused && b.sp != nil {
		b.sp.dismiss()
		m.spawners.killLater(b.sp)
	}
	m.dismissUnused()
}
