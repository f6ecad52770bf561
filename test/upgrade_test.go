//go:build linux

package test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"indrik/test/harness"
)

// install copies the server to where an upgrade can replace it.
func install(t testing.TB) (path string, replace func()) {
	t.Helper()
	if len(harness.OtherServer) > 0 {
		return harness.OtherServer[0], func() {}
	}
	built := harness.Command(t)[0]
	path = filepath.Join(harness.TempDir(t), "indrik")
	replace = func() {
		t.Helper()
		if out, err := exec.Command("cp", built, path+".new").CombinedOutput(); err != nil {
			t.Fatalf("cp: %v: %s", err, out)
		}
		harness.Must(t, os.Rename(path+".new", path))
	}
	replace()
	return path, replace
}

// upgraded is a server with a successor.
type upgraded struct {
	*harness.Server
	successor int // pid of the new master
}

// upgrade sends USR2 and waits until the successor has n workers.
func upgrade(s *harness.Server, n int) *upgraded {
	s.T.Helper()
	before := s.ReadFile("srv.pid.2") // of one that was killed
	s.Signal(syscall.SIGUSR2)
	return successor(s, before, n)
}

// successor waits until one whose pid file is not that of before has n workers.
func successor(s *harness.Server, before string, n int) *upgraded {
	s.T.Helper()
	harness.Eventually(s.T, "there is a successor", func() bool { return s.ReadFile("srv.pid.2") != before })
	u := &upgraded{s, s.WaitPIDFile("srv.pid.2")}
	workersOf(u.Server, u.successor, n)
	return u
}

// workersOf waits until a master has n workers. Each is a grandchild or deeper
// of its master, so it is told by the way up.
func workersOf(s *harness.Server, master, n int) []int {
	s.T.Helper()
	var pids []int
	harness.Eventually(s.T, fmt.Sprintf("master %d has %d workers", master, n), func() bool {
		pids = pids[:0]
		for _, p := range s.Role("worker") {
			if masterOf(p) == master {
				pids = append(pids, p.PID)
			}
		}
		return len(pids) == n
	})
	return pids
}

// masterOf climbs to the first ancestor that is a master.
func masterOf(p harness.Proc) int {
	for p.PPID > 1 {
		parent, ok := harness.ReadProc(p.PPID)
		if !ok {
			return 0
		}
		if strings.Contains(parent.Title, ": master [") {
			return parent.PID
		}
		p = parent
	}
	return 0
}

// become makes a successor the server that the test is about.
func (u *upgraded) become() {
	u.T.Helper()
	harness.Eventually(u.T, "the pid file names the successor", func() bool {
		return strings.TrimSpace(u.ReadFile("srv.pid")) == fmt.Sprint(u.successor)
	})
	u.Server.Master = u.successor
}

func title(s *harness.Server, pid int) string {
	p, _ := harness.ReadProc(pid)
	return p.Title
}

func TestUpgrade(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"--workers 2", "--threads 4 --workers 2", "--workers 2 --preload"} {
		t.Run(args, func(t *testing.T) {
			binary, replace := install(t)
			s := harness.Start(t, harness.Options{
				App: "webapp:app", Daemon: true, Args: strings.Fields(args), Binary: binary,
				Conf:  "raw_env = ['CONFIG=old']\n",
				Files: map[string]string{"webapp.py": versioned("old")},
			})
			k, o := s.BothLoads(4)

			// Rollback: the old master gives back what it had, whatever
			// the files say by now.
			replace()
			s.WriteFile("webapp.py", versioned("new"))
			u := upgrade(s, 2)
			old := s.PID()
			if same(old, u.successor) {
				t.Error("the successor does not run the new binary")
			}
			if got := title(s, u.successor); got != harness.ProgramName()+": master [webapp:app.2]" {
				t.Errorf("title of the successor: %q", got)
			}
			for _, pid := range workersOf(s, u.successor, 2) {
				harness.Eventually(t, "the worker has its title", func() bool { return title(s, pid) == harness.ProgramName()+": worker [webapp:app.2]" })
			}
			k.Progress(50)
			o.Progress(50)
			s.Signal(syscall.SIGWINCH)
			workersOf(s, old, 0)
			k.Progress(50)
			o.Progress(50)
			if got := s.Get("/version"); got != "new" {
				t.Errorf("after WINCH version %s serves", got)
			}
			s.WriteFile("gunicorn.conf.py", "workers = 'broken'\nthis is no Python\n")
			s.WriteFile("webapp.py", "raise RuntimeError('must not be needed')\n")
			if strings.Contains(args, "preload") {
				s.Signal(syscall.SIGHUP)
				workersOf(s, old, 2)
			} else {
				s.WriteFile("webapp.py", versioned("old"))
				s.Signal(syscall.SIGHUP)
				workersOf(s, old, 2)
			}
			k.Progress(50)
			harness.Kill(t, u.successor, syscall.SIGTERM)
			harness.WaitGone(t, u.successor)
			harness.Eventually(t, "the successor's pid file is gone", func() bool { return s.ReadFile("srv.pid.2") == "" })
			k.Progress(50)
			o.Progress(50)
			if got := s.Get("/version"); got != "old" {
				t.Errorf("after the rollback version %s serves", got)
			}
			if got := strings.TrimSpace(s.ReadFile("srv.pid")); got != fmt.Sprint(old) {
				t.Errorf("the pid file names %s, want %d", got, old)
			}

			// The upgrade proper.
			s.WriteFile("gunicorn.conf.py", "raw_env = ['CONFIG=new']\n")
			s.WriteFile("webapp.py", versioned("newer"))
			u = upgrade(s, 2)
			s.Signal(syscall.SIGWINCH)
			workersOf(s, old, 0)
			k.Progress(50)
			s.Signal(syscall.SIGTERM)
			harness.WaitGone(t, old)
			u.become()
			s.Log.Expect(t, fmt.Sprintf(`\[%d\] \[INFO\] Master has been promoted\.$`, u.successor))
			harness.Eventually(t, "srv.pid.2 is gone", func() bool { return s.ReadFile("srv.pid.2") == "" })
			for role, n := range map[string]int{"master": 1, "front": 1, "spawner": 1, "worker": 2} {
				harness.Eventually(t, "the "+role+" has lost its .2", func() bool {
					found := s.Role(role)
					for _, p := range found {
						if p.Title != harness.ProgramName()+": "+role+" [webapp:app]" {
							return false
						}
					}
					return len(found) == n
				})
			}
			k.Progress(50)
			o.Progress(50)
			if got := s.Get("/version"); got != "newer" {
				t.Errorf("after the upgrade version %s serves", got)
			}

			// And again, without WINCH: TERM alone hands over.
			s.WriteFile("webapp.py", versioned("newest"))
			old = s.PID()
			u = upgrade(s, 2)
			s.Signal(syscall.SIGTERM)
			harness.WaitGone(t, old)
			u.become()
			k.Progress(50)
			o.Progress(50)
			if got := s.Get("/version"); got != "newest" {
				t.Errorf("after the second upgrade version %s serves", got)
			}
			s.Reload(2)
			harness.ExpectNoneLost(t, k, o)
			s.Terminate()
		})
	}
}

