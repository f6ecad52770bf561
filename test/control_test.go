//go:build linux

package test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"indrik/test/harness"
)

// indrik runs a sub-command in the directory of a server.
func indrik(t *testing.T, s *harness.Server, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.Command(harness.Command(t)[0], args...)
	cmd.Dir = s.Dir
	cmd.Env = append(harness.BinaryEnv(), "INDRIK_CONTROL_SOCKET=srv.ctl")
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// done runs a sub-command that has to succeed, and returns what it prints.
func done(t *testing.T, s *harness.Server, args ...string) string {
	t.Helper()
	out, errs, code := indrik(t, s, args...)
	if code != 0 || errs != "" {
		t.Fatalf("indrik %s: exit code %d, %s%s", strings.Join(args, " "), code, out, errs)
	}
	return out
}

// A serverStatus is what tests look at of `indrik status --json`.
type serverStatus struct {
	State      string
	Role       string
	PID        int
	App        string
	Generation int
	Target     int
	Successor  int
	Listeners  []struct{ Address string }
	Workers    []struct {
		PID, Age, Generation, Requests, Errors int
		Kind, Speed, State                     string
		RSS, PSS                               int64
		InFlight                               int `json:"in_flight"`
		Running                                []struct {
			Method, Path, Client string
			Seconds              float64
		}
	}
	Front *struct {
		PID         int
		Queue       struct{ Length, Refused int }
		Connections struct{ Total, Idle, Running int }
		Quarantine  []struct {
			Client, Path string
			Refused      int
		}
		Quarantines int
	}
	LastReload *struct {
		OK     bool
		Reason string
	} `json:"last_reload"`
	LastReloads []struct{ OK bool } `json:"last_reloads"`
	Deaths      []struct {
		PID           int
		Cause, Reason string
		Running       []struct{ Method, Path string }
	}
	DeathsByCause map[string]int `json:"deaths_by_cause"`
	Recycled      map[string]int
	WouldRecycle  map[string]int `json:"would_recycle"`
	Canary        *struct {
		New, Old struct{ Requests, Failed int }
	}
	Canaries struct {
		WouldFail int `json:"would_fail"`
	}
	Scale         *struct{ Least, Most, Grown, Shrunk int }
	Reforks       int
	FailedReforks int `json:"failed_reforks"`
}

func statusOf(t *testing.T, s *harness.Server, args ...string) serverStatus {
	t.Helper()
	var st serverStatus
	if err := json.Unmarshal([]byte(done(t, s, append([]string{"status", "--json"}, args...)...)), &st); err != nil {
		t.Fatal(err)
	}
	return st
}

// What status tells adds up to what clients have done.
func TestStatus(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{
		App: "gated:app", Args: []string{"--workers", "2", "--control-socket", "srv.ctl", "--queue-limit", "5"},
		Files: map[string]string{"gated.py": harness.TestFile(t, "apps/gated.py"), "gate.py": harness.TestFile(t, "apps/gate.py")},
		Gates: []string{"first", "second"},
	})
	workers := s.Workers(2)
	requests := func(st serverStatus) (n int) {
		for _, w := range st.Workers {
			n += w.Requests
		}
		return n
	}
	harness.Eventually(t, "the probe is counted", func() bool { return requests(statusOf(t, s)) == 1 })
	idle := s.Client()
	for range 20 {
		idle.Do(t, "GET", "/", "")
	}
	first, second := s.Begin("/first?secret=1"), s.Begin("/second")
	s.Gates["first"].Entered()
	s.Gates["second"].Entered()
	third := s.Begin("/")
	var st serverStatus
	harness.Eventually(t, "a request waits, and the others are counted", func() bool {
		st = statusOf(t, s)
		return st.Front != nil && st.Front.Queue.Length == 1 && st.Front.Connections.Total == 4 && len(st.Workers) == 2 && requests(st) == 1+20
	})
	if st.State != "running" || st.PID != s.PID() || st.App != "gated:app" || st.Generation != 1 || st.Target != 2 || st.Role != "master" {
		t.Errorf("status: %+v", st)
	}
	if len(st.Listeners) != 1 || st.Listeners[0].Address != s.Address {
		t.Errorf("listeners %v", st.Listeners)
	}
	var running []string
	for _, w := range st.Workers {
		if w.State != "ready" || w.Kind != "sync" || w.PSS <= 0 || w.RSS < w.PSS || w.InFlight != 1 {
			t.Errorf("worker: %+v", w)
		}
		if w.PID != workers[0] && w.PID != workers[1] {
			t.Errorf("pid %d is none of %v", w.PID, workers)
		}
		for _, r := range w.Running {
			running = append(running, r.Method+" "+r.Path+" "+r.Client)
			if r.Seconds < 0 {
				t.Errorf("%s runs for %v s", r.Path, r.Seconds)
			}
		}
	}
	if text := strings.Join(running, ", "); len(running) != 2 || !strings.Contains(text, "GET /first 127.0.0.1") || !strings.Contains(text, "GET /second 127.0.0.1") {
		t.Errorf("running: %s", text)
	}
	if c := st.Front.Connections; c.Idle != 1 || c.Running != 3 || c.Total != 4 {
		t.Errorf("connections: %+v", c)
	}
	text := done(t, s, "status")
	for _, want := range []string{"is running", "Listening at " + s.Address, "Queue: 1 waiting", "4, 1 idle, 3 waiting for a response", "runs GET /first for ", "Workers: 2 of 2"} {
		if !strings.Contains(text, want) {
			t.Errorf("the text lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "secret") {
		t.Errorf("the text has a query:\n%s", text)
	}
	// The pid file names the server as well as its socket.
	s.WriteFile("pid", fmt.Sprintln(s.PID()))
	if st := statusOf(t, s, "-p", "pid"); st.PID != s.PID() {
		t.Errorf("-p: %+v", st)
	}
	for _, g := range s.Gates {
		g.Release()
	}
	for _, p := range []*harness.Pending{first, second, third} {
		p.Expect(200)
	}
	s.Terminate()
}

// A death is kept with what the worker ran.
func TestStatusOfDeaths(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{
		App: "gated:app", Args: []string{"--control-socket", "srv.ctl"}, Gates: []string{"held"},
		Files: map[string]string{"gated.py": harness.TestFile(t, "apps/gated.py"), "gate.py": harness.TestFile(t, "apps/gate.py")},
	})
	pid := s.Workers(1)[0]
	held := s.Begin("/held")
	s.Gates["held"].Entered()
	harness.Kill(t, pid, syscall.SIGKILL)
	held.Expect(502)
	s.Gates["held"].Release()
	var st serverStatus
	harness.Eventually(t, "the death is told", func() bool {
		st = statusOf(t, s)
		return len(st.Deaths) == 1
	})
	if d := st.Deaths[0]; d.PID != pid || d.Reason != "was sent SIGKILL" || len(d.Running) != 1 || d.Running[0].Path != "/held" {
		t.Errorf("death: %+v", d)
	}
	if d := st.Deaths[0]; st.DeathsByCause[d.Cause] != 1 || d.Cause != "signal" && d.Cause != "oom" {
		t.Errorf("cause %q of %v", d.Cause, st.DeathsByCause)
	}
	s.Terminate()
}

// Each command waits until it is done, and says what came of it.
func TestSubcommands(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{
		App: "webapp:app", Args: []string{"--workers", "2", "--control-socket", "srv.ctl", "--error-logfile", "err.log"},
		Files: map[string]string{"webapp.py": versioned("1")},
	})
	k, o := s.BothLoads(2)
	s.WriteFile("webapp.py", versioned("2"))
	if out := done(t, s, "reload"); !strings.Contains(out, "generation 2 serves, with 2 workers") {
		t.Errorf("reload: %s", out)
	}
	statusOf(t, s) // the front answers after what it was told before
	if got := s.Get("/version"); got != "2" {
		t.Errorf("after reload the app is version %s", got)
	}
	s.WriteFile("webapp.py", "raise ValueError('broken for a test')\n")
	out, errs, code := indrik(t, s, "reload")
	if code != 1 || out != "" || !strings.Contains(errs, "Reload failed, nothing was changed") || !strings.Contains(errs, "ValueError: broken for a test") {
		t.Errorf("a reload that fails: exit code %d, %s%s", code, out, errs)
	}
	if st := statusOf(t, s); st.LastReload == nil || st.LastReload.OK || !strings.Contains(st.LastReload.Reason, "broken for a test") {
		t.Errorf("after it: %+v", st.LastReload)
	} else if l := st.LastReloads; len(l) != 2 || l[0].OK || !l[1].OK {
		t.Errorf("the last reloads: %+v", l)
	}
	s.WriteFile("webapp.py", versioned("3"))
	done(t, s, "scale", "4")
	if st := statusOf(t, s); len(st.Workers) != 4 || st.Target != 4 {
		t.Errorf("scale 4: %+v", st.Workers)
	}
	done(t, s, "scale", "1")
	st := statusOf(t, s)
	if len(st.Workers) != 1 {
		t.Fatalf("scale 1: %+v", st.Workers)
	}
	pid := st.Workers[0].PID
	done(t, s, "worker", "kill", strconv.Itoa(pid))
	if st := statusOf(t, s); len(st.Workers) != 1 || st.Workers[0].PID == pid || st.Workers[0].State != "ready" {
		t.Errorf("worker kill: %+v", st.Workers)
	}
	harness.Must(t, os.Rename(s.Path("err.log"), s.Path("old.log")))
	done(t, s, "reopen")
	harness.Eventually(t, "the log is there anew", func() bool {
		done(t, s, "reopen")
		return strings.Contains(s.ReadFile("err.log"), "Control socket: reopen")
	})
	harness.ExpectNoneLost(t, k, o)
	if out := done(t, s, "stop"); out != "stopped\n" {
		t.Errorf("stop: %s", out)
	}
	s.ExpectExit(0)
	_, errs, code = indrik(t, s, "status")
	if code != 1 || !strings.Contains(errs, "there is no control socket at srv.ctl") {
		t.Errorf("status of a server that has ended: exit code %d, %s", code, errs)
	}
}

