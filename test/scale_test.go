//go:build linux

package test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"indrik/test/harness"
)

// unhurried is echo:app, each of whose requests waits for a while, and an app of ASGI that does the
// same with the processor of its worker.
const unhurried = `import time, echo

def app(environ, start_response):
    time.sleep(0.1)
    return echo.app(environ, start_response)

async def busy(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        return await send({"type": "lifespan.shutdown.complete"})
    body = b""
    while True:
        event = await receive()
        body += event["body"]
        if not event["more_body"]:
            break
    time.sleep(0.02)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode() + b"\n" + body})
`

// ranged is a server whose number of workers follows the load.
func ranged(t *testing.T, workers string, args ...string) *harness.Server {
	t.Helper()
	return harness.Start(t, harness.Options{
		App: "webapp:app", Files: map[string]string{"webapp.py": unhurried},
		Args: append([]string{"--workers", workers, "--scale-down-delay", "1"}, args...),
	})
}

// expectGrowth waits until the load has brought a server to n workers.
func expectGrowth(s *harness.Server, n int) {
	s.T.Helper()
	s.Log.Expect(s.T, fmt.Sprintf(`\[INFO\] Workers: from \d+ to %d \(\S+\): \d+ %% busy, requests waited \d+ ms on average, and would keep \S+ of \d+ slots busy$`, n))
	s.Workers(n)
}

// The workers follow the load up and down, for each kind, and no request is lost.
func TestWorkersFollowTheLoad(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"sync": {}, "threads": {"--threads", "2"}, "preload": {"--preload"}, "max_requests": {"--max-requests", "50"},
	} {
		t.Run(name, func(t *testing.T) {
			o := harness.Options{App: "webapp:app", Files: map[string]string{"webapp.py": unhurried}, Args: append([]string{"--workers", "1..4", "--scale-down-delay", "1"}, args...)}
			s := harness.Start(t, o)
			s.Workers(1)
			k, o1 := s.BothLoads(6)
			expectGrowth(s, 4)
			k.Progress(50)
			k.Finish()
			o1.Finish()
			s.Workers(1)
			harness.ExpectNoneLost(t, k, o1)
			s.Terminate()
		})
	}
}

// A loop that is blocked is a busy one: the workers follow that, too.
func TestEventLoopsFollowTheLoad(t *testing.T) {
	if os.Getenv("INDRIK_TEST_LONG") == "" {
		t.Skip("there are no more event loops than idle processors, and other tests keep them busy: a part of make nightly")
	}
	for kind, app := range map[string]string{"asgi": "webapp:busy", "gevent": "blocking:app"} {
		t.Run(kind, func(t *testing.T) {
			o := harness.Options{
				App: app, Args: []string{"-k", kind, "--workers", "1..3", "--scale-down-delay", "1"},
				Files: map[string]string{"webapp.py": unhurried, "blocking.py": blocking},
			}
			if kind == "gevent" {
				o.Python = harness.Venv(t)
			}
			s := harness.Start(t, o)
			k := s.KeepAliveLoad(12)
			s.Log.Expect(t, `\[INFO\] Workers: from 1 to 2 `)
			k.Progress(200)
			k.Finish()
			s.Workers(1)
			harness.ExpectNoneLost(t, k)
			s.Terminate()
		})
	}
}

// blocking is echo:app, each of whose requests blocks the hub of gevent for a while.
const blocking = `from gevent.monkey import get_original
import echo

def app(environ, start_response):
    get_original("time", "sleep")(0.02)
    return echo.app(environ, start_response)
`

// The workers follow the load while the server is reloaded and its range is moved, and no request
// is lost.
func TestScalingWhileReloading(t *testing.T) {
	t.Parallel()
	s := ranged(t, "1..4")
	k, o := s.BothLoads(6)
	expectGrowth(s, 4)
	old := s.Workers(4)
	s.Signal(syscall.SIGHUP)
	s.Replaced(old, 4)
	s.Signal(syscall.SIGTTIN)
	s.Log.Expect(t, `\[INFO\] Workers: the range is 2\.\.5 now$`)
	s.Workers(5)
	s.Signal(syscall.SIGTTOU)
	s.Log.Expect(t, `\[INFO\] Workers: the range is 1\.\.4 now$`)
	s.Workers(4)
	k.Progress(100)
	o.Progress(20)
	k.Finish()
	o.Finish()
	s.Workers(1)
	harness.ExpectNoneLost(t, k, o)
	s.Terminate()
}

