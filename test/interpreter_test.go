//go:build linux

package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

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
