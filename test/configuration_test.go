//go:build linux

package test

import (
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"indrik/test/harness"
)

// Settings from pyproject.toml, read again by HUP; a mistake in it changes nothing.
func TestPyproject(t *testing.T) {
	t.Parallel()
	const head = "[project]\nname = 'test'\n\n[tool.indrik]\nwsgi_app = 'hello:app'\n"
	s := harness.Start(t, harness.Options{App: "-", Files: map[string]string{"pyproject.toml": head + "workers = 2\nworker = 3\n"}})
	s.Log.Expect(t, `unknown setting 'worker' in pyproject\.toml, line 7: did you mean 'workers'\?`)
	old := s.Workers(2)
	s.WriteFile("pyproject.toml", head+"workers = 1\n")
	s.Signal(syscall.SIGHUP)
	s.Replaced(old, 1)
	s.WriteFile("pyproject.toml", head+"workers = \n")
	s.Signal(syscall.SIGHUP)
	s.Log.Expect(t, `Reload failed, nothing was changed`)
	s.Log.Expect(t, `Error: pyproject\.toml, line 6: toml: `)
	s.WriteFile("pyproject.toml", head+"workers = 0.5\n")
	s.Signal(syscall.SIGHUP)
	s.Log.Expect(t, `^  workers = 0\.5 \(pyproject\.toml, line 6\); accepted: whole number`)
	s.Workers(1)
	s.Terminate()
}

// The three ways to name a config file: each says where a mistake is.
func TestConfigLocations(t *testing.T) {
	t.Parallel()
	const text = "import os\nbacklog = 9\ntimeout = 9\nworker = 2\n\ndef pre_forks(server, worker):\n    pass\n"
	for _, location := range []string{"conf/site.py", "file:conf/site.py", "python:conf.site"} {
		s := harness.Launch(t, harness.Options{Files: map[string]string{"conf/site.py": text, "conf/__init__.py": ""}, Args: []string{"-c", location, "--print-config"}})
		s.ExpectExit(0)
		file := strings.TrimPrefix(location, "file:")
		for _, want := range []string{
			`^timeout += 9 +  # ` + file + `, line 3$`,
			`^config += ` + location + ` +  # command line$`,
			`^Warning: unknown setting 'worker' in ` + file + `, line 4: did you mean 'workers'\?$`,
			`^Warning: unknown setting 'pre_forks' in ` + file + `, line 6: did you mean 'pre_fork'\?$`,
		} {
			if s.Log.Count(want) != 1 {
				t.Errorf("%s: %d lines match %q", location, s.Log.Count(want), want)
			}
		}
	}
}

// A container's variables go over the file of its image, options over both.
func TestVariables(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{
		Conf: "workers = 1\nproc_name = 'file'\ntimeout = 5\n",
		Env:  []string{"INDRIK_WORKERS=2", "INDRIK_PROC_NAME=variable", "WEB_CONCURRENCY=7", "INDRIK_THREAD=2", "INDRIK_HTTP_PARSER=fast", "INDRIK_REUSE_PORT=1"},
		Args: []string{"--name", "option", "--log-level", "debug"},
	})
	s.Workers(2)
	for _, p := range s.Role("master") {
		if p.Title != "indrik: master [option]" {
			t.Errorf("title %q", p.Title)
		}
	}
	s.Terminate()
	for _, want := range []string{
		`\[WARNING\] unknown variable INDRIK_THREAD in the environment: did you mean INDRIK_THREADS\?`,
		`\[WARNING\] reuse_port \(INDRIK_REUSE_PORT\) has no effect: `,
		`\[DEBUG\] http_parser \(INDRIK_HTTP_PARSER\) has no effect: `,
	} {
		if s.Log.Count(want) != 1 {
			t.Errorf("no line that matches %s", want)
		}
	}
}

