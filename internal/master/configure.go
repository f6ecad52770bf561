package master

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"indrik/internal/capacity"
	"indrik/internal/exitcode"
	"indrik/internal/settings"
	"indrik/internal/wire"
)

// configure lets the spawner evaluate the config file, and resolves the settings.
func (c *candidate) configure() {
	m := c.m
	path, explicit := settings.ConfigFile(m.opts.layers()...)
	if m.opts.Program != nil && !explicit {
		path = "" // the program says whether there is one
	}
	var file settings.Layer
	python := path
	if settings.IsTOML(path) {
		var err error
		if file, err = m.readTOML(path); err != nil {
			c.fail(&failure{text: settings.Report(err), code: exitcode.Config})
			return
		}
		python = ""
	}
	c.evaluation = wire.ToSpawner{
		Type: wire.TypeConfigure, Generation: m.spawners.lastGen + 1, ConfigFile: python, Chdir: m.opts.Dir, Program: m.opts.Program,
	}
	evaluate := c.evaluation
	evaluate.Kind = settings.EarlyKind(file, m.opts.Vars, m.opts.CmdArgs, m.opts.Args)
	m.spawners.call(c.sp, evaluate, nil, func(r wire.FromSpawner) {
		if c.over {
			return
		}
		if r.Type == wire.TypeFailed {
			f := failed(r)
			if _, err := m.resolve(settings.Layer{}); err != nil {
				f.traceback += "\n" + settings.Report(err) // what is known to be wrong besides
			}
			c.fail(f)
			return
		}
		if m.opts.Program != nil {
			path = m.opts.App
		}
		if python != "" || m.opts.Program != nil {
			file = settings.FromFile(path, r.Settings, r.Lines)
		}
		c.file = file.File()
		if r.Python != nil {
			c.python = fmt.Sprintf("%s, %s (%s)", r.Python.Version, cmp.Or(r.Python.Executable, m.opts.Python), m.opts.PythonWhy)
		}
		cfg, err := m.resolve(file)
		if err != nil {
			if m.state != booting || !checks(cfg) {
				c.fail(&failure{text: settings.Report(err), code: exitcode.Config})
				return
			}
			c.wrong = err
		}
		c.modules = r.Modules
		c.askClass(cfg, r, file)
	})
}

// resolve combines the layers of settings, with the one of the config file, and with further
// layers above the command line.
func (m *Master) resolve(file settings.Layer, above ...settings.Layer) (*settings.Config, error) {
	layers := slices.Concat([]settings.Layer{m.opts.Env, file, m.opts.Vars, m.opts.CmdArgs, m.opts.Args}, above)
	return settings.Resolve(m.opts.App, layers...)
}

// askClass has a worker class of one's own imported, and goes on with the kind of worker that
// it means and the settings that it has.
func (c *candidate) askClass(cfg *settings.Config, configured wire.FromSpawner, file settings.Layer) {
	m := c.m
	if cfg.UnknownClass() == "" {
		c.askTLSHook(cfg, configured, file)
		return
	}
	m.spawners.call(c.sp, wire.ToSpawner{
		Type: wire.TypeClass, Generation: m.spawners.lastGen + 1, Settings: cfg.All(), App: cfg.App(),
	}, nil, func(r wire.FromSpawner) {
		if c.over {
			return
		}
		if r.Type == wire.TypeFailed {
			c.fail(failed(r))
			return
		}
		class := settings.FromClass(r.Class, r.Kind, r.Settings, r.Remarks)
		cfg, err := m.resolve(file, class)
		if err != nil && c.wrong == nil {
			c.fail(&failure{text: settings.Report(err), code: exitcode.Config})
			return
		}
		c.askTLSHook(cfg, configured, file, class)
	})
}

// askTLSHook calls the hook ssl_context, if there is one, and goes on with the settings that
// it asks for. above are the layers above the command line.
func (c *candidate) askTLSHook(cfg *settings.Config, configured wire.FromSpawner, file settings.Layer, above ...settings.Layer) {
	m := c.m
	if !cfg.TLS() || !cfg.IsSet("ssl_context") || c.wrong != nil {
		c.settle(cfg, configured.Hooks)
		return
	}
	m.spawners.call(c.sp, wire.ToSpawner{
		Type: wire.TypeTLSHook, Generation: m.spawners.lastGen + 1, Settings: cfg.All(), App: cfg.App(), Kind: cfg.Kind(),
	}, nil, func(r wire.FromSpawner) {
		if c.over {
			return
		}
		if r.Type == wire.TypeFailed {
			c.fail(failed(r))
			return
		}
		cfg, err := m.resolve(file, append(above, settings.FromHook(r.Settings))...)
		if err != nil {
			c.fail(&failure{text: settings.Report(err), code: exitcode.Config})
			return
		}
		c.settle(cfg, configured.Hooks)
	})
}

// settle goes on when the settings are known.
func (c *candidate) settle(cfg *settings.Config, hooks []string) {
	m := c.m
	cfg, c.sizing = sized(cfg, m.sys.machine())
	if c.reused && !keepsApp(m.gen.cfg, cfg) {
		sp, err := m.startSpawner()
		if err != nil {
			c.fail(lack("", err))
			return
		}
		c.sp, c.reused = sp, false
		c.configure()
		return
	}
	c.cfg, c.hooks = cfg, map[string]bool{}
	for _, name := range hooks {
		c.hooks[name] = true
	}
	c.flow.resolved()
}

// readTOML reads a config file that needs no Python.
func (m *Master) readTOML(path string) (settings.Layer, error) {
	path = strings.TrimPrefix(path, "file:")
	full := path
	if !filepath.IsAbs(path) {
		full = filepath.Join(m.opts.Dir, path)
	}
	data, err := m.sys.readFile(full)
	if errors.Is(err, os.ErrNotExist) {
		return settings.Layer{}, fmt.Errorf("'%s' doesn't exist", path)
	} else if err != nil {
		return settings.Layer{}, err
	}
	return settings.FromTOML(path, data)
}

// sized returns cfg with the number of workers, and why it is that number, where cfg leaves
// that to the machine.
func sized(cfg *settings.Config, machine capacity.Machine) (*settings.Config, string) {
	if !cfg.AutoWorkers() {
		return sizedRange(cfg, machine)
	}
	n, why := machine.Workers(isConcurrent(cfg))
	return cfg.WithWorkers(n), why
}

// isConcurrent reports whether a worker of cfg runs many requests at once.
func isConcurrent(cfg *settings.Config) bool {
	kind := cfg.Kind()
	return cfg.Slots() > 1 || kind != settings.WorkerSync && kind != settings.WorkerThread
}

// tellWorkers logs why there are as many workers, if the machine decided.
func (c *candidate) tellWorkers() {
	r, ranges := c.cfg.WorkerRange()
	switch {
	case c.sizing == "":
	case ranges:
		c.m.log.Infof("Workers: %s, at most %s", r, c.sizing)
	default:
		c.m.log.Infof("Workers: %d, %s", c.cfg.Workers(), c.sizing)
	}
}
