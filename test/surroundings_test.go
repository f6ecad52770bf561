//go:build linux

package test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestSettings(t *testing.T) {
	t.Parallel()
	// What reaches the app from the settings that change its surroundings.
	s := start(t, options{
		app:   "inner:app",
		args:  []string{"--chdir", "DIR/sub", "--env", "ADDED=by raw_env", "--pythonpath", "DIR/lib", "--name", "renamed"},
		files: map[string]string{"lib/helper.py": "value = 'from pythonpath'\n", "sub/inner.py": innerApp},
	})
	want := fmt.Sprintf("%s|by raw_env|from pythonpath", s.path("sub"))
	if got := s.get("/"); got != want {
		t.Errorf("the app sees %q, want %q", got, want)
	}
	for _, role := range []string{"master", "worker", "front", "spawner"} {
		if len(s.role(role)) != 1 || !strings.HasSuffix(s.role(role)[0].title, "[renamed]") {
			t.Errorf("%s: %v", role, s.role(role))
		}
	}
	s.terminate()
}

const innerApp = `import os
import helper

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [("%s|%s|%s" % (os.getcwd(), os.environ.get("ADDED"), helper.value)).encode()]
`

// Apps look at sys.argv as if they had a command line of their own, many of them without
// asking how long it is: sys.argv[1] == "test".
func TestCommandLineOfTheApp(t *testing.T) {
	t.Parallel()
	s := start(t, options{
		app:  "telling:app",
		args: []string{"--name", "two words", "--preload"},
		files: map[string]string{"telling.py": `import sys

testing = sys.argv[1] == "test"

def app(environ, start_response):
    start_response("200 OK", [])
    return ["\n".join(sys.argv).encode()]
`},
	})
	got := strings.Split(s.get("/"), "\n")
	if want := s.args; !slices.Equal(got, want) {
		t.Errorf("the app sees %q, want %q", got, want)
	}
	s.terminate()
}

func TestNothingIsWrittenElsewhere(t *testing.T) {
	t.Parallel()
	before, _ := os.ReadDir("/dev/shm")
	s := start(t, options{app: "digest:app"})
	if r, err := s.request("POST", "/read", strings.Repeat("x", 5<<20)); err != nil || r.status != 200 {
		t.Fatalf("%v, %v", r, err)
	}
	after, _ := os.ReadDir("/dev/shm")
	if len(after) > len(before) {
		t.Errorf("/dev/shm has %v, had %v", after, before)
	}
	for _, dir := range []string{"tmp", "."} {
		entries, _ := os.ReadDir(s.path(dir))
		for _, e := range entries {
			if e.Name() != "tmp" && e.Name() != "gates" {
				t.Errorf("the server has written %s/%s", dir, e.Name())
			}
		}
	}
	s.terminate()
}

func TestUserAndGroup(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 || systemPython() == "" {
		t.Skip("needs root and a python3 that everybody can run")
	}
	s := start(t, options{
		app:    "webapp:app",
		python: systemPython(),
		args:   []string{"--user", "nobody", "--group", "65534", "--access-logfile", "DIR/access.log", "--bind", "unix:DIR/web.sock"},
		env:    []string{"PYTHONPATH="},
		files: map[string]string{"webapp.py": `import os
def app(environ, start_response):
    start_response("200 OK", [])
    return [("%d %d" % (os.getuid(), os.getgid())).encode()]
`},
	})
	if got := s.get("/"); got != "65534 65534" {
		t.Errorf("the worker runs as %s", got)
	}
	for _, p := range append(s.role("worker"), s.role("front")...) {
		if uid := status(p.pid, "Uid"); !strings.HasPrefix(uid, "65534\t65534\t65534") {
			t.Errorf("%v runs as %q", p, uid)
		}
	}
	if uid := status(s.pid(), "Uid"); !strings.HasPrefix(uid, "0") {
		t.Errorf("the master runs as %q", uid)
	}
	for _, f := range []string{"access.log", "web.sock"} {
		var st syscall.Stat_t
		must(t, syscall.Stat(s.path(f), &st))
		if st.Uid != 65534 {
			t.Errorf("%s belongs to %d", f, st.Uid)
		}
	}
	s.reload(1)
	if got := s.get("/"); got != "65534 65534" {
		t.Errorf("after a reload the worker runs as %s", got)
	}
	s.terminate()
}
