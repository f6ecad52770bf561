//go:build linux

package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"indrik/test/harness"
)

// standalone is a program in Python that starts the server, as Gunicorn's documentation has
// it, with what others add: options of its own, hooks, a hook that looks at the application.
const standalone = `
import os, sys
from %s.app.base import BaseApplication

OWN = sys.argv[1:]

class Standalone(BaseApplication):
    def __init__(self, app, options=None):
        self.options = options or {}
        self.application = app
        super().__init__()

    def load_config(self):
        config = {key: value for key, value in self.options.items() if key in self.cfg.settings and value is not None}
        for key, value in config.items():
            self.cfg.set(key.lower(), value)

    def load(self):
        return self.application

def app(environ, start_response):
    start_response("200 OK", [])
    return [("%%s %%d" %% (VERSION, os.getppid())).encode()]

def post_fork(server, worker):
    worker.log.info("forked by a %%s, started with %%s", type(server.app).__name__, OWN)

VERSION = "one"

if __name__ == "__main__":
    try:
        Standalone(app, {
            "bind": "127.0.0.1:%d", "workers": "2", "post_fork": post_fork, "loglevel": "info", "pidfile": "srv.pid", "of_my_own": 1,
        }).run()
    finally:
        print("behind run()", flush=True)
`

// startProgram starts a server by a program: wrap is what comes before its name.
func startProgram(t *testing.T, binary string, wrap []string, port int, o harness.Options, program ...string) *harness.Server {
	t.Helper()
	o.Binary, o.Wrap, o.Bind, o.App, o.Args, o.NoProbe = binary, wrap, []string{}, "-", program, true
	s := harness.Start(t, o)
	s.ListensOn(port)
	s.Ready()
	return s
}

// sitePackages is a directory with the package indrik and the program, as pip install --target makes it.
func sitePackages(t *testing.T) string {
	t.Helper()
	dir := harness.TempDir(t)
	harness.Must(t, os.Symlink(filepath.Join(harness.Repository, "python", "indrik"), filepath.Join(dir, "indrik")))
	harness.Must(t, os.Mkdir(filepath.Join(dir, "bin"), 0o755))
	harness.Must(t, os.Symlink(harness.Command(t)[0], filepath.Join(dir, "bin", "indrik")))
	return dir
}

// TestProgram: a program that starts the server does so in each way, is run anew by a reload,
// and its master is taken over by an upgrade.
func TestProgram(t *testing.T) {
	t.Parallel()
	binary := harness.Command(t)[0]
	for _, c := range []struct {
		name, module string
		binary       string
		wrap         []string
	}{
		{"indrik run.py", "gunicorn", binary, nil},
		{"python -m indrik run.py", "gunicorn", harness.Python(), nil},
		{"python run.py", "indrik", harness.Python(), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			port := harness.FreePort(t)
			text := fmt.Sprintf(standalone, c.module, port)
			program := []string{"run.py", "--color", "red"}
			if strings.Contains(c.name, "-m") {
				program = append([]string{"-m", "indrik"}, program...)
			}
			s := startProgram(t, c.binary, c.wrap, port, harness.Options{
				Files: map[string]string{"run.py": text}, Env: []string{"PYTHONPATH=" + sitePackages(t), "PYTHONDONTWRITEBYTECODE=1"},
			}, program...)
			s.Workers(2)
			s.Log.ExpectFrom(t, 0, `forked by a Standalone, started with \['--color', 'red'\]$`)
			version, spawner := reply(t, port)
			if version != "one" {
				t.Errorf("%s", version)
			}

			s.WriteFile("run.py", strings.Replace(text, `"one"`, `"two"`, 1))
			s.Reload(2)
			version, next := reply(t, port)
			if version != "two" || next == spawner {
				t.Errorf("after HUP: %s, by spawner %s, before by %s", version, next, spawner)
			}

			s.WriteFile("run.py", text+"\nraise ValueError('never reached')\n")
			s.Reload(2) // run() does not return
			s.WriteFile("run.py", strings.Replace(text, `"2"`, `"many"`, 1))
			s.Signal(syscall.SIGHUP)
			s.Log.Expect(t, `Reload failed, nothing was changed`)
			s.Log.ExpectFrom(t, 0, `workers = 'many' \(run\.py\)`)
			s.WriteFile("run.py", text)

			u := upgrade(s, 2)
			old := s.PID()
			s.Signal(syscall.SIGTERM)
			harness.WaitGone(t, old)
			u.become()
			if version, _ := reply(t, port); version != "one" {
				t.Errorf("after the upgrade: %s", version)
			}
			u.Terminate()
			if n := s.Log.Count(`^behind run\(\)$`); n < 6 {
				t.Errorf("what is behind run() was run %d times", n)
			}
		})
	}
}

