//go:build linux

package test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"indrik/test/harness"
)

func TestASGILifespan(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "lifespans:app", Args: []string{"--workers", "2", "--max-requests", "50", "--health-path", "/-/health"}})
	old := s.Workers(2)
	// The state of a request is its own, what is in it is not.
	for range 5 {
		if got := s.Get("/"); strings.Contains(got, "added") || !strings.Contains(got, "'shared': 'value'") {
			t.Errorf("state: %s", got)
		}
	}
	s.Signal(syscall.SIGHUP)
	now := s.Replaced(old, 2)
	for _, pid := range old {
		s.Log.ExpectFrom(t, 0, fmt.Sprintf(`^lifespan\.shutdown in %d$`, pid))
	}
	harness.Kill(t, now[0], syscall.SIGTERM)
	s.Log.ExpectFrom(t, 0, fmt.Sprintf(`^lifespan\.shutdown in %d$`, now[0]))
	harness.WaitGone(t, now[0])
	s.Workers(2)
	for s.Log.Count(`Autorestarting worker after current request\.$`) == 0 {
		s.Get("/")
	}
	harness.Eventually(t, "its successor serves", func() bool {
		s.Get("/")
		return s.Log.Count("Worker exiting") >= 4 // the other one may have had its requests too
	})
	// One that has not begun its lifespan would not be told of the end: each that is to come, in
	// the place of those of the start, the one killed and those with enough requests, has.
	s.Workers(2)
	harness.Eventually(t, "every app has begun", func() bool {
		return s.Log.Count(`^started in \d+$`) == 2+2+1+s.Log.Count(`Autorestarting worker`)
	})
	harness.Eventually(t, "every worker is ready", func() bool { return strings.Contains(s.Get("/-/health/readyz"), `"workers":2}`) })
	s.Terminate()
	if booted, gone := s.Log.Count("Booting worker with pid"), s.Log.Count(`^lifespan\.shutdown in \d+$`); booted != gone {
		t.Errorf("%d workers were booted, %d apps were told of their end", booted, gone)
	}
	if s.Log.Count("^after the shutdown$") != s.Log.Count(`^lifespan\.shutdown in \d+$`) {
		t.Error("an app was cut in its shutdown")
	}
}

func TestASGILifespanQuick(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "lifespans:app"})
	s.Signal(syscall.SIGINT)
	s.ExpectExit(0)
	s.Log.Expect(t, `^after the shutdown$`)
}

// What an app does at its end may take as long as graceful_timeout lets it.
func TestASGISlowShutdown(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "lifespans:slow_shutdown", Args: []string{"--graceful-timeout", "60"}})
	g := s.Gate("shutdown")
	worker := s.Workers(1)[0]
	s.Signal(syscall.SIGHUP)
	g.Entered() // the old one; the new one serves
	s.Get("/")
	if !harness.Alive(worker) {
		t.Error("the worker was not waited for")
	}
	g.Release()
	harness.WaitGone(t, worker)

	g = s.Gate("shutdown")
	s.Signal(syscall.SIGTERM)
	g.Entered()
	g.Release()
	s.ExpectExit(0)
	if n := s.Log.Count(`^after the shutdown$`); n != 2 {
		t.Errorf("%d shutdowns", n)
	}

	// The worker ends a tenth of that, and half a second at most, before the master ends it.
	s = harness.Start(t, harness.Options{App: "lifespans:endless_shutdown", Args: []string{"--graceful-timeout", "6"}})
	s.Signal(syscall.SIGTERM)
	s.ExpectExit(0)
	s.Log.Expect(t, `ASGI lifespan shutdown takes longer than graceful_timeout allows`)

	s = harness.Start(t, harness.Options{App: "lifespans:endless_shutdown", Args: []string{"--graceful-timeout", "600"}})
	s.Signal(syscall.SIGTERM)
	s.Log.Expect(t, `^endless$`)
	s.Signal(syscall.SIGINT)
	s.ExpectExit(0)
	s.Log.Expect(t, `Quick shutdown requested`)

	s = harness.Start(t, harness.Options{App: "lifespans:fails_shutdown"})
	s.Terminate()
	s.Log.Expect(t, `\[ERROR\] ASGI lifespan shutdown failed: not all was written$`)
}

