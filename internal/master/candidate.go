package master

import (
	"os"
	"time"

	"indrik/internal/canary"
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
	python    string    // the interpreter, for people
	file      string    // the config file that was read, for people
	modules   []string  // of Gunicorn's, for which the config file was given ours
	begun     time.Time // when it was begun

	evaluation wire.ToSpawner // how its config file is evaluated by the spawner of its pools

	certs     *certificates // nil without TLS
	gen       *generation
	listeners []*listen.Listener // from when they are bound until it takes over
	admin     *listen.Listener   // likewise, at admin_bind
	token     *token             // for commands there; nil: none
	target    int                // how many workers it is to have
	change    int                // by TTIN and TTOU since it was begun
	bound     bool               // its addresses are open, and on_reload has run
	forked    bool               // its workers are being made
	asked     *canary.Plan       // how a command wants it tried; nil: as the settings say
	trial     *trial             // nil until it is tried
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
// c has failed if they are not.
func (c *candidate) readCertificates() bool {
	var err error
	if c.certs, err = c.m.tls.read(c.cfg); err != nil {
		c.fail(&failure{text: "\nError: " + err.Error(), code: exitcode.Config})
		return false
	}
	return true
}

// prepare makes the generation, and readies the spawner to fork its workers.
func (c *candidate) prepare(load bool) {
	m := c.m
	g, err := m.newGeneration()
	if err != nil {
		c.fail(lack("", err))
		return
	}
	g.cfg, g.sp, g.hooks, g.certs = c.cfg, c.sp, c.hooks, c.certs
	c.gen = g
	m.spawners.call(c.sp, wire.ToSpawner{
		Type: wire.TypePrepare, Generation: g.number, Settings: c.cfg.All(), App: c.cfg.App(), Kind: c.cfg.Kind(),
		Server: m.server(c.cfg), Load: load, StandIn: c.standIn(), Terminal: m.terminal(c.cfg), AppMetrics: m.metrics.prepare(c.cfg),
	}, []*os.File{g.queueWorker}, func(r wire.FromSpawner) {
		if c.over {
			return
		}
		if r.Type == wire.TypeFailed {
			c.fail(failed(r))
			return
		}
		if !r.Logger {
			c.flow.prepared()
			return
		}
		m.startLogger(c.gen, func(f *failure) {
			switch {
			case c.over:
				m.logging.letGo(c.gen.logger)
			case f != nil:
				c.fail(f)
			default:
				c.flow.prepared()
			}
		})
	})
}

// standIn reports whether an app that does not compile is replaced, until it does, by one
// that shows the error: with reload, as long as there is nothing better to serve.
func (c *candidate) standIn() bool {
	return c.cfg.Reload() && c.m.upgrader.predecessor == nil && (c.m.gen == nil || c.m.gen.standIn)
}

// fork makes the workers, once the front knows their generation.
func (c *candidate) fork() {
	if !c.bound || !c.gen.taken || c.forked {
		return
	}
	c.forked = true
	for range c.target {
		if !c.m.spawn(c.gen) {
			return // c has failed
		}
	}
	if c.m.balancePools(c.gen); c.over {
		return
	}
	c.workerReady() // there may be none to wait for
}

// workerReady is called when one more worker of c, or of its pools, is ready.
func (c *candidate) workerReady() {
	if c.over || !c.forked {
		return
	}
	if c.m.pool.countReady(c.gen) >= c.target && c.m.poolWorkers.areReady(c.gen) {
		c.flow.ready()
	}
}

// fail is called when a step has failed.
func (c *candidate) fail(f *failure) {
	if !c.over {
		c.flow.failed(f)
	}
}

// discard gives c up: what was made for it ends. Workers that were tried finish what they have.
func (c *candidate) discard() {
	if c.over {
		return
	}
	c.over = true
	m := c.m
	if m.candidate == c {
		m.candidate = nil
	}
	m.endTrial(c, false)
	if c.gen != nil {
		for _, w := range m.pool.byAge() {
			switch {
			case w.gen != c.gen:
			case w.active:
				m.pool.retire(w)
			default:
				m.pool.quit(w)
			}
		}
		if c.trial == nil || !m.pool.uses(c.gen) {
			c.discardPools()
		}
		m.logging.letGo(c.gen.logger)
		m.releaseUnused(c.gen)
	}
	c.closeListeners()
	if !c.reused && c.sp != nil && (c.trial == nil || !m.pool.uses(c.gen)) {
		c.sp.dismiss()
		m.spawners.killLater(c.sp)
	}
	m.dismissUnused()
}

// discardPools ends the pools of c, which nobody calls: otherwise they end with the last of the
// workers that do.
func (c *candidate) discardPools() {
	if c.gen.pools == nil {
		return
	}
	for _, w := range c.m.poolWorkers.byAge() {
		if w.gen == c.gen {
			c.m.poolWorkers.quit(w)
		}
	}
	c.gen.pools.sp.dismiss()
	c.m.spawners.killLater(c.gen.pools.sp)
}
