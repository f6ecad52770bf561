//go:build linux

package test

import (
	"crypto/tls"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var (
	repository string // the root of this tree
	scratch    string // a directory for what all tests share
)

func TestMain(m *testing.M) {
	dir, err := os.Getwd()
	if err != nil {
		fmt.Fprintln(os.Stderr, "test:", err)
		os.Exit(1)
	}
	repository = filepath.Dir(dir)
	scratch, err = os.MkdirTemp("", "servers-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "test:", err)
		os.Exit(1)
	}
	// Daemons come back to this process, which can then see them end.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, "test: become a subreaper:", err)
		os.Exit(1)
	}
	// The race detector has every process wait a second before it ends.
	os.Setenv("GORACE", strings.TrimSpace("atexit_sleep_ms=0 "+os.Getenv("GORACE")))
	code := m.Run()
	os.RemoveAll(scratch)
	os.Exit(code)
}

// options say how to start a server.
type options struct {
	app      string            // default hello:app
	args     []string          // after --bind
	env      []string          // added to a small fixed environment
	conf     string            // text of gunicorn.conf.py
	files    map[string]string // text by name, in the server's directory
	bind     []string          // instead of 127.0.0.1 and a free port
	daemon   bool              // with --daemon, --pid srv.pid and --error-logfile err.log
	python   string            // instead of the usual interpreter
	uid      int               // run as this user (0: as ourselves)
	extra    []*os.File        // descriptors 3 and up
	wrap     []string          // command in front of the server's
	binary   string            // instead of the built one
	noProbe  bool              // do not wait until it answers
	gates    []string          // gates that exist before the start
	mayLeave bool              // the test leaves files behind on purpose
	tls      *tls.Config       // how clients connect; see withTLS
}

// A server is a running server under test.
type server struct {
	t      testing.TB
	o      options
	dir    string
	port   int
	log    *transcript
	cmd    *exec.Cmd
	done   chan struct{} // the process that was started has ended
	master int           // of a daemon: the pid in its pid file
	stop   chan struct{}
	args   []string
	gates  map[string]*gate
}

// start runs a server and waits until it answers a request.
func start(t testing.TB, o options) *server {
	t.Helper()
	s := launch(t, o)
	if !o.noProbe {
		s.ready()
	}
	return s
}

// launch runs a server and waits for nothing.
func launch(t testing.TB, o options) *server {
	t.Helper()
	cmdline := command(t)
	if o.binary != "" {
		cmdline = []string{o.binary}
	}
	if o.app == "" {
		o.app = "hello:app"
	}
	s := &server{t: t, o: o, dir: tempDir(t), log: newTranscript(), gates: map[string]*gate{}, done: make(chan struct{}), stop: make(chan struct{})}
	must(t, os.Mkdir(filepath.Join(s.dir, "tmp"), 0o777))
	must(t, os.Chmod(filepath.Join(s.dir, "tmp"), 0o777))
	must(t, os.Mkdir(filepath.Join(s.dir, "gates"), 0o755))
	for name, text := range o.files {
		s.write(name, text)
	}
	for _, name := range o.gates {
		s.gates[name] = s.gate(name)
	}
	if o.conf != "" {
		s.write("gunicorn.conf.py", o.conf)
	}
	args := append([]string(nil), o.wrap...)
	args = append(args, cmdline...)
	if o.bind == nil {
		s.port = freePort(t)
		args = append(args, "--bind", s.addr())
	}
	for _, b := range o.bind {
		args = append(args, "--bind", strings.ReplaceAll(b, "DIR", s.dir))
	}
	if o.daemon {
		args = append(args, "--daemon", "--pid", "srv.pid", "--error-logfile", s.path("err.log"))
	}
	for _, a := range o.args {
		args = append(args, strings.ReplaceAll(a, "DIR", s.dir))
	}
	if o.app != "-" {
		args = append(args, o.app)
	}
	s.args = args
	s.cmd = exec.Command(args[0], args[1:]...)
	s.cmd.Dir = s.dir
	s.cmd.Env = s.environment()
	s.cmd.ExtraFiles = o.extra
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if o.uid != 0 {
		s.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(o.uid), Gid: uint32(o.uid)}
		must(t, os.Chown(s.dir, o.uid, o.uid))
	}
	r, w, err := os.Pipe()
	must(t, err)
	s.cmd.Stdout, s.cmd.Stderr = w, w
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("start %q: %v", args, err)
	}
	started.Store(s.cmd.Process.Pid, true)
	w.Close()
	if o.daemon {
		go func() {
			early := newTranscript()
			early.read(r)
			if text := early.String(); text != "" {
				s.log.add([]byte(text + "\n"))
			}
		}()
		go s.log.follow(s.path("err.log"), s.stop)
	} else {
		go s.log.read(r)
	}
	go func() {
		s.cmd.Wait()
		close(s.done)
	}()
	t.Cleanup(s.finish)
	if o.daemon {
		<-s.done
		if code := s.cmd.ProcessState.ExitCode(); code != 0 {
			t.Fatalf("the process that starts the daemon ended with %d", code)
		}
		s.master = s.waitPidFile("srv.pid")
	}
	return s
}