// The successor of an upgrade begins with as many workers as the load needs, and follows it.
func TestScalingWhileUpgrading(t *testing.T) {
	t.Parallel()
	s := ranged(t, "1..4", "--pid", "srv.pid", "--scale-down-delay", "3") // the successor is seen with all of them
	k, o := s.BothLoads(6)
	expectGrowth(s, 4)
	u := upgrade(s, 4)
	s.Signal(syscall.SIGWINCH)
	s.Log.Expect(t, `graceful stop of workers`)
	workersOf(s, s.Cmd.Process.Pid, 0)
	k.Progress(100)
	s.Signal(syscall.SIGTERM)
	if code := s.Exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	k.Progress(100)
	o.Progress(20)
	k.Finish()
	o.Finish()
	workersOf(s, u.successor, 1)
	harness.ExpectNoneLost(t, k, o)
	harness.Kill(t, u.successor, syscall.SIGTERM)
	harness.WaitGone(t, u.successor)
}

// An idle server has no workers, and whatever the first request is, it is answered, with all that
// comes meanwhile.
func TestIdleToZero(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("0123456789abcdef", 200_000)
	uwsgi := harness.FreePort(t)
	slowStart := "import time\ntime.sleep(0.3)\n"
	s := harness.Start(t, harness.Options{
		App: "webapp:app", Files: map[string]string{"webapp.py": slowStart + "from echo import app\n"},
		Bind: []string{fmt.Sprintf("127.0.0.1:%d", harness.FreePort(t)), fmt.Sprintf("uwsgi://127.0.0.1:%d", uwsgi)},
		Args: []string{"--workers", "0..3", "--scale-down-delay", "1", "--http2-cleartext", "prior-knowledge", "--http-protocols", "h1,h2", "--health-path", "/h"},
	})
	for name, ask := range map[string]func(t *testing.T){
		"one request": func(t *testing.T) {
			if r, err := s.Request("GET", "/one", ""); err != nil || r.Body != "/one\n" {
				t.Errorf("%v, %v", r, err)
			}
		},
		"upload": func(t *testing.T) {
			r, err := s.Request("POST", "/up", large)
			if err != nil || r.Body != "/up\n"+large {
				t.Errorf("%d bytes came back: %v", len(r.Body), err)
			}
		},
		"HTTP/2": func(t *testing.T) {
			c := s.H2Conn()
			first := c.Open("GET", "/first", true)
			second := c.Open("GET", "/second", true)
			for id, want := range map[uint32]string{first: "/first\n", second: "/second\n"} {
				if r := c.Response(id); r.Status() != "200" || string(r.Body) != want {
					t.Errorf("%v", r)
				}
			}
		},
		"uwsgi": func(t *testing.T) {
			c := dialGateway(t, "uwsgi", "tcp", fmt.Sprintf("127.0.0.1:%d", uwsgi))
			c.send("POST", "/gateway", "hello")
			if r := c.receive("POST"); r.Status != 200 || r.Body != "/gateway\nhello" {
				t.Errorf("%v", r)
			}
		},
		"many at once": func(t *testing.T) {
			var all []*harness.Pending
			for i := range 50 {
				all = append(all, s.Begin(fmt.Sprint("/", i)))
			}
			for i, p := range all {
				if r := p.Expect(200); r.Body != fmt.Sprintf("/%d\n", i) {
					t.Errorf("%v", r)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s.Workers(0)
			if r, err := s.Request("GET", "/h/readyz", ""); err != nil || r.Status != 200 {
				t.Errorf("a server that sleeps is not ready: %v, %v", r, err)
			}
			s.Workers(0) // that was no request for the app
			mark := s.Log.Mark()
			ask(t)
			s.Log.ExpectFrom(t, mark, `\[INFO\] Workers: from 0 to 1 \(0\.\.3\): a request waits, and there are no workers$`)
		})
	}
	s.Workers(0)
	s.Terminate()
}

// A WebSocket wakes the server, and keeps it awake as long as it is open.
func TestWebSocketWakes(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, sockets("--workers", "0..2", "--scale-down-delay", "1"))
	s.Workers(0)
	ws := s.WebSocket("/echo")
	s.Log.Expect(t, `Workers: from 0 to 1 \(0\.\.2\)`)
	// Longer than the server waits for requests: what is open counts.
	for range 6 {
		ws.SendFrame(harness.Fin|harness.OpText, "hello")
		ws.ExpectMessage(harness.OpText, "hello")
		time.Sleep(500 * time.Millisecond)
	}
	s.Workers(1)
	ws.SendFrame(harness.Fin|harness.OpClose, "\x03\xe8")
	ws.ExpectClose(1000, "")
	s.Workers(0)
	s.Terminate()
}

