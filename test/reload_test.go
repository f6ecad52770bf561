//go:build linux

package test

import (
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
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
			s := start(t, options{app: "webapp:app", args: strings.Fields(args), files: map[string]string{"webapp.py": versioned("0")}})
			k, o := s.bothLoads(4)
			for i := range 5 {
				s.write("webapp.py", versioned(fmt.Sprint(i+1)))
				s.reload(n)
				if got := s.get("/version"); got != fmt.Sprint(i+1) {
					t.Errorf("after reload %d the app is version %s", i+1, got)
				}
				k.progress(20)
				o.progress(20)
			}
			expectNoneLost(t, k, o)
			if n := s.log.count(`\[INFO\] Hang up: Master$`); n != 5 {
				t.Errorf("%d reloads in the log", n)
			}
			if n := len(s.role("front")); n != 1 {
				t.Errorf("%d fronts", n)
			}
			eventually(t, "one spawner is left", func() bool { return len(s.role("spawner")) == 1 })
			s.terminate()
		})
	}
}

func TestBrokenReloads(t *testing.T) {
	t.Parallel()
	config := "workers = 2\nraw_env = ['FROM=first']\n"
	s := start(t, options{app: "webapp:app", conf: config, files: map[string]string{"webapp.py": versioned("good")}})
	before := s.workers(2)
	k, o := s.bothLoads(3)
	still := func(want string) {
		t.Helper()
		k.progress(20)
		o.progress(20)
		if got := s.get("/version"); got != "good" {
			t.Errorf("the app is version %s", got)
		}
		s.log.expect(t, want)
		eventually(t, "the old workers are the only ones", func() bool {
			now := s.role("worker")
			return len(now) == 2 && now[0].pid == before[0] && now[1].pid == before[1] && len(s.role("spawner")) == 1
		})
	}

	s.write("gunicorn.conf.py", "workers = 2 +\n")
	s.signal(syscall.SIGHUP)
	still(`SyntaxError`)

	s.write("gunicorn.conf.py", "workers = 'many'\n")
	s.signal(syscall.SIGHUP)
	still(`Invalid value for workers: many`)

	s.write("gunicorn.conf.py", config)
	s.write("webapp.py", versioned("bad")+"\nraise RuntimeError('broken at import')\n")
	s.signal(syscall.SIGHUP)
	still(`RuntimeError: broken at import`)

	s.write("webapp.py", "# no app here\n")
	s.signal(syscall.SIGHUP)
	still(`Failed to find attribute 'app' in 'webapp'\.`)

	s.write("webapp.py", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
	s.signal(syscall.SIGHUP)
	still(`was sent SIGKILL!`)

	s.write("webapp.py", versioned("good"))
	s.write("gunicorn.conf.py", config+"def on_reload(server):\n    raise RuntimeError('hook broken')\n")
	s.signal(syscall.SIGHUP)
	still(`hook broken`)

	s.write("gunicorn.conf.py", "workers = 1\n")
	s.write("webapp.py", versioned("better"))
	s.signal(syscall.SIGHUP)
	s.replaced(before, 1)
	if got := s.get("/version"); got != "better" {
		t.Errorf("the app is version %s", got)
	}
	expectNoneLost(t, k, o)
	s.terminate()
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
			s := start(t, options{conf: "workers = 1\n"})
			s.write("gunicorn.conf.py", hang+conf)
			s.signal(syscall.SIGHUP)
			hung := s.waitPidFile("hung")
			s.get("/")
			old := s.workers(1)
			s.write("gunicorn.conf.py", "workers = 2\n")
			s.signal(syscall.SIGHUP)
			s.replaced(old, 2)
			waitGone(t, hung)
			s.terminate()
		})
	}
}

