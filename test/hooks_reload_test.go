//go:build linux

package test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// What when_ready started goes on after a reload, and sees the new workers.
func TestThreadsOfHooksOutliveReloads(t *testing.T) {
	t.Parallel()
	conf := `
import os, threading, time

def when_ready(server):
    def watch():
        while True:
            with open("seen.new", "w") as f:
                f.write("%d %s %d" % (os.getpid(), sorted(server.WORKERS), server.num_workers))
            os.rename("seen.new", "seen")
            time.sleep(0.02)
    threading.Thread(target=watch, daemon=True).start()

def on_exit(server):
    server.log.info("hook on_exit")
`
	s := start(t, options{conf: conf, mayLeave: true})
	watches := func(pids []int) {
		t.Helper()
		want := strings.ReplaceAll(fmt.Sprint(pids), " ", ", ")
		eventually(t, "the thread sees the worker", func() bool { return strings.Contains(s.read("seen"), want) })
	}
	watches(s.workers(1))
	first, _, _ := strings.Cut(s.read("seen"), " ")
	for range 2 {
		s.reload(1)
		watches(s.workers(1))
	}
	s.signal(syscall.SIGTTIN)
	s.workers(2)
	eventually(t, "the thread sees both workers", func() bool { return strings.HasSuffix(s.read("seen"), "] 2") })
	if got, _, _ := strings.Cut(s.read("seen"), " "); got != first {
		t.Errorf("the thread is in process %s, was in %s", got, first)
	}
	if n := len(s.role("spawner")); n != 2 {
		t.Errorf("there are %d spawners", n)
	}
	s.terminate()
	if n := s.log.count(`hook on_exit`); n != 1 {
		t.Errorf("on_exit was called %d times", n)
	}
}

// What runs in every spawner keeps none: threads and processes of the config file, of
// other hooks, of a preloaded app.
func TestOtherThreadsKeepNoSpawner(t *testing.T) {
	t.Parallel()
	const thread = "import threading, time\nthreading.Thread(target=time.sleep, args=(100,), daemon=True).start()\n"
	const process = "import subprocess\nsleep = subprocess.Popen(['sleep', '100'])\nimport atexit\natexit.register(sleep.kill)\n"
	for name, o := range map[string]options{
		"config file":     {conf: thread + "def when_ready(server): pass\n"},
		"without a hook":  {conf: thread},
		"process":         {conf: process + "def on_starting(server): pass\n"},
		"another hook":    {conf: "import threading, time\ndef pre_fork(server, worker):\n    threading.Thread(target=time.sleep, args=(100,), daemon=True).start()\n"},
		"a preloaded app": {app: "preloaded:app", args: []string{"--preload", "--reload"}, files: map[string]string{"preloaded.py": thread + "from hello import app\n"}},
		"an ended thread": {conf: "import threading\ndef when_ready(server):\n    threading.Thread(target=print).start()\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, o)
			for i := range 3 {
				if name == "a preloaded app" {
					old := s.workers(1)
					s.write("preloaded.py", o.files["preloaded.py"]+fmt.Sprintf("# %d\n", i))
					s.get("/")
					s.replaced(old, 1)
				} else {
					s.reload(1)
				}
			}
			eventually(t, "one spawner is left", func() bool { return len(s.role("spawner")) == 1 })
			s.terminate()
		})
	}
}

// countingWorkers are hooks as many config files have them, to number the workers.
const countingWorkers = `
import os, threading, time

class Note:
    def __init__(self, text):
        self.text = text

def on_starting(server):
    server._free_again = set()
    server.started_at = time.time()
    server.note = Note("kept")
    server.lock = threading.Lock()
    server.large = "x" * 100000

def nworkers_changed(server, new, old):
    server._count = new

def on_reload(server):
    server._free_again = set(range(1, server._count + 1))
    server.log.info("on_reload %d", server._count)

def pre_fork(server, worker):
    if server._free_again:
        worker._id = server._free_again.pop()
    else:
        used = {w._id for w in tuple(server.WORKERS.values()) if w.alive}
        worker._id = (set(range(1, server._count + 1)) - used).pop()

def post_fork(server, worker):
    worker.log.info("worker %d of %.3f, %s", worker._id, server.started_at, server.note.text)
`

func TestAttributesOfServerOutliveReloads(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "website:app", files: siteFiles(), conf: countingWorkers, args: []string{"--workers", "2", "--reload"}})
	s.reload(2)
	for _, name := range []string{"lock", "large"} {
		s.log.expectFrom(t, 0, `\[WARNING\] server\.`+name+`, which a hook has set, is not there after this reload: .*(pickle|bytes)`)
	}
	old := s.workers(2)
	s.write("page.py", pageWith("second"))
	s.expectBody("second")
	old = s.replaced(old, 2)
	// Also when the spawner dies, and with it what was not carried yet.
	eventually(t, "one spawner is left", func() bool { return len(s.role("spawner")) == 1 })
	kill(t, s.role("spawner")[0].pid, syscall.SIGKILL)
	s.replaced(old, 2)
	s.get("/")
	s.terminate()
	for id := range 2 {
		if n := s.log.count(fmt.Sprintf(`worker %d of [\d.]+, kept$`, id+1)); n != 4 {
			t.Errorf("worker %d was forked %d times, want 4", id+1, n)
		}
	}
	if n := s.log.count(`on_reload 2$`); n != 3 {
		t.Errorf("on_reload was called %d times", n)
	}
	if n := s.log.count("is not there after this reload"); n != 2 {
		t.Errorf("%d attributes were lost", n)
	}
}
