//go:build linux

package test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// install copies the server to where an upgrade can replace it.
func install(t testing.TB) (path string, replace func()) {
	t.Helper()
	if len(other) > 0 {
		return other[0], func() {}
	}
	built := command(t)[0]
	path = filepath.Join(tempDir(t), "indrik")
	replace = func() {
		t.Helper()
		if out, err := exec.Command("cp", built, path+".new").CombinedOutput(); err != nil {
			t.Fatalf("cp: %v: %s", err, out)
		}
		must(t, os.Rename(path+".new", path))
	}
	replace()
	return path, replace
}

// upgraded is a server with a successor.
type upgraded struct {
	*server
	successor int // pid of the new master
}

// upgrade sends USR2 and waits until the successor has n workers.
func (s *server) upgrade(n int) *upgraded {
	s.t.Helper()
	before := s.read("srv.pid.2") // of one that was killed
	s.signal(syscall.SIGUSR2)
	return s.successor(before, n)
}

// successor waits until one whose pid file is not that of before has n workers.
func (s *server) successor(before string, n int) *upgraded {
	s.t.Helper()
	eventually(s.t, "there is a successor", func() bool { return s.read("srv.pid.2") != before })
	u := &upgraded{s, s.waitPidFile("srv.pid.2")}
	u.workersOf(u.successor, n)
	return u
}

// workersOf waits until a master has n workers. Each is a grandchild or deeper
// of its master, so it is told by the way up.
func (s *server) workersOf(master, n int) []int {
	s.t.Helper()
	var pids []int
	eventually(s.t, fmt.Sprintf("master %d has %d workers", master, n), func() bool {
		pids = pids[:0]
		for _, p := range s.role("worker") {
			if masterOf(p) == master {
				pids = append(pids, p.pid)
			}
		}
		return len(pids) == n
	})
	return pids
}

// masterOf climbs to the first ancestor that is a master.
func masterOf(p proc) int {
	for p.ppid > 1 {
		parent, ok := readProc(p.ppid)
		if !ok {
			return 0
		}
		if strings.Contains(parent.title, ": master [") {
			return parent.pid
		}
		p = parent
	}
	return 0
}

// become makes a successor the server that the test is about.
func (u *upgraded) become() {
	u.t.Helper()
	eventually(u.t, "the pid file names the successor", func() bool {
		return strings.TrimSpace(u.read("srv.pid")) == fmt.Sprint(u.successor)
	})
	u.server.master = u.successor
}

func (s *server) title(pid int) string {
	p, _ := readProc(pid)
	return p.title
}

func TestUpgrade(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"--workers 2", "--threads 4 --workers 2", "--workers 2 --preload"} {
		t.Run(args, func(t *testing.T) {
			binary, replace := install(t)
			s := start(t, options{
				app: "webapp:app", daemon: true, args: strings.Fields(args), binary: binary,
				conf:  "raw_env = ['CONFIG=old']\n",
				files: map[string]string{"webapp.py": versioned("old")},
			})
			k, o := s.bothLoads(4)

			// Rollback: the old master gives back what it had, whatever
			// the files say by now.
			replace()
			s.write("webapp.py", versioned("new"))
			u := s.upgrade(2)
			old := s.pid()
			if same(old, u.successor) {
				t.Error("the successor does not run the new binary")
			}
			if got := s.title(u.successor); got != name()+": master [webapp:app.2]" {
				t.Errorf("title of the successor: %q", got)
			}
			for _, pid := range s.workersOf(u.successor, 2) {
				eventually(t, "the worker has its title", func() bool { return s.title(pid) == name()+": worker [webapp:app.2]" })
			}
			k.progress(50)
			o.progress(50)
			s.signal(syscall.SIGWINCH)
			s.workersOf(old, 0)
			k.progress(50)
			o.progress(50)
			if got := s.get("/version"); got != "new" {
				t.Errorf("after WINCH version %s serves", got)
			}
			s.write("gunicorn.conf.py", "workers = 'broken'\nthis is no Python\n")
			s.write("webapp.py", "raise RuntimeError('must not be needed')\n")
			if strings.Contains(args, "preload") {
				s.signal(syscall.SIGHUP)
				s.workersOf(old, 2)
			} else {
				s.write("webapp.py", versioned("old"))
				s.signal(syscall.SIGHUP)
				s.workersOf(old, 2)
			}
			k.progress(50)
			kill(t, u.successor, syscall.SIGTERM)
			waitGone(t, u.successor)
			eventually(t, "the successor's pid file is gone", func() bool { return s.read("srv.pid.2") == "" })
			k.progress(50)
			o.progress(50)
			if got := s.get("/version"); got != "old" {
				t.Errorf("after the rollback version %s serves", got)
			}
			if got := strings.TrimSpace(s.read("srv.pid")); got != fmt.Sprint(old) {
				t.Errorf("the pid file names %s, want %d", got, old)
			}

			// The upgrade proper.
			s.write("gunicorn.conf.py", "raw_env = ['CONFIG=new']\n")
			s.write("webapp.py", versioned("newer"))
			u = s.upgrade(2)
			s.signal(syscall.SIGWINCH)
			s.workersOf(old, 0)
			k.progress(50)
			s.signal(syscall.SIGTERM)
			waitGone(t, old)
			u.become()
			s.log.expect(t, fmt.Sprintf(`\[%d\] \[INFO\] Master has been promoted\.$`, u.successor))
			if s.read("srv.pid.2") != "" {
				t.Error("srv.pid.2 is still there")
			}
			for role, n := range map[string]int{"master": 1, "front": 1, "spawner": 1, "worker": 2} {
				eventually(t, "the "+role+" has lost its .2", func() bool {
					found := s.role(role)
					for _, p := range found {
						if p.title != name()+": "+role+" [webapp:app]" {
							return false
						}
					}
					return len(found) == n
				})
			}
			k.progress(50)
			o.progress(50)
			if got := s.get("/version"); got != "newer" {
				t.Errorf("after the upgrade version %s serves", got)
			}

			// And again, without WINCH: TERM alone hands over.
			s.write("webapp.py", versioned("newest"))
			old = s.pid()
			u = s.upgrade(2)
			s.signal(syscall.SIGTERM)
			waitGone(t, old)
			u.become()
			k.progress(50)
			o.progress(50)
			if got := s.get("/version"); got != "newest" {
				t.Errorf("after the second upgrade version %s serves", got)
			}
			s.reload(2)
			expectNoneLost(t, k, o)
			s.terminate()
		})
	}
}