func TestSlowImport(t *testing.T) {
	t.Parallel()
	// New workers take two seconds to import the app: no client waits for them.
	slow := func(version string) string {
		return "import os, time\nif os.environ['RELOADED'] == 'yes':\n    time.sleep(2)\n" + versioned(version)
	}
	s := start(t, options{app: "webapp:app", conf: "raw_env = ['RELOADED=no']\n", files: map[string]string{"webapp.py": slow("1")}})
	k, o := s.bothLoads(2)
	s.write("gunicorn.conf.py", "raw_env = ['RELOADED=yes']\nmax_requests = 0\n")
	s.write("webapp.py", slow("2"))
	s.reload(1)
	if got := s.get("/version"); got != "2" {
		t.Errorf("the app is version %s", got)
	}
	// The same for a worker that is replaced because it was told to end.
	pid := s.workers(1)[0]
	expectNoneLost(t, k, o)
	for _, l := range []*load{k, o} {
		if sum := l.now(); sum.slowest > time.Second {
			t.Errorf("a client waited: %v", sum)
		}
	}
	kill(t, pid, syscall.SIGTERM) // there is no other: this one client waits, and is served
	if got := s.get("/version"); got != "2" {
		t.Errorf("the app is version %s", got)
	}
	s.terminate()
}

func TestReloadChangesSettings(t *testing.T) {
	t.Parallel()
	s := start(t, options{
		app:  "showenviron:app",
		conf: "workers = 1\nraw_env = ['A=1']\n",
	})
	s.write("gunicorn.conf.py", "threads = 3\nworkers = 2\nproc_name = 'other'\nlimit_request_line = 100\nkeepalive = 0\n")
	old := s.workers(1)
	s.signal(syscall.SIGHUP)
	s.replaced(old, 2)
	c := s.client()
	if r := c.do(t, "GET", "/", ""); !strings.Contains(r.body, `"wsgi.multithread": true`) || !r.closes() {
		t.Errorf("%v", r)
	}
	if r, err := s.request("GET", "/"+strings.Repeat("x", 200), ""); err != nil || r.status != 414 {
		t.Errorf("the new limit is not in force: %v, %v", r, err)
	}
	for _, role := range []string{"master", "front", "spawner", "worker"} {
		eventually(t, "the "+role+" has the new name", func() bool {
			for _, p := range s.role(role) {
				if !strings.HasSuffix(p.title, "[other]") {
					return false
				}
			}
			return true
		})
	}
	s.terminate()
}

func TestReloadForgetsEnvironment(t *testing.T) {
	t.Parallel()
	s := start(t, options{
		app:  "webapp:app",
		conf: "raw_env = ['ONE=1']\n",
		files: map[string]string{"webapp.py": `import os
def app(environ, start_response):
    start_response("200 OK", [])
    return [repr([os.environ.get("ONE"), os.environ.get("TWO")]).encode()]
`},
	})
	if got := s.get("/"); got != "['1', None]" {
		t.Errorf("%s", got)
	}
	s.write("gunicorn.conf.py", "raw_env = ['TWO=2']\n")
	s.reload(1)
	if got := s.get("/"); got != "[None, '2']" {
		t.Errorf("after the reload: %s", got)
	}
	s.terminate()
}

func TestReloadWithPreload(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "webapp:app", args: []string{"--preload", "--workers", "2"}, files: map[string]string{"webapp.py": versioned("1")}})
	k, o := s.bothLoads(3)
	s.write("webapp.py", versioned("2"))
	for range 3 {
		s.reload(2)
		if got := s.get("/version"); got != "1" {
			t.Errorf("HUP loaded version %s of a preloaded app", got)
		}
	}
	s.write("webapp.py", "raise RuntimeError('must not be imported')\n")
	s.reload(2)
	k.progress(20)
	expectNoneLost(t, k, o)
	s.terminate()
}

func TestReloadChangesBind(t *testing.T) {
	t.Parallel()
	first, second := freePort(t), freePort(t)
	conf := func(binds ...string) string {
		for i, b := range binds {
			binds[i] = fmt.Sprintf("%q", b)
		}
		return "bind = [" + strings.Join(binds, ", ") + "]\n"
	}
	one, two := fmt.Sprintf("127.0.0.1:%d", first), fmt.Sprintf("127.0.0.1:%d", second)
	s := start(t, options{app: "echo:app", bind: []string{}, conf: conf(one), noProbe: true})
	s.o.bind = []string{one}
	s.ready()
	k := s.keepAliveLoad(2)
	k.progress(5)
	s.write("gunicorn.conf.py", conf(one, two))
	s.reload(1)
	for _, addr := range []string{one, two} {
		c, err := dial("tcp", addr)
		must(t, err)
		c.do(t, "GET", "/", "")
		c.Close()
	}
	expectNoneLost(t, k)
	s.log.expect(t, `Listening at: http://`+one+` `)
	s.log.expect(t, `Listening at: http://`+one+`,http://`+two+`$`)

	// A new address that cannot be had changes nothing.
	s.write("gunicorn.conf.py", conf("192.0.2.1:80"))
	old := s.workers(1)
	s.signal(syscall.SIGHUP)
	s.log.expect(t, `Can't connect to \('192\.0\.2\.1', 80\)`)
	s.get("/")
	if got := s.workers(1); got[0] != old[0] {
		t.Errorf("the worker is %d, was %d", got[0], old[0])
	}

	s.write("gunicorn.conf.py", conf(two))
	s.reload(1)
	eventually(t, "the old address is closed", func() bool { return !listening(first) })
	s.o.bind = []string{two}
	s.get("/")
	s.terminate()
	if listening(second) {
		t.Error("the port is still open")
	}
}

