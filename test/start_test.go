//go:build linux

package test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"indrik/test/harness"
)

// environment makes a virtual environment in dir, with a module `marked` that says
// which one it is.
func environment(t *testing.T, dir string) {
	t.Helper()
	harness.Must(t, os.MkdirAll(filepath.Join(dir, "bin"), 0o755))
	harness.Must(t, os.Symlink(harness.Python(), filepath.Join(dir, "bin", "python3")))
	harness.Must(t, os.Symlink("python3", filepath.Join(dir, "bin", "python")))
	harness.Must(t, os.WriteFile(filepath.Join(dir, "pyvenv.cfg"), []byte("home = "+filepath.Dir(harness.Python())+"\n"), 0o644))
	out, err := exec.Command(filepath.Join(dir, "bin", "python"), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").Output()
	harness.Must(t, err)
	packages := strings.TrimSpace(string(out))
	if !strings.HasPrefix(packages, dir) {
		t.Fatalf("%s is no environment: its packages are in %s", dir, packages)
	}
	harness.Must(t, os.MkdirAll(packages, 0o755))
	harness.Must(t, os.WriteFile(filepath.Join(packages, "marked.py"), []byte("name = "+`"`+filepath.Base(dir)+`"`+"\n"), 0o644))
}

const markedApp = `
import marked
def app(environ, start_response):
    start_response("200 OK", [])
    return [marked.name.encode()]
`

// The binary is beside a Python that is no environment, as in the image of a
// container: the environment that the user means is taken, and the log says which.
func TestWhichPython(t *testing.T) {
	t.Parallel()
	dir := harness.TempDir(t)
	environment(t, filepath.Join(dir, "active"))
	environment(t, filepath.Join(dir, "own"))
	bin := filepath.Join(dir, "usr")
	harness.Must(t, os.Mkdir(bin, 0o755))
	harness.Must(t, os.Symlink(harness.Python(), filepath.Join(bin, "python3")))
	copyFile(t, harness.Command(t)[0], filepath.Join(bin, "indrik"))
	copyFile(t, harness.Command(t)[0], filepath.Join(dir, "own", "bin", "indrik"))
	harness.Must(t, os.MkdirAll(filepath.Join(dir, "links"), 0o755))
	harness.Must(t, os.Symlink(filepath.Join(dir, "own", "bin", "indrik"), filepath.Join(dir, "links", "indrik")))
	for _, c := range []struct {
		name, binary string
		env          []string
		want, why    string
	}{
		{"active", bin + "/indrik", []string{"PATH=" + bin, "VIRTUAL_ENV=" + dir + "/active"}, "active", "VIRTUAL_ENV"},
		{"on PATH", bin + "/indrik", []string{"PATH=" + dir + "/active/bin:" + bin}, "active", "the first python3 on PATH"},
		{"link out of its own environment", dir + "/links/indrik", []string{"PATH=" + dir + "/links:" + bin, "VIRTUAL_ENV=" + dir + "/active"}, "active", "VIRTUAL_ENV"},
		{"beside it in an environment", dir + "/own/bin/indrik", []string{"PATH=" + bin}, "own", "beside indrik"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := harness.Start(t, harness.Options{Python: "-", Binary: c.binary, Env: c.env, App: "webapp:app", Files: map[string]string{"webapp.py": markedApp}})
			if got := s.Get("/"); got != c.want {
				t.Errorf("the app runs in %s", got)
			}
			s.Log.Expect(t, `\[INFO\] Using Python: 3\.\S+, `+regexp.QuoteMeta(dir)+`/`+c.want+`/bin/python3? \(`+regexp.QuoteMeta(c.why)+`\)$`)
			s.Terminate()
		})
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Link(from, to); err == nil {
		return
	}
	data, err := os.ReadFile(from)
	harness.Must(t, err)
	harness.Must(t, os.WriteFile(to, data, 0o755))
}

// Files of the app with the names of modules that the server itself imports are not
// imported by it: neither from the current directory nor from that of the app, be it
// early or late. The app may import its own, as long as the server was not first.
func TestFilesNamedLikeModules(t *testing.T) {
	t.Parallel()
	files := map[string]string{}
	for _, name := range []string{
		"marshal", "json", "socket", "signal", "struct", "mmap", "select", "logging", "traceback", "threading", "faulthandler",
		"ast", "inspect", "pwd", "glob", "asyncio", "contextlib", "importlib", "types", "functools", "base64",
	} {
		text := "open('imported', 'a').write(" + `"` + name + `\n")` + "\nraise SystemExit('a file of the app')\n"
		files[name+".py"] = text
		files["sub/"+name+".py"] = text
	}
	const app = `
def wsgi(environ, start_response):
    start_response("200 OK", [])
    return [b"ok"]
def make(n=1):
    return wsgi
async def asgi(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})
`
	files["webapp.py"], files["sub/webapp.py"] = app, app
	// Where Python itself looks at its start no more than the server needs.
	for _, name := range []string{"mmap", "glob", "faulthandler"} {
		files["few/"+name+".py"] = files[name+".py"]
	}
	for _, c := range []struct {
		name string
		o    harness.Options
	}{
		{"current directory", harness.Options{App: "webapp:make(n=2)"}},
		{"chdir elsewhere", harness.Options{App: "webapp:wsgi", Args: []string{"--chdir", "sub"}, Conf: "def post_request(worker, req, *rest):\n    pass\n"}},
		{"PYTHONPATH", harness.Options{App: "webapp:wsgi", Env: []string{"PYTHONPATH=DIR/few"}}},
		{"asgi", harness.Options{App: "webapp:asgi", Args: []string{"-k", "asgi", "--pythonpath", "sub"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.o.Files = files
			s := harness.Start(t, c.o)
			if got := s.Get("/"); got != "ok" {
				t.Errorf("got %q", got)
			}
			s.Terminate()
			if text := s.ReadFile("imported") + s.ReadFile("sub/imported"); text != "" {
				t.Errorf("imported: %q", text)
			}
		})
	}
}

// A Python that cannot run the server says why, on one line with the error.
func TestUnfitPython(t *testing.T) {
	t.Parallel()
	s := harness.Launch(t, harness.Options{
		Python: harness.Python(), Env: []string{"PYTHONPATH=DIR/broken"},
		Files: map[string]string{"broken/sitecustomize.py": "import sys\nsys.modules['struct'] = None\n"},
	})
	s.ExpectExit(1)
	s.Log.Expect(t, `^Error: '.*' \(INDRIK_PYTHON\) is not a Python that can run the app: it exited with code 1$`)
	s.Log.Expect(t, `^  ModuleNotFoundError: import of struct halted`)

	for _, old := range oldPythons() {
		s = harness.Launch(t, harness.Options{Python: old})
		s.ExpectExit(1)
		s.Log.Expect(t, `^  Indrik needs Python 3\.8 or later, and \S+ is \d\.\d+`)
	}
}

// oldPythons are interpreters that are too old, those that there are.
func oldPythons() []string {
	home, _ := os.UserHomeDir()
	var found []string
	for _, version := range []string{"2.7", "3.7"} {
		paths, _ := filepath.Glob(filepath.Join(home, ".pyenv", "versions", version+"*", "bin", "python"+version))
		if path := "/usr/bin/python" + version; len(paths) == 0 {
			if _, err := os.Stat(path); err == nil {
				paths = []string{path}
			}
		}
		found = append(found, paths...)
	}
	return found
}

// A directory whose name is not UTF-8, and variables and arguments that are not.
func TestNamesThatAreNotUTF8(t *testing.T) {
	t.Parallel()
	const app = `
import os, sys
def app(environ, start_response):
    start_response("200 OK", [])
    where = os.path.dirname(os.path.abspath(__file__))
    return [b"|".join([os.fsencode(where[-4:]), os.fsencode(os.environ["OWN"]), os.fsencode(os.environ["SET"])])]
`
	s := harness.Start(t, harness.Options{
		App: "webapp:app", Files: map[string]string{"caf\xe9/webapp.py": app, "caf\xe9/gunicorn.conf.py": "proc_name = 'x'\n"},
		Wrap: []string{"sh", "-c", `cd "$(printf 'caf\351')" && exec "$@"`, "sh"},
		Args: []string{"-e", "SET=\xfe", "--reload"}, Env: []string{"OWN=\xff"},
	})
	if got := s.Get("/"); got != "caf\xe9|\xff|\xfe" {
		t.Errorf("got %q", got)
	}
	s.WriteFile("caf\xe9/webapp.py", strings.Replace(app, `b"|"`, `b"-"`, 1))
	if got := s.Get("/"); got != "caf\xe9-\xff-\xfe" { // it is watched, too
		t.Errorf("after a change got %q", got)
	}
	s.Terminate()
}

// SERVER_SOFTWARE and the addresses are the server's own.
func TestServerSaysWhatItIs(t *testing.T) {
	t.Parallel()
	const app = `
def app(environ, start_response):
    start_response("200 OK", [])
    return [environ["SERVER_SOFTWARE"].encode()]
`
	s := harness.Start(t, harness.Options{
		App: "webapp:app", Files: map[string]string{"webapp.py": app}, Env: []string{"SERVER_SOFTWARE=other/1.0"},
		Conf: "def on_starting(server):\n    server.log.info('on_starting: %r', server.address[0])\n" +
			"def when_ready(server):\n    server.log.info('when_ready: %r', server.address[0])\n",
	})
	if got := s.Get("/"); !strings.HasPrefix(got, "indrik/") {
		t.Errorf("SERVER_SOFTWARE is %q", got)
	}
	for _, hook := range []string{"on_starting", "when_ready"} {
		s.Log.Expect(t, hook+`: \('127\.0\.0\.1', \d+\)$`)
	}
	s.Terminate()
}

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

// A daemon that cannot start, and has no log, says where its traceback would be.
func TestDaemonSaysWhereItsTracebackWouldBe(t *testing.T) {
	t.Parallel()
	s := harness.Launch(t, harness.Options{App: "no_such_module:app", Args: []string{"--daemon"}})
	s.ExpectExit(3)
	s.Log.Expect(t, `Reason: Worker failed to boot\.$`)
	s.Log.Expect(t, `give --error-logfile, or start it without --daemon`)
}

// The kind of worker is told once, when it is known.
func TestKindIsToldOnce(t *testing.T) {
	t.Parallel()
	const asgi = `
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})
`
	for _, c := range []struct {
		o    harness.Options
		want string
	}{
		{harness.Options{App: "webapp:app", Files: map[string]string{"webapp.py": asgi}}, `Using worker: asgi, since webapp:app is an ASGI app$`},
		{harness.Options{}, `Using worker: sync$`},
		{harness.Options{Args: []string{"--threads", "2"}}, `Using worker: gthread$`},
	} {
		s := harness.Start(t, c.o)
		s.Log.Expect(t, `Ready: 1 worker in \d+\.\d s$`)
		s.Terminate()
		if s.Log.Count(`Using worker`) != 1 || s.Log.Count(c.want) != 1 {
			t.Errorf("the kind: %q", s.Log.All(`Using worker.*`))
		}
	}
}

// The log keeps the zone of the start, whatever the app does to its process.
func TestLogKeepsItsZone(t *testing.T) {
	t.Parallel()
	const app = `
import os, time
os.environ["TZ"] = "America/Chicago"
time.tzset()
def app(environ, start_response):
    start_response("200 OK", [])
    environ["wsgi.errors"]
    import logging
    logging.getLogger("gunicorn.error").info("said by the app")
    return [b"ok"]
`
	s := harness.Start(t, harness.Options{App: "webapp:app", Files: map[string]string{"webapp.py": app}, Env: []string{"TZ=Asia/Tokyo"}})
	s.Terminate()
	s.Log.Expect(t, `^\[\d+-\d+-\d+ \d+:\d+:\d+ \+0900\] \[\d+\] \[INFO\] said by the app$`)
	if n := s.Log.Count(`^\[[^]]* -0[56]00\]`); n > 0 {
		t.Errorf("%d lines in another zone", n)
	}
}

// A worker that dies says what it ran, without the query, and where it crashed.
func TestDeadWorkerSaysWhatItRan(t *testing.T) {
	t.Parallel()
	const app = `
import ctypes, os, signal
def deref():
    ctypes.string_at(0)
def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if path == "/crash":
        deref()
    if path == "/exit":
        os._exit(9)
    start_response("200 OK", [])
    return [b"ok"]
`
	asgi := `
import os, signal
async def app(scope, receive, send):
    assert scope["type"] == "http"
    if scope["path"] == "/kill":
        os.kill(os.getpid(), signal.SIGKILL)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})
`
	for _, c := range []struct {
		name, app, path string
		want            []string
	}{
		{"killed", app, "/kill", []string{
			`\[ERROR\] Worker \(pid:\d+\) was sent SIGKILL! Perhaps out of memory\?$`,
			`\[ERROR\] Worker \(pid:\d+\) was sent SIGKILL after \d+\.\d s and \d requests?, while it ran GET /kill \(\d+\.\d s\)\. Its RSS was at most \d+ MiB\.$`,
		}},
		{"killed, ASGI", asgi, "/kill", []string{`was sent SIGKILL after \d+\.\d s and \d requests?, while it ran GET /kill \(\d+\.\d s\)\. `}},
		{"crashed", app, "/crash", []string{
			`was sent SIGSEGV after \d+\.\d s and \d requests?, while it ran GET /crash \(`, `^Fatal Python error: Segmentation fault$`, `^  File ".*webapp\.py", line 4 in deref$`,
		}},
		{"exited", app, "/exit", []string{`\[ERROR\] Worker \(pid:\d+\) exited with code 9\.$`, `exited with code 9 after \d+\.\d s and \d requests?, while it ran GET /exit \(`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := harness.Start(t, harness.Options{App: "webapp:app", Files: map[string]string{"webapp.py": c.app}})
			if r, err := s.Request("GET", c.path+"?token=secret", ""); err != nil || r.Status != 502 {
				t.Errorf("%v %v", r, err)
			}
			for _, want := range c.want {
				s.Log.ExpectFrom(t, 0, want)
			}
			s.Get("/") // another one serves
			s.Terminate()
			if s.Log.Count(`secret`) > 0 {
				t.Error("the query is in the log")
			}
		})
	}
}

// Both logs in JSON: every line of every process is an object with the documented
// names.
func TestJSONLogs(t *testing.T) {
	t.Parallel()
	const app = `
import logging
def app(environ, start_response):
    if environ["PATH_INFO"] == "/fail":
        raise ValueError("on\npurpose")
    start_response("200 OK", [])
    return [b"ok"]
`
	for _, c := range []struct {
		name, format, conf string
		time, level, pid   string
		status, trace      string
	}{
		{"json", "json", "", "time", "level", "pid", "status", "traceback"},
		{"ecs", "ecs", "", "@timestamp", "log.level", "process.pid", "http.response.status_code", "error.stack_trace"},
		{"through Python", "json", "from indrik.glogging import Logger\nclass Own(Logger):\n    pass\nlogger_class = Own\n", "time", "level", "pid", "status", "traceback"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := harness.Start(t, harness.Options{
				App: "webapp:app", Files: map[string]string{"webapp.py": app}, Conf: c.conf + "\n",
				Args: []string{"--log-format", c.format, "--access-logfile", "DIR/access.log", "--error-logfile", "DIR/error.log"},
			})
			if r, err := s.Request("GET", "/fail?a=1", "", `User-Agent: x\"`); err != nil || r.Status != 500 {
				t.Errorf("%v, %v", r, err)
			}
			s.Terminate()
			lines := func(name string) (list []map[string]any) {
				for line := range strings.SplitSeq(strings.TrimSpace(s.ReadFile(name)), "\n") {
					var fields map[string]any
					if err := json.Unmarshal([]byte(line), &fields); err != nil {
						t.Errorf("%s: %q: %v", name, line, err)
						continue
					}
					for _, key := range []string{c.time, c.level, c.pid} {
						if fields[key] == nil {
							t.Errorf("%s: no %s in %q", name, key, line)
						}
					}
					list = append(list, fields)
				}
				return list
			}
			said := map[string]bool{}
			for _, fields := range lines("error.log") {
				message, _ := fields["message"].(string)
				said[message] = true
				if trace, _ := fields[c.trace].(string); strings.HasPrefix(message, "Error handling request") && !strings.HasSuffix(trace, "ValueError: on\npurpose") {
					t.Errorf("the traceback is %q", trace)
				}
			}
			for _, message := range []string{"Using worker: sync", "Error handling request GET /fail?a=1", "Shutting down: Master"} {
				if !said[message] {
					t.Errorf("nobody said %q: %v", message, said)
				}
			}
			found := false
			for _, fields := range lines("access.log") {
				agent := fields["user_agent"]
				if c.format == "ecs" {
					agent = fields["user_agent.original"]
				}
				found = found || fields[c.status] == 500.0 && agent == `x\"`
			}
			if !found {
				t.Errorf("the request is not in the access log: %s", s.ReadFile("access.log"))
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
	if r, err := s.Request("GET", "/", ""); err != nil || r.Status != 503 || time.Since(begun) > 5*time.Second {
		t.Errorf("%v %v after %v", r, err, time.Since(begun))
	}
	s.Signal(syscall.SIGTTIN)
	harness.Eventually(t, "a worker serves", func() bool {
		r, err := s.Request("GET", "/", "")
		return err == nil && r.Status == 200
	})
	s.Terminate()
}

// A large answer needs no descriptor: an app that has used up all of them can give one.
func TestLargeAnswersWithoutDescriptors(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"--threads", "2"}} {
		s := harness.Start(t, harness.Options{App: "descriptors:app", Args: args,
			Wrap: []string{"sh", "-c", `ulimit -n 128; exec "$@"`, "sh"}})
		for path, size := range map[string]int{"/": 1, "/whole": 200000, "/parts": 300000} {
			for range 3 {
				if r, err := s.Request("GET", path, ""); err != nil || r.Status != 200 || len(r.Body) != size {
					t.Errorf("%q %s: %v", args, path, err)
				}
			}
		}
		s.Terminate()
	}
}
