//go:build linux

package test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"indrik/test/harness"
)

// importsOfGunicorn is a config file that imports what people import of Gunicorn.
const importsOfGunicorn = `
import gunicorn
from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.glogging import CONFIG_DEFAULTS, Logger
from gunicorn.http.message import Request
from gunicorn.workers.base import Worker

gunicorn.SERVER = "Undisclosed"
workers = 2

class logger_class(Logger):
    def now(self):
        return "[then]"

accesslog = "-"
access_log_format = "%(t)s %(U)s"
assert "formatters" in CONFIG_DEFAULTS

def on_starting(server: Arbiter):
    server.log.info("an arbiter: %s", isinstance(server, Arbiter))

def pre_request(worker: Worker, req: Request):
    worker.log.info("a request: %s", isinstance(req, Request))
`

// TestImportsOfGunicorn: what config files and apps import of Gunicorn is found, where the
// package is not installed and where it is.
func TestImportsOfGunicorn(t *testing.T) {
	t.Parallel()
	for name, python := range map[string]func(testing.TB) string{
		"without": func(testing.TB) string { return "" },
		"beside":  harness.Venv,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := harness.Start(t, harness.Options{App: "webapp:app", Conf: importsOfGunicorn, Python: python(t), Files: map[string]string{"webapp.py": `
from gunicorn.errors import ConfigError
from uvicorn_worker import UvicornWorker
import gunicorn

def app(environ, start_response):
    start_response("200 OK", [])
    return [gunicorn.__version__.encode()]
`}})
			if r := s.Client().Do(t, "GET", "/x", ""); r.Get("Server") != "Undisclosed" || r.Body != "27.0.1" {
				t.Errorf("%v", r)
			}
			s.Log.ExpectFrom(t, 0, `an arbiter: True$`)
			s.Log.ExpectFrom(t, 0, `a request: True$`)
			s.Log.ExpectFrom(t, 0, `^\[then\] /x$`)
			s.Reload(2)
			s.Get("/")
			s.Terminate()
			if n := s.Log.Count(`Imports of gunicorn\.arbiter, .*gunicorn\.glogging, .* find Indrik's own$`); n != 1 {
				t.Errorf("the log says %d times what the config file has found", n)
			}
			if n := s.Log.Count(`Imports of .*uvicorn_worker.* find Indrik's own$`); n != 1 {
				t.Errorf("the log says %d times what the app has found", n)
			}
		})
	}
}

func TestImportThatIsNotThereSaysWhatToDo(t *testing.T) {
	t.Parallel()
	hint := "^Hint: of Gunicorn's modules Indrik has what config files, apps and programs import of them"
	for _, text := range []string{"from gunicorn.glogging import Logging\n", "import gunicorn.nothing\n"} {
		s := harness.Launch(t, harness.Options{Conf: text})
		s.ExpectExit(1)
		if s.Log.Count(hint) != 1 || s.Log.Count(`^Failed to read config file: `) != 1 {
			t.Errorf("%s: %s", text, s.Log)
		}
		s = harness.Launch(t, harness.Options{App: "webapp:app", Files: map[string]string{"webapp.py": text}})
		s.ExpectExit(3)
		if s.Log.Count(hint) == 0 {
			t.Errorf("in the app: %s: %s", text, s.Log)
		}
	}
}

