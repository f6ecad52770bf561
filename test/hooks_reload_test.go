//go:build linux

package test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"indrik/test/harness"
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
	s := harness.Start(t, harness.Options{Conf: conf, MayLeave: true})
	watches := func(pids []int) {
		t.Helper()
		want := strings.ReplaceAll(fmt.Sprint(pids), " ", ", ")
		harness.Eventually(t, "the thread sees the worker", func() bool { return strings.Contains(s.ReadFile("seen"), want) })
	}
	watches(s.Workers(1))
	first, _, _ := strings.Cut(s.ReadFile("seen"), " ")
	for range 2 {
		s.Reload(1)
		watches(s.Workers(1))
	}
	s.Signal(syscall.SIGTTIN)
	s.Workers(2)
	harness.Eventually(t, "the thread sees both workers", func() bool { return strings.HasSuffix(s.ReadFile("seen"), "] 2") })
	if got, _, _ := strings.Cut(s.ReadFile("seen"), " "); got != first {
		t.Errorf("the thread is in process %s, was in %s", got, first)
	}
	// The one with the thread and the one that serves: that of the generation between has nothing left to do.
	harness.Eventually(t, "there are two spawners", func() bool { return len(s.Role("spawner")) == 2 })
	s.Terminate()
	if n := s.Log.Count(`hook on_exit`); n != 1 {
		t.Errorf("on_exit was called %d times", n)
	}
}

// What runs in every spawner keeps none: threads and processes of the config file, of
// other hooks, of a preloaded app.
func TestOtherThreadsKeepNoSpawner(t *testing.T) {
	t.Parallel()
	const thread = "import threading, time\nthreading.Thread(target=time.sleep, args=(100,), daemon=True).start()\n"
	const process = "import subprocess\nsleep = subprocess.Popen(['sleep', '100'])\nimport atexit\natexit.register(sleep.kill)\n"
	for name, o := range map[string]harness.Options{
		"config file":     {Conf: thread + "def when_ready(server): pass\n"},
		"without a hook":  {Conf: thread},
		"process":         {Conf: process + "def on_starting(server): pass\n"},
		"another hook":    {Conf: "import threading, time\ndef pre_fork(server, worker):\n    threading.Thread(target=time.sleep, args=(100,), daemon=True).start()\n"},
		"a preloaded app": {App: "preloaded:app", Args: []string{"--preload", "--reload"}, Files: map[string]string{"preloaded.py": thread + "from hello import app\n"}},
		"an ended thread": {Conf: "import threading\ndef when_ready(server):\n    threading.Thread(target=print).start()\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := harness.Start(t, o)
			for i := range 3 {
				if name == "a preloaded app" {
					old := s.Workers(1)
					s.WriteFile("preloaded.py", o.Files["preloaded.py"]+fmt.Sprintf("# %d\n", i))
					s.Get("/")
					s.Replaced(old, 1)
				} else {
					s.Reload(1)
				}
			}
			harness.Eventually(t, "one spawner is left", func() bool { return len(s.Role("spawner")) == 1 })
			s.Terminate()
		})
	}
}

func TestAttributesOfServerOutliveReloads(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "website:app", Files: siteFiles(), Conf: harness.TestFile(t, "configs/numbered_workers.py"), Args: []string{"--workers", "2", "--reload"}})
	s.Reload(2)
	for _, name := range []string{"lock", "large"} {
		s.Log.ExpectFrom(t, 0, `\[WARNING\] server\.`+name+`, which a hook has set, is not there after this reload: .*(pickle|bytes)`)
	}
	old := s.Workers(2)
	s.WriteFile("page.py", pageWith("second"))
	expectBody(s, "second")
	old = s.Replaced(old, 2)
	// Also when the spawner dies, and with it what was not carried yet.
	harness.Eventually(t, "one spawner is left", func() bool { return len(s.Role("spawner")) == 1 })
	harness.Kill(t, s.Role("spawner")[0].PID, syscall.SIGKILL)
	s.Replaced(old, 2)
	s.Get("/")
	s.Terminate()
	for id := range 2 {
		if n := s.Log.Count(fmt.Sprintf(`worker %d of [\d.]+, kept$`, id+1)); n != 4 {
			t.Errorf("worker %d was forked %d times, want 4", id+1, n)
		}
	}
	if n := s.Log.Count(`on_reload 2$`); n != 3 {
		t.Errorf("on_reload was called %d times", n)
	}
	if n := s.Log.Count("is not there after this reload"); n != 2 {
		t.Errorf("%d attributes were lost", n)
	}
}