func (s *server) environment() []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "LANG=C.UTF-8", "TMPDIR=" + s.path("tmp"),
		"PYTHONPATH=" + filepath.Join(repository, "test", "apps"), "PYTHONDONTWRITEBYTECODE=1",
		"GATES=" + s.path("gates"), "PWD=" + s.dir,
		"GORACE=atexit_sleep_ms=0", // the race detector would have each process wait a second at its end
	}
	switch {
	case s.o.python == "-": // let it search
	case s.o.python != "":
		env = append(env, "INDRIK_PYTHON="+s.o.python)
	default:
		env = append(env, "INDRIK_PYTHON="+python())
	}
	for _, e := range s.o.env {
		env = append(env, strings.ReplaceAll(e, "DIR", s.dir))
	}
	return env
}

func (s *server) path(name string) string { return filepath.Join(s.dir, name) }

func (s *server) addr() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

// write makes or replaces a file in the server's directory, at once.
func (s *server) write(name, text string) {
	s.t.Helper()
	must(s.t, os.MkdirAll(filepath.Dir(s.path(name)), 0o755))
	must(s.t, os.WriteFile(s.path(name+".new"), []byte(text), 0o644))
	must(s.t, os.Rename(s.path(name+".new"), s.path(name)))
}

func (s *server) read(name string) string {
	data, _ := os.ReadFile(s.path(name))
	return string(data)
}

// ready waits until the server answers on its first address.
func (s *server) ready() {
	s.t.Helper()
	var r *response
	var err error
	eventually(s.t, "the server answers", func() bool {
		r, err = s.request("GET", "/", "")
		return err == nil || !s.running()
	})
	if err != nil || r.status >= 500 {
		s.t.Fatalf("the server does not answer: %v %v", r, err)
	}
}

// running says whether the master lives.
func (s *server) running() bool {
	if s.master != 0 {
		return alive(s.master)
	}
	select {
	case <-s.done:
		return false
	default:
		return true
	}
}

// pid is the master's.
func (s *server) pid() int {
	if s.master != 0 {
		return s.master
	}
	return s.cmd.Process.Pid
}

func (s *server) signal(sig syscall.Signal) {
	s.t.Helper()
	kill(s.t, s.pid(), sig)
}

func kill(t testing.TB, pid int, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatalf("send %v to %d: %v", sig, pid, err)
	}
}

// exit waits for the end of the master that was started, and returns its exit
// code, or 128 and the signal that ended it.
func (s *server) exit() int {
	s.t.Helper()
	select {
	case <-s.done:
	case <-time.After(patience):
		s.t.Fatalf("the server is still running after %v:\n%v", patience, s.tree())
	}
	ws := s.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}

// expectExit waits for the end of the master and of everything it started.
func (s *server) expectExit(code int) {
	s.t.Helper()
	if got := s.exit(); got != code {
		s.t.Errorf("exit code %d, want %d", got, code)
	}
	eventually(s.t, "every process has ended", func() bool { return len(s.tree()) == 0 })
	if !s.o.daemon {
		s.log.end(s.t) // what they said last may still be in the pipe
	}
}

// terminate stops the server as an operator does, and expects a clean end.
func (s *server) terminate() {
	s.t.Helper()
	s.signal(syscall.SIGTERM)
	if s.o.daemon {
		waitGone(s.t, s.pid())
		eventually(s.t, "every process has ended", func() bool { return len(s.tree()) == 0 })
		return
	}
	s.expectExit(0)
}