// reply returns what the app of standalone says: its version, and the pid of its spawner.
func reply(t *testing.T, port int) (version, spawner string) {
	t.Helper()
	c, err := harness.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	harness.Must(t, err)
	defer c.Close()
	version, spawner, _ = strings.Cut(c.Do(t, "GET", "/", "").Body, " ")
	return version, spawner
}

// TestProgramWithCommandLine: WSGIApplication, and classes that derive from it or from
// Application, take their settings from the command line and a config file.
func TestProgramWithCommandLine(t *testing.T) {
	t.Parallel()
	binary := harness.Command(t)[0]
	app := "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'served']\n"
	for name, program := range map[string]string{
		"run": `
import sys
from gunicorn.app.wsgiapp import run
sys.argv = ["gunicorn", "--workers", "2", "--bind=127.0.0.1:PORT", "webapp:app"]
sys.exit(run())
`,
		"class": `
from gunicorn.app.wsgiapp import WSGIApplication
class Standalone(WSGIApplication):
    def __init__(self, app_uri, options):
        self.options, self.app_uri = options, app_uri
        super().__init__()
    def load_config(self):
        for key, value in self.options.items():
            self.cfg.set(key, value)
Standalone("webapp:app", {"bind": ["127.0.0.1:PORT"], "workers": 2}).run()
`,
		// A program of Pulp's kind: options that must not be changed, a worker with a heartbeat.
		"enforced": `
import sys
from gunicorn.app.base import Application
from gunicorn.arbiter import Arbiter
from gunicorn.workers.sync import SyncWorker

class ApiWorker(SyncWorker):
    def notify(self):
        super().notify()
        self.heartbeat()

    def heartbeat(self):
        self.log.info("%s beats every %s s", self.name, self.timeout)

    def init_process(self):
        self.name = "api-%d" % self.age
        if not isinstance(self.app, ApiApplication):
            exit(Arbiter.WORKER_BOOT_ERROR)
        super().init_process()

    def run(self):
        try:
            super().run()
        finally:
            self.log.info("%s is gone", self.name)

class ApiApplication(Application):
    def __init__(self, options):
        self.options = options
        super().__init__()

    def init(self, *args, **kwargs):
        pass

    def set_option(self, key, value, enforced=False):
        defaults = {"default_proc_name": "gunicorn", "bind": ["127.0.0.1:8000"], "threads": 1, "worker_class": "<class 'gunicorn.workers.sync.SyncWorker'>"}
        current = getattr(self.cfg, key)
        if current is not None and not str(defaults.get(key)) == str(current) and str(current) != str(value):
            sys.exit("%s is %s already" % (key, current))
        self.cfg.set(key, value)

    def load_config(self):
        super().load_config()
        for key, value in self.options.items():
            self.set_option(key, value)
        self.set_option("threads", "1", enforced=True)
        self.set_option("default_proc_name", "api", enforced=True)
        self.set_option("worker_class", ApiWorker.__module__ + "." + ApiWorker.__qualname__, enforced=True)

    def load(self):
        import webapp
        return webapp.app

if __name__ == "__main__":
    sys.argv = sys.argv[:1]
    ApiApplication({"bind": ["127.0.0.1:PORT"]}).run()
`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port := harness.FreePort(t)
			files := map[string]string{"webapp.py": app, "run.py": strings.ReplaceAll(program, "PORT", fmt.Sprint(port))}
			if name == "enforced" {
				files["gunicorn.conf.py"] = "timeout = 6\nworkers = 2\ndef when_ready(server):\n    server.log.info('%s is ready', server.cfg.proc_name)\n"
			}
			s := startProgram(t, binary, nil, port, harness.Options{Files: files}, "run.py", "an argument")
			s.Workers(2)
			if got, _ := reply(t, port); got != "served" {
				t.Errorf("%s", got)
			}
			if name == "enforced" {
				s.Log.ExpectFrom(t, 0, `api is ready$`)
				s.Log.ExpectFrom(t, 0, `api-\d beats every 3\.0 s$`)
			}
			s.Reload(2)
			if got, _ := reply(t, port); got != "served" {
				t.Errorf("%s", got)
			}
			s.Terminate()
			if name == "enforced" && s.Log.Count(`api-\d is gone$`) != 4 {
				t.Errorf("%s", s.Log)
			}
		})
	}
}

