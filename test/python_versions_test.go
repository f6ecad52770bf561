//go:build linux

package test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"indrik/test/pythons"
)

// interpreters are the Pythons that Indrik promises to run on.
var interpreters = []string{"3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.13t", "3.14t", "pypy3"}

// forEachInterpreter runs a test with each of them that is there.
func forEachInterpreter(t *testing.T, test func(t *testing.T, path string)) {
	for _, version := range interpreters {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			path := pythons.Find(version)
			if path == "" {
				t.Skip("not installed here")
			}
			out, _ := exec.Command(path, "--version").CombinedOutput()
			t.Logf("%s: %s", path, strings.ReplaceAll(strings.TrimSpace(string(out)), "\n", " "))
			test(t, path)
		})
	}
}

func TestPythonVersions(t *testing.T) {
	t.Parallel()
	forEachInterpreter(t, smoke)
}

func TestPythonVersionsASGI(t *testing.T) {
	t.Parallel()
	forEachInterpreter(t, smokeASGI)
}

// smoke does with one interpreter a little of everything that depends on it.
func smoke(t *testing.T, path string) {
	s := start(t, options{app: "validated:app", python: path, args: []string{"--workers", "2", "--threads", "2"}})
	s.workers(2)
	c := s.client()
	for i := range 30 {
		if r := c.do(t, "GET", fmt.Sprint("/", i), ""); r.body != fmt.Sprintf("/%d\n", i) {
			t.Fatalf("%v", r)
		}
	}
	body := strings.Repeat("a line of the body\n", 10000)
	if r := c.do(t, "POST", "/post", body, "Content-Type: text/plain"); r.body != "/post\n"+body {
		t.Errorf("POST: %v", r)
	}
	if r := c.do(t, "GET", "/write", ""); r.body != "written returned" {
		t.Errorf("write(): %v", r)
	}
	if strings.HasSuffix(filepath.Base(path), "t") {
		s.log.expect(t, `\[INFO\] The GIL is off: the threads of this worker run in parallel$`)
	}
	s.reload(2)
	s.get("/")
	pid := s.workers(2)[0]
	kill(t, pid, syscall.SIGKILL)
	waitGone(t, pid)
	s.workers(2)
	s.get("/")
	s.terminate()

	s = start(t, options{app: "stuck:app", python: path, args: []string{"--timeout", "1", "--preload"}})
	if r, err := s.request("GET", "/stuck", ""); err != nil || r.status != 504 {
		t.Errorf("%v, %v, want 504", r, err)
	}
	s.log.expect(t, `WORKER TIMEOUT`)
	s.log.expect(t, `stuck_here`)
	s.get("/")
	s.terminate()

	s = launch(t, options{app: "unimportable:app", python: path})
	s.expectExit(3)
	s.log.expect(t, `RuntimeError: this module cannot be imported`)
}

// smokeASGI does the same with an app of ASGI, without uvloop.
func smokeASGI(t *testing.T, path string) {
	s := start(t, options{
		app: "webapp:app", python: path, args: []string{"--workers", "2", "--graceful-timeout", "100", "--websocket-drain-max", "1"},
		files: map[string]string{"webapp.py": asgiVersioned("0")},
	})
	s.log.expect(t, `Using worker: asgi, since webapp:app is an ASGI app$`)
	c := s.client()
	for i := range 30 {
		if r := c.do(t, "GET", fmt.Sprint("/", i), ""); r.body != fmt.Sprintf("/%d\n", i) {
			t.Fatalf("%v", r)
		}
	}
	body := strings.Repeat("a line of the body\n", 10000)
	if r := c.do(t, "POST", "/post", body); r.body != "/post\n"+body {
		t.Errorf("POST: %v", r)
	}
	old := s.workers(2)
	g := s.gate("g")
	stream := openStream(t, s, "g", "0")
	g.entered()
	ws := s.socket("/echo")
	ws.sendFrame(fin|opText, "hello")
	ws.expect(frame{fin | opText, []byte("hello")})
	s.write("webapp.py", asgiVersioned("1"))
	s.signal(syscall.SIGHUP)
	ws.expectClose(1012, "service restart")
	if r := c.do(t, "GET", "/version", ""); r.body != "1" {
		t.Errorf("after the reload: %v", r)
	}
	g.release()
	stream.expectChunks(t, "0", "")
	pid := s.replaced(old, 2)[0]
	kill(t, pid, syscall.SIGKILL)
	waitGone(t, pid)
	s.workers(2)
	s.get("/")
	s.terminate()

	s = start(t, options{app: "lifespans:app", python: path})
	if got := s.get("/"); !strings.Contains(got, "'shared': 'value'") {
		t.Errorf("the state of the lifespan: %s", got)
	}
	s.terminate()
	s.log.expect(t, `^lifespan\.shutdown in \d+$`)

	s = start(t, options{app: "asgiapps:loops", python: path, args: []string{"--timeout", "1"}})
	s.begin("/block").expect(504)
	s.log.expect(t, `WORKER TIMEOUT`)
	s.log.expect(t, `block_here`)
	s.get("/")
	s.terminate()
}
