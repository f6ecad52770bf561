//go:build linux

package test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// inContainer starts a server as process 1 of a pid namespace of its own.
func inContainer(t *testing.T, o options) *server {
	t.Helper()
	unshare := []string{"unshare", "--fork", "--pid", "--mount-proc", "--kill-child"}
	if out, err := exec.Command(unshare[0], append(unshare[1:], "true")...).CombinedOutput(); err != nil {
		t.Skipf("cannot make a pid namespace: %v: %s", err, out)
	}
	o.wrap = unshare
	s := start(t, o)
	for _, p := range s.tree() {
		if strings.HasSuffix(status(p.pid, "NSpid"), "\t1") {
			s.master = p.pid
		}
	}
	if s.master == 0 {
		t.Fatalf("no process is number 1:\n%s", lines(s.tree()))
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
	s := inContainer(t, options{app: "webapp:app", args: []string{"--workers", "2"}, files: map[string]string{"webapp.py": orphans}})
	s.workers(2)
	s.get("/orphans")
	eventually(t, "no orphan is left, not even a zombie", func() bool {
		for _, p := range s.tree() {
			if strings.HasPrefix(p.title, "sleep") || p.state == 'Z' {
				return false
			}
		}
		return true
	})
	s.reload(2)
	s.get("/")
	kill(t, s.workers(2)[0], syscall.SIGKILL)
	s.workers(2)
	s.signal(syscall.SIGTERM)
	s.expectExit(0) // unshare ends as its child does
	s.log.expect(t, `\[1\] \[INFO\] Starting `)
	s.log.expect(t, `\[1\] \[INFO\] Shutting down: Master$`)
}

func TestContainerExitCode(t *testing.T) {
	t.Parallel()
	o := options{app: "hello:missing", noProbe: true}
	unshare := []string{"unshare", "--fork", "--pid", "--mount-proc"}
	if err := exec.Command(unshare[0], append(unshare[1:], "true")...).Run(); err != nil {
		t.Skipf("cannot make a pid namespace: %v", err)
	}
	o.wrap = unshare
	s := launch(t, o)
	s.expectExit(4)
}

func TestOrphansOutsideAContainer(t *testing.T) {
	t.Parallel()
	// The children that a worker leaves behind must not pile up as zombies,
	// whoever inherits them.
	s := start(t, options{app: "webapp:app", files: map[string]string{"webapp.py": orphans}})
	for range 3 {
		s.get("/orphans")
	}
	kill(t, s.workers(1)[0], syscall.SIGTERM)
	eventually(t, "no orphan is left", func() bool {
		for _, p := range s.tree() {
			if strings.HasPrefix(p.title, "sleep") || p.state == 'Z' {
				return false
			}
		}
		return true
	})
	s.workers(1)
	s.terminate()
}

func TestReadOnlyRoot(t *testing.T) {
	t.Parallel()
	// Nothing but the temporary directory need be writable.
	if os.Getuid() == 0 && systemPython() == "" {
		t.Skip("no python3 that everybody can run")
	}
	o := options{env: []string{"PYTHONPATH="}, files: map[string]string{"hello.py": versioned("1")}}
	if os.Getuid() == 0 {
		o.uid, o.python = 65534, systemPython()
	}
	s := start(t, o)
	must(t, os.Chmod(s.dir, 0o555))
	defer os.Chmod(s.dir, 0o755)
	s.get("/")
	if r, err := s.request("POST", "/", strings.Repeat("x", 4<<20)); err != nil || r.status != 200 {
		t.Errorf("%v, %v", r, err)
	}
	s.reload(1)
	if got := s.get("/"); got != "/\n" {
		t.Errorf("%q", got)
	}
	s.terminate()
	if fmt.Sprint(s.log.all("Permission denied")) != "[]" {
		t.Error("something could not be written")
	}
}