// ownClass is a worker class with every method that can be its own.
const ownClass = `
import os, signal
from %[1]s import %[2]s

class Mine(%[2]s):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.steps, self.beats = ["made"], 0

    def init_process(self):
        self.steps.append("init_process")
        super().init_process()

    def patch(self):
        self.steps.append("patch")
        super().patch()

    def init_signals(self):
        super().init_signals()
        self.steps.append("init_signals")
        signal.signal(signal.SIGUSR2, lambda *args: self.log.info("dump of %%s", os.getpid()))

    def load_wsgi(self):
        super().load_wsgi()
        self.steps.append("load_wsgi")

    def run(self):
        self.steps.append("run")
        try:
            super().run()
        finally:
            self.log.info("cleaned up: %%s", " ".join(self.steps))

    def notify(self):
        super().notify()
        self.beats += 1
        if self.beats == 3:
            self.log.info("the third beat")

    def handle_exit(self, sig, frame):
        self.steps.append("handle_exit")
        super().handle_exit(sig, frame)

    def handle_quit(self, sig, frame):
        self.log.info("told to quit")
        super().handle_quit(sig, frame)

timeout = 3
worker_class = %[3]s

def post_worker_init(worker):
    worker.steps.append("post_worker_init")

def worker_exit(server, worker):
    worker.log.info("exit of a %%s", type(worker).__name__)

def child_exit(server, worker):
    server.log.info("end of a %%s", type(worker).__name__)
`

// TestOwnWorkerClass: the methods of a class of one's own run in the places where Gunicorn
// calls them, for each kind of worker; by name and as an object, without and beside Gunicorn.
func TestOwnWorkerClass(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind, module, class, app, python string
	}{
		{"sync", "gunicorn.workers.sync", "SyncWorker", "hello:app", ""},
		{"sync", "indrik.workers.sync", "SyncWorker", "hello:app", "venv"},
		{"gthread", "gunicorn.workers.gthread", "ThreadWorker", "hello:app", ""},
		{"gthread", "gunicorn.workers.gthread", "ThreadWorker", "hello:app", "venv"},
		{"gevent", "gunicorn.workers.ggevent", "GeventWorker", "hello:app", "venv"},
		{"asgi", "uvicorn.workers", "UvicornWorker", "asgi:app", ""},
		{"asgi", "uvicorn_worker", "UvicornWorker", "asgi:app", "venv"},
		{"asgi", "gunicorn.workers.gasgi", "ASGIWorker", "asgi:app", ""},
		{"tornado", "gunicorn.workers.gtornado", "TornadoWorker", "torapp:app", "venv"},
	} {
		t.Run(strings.Join([]string{c.kind, c.module, c.python}, " "), func(t *testing.T) {
			t.Parallel()
			o := harness.Options{App: c.app, Files: map[string]string{
				"own.py": fmt.Sprintf(ownClass, c.module, c.class, "Mine"),
				"asgi.py": "async def app(scope, receive, send):\n" +
					"    await send({'type': 'http.response.start', 'status': 200, 'headers': []})\n" +
					"    await send({'type': 'http.response.body', 'body': b'Hello'})\n",
				"torapp.py": "import tornado.web\nclass H(tornado.web.RequestHandler):\n    def get(self):\n        self.write('Hello')\n" +
					"app = tornado.web.Application([('/', H)])\n",
			}}
			if c.python != "" {
				o.Python = harness.Venv(t)
			}
			object := c.python == ""
			if object {
				o.Conf = fmt.Sprintf(ownClass, c.module, c.class, "Mine")
			} else {
				o.Conf = strings.Replace(strings.TrimPrefix(fmt.Sprintf(ownClass, c.module, c.class, `"own.Mine"`), "\n"), "class Mine", "class Unused", 1)
			}
			if c.kind != "gevent" {
				o.Conf = strings.Replace(o.Conf, "        super().patch()", "        pass", 1)
			}
			s := harness.Start(t, o)
			module := map[bool]string{true: "__config__", false: "own"}[object]
			s.Log.ExpectFrom(t, 0, `Using worker: `+c.kind+`, by the class `+module+`\.Mine$`)
			if got := s.Get("/"); !strings.HasPrefix(got, "Hello") {
				t.Errorf("%s", got)
			}
			s.Log.ExpectFrom(t, 0, `the third beat$`)
			pids := s.Workers(1)
			harness.Kill(t, pids[0], syscall.SIGUSR2)
			s.Log.ExpectFrom(t, 0, fmt.Sprintf(`dump of %d$`, pids[0]))
			s.Reload(1)
			steps := "made init_process "
			if c.kind == "gevent" {
				steps += "patch "
			}
			steps += "init_signals load_wsgi post_worker_init run handle_exit"
			s.Log.ExpectFrom(t, 0, `cleaned up: `+steps+`$`)
			pids = s.Workers(1)
			harness.Kill(t, pids[0], syscall.SIGQUIT)
			s.Log.ExpectFrom(t, 0, `told to quit$`)
			s.Replaced(pids, 1)
			s.Get("/") // by one that is through with its start
			s.Terminate()
			for _, want := range []string{`exit of a Mine$`, `end of a Mine$`} {
				if n := s.Log.Count(want); n != 3 {
					t.Errorf("%d times %s", n, want)
				}
			}
			if n := s.Log.Count(`\[ERROR\]|Traceback`); n != 0 {
				t.Errorf("%s", s.Log)
			}
		})
	}
}

