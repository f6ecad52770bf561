//go:build linux

package harness

import (
	"crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Options say how to start a server.
type Options struct {
	App      string            // default hello:app
	Args     []string          // after --bind
	Env      []string          // added to a small fixed environment
	Conf     string            // text of gunicorn.conf.py
	Files    map[string]string // text by name, in the server's directory
	Bind     []string          // instead of 127.0.0.1 and a free port
	Daemon   bool              // with --daemon, --pid srv.pid and --error-logfile err.log
	Python   string            // instead of the usual interpreter
	UID      int               // run as this user (0: as ourselves)
	Extra    []*os.File        // descriptors 3 and up
	Wrap     []string          // command in front of the server's
	Binary   string            // instead of the built one
	NoProbe  bool              // do not wait until it answers
	Gates    []string          // gates that exist before the start
	MayLeave bool              // the test leaves files behind on purpose
	tls      *tls.Config       // how clients connect; see WithTLS
}

// A Server is a running server under test.
type Server struct {
	Directory
	Endpoint
	T       testing.TB
	Options Options
	Port    int
	Log     *Transcript
	Cmd     *exec.Cmd
	Done    chan struct{} // the process that was started has ended
	Master  int           // of a daemon: the pid in its pid file
	stop    chan struct{}
	Args    []string
	Gates   map[string]*Gate
}

// Start runs a server and waits until it answers a request.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s := Launch(t, o)
	if !o.NoProbe {
		s.Ready()
	}
	return s
}

// Launch runs a server and waits for nothing.
func Launch(t testing.TB, o Options) *Server {
	t.Helper()
	cmdline := Command(t)
	if o.Binary != "" {
		cmdline = []string{o.Binary}
	}
	if o.App == "" {
		o.App = "hello:app"
	}
	s := &Server{
		Directory: Directory{t, TempDir(t)}, Endpoint: Endpoint{t: t, network: "tcp", TLS: o.tls},
		T: t, Options: o, Log: NewTranscript(), Gates: map[string]*Gate{}, Done: make(chan struct{}), stop: make(chan struct{}),
	}
	Must(t, os.Mkdir(filepath.Join(s.Dir, "tmp"), 0o777))
	Must(t, os.Chmod(filepath.Join(s.Dir, "tmp"), 0o777))
	Must(t, os.Mkdir(filepath.Join(s.Dir, "gates"), 0o755))
	for name, text := range o.Files {
		s.WriteFile(name, text)
	}
	for _, name := range o.Gates {
		s.Gates[name] = s.Gate(name)
	}
	if o.Conf != "" {
		s.WriteFile("gunicorn.conf.py", o.Conf)
	}
	args := append([]string(nil), o.Wrap...)
	args = append(args, cmdline...)
	if o.Bind == nil {
		s.ListensOn(FreePort(t))
		args = append(args, "--bind", s.Address)
	}
	for i, b := range o.Bind {
		b = strings.ReplaceAll(b, "DIR", s.Dir)
		args = append(args, "--bind", b)
		if i == 0 {
			s.MoveTo(b)
		}
	}
	if o.Daemon {
		args = append(args, "--daemon", "--pid", "srv.pid", "--error-logfile", s.Path("err.log"))
	}
	for _, a := range o.Args {
		args = append(args, strings.ReplaceAll(a, "DIR", s.Dir))
	}
	if o.App != "-" {
		args = append(args, o.App)
	}
	s.Args = args
	s.Cmd = exec.Command(args[0], args[1:]...)
	s.Cmd.Dir = s.Dir
	s.Cmd.Env = s.environment()
	s.Cmd.ExtraFiles = o.Extra
	s.Cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if o.UID != 0 {
		s.Cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(o.UID), Gid: uint32(o.UID)}
		Must(t, os.Chown(s.Dir, o.UID, o.UID))
	}
	r, w, err := os.Pipe()
	Must(t, err)
	s.Cmd.Stdout, s.Cmd.Stderr = w, w
	if err := s.Cmd.Start(); err != nil {
		t.Fatalf("start %q: %v", args, err)
	}
	Started.Store(s.Cmd.Process.Pid, true)
	w.Close()
	if o.Daemon {
		go func() {
			early := NewTranscript()
			early.Collect(r)
			if text := early.String(); text != "" {
				s.Log.Add([]byte(text + "\n"))
			}
		}()
		go s.Log.follow(s.Path("err.log"), s.stop)
	} else {
		go s.Log.Collect(r)
	}
	go func() {
		s.Cmd.Wait()
		close(s.Done)
	}()
	t.Cleanup(s.finish)
	if o.Daemon {
		<-s.Done
		if code := s.Cmd.ProcessState.ExitCode(); code != 0 {
			t.Fatalf("the process that starts the daemon ended with %d", code)
		}
		s.Master = s.WaitPIDFile("srv.pid")
	}
	return s
}

