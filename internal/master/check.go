package master

import (
	"io"
	"maps"
	"slices"
	"strings"

	"indrik/internal/exitcode"
	"indrik/internal/settings"
)

// checks reports whether cfg asks for a look at the configuration only.
func checks(cfg *settings.Config) bool {
	return cfg.CheckConfig() || cfg.PrintConfig()
}

// A checkFlow ends after the configuration was looked at and the app was loaded
// (--check-config, --print-config). Its methods stand in the order in which they run.
type checkFlow struct {
	bootFlow
	problems string // with the configuration
}

// check looks at the configuration of c. What is wrong with it does not keep it from
// loading the app: the operator is to read everything at once.
func (m *Master) check(c *candidate) {
	problems := ""
	if c.wrong != nil {
		problems = settings.Report(c.wrong)
	}
	for _, text := range c.cfg.Warnings() {
		m.say("Warning: " + text)
	}
	if c.cfg.App() == "" {
		problems += settings.NoApp("indrik", m.opts.Dir)
	}
	if c.cfg.CheckConfig() {
		if _, err := m.tls.read(c.cfg); err != nil {
			problems += settings.Report(err)
		}
		if _, err := readToken(c.cfg); err != nil {
			problems += settings.Report(err)
		}
	}
	if c.cfg.PrintConfig() && c.wrong == nil {
		io.WriteString(m.opts.Stdout, c.cfg.Text())
	}
	c.flow = checkFlow{bootFlow{m, c}, problems}
	// Where these are wrong the app would fail for no fault of its own.
	if c.cfg.App() == "" || settings.Concerns(c.wrong, "chdir", "pythonpath", "raw_env", "wsgi_app") {
		c.flow.prepared()
		return
	}
	c.prepare(true)
}

// prepared ends a check whose app was loaded.
func (f checkFlow) prepared() {
	m := f.m
	if f.problems != "" {
		m.failStart(&failure{text: f.problems, code: exitcode.Config})
		return
	}
	if f.c.cfg.CheckConfig() {
		io.WriteString(m.opts.Stdout, f.c.summary())
	}
	m.ending.code, m.ending.silent = exitcode.OK, true
	m.endNow()
}

// failed ends a check whose app could not be loaded.
func (f checkFlow) failed(why *failure) {
	if why.stage == "config" { // it is not the app's fault
		f.m.failStart(&failure{text: f.problems + why.Error(), code: exitcode.Config})
		return
	}
	f.m.failStart(&failure{
		text:      f.problems + "\nError while loading the application:\n",
		traceback: "\n" + strings.TrimLeft(why.Error(), "\n"),
		code:      exitcode.Config,
	})
}

// summary says what a configuration without mistakes would start.
func (c *candidate) summary() string {
	scheme := "http://"
	if c.cfg.TLS() {
		scheme = "https://"
	}
	var parts []string
	for _, bind := range c.cfg.Bind() {
		if !strings.Contains(bind, ":") || !strings.HasPrefix(bind, "unix:") && !strings.Contains(bind, "://") {
			bind = scheme + bind
		}
		parts = append(parts, bind)
	}
	parts = append([]string{c.cfg.App(), plural(c.cfg.Workers(), "worker") + " of kind " + c.cfg.Kind()}, parts...)
	if c.file != "" {
		parts = append(parts, c.file)
	}
	if c.python != "" {
		parts = append(parts, "Python "+c.python)
	}
	text := "OK: " + strings.Join(parts, ", ") + "\n"
	if hooks := slices.Sorted(maps.Keys(c.hooks)); len(hooks) > 0 {
		text += "Hooks were not called: " + strings.Join(hooks, ", ") + "\n"
	}
	return text
}