// TestProgramsThatStartNothing: one line says why, and the exit code is the program's.
func TestProgramsThatStartNothing(t *testing.T) {
	t.Parallel()
	head := "from gunicorn.app.base import BaseApplication\nclass A(BaseApplication):\n    def load_config(self):\n        self.cfg.set('workers', 1)\n"
	for text, c := range map[string]struct {
		code int
		want string
	}{
		head:                                  {1, `run\.py has ended, and started no server: it calls run\(\) of no application that derives from`},
		head + "raise ValueError('broken')\n": {1, `^ValueError: broken$`},
		head + "import sys; sys.exit(7)\n":    {7, `run\.py has ended with code 7, and started no server$`},
		head + "import sys; sys.exit('no')\n": {1, `no$`},
		strings.Replace(head, "workers", "wrokers", 1) + "A().run()\n": {1, `^Error: No configuration setting for: wrokers$`},
		strings.Replace(head, "1)", "'x')", 1) + "A().run()\n":         {1, `workers = 'x' \(run\.py\); accepted: whole number`},
	} {
		s := harness.Launch(t, harness.Options{Bind: []string{}, App: "-", Args: []string{"run.py"}, Files: map[string]string{"run.py": text}})
		s.ExpectExit(c.code)
		if s.Log.Count(c.want) == 0 {
			t.Errorf("%s\n%s", text, s.Log)
		}
	}
	// In a module that is named as an app run() must not be reached.
	s := harness.Launch(t, harness.Options{App: "run:app", Files: map[string]string{"run.py": head + "app = A().run()\n"}})
	s.ExpectExit(3)
	s.Log.ExpectFrom(t, 0, `run\(\) of A was called while the server imports the app: put the call under`)
}

// TestProgramAsModule: python -m of a package, whose modules import each other.
func TestProgramAsModule(t *testing.T) {
	t.Parallel()
	port := harness.FreePort(t)
	files := map[string]string{
		"pkg/__init__.py": "",
		"pkg/__main__.py": fmt.Sprintf(strings.Replace(standalone, "def app(", "from .other import NAME\ndef app(", 1), "indrik", port),
		"pkg/other.py":    "NAME = 1\n",
	}
	s := startProgram(t, harness.Python(), nil, port, harness.Options{
		Files: files, Env: []string{"PYTHONPATH=" + sitePackages(t), "PYTHONDONTWRITEBYTECODE=1"},
	}, "-m", "pkg", "--color", "red")
	s.Workers(2)
	s.Log.ExpectFrom(t, 0, `forked by a Standalone, started with \['--color', 'red'\]$`)
	s.Reload(2)
	if got, _ := reply(t, port); got != "one" {
		t.Errorf("%s", got)
	}
	s.Terminate()
}
