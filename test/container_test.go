//go:build linux

package test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"indrik/test/harness"
)

// inContainer starts a server as process 1 of a pid namespace of its own.
func inContainer(t *testing.T, o harness.Options) *harness.Server {
	t.Helper()
	unshare := []string{"unshare", "--fork", "--pid", "--mount-proc", "--kill-child"}
	if out, err := exec.Command(unshare[0], append(unshare[1:], "true")...).CombinedOutput(); err != nil {
		t.Skipf("cannot make a pid namespace: %v: %s", err, out)
	}
	o.Wrap = unshare
	s := harness.Start(t, o)
	for _, p := range s.Tree() {
		if strings.HasSuffix(harness.ProcStatus(p.PID, "NSpid"), "\t1") {
			s.Master = p.PID
		}
	}
	if s.Master == 0 {
		t.Fatalf("no process is number 1:\n%s", harness.ProcLines(s.Tree()))
	}
	return s
}

const orphans = `import os, subprocess

def app(environ, start_response):
    if environ["PATH_INFO"] == "/orphans":
        for _ in range(5):
            pid = os.fork()
            if pid == 0:
                if os.fork() == 0:
                    os.execv("/bin/sleep", ["sleep", "0.1"])
                os._exit(0)
            os.waitpid(pid, 0)
    start_response("200 OK", [("Content-Length", "0")])
    return []
`

func TestContainer(t *testing.T) {
	t.Parallel()
	s := inContainer(t, harness.Options{App: "webapp:app", Args: []string{"--workers", "2"}, Files: map[string]string{"webapp.py": orphans}})
	s.Workers(2)
	s.Get("/orphans")
	harness.Eventually(t, "no orphan is left, not even a zombie", func() bool {
		for _, p := range s.Tree() {
			if strings.HasPrefix(p.Title, "sleep") || p.State == 'Z' {
				return false
			}
		}
		return true
	})
	s.Reload(2)
	s.Get("/")
	harness.Kill(t, s.Workers(2)[0], syscall.SIGKILL)
	s.Workers(2)
	s.Signal(syscall.SIGTERM)
	s.ExpectExit(0) // unshare ends as its child does
	s.Log.Expect(t, `\[1\] \[INFO\] Starting `)
	s.Log.Expect(t, `\[1\] \[INFO\] Shutting down: Master$`)
}

func TestContainerExitCode(t *testing.T) {
	t.Parallel()
	o := harness.Options{App: "hello:missing", NoProbe: true}
	unshare := []string{"unshare", "--fork", "--pid", "--mount-proc"}
	if err := exec.Command(unshare[0], append(unshare[1:], "true")...).Run(); err != nil {
		t.Skipf("cannot make a pid namespace: %v", err)
	}
	o.Wrap = unshare
	s := harness.Launch(t, o)
	s.ExpectExit(4)
}

func TestOrphansOutsideAContainer(t *testing.T) {
	t.Parallel()
	// The children that a worker leaves behind must not pile up as zombies,
	// whoever inherits them.
	s := harness.Start(t, harness.Options{App: "webapp:app", Files: map[string]string{"webapp.py": orphans}})
	for range 3 {
		s.Get("/orphans")
	}
	harness.Kill(t, s.Workers(1)[0], syscall.SIGTERM)
	harness.Eventually(t, "no orphan is left", func() bool {
		for _, p := range s.Tree() {
			if strings.HasPrefix(p.Title, "sleep") || p.State == 'Z' {
				return false
			}
		}
		return true
	})
	s.Workers(1)
	s.Terminate()
}

func TestReadOnlyRoot(t *testing.T) {
	t.Parallel()
	// Nothing but the temporary directory need be writable.
	if os.Getuid() == 0 && harness.SystemPython() == "" {
		t.Skip("no python3 that everybody can run")
	}
	o := harness.Options{Env: []string{"PYTHONPATH="}, Files: map[string]string{"hello.py": versioned("1")}}
	if os.Getuid() == 0 {
		o.UID, o.Python = 65534, harness.SystemPython()
	}
	s := harness.Start(t, o)
	harness.Must(t, os.Chmod(s.Dir, 0o555))
	defer os.Chmod(s.Dir, 0o755)
	s.Get("/")
	if r, err := s.Request("POST", "/", strings.Repeat("x", 4<<20)); err != nil || r.Status != 200 {
		t.Errorf("%v, %v", r, err)
	}
	s.Reload(1)
	if got := s.Get("/"); got != "/\n" {
		t.Errorf("%q", got)
	}
	s.Terminate()
	if fmt.Sprint(s.Log.All("Permission denied")) != "[]" {
		t.Error("something could not be written")
	}
}
