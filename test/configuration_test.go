//go:build linux

package test

import (
	"slices"
	"strconv"
	"strings"
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

// The three ways to name a config file: each says where a mistake is.
func TestConfigLocations(t *testing.T) {
	t.Parallel()
	const text = "import os\nbacklog = 9\ntimeout = 9\nworker = 2\n\ndef pre_forks(server, worker):\n    pass\n"
	for _, location := range []string{"conf/site.py", "file:conf/site.py", "python:conf.site"} {
		s := launch(t, options{files: map[string]string{"conf/site.py": text, "conf/__init__.py": ""}, args: []string{"-c", location, "--print-config"}})
		s.expectExit(0)
		file := strings.TrimPrefix(location, "file:")
		for _, want := range []string{
			`^timeout += 9 +  # ` + file + `, line 3$`,
			`^config += ` + location + ` +  # command line$`,
			`^Warning: unknown setting 'worker' in ` + file + `, line 4: did you mean 'workers'\?$`,
			`^Warning: unknown setting 'pre_forks' in ` + file + `, line 6: did you mean 'pre_fork'\?$`,
		} {
			if s.log.count(want) != 1 {
				t.Errorf("%s: %d lines match %q", location, s.log.count(want), want)
			}
		}
	}
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

// --check-config says everything that is wrong: in each source, and the app.
func TestCheckConfig(t *testing.T) {
	t.Parallel()
	bad := "workers = 'many'\ntimeout = -5\nthread = 3\ndef when_ready():\n    pass\n"
	wrong := []string{
		`^Invalid value for workers: many$`, `^  workers = 'many' \(gunicorn\.conf\.py, line 1\); accepted: whole number`,
		`^Error: Value must be positive: -5$`, `^  timeout = -5 \(gunicorn\.conf\.py, line 2\)`,
		`^Error: Value must have an arity of: 1$`, `^  when_ready = <function when_ready at .*> \(gunicorn\.conf\.py, line 4\)`,
		`^  backlog = 'x' \(INDRIK_BACKLOG\)`, `^  threads = -1 \(GUNICORN_CMD_ARGS\)`, `^  dirty_workers = 1 \(command line\)`,
	}
	warned := `^Warning: unknown setting 'thread' in gunicorn\.conf\.py, line 3: did you mean 'threads'\?$`
	environ := []string{"INDRIK_BACKLOG=x", "GUNICORN_CMD_ARGS=--threads -1"}
	loading := []string{`^Error while loading the application:$`, `^ModuleNotFoundError: No module named 'no_such_module'$`}
	for _, c := range []struct {
		name string
		o    options
		code int
		want []string
	}{
		{"good", options{conf: "workers = 3\ndef on_starting(server):\n    raise ValueError\n"}, 0, []string{
			`^OK: hello:app, 3 workers of kind sync, http://127\.0\.0\.1:\d+, gunicorn\.conf\.py, Python 3\.\S+, .*python\S* \(INDRIK_PYTHON\)$`,
			`^Hooks were not called: on_starting$`,
		}},
		{"good, but for a name", options{conf: "worker = 3\n"}, 0, []string{`^Warning: unknown setting 'worker' in gunicorn\.conf\.py, line 1`}},
		{"app", options{app: "no_such_module:app"}, 1, loading},
		{"attribute", options{app: "hello:nope"}, 1, []string{loading[0], `Failed to find attribute 'nope' in 'hello'\.$`}},
		{"everything", options{app: "no_such_module:app", conf: bad, env: environ, args: []string{"--dirty-workers", "1"}}, 1, append(append([]string{warned}, wrong...), loading...)},
		{"settings", options{conf: bad, env: environ, args: []string{"--dirty-workers", "1"}}, 1, wrong},
		{"no app", options{app: "-", conf: "workers = -1\n"}, 1, []string{`^Error: Value must be positive: -1$`, `^Error: No application module specified\.$`}},
		{"certificate", options{app: "no_such_module:app", args: []string{"--certfile", "no.pem"}}, 1, append([]string{`certfile "no\.pem" does not exist`}, loading...)},
		{"chdir", options{args: []string{"--chdir", "/no/such"}}, 1, []string{`^Error: can't chdir to '/no/such'$`}},
		{"broken file", options{conf: "workers = \n", env: environ}, 1, []string{`^Failed to read config file: `, `SyntaxError`, wrong[6], wrong[7]}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.args = append(c.o.args, "--check-config")
			s := launch(t, c.o)
			s.expectExit(c.code)
			for _, want := range c.want {
				if s.log.count(want) != 1 {
					t.Errorf("%d lines match %q", s.log.count(want), want)
				}
			}
			if n := len(strings.Split(strings.TrimSpace(s.log.String()), "\n")); c.name == "good" && n != len(c.want) {
				t.Errorf("a good configuration says more: %s", s.log)
			}
			if c.name == "chdir" && s.log.count("loading") > 0 {
				t.Error("the app was loaded from another directory")
			}
		})
	}
}

// Without --check-config the same is told, and no app is loaded.
func TestEveryMistakeAtTheStart(t *testing.T) {
	t.Parallel()
	s := launch(t, options{conf: "workers = 'many'\ntimeout = -5\n", env: []string{"INDRIK_BACKLOG=x"}, app: "no_such_module:app"})
	s.expectExit(1)
	for _, want := range []string{`^Invalid value for workers: many$`, `^Invalid value for timeout: -5$`, `^  backlog = 'x' \(INDRIK_BACKLOG\)`} {
		if s.log.count(want) != 1 {
			t.Errorf("%d lines match %q", s.log.count(want), want)
		}
	}
	if s.log.count(`no_such_module|Starting`) > 0 {
		t.Error("the start went on")
	}
}

// At level debug each start and each reload says what it goes by.
func TestDebugTellsTheConfiguration(t *testing.T) {
	t.Parallel()
	s := start(t, options{conf: "timeout = 7\nloglevel = 'debug'\n"})
	s.write("gunicorn.conf.py", "timeout = 8\nloglevel = 'debug'\n")
	s.reload(1)
	s.terminate()
	if n := s.log.count(`\[DEBUG\] Current configuration:$`); n != 2 {
		t.Errorf("it is told %d times", n)
	}
	for _, value := range []string{"7", "8"} {
		if s.log.count(`^timeout +=\s`+value+` +  # gunicorn\.conf\.py, line 1$`) != 1 {
			t.Errorf("the timeout of %s is not told", value)
		}
	}
}

func TestPrintConfig(t *testing.T) {
	t.Parallel()
	s := launch(t, options{
		conf: "timeout = 7\n\ndef post_fork(server, worker):\n    pass\n",
		env:  []string{"WEB_CONCURRENCY=3", "INDRIK_BACKLOG=9", "GUNICORN_CMD_ARGS=--threads 4"},
		args: []string{"--name", "two words", "--print-config"},
	})
	s.expectExit(0)
	for _, want := range []string{
		`^timeout {28}= 7 +  # gunicorn\.conf\.py, line 1$`,
		`^post_fork {26}= <post_fork\(\)> +  # gunicorn\.conf\.py, line 3$`,
		`^workers {28}= 3 +  # WEB_CONCURRENCY$`,
		`^backlog {28}= 9 +  # INDRIK_BACKLOG$`,
		`^threads {28}= 4 +  # GUNICORN_CMD_ARGS$`,
		`^proc_name {26}= two words +  # command line$`,
		`^pre_fork {27}= None +  # default$`,
		`^keepalive {26}= 75 +  # default$`,
	} {
		if s.log.count(want) != 1 {
			t.Errorf("%d lines match %q", s.log.count(want), want)
		}
	}
	var names []string
	for _, m := range s.log.all(`^(\S+) += .*  # \S.*$`) {
		names = append(names, m[1])
	}
	if len(names) < 130 || !slices.IsSorted(names) || len(names) != len(strings.Split(strings.TrimSpace(s.log.String()), "\n")) {
		t.Errorf("%d settings, sorted %v", len(names), slices.IsSorted(names))
	}
}

// The number of workers is left to the machine, and the log says why it is what it is.
func TestAutoWorkers(t *testing.T) {
	t.Parallel()
	s := start(t, options{conf: "workers = 'auto'\n"})
	m := s.log.expect(t, `\[INFO\] Workers: (\d+), .*\d CPUs`)
	n, err := strconv.Atoi(m[1])
	must(t, err)
	old := s.workers(n)
	s.write("gunicorn.conf.py", "workers = 'auto'\nthreads = 2\n")
	mark := s.log.mark()
	s.signal(syscall.SIGHUP)
	m = s.log.expectFrom(t, mark, `\[INFO\] Workers: (\d+), one for each of .*\d CPUs`)
	n, err = strconv.Atoi(m[1])
	must(t, err)
	s.replaced(old, n)
	s.terminate()
}

// --reload watches the config file whatever names it, pyproject.toml too.
func TestConfigFileNamedByVariableReload(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, head string }{{"conf/site.py", ""}, {"conf/site.toml", "[tool.indrik]\n"}} {
		s := start(t, options{
			files: map[string]string{c.name: c.head + "workers = 1\n"},
			env:   []string{"INDRIK_CONFIG=" + c.name, "INDRIK_RELOAD=true"},
		})
		s.workers(1)
		s.write(c.name, c.head+"workers = 2\n")
		s.workers(2)
		s.terminate()
	}
}
