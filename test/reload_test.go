//go:build linux

package test

import (
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"indrik/test/harness"
)

// versioned is an app whose answers tell which text it was loaded from, and
// which load clients accept.
func versioned(version string) string {
	return fmt.Sprintf(`VERSION = %q

def app(environ, start_response):
    if environ["PATH_INFO"] == "/version":
        body = VERSION.encode()
    else:
        body = environ["PATH_INFO"].encode("latin-1") + b"\n" + environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
`, version)
}

func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	for n, args := range map[int]string{2: "--workers 2", 1: "--threads 4"} {
		t.Run(args, func(t *testing.T) {
			s := harness.Start(t, harness.Options{App: "webapp:app", Args: strings.Fields(args), Files: map[string]string{"webapp.py": versioned("0")}})
			k, o := s.BothLoads(4)
			for i := range 5 {
				s.WriteFile("webapp.py", versioned(fmt.Sprint(i+1)))
				s.Reload(n)
				if got := s.Get("/version"); got != fmt.Sprint(i+1) {
					t.Errorf("after reload %d the app is version %s", i+1, got)
				}
				k.Progress(20)
				o.Progress(20)
			}
			harness.ExpectNoneLost(t, k, o)
			if n := s.Log.Count(`\[INFO\] Hang up: Master$`); n != 5 {
				t.Errorf("%d reloads in the log", n)
			}
			if n := len(s.Role("front")); n != 1 {
				t.Errorf("%d fronts", n)
			}
			harness.Eventually(t, "one spawner is left", func() bool { return len(s.Role("spawner")) == 1 })
			s.Terminate()
		})
	}
}

func TestBrokenReloads(t *testing.T) {
	t.Parallel()
	config := "workers = 2\nraw_env = ['FROM=first']\n"
	s := harness.Start(t, harness.Options{App: "webapp:app", Conf: config, Files: map[string]string{"webapp.py": versioned("good")}})
	before := s.Workers(2)
	k, o := s.BothLoads(3)
	still := func(want string) {
		t.Helper()
		k.Progress(20)
		o.Progress(20)
		if got := s.Get("/version"); got != "good" {
			t.Errorf("the app is version %s", got)
		}
		s.Log.Expect(t, want)
		harness.Eventually(t, "the old workers are the only ones", func() bool {
			now := s.Role("worker")
			return len(now) == 2 && now[0].PID == before[0] && now[1].PID == before[1] && len(s.Role("spawner")) == 1
		})
	}

	s.WriteFile("gunicorn.conf.py", "workers = 2 +\n")
	s.Signal(syscall.SIGHUP)
	still(`SyntaxError`)

	s.WriteFile("gunicorn.conf.py", "workers = 'many'\n")
	s.Signal(syscall.SIGHUP)
	still(`Invalid value for workers: many`)

	s.WriteFile("gunicorn.conf.py", config)
	s.WriteFile("webapp.py", versioned("bad")+"\nraise RuntimeError('broken at import')\n")
	s.Signal(syscall.SIGHUP)
	still(`RuntimeError: broken at import`)

	s.WriteFile("webapp.py", "# no app here\n")
	s.Signal(syscall.SIGHUP)
	still(`Failed to find attribute 'app' in 'webapp'\.`)

	s.WriteFile("webapp.py", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
	s.Signal(syscall.SIGHUP)
	still(`was sent SIGKILL!`)

	s.WriteFile("webapp.py", versioned("good"))
	s.WriteFile("gunicorn.conf.py", config+"def on_reload(server):\n    raise RuntimeError('hook broken')\n")
	s.Signal(syscall.SIGHUP)
	still(`hook broken`)

	s.WriteFile("gunicorn.conf.py", "workers = 1\n")
	s.WriteFile("webapp.py", versioned("better"))
	s.Signal(syscall.SIGHUP)
	s.Replaced(before, 1)
	if got := s.Get("/version"); got != "better" {
		t.Errorf("the app is version %s", got)
	}
	harness.ExpectNoneLost(t, k, o)
	s.Terminate()
}

// TestHungReloads: a configuration that hangs is given up for the next one, and leaves
// no process behind.
func TestHungReloads(t *testing.T) {
	t.Parallel()
	const hang = "import os, time\ndef hang():\n    open('hung', 'w').write(str(os.getpid()))\n    time.sleep(1000)\n"
	for name, conf := range map[string]string{
		"config file": "hang()\n",
		"on_reload":   "def on_reload(server):\n    hang()\n",
		"pre_fork":    "def pre_fork(server, worker):\n    hang()\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := harness.Start(t, harness.Options{Conf: "workers = 1\n"})
			s.WriteFile("gunicorn.conf.py", hang+conf)
			s.Signal(syscall.SIGHUP)
			hung := s.WaitPIDFile("hung")
			s.Get("/")
			old := s.Workers(1)
			s.WriteFile("gunicorn.conf.py", "workers = 2\n")
			s.Signal(syscall.SIGHUP)
			s.Replaced(old, 2)
			harness.WaitGone(t, hung)
			s.Terminate()
		})
	}
}