// An upgrade by commands, a rollback, and an upgrade that is completed.
func TestUpgradeByCommands(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{
		App: "webapp:app", Daemon: true, Args: []string{"--workers", "2", "--control-socket", "srv.ctl"},
		Files: map[string]string{"webapp.py": versioned("1")},
	})
	old := s.PID()
	k, o := s.BothLoads(2)
	if _, errs, code := indrik(t, s, "rollback"); code != 1 || !strings.Contains(errs, "There is no upgrade to roll back") {
		t.Errorf("rollback without an upgrade: exit code %d, %s", code, errs)
	}
	done(t, s, "upgrade")
	st := statusOf(t, s)
	if st.Successor == 0 {
		t.Errorf("after the upgrade: %+v", st)
	}
	if st2 := statusOf(t, s, "-s", "srv.ctl.2"); st2.Role != "successor" || st2.PID != st.Successor {
		t.Errorf("the successor: %+v", st2)
	}
	if _, errs, code := indrik(t, s, "upgrade"); code != 1 || !strings.Contains(errs, "An upgrade is under way") {
		t.Errorf("a second upgrade: exit code %d, %s", code, errs)
	}
	done(t, s, "drain")
	if st := statusOf(t, s); st.State != "paused" || len(st.Workers) != 0 {
		t.Errorf("after drain: %+v", st)
	}
	k.Progress(20)
	done(t, s, "rollback")
	if st := statusOf(t, s); st.State != "running" || st.PID != old || st.Successor != 0 || len(st.Workers) != 2 {
		t.Errorf("after rollback: %+v", st)
	}
	k.Progress(20)
	done(t, s, "upgrade")
	done(t, s, "drain")
	done(t, s, "stop")
	harness.Eventually(t, "the successor has the socket", func() bool {
		out, _, code := indrik(t, s, "status", "--json")
		return code == 0 && strings.Contains(out, `"role": "master"`)
	})
	if st := statusOf(t, s); st.PID == old {
		t.Error("the old server answers")
	}
	if _, err := os.Stat(s.Path("srv.ctl.2")); err == nil {
		t.Error("the socket of the successor is still there")
	}
	harness.ExpectNoneLost(t, k, o)
	done(t, s, "stop")
	s.ExpectExit(0)
}