// same says whether two processes run the same file.
func same(a, b int) bool {
	if len(harness.OtherServer) > 0 {
		return false
	}
	x, err1 := os.Stat(fmt.Sprintf("/proc/%d/exe", a))
	y, err2 := os.Stat(fmt.Sprintf("/proc/%d/exe", b))
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}

// What runs for long when its master is replaced: a stream ends whole, a WebSocket
// is closed with 1012; what is new, on the connections that are there too, goes to
// the master that stays.
func TestASGIUpgrade(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{
		App: "webapp:app", Daemon: true, Files: map[string]string{"webapp.py": asgiVersioned("0")},
		Args: []string{"--workers", "2", "--graceful-timeout", "100", "--websocket-drain-max", "1", "--websocket-drain-window", "1"},
	})
	k, o := s.BothLoads(1)
	idle := s.Client()
	// hold begins both with the version that serves. What it returns is called
	// when their master is told to leave.
	hold := func(version string) (leave func(next string)) {
		t.Helper()
		g := s.Gate(version)
		stream := openStream(t, s, version, version)
		g.Entered()
		ws := s.WebSocket("/echo")
		ws.SendFrame(harness.Fin|harness.OpText, version)
		ws.Expect(harness.Frame{First: harness.Fin | harness.OpText, Payload: []byte(version)})
		return func(next string) {
			t.Helper()
			ws.ExpectClose(1012, "service restart")
			harness.Eventually(t, "version "+next+" serves alone", func() bool {
				for range 20 {
					if s.Get("/version") != next {
						return false
					}
				}
				return true
			})
			if r := idle.Do(t, "GET", "/version", ""); r.Body != next {
				t.Errorf("on a connection that was idle: %v, want version %s", r, next)
			}
			k.Progress(20)
			o.Progress(20)
			g.Release()
			stream.ExpectChunks(t, version, "")
		}
	}

	old := s.PID()
	leave := hold("0")
	s.WriteFile("webapp.py", asgiVersioned("1"))
	u := upgrade(s, 2)
	s.Signal(syscall.SIGWINCH)
	leave("1")
	workersOf(s, old, 0)

	// Rollback.
	leave = hold("1")
	s.WriteFile("webapp.py", asgiVersioned("2"))
	s.Signal(syscall.SIGHUP)
	workersOf(s, old, 2)
	harness.Kill(t, u.successor, syscall.SIGTERM)
	leave("2")
	harness.WaitGone(t, u.successor)
	harness.Eventually(t, "the successor's pid file is gone", func() bool { return s.ReadFile("srv.pid.2") == "" })

	// TERM alone hands over.
	leave = hold("2")
	s.WriteFile("webapp.py", asgiVersioned("3"))
	u = upgrade(s, 2)
	s.Signal(syscall.SIGTERM)
	leave("3")
	harness.WaitGone(t, old)
	u.become()
	harness.ExpectNoneLost(t, k, o)
	s.Terminate()
}