func TestSlowImport(t *testing.T) {
	t.Parallel()
	// New workers take six seconds to import the app: no client waits for them.
	slow := func(version string) string {
		return "import os, time\nif os.environ['RELOADED'] == 'yes':\n    time.sleep(6)\n" + versioned(version)
	}
	s := harness.Start(t, harness.Options{App: "webapp:app", Conf: "raw_env = ['RELOADED=no']\n", Files: map[string]string{"webapp.py": slow("1")}})
	k, o := s.BothLoads(2)
	s.WriteFile("gunicorn.conf.py", "raw_env = ['RELOADED=yes']\nmax_requests = 0\n")
	s.WriteFile("webapp.py", slow("2"))
	s.Reload(1)
	if got := s.Get("/version"); got != "2" {
		t.Errorf("the app is version %s", got)
	}
	// The same for a worker that is replaced because it was told to end.
	pid := s.Workers(1)[0]
	harness.ExpectNoneLost(t, k, o)
	for _, l := range []*harness.Load{k, o} {
		if sum := l.Now(); sum.Slowest > 5*time.Second {
			t.Errorf("a client waited: %v", sum)
		}
	}
	harness.Kill(t, pid, syscall.SIGTERM) // there is no other: this one client waits, and is served
	if got := s.Get("/version"); got != "2" {
		t.Errorf("the app is version %s", got)
	}
	s.Terminate()
}

func TestReloadChangesSettings(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{
		App:  "showenviron:app",
		Conf: "workers = 1\nraw_env = ['A=1']\n",
	})
	s.WriteFile("gunicorn.conf.py", "threads = 3\nworkers = 2\nproc_name = 'other'\nlimit_request_line = 100\nkeepalive = 0\n")
	old := s.Workers(1)
	s.Signal(syscall.SIGHUP)
	s.Replaced(old, 2)
	c := s.Client()
	if r := c.Do(t, "GET", "/", ""); !strings.Contains(r.Body, `"wsgi.multithread": true`) || !r.Closes() {
		t.Errorf("%v", r)
	}
	if r, err := s.Request("GET", "/"+strings.Repeat("x", 200), ""); err != nil || r.Status != 414 {
		t.Errorf("the new limit is not in force: %v, %v", r, err)
	}
	for _, role := range []string{"master", "front", "spawner", "worker"} {
		harness.Eventually(t, "the "+role+" has the new name", func() bool {
			for _, p := range s.Role(role) {
				if !strings.HasSuffix(p.Title, "[other]") {
					return false
				}
			}
			return true
		})
	}
	s.Terminate()
}

func TestReloadForgetsEnvironment(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{
		App:  "webapp:app",
		Conf: "raw_env = ['ONE=1']\n",
		Files: map[string]string{"webapp.py": `import os
def app(environ, start_response):
    start_response("200 OK", [])
    return [repr([os.environ.get("ONE"), os.environ.get("TWO")]).encode()]
`},
	})
	if got := s.Get("/"); got != "['1', None]" {
		t.Errorf("%s", got)
	}
	s.WriteFile("gunicorn.conf.py", "raw_env = ['TWO=2']\n")
	s.Reload(1)
	if got := s.Get("/"); got != "[None, '2']" {
		t.Errorf("after the reload: %s", got)
	}
	s.Terminate()
}

func TestReloadWithPreload(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "webapp:app", Args: []string{"--preload", "--workers", "2"}, Files: map[string]string{"webapp.py": versioned("1")}})
	k, o := s.BothLoads(3)
	s.WriteFile("webapp.py", versioned("2"))
	for range 3 {
		s.Reload(2)
		if got := s.Get("/version"); got != "1" {
			t.Errorf("HUP loaded version %s of a preloaded app", got)
		}
	}
	s.WriteFile("webapp.py", "raise RuntimeError('must not be imported')\n")
	s.Reload(2)
	k.Progress(20)
	harness.ExpectNoneLost(t, k, o)
	s.Terminate()
}

func TestReloadChangesBind(t *testing.T) {
	t.Parallel()
	first, second := harness.FreePort(t), harness.FreePort(t)
	conf := func(binds ...string) string {
		for i, b := range binds {
			binds[i] = fmt.Sprintf("%q", b)
		}
		return "bind = [" + strings.Join(binds, ", ") + "]\n"
	}
	one, two := fmt.Sprintf("127.0.0.1:%d", first), fmt.Sprintf("127.0.0.1:%d", second)
	s := harness.Start(t, harness.Options{App: "echo:app", Bind: []string{}, Conf: conf(one), NoProbe: true})
	s.MoveTo(one)
	s.Ready()
	k := s.KeepAliveLoad(2)
	k.Progress(5)
	s.WriteFile("gunicorn.conf.py", conf(one, two))
	s.Reload(1)
	for _, addr := range []string{one, two} {
		c, err := harness.Dial("tcp", addr)
		harness.Must(t, err)
		c.Do(t, "GET", "/", "")
		c.Close()
	}
	harness.ExpectNoneLost(t, k)
	s.Log.Expect(t, `Listening at: http://`+one+` `)
	s.Log.Expect(t, `Listening at: http://`+one+`,http://`+two+`$`)

	// A new address that cannot be had changes nothing.
	s.WriteFile("gunicorn.conf.py", conf("192.0.2.1:80"))
	old := s.Workers(1)
	s.Signal(syscall.SIGHUP)
	s.Log.Expect(t, `Can't connect to \('192\.0\.2\.1', 80\)`)
	s.Get("/")
	if got := s.Workers(1); got[0] != old[0] {
		t.Errorf("the worker is %d, was %d", got[0], old[0])
	}

	s.WriteFile("gunicorn.conf.py", conf(two))
	s.Reload(1)
	harness.Eventually(t, "the old address is closed", func() bool { return !harness.Listening(first) })
	s.MoveTo(two)
	s.Get("/")
	s.Terminate()
	if harness.Listening(second) {
		t.Error("the port is still open")
	}
}