// The bare word is the sub-command: an app may have its name.
func TestAppNamedAsASubcommand(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "status:app", Files: map[string]string{"status.py": versioned("1")}})
	if got := s.Get("/version"); got != "1" {
		t.Errorf("the app is version %q", got)
	}
	_, errs, code := indrik(t, s, "status")
	if code != 1 || !strings.Contains(errs, "indrik status:app") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	s.Terminate()
}

// Bad input is one clear line.
func TestSubcommandErrors(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Args: []string{"--control-socket", "srv.ctl"}})
	l, err := net.Listen("unix", s.Path("other.sock"))
	harness.Must(t, err)
	l.(*net.UnixListener).SetUnlinkOnClose(true)
	l.Close()
	s.WriteFile("empty", "")
	s.WriteFile("pid", fmt.Sprintln(os.Getpid()))
	for command, want := range map[string]struct {
		code int
		text string
	}{
		"status -s nothing.ctl":    {1, "there is no control socket at nothing.ctl"},
		"status -p nothing.pid":    {1, "nothing.pid"},
		"status -p empty":          {1, "empty holds no pid"},
		"status -p pid":            {1, "has no control socket that this user may use"},
		"status -p pid -s srv.ctl": {1, "not both"},
		"status extra":             {2, "Usage: indrik status"},
		"status --jsno":            {2, "flag provided but not defined: -jsno"},
		"scale":                    {2, "Usage: indrik scale N"},
		"scale many":               {1, `"many" is not a number from 1 on`},
		"scale 0":                  {1, `"0" is not a number from 1 on`},
		"scale 1000000":            {1, "1000000 workers are more than 10000"},
		"worker end 1":             {2, "Usage: indrik worker kill PID"},
		"worker kill 1":            {1, "Worker 1 not found"},
		"drain":                    {1, "There is no successor to take over"},
		"rollback":                 {1, "There is no upgrade to roll back"},
	} {
		out, errs, code := indrik(t, s, strings.Fields(command)...)
		if code != want.code || out != "" || !strings.Contains(errs, want.text) {
			t.Errorf("indrik %s: exit code %d, %s%s", command, code, out, errs)
		}
	}
	if st := statusOf(t, s); st.State != "running" || st.Target != 1 {
		t.Errorf("after all that: %+v", st)
	}
	s.Terminate()
}

