package master

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"indrik/internal/capacity"
	"indrik/internal/exitcode"
	"indrik/internal/settings"
	"indrik/internal/wire"
)

// A build is a generation in the making: its config file is evaluated, the
// settings are resolved, the app is imported if it is preloaded, and its
// workers are forked. Nothing of the serving generation is touched until all
// of that has succeeded.
type build struct {
	m      *Master
	sp     *spawner
	reused bool // sp serves the generation before it, too (preload_app)
	anew   bool // because code has changed
	cfg    *settings.Config
	sizing string // why it has as many workers as it has, if they were not told
	wrong  error  // what is wrong with the settings, when they are only looked at
	hooks  map[string]bool
	certs  *certificates // nil without TLS
	gen    *generation
	target int  // how many workers it is to have
	change int  // by TTIN and TTOU since it was begun
	over   bool // it took over, or was given up

	resolved func() // the settings are known
	prepared func() // the spawner can fork workers
	ready    func() // all of its workers have their app
	failed   func(*failure)
}

// configure has the config file evaluated, and resolves the settings.
func (b *build) configure() {
	m := b.m
	path, _ := settings.ConfigFile(m.opts.Env, m.opts.Vars, m.opts.CmdArgs, m.opts.Args)
	var file settings.Layer
	python := path
	if settings.IsTOML(path) {
		var err error
		if file, err = m.readTOML(path); err != nil {
			b.fail(&failure{text: settings.Report(err), code: exitcode.Config})
			return
		}
		python = ""
	}
	m.call(b.sp, wire.ToSpawner{
		Type: wire.TypeConfigure, Generation: m.lastGen + 1, ConfigFile: python, Chdir: m.opts.Dir,
		Kind: settings.EarlyKind(m.opts.Vars, m.opts.CmdArgs, m.opts.Args),
	}, nil, func(r wire.FromSpawner) {
		if b.over {
			return
		}
		if r.Type == wire.TypeFailed {
			f := failed(r)
			if _, err := settings.Resolve(m.opts.App, m.opts.Env, m.opts.Vars, m.opts.CmdArgs, m.opts.Args); err != nil {
				f.traceback += "\n" + settings.Report(err) // what is known to be wrong besides
			}
			b.fail(f)
			return
		}
		if python != "" {
			file = settings.FromFile(path, r.Settings, r.Lines)
		}
		cfg, err := settings.Resolve(m.opts.App, m.opts.Env, file, m.opts.Vars, m.opts.CmdArgs, m.opts.Args)
		if err != nil {
			if m.state != booting || !checks(cfg) {
				b.fail(&failure{text: settings.Report(err), code: exitcode.Config})
				return
			}
			b.wrong = err
		}
		if cfg.TLS() && cfg.IsSet("ssl_context") && b.wrong == nil {
			b.askTLSHook(cfg, r, file)
			return
		}
		b.settle(cfg, r.Hooks)
	})
}

// askTLSHook has the hook ssl_context called, and goes on with the settings that it
// asks for.
func (b *build) askTLSHook(cfg *settings.Config, configured wire.FromSpawner, file settings.Layer) {
	m := b.m
	m.call(b.sp, wire.ToSpawner{
		Type: wire.TypeTLSHook, Generation: m.lastGen + 1, Settings: cfg.All(), App: cfg.App(), Kind: cfg.Kind(),
	}, nil, func(r wire.FromSpawner) {
		if b.over {
			return
		}
		if r.Type == wire.TypeFailed {
			b.fail(failed(r))
			return
		}
		cfg, err := settings.Resolve(m.opts.App, m.opts.Env, file, m.opts.Vars, m.opts.CmdArgs, m.opts.Args, settings.FromHook(r.Settings))
		if err != nil {
			b.fail(&failure{text: settings.Report(err), code: exitcode.Config})
			return
		}
		b.settle(cfg, configured.Hooks)
	})
}

// settle goes on when the settings are known.
func (b *build) settle(cfg *settings.Config, hooks []string) {
	m := b.m
	var err error
	cfg, b.sizing = sized(cfg)
	if b.reused && !keepsApp(m.gen.cfg, cfg) {
		b.reused = false
		if b.sp, err = m.startSpawner(); err != nil {
			b.fail(&failure{text: err.Error(), code: exitcode.Config})
			return
		}
		b.configure()
		return
	}
	b.cfg, b.hooks = cfg, map[string]bool{}
	for _, name := range hooks {
		b.hooks[name] = true
	}
	b.resolved()
}

// readTOML reads a config file that needs no Python.
func (m *Master) readTOML(path string) (settings.Layer, error) {
	path = strings.TrimPrefix(path, "file:")
	full := path
	if !filepath.IsAbs(path) {
		full = filepath.Join(m.opts.Dir, path)
	}
	data, err := os.ReadFile(full)
	if errors.Is(err, os.ErrNotExist) {
		return settings.Layer{}, fmt.Errorf("'%s' doesn't exist", path)
	} else if err != nil {
		return settings.Layer{}, err
	}
	return settings.FromTOML(path, data)
}