// What requests still do when the server has no more time is cancelled, soon enough
// for the app to hear of its end.
func TestASGIShutdownOfLingeringRequests(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/stream", "/background"} {
		t.Run(path[1:], func(t *testing.T) {
			t.Parallel()
			s := harness.Start(t, harness.Options{App: "lifespans:lingering", Args: []string{"--graceful-timeout", "8"}})
			c := s.Client()
			c.Send(t, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
			c.ExpectHead(t, 200)
			s.Client() // has a second for its first request: part of the time is gone before workers hear of the end
			s.Signal(syscall.SIGTERM)
			s.ExpectExit(0)
			s.Log.ExpectFrom(t, 0, "^"+path+" cancelled$")
			s.Log.ExpectFrom(t, 0, `^after the shutdown$`)
		})
	}
}

func TestASGILifespanFailure(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"", "--asgi-lifespan on"} {
		s := harness.Launch(t, harness.Options{App: "lifespans:fails", Args: strings.Fields(args)})
		s.ExpectExit(3)
		s.Log.Expect(t, `\[ERROR\] ASGI lifespan startup failed: the database is away$`)
		s.Log.Expect(t, `\[ERROR\] Reason: Worker failed to boot\.$`)
	}
	s := harness.Launch(t, harness.Options{App: "lifespans:raises", Args: []string{"--asgi-lifespan", "on"}})
	s.ExpectExit(3)
	s.Log.Expect(t, `\[ERROR\] ASGI lifespan startup failed: raised at the startup$`)
	s.Log.Expect(t, `^ValueError: raised at the startup$`)
	s = harness.Launch(t, harness.Options{App: "lifespans:returning", Args: []string{"--asgi-lifespan", "on"}})
	s.ExpectExit(3)
	s.Log.Expect(t, `ASGI lifespan startup failed: the app does not know the lifespan protocol$`)

	// A reload to such an app changes nothing.
	s = harness.Start(t, harness.Options{App: "webapp:app", Files: map[string]string{"webapp.py": "from lifespans import app\n"}})
	old := s.Workers(1)[0]
	s.WriteFile("webapp.py", "from lifespans import fails as app\n")
	s.Signal(syscall.SIGHUP)
	s.Log.Expect(t, `ASGI lifespan startup failed: the database is away$`)
	s.Log.Expect(t, `Reload failed, nothing was changed`)
	s.Get("/")
	if got := s.Workers(1)[0]; got != old {
		t.Error("the worker was replaced")
	}
	s.Terminate()
}

// Apps that do not know the protocol are served without it, and none needs to.
func TestASGIWithoutLifespan(t *testing.T) {
	t.Parallel()
	for app, want := range map[string]string{
		"lifespans:raises": "{}", "lifespans:returning": "served", "asgiapps:hello": "Hello, World!", "lifespans:Double": "served, too",
	} {
		s := harness.Start(t, harness.Options{App: app})
		if got := s.Get("/"); got != want {
			t.Errorf("%s: %s", app, got)
		}
		s.Terminate()
	}
	s := harness.Start(t, harness.Options{App: "lifespans:app", Args: []string{"--asgi-lifespan", "off"}})
	if got := s.Get("/"); got != "{}" {
		t.Errorf("state: %s", got)
	}
	s.Terminate()
	if n := s.Log.Count(`^lifespan\.`); n > 0 {
		t.Error("the app heard of its end")
	}
}

func TestASGIClassNeedsASGI(t *testing.T) {
	t.Parallel()
	s := harness.Launch(t, harness.Options{App: "lifespans:wsgi", Args: []string{"-k", "asgi"}})
	s.ExpectExit(4)
	s.Log.Expect(t, `'lifespans:wsgi' is an application of WSGI: the worker class asgi cannot run it\.$`)
}

// What raises in the lifespan while the app serves is told at once, and once: also what
// runs beside it.
func TestLifespanThatRaisesWhileServing(t *testing.T) {
	t.Parallel()
	b := harness.Start(t, harness.Options{App: "background:app"})
	b.Log.ExpectFrom(t, 0, `\[ERROR\] Error in ASGI application: a task of its lifespan has ended$`)
	b.Log.ExpectFrom(t, 0, `^caught$`)
	b.Terminate()
	if n := b.Log.Count(`^LookupError: `); n != 1 || b.Log.Count(`^LookupError: alone$`) != 1 {
		t.Errorf("%d exceptions were told", n)
	}

	s := harness.Start(t, harness.Options{App: "raising:app"})
	s.Get("/raise")
	s.Log.ExpectFrom(t, 0, `\[ERROR\] Error in ASGI application: its lifespan has ended while it serves$`)
	s.Log.ExpectFrom(t, 0, `^LookupError: in the background$`)
	if got := s.Get("/"); got != "served" {
		t.Errorf("got %q", got)
	}
	s.Terminate()
	if n := s.Log.Count(`^LookupError: in the background$`); n != 1 {
		t.Errorf("the exception was told %d times", n)
	}
}