// tree lists the processes of the server.
func (s *server) tree() []proc {
	root := 0
	select {
	case <-s.done:
	default:
		root = s.cmd.Process.Pid
	}
	return processesUnder(s.dir, root)
}

// role lists the processes with a role: master, front, spawner or worker.
func (s *server) role(role string) []proc {
	prefix := name() + ": " + role + " ["
	var found []proc
	for _, p := range s.tree() {
		if strings.HasPrefix(p.title, prefix) && p.state != 'Z' {
			found = append(found, p)
		}
	}
	return found
}

// workers waits until a master has exactly n workers, each of which has logged
// that it boots, and returns their pids.
func (s *server) workers(n int) []int {
	s.t.Helper()
	var pids []int
	eventually(s.t, fmt.Sprintf("there are %d workers", n), func() bool {
		pids = pids[:0]
		for _, p := range s.role("worker") {
			pids = append(pids, p.pid)
		}
		return len(pids) == n
	})
	return pids
}

// replaced waits until none of the old workers is left and there are n others.
func (s *server) replaced(old []int, n int) []int {
	s.t.Helper()
	for _, pid := range old {
		waitGone(s.t, pid)
	}
	return s.workers(n)
}

// reload sends HUP to a master with n workers and waits until n others have
// taken their place.
func (s *server) reload(n int) {
	s.t.Helper()
	old := s.workers(n)
	s.signal(syscall.SIGHUP)
	s.replaced(old, n)
}

// waitPidFile waits for a pid file and returns the pid in it.
func (s *server) waitPidFile(name string) int {
	s.t.Helper()
	var pid int
	eventually(s.t, name+" names a process", func() bool {
		pid, _ = strconv.Atoi(strings.TrimSpace(s.read(name)))
		return pid != 0
	})
	return pid
}

// finish ends what is left of the server, and fails the test if anything is
// left behind after that.
func (s *server) finish() {
	t := s.t
	if len(s.tree()) > 0 {
		// A master that is just starting shows its title, and so can be told
		// from the others, only after a while.
		told := map[int]bool{}
		ended := within(patience, func() bool {
			left := s.tree()
			for _, p := range left {
				if !told[p.pid] && (strings.Contains(p.title, ": master [") || p.pid == s.cmd.Process.Pid) {
					told[p.pid] = true
					syscall.Kill(p.pid, syscall.SIGTERM)
				}
			}
			return len(left) == 0
		})
		if !ended {
			t.Errorf("still running after SIGTERM:\n%s", lines(s.tree()))
		}
		// What does not end now, is in a loop of restarts.
		for range 100 {
			left := s.tree()
			if len(left) == 0 {
				break
			}
			for _, p := range left {
				syscall.Kill(p.pid, syscall.SIGKILL)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	<-s.done
	close(s.stop)
	s.checkLog()
	if !s.o.mayLeave {
		s.checkFiles()
	}
	if t.Failed() {
		t.Logf("command: %q\nlog:\n%s", s.args, s.log)
	}
}

// checkLog looks for what must never be in a log: a crash of the Go side.
func (s *server) checkLog() {
	for _, line := range s.log.all(`WARNING: DATA RACE|^panic: |^fatal error: |^goroutine \d+ \[`) {
		s.t.Errorf("in the log: %s", line[0])
	}
}

// checkFiles looks for sockets that listen and for files that stayed.
func (s *server) checkFiles() {
	if s.port != 0 && listening(s.port) {
		s.t.Errorf("port %d is still open", s.port)
	}
	filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		rel, _ := filepath.Rel(s.dir, path)
		switch {
		case d.Type()&fs.ModeSocket != 0:
			s.t.Errorf("socket %s was left behind", rel)
		case strings.Contains(d.Name(), ".pid"):
			s.t.Errorf("pid file %s was left behind", rel)
		case strings.HasPrefix(rel, "tmp/"):
			s.t.Errorf("temporary file %s was left behind", rel)
		}
		return nil
	})
}

func lines(procs []proc) string {
	var b strings.Builder
	for _, p := range procs {
		fmt.Fprintln(&b, p)
	}
	return b.String()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
