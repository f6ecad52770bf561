//go:build linux

package test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
)

func TestASGILifespan(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "lifespans:app", args: []string{"--workers", "2", "--max-requests", "50"}})
	old := s.workers(2)
	// The state of a request is its own, what is in it is not.
	for range 5 {
		if got := s.get("/"); strings.Contains(got, "added") || !strings.Contains(got, "'shared': 'value'") {
			t.Errorf("state: %s", got)
		}
	}
	s.signal(syscall.SIGHUP)
	now := s.replaced(old, 2)
	for _, pid := range old {
		s.log.expectFrom(t, 0, fmt.Sprintf(`^lifespan\.shutdown in %d$`, pid))
	}
	kill(t, now[0], syscall.SIGTERM)
	s.log.expectFrom(t, 0, fmt.Sprintf(`^lifespan\.shutdown in %d$`, now[0]))
	waitGone(t, now[0])
	s.workers(2)
	for s.log.count(`Autorestarting worker after current request\.$`) == 0 {
		s.get("/")
	}
	eventually(t, "its successor serves", func() bool {
		s.get("/")
		return s.log.count("Worker exiting") >= 4 // the other one may have had its requests too
	})
	s.terminate()
	if booted, gone := s.log.count("Booting worker with pid"), s.log.count(`^lifespan\.shutdown in \d+$`); booted != gone {
		t.Errorf("%d workers were booted, %d apps were told of their end", booted, gone)
	}
	if s.log.count("^after the shutdown$") != s.log.count(`^lifespan\.shutdown in \d+$`) {
		t.Error("an app was cut in its shutdown")
	}
}

func TestASGILifespanQuick(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "lifespans:app"})
	s.signal(syscall.SIGINT)
	s.expectExit(0)
	s.log.expect(t, `^after the shutdown$`)
}

// What an app does at its end may take as long as graceful_timeout lets it.
func TestASGISlowShutdown(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "lifespans:slow_shutdown", args: []string{"--graceful-timeout", "60"}})
	g := s.gate("shutdown")
	worker := s.workers(1)[0]
	s.signal(syscall.SIGHUP)
	g.entered() // the old one; the new one serves
	s.get("/")
	if !alive(worker) {
		t.Error("the worker was not waited for")
	}
	g.release()
	waitGone(t, worker)

	g = s.gate("shutdown")
	s.signal(syscall.SIGTERM)
	g.entered()
	g.release()
	s.expectExit(0)
	if n := s.log.count(`^after the shutdown$`); n != 2 {
		t.Errorf("%d shutdowns", n)
	}

	s = start(t, options{app: "lifespans:endless_shutdown", args: []string{"--graceful-timeout", "2"}})
	s.signal(syscall.SIGTERM)
	s.expectExit(0)
	s.log.expect(t, `ASGI lifespan shutdown takes longer than graceful_timeout allows`)

	s = start(t, options{app: "lifespans:endless_shutdown", args: []string{"--graceful-timeout", "600"}})
	s.signal(syscall.SIGTERM)
	s.log.expect(t, `^endless$`)
	s.signal(syscall.SIGINT)
	s.expectExit(0)
	s.log.expect(t, `Quick shutdown requested`)

	s = start(t, options{app: "lifespans:fails_shutdown"})
	s.terminate()
	s.log.expect(t, `\[ERROR\] ASGI lifespan shutdown failed: not all was written$`)
}

// What requests still do when the server has no more time is cancelled, soon enough
// for the app to hear of its end.
func TestASGIShutdownOfLingeringRequests(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/stream", "/background"} {
		t.Run(path[1:], func(t *testing.T) {
			t.Parallel()
			s := start(t, options{app: "lifespans:lingering", args: []string{"--graceful-timeout", "4"}})
			c := s.client()
			c.send(t, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
			c.expectHead(t, 200)
			s.client() // has a second for its first request: part of the time is gone before workers hear of the end
			s.signal(syscall.SIGTERM)
			s.expectExit(0)
			s.log.expectFrom(t, 0, "^"+path+" cancelled$")
			s.log.expectFrom(t, 0, `^after the shutdown$`)
		})
	}
}