// sized fills in the number of workers where that is left to the machine, and
// says why it is that number.
func sized(cfg *settings.Config) (*settings.Config, string) {
	if !cfg.AutoWorkers() {
		return cfg, ""
	}
	kind := cfg.Kind()
	concurrent := cfg.Slots() > 1 || kind != settings.WorkerSync && kind != settings.WorkerThread
	n, why := capacity.Read(os.DirFS("/"), runtime.NumCPU()).Workers(concurrent)
	return cfg.WithWorkers(n), why
}

// tellWorkers logs how the number of workers came about.
func (b *build) tellWorkers() {
	if b.sizing != "" {
		b.m.log.Infof("Workers: %d, %s", b.cfg.Int("workers"), b.sizing)
	}
}

// keepsApp tells whether a reload goes on with the app that a spawner holds.
func keepsApp(old, next *settings.Config) bool {
	if !old.Bool("preload_app") || !next.Bool("preload_app") || old.App() != next.App() {
		return false
	}
	return old.String("chdir") == next.String("chdir") && old.String("pythonpath") == next.String("pythonpath")
}

// readCertificates reads the certificate files and tells whether they are good;
// b has failed if they are not.
func (b *build) readCertificates() bool {
	var err error
	if b.certs, err = b.m.readCertificates(b.cfg); err != nil {
		b.fail(&failure{text: "\nError: " + err.Error(), code: exitcode.Config})
		return false
	}
	return true
}

// prepare makes the generation, and readies the spawner to fork its workers.
func (b *build) prepare(load bool) {
	m := b.m
	g, err := m.newGeneration()
	if err != nil {
		b.fail(&failure{text: "Error: " + err.Error(), code: exitcode.Config})
		return
	}
	g.cfg, g.sp, g.hooks, g.certs = b.cfg, b.sp, b.hooks, b.certs
	b.gen = g
	m.call(b.sp, wire.ToSpawner{
		Type: wire.TypePrepare, Generation: g.number, Settings: b.cfg.All(), App: b.cfg.App(), Kind: b.cfg.Kind(),
		Server: m.server(b.cfg), Load: load, StandIn: b.standIn(),
	}, []*os.File{g.queueWorker, g.page}, func(r wire.FromSpawner) {
		if b.over {
			return
		}
		if r.Type == wire.TypeFailed {
			f := failed(r)
			f.code = exitcode.Config // as Gunicorn, where the master itself imports the app
			b.fail(f)
			return
		}
		if !r.Relay {
			b.prepared()
			return
		}
		m.startRelay(b.gen, func(f *failure) {
			switch {
			case b.over:
				b.gen.relay.close()
			case f != nil:
				b.fail(f)
			default:
				b.prepared()
			}
		})
	})
}

// standIn tells whether an app that does not compile is replaced by one that shows
// why, until it does: with reload, as long as there is nothing better to serve.
func (b *build) standIn() bool {
	return b.cfg.Bool("reload") && b.m.predecessor == nil && (b.m.gen == nil || b.m.gen.standIn)
}

// fork has the workers forked.
func (b *build) fork() {
	for range b.target {
		b.m.spawn(b.gen)
	}
	b.workerReady() // there may be none to wait for
}

// workerReady is called when one more worker of b is ready.
func (b *build) workerReady() {
	if b.over || b.ready == nil {
		return
	}
	ready := 0
	for _, w := range b.m.workers {
		if w.gen == b.gen && w.ready {
			ready++
		}
	}
	if ready >= b.target {
		b.ready()
	}
}

func (b *build) fail(f *failure) {
	if !b.over {
		b.failed(f)
	}
}

// discard gives b up: what was made for it ends.
func (b *build) discard() {
	if b.over {
		return
	}
	b.over = true
	m := b.m
	if m.build == b {
		m.build = nil
	}
	if b.gen != nil {
		for _, w := range m.workers {
			if w.gen == b.gen {
				m.stop(w)
			}
		}
		b.gen.relay.close()
		m.releaseUnused(b.gen)
	}
	closeListeners(m.spareListeners())
	m.dismissUnused()
}

// bootFailed is called when a worker could not be forked or ended before it was
// ready, and tells whether that was the end of more than this worker.
func (m *Master) bootFailed(w *worker, f *failure) bool {
	if m.buildGeneration() == w.gen {
		m.build.fail(f)
		return true
	}
	if m.state != booting {
		return false
	}
	switch f.code {
	case exitcode.WorkerBoot:
		m.halt("Worker failed to boot.", exitcode.WorkerBoot)
	case exitcode.AppLoad:
		m.halt("App failed to load.", exitcode.AppLoad)
	default:
		return false
	}
	return true
}