// TestRequestsThroughOwnWorkerClass: handle_request is called around each request, may change
// what the app sees, end it, and see what it raises.
func TestRequestsThroughOwnWorkerClass(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ kind, class, arguments, args, python string }{
		{"sync", "SyncWorker", "listener, req, client, addr", "", ""},
		{"gthread", "ThreadWorker", "req, conn", "--threads 2", ""},
		{"ggevent", "GeventWorker", "listener_name, req, sock, addr", "", "venv"},
	} {
		t.Run(c.kind, func(t *testing.T) {
			t.Parallel()
			o := harness.Options{App: "webapp:app", Args: append([]string{"-k", "own.Mine"}, strings.Fields(c.args)...), Files: map[string]string{
				"own.py": fmt.Sprintf(`
from gunicorn.workers.%s import %s

class Mine(%s):
    def handle_request(self, %s):
        if req.path == "/never":
            return
        req.headers = [*req.headers, ("X-User", "somebody")]
        try:
            super().handle_request(%s)
        except ValueError as e:
            self.log.info("it raised %%s", e)
        finally:
            self.log.info("handled %%s %%s", req.method, req.path)
`, c.kind, c.class, c.class, c.arguments, c.arguments),
				"webapp.py": `
def app(environ, start_response):
    if environ["PATH_INFO"] == "/raise":
        raise ValueError("on purpose")
    start_response("200 OK", [])
    return [environ.get("HTTP_X_USER", "nobody").encode()] * (2000 if environ["PATH_INFO"] == "/large" else 1)
`}}
			o.Conf = `
def pre_request(worker, req):
    worker.log.info("before %s", req.path)

def post_request(worker, req, environ, resp):
    worker.log.info("after %s", resp.status)
`
			if c.python != "" {
				o.Python = harness.Venv(t)
			}
			s := harness.Start(t, o)
			if got := s.Get("/x"); got != "somebody" {
				t.Errorf("%s", got)
			}
			if got := s.Get("/large"); len(got) != 2000*len("somebody") {
				t.Errorf("%d bytes", len(got))
			}
			for _, path := range []string{"/raise", "/never"} {
				if r, err := s.Request("GET", path, ""); err != nil || r.Status != 500 {
					t.Errorf("%s: %v, %v", path, r, err)
				}
			}
			for _, want := range []string{`handled GET /x$`, `before /x$`, `after 200 OK$`, `it raised on purpose$`, `handled GET /raise$`, `has let the request go without an answer$`} {
				s.Log.ExpectFrom(t, 0, want)
			}
			s.Reload(1)
			if got := s.Get("/x"); got != "somebody" {
				t.Errorf("%s", got)
			}
			s.Terminate()
		})
	}
}

