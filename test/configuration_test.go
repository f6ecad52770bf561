//go:build linux

package test

import (
	"syscall"
	"testing"
)

// Settings from pyproject.toml, read again by HUP; a mistake in it changes nothing.
func TestPyproject(t *testing.T) {
	t.Parallel()
	const head = "[project]\nname = 'test'\n\n[tool.indrik]\nwsgi_app = 'hello:app'\n"
	s := start(t, options{app: "-", files: map[string]string{"pyproject.toml": head + "workers = 2\nworker = 3\n"}})
	s.log.expect(t, `unknown setting 'worker' in pyproject\.toml, line 7: did you mean 'workers'\?`)
	old := s.workers(2)
	s.write("pyproject.toml", head+"workers = 1\n")
	s.signal(syscall.SIGHUP)
	s.replaced(old, 1)
	s.write("pyproject.toml", head+"workers = \n")
	s.signal(syscall.SIGHUP)
	s.log.expect(t, `Reload failed, nothing was changed`)
	s.log.expect(t, `Error: pyproject\.toml, line 6: toml: `)
	s.write("pyproject.toml", head+"workers = 0.5\n")
	s.signal(syscall.SIGHUP)
	s.log.expect(t, `^  workers = 0\.5 \(pyproject\.toml, line 6\); accepted: whole number`)
	s.workers(1)
	s.terminate()
}

// A container's variables go over the file of its image, options over both.
func TestVariables(t *testing.T) {
	t.Parallel()
	s := start(t, options{
		conf: "workers = 1\nproc_name = 'file'\ntimeout = 5\n",
		env:  []string{"INDRIK_WORKERS=2", "INDRIK_PROC_NAME=variable", "WEB_CONCURRENCY=7", "INDRIK_THREAD=2", "INDRIK_HTTP_PARSER=fast", "INDRIK_REUSE_PORT=1"},
		args: []string{"--name", "option", "--log-level", "debug"},
	})
	s.workers(2)
	for _, want := range []string{
		`\[WARNING\] unknown variable INDRIK_THREAD in the environment: did you mean INDRIK_THREADS\?`,
		`\[WARNING\] reuse_port \(INDRIK_REUSE_PORT\) has no effect: `,
		`\[DEBUG\] http_parser \(INDRIK_HTTP_PARSER\) has no effect: `,
	} {
		if s.log.count(want) != 1 {
			t.Errorf("no line that matches %s", want)
		}
	}
	for _, p := range s.role("master") {
		if p.title != "indrik: master [option]" {
			t.Errorf("title %q", p.title)
		}
	}
	s.terminate()
}
