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
)

// environment makes a virtual environment in dir, with a module `marked` that says
// which one it is.
func environment(t *testing.T, dir string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Join(dir, "bin"), 0o755))
	must(t, os.Symlink(python(), filepath.Join(dir, "bin", "python3")))
	must(t, os.Symlink("python3", filepath.Join(dir, "bin", "python")))
	must(t, os.WriteFile(filepath.Join(dir, "pyvenv.cfg"), []byte("home = "+filepath.Dir(python())+"\n"), 0o644))
	out, err := exec.Command(filepath.Join(dir, "bin", "python"), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").Output()
	must(t, err)
	packages := strings.TrimSpace(string(out))
	if !strings.HasPrefix(packages, dir) {
		t.Fatalf("%s is no environment: its packages are in %s", dir, packages)
	}
	must(t, os.MkdirAll(packages, 0o755))
	must(t, os.WriteFile(filepath.Join(packages, "marked.py"), []byte("name = "+`"`+filepath.Base(dir)+`"`+"\n"), 0o644))
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
	dir := tempDir(t)
	environment(t, filepath.Join(dir, "active"))
	environment(t, filepath.Join(dir, "own"))
	bin := filepath.Join(dir, "usr")
	must(t, os.Mkdir(bin, 0o755))
	must(t, os.Symlink(python(), filepath.Join(bin, "python3")))
	copyFile(t, command(t)[0], filepath.Join(bin, "indrik"))
	copyFile(t, command(t)[0], filepath.Join(dir, "own", "bin", "indrik"))
	must(t, os.MkdirAll(filepath.Join(dir, "links"), 0o755))
	must(t, os.Symlink(filepath.Join(dir, "own", "bin", "indrik"), filepath.Join(dir, "links", "indrik")))
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
			s := start(t, options{python: "-", binary: c.binary, env: c.env, app: "webapp:app", files: map[string]string{"webapp.py": markedApp}})
			if got := s.get("/"); got != c.want {
				t.Errorf("the app runs in %s", got)
			}
			s.log.expect(t, `\[INFO\] Using Python: 3\.\S+, `+regexp.QuoteMeta(dir)+`/`+c.want+`/bin/python3? \(`+regexp.QuoteMeta(c.why)+`\)$`)
			s.terminate()
		})
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Link(from, to); err == nil {
		return
	}
	data, err := os.ReadFile(from)
	must(t, err)
	must(t, os.WriteFile(to, data, 0o755))
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
		o    options
	}{
		{"current directory", options{app: "webapp:make(n=2)"}},
		{"chdir elsewhere", options{app: "webapp:wsgi", args: []string{"--chdir", "sub"}, conf: "def post_request(worker, req, *rest):\n    pass\n"}},
		{"PYTHONPATH", options{app: "webapp:wsgi", env: []string{"PYTHONPATH=DIR/few"}}},
		{"asgi", options{app: "webapp:asgi", args: []string{"-k", "asgi", "--pythonpath", "sub"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.o.files = files
			s := start(t, c.o)
			if got := s.get("/"); got != "ok" {
				t.Errorf("got %q", got)
			}
			s.terminate()
			if text := s.read("imported") + s.read("sub/imported"); text != "" {
				t.Errorf("imported: %q", text)
			}
		})
	}
}