// same says whether two processes run the same file.
func same(a, b int) bool {
	if len(other) > 0 {
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
	s := start(t, options{
		app: "webapp:app", daemon: true, files: map[string]string{"webapp.py": asgiVersioned("0")},
		args: []string{"--workers", "2", "--graceful-timeout", "100", "--websocket-drain-max", "1", "--websocket-drain-window", "1"},
	})
	k, o := s.bothLoads(1)
	idle := s.client()
	// hold begins both with the version that serves. What it returns is called
	// when their master is told to leave.
	hold := func(version string) (leave func(next string)) {
		t.Helper()
		g := s.gate(version)
		stream := openStream(t, s, version, version)
		g.entered()
		ws := s.socket("/echo")
		ws.sendFrame(fin|opText, version)
		ws.expect(frame{fin | opText, []byte(version)})
		return func(next string) {
			t.Helper()
			ws.expectClose(1012, "service restart")
			eventually(t, "version "+next+" serves alone", func() bool {
				for range 20 {
					if s.get("/version") != next {
						return false
					}
				}
				return true
			})
			if r := idle.do(t, "GET", "/version", ""); r.body != next {
				t.Errorf("on a connection that was idle: %v, want version %s", r, next)
			}
			k.progress(20)
			o.progress(20)
			g.release()
			stream.expectChunks(t, version, "")
		}
	}

	old := s.pid()
	leave := hold("0")
	s.write("webapp.py", asgiVersioned("1"))
	u := s.upgrade(2)
	s.signal(syscall.SIGWINCH)
	leave("1")
	s.workersOf(old, 0)

	// Rollback.
	leave = hold("1")
	s.write("webapp.py", asgiVersioned("2"))
	s.signal(syscall.SIGHUP)
	s.workersOf(old, 2)
	kill(t, u.successor, syscall.SIGTERM)
	leave("2")
	waitGone(t, u.successor)
	eventually(t, "the successor's pid file is gone", func() bool { return s.read("srv.pid.2") == "" })

	// TERM alone hands over.
	leave = hold("2")
	s.write("webapp.py", asgiVersioned("3"))
	u = s.upgrade(2)
	s.signal(syscall.SIGTERM)
	leave("3")
	waitGone(t, old)
	u.become()
	expectNoneLost(t, k, o)
	s.terminate()
}

func TestUpgradeLosesNoIdleConnection(t *testing.T) {
	t.Parallel()
	// They are handed to the successor's front, and back in a rollback.
	s := start(t, options{app: "echo:app", daemon: true})
	clients := make([]*client, 50)
	for i := range clients {
		clients[i] = s.client()
		clients[i].do(t, "GET", "/first", "")
	}
	check := func(when string) {
		t.Helper()
		for i, c := range clients {
			if closedByPeer(c) {
				t.Fatalf("%s: connection %d was closed", when, i)
			}
			c.do(t, "GET", "/"+strings.ReplaceAll(when, " ", "-"), "")
		}
	}
	old := s.pid()
	u := s.upgrade(1)
	s.signal(syscall.SIGWINCH)
	s.workersOf(old, 0)
	check("after WINCH")
	s.signal(syscall.SIGHUP)
	s.workersOf(old, 1)
	kill(t, u.successor, syscall.SIGTERM)
	waitGone(t, u.successor)
	check("after the rollback")
	u = s.upgrade(1)
	s.signal(syscall.SIGTERM)
	waitGone(t, old)
	u.become()
	check("after the upgrade")
	s.terminate()
}

func TestUpgradeInTheForeground(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "gated:app", args: []string{"--pid", "srv.pid", "--threads", "2"}})
	m := inFlight(s)
	u := s.upgrade(1)
	s.signal(syscall.SIGWINCH) // counts, since a successor is alive
	k := s.begin("/")
	k.expect(200)
	m.run.release()
	m.flight.expect(200)
	s.workersOf(s.pid(), 0)
	s.signal(syscall.SIGTERM)
	if code := s.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	u.become()
	s.log.expect(t, `Master has been promoted\.$`)
	s.get("/")
	kill(t, u.successor, syscall.SIGTERM)
	waitGone(t, u.successor)
	eventually(t, "every process has ended", func() bool { return len(s.tree()) == 0 })
}