// TestOptionsOfUvicornsWorker: what CONFIG_KWARGS says are settings, and what has no meaning
// is said once.
func TestOptionsOfUvicornsWorker(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "asgi:app", Args: []string{"-k", "own.Mine"}, Files: map[string]string{
		"own.py": `
from uvicorn.workers import UvicornWorker
class Mine(UvicornWorker):
    CONFIG_KWARGS = {"loop": "asyncio", "http": "h11", "lifespan": "off", "root_path": "/api", "server_header": False, "headers": [("a", "b")]}
`,
		"asgi.py": `
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": (scope["root_path"] + " " + scope["path"]).encode()})
`}})
	if r := s.Client().Do(t, "GET", "/x", ""); r.Body != "/api /api/x" || r.Get("Server") != "" {
		t.Errorf("%v", r)
	}
	s.Terminate()
	if n := s.Log.Count(`\[WARNING\] CONFIG_KWARGS of own\.Mine: headers has no effect: `); n != 1 {
		t.Errorf("%d warnings: %s", n, s.Log)
	}
	if n := s.Log.Count(`\[WARNING\]`); n != 1 {
		t.Errorf("%d warnings: %s", n, s.Log)
	}
}

// TestWorkerClassesThatCannotServe: each is refused with what to do, also by --check-config.
func TestWorkerClassesThatCannotServe(t *testing.T) {
	t.Parallel()
	files := map[string]string{"own.py": `
from gunicorn.workers.sync import SyncWorker
from gunicorn.workers.base import Worker

class Timed(SyncWorker):
    def handle_request(self, listener, req, client, addr):
        client.sendall(b"HTTP/1.1 200 OK")

class Loop(SyncWorker):
    def run(self):
        while self.alive:
            self.notify()

class Base(Worker):
    pass

class Lazy(SyncWorker):
    def init_process(self):
        pass
`, "broken.py": "from gunicorn.workers.sync import SyncWorker\nimport no_such_module\n"}
	for class, want := range map[string]string{
		"own.Timed":                 `^Error: worker class own\.Timed: its handle_request\(\) cannot run here: the hooks pre_request and post_request`,
		"own.Loop":                  `^Error: worker class own\.Loop: its run\(\) is a loop of its own`,
		"own.Base":                  `^Error: class uri 'own\.Base': what derives from gunicorn\.workers\.base\.Worker alone has a loop of its own`,
		"own.Nobody":                `^Error: class uri 'own\.Nobody' invalid or not found: module 'own' has no attribute 'Nobody'`,
		"broken.Any":                `^Error: class uri 'broken\.Any' invalid or not found: No module named 'no_such_module'`,
		"aiohttp.GunicornWebWorker": `an app of aiohttp is neither of WSGI nor of ASGI`,
	} {
		for _, args := range [][]string{{"-k", class}, {"--check-config", "-k", class}} {
			s := harness.Launch(t, harness.Options{Args: args, Files: files})
			s.ExpectExit(1)
			if s.Log.Count(want) != 1 {
				t.Errorf("%s: %s", args, s.Log)
			}
		}
	}
	s := harness.Launch(t, harness.Options{Args: []string{"-k", "own.Lazy"}, Files: files})
	s.ExpectExit(3)
	s.Log.ExpectFrom(t, 0, `Lazy\.init_process\(\) has not called super\(\)\.init_process\(\)`)
}

// TestWorkerClassThatBreaksInAReload: nothing changes.
func TestWorkerClassThatBreaksInAReload(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Args: []string{"-k", "own.Mine"}, Files: map[string]string{
		"own.py": "from gunicorn.workers.sync import SyncWorker\nclass Mine(SyncWorker):\n    pass\n",
	}})
	pids := s.Workers(1)
	s.WriteFile("own.py", "from gunicorn.workers.sync import SyncWorker\nclass Mine(SyncWorker):\n    def accept(self):\n        pass\n")
	s.Signal(syscall.SIGHUP)
	s.Log.Expect(t, `Reload failed, nothing was changed`)
	if got := s.Workers(1); got[0] != pids[0] {
		t.Errorf("worker %d, then %d", pids[0], got[0])
	}
	s.Get("/")
	s.Terminate()
}