// A socket that cannot be made is a warning, and no reason not to serve; what is there stays.
func TestControlSocketThatCannotBeMade(t *testing.T) {
	t.Parallel()
	dir := harness.TempDir(t)
	live := filepath.Join(dir, "live.ctl")
	l, err := net.Listen("unix", live)
	harness.Must(t, err)
	defer l.Close()
	plain := filepath.Join(dir, "plain.ctl")
	harness.Must(t, os.WriteFile(plain, []byte("precious"), 0o600))
	for path, want := range map[string]string{
		live:                           "address already in use",
		plain:                          "is not a socket",
		filepath.Join(dir, "no/x.ctl"): "no such file or directory",
		"/" + strings.Repeat("x", 200): "AF_UNIX path too long",
	} {
		s := harness.Start(t, harness.Options{Args: []string{"--control-socket", path}})
		s.Log.Expect(t, `\[WARNING\] There is no control socket: .*`+want)
		s.Terminate()
	}
	if c, err := net.Dial("unix", live); err != nil {
		t.Errorf("the live socket: %v", err)
	} else {
		c.Close()
	}
	if text, err := os.ReadFile(plain); string(text) != "precious" {
		t.Errorf("the file: %q, %v", text, err)
	}
}

// A stale socket is replaced, systemd's directory is used, and reloads move the socket.
func TestControlSocketPlaces(t *testing.T) {
	t.Parallel()
	dir := harness.TempDir(t)
	stale, err := net.Listen("unix", filepath.Join(dir, "indrik.ctl"))
	harness.Must(t, err)
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	stale.Close()
	s := harness.Start(t, harness.Options{Env: []string{"RUNTIME_DIRECTORY=" + dir + ":/elsewhere"}, Conf: "workers = 1\n", Args: []string{"--log-level", "debug"}})
	if st := statusOf(t, s, "-s", filepath.Join(dir, "indrik.ctl")); st.PID != s.PID() {
		t.Errorf("in RUNTIME_DIRECTORY: %+v", st)
	}
	if st, err := os.Stat(filepath.Join(dir, "indrik.ctl")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("its mode: %v, %v", st, err)
	}
	s.WriteFile("gunicorn.conf.py", "workers = 1\ncontrol_socket = 'moved.ctl'\ncontrol_socket_mode = 0o660\n")
	done(t, s, "reload", "-s", filepath.Join(dir, "indrik.ctl"))
	if st := statusOf(t, s, "-s", "moved.ctl"); st.Generation != 2 {
		t.Errorf("after the reload: %+v", st)
	}
	if st, err := os.Stat(s.Path("moved.ctl")); err != nil || st.Mode().Perm() != 0o660 {
		t.Errorf("its mode: %v, %v", st, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "indrik.ctl")); err == nil {
		t.Error("the socket before it is still there")
	}
	s.WriteFile("gunicorn.conf.py", "workers = 1\ncontrol_socket = 'moved.ctl'\ncontrol_socket_disable = True\n")
	s.Reload(1)
	harness.Eventually(t, "the socket is gone", func() bool { _, err := os.Stat(s.Path("moved.ctl")); return err != nil })
	s.Terminate()
}

