package master

import (
	"io"
	"maps"
	"slices"
	"strings"

	"indrik/internal/exitcode"
	"indrik/internal/settings"
)

// checks tells whether cfg asks for a look at the configuration only.
func checks(cfg *settings.Config) bool {
	return cfg.CheckConfig() || cfg.PrintConfig()
}

// check ends after the configuration was looked at and the app was loaded
// (--check-config, --print-config). What is wrong with the configuration does
// not keep it from loading the app: the operator is to read everything at once.
func (m *Master) check(b *candidate) {
	problems := ""
	if b.wrong != nil {
		problems = settings.Report(b.wrong)
	}
	for _, text := range b.cfg.Warnings() {
		m.say("Warning: " + text)
	}
	if b.cfg.App() == "" {
		problems += settings.NoApp("indrik", m.opts.Dir)
	}
	if b.cfg.CheckConfig() {
		if _, err := m.readCertificates(b.cfg); err != nil {
			problems += settings.Report(err)
		}
	}
	if b.cfg.PrintConfig() && b.wrong == nil {
		io.WriteString(m.opts.Stdout, b.cfg.Text())
	}
	b.failed = func(f *failure) {
		if f.stage == "config" { // it is not the app's fault
			m.fail(&failure{text: problems + f.Error(), code: exitcode.Config})
			return
		}
		m.fail(&failure{
			text:      problems + "\nError while loading the application:\n",
			traceback: "\n" + strings.TrimLeft(f.Error(), "\n"),
			code:      exitcode.Config,
		})
	}
	b.prepared = func() {
		if problems != "" {
			m.fail(&failure{text: problems, code: exitcode.Config})
			return
		}
		if b.cfg.CheckConfig() {
			io.WriteString(m.opts.Stdout, b.summary())
		}
		m.code, m.silent = exitcode.OK, true
		m.end()
	}
	// Where these are wrong the app would fail for no fault of its own.
	if b.cfg.App() == "" || settings.Concerns(b.wrong, "chdir", "pythonpath", "raw_env", "wsgi_app") {
		b.prepared()
		return
	}
	b.prepare(true)
}

// summary says what a configuration without mistakes would start.
func (b *candidate) summary() string {
	scheme := "http://"
	if b.cfg.TLS() {
		scheme = "https://"
	}
	var parts []string
	for _, bind := range b.cfg.Bind() {
		if !strings.Contains(bind, ":") || !strings.HasPrefix(bind, "unix:") && !strings.Contains(bind, "://") {
			bind = scheme + bind
		}
		parts = append(parts, bind)
	}
	parts = append([]string{b.cfg.App(), plural(b.cfg.Workers(), "worker") + " of kind " + b.cfg.Kind()}, parts...)
	if b.file != "" {
		parts = append(parts, b.file)
	}
	if b.python != "" {
		parts = append(parts, "Python "+b.python)
	}
	text := "OK: " + strings.Join(parts, ", ") + "\n"
	if hooks := slices.Sorted(maps.Keys(b.hooks)); len(hooks) > 0 {
		text += "Hooks were not called: " + strings.Join(hooks, ", ") + "\n"
	}
	return text
}
