//go:build linux

package test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// TestConcurrencyFlags is about wsgi.multithread and wsgi.multiprocess.
func TestConcurrencyFlags(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args            string
		thread, process bool
	}{
		{"", false, false},
		{"--workers 2", false, true},
		{"--threads 2", true, false},
		{"--threads 2 --workers 2", true, true},
		{"-k gthread", true, false},
		{"-k gunicorn.workers.gthread.ThreadWorker", true, false},
		{"-k gunicorn.workers.sync.SyncWorker --workers 2", false, true},
		{"-k gevent", true, false},
		{"-k gunicorn.workers.ggevent.GeventWorker --workers 2", true, true},
	} {
		t.Run(c.args, func(t *testing.T) {
			t.Parallel()
			o := options{app: "flags:app", args: strings.Fields(c.args)}
			if strings.Contains(c.args, "gevent") {
				o.python = venv(t)
			}
			s := start(t, o)
			if got, want := s.get("/"), fmt.Sprintf("multithread=%t multiprocess=%t\n", c.thread, c.process); got != want {
				t.Errorf("%s, want %s", got, want)
			}
			s.terminate()
		})
	}
	t.Run("after TTIN", func(t *testing.T) {
		t.Parallel()
		s := start(t, options{app: "flags:app"})
		old := s.workers(1)[0]
		s.signal(syscall.SIGTTIN)
		s.workers(2)
		kill(t, old, syscall.SIGTERM)
		waitGone(t, old)
		s.workers(2)
		if got, want := s.get("/"), "multithread=false multiprocess=true\n"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		s.terminate()
	})
}

// TestKindsThatAreNot is about values of worker_class that mean no kind.
func TestKindsThatAreNot(t *testing.T) {
	t.Parallel()
	for _, conf := range []string{
		"worker_class = 'app.Worker'\n",
		"class Worker: pass\nworker_class = Worker\n",
	} {
		s := launch(t, options{conf: conf})
		s.expectExit(1)
		s.log.expect(t, `class uri .*Worker.* invalid or not found: classes of your own are not loaded, the kinds of worker are sync`)
	}
}

func TestGeventMissing(t *testing.T) {
	t.Parallel()
	for _, conf := range []string{"", "worker_class = 'gevent'\n"} {
		o := options{conf: conf, files: map[string]string{"gevent.py": "__version__ = '24.2.1'\n"}}
		if conf == "" {
			o.args = []string{"-k", "gevent"}
		}
		s := launch(t, o)
		s.expectExit(1)
		s.log.expect(t, `^Error: class uri 'gevent' invalid or not found: gevent .* for Python 3\S+ \(.*\): pip install (-U )?gevent$`)
		if n := s.log.count(`^\[?Traceback`); n > 0 {
			t.Error("a traceback says no more")
		}
	}
}