// The app's code gives no commands, though it runs as the user that may.
func TestControlSocketAndTheApp(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{
		App: "commanding:app", Args: []string{"--control-socket", "srv.ctl"},
		Files: map[string]string{"commanding.py": harness.TestFile(t, "apps/commanding.py")},
	})
	for _, target := range []string{"/own", "/child", "/orphan"} {
		if got := s.Get(target); !strings.Contains(got, "takes no commands from the server's own processes") {
			t.Errorf("%s: %s", target, got)
		}
	}
	if st := statusOf(t, s); st.State != "running" || st.Generation != 1 {
		t.Errorf("after all that: %+v", st)
	}
	s.Terminate()
}

// Only root and the user that started the server give commands.
func TestControlSocketOfAnotherUser(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can be another user")
	}
	s := harness.Start(t, harness.Options{Args: []string{"--control-socket", "srv.ctl", "--control-socket-mode", "0o666", "--user", "65534", "--group", "65534"}})
	for uid, want := range map[uint32]string{65534: "not from uid 65534", 4321: "not from uid 4321"} {
		cmd := exec.Command(harness.SystemPython(), "-c", `
import json, socket, struct, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
body = json.dumps({"id": 1, "command": "shutdown", "args": []}).encode()
s.sendall(struct.pack(">I", len(body)) + body)
answer = s.makefile("rb")
print(answer.read(struct.unpack(">I", answer.read(4))[0]).decode())
`, s.Path("srv.ctl"))
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("uid %d: %s%v", uid, out, err)
		}
	}
	if st := statusOf(t, s); st.State != "running" {
		t.Errorf("after all that: %+v", st)
	}
	s.Terminate()
}