// A Python that cannot run the server says why, on one line with the error.
func TestUnfitPython(t *testing.T) {
	t.Parallel()
	s := launch(t, options{
		python: python(), env: []string{"PYTHONPATH=DIR/broken"},
		files: map[string]string{"broken/sitecustomize.py": "import sys\nsys.modules['struct'] = None\n"},
	})
	s.expectExit(1)
	s.log.expect(t, `^Error: '.*' \(INDRIK_PYTHON\) is not a Python that can run the app: it exited with code 1$`)
	s.log.expect(t, `^  ModuleNotFoundError: import of struct halted`)

	for _, old := range oldPythons() {
		s = launch(t, options{python: old})
		s.expectExit(1)
		s.log.expect(t, `^  Indrik needs Python 3\.8 or later, and \S+ is \d\.\d+`)
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
	s := start(t, options{
		app: "webapp:app", files: map[string]string{"caf\xe9/webapp.py": app, "caf\xe9/gunicorn.conf.py": "proc_name = 'x'\n"},
		wrap: []string{"sh", "-c", `cd "$(printf 'caf\351')" && exec "$@"`, "sh"},
		args: []string{"-e", "SET=\xfe", "--reload"}, env: []string{"OWN=\xff"},
	})
	if got := s.get("/"); got != "caf\xe9|\xff|\xfe" {
		t.Errorf("got %q", got)
	}
	s.write("caf\xe9/webapp.py", strings.Replace(app, `b"|"`, `b"-"`, 1))
	if got := s.get("/"); got != "caf\xe9-\xff-\xfe" { // it is watched, too
		t.Errorf("after a change got %q", got)
	}
	s.terminate()
}

// SERVER_SOFTWARE and the addresses are the server's own.
func TestServerSaysWhatItIs(t *testing.T) {
	t.Parallel()
	const app = `
def app(environ, start_response):
    start_response("200 OK", [])
    return [environ["SERVER_SOFTWARE"].encode()]
`
	s := start(t, options{
		app: "webapp:app", files: map[string]string{"webapp.py": app}, env: []string{"SERVER_SOFTWARE=other/1.0"},
		conf: "def on_starting(server):\n    server.log.info('on_starting: %r', server.address[0])\n" +
			"def when_ready(server):\n    server.log.info('when_ready: %r', server.address[0])\n",
	})
	if got := s.get("/"); !strings.HasPrefix(got, "indrik/") {
		t.Errorf("SERVER_SOFTWARE is %q", got)
	}
	for _, hook := range []string{"on_starting", "when_ready"} {
		s.log.expect(t, hook+`: \('127\.0\.0\.1', \d+\)$`)
	}
	s.terminate()
}

// What cannot be found is told once, with what to write instead and the Python that
// was asked.
func TestAppIsNotFound(t *testing.T) {
	t.Parallel()
	const made = "class FastAPI:\n    def __call__(self, environ, start_response):\n        pass\napp = FastAPI()\n"
	here := `Python 3\.\S+ \(.*python\S*\)`
	for _, c := range []struct {
		name string
		o    options
		code int
		want []string
	}{
		{"file", options{app: "main.py", files: map[string]string{"main.py": made}}, 3, []string{`did you mean 'main:app'\?`}},
		{"file in a package", options{app: "site/wsgi.py", files: map[string]string{"site/wsgi.py": "application = get_wsgi_application()\n"}}, 3,
			[]string{`did you mean 'site\.wsgi:application'\?`}},
		{"slash", options{app: "shop/app:app", files: map[string]string{"shop/app.py": made}}, 3, []string{`^Hint: a module is written with dots: shop\.app:app$`}},
		{"other name", options{app: "main", files: map[string]string{"main.py": made}}, 4,
			[]string{`^Failed to find attribute 'application' in 'main'\.$`, `^main has 'app' \(FastAPI\): indrik main:app$`}},
		{"part of Python", options{app: "test:app", env: []string{"PYTHONPATH="}}, 4,
			[]string{`^Failed to find attribute 'app' in 'test'\.$`, `^test is .*/test/__init__\.py, a part of Python itself: give the module of the app another name$`}},
		{"elsewhere", options{app: "shop:app", files: map[string]string{"src/shop.py": made, "main.py": made}}, 3,
			[]string{`^Hint: 'shop' is neither in .*, the current directory, nor in the path of ` + here + `\. Here are: main:app$`, `^It is in src: --pythonpath src, or --chdir src$`}},
		{"command", options{app: "help"}, 3, []string{`^Hint: 'help' is taken for the module of the app; for the options: indrik --help`}},
		{"dependency", options{app: "main:app", files: map[string]string{"main.py": "import flaskk\n"}}, 3,
			[]string{`^ModuleNotFoundError: No module named 'flaskk'$`, `^Hint: 'flaskk' is not installed for ` + here + `$`}},
		{"dependency, preloaded", options{app: "main:app", files: map[string]string{"main.py": "import flaskk\n"}, args: []string{"--preload"}}, 1,
			[]string{`^ModuleNotFoundError: No module named 'flaskk'$`, `^Hint: 'flaskk' is not installed for ` + here + `$`}},
		{"other environment", options{app: "main:app", files: map[string]string{"main.py": "import flaskk\n", ".venv/pyvenv.cfg": "", ".venv/bin/python": ""}}, 3,
			[]string{`^There is an environment in \.venv that is not in use: activate it, or set INDRIK_PYTHON=\.venv/bin/python$`}},
		{"inside a package", options{app: "main:app", files: map[string]string{"__init__.py": "", "main.py": "from . import x\n"}}, 3,
			[]string{`^Hint: main\.py is part of the package server-\d+: start one directory up, indrik server-\d+\.main:app, or with --chdir \.\.$`}},
		{"none", options{app: "-", files: map[string]string{"main.py": made}}, 1,
			[]string{`^Error: No application module specified\.$`, `^  Here are: main:app$`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := launch(t, c.o)
			s.expectExit(c.code)
			for _, want := range c.want {
				if n := s.log.count(want); n != 1 {
					t.Errorf("%d lines match %q", n, want)
				}
			}
			if n := s.log.count(`No module named 'flaskk'`); n > 1 {
				t.Errorf("it is told %d times", n)
			}
		})
	}
}

// A daemon that cannot start, and has no log, says where its traceback would be.
func TestDaemonSaysWhereItsTracebackWouldBe(t *testing.T) {
	t.Parallel()
	s := launch(t, options{app: "no_such_module:app", args: []string{"--daemon"}})
	s.expectExit(3)
	s.log.expect(t, `Reason: Worker failed to boot\.$`)
	s.log.expect(t, `give --error-logfile, or start it without --daemon`)
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
		o    options
		want string
	}{
		{options{app: "webapp:app", files: map[string]string{"webapp.py": asgi}}, `Using worker: asgi, since webapp:app is an ASGI app$`},
		{options{}, `Using worker: sync$`},
		{options{args: []string{"--threads", "2"}}, `Using worker: gthread$`},
	} {
		s := start(t, c.o)
		s.log.expect(t, `Ready: 1 worker in \d+\.\d s$`)
		s.terminate()
		if s.log.count(`Using worker`) != 1 || s.log.count(c.want) != 1 {
			t.Errorf("the kind: %q", s.log.all(`Using worker.*`))
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
	s := start(t, options{app: "webapp:app", files: map[string]string{"webapp.py": app}, env: []string{"TZ=Asia/Tokyo"}})
	s.terminate()
	s.log.expect(t, `^\[\d+-\d+-\d+ \d+:\d+:\d+ \+0900\] \[\d+\] \[INFO\] said by the app$`)
	if n := s.log.count(`^\[[^]]* -0[56]00\]`); n > 0 {
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
			s := start(t, options{app: "webapp:app", files: map[string]string{"webapp.py": c.app}})
			if r, err := s.request("GET", c.path+"?token=secret", ""); err != nil || r.status != 502 {
				t.Errorf("%v %v", r, err)
			}
			for _, want := range c.want {
				s.log.expectFrom(t, 0, want)
			}
			s.get("/") // another one serves
			s.terminate()
			if s.log.count(`secret`) > 0 {
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
			s := start(t, options{
				app: "webapp:app", files: map[string]string{"webapp.py": app}, conf: c.conf + "\n",
				args: []string{"--log-format", c.format, "--access-logfile", "DIR/access.log", "--error-logfile", "DIR/error.log"},
			})
			if r, err := s.request("GET", "/fail?a=1", "", `User-Agent: x\"`); err != nil || r.status != 500 {
				t.Errorf("%v, %v", r, err)
			}
			s.terminate()
			lines := func(name string) (list []map[string]any) {
				for _, line := range strings.Split(strings.TrimSpace(s.read(name)), "\n") {
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
				t.Errorf("the request is not in the access log: %s", s.read("access.log"))
			}
		})
	}
}

// Without workers clients are told at once, and served when TTIN adds one.
func TestNoWorkers(t *testing.T) {
	t.Parallel()
	s := start(t, options{args: []string{"-w", "0"}, noProbe: true})
	s.log.expect(t, `\[WARNING\] workers is 0 \(command line\): nothing will be served, and clients get 503, until TTIN adds a worker$`)
	s.log.expect(t, `Ready: 0 workers`)
	begun := time.Now()
	if r, err := s.request("GET", "/", ""); err != nil || r.status != 503 || time.Since(begun) > 5*time.Second {
		t.Errorf("%v %v after %v", r, err, time.Since(begun))
	}
	s.signal(syscall.SIGTTIN)
	eventually(t, "a worker serves", func() bool {
		r, err := s.request("GET", "/", "")
		return err == nil && r.status == 200
	})
	s.terminate()
}

// A large answer needs no descriptor: an app that has used up all of them can give one.
func TestLargeAnswersWithoutDescriptors(t *testing.T) {
	t.Parallel()
	const app = `
import os
held = []
def app(environ, start_response):
    try:
        while True:
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    start_response("200 OK", [("Content-Type", "text/plain")])
    path = environ["PATH_INFO"]
    if path == "/parts":
        return (b"x" * 100000 for _ in range(3))
    if path == "/whole":
        return [b"x" * 200000]
    return [b"x"]
`
	for _, args := range [][]string{nil, {"--threads", "2"}} {
		s := start(t, options{app: "webapp:app", files: map[string]string{"webapp.py": app}, args: args,
			wrap: []string{"sh", "-c", `ulimit -n 128; exec "$@"`, "sh"}})
		for path, size := range map[string]int{"/": 1, "/whole": 200000, "/parts": 300000} {
			for range 3 {
				if r, err := s.request("GET", path, ""); err != nil || r.status != 200 || len(r.body) != size {
					t.Errorf("%q %s: %v", args, path, err)
				}
			}
		}
		s.terminate()
	}
}