// A reload that still tries to get an address when the next one comes is over, and
// leaves the addresses of that alone.
func TestReloadAfterOneThatWaitsForAPort(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	harness.Must(t, err)
	defer busy.Close()
	addr := fmt.Sprintf("127.0.0.1:%d", harness.FreePort(t))
	s := harness.Start(t, harness.Options{App: "webapp:app", Bind: []string{}, Conf: fmt.Sprintf("bind = %q\n", addr), NoProbe: true,
		Files: map[string]string{"webapp.py": "import gate\ngate.wait('import')\n" + versioned("1")}})
	s.MoveTo(addr)
	s.Ready()
	before := s.Workers(1)
	imported := s.Gate("import")
	s.WriteFile("gunicorn.conf.py", fmt.Sprintf("bind = [%q, %q]\n", addr, busy.Addr()))
	s.Signal(syscall.SIGHUP)
	s.Log.Expect(t, `Connection in use: `)
	s.WriteFile("gunicorn.conf.py", fmt.Sprintf("bind = %q\n", addr))
	s.Signal(syscall.SIGHUP)
	imported.Entered()
	busy.Close()
	time.Sleep(1500 * time.Millisecond) // there would be a try each second
	s.Workers(2)
	imported.Release()
	s.Replaced(before, 1)
	s.Get("/")
	s.Terminate()
}

func TestIdleConnectionsSurviveReloads(t *testing.T) {
	t.Parallel()
	n := 1000
	if testing.Short() {
		n = 100
	}
	s := harness.Start(t, harness.Options{App: "echo:app", Args: []string{"--keep-alive", "600"}}) // as many reloads take long on a busy machine
	clients := make([]*harness.Client, n)
	for i := range clients {
		clients[i] = s.Client()
		clients[i].Do(t, "GET", fmt.Sprint("/", i), "")
	}
	for i := range 20 {
		s.Reload(1)
		if i == 9 {
			for _, c := range clients[:n/2] {
				c.SetDeadline(time.Now().Add(harness.Patience))
				c.Do(t, "GET", "/between", "")
			}
		}
	}
	closed := 0
	for _, c := range clients {
		c.SetDeadline(time.Now().Add(harness.Patience)) // the reloads take long on a busy machine
		if harness.ClosedByPeer(c) {
			closed++
		}
	}
	if closed > 0 {
		t.Fatalf("%d of %d idle connections were closed", closed, n)
	}
	for i, c := range clients {
		c.SetDeadline(time.Now().Add(harness.Patience))
		if r := c.Do(t, "GET", fmt.Sprint("/", i), ""); r.Body != fmt.Sprintf("/%d\n", i) {
			t.Fatalf("connection %d: %v", i, r)
		}
	}
	s.Terminate()
}

func TestReloadWhileRequestsRun(t *testing.T) {
	t.Parallel()
	// Requests that began before the reload end as if there had been none,
	// after the new workers have taken over.
	s := harness.Start(t, harness.Options{App: "gated:app", Args: []string{"--threads", "2", "--graceful-timeout", "60"}})
	m := inFlight(s)
	old := s.Workers(1)[0]
	s.Signal(syscall.SIGHUP)
	harness.Eventually(t, "a new worker serves", func() bool { return !strings.HasPrefix(s.Get("/"), fmt.Sprint(old, " ")) })
	if !harness.Alive(old) {
		t.Error("the old worker did not wait for its request")
	}
	m.run.Release()
	if r := m.flight.Expect(200); !strings.HasPrefix(r.Body, fmt.Sprint(old, " ")) {
		t.Errorf("%v", r)
	}
	s.Replaced([]int{old}, 1)
	s.Terminate()
}

func TestReloadReachesGracefulTimeout(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "gated:app", Args: []string{"--graceful-timeout", "1"}})
	m := inFlight(s)
	old := s.Workers(1)[0]
	s.Signal(syscall.SIGHUP)
	m.flight.Expect(504)
	s.Replaced([]int{old}, 1)
	s.Get("/")
	s.Terminate()
}