// Gunicorn's own tool works with all kinds of workers, before and after a reload.
func TestGunicornc(t *testing.T) {
	t.Parallel()
	gunicornc := filepath.Join(filepath.Dir(harness.Venv(t)), "gunicornc")
	for _, kind := range []string{"sync", "gthread", "gevent"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := harness.Start(t, harness.Options{
				Python: harness.Venv(t), Args: []string{"-k", kind, "--workers", "2", "--control-socket", "srv.ctl", "--log-level", "debug"},
			})
			run := func(command string) string {
				t.Helper()
				return harness.Output(t, s.Dir, os.Environ(), gunicornc, "-s", "srv.ctl", "-c", command)
			}
			pids := s.Workers(2)
			for command, wants := range map[string][]string{
				"show all":       {"ARBITER (master)", fmt.Sprint("PID: ", s.PID()), "WEB WORKERS (2)", fmt.Sprint(pids[0]), "(not running)"},
				"show workers":   {fmt.Sprint(pids[0]), fmt.Sprint(pids[1]), "Total: 2 workers", "yes"},
				"show stats":     {fmt.Sprint("PID:              ", s.PID()), "Workers current:  2", "Workers target:   2", "Reloads:          0"},
				"show listeners": {s.Address, "tcp", "Total: 1 listeners"},
				"show config":    {"worker_class: " + kind, "workers: 2"},
				"show dirty":     {"Dirty arbiter not running"},
				"help":           {"worker kill <PID>", "show stats"},
				"reopen":         {"reopening"},
			} {
				out := run(command)
				for _, want := range wants {
					if !strings.Contains(out, want) {
						t.Errorf("%s lacks %q:\n%s", command, want, out)
					}
				}
			}
			if out := run("reload"); !strings.Contains(out, "reloading") {
				t.Errorf("reload: %s", out)
			}
			s.Replaced(pids, 2)
			if out := run("worker add 1"); !strings.Contains(out, `"total": 3`) {
				t.Errorf("worker add: %s", out)
			}
			s.Workers(3)
			if out := run("worker remove 2"); !strings.Contains(out, `"removed": 2`) {
				t.Errorf("worker remove: %s", out)
			}
			pid := s.Workers(1)[0]
			if out := run(fmt.Sprint("worker kill ", pid)); !strings.Contains(out, fmt.Sprint(`"killed": `, pid)) {
				t.Errorf("worker kill: %s", out)
			}
			s.Replaced([]int{pid}, 1)
			if out := run("shutdown"); !strings.Contains(out, "shutting_down") {
				t.Errorf("shutdown: %s", out)
			}
			s.ExpectExit(0)
		})
	}
}

// Many clients, garbage and clients that do nothing hold up neither each other nor the server.
func TestControlSocketUnderAttack(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{
		App: "webapp:app", Args: []string{"--control-socket", "srv.ctl"}, Files: map[string]string{"webapp.py": versioned("1")},
	})
	load := s.KeepAliveLoad(2)
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	for range 200 {
		c, err := net.DialTimeout("unix", s.Path("srv.ctl"), time.Second)
		if err != nil {
			break // its queue is full
		}
		conns = append(conns, c)
		_, _ = c.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
		_ = c.SetReadDeadline(time.Now().Add(harness.Patience))
	}
	load.Progress(50)
	for _, c := range conns {
		c.Close()
	}
	conns = nil
	harness.Eventually(t, "the socket answers again", func() bool { _, _, code := indrik(t, s, "status"); return code == 0 })
	load.ExpectNoneLost(t)
	s.Terminate()
}
