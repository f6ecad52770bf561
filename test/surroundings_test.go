//go:build linux

package test

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"indrik/test/harness"
)

func TestSettings(t *testing.T) {
	t.Parallel()
	// What reaches the app from the settings that change its surroundings.
	s := harness.Start(t, harness.Options{
		App:   "inner:app",
		Args:  []string{"--chdir", "DIR/sub", "--env", "ADDED=by raw_env", "--pythonpath", "DIR/lib", "--name", "renamed"},
		Files: map[string]string{"lib/helper.py": "value = 'from pythonpath'\n", "sub/inner.py": innerApp},
	})
	want := fmt.Sprintf("%s|by raw_env|from pythonpath", s.Path("sub"))
	if got := s.Get("/"); got != want {
		t.Errorf("the app sees %q, want %q", got, want)
	}
	for _, role := range []string{"master", "worker", "front", "spawner"} {
		harness.Eventually(t, "there is one "+role+" with the name", func() bool {
			found := s.Role(role)
			return len(found) == 1 && strings.HasSuffix(found[0].Title, "[renamed]")
		})
	}
	s.Terminate()
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
	s := harness.Start(t, harness.Options{
		App:  "telling:app",
		Args: []string{"--name", "two words", "--preload"},
		Files: map[string]string{"telling.py": `import sys

testing = sys.argv[1] == "test"

def app(environ, start_response):
    start_response("200 OK", [])
    return ["\n".join(sys.argv).encode()]
`},
	})
	got := strings.Split(s.Get("/"), "\n")
	if want := s.Args; !slices.Equal(got, want) {
		t.Errorf("the app sees %q, want %q", got, want)
	}
	s.Terminate()
}

// ownSharedMemory is a command that starts a server with a /dev/shm of its own: in that of the
// machine anybody may make files meanwhile. It is empty where that cannot be done.
func ownSharedMemory() []string {
	wrap := []string{"unshare", "-m", "/bin/sh", "-c", `mount -t tmpfs tmpfs /dev/shm && exec "$@"`, "sh"}
	if exec.Command(wrap[0], append(wrap[1:], "true")...).Run() != nil {
		return nil
	}
	return wrap
}

func TestNothingIsWrittenElsewhere(t *testing.T) {
	t.Parallel()
	o := harness.Options{App: "digest:app", Wrap: ownSharedMemory()}
	s := harness.Start(t, o)
	if r, err := s.Request("POST", "/read", strings.Repeat("x", 5<<20)); err != nil || r.Status != 200 {
		t.Fatalf("%v, %v", r, err)
	}
	if o.Wrap != nil {
		entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/root/dev/shm", s.PID()))
		if err != nil || len(entries) > 0 {
			t.Errorf("/dev/shm has %v, %v", entries, err)
		}
	}
	for _, p := range s.Tree() {
		maps, _ := os.ReadFile(fmt.Sprintf("/proc/%d/maps", p.PID))
		if strings.Contains(string(maps), "/dev/shm/") {
			t.Errorf("%s has a file of /dev/shm:\n%s", p, maps)
		}
	}
	for _, dir := range []string{"tmp", "."} {
		entries, _ := os.ReadDir(s.Path(dir))
		for _, e := range entries {
			if e.Name() != "tmp" && e.Name() != "gates" {
				t.Errorf("the server has written %s/%s", dir, e.Name())
			}
		}
	}
	s.Terminate()
}

func TestUserAndGroup(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 || harness.SystemPython() == "" {
		t.Skip("needs root and a python3 that everybody can run")
	}
	s := harness.Start(t, harness.Options{
		App:    "webapp:app",
		Python: harness.SystemPython(),
		Args:   []string{"--user", "nobody", "--group", "65534", "--access-logfile", "DIR/access.log", "--bind", "unix:DIR/web.sock"},
		Env:    []string{"PYTHONPATH="},
		Files: map[string]string{"webapp.py": `import os
def app(environ, start_response):
    start_response("200 OK", [])
    return [("%d %d" % (os.getuid(), os.getgid())).encode()]
`},
	})
	if got := s.Get("/"); got != "65534 65534" {
		t.Errorf("the worker runs as %s", got)
	}
	for _, p := range append(s.Role("worker"), s.Role("front")...) {
		if uid := harness.ProcStatus(p.PID, "Uid"); !strings.HasPrefix(uid, "65534\t65534\t65534") {
			t.Errorf("%v runs as %q", p, uid)
		}
	}
	if uid := harness.ProcStatus(s.PID(), "Uid"); !strings.HasPrefix(uid, "0") {
		t.Errorf("the master runs as %q", uid)
	}
	for _, f := range []string{"access.log", "web.sock"} {
		var st syscall.Stat_t
		harness.Must(t, syscall.Stat(s.Path(f), &st))
		if st.Uid != 65534 {
			t.Errorf("%s belongs to %d", f, st.Uid)
		}
	}
	s.Reload(1)
	if got := s.Get("/"); got != "65534 65534" {
		t.Errorf("after a reload the worker runs as %s", got)
	}
	s.Terminate()
}