// A reload that still tries to get an address when the next one comes is over, and
// leaves the addresses of that alone.
func TestReloadAfterOneThatWaitsForAPort(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer busy.Close()
	addr := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	s := start(t, options{app: "webapp:app", bind: []string{}, conf: fmt.Sprintf("bind = %q\n", addr), noProbe: true,
		files: map[string]string{"webapp.py": "import gate\ngate.wait('import')\n" + versioned("1")}})
	s.o.bind = []string{addr}
	s.ready()
	imported := s.gate("import")
	s.write("gunicorn.conf.py", fmt.Sprintf("bind = [%q, %q]\n", addr, busy.Addr()))
	s.signal(syscall.SIGHUP)
	s.log.expect(t, `Connection in use: `)
	s.write("gunicorn.conf.py", fmt.Sprintf("bind = %q\n", addr))
	s.signal(syscall.SIGHUP)
	imported.entered()
	busy.Close()
	time.Sleep(1500 * time.Millisecond) // there would be a try each second
	old := s.workers(2)
	imported.release()
	s.replaced(old[:1], 1)
	s.get("/")
	s.terminate()
}

func TestIdleConnectionsSurviveReloads(t *testing.T) {
	t.Parallel()
	n := 1000
	if testing.Short() {
		n = 100
	}
	s := start(t, options{app: "echo:app"})
	clients := make([]*client, n)
	for i := range clients {
		clients[i] = s.client()
		clients[i].do(t, "GET", fmt.Sprint("/", i), "")
	}
	for i := range 20 {
		s.reload(1)
		if i == 9 {
			for _, c := range clients[:n/2] {
				c.SetDeadline(time.Now().Add(patience))
				c.do(t, "GET", "/between", "")
			}
		}
	}
	closed := 0
	for _, c := range clients {
		c.SetDeadline(time.Now().Add(patience)) // the reloads take long on a busy machine
		if closedByPeer(c) {
			closed++
		}
	}
	if closed > 0 {
		t.Fatalf("%d of %d idle connections were closed", closed, n)
	}
	for i, c := range clients {
		c.SetDeadline(time.Now().Add(patience))
		if r := c.do(t, "GET", fmt.Sprint("/", i), ""); r.body != fmt.Sprintf("/%d\n", i) {
			t.Fatalf("connection %d: %v", i, r)
		}
	}
	s.terminate()
}

func TestReloadWhileRequestsRun(t *testing.T) {
	t.Parallel()
	// Requests that began before the reload end as if there had been none,
	// after the new workers have taken over.
	s := start(t, options{app: "gated:app", args: []string{"--threads", "2", "--graceful-timeout", "60"}})
	m := inFlight(s)
	old := s.workers(1)[0]
	s.signal(syscall.SIGHUP)
	eventually(t, "a new worker serves", func() bool { return !strings.HasPrefix(s.get("/"), fmt.Sprint(old, " ")) })
	if !alive(old) {
		t.Error("the old worker did not wait for its request")
	}
	m.run.release()
	if r := m.flight.expect(200); !strings.HasPrefix(r.body, fmt.Sprint(old, " ")) {
		t.Errorf("%v", r)
	}
	s.replaced([]int{old}, 1)
	s.terminate()
}

func TestReloadReachesGracefulTimeout(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "gated:app", args: []string{"--graceful-timeout", "1"}})
	m := inFlight(s)
	old := s.workers(1)[0]
	s.signal(syscall.SIGHUP)
	m.flight.expect(504)
	s.replaced([]int{old}, 1)
	s.get("/")
	s.terminate()
}
