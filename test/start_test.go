//go:build linux

package test

import (
	"syscall"
	"testing"
	"time"

	"indrik/test/harness"
)

// What cannot be found is told once, with what to write instead and the Python that
// was asked.
func TestAppIsNotFound(t *testing.T) {
	t.Parallel()
	const made = "class FastAPI:\n    def __call__(self, environ, start_response):\n        pass\napp = FastAPI()\n"
	here := `Python 3\.\S+ \(.*python\S*\)`
	for _, c := range []struct {
		name string
		o    harness.Options
		code int
		want []string
	}{
		{"file", harness.Options{App: "main.py", Files: map[string]string{"main.py": made}}, 3, []string{`did you mean 'main:app'\?`}},
		{"file in a package", harness.Options{App: "site/wsgi.py", Files: map[string]string{"site/wsgi.py": "application = get_wsgi_application()\n"}}, 3,
			[]string{`did you mean 'site\.wsgi:application'\?`}},
		{"slash", harness.Options{App: "shop/app:app", Files: map[string]string{"shop/app.py": made}}, 3, []string{`^Hint: a module is written with dots: shop\.app:app$`}},
		{"other name", harness.Options{App: "main", Files: map[string]string{"main.py": made}}, 4,
			[]string{`^Failed to find attribute 'application' in 'main'\.$`, `^main has 'app' \(FastAPI\): indrik main:app$`}},
		{"part of Python", harness.Options{App: "test:app", Env: []string{"PYTHONPATH="}}, 4,
			[]string{`^Failed to find attribute 'app' in 'test'\.$`, `^test is .*/test/__init__\.py, a part of Python itself: give the module of the app another name$`}},
		{"elsewhere", harness.Options{App: "shop:app", Files: map[string]string{"src/shop.py": made, "main.py": made}}, 3,
			[]string{`^Hint: 'shop' is neither in .*, the current directory, nor in the path of ` + here + `\. Here are: main:app$`, `^It is in src: --pythonpath src, or --chdir src$`}},
		{"command", harness.Options{App: "help"}, 3, []string{`^Hint: 'help' is taken for the module of the app; for the options: indrik --help`}},
		{"dependency", harness.Options{App: "main:app", Files: map[string]string{"main.py": "import flaskk\n"}}, 3,
			[]string{`^ModuleNotFoundError: No module named 'flaskk'$`, `^Hint: 'flaskk' is not installed for ` + here + `$`}},
		{"dependency, preloaded", harness.Options{App: "main:app", Files: map[string]string{"main.py": "import flaskk\n"}, Args: []string{"--preload"}}, 1,
			[]string{`^ModuleNotFoundError: No module named 'flaskk'$`, `^Hint: 'flaskk' is not installed for ` + here + `$`}},
		{"other environment", harness.Options{App: "main:app", Files: map[string]string{"main.py": "import flaskk\n", ".venv/pyvenv.cfg": "", ".venv/bin/python": ""}}, 3,
			[]string{`^There is an environment in \.venv that is not in use: activate it, or set INDRIK_PYTHON=\.venv/bin/python$`}},
		{"inside a package", harness.Options{App: "main:app", Files: map[string]string{"__init__.py": "", "main.py": "from . import x\n"}}, 3,
			[]string{`^Hint: main\.py is part of the package server-\d+: start one directory up, indrik server-\d+\.main:app, or with --chdir \.\.$`}},
		{"none", harness.Options{App: "-", Files: map[string]string{"main.py": made}}, 1,
			[]string{`^Error: No application module specified\.$`, `^  Here are: main:app$`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := harness.Launch(t, c.o)
			s.ExpectExit(c.code)
			for _, want := range c.want {
				if n := s.Log.Count(want); n != 1 {
					t.Errorf("%d lines match %q", n, want)
				}
			}
			if n := s.Log.Count(`No module named 'flaskk'`); n > 1 {
				t.Errorf("it is told %d times", n)
			}
		})
	}
}

// Without workers clients are told at once, and served when TTIN adds one.
func TestNoWorkers(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Args: []string{"-w", "0"}, NoProbe: true})
	s.Log.Expect(t, `\[WARNING\] workers is 0 \(command line\): nothing will be served, and clients get 503, until TTIN adds a worker$`)
	s.Log.Expect(t, `Ready: 0 workers`)
	begun := time.Now()
	if r, err := s.Request("GET", "/", ""); err != nil || r.Status != 503 || time.Since(begun) > 20*time.Second {
		t.Errorf("%v %v after %v", r, err, time.Since(begun))
	}
	s.Signal(syscall.SIGTTIN)
	harness.Eventually(t, "a worker serves", func() bool {
		r, err := s.Request("GET", "/", "")
		return err == nil && r.Status == 200
	})
	s.Terminate()
}