// --check-config says everything that is wrong: in each source, and the app.
func TestCheckConfig(t *testing.T) {
	t.Parallel()
	bad := "workers = 'many'\ntimeout = -5\nthread = 3\ndef when_ready():\n    pass\n"
	wrong := []string{
		`^Invalid value for workers: many$`, `^  workers = 'many' \(gunicorn\.conf\.py, line 1\); accepted: whole number`,
		`^Error: Value must be positive: -5$`, `^  timeout = -5 \(gunicorn\.conf\.py, line 2\)`,
		`^Error: Value must have an arity of: 1$`, `^  when_ready = <function when_ready at .*> \(gunicorn\.conf\.py, line 4\)`,
		`^  backlog = 'x' \(INDRIK_BACKLOG\)`, `^  threads = -1 \(GUNICORN_CMD_ARGS\)`, `^  dirty_workers = -1 \(command line\)`,
	}
	warned := `^Warning: unknown setting 'thread' in gunicorn\.conf\.py, line 3: did you mean 'threads'\?$`
	environ := []string{"INDRIK_BACKLOG=x", "GUNICORN_CMD_ARGS=--threads -1"}
	loading := []string{`^Error while loading the application:$`, `^ModuleNotFoundError: No module named 'no_such_module'$`}
	for _, c := range []struct {
		name string
		o    harness.Options
		code int
		want []string
	}{
		{"good", harness.Options{Conf: "workers = 3\ndef on_starting(server):\n    raise ValueError\n"}, 0, []string{
			`^OK: hello:app, 3 workers of kind sync, http://127\.0\.0\.1:\d+, gunicorn\.conf\.py, Python 3\.\S+, .*python\S* \(INDRIK_PYTHON\)$`,
			`^Hooks were not called: on_starting$`,
		}},
		{"good, with TLS", harness.WithTLS(t, harness.Options{}), 0, []string{`^OK: hello:app, 1 worker of kind sync, https://127\.0\.0\.1:\d+, `}},
		{"no such TOML", harness.Options{Args: []string{"--config", "missing.toml"}}, 1, []string{`^Error: 'missing\.toml' doesn't exist$`}},
		{"a directory", harness.Options{Files: map[string]string{"conf.toml/empty": ""}, Args: []string{"--config", "conf.toml"}}, 1, []string{`conf\.toml: is a directory$`}},
		{"good, but for a name", harness.Options{Conf: "worker = 3\n"}, 0, []string{`^Warning: unknown setting 'worker' in gunicorn\.conf\.py, line 1`}},
		{"app", harness.Options{App: "no_such_module:app"}, 1, loading},
		{"attribute", harness.Options{App: "hello:nope"}, 1, []string{loading[0], `Failed to find attribute 'nope' in 'hello'\.$`}},
		{"everything", harness.Options{App: "no_such_module:app", Conf: bad, Env: environ, Args: []string{"--dirty-workers", "-1"}}, 1, append(append([]string{warned}, wrong...), loading...)},
		{"settings", harness.Options{Conf: bad, Env: environ, Args: []string{"--dirty-workers", "-1"}}, 1, wrong},
		{"no app", harness.Options{App: "-", Conf: "workers = -1\n"}, 1, []string{`^Error: Value must be positive: -1$`, `^Error: No application module specified\.$`}},
		{"certificate", harness.Options{App: "no_such_module:app", Args: []string{"--certfile", "no.pem"}}, 1, append([]string{`certfile "no\.pem" does not exist`}, loading...)},
		{"chdir", harness.Options{Args: []string{"--chdir", "/no/such"}}, 1, []string{`^Error: can't chdir to '/no/such'$`}},
		{"broken file", harness.Options{Conf: "workers = \n", Env: environ}, 1, []string{`^Failed to read config file: `, `SyntaxError`, wrong[6], wrong[7]}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.Args = append(c.o.Args, "--check-config")
			s := harness.Launch(t, c.o)
			s.ExpectExit(c.code)
			for _, want := range c.want {
				if s.Log.Count(want) != 1 {
					t.Errorf("%d lines match %q", s.Log.Count(want), want)
				}
			}
			if n := len(strings.Split(strings.TrimSpace(s.Log.String()), "\n")); c.name == "good" && n != len(c.want) {
				t.Errorf("a good configuration says more: %s", s.Log)
			}
			if c.name == "chdir" && s.Log.Count("loading") > 0 {
				t.Error("the app was loaded from another directory")
			}
		})
	}
}