func TestUpgradeLosesNoIdleConnection(t *testing.T) {
	t.Parallel()
	// They are handed to the successor's front, and back in a rollback.
	s := harness.Start(t, harness.Options{App: "echo:app", Daemon: true})
	clients := make([]*harness.Client, 50)
	for i := range clients {
		clients[i] = s.Client()
		clients[i].Do(t, "GET", "/first", "")
	}
	check := func(when string) {
		t.Helper()
		for i, c := range clients {
			if harness.ClosedByPeer(c) {
				t.Fatalf("%s: connection %d was closed", when, i)
			}
			c.Do(t, "GET", "/"+strings.ReplaceAll(when, " ", "-"), "")
		}
	}
	old := s.PID()
	u := upgrade(s, 1)
	s.Signal(syscall.SIGWINCH)
	workersOf(s, old, 0)
	check("after WINCH")
	s.Signal(syscall.SIGHUP)
	workersOf(s, old, 1)
	harness.Kill(t, u.successor, syscall.SIGTERM)
	harness.WaitGone(t, u.successor)
	check("after the rollback")
	u = upgrade(s, 1)
	s.Signal(syscall.SIGTERM)
	harness.WaitGone(t, old)
	u.become()
	check("after the upgrade")
	s.Terminate()
}

func TestUpgradeInTheForeground(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "gated:app", Args: []string{"--pid", "srv.pid", "--threads", "2"}})
	m := inFlight(s)
	u := upgrade(s, 1)
	s.Signal(syscall.SIGWINCH) // counts, since a successor is alive
	k := s.Begin("/")
	k.Expect(200)
	m.run.Release()
	m.flight.Expect(200)
	workersOf(s, s.PID(), 0)
	s.Signal(syscall.SIGTERM)
	if code := s.Exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	u.become()
	s.Log.Expect(t, `Master has been promoted\.$`)
	s.Get("/")
	harness.Kill(t, u.successor, syscall.SIGTERM)
	harness.WaitGone(t, u.successor)
	harness.Eventually(t, "every process has ended", func() bool { return len(s.Tree()) == 0 })
}

func TestBothMastersReload(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "echo:app", Daemon: true})
	u := upgrade(s, 1)
	k, o := s.BothLoads(2)
	before := workersOf(s, u.successor, 1)
	harness.Kill(t, u.successor, syscall.SIGHUP)
	harness.WaitGone(t, before[0])
	workersOf(s, u.successor, 1)
	before = workersOf(s, s.PID(), 1)
	s.Signal(syscall.SIGHUP) // with its workers still there: a reload like any other
	harness.WaitGone(t, before[0])
	workersOf(s, s.PID(), 1)
	harness.Kill(t, u.successor, syscall.SIGTTIN)
	workersOf(s, u.successor, 2)
	k.Progress(20)
	harness.Kill(t, u.successor, syscall.SIGTERM)
	harness.WaitGone(t, u.successor)
	harness.ExpectNoneLost(t, k, o)
	s.Terminate()
}

func TestUpgradeKeepsUnixSocket(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "echo:app", Daemon: true, Bind: []string{"unix:DIR/web.sock"}})
	k, o := s.BothLoads(2)
	old := s.PID()
	u := upgrade(s, 1)
	harness.Kill(t, u.successor, syscall.SIGTERM)
	harness.WaitGone(t, u.successor)
	k.Progress(20)
	o.Progress(20)
	u = upgrade(s, 1)
	s.Signal(syscall.SIGTERM)
	harness.WaitGone(t, old)
	u.become()
	k.Progress(20)
	o.Progress(20)
	harness.ExpectNoneLost(t, k, o)
	s.Terminate()
}

func TestUpgradeHooks(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "echo:app", Daemon: true, Conf: "def pre_exec(server):\n    server.log.info('hook pre_exec')\n"})
	u := upgrade(s, 1)
	s.Log.Expect(t, "hook pre_exec")
	harness.Kill(t, u.successor, syscall.SIGTERM)
	harness.WaitGone(t, u.successor)
	s.Terminate()
}

func TestUpgradeStartsFromTheOriginalEnvironment(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{
		App: "webapp:app", Daemon: true, Conf: "raw_env = ['ADDED=1']\n",
		Files: map[string]string{"webapp.py": `import json, os
def app(environ, start_response):
    start_response("200 OK", [])
    return [json.dumps(dict(os.environ)).encode()]
`},
	})
	var before, after map[string]string
	harness.Must(t, json.Unmarshal([]byte(s.Get("/")), &before))
	s.WriteFile("gunicorn.conf.py", "\n")
	old := s.PID()
	u := upgrade(s, 1)
	s.Signal(syscall.SIGTERM)
	harness.WaitGone(t, old)
	u.become()
	harness.Must(t, json.Unmarshal([]byte(s.Get("/")), &after))
	if before["ADDED"] != "1" {
		t.Error("raw_env does not reach the app")
	}
	delete(before, "ADDED")
	if fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("the environment was\n%v\nand is\n%v", before, after)
	}
	s.Terminate()
}