func TestASGILifespanFailure(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"", "--asgi-lifespan on"} {
		s := launch(t, options{app: "lifespans:fails", args: strings.Fields(args)})
		s.expectExit(3)
		s.log.expect(t, `\[ERROR\] ASGI lifespan startup failed: the database is away$`)
		s.log.expect(t, `\[ERROR\] Reason: Worker failed to boot\.$`)
	}
	s := launch(t, options{app: "lifespans:raises", args: []string{"--asgi-lifespan", "on"}})
	s.expectExit(3)
	s.log.expect(t, `\[ERROR\] ASGI lifespan startup failed: raised at the startup$`)
	s.log.expect(t, `^ValueError: raised at the startup$`)
	s = launch(t, options{app: "lifespans:returning", args: []string{"--asgi-lifespan", "on"}})
	s.expectExit(3)
	s.log.expect(t, `ASGI lifespan startup failed: the app does not know the lifespan protocol$`)

	// A reload to such an app changes nothing.
	s = start(t, options{app: "webapp:app", files: map[string]string{"webapp.py": "from lifespans import app\n"}})
	old := s.workers(1)[0]
	s.write("webapp.py", "from lifespans import fails as app\n")
	s.signal(syscall.SIGHUP)
	s.log.expect(t, `ASGI lifespan startup failed: the database is away$`)
	s.log.expect(t, `Reload failed, nothing was changed`)
	s.get("/")
	if got := s.workers(1)[0]; got != old {
		t.Error("the worker was replaced")
	}
	s.terminate()
}

// Apps that do not know the protocol are served without it, and none needs to.
func TestASGIWithoutLifespan(t *testing.T) {
	t.Parallel()
	for app, want := range map[string]string{
		"lifespans:raises": "{}", "lifespans:returning": "served", "asgiapps:hello": "Hello, World!", "lifespans:Double": "served, too",
	} {
		s := start(t, options{app: app})
		if got := s.get("/"); got != want {
			t.Errorf("%s: %s", app, got)
		}
		s.terminate()
	}
	s := start(t, options{app: "lifespans:app", args: []string{"--asgi-lifespan", "off"}})
	if got := s.get("/"); got != "{}" {
		t.Errorf("state: %s", got)
	}
	s.terminate()
	if n := s.log.count(`^lifespan\.`); n > 0 {
		t.Error("the app heard of its end")
	}
}

func TestASGIClassNeedsASGI(t *testing.T) {
	t.Parallel()
	s := launch(t, options{app: "lifespans:wsgi", args: []string{"-k", "asgi"}})
	s.expectExit(4)
	s.log.expect(t, `'lifespans:wsgi' is an application of WSGI: the worker class asgi cannot run it\.$`)
}

// What raises in the lifespan while the app serves is told at once, and once: also what
// runs beside it.
func TestLifespanThatRaisesWhileServing(t *testing.T) {
	t.Parallel()
	const background = `
import asyncio
from lifespans import respond

async def wait(name):
    await raises.wait()
    raise LookupError(name)

async def app(scope, receive, send):
    global raises, tasks
    if scope["type"] == "lifespan":
        raises = asyncio.Event()
        await receive()
        tasks = [asyncio.ensure_future(wait(name)) for name in ("alone", "awaited", "gathered")]
        both = asyncio.gather(tasks[2], return_exceptions=True)
        asyncio.ensure_future(catch(tasks[1]))
        await asyncio.sleep(0)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    raises.set()
    await respond(send, b"served")

async def catch(task):
    try:
        await task
    except LookupError:
        print("caught", flush=True)
`
	b := start(t, options{app: "background:app", files: map[string]string{"background.py": background}})
	b.log.expectFrom(t, 0, `\[ERROR\] Error in ASGI application: a task of its lifespan has ended$`)
	b.log.expectFrom(t, 0, `^caught$`)
	b.terminate()
	if n := b.log.count(`^LookupError: `); n != 1 || b.log.count(`^LookupError: alone$`) != 1 {
		t.Errorf("%d exceptions were told", n)
	}

	s := start(t, options{app: "raising:app", files: map[string]string{"raising.py": `
import asyncio
from lifespans import respond

raises = None

async def app(scope, receive, send):
    global raises
    if scope["type"] == "lifespan":
        raises = asyncio.Event()
        await receive()
        await send({"type": "lifespan.startup.complete"})
        stop = asyncio.ensure_future(receive())
        await asyncio.wait([stop, asyncio.ensure_future(raises.wait())], return_when=asyncio.FIRST_COMPLETED)
        raise LookupError("in the background")
    if scope["path"] == "/raise":
        raises.set()
    await respond(send, b"served")
`}})
	s.get("/raise")
	s.log.expectFrom(t, 0, `\[ERROR\] Error in ASGI application: its lifespan has ended while it serves$`)
	s.log.expectFrom(t, 0, `^LookupError: in the background$`)
	if got := s.get("/"); got != "served" {
		t.Errorf("got %q", got)
	}
	s.terminate()
	if n := s.log.count(`^LookupError: in the background$`); n != 1 {
		t.Errorf("the exception was told %d times", n)
	}
}