// Without --check-config the same is told, and no app is loaded.
func TestEveryMistakeAtTheStart(t *testing.T) {
	t.Parallel()
	s := harness.Launch(t, harness.Options{Conf: "workers = 'many'\ntimeout = -5\n", Env: []string{"INDRIK_BACKLOG=x"}, App: "no_such_module:app"})
	s.ExpectExit(1)
	for _, want := range []string{`^Invalid value for workers: many$`, `^Invalid value for timeout: -5$`, `^  backlog = 'x' \(INDRIK_BACKLOG\)`} {
		if s.Log.Count(want) != 1 {
			t.Errorf("%d lines match %q", s.Log.Count(want), want)
		}
	}
	if s.Log.Count(`no_such_module|Starting`) > 0 {
		t.Error("the start went on")
	}
}

// At level debug each start and each reload says what it goes by.
func TestDebugTellsTheConfiguration(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Conf: "timeout = 7\nloglevel = 'debug'\n"})
	s.WriteFile("gunicorn.conf.py", "timeout = 8\nloglevel = 'debug'\n")
	s.Reload(1)
	s.Terminate()
	if n := s.Log.Count(`\[DEBUG\] Current configuration:$`); n != 2 {
		t.Errorf("it is told %d times", n)
	}
	for _, value := range []string{"7", "8"} {
		if s.Log.Count(`^timeout +=\s`+value+` +  # gunicorn\.conf\.py, line 1$`) != 1 {
			t.Errorf("the timeout of %s is not told", value)
		}
	}
}

func TestPrintConfig(t *testing.T) {
	t.Parallel()
	s := harness.Launch(t, harness.Options{
		Conf: "timeout = 7\n\ndef post_fork(server, worker):\n    pass\n",
		Env:  []string{"WEB_CONCURRENCY=3", "INDRIK_BACKLOG=9", "GUNICORN_CMD_ARGS=--threads 4"},
		Args: []string{"--name", "two words", "--print-config"},
	})
	s.ExpectExit(0)
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
		if s.Log.Count(want) != 1 {
			t.Errorf("%d lines match %q", s.Log.Count(want), want)
		}
	}
	var names []string
	for _, m := range s.Log.All(`^(\S+) += .*  # \S.*$`) {
		names = append(names, m[1])
	}
	if len(names) < 130 || !slices.IsSorted(names) || len(names) != len(strings.Split(strings.TrimSpace(s.Log.String()), "\n")) {
		t.Errorf("%d settings, sorted %v", len(names), slices.IsSorted(names))
	}
}

// The number of workers is left to the machine, and the log says why it is what it is.
func TestAutoWorkers(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Conf: "workers = 'auto'\n"})
	m := s.Log.Expect(t, `\[INFO\] Workers: (\d+), .*\d CPUs`)
	n, err := strconv.Atoi(m[1])
	harness.Must(t, err)
	old := s.Workers(n)
	s.WriteFile("gunicorn.conf.py", "workers = 'auto'\nthreads = 2\n")
	mark := s.Log.Mark()
	s.Signal(syscall.SIGHUP)
	m = s.Log.ExpectFrom(t, mark, `\[INFO\] Workers: (\d+), one for each of .*\d CPUs`)
	n, err = strconv.Atoi(m[1])
	harness.Must(t, err)
	s.Replaced(old, n)
	s.Terminate()
}

// --reload watches the config file whatever names it, pyproject.toml too.
func TestConfigFileNamedByVariableReload(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, head string }{{"conf/site.py", ""}, {"conf/site.toml", "[tool.indrik]\n"}} {
		s := harness.Start(t, harness.Options{
			Files: map[string]string{c.name: c.head + "workers = 1\n"},
			Env:   []string{"INDRIK_CONFIG=" + c.name, "INDRIK_RELOAD=true"},
		})
		s.Workers(1)
		s.Get("/") // answered after a look at the files: they are watched
		s.WriteFile(c.name, c.head+"workers = 2\n")
		s.Workers(2)
		s.Terminate()
	}
}
