//go:build linux

package test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"indrik/test/harness"
)

// fillers are the processes that have filled the caches of the workers that answer.
func fillers(t *testing.T, s *harness.Server) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for range 30 {
		by, _, _ := strings.Cut(s.Get("/cache"), " ")
		found[by] = true
	}
	return found
}

// childrenOfMaster waits until all workers are those that a template has forked.
func childrenOfMaster(t *testing.T, s *harness.Server) {
	t.Helper()
	harness.Eventually(t, "all workers are children of the master", func() bool {
		for _, w := range s.Role("worker") {
			if w.PPID != s.PID() {
				return false
			}
		}
		return true
	})
}

// After a refork all workers have what one of them had, are children of the master, and
// nothing was lost; whatever happens to the template, the server goes on.
func TestRefork(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, app string
		args      []string
	}{
		{"sync", "app", nil},
		{"gthread", "app", []string{"--threads", "4"}},
		{"preloaded", "app", []string{"--preload"}},
		{"asgi", "asgi", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := harness.Start(t, harness.Options{
				App: "warming:" + c.app, Args: append([]string{"-w", "3", "--control-socket", "srv.ctl"}, c.args...),
				Conf: `
def pre_fork(server, worker): server.log.info("pre_fork %d", worker.age)
def post_fork(server, worker): server.log.info("post_fork %d", worker.age)
def post_worker_init(worker): worker.log.info("post_worker_init %d", worker.age)
def after_refork(server, worker): server.log.info("after_refork %d", worker.age)
def child_exit(server, worker): server.log.info("child_exit %d", worker.age)
`,
			})
			k, o := s.BothLoads(3)
			k.Progress(100)
			out := done(t, s, "refork")
			var took float64
			var template int
			if _, err := fmt.Sscanf(out, "reforked in %f s: worker %d is the template of 3 workers", &took, &template); err != nil {
				t.Fatalf("%q: %s", out, err)
			}
			if roles := s.Role("template"); len(roles) != 1 || roles[0].PID != template {
				t.Fatalf("templates: %v", roles)
			}
			childrenOfMaster(t, s)
			if by := fillers(t, s); len(by) != 1 || !by[fmt.Sprint(template)] {
				t.Errorf("the caches are from %v, the template is %d", by, template)
			}
			// Each hook runs in the process that the documentation says.
			for _, hook := range []string{"after_refork", "pre_fork"} {
				s.Log.ExpectFrom(t, 0, fmt.Sprintf(`\[%d\] \[INFO\] %s \d+`, template, hook))
			}
			for _, pid := range s.Workers(3) {
				for _, hook := range []string{"post_fork", "post_worker_init"} {
					s.Log.ExpectFrom(t, 0, fmt.Sprintf(`\[%d\] \[INFO\] %s \d+`, pid, hook))
				}
			}
			// A worker that dies has a successor from the template.
			victim := s.Workers(3)[0]
			harness.Kill(t, victim, syscall.SIGKILL)
			harness.WaitGone(t, victim)
			s.Workers(3)
			if by := fillers(t, s); len(by) != 1 {
				t.Errorf("after the death of a worker the caches are from %v", by)
			}
			s.Log.Expect(t, "child_exit")
			// A second refork, then the end of its template.
			done(t, s, "refork")
			var second []harness.Proc
			harness.Eventually(t, "the first template has gone, and there is another one", func() bool {
				second = s.Role("template")
				return len(second) == 1 && second[0].PID != template
			})
			harness.Kill(t, second[0].PID, syscall.SIGKILL)
			s.Log.Expect(t, `Template \(pid:\d+\) was sent SIGKILL: the spawner forks the next workers`)
			s.Signal(syscall.SIGTTIN)
			s.Workers(4)
			done(t, s, "refork")
			s.Signal(syscall.SIGHUP)
			s.Workers(3) // as many as the setting says
			harness.Eventually(t, "the template is gone", func() bool { return len(s.Role("template")) == 0 })
			if killed := k.Now().Losses() + o.Now().Losses(); killed > 2*3 { // what ran in the worker that was killed: one of each client's
				harness.ExpectNoneLost(t, k, o)
			}
			k.Finish()
			o.Finish()
			done(t, s, "refork")
			s.Terminate()
			if forked, booted := s.Log.Count("pre_fork"), s.Log.Count("post_fork"); forked != booted {
				t.Errorf("pre_fork ran %d times, post_fork %d times", forked, booted)
			}
		})
	}
}

