//go:build linux

package test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"indrik/test/harness"
)

// The files of configs/setups are set-ups of public projects, reduced to their mechanics. Each
// begins with what it is, and with lines of a key and a value:
//
//	args      the command line, behind the name of the server
//	program   instead: a program in Python that starts the server, and its arguments
//	env       a variable of the environment
//	packages  yes: it needs packages of the tests; gunicorn is never among them
//	workers   how many, one by default
//	unix      the socket that is served, instead of a port
//	path      of the request, / by default
//	log       the file of the error log
//	server    the field Server of the response, - for none
//	expect    what the log has
//	warns     what warnings may say; there are no others
//	fails     what the log says where the set-up cannot serve here
//	gunicorn  what Gunicorn 27 does: by default it answers the same; `body`: the same but for
//	          the field Server; `runs`; or `no` and the reason
//
// The rest are the files, each below its name. {PORT}, {UID} and {GID} stand for themselves, DIR
// in a command line for the directory.
type setup struct {
	what  string
	keys  map[string][]string
	files map[string]string
	port  int
}

var setupWord = regexp.MustCompile(`'[^']*'|\S+`)

var setupFile = regexp.MustCompile(`(?m)^-- (\S+) --\n`)

// setupApps are the apps of the set-ups that have none of their own: what they answer has to be
// the same with Gunicorn.
var setupApps = map[string]string{
	"app.py": `
import json

def app(environ, start_response):
    names = "REMOTE_ADDR", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "wsgi.url_scheme", "wsgi.multithread", "wsgi.multiprocess"
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({name: environ.get(name) for name in names}).encode()]

def create_app(*args):
    return app
`,
	"asgi.py": `
import asyncio, json

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    facts = {"scheme": scope["scheme"], "path": scope["path"], "root_path": scope["root_path"], "client": scope["client"][0]}
    facts["loop"] = type(asyncio.get_running_loop()).__module__.partition(".")[0]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(facts).encode()})
`,
}

func readSetup(t *testing.T, path string) *setup {
	t.Helper()
	data, err := os.ReadFile(path)
	harness.Must(t, err)
	text := string(data)
	s := &setup{keys: map[string][]string{}, files: maps.Clone(setupApps), port: harness.FreePort(t)}
	marks := setupFile.FindAllStringSubmatchIndex(text, -1)
	head := text
	if marks != nil {
		head = text[:marks[0][0]]
	}
	for line := range strings.SplitSeq(strings.TrimSpace(head), "\n") {
		if what, ok := strings.CutPrefix(line, "# "); ok {
			s.what = what
			continue
		}
		key, value, ok := strings.Cut(line, ": ")
		if !ok {
			t.Fatalf("%s: %q is no key with a value", path, line)
		}
		s.keys[key] = append(s.keys[key], value)
	}
	for i, m := range marks {
		end := len(text)
		if i+1 < len(marks) {
			end = marks[i+1][0]
		}
		s.files[text[m[2]:m[3]]] = text[m[1]:end]
	}
	return s
}

func (s *setup) value(key string) string {
	if values := s.keys[key]; values != nil {
		return values[0]
	}
	return ""
}

// withoutGunicorn is a directory with the packages of the tests, but for gunicorn.
var withoutGunicorn = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "packages-")
	if err != nil {
		return "", err
	}
	found, _ := filepath.Glob(filepath.Join(harness.Repository, ".cache", "venv", "lib", "python3*", "site-packages", "*"))
	for _, path := range found {
		if !strings.HasPrefix(filepath.Base(path), "gunicorn") {
			if err := os.Symlink(path, filepath.Join(dir, filepath.Base(path))); err != nil {
				return "", err
			}
		}
	}
	return dir, nil
})

// forGunicorn is a directory with a package that Gunicorn's gevent worker needs, and that is
// there only as a part of pip.
var forGunicorn = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "packages-")
	if err != nil {
		return "", err
	}
	found, _ := filepath.Glob(filepath.Join(harness.Repository, ".cache", "venv", "lib", "python3*", "site-packages", "pip", "_vendor", "packaging"))
	if len(found) != 1 {
		return "", fmt.Errorf("%d packages in pip", len(found))
	}
	return dir, os.Symlink(found[0], filepath.Join(dir, "packaging"))
})

