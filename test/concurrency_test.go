//go:build linux

package test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"indrik/test/harness"
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
			o := harness.Options{App: "flags:app", Args: strings.Fields(c.args)}
			if strings.Contains(c.args, "gevent") {
				o.Python = harness.Venv(t)
			}
			s := harness.Start(t, o)
			if got, want := s.Get("/"), fmt.Sprintf("multithread=%t multiprocess=%t\n", c.thread, c.process); got != want {
				t.Errorf("%s, want %s", got, want)
			}
			s.Terminate()
		})
	}
	t.Run("after TTIN", func(t *testing.T) {
		t.Parallel()
		s := harness.Start(t, harness.Options{App: "flags:app"})
		old := s.Workers(1)[0]
		s.Signal(syscall.SIGTTIN)
		s.Workers(2)
		harness.Kill(t, old, syscall.SIGTERM)
		harness.WaitGone(t, old)
		s.Workers(2)
		if got, want := s.Get("/"), "multithread=false multiprocess=true\n"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		s.Terminate()
	})
}

// TestKindsThatAreNot is about values of worker_class that mean no kind; TestWorkerClassesThatCannotServe
// has classes that derive from one of Gunicorn's.
func TestKindsThatAreNot(t *testing.T) {
	t.Parallel()
	for conf, want := range map[string]string{
		"worker_class = 'app.Worker'\n":               `^Error: class uri 'app\.Worker' invalid or not found: No module named 'app'`,
		"class Worker: pass\nworker_class = Worker\n": `^Error: class uri .*Worker.* invalid or not found: `,
		"worker_class = 'hello.app'\n":                `^Error: class uri 'hello\.app' invalid or not found: `,
	} {
		s := harness.Launch(t, harness.Options{Conf: conf})
		s.ExpectExit(1)
		s.Log.Expect(t, want)
	}
}

func TestGeventMissing(t *testing.T) {
	t.Parallel()
	for _, conf := range []string{"", "worker_class = 'gevent'\n"} {
		o := harness.Options{Conf: conf, Files: map[string]string{"gevent.py": "__version__ = '24.2.1'\n"}}
		if conf == "" {
			o.Args = []string{"-k", "gevent"}
		}
		s := harness.Launch(t, o)
		s.ExpectExit(1)
		s.Log.Expect(t, `^Error: class uri 'gevent' invalid or not found: gevent .* for Python 3\S+ \(.*\): pip install (-U )?gevent$`)
		if n := s.Log.Count(`^\[?Traceback`); n > 0 {
			t.Error("a traceback says no more")
		}
	}
}