// ListensOn sets the port of 127.0.0.1 where clients reach the server. In the end nobody may
// listen there.
func (s *Server) ListensOn(port int) {
	s.Port = port
	s.MoveTo(fmt.Sprintf("127.0.0.1:%d", port))
}

// environment is that of the master.
func (s *Server) environment() []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.Dir, "LANG=C.UTF-8", "TMPDIR=" + s.Path("tmp"),
		"PYTHONPATH=" + filepath.Join(Repository, "test", "apps"), "PYTHONDONTWRITEBYTECODE=1",
		"GATES=" + s.Path("gates"), "PWD=" + s.Dir,
	}
	env = append(env, BinaryEnv()...)
	switch {
	case s.Options.Python == "-": // let it search
	case s.Options.Python != "":
		env = append(env, "INDRIK_PYTHON="+s.Options.Python)
	default:
		env = append(env, "INDRIK_PYTHON="+Python())
	}
	for _, e := range s.Options.Env {
		name, value, _ := strings.Cut(e, "=")
		env = append(env, name+"="+strings.ReplaceAll(value, "DIR", s.Dir))
	}
	return env
}

// Ready waits until the server answers on its first address.
func (s *Server) Ready() {
	s.T.Helper()
	var r *Response
	var err error
	Eventually(s.T, "the server answers", func() bool {
		r, err = s.Request("GET", "/", "")
		return err == nil || !s.Running()
	})
	if err != nil || r.Status >= 500 {
		s.T.Fatalf("the server does not answer: %v %v", r, err)
	}
}

// Running says whether the master lives.
func (s *Server) Running() bool {
	if s.Master != 0 {
		return Alive(s.Master)
	}
	select {
	case <-s.Done:
		return false
	default:
		return true
	}
}

// PID is that of the master.
func (s *Server) PID() int {
	if s.Master != 0 {
		return s.Master
	}
	return s.Cmd.Process.Pid
}

// Signal sends a signal to the master.
func (s *Server) Signal(sig syscall.Signal) {
	s.T.Helper()
	Kill(s.T, s.PID(), sig)
}

// Exit waits for the end of the master that was started, and returns its exit
// code, or 128 and the signal that ended it.
func (s *Server) Exit() int {
	s.T.Helper()
	select {
	case <-s.Done:
	case <-time.After(Patience):
		s.T.Fatalf("the server is still running after %v:\n%v", Patience, s.Tree())
	}
	ws := s.Cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}

// ExpectExit waits for the end of the master and of everything it started.
func (s *Server) ExpectExit(code int) {
	s.T.Helper()
	if got := s.Exit(); got != code {
		s.T.Errorf("exit code %d, want %d", got, code)
	}
	Eventually(s.T, "every process has ended", func() bool { return len(s.Tree()) == 0 })
	s.allLogged()
}

// allLogged waits until what the processes said, which have ended, is in the log.
func (s *Server) allLogged() {
	s.T.Helper()
	if s.Options.Daemon {
		s.Log.caughtUp(s.T)
	} else {
		s.Log.end(s.T) // it may still be in the pipe
	}
}

// Terminate stops the server as an operator does, and expects a clean end.
func (s *Server) Terminate() {
	s.T.Helper()
	s.Signal(syscall.SIGTERM)
	if s.Options.Daemon {
		WaitGone(s.T, s.PID())
		Eventually(s.T, "every process has ended", func() bool { return len(s.Tree()) == 0 })
		s.allLogged()
		return
	}
	s.ExpectExit(0)
}