// launch starts a server with the set-up: Indrik without the package gunicorn, or Gunicorn.
func (s *setup) launch(t *testing.T, gunicorn bool) *harness.Server {
	t.Helper()
	text := strings.NewReplacer("{PORT}", fmt.Sprint(s.port), "{UID}", fmt.Sprint(os.Getuid()), "{GID}", fmt.Sprint(os.Getgid()))
	o := harness.Options{App: "-", Bind: []string{}, NoProbe: true, MayLeave: true, Files: map[string]string{}}
	for name, content := range s.files {
		o.Files[name] = text.Replace(content)
	}
	command := s.value("args") + s.value("program")
	for _, word := range setupWord.FindAllString(text.Replace(command), -1) {
		o.Args = append(o.Args, strings.Trim(word, "'"))
	}
	venv := filepath.Join(harness.Repository, ".cache", "venv", "bin")
	path := "DIR"
	switch {
	case gunicorn:
		o.Binary = filepath.Join(venv, "gunicorn")
		if s.value("program") != "" {
			o.Binary = filepath.Join(venv, "python")
		}
		vendored, err := forGunicorn()
		harness.Must(t, err)
		path += ":" + vendored
	case s.value("packages") != "":
		packages, err := withoutGunicorn()
		harness.Must(t, err)
		path += ":" + packages
	}
	o.Env = []string{"PYTHONPATH=" + path}
	for _, pair := range s.keys["env"] {
		o.Env = append(o.Env, text.Replace(pair))
	}
	server := harness.Launch(t, o)
	if name := s.value("unix"); name != "" {
		server.MoveTo("unix:" + server.Path(name))
	} else {
		server.ListensOn(s.port)
	}
	return server
}

// ask makes the request of the set-up.
func (s *setup) ask(t *testing.T, server *harness.Server) *harness.Response {
	t.Helper()
	path := s.value("path")
	if path == "" {
		path = "/"
	}
	var r *harness.Response
	harness.Eventually(t, s.what+" is served", func() bool {
		var err error
		r, err = server.Request("GET", path, "", "User-Agent: agent-of-the-test", "X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: https")
		return err == nil || !server.Running()
	})
	if r == nil {
		t.Fatal("the server has ended")
	}
	return r
}

// TestAllSetups: set-ups of public projects start, serve and reload without the package gunicorn,
// and answer what Gunicorn 27 answers with them; those that cannot be served say why.
func TestAllSetups(t *testing.T) {
	t.Parallel()
	harness.NeedsAll(t)
	paths, err := filepath.Glob(filepath.Join(harness.Repository, "test", "configs", "setups", "*.txt"))
	if err != nil || len(paths) < 64 {
		t.Fatalf("%d set-ups, %v", len(paths), err)
	}
	t.Cleanup(func() {
		for _, made := range []func() (string, error){withoutGunicorn, forGunicorn} {
			if dir, err := made(); err == nil {
				os.RemoveAll(dir)
			}
		}
	})
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			t.Parallel()
			s := readSetup(t, path)
			if s.value("packages") != "" {
				harness.Venv(t) // skips without
			}
			var here *harness.Response
			if fails := s.value("fails"); fails != "" {
				server := s.launch(t, false)
				if code := server.Exit(); code == 0 {
					t.Errorf("exit code %d", code)
				}
				server.Log.ExpectFrom(t, 0, fails)
			} else {
				here = s.serveHere(t)
			}
			if does, _, _ := strings.Cut(s.value("gunicorn"), " "); does != "no" {
				s.compare(t, here, does)
			}
		})
	}
}

// serveHere starts the server, lets it reload and ends it, and returns its answer.
func (s *setup) serveHere(t *testing.T) *harness.Response {
	t.Helper()
	server := s.launch(t, false)
	r := s.ask(t, server)
	if r.Status != 200 {
		t.Errorf("%v", r)
	}
	if want := s.value("server"); want != "" && r.Get("Server") != strings.Trim(want, "-") {
		t.Errorf("Server: %s, want %s", r.Get("Server"), want)
	}
	workers := 1
	fmt.Sscan(s.value("workers"), &workers)
	server.Workers(workers)
	server.Reload(workers)
	if again := s.ask(t, server); again.Status != 200 || again.Body != r.Body {
		t.Errorf("after a reload %v, before %v", again, r)
	}
	server.Signal(syscall.SIGTERM)
	if code := server.Exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range s.keys["expect"] {
		server.Log.ExpectFrom(t, 0, want)
	}
	log := server.Log.String()
	if name := s.value("log"); name != "" {
		log += server.ReadFile(name)
	}
	for _, line := range regexp.MustCompile(`(?m)^.*\[(?:WARNING|ERROR|CRITICAL)\].*$`).FindAllString(log, -1) {
		if !slices.ContainsFunc(s.keys["warns"], func(form string) bool { return regexp.MustCompile(form).MatchString(line) }) {
			t.Errorf("%s", line)
		}
	}
	return r
}

// compare starts Gunicorn with the set-up, and compares its answer.
func (s *setup) compare(t *testing.T, here *harness.Response, does string) {
	t.Helper()
	harness.Venv(t)
	server := s.launch(t, true)
	r := s.ask(t, server)
	// A TERM that comes while it boots can be lost.
	harness.Must(t, syscall.Kill(-server.PID(), syscall.SIGKILL))
	server.Exit()
	if here == nil {
		return // it runs there
	}
	if r.Status != here.Status || r.Body != here.Body {
		t.Errorf("Gunicorn answers %d %s, Indrik %d %s", r.Status, r.Body, here.Status, here.Body)
	}
	if want := s.value("server"); want != "" && does != "body" && r.Get("Server") != here.Get("Server") {
		t.Errorf("Gunicorn is %q, Indrik %q", r.Get("Server"), here.Get("Server"))
	}
}
