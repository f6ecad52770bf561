//go:build linux

package test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"indrik/test/harness"
	"indrik/test/pythons"
)

// The Pythons that Indrik promises to run on: those that differ most, and what lies between.
var (
	unlike    = []string{"3.8", "3.13", "pypy3"}
	inBetween = []string{"3.9", "3.10", "3.11", "3.12", "3.13t", "3.14t"}
)

// forEachInterpreter runs a test with each of the versions that is there.
func forEachInterpreter(t *testing.T, versions []string, test func(t *testing.T, path string)) {
	for _, version := range versions {
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
	forEachInterpreter(t, unlike, smoke)
}

func TestPythonVersionsASGI(t *testing.T) {
	t.Parallel()
	forEachInterpreter(t, unlike, smokeASGI)
}

func TestAllPythonVersions(t *testing.T) {
	t.Parallel()
	harness.NeedsAll(t)
	for name, test := range map[string]func(*testing.T, string){"wsgi": smoke, "asgi": smokeASGI, "trace": traceOfVersion} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			forEachInterpreter(t, inBetween, test)
		})
	}
}

// smoke does with one interpreter a little of everything that depends on it.
func smoke(t *testing.T, path string) {
	s := harness.Start(t, harness.Options{App: "validated:app", Python: path, Args: []string{"--workers", "2", "--threads", "2"}})
	s.Workers(2)
	c := s.Client()
	for i := range 30 {
		if r := c.Do(t, "GET", fmt.Sprint("/", i), ""); r.Body != fmt.Sprintf("/%d\n", i) {
			t.Fatalf("%v", r)
		}
	}
	body := strings.Repeat("a line of the body\n", 10000)
	if r := c.Do(t, "POST", "/post", body, "Content-Type: text/plain"); r.Body != "/post\n"+body {
		t.Errorf("POST: %v", r)
	}
	if r := c.Do(t, "GET", "/write", ""); r.Body != "written returned" {
		t.Errorf("write(): %v", r)
	}
	if strings.HasSuffix(filepath.Base(path), "t") {
		s.Log.Expect(t, `\[INFO\] The GIL is off: the threads of this worker run in parallel$`)
	}
	s.Reload(2)
	s.Get("/")
	pid := s.Workers(2)[0]
	harness.Kill(t, pid, syscall.SIGKILL)
	harness.WaitGone(t, pid)
	s.Workers(2)
	s.Get("/")
	s.Terminate()

	s = harness.Start(t, harness.Options{App: "stuck:app", Python: path, Args: []string{"--timeout", "5", "--preload"}})
	if r, err := s.Request("GET", "/stuck", ""); err != nil || r.Status != 504 {
		t.Errorf("%v, %v, want 504", r, err)
	}
	s.Log.Expect(t, `WORKER TIMEOUT`)
	s.Log.Expect(t, `stuck_here`)
	s.Get("/")
	s.Terminate()

	s = harness.Launch(t, harness.Options{App: "unimportable:app", Python: path})
	s.ExpectExit(3)
	s.Log.Expect(t, `RuntimeError: this module cannot be imported`)
}

// smokeASGI does the same with an app of ASGI, without uvloop.
func smokeASGI(t *testing.T, path string) {
	s := harness.Start(t, harness.Options{
		App: "webapp:app", Python: path, Args: []string{"--workers", "2", "--graceful-timeout", "100", "--websocket-drain-max", "1"},
		Files: map[string]string{"webapp.py": asgiVersioned("0")},
	})
	s.Log.Expect(t, `Using worker: asgi, since webapp:app is an ASGI app$`)
	c := s.Client()
	for i := range 30 {
		if r := c.Do(t, "GET", fmt.Sprint("/", i), ""); r.Body != fmt.Sprintf("/%d\n", i) {
			t.Fatalf("%v", r)
		}
	}
	body := strings.Repeat("a line of the body\n", 10000)
	if r := c.Do(t, "POST", "/post", body); r.Body != "/post\n"+body {
		t.Errorf("POST: %v", r)
	}
	old := s.Workers(2)
	g := s.Gate("g")
	stream := openStream(t, s, "g", "0")
	g.Entered()
	ws := s.WebSocket("/echo")
	ws.SendFrame(harness.Fin|harness.OpText, "hello")
	ws.Expect(harness.Frame{First: harness.Fin | harness.OpText, Payload: []byte("hello")})
	s.WriteFile("webapp.py", asgiVersioned("1"))
	s.Signal(syscall.SIGHUP)
	ws.ExpectClose(1012, "service restart")
	harness.Must(t, c.SetDeadline(time.Now().Add(harness.Patience)))
	if r := c.Do(t, "GET", "/version", ""); r.Body != "1" {
		t.Errorf("after the reload: %v", r)
	}
	g.Release()
	stream.ExpectChunks(t, "0", "")
	pid := s.Replaced(old, 2)[0]
	harness.Kill(t, pid, syscall.SIGKILL)
	harness.WaitGone(t, pid)
	s.Workers(2)
	s.Get("/")
	s.Terminate()

	s = harness.Start(t, harness.Options{App: "lifespans:app", Python: path})
	if got := s.Get("/"); !strings.Contains(got, "'shared': 'value'") {
		t.Errorf("the state of the lifespan: %s", got)
	}
	s.Terminate()
	s.Log.Expect(t, `^lifespan\.shutdown in \d+$`)

	s = harness.Start(t, harness.Options{App: "asgiapps:loops", Python: path, Args: []string{"--timeout", "5"}})
	s.Begin("/block").Expect(504)
	s.Log.Expect(t, `WORKER TIMEOUT`)
	s.Log.Expect(t, `block_here`)
	s.Get("/")
	s.Terminate()
}
