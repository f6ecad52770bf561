package master

import (
	"io"
	"strings"

	"indrik/internal/exitcode"
	"indrik/internal/settings"
)

// checks tells whether cfg asks for a look at the configuration only.
func checks(cfg *settings.Config) bool {
	return cfg.Bool("check_config") || cfg.Bool("print_config")
}

// check ends after the configuration was looked at and the app was loaded
// (--check-config, --print-config). What is wrong with the configuration does
// not keep it from loading the app: the operator is to read everything at once.
func (m *Master) check(b *build) {
	problems := ""
	if b.wrong != nil {
		problems = settings.Report(b.wrong)
	}
	for _, text := range b.cfg.Warnings() {
		m.say("Warning: " + text)
	}
	if b.cfg.App() == "" {
		problems += settings.Report(settings.ErrNoApp)
	}
	if b.cfg.Bool("check_config") {
		if _, err := m.readCertificates(b.cfg); err != nil {
			problems += settings.Report(err)
		}
	}
	if b.cfg.Bool("print_config") && b.wrong == nil {
		io.WriteString(m.opts.Stdout, b.cfg.Text())
	}
	b.failed = func(f *failure) {
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