// A sleeping server is reloaded, upgraded and stopped like any other, whenever requests come.
func TestSleepingServer(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{
		App: "webapp:app", Files: map[string]string{"webapp.py": versioned("1")},
		Args: []string{"--workers", "0..2", "--scale-down-delay", "1", "--pid", "srv.pid"},
	})
	s.Workers(0)
	s.WriteFile("webapp.py", versioned("2"))
	mark := s.Log.Mark()
	s.Signal(syscall.SIGHUP)
	s.Log.ExpectFrom(t, mark, `\[INFO\] Ready: 1 worker in`)
	if got := s.Get("/version"); got != "2" {
		t.Errorf("after the reload: %q", got)
	}
	s.Workers(0)
	s.Signal(syscall.SIGTTIN)
	s.Log.Expect(t, `the range is 1\.\.3 now`)
	s.Workers(1)
	s.Signal(syscall.SIGTTOU)
	s.Log.Expect(t, `the range is 0\.\.2 now`)
	s.Workers(0)
	u := upgrade(s, 0)
	if got := s.Get("/version"); got != "2" {
		t.Errorf("during the upgrade: %q", got)
	}
	s.Signal(syscall.SIGTERM)
	if code := s.Exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if got := s.Get("/version"); got != "2" {
		t.Errorf("after the upgrade: %q", got)
	}
	harness.Kill(t, u.successor, syscall.SIGTERM)
	harness.WaitGone(t, u.successor)
}

// A request that is on its way to a sleeping server when that is stopped is answered.
func TestSleepingServerIsStopped(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "importing:app", Args: []string{"--workers", "0..2", "--scale-down-delay", "1"}})
	s.Workers(0)
	g := s.Gate("import")
	p := s.Begin("/")
	g.Entered()
	s.Signal(syscall.SIGTERM)
	s.Log.Expect(t, handling(syscall.SIGTERM))
	g.Release()
	p.Expect(200)
	s.ExpectExit(0)
}

// With selfcare_dry_run the log and the status say what would be done.
func TestDryRunOfScaling(t *testing.T) {
	t.Parallel()
	s := ranged(t, "1..4", "--selfcare-dry-run", "scale", "--control-socket", "srv.ctl")
	k := s.KeepAliveLoad(6)
	s.Log.Expect(t, `\[INFO\] Workers: there would be 2 instead of 1 \(1\.\.4\), if selfcare_dry_run did not have scale: `)
	out := done(t, s, "status", "--json")
	var status struct {
		Scale struct {
			Least, Most, Wanted int
			DryRun              bool `json:"dry_run"`
		}
	}
	harness.Must(t, json.Unmarshal([]byte(out), &status))
	if c := status.Scale; !c.DryRun || c.Least != 1 || c.Most != 4 || c.Wanted < 2 {
		t.Errorf("%s", out)
	}
	s.Workers(1)
	k.Finish()
	harness.ExpectNoneLost(t, k)
	s.Terminate()
}