// TestPauseAfterARollback: requests have the whole of graceful_timeout, also if one from
// an earlier WINCH ends meanwhile.
func TestPauseAfterARollback(t *testing.T) {
	t.Parallel()
	const graceful = 3 * time.Second
	s := start(t, options{app: "gated:app", args: []string{"--pid", "srv.pid", "--graceful-timeout", "3"}})
	u := s.upgrade(1)
	began := time.Now()
	s.signal(syscall.SIGWINCH)
	s.workersOf(s.pid(), 0)
	s.signal(syscall.SIGHUP)
	s.workersOf(s.pid(), 1)
	time.Sleep(time.Until(began.Add(graceful - time.Second)))
	fronts := s.role("front")
	front := fronts[slices.IndexFunc(fronts, func(p proc) bool { return masterOf(p) == u.successor })].pid
	kill(t, front, syscall.SIGSTOP) // so that the old one gets the request
	m := inFlight(s)
	kill(t, front, syscall.SIGCONT)
	s.signal(syscall.SIGWINCH)
	time.Sleep(time.Until(began.Add(graceful + time.Second/2)))
	m.run.release()
	m.flight.expect(200)
	s.workersOf(s.pid(), 0)
	kill(t, u.successor, syscall.SIGKILL)
	s.workersOf(s.pid(), 1)
	s.terminate()
}

func TestRollbackAfterKill(t *testing.T) {
	t.Parallel()
	// The new master does not react to TERM and QUIT: KILL ends it, and what
	// it had started ends too.
	s := start(t, options{app: "echo:app", daemon: true, args: []string{"--workers", "2"}})
	u := s.upgrade(2)
	kill(t, u.successor, syscall.SIGKILL)
	waitGone(t, u.successor)
	eventually(t, "only the old processes are left", func() bool {
		return len(s.role("worker")) == 2 && len(s.role("front")) == 1 && len(s.role("spawner")) == 1
	})
	s.workersOf(s.pid(), 2)
	s.get("/")
	u = s.upgrade(2) // and it can be tried again
	kill(t, u.successor, syscall.SIGQUIT)
	waitGone(t, u.successor)
	eventually(t, "the successor's pid file is gone", func() bool { return s.read("srv.pid.2") == "" })
	s.get("/")
	s.terminate()
}

func TestUpgradeRightAfterARollback(t *testing.T) {
	t.Parallel()
	// USR2 reaches the old master before the news that its successor has ended.
	s := start(t, options{app: "echo:app", daemon: true})
	u := s.upgrade(1)
	s.signal(syscall.SIGSTOP)
	kill(t, u.successor, syscall.SIGTERM)
	waitGone(t, u.successor)
	before := s.read("srv.pid.2")
	s.signal(syscall.SIGUSR2)
	s.signal(syscall.SIGCONT)
	u = s.successor(before, 1)
	kill(t, u.successor, syscall.SIGTERM)
	waitGone(t, u.successor)
	s.get("/")
	s.terminate()
}

func TestUpgradeAfterTheOldMasterWasKilled(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "echo:app", daemon: true})
	old := s.pid()
	u := s.upgrade(1)
	kill(t, old, syscall.SIGKILL)
	waitGone(t, old)
	u.become()
	s.log.expect(t, `Master has been promoted\.$`)
	eventually(t, "only the new processes are left", func() bool {
		return len(s.role("worker")) == 1 && len(s.role("front")) == 1 && len(s.role("spawner")) == 1
	})
	s.get("/")
	s.terminate()
}

func TestUpgradeIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "echo:app", daemon: true})
	u := s.upgrade(1)
	s.signal(syscall.SIGUSR2)
	s.log.expect(t, `\[WARNING\] USR2 signal ignored\. Child exists\.$`)
	kill(t, u.successor, syscall.SIGUSR2)
	s.log.expect(t, `\[WARNING\] USR2 signal ignored\. Parent exists\.$`)
	if n := len(s.role("master")); n != 2 {
		t.Errorf("there are %d masters", n)
	}
	kill(t, u.successor, syscall.SIGTERM)
	waitGone(t, u.successor)
	s.terminate()
}

func TestUpgradeThatFails(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]map[string]string{
		"broken config": {"gunicorn.conf.py": "this is no Python\n"},
		"broken app":    {"webapp.py": "raise RuntimeError('broken')\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, options{app: "webapp:app", daemon: true, conf: "workers = 1\n", files: map[string]string{"webapp.py": versioned("1")}})
			k, o := s.bothLoads(2)
			for file, text := range broken {
				s.write(file, text)
			}
			s.signal(syscall.SIGUSR2)
			s.log.expect(t, handling(syscall.SIGUSR2))
			s.log.expect(t, `\[ERROR\] The successor \(pid:\d+\) exited with code [13]`)
			eventually(t, "the successor has ended", func() bool { return len(s.role("master")) == 1 && s.read("srv.pid.2") == "" })
			k.progress(20)
			o.progress(20)
			s.write("gunicorn.conf.py", "workers = 1\n")
			s.write("webapp.py", versioned("2"))
			old := s.pid()
			u := s.upgrade(1)
			s.signal(syscall.SIGTERM)
			waitGone(t, old)
			u.become()
			k.progress(20)
			expectNoneLost(t, k, o)
			s.terminate()
		})
	}
}

func TestBothMastersReload(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "echo:app", daemon: true})
	u := s.upgrade(1)
	k, o := s.bothLoads(2)
	before := s.workersOf(u.successor, 1)
	kill(t, u.successor, syscall.SIGHUP)
	waitGone(t, before[0])
	s.workersOf(u.successor, 1)
	before = s.workersOf(s.pid(), 1)
	s.signal(syscall.SIGHUP) // with its workers still there: a reload like any other
	waitGone(t, before[0])
	s.workersOf(s.pid(), 1)
	kill(t, u.successor, syscall.SIGTTIN)
	s.workersOf(u.successor, 2)
	k.progress(20)
	kill(t, u.successor, syscall.SIGTERM)
	waitGone(t, u.successor)
	expectNoneLost(t, k, o)
	s.terminate()
}

func TestUpgradeKeepsUnixSocket(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "echo:app", daemon: true, bind: []string{"unix:DIR/web.sock"}})
	k, o := s.bothLoads(2)
	old := s.pid()
	u := s.upgrade(1)
	kill(t, u.successor, syscall.SIGTERM)
	waitGone(t, u.successor)
	k.progress(20)
	o.progress(20)
	u = s.upgrade(1)
	s.signal(syscall.SIGTERM)
	waitGone(t, old)
	u.become()
	k.progress(20)
	o.progress(20)
	expectNoneLost(t, k, o)
	s.terminate()
}

func TestUpgradeHooks(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "echo:app", daemon: true, conf: "def pre_exec(server):\n    server.log.info('hook pre_exec')\n"})
	u := s.upgrade(1)
	s.log.expect(t, "hook pre_exec")
	kill(t, u.successor, syscall.SIGTERM)
	waitGone(t, u.successor)
	s.terminate()
}

func TestUpgradeStartsFromTheOriginalEnvironment(t *testing.T) {
	t.Parallel()
	s := start(t, options{
		app: "webapp:app", daemon: true, conf: "raw_env = ['ADDED=1']\n",
		files: map[string]string{"webapp.py": `import json, os
def app(environ, start_response):
    start_response("200 OK", [])
    return [json.dumps(dict(os.environ)).encode()]
`},
	})
	var before, after map[string]string
	must(t, json.Unmarshal([]byte(s.get("/")), &before))
	s.write("gunicorn.conf.py", "\n")
	old := s.pid()
	u := s.upgrade(1)
	s.signal(syscall.SIGTERM)
	waitGone(t, old)
	u.become()
	must(t, json.Unmarshal([]byte(s.get("/")), &after))
	if before["ADDED"] != "1" {
		t.Error("raw_env does not reach the app")
	}
	delete(before, "ADDED")
	if fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("the environment was\n%v\nand is\n%v", before, after)
	}
	s.terminate()
}