// refork_after does it by itself, without a loss.
func TestReforkAfter(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{
		App: "warming:app", Args: []string{"-w", "3", "--refork-after", "100", "--control-socket", "srv.ctl"},
	})
	k, o := s.BothLoads(3)
	s.Log.Expect(t, `Template \(pid:\d+\) forks the workers from now on`)
	k.Progress(200)
	childrenOfMaster(t, s)
	k.Progress(200)
	harness.ExpectNoneLost(t, k, o)
	s.Terminate()
}

func TestReforkDryRun(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{
		App: "warming:app", Args: []string{"--refork-after", "10", "--selfcare-dry-run", "refork"},
	})
	for range 50 {
		s.Get("/")
	}
	s.Log.Expect(t, `Dry run: worker \(pid:\d+\) would become a template, after 10 requests`)
	if len(s.Role("template")) != 0 {
		t.Error("there is a template")
	}
	s.Terminate()
}

// A worker that must not be forked says why, and nothing changes.
func TestReforkRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, app, conf, says string }{
		{"thread", "threading.Thread(target=time.sleep, args=(1000,), name='ticker', daemon=True).start()", "", "it has threads, which a fork would not have: ticker. End them in after_refork"},
		{"connection", "KEPT = [socket.create_connection(SERVER.getsockname())]", "", "it has connections, which it would share with the workers that it forks: 127.0.0.1:"},
		{"hook", "", "def after_refork(server, worker): raise ValueError('not now')", "ValueError: not now"},
		{"gevent", "", "worker_class = 'gevent'", "Workers of kind gevent cannot be forked once they have served"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			python := ""
			if c.name == "gevent" {
				python = harness.Venv(t)
			}
			s := harness.Start(t, harness.Options{
				App: "kept:app", Python: python, Args: []string{"-w", "2", "--control-socket", "srv.ctl"}, Conf: c.conf + "\n",
				Files: map[string]string{"kept.py": "import socket, threading, time\nSERVER = socket.create_server(('127.0.0.1', 0))\n" + c.app + "\n" + versioned("1")},
			})
			k := s.KeepAliveLoad(2)
			k.Progress(10)
			out, errs, code := indrik(t, s, "refork")
			if code != 1 || !strings.Contains(errs, c.says) {
				t.Errorf("exit code %d, %q %q; want %q", code, out, errs, c.says)
			}
			s.Workers(2)
			k.Progress(10)
			harness.ExpectNoneLost(t, k)
			if len(s.Role("template")) != 0 {
				t.Error("there is a template")
			}
			s.Terminate()
		})
	}
}

// A refork and a reload, or the end, at the same time.
func TestReforkMeetsSignals(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{
		App: "warming:app", Args: []string{"-w", "2", "--control-socket", "srv.ctl"},
	})
	k := s.KeepAliveLoad(3)
	for range 5 {
		over := make(chan struct{})
		go func() {
			defer close(over)
			indrik(t, s, "refork")
		}()
		s.Signal(syscall.SIGHUP)
		<-over
		done(t, s, "reload")
	}
	harness.Eventually(t, "no template is left", func() bool { return len(s.Role("template")) == 0 })
	s.Workers(2)
	harness.ExpectNoneLost(t, k)
	over := make(chan struct{})
	go func() {
		defer close(over)
		indrik(t, s, "refork")
	}()
	s.Terminate()
	<-over
}

// A template that does its worst is ended, and the server goes on with the spawner.
func TestHostileTemplate(t *testing.T) {
	t.Parallel()
	h := startHostile(t, 0, "app", "--control-socket", "srv.ctl", "--control-socket-mode", "666")
	for name := range strings.FieldsSeq("channel empty rights flood memory trace signals root close hang quit stranger") {
		harness.Must(t, os.WriteFile(filepath.Join(h.Dir, "template"), []byte(name), 0o644))
		indrik(t, h.Server, "refork")
		h.Workers(3)
		beside := h.beside(t)
		victim := h.Workers(3)[0]
		// The refork goes on, and may have replaced it by now.
		if err := syscall.Kill(victim, syscall.SIGKILL); !errors.Is(err, syscall.ESRCH) {
			harness.Must(t, err)
		}
		harness.WaitGone(t, victim)
		h.Workers(3)
		beside()
		if front := h.Role("front"); len(front) != 1 || front[0].PID != h.front || !harness.Alive(h.stranger.Process.Pid) {
			t.Errorf("%s: front %d, now %v; stranger runs: %v", name, h.front, front, harness.Alive(h.stranger.Process.Pid))
		}
		h.Log.Expect(t, "the template tries "+name)
		if n := h.Log.Count("the template was allowed"); n > 0 {
			t.Errorf("%s: the log tells %d times of what a template was allowed", name, n)
		}
		done(t, h.Server, "reload")
		harness.Eventually(t, "the template is gone", func() bool { return len(h.Role("template")) == 0 })
	}
	h.Terminate()
}
