package master

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"indrik/internal/exitcode"
	"indrik/internal/listen"
	"indrik/internal/oslayer"
	"indrik/internal/pidfile"
	"indrik/internal/settings"
	"indrik/internal/wire"
)

// The test binary plays the spawner; its workers are shells that say that they are ready.
const envStub = "INDRIK_TEST_STUB"

func TestMain(m *testing.M) {
	if os.Getenv(envStub) != "" {
		stubSpawner()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func stubSpawner() {
	conn, err := wire.NewConn(os.NewFile(3, "control"))
	if err != nil {
		os.Exit(1)
	}
	var children sync.WaitGroup
	for {
		var msg wire.ToSpawner
		files, err := conn.Recv(&msg)
		if err != nil {
			os.Exit(1) // the master is gone
		}
		answer := wire.FromSpawner{Type: wire.TypeOK, Call: msg.Call}
		if msg.Type == wire.TypeSpawn {
			p, err := os.StartProcess("/bin/sh", []string{"sh", "-c", `printf '{"type":"ready"}' >&3; exec sleep 100`},
				&os.ProcAttr{Files: []*os.File{nil, nil, nil, files[2]}})
			if err != nil {
				os.Exit(1)
			}
			answer.Pid = p.Pid
			children.Go(func() {
				state, _ := p.Wait()
				ws := state.Sys().(syscall.WaitStatus)
				exited := wire.FromSpawner{Type: wire.TypeExited, Worker: msg.Worker, Pid: p.Pid}
				if ws.Signaled() {
					exited.Signal = int(ws.Signal())
				}
				conn.Send(exited)
			})
		}
		closeFiles(files)
		if msg.Call != 0 {
			conn.Send(answer)
		}
		if msg.Type == wire.TypeExit {
			go func() {
				children.Wait()
				conn.Flush()
				os.Exit(0)
			}()
		}
	}
}

// A faultySystem is the operating system with one call that fails. The front and the
// successor are goroutines in it, the spawner is a process.
type faultySystem struct {
	mu    sync.Mutex
	calls map[string]int // so far, since it was armed
	armed bool
	fail  string // the call that fails
	nth   int
	hit   bool

	pid   int // of the last goroutine that stands for a process
	exits []oslayer.Exit
	ended func() // there is something to reap
	live  atomic.Int32
	link  *wire.Conn // of the successor
}

// meets reports whether this call is the one that fails.
func (s *faultySystem) meets(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.armed {
		return nil
	}
	s.calls[name]++
	if s.fail == name && s.nth == s.calls[name] {
		s.hit = true
		return os.NewSyscallError(name, syscall.EMFILE)
	}
	return nil
}

func (s *faultySystem) arm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed, s.calls = true, map[string]int{}
}

func (s *faultySystem) disarm() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed = false
	return s.calls
}

// exit is the end of a goroutine that stands for a process.
func (s *faultySystem) exit(pid int) {
	s.live.Add(-1)
	s.mu.Lock()
	s.exits = append(s.exits, oslayer.Exit{Pid: pid})
	s.mu.Unlock()
	s.ended()
}

// goroutine starts one that stands for a process and has a duplicate of file.
func (s *faultySystem) goroutine(file *os.File, run func(*wire.Conn)) (*oslayer.Process, error) {
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, err
	}
	conn, err := wire.NewConn(os.NewFile(uintptr(fd), "end"))
	if err != nil {
		return nil, err
	}
	s.live.Add(1)
	s.mu.Lock()
	s.pid++
	pid := 1<<29 + s.pid
	s.mu.Unlock()
	go func() {
		run(conn)
		conn.Close()
		s.exit(pid)
	}()
	return &oslayer.Process{Pid: pid}, nil
}

func (s *faultySystem) start(c oslayer.Command) (*oslayer.Process, error) {
	if err := s.meets("start"); err != nil {
		return nil, err
	}
	switch {
	case slices.Contains(c.Env, wire.EnvRole+"="+wire.RoleFront):
		return s.goroutine(c.Files[3], s.front)
	case c.Path == "/no/python":
		c.Path, c.Args, c.Env = oslayer.Executable(), []string{"stub"}, append(c.Env, envStub+"=1", "GORACE=atexit_sleep_ms=0")
		return oslayer.Start(c)
	}
	link := slices.IndexFunc(c.Env, func(kv string) bool { return strings.HasPrefix(kv, envLink+"=") })
	var fd int
	fmt.Sscanf(c.Env[link], envLink+"=%d", &fd)
	return s.goroutine(c.Files[fd], func(conn *wire.Conn) {
		s.mu.Lock()
		s.link = conn
		s.mu.Unlock()
		conn.Send(linkMessage{Type: wire.TypeReady})
		conn.Recv(&linkMessage{}) // until the test, or the master, closes it
	})
}

// front is a front that takes what it is told, unless that is to fail.
func (s *faultySystem) front(conn *wire.Conn) {
	for {
		var msg wire.ToFront
		files, err := conn.Recv(&msg)
		closeFiles(files)
		if err != nil || msg.Type == wire.TypeQuit {
			return
		}
		if msg.Call != 0 {
			answer := wire.FromFront{Type: wire.TypeOK, Call: msg.Call}
			if err := s.meets("front: " + msg.Type); err != nil {
				answer = wire.FromFront{Type: wire.TypeFailed, Call: msg.Call, Error: err.Error(), Errno: errnoOf(err)}
			}
			conn.Send(answer)
		}
		if msg.Type == wire.TypeDrain {
			conn.Send(wire.FromFront{Type: wire.TypeDrained})
		}
	}
}

// calls is the system whose calls are counted and may fail. Timers run ten times as fast.
func (s *faultySystem) system() system {
	sys := realSystem
	real := realSystem
	two := func(name string, f func() (a, b *os.File, err error)) func() (a, b *os.File, err error) {
		return func() (*os.File, *os.File, error) {
			if err := s.meets(name); err != nil {
				return nil, nil, err
			}
			return f()
		}
	}
	sys.start = s.start
	sys.reap = func() []oslayer.Exit {
		s.mu.Lock()
		exits := s.exits
		s.exits = nil
		s.mu.Unlock()
		return append(exits, real.reap()...)
	}
	sys.pair = two("pair", real.pair)
	sys.connect = func(f *os.File) (*wire.Conn, error) {
		if err := s.meets("connect"); err != nil {
			f.Close() // it takes the file over
			return nil, err
		}
		return real.connect(f)
	}
	sys.channel = func(f *os.File) (*wire.WorkerChannel, error) {
		if err := s.meets("channel"); err != nil {
			f.Close()
			return nil, err
		}
		return real.channel(f)
	}
	sys.nameSenders = func(f *os.File) error {
		if err := s.meets("nameSenders"); err != nil {
			return err
		}
		return real.nameSenders(f)
	}
	sys.duplicate = func(f *os.File) (*os.File, error) {
		if err := s.meets("duplicate"); err != nil {
			return nil, err
		}
		return real.duplicate(f)
	}
	sys.constant = func(name string, b []byte) (*os.File, error) {
		if err := s.meets("constant"); err != nil {
			return nil, err
		}
		return real.constant(name, b)
	}
	sys.growing = func(name string) (*os.File, error) {
		if err := s.meets("growing"); err != nil {
			return nil, err
		}
		return real.growing(name)
	}
	sys.board = func(slots int) (*os.File, error) {
		if err := s.meets("board"); err != nil {
			return nil, err
		}
		return real.board(slots)
	}
	sys.mapBoard = func(f *os.File) (*wire.Board, error) {
		if err := s.meets("mapBoard"); err != nil {
			return nil, err
		}
		return real.mapBoard(f)
	}
	sys.openLog = func(path string, uid, gid int) (*os.File, error) {
		if err := s.meets("openLog"); err != nil {
			return nil, err
		}
		return real.openLog(path, uid, gid)
	}
	sys.pidFile = func(path string, pid int) (*pidfile.File, error) {
		if err := s.meets("pidFile"); err != nil {
			return nil, err
		}
		return real.pidFile(path, pid)
	}
	sys.listen = func(a listen.Address, o listen.Options) (*listen.Listener, error) {
		if err := s.meets("listen"); err != nil {
			return nil, err
		}
		return real.listen(a, o)
	}
	sys.chdir = func(dir string) error {
		if err := s.meets("chdir"); err != nil {
			return err
		}
		return real.chdir(dir)
	}
	sys.after = func(d time.Duration, f func()) *time.Timer { return time.AfterFunc(d/10, f) }
	return sys
}

// An injected is a master on a faulty system.
type injected struct {
	t    *testing.T
	m    *Master
	sys  *faultySystem
	dir  string
	log  *syncBuffer
	code chan int
	open int // descriptors, before it
}

type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func inject(t *testing.T, sys *faultySystem) *injected {
	t.Helper()
	dir, err := os.MkdirTemp("", "inject")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	in := &injected{t: t, sys: sys, dir: dir, log: &syncBuffer{}, code: make(chan int, 1), open: openDescriptors()}
	args, app, err := settings.ParseArgs("indrik", []string{
		"--bind", "unix:" + filepath.Join(dir, "s"), "--workers", "2", "--pid", filepath.Join(dir, "pid"),
		"--error-logfile", filepath.Join(dir, "log"), "--access-logfile", filepath.Join(dir, "access"),
		"--graceful-timeout", "1", "--chdir", dir, "app:app",
	})
	if err != nil {
		t.Fatal(err)
	}
	in.m = newMaster(Options{
		Args: args, App: app, Argv: []string{"/no/indrik"}, Dir: dir, Python: "/no/python", Stdout: io.Discard, Stderr: in.log,
	}, sys.system())
	sys.ended = func() { in.m.post(in.m.reap) }
	go func() { in.code <- in.m.run() }()
	return in
}

// signal hands the master a signal.
func (in *injected) signal(sig syscall.Signal) { in.m.post(func() { in.m.handle(sig) }) }

// look waits until ok, which the loop of the master runs, or until that has ended.
func (in *injected) look(what string, ok func(*Master) bool) (ended bool, code int) {
	in.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		answer := make(chan bool, 1)
		select {
		case code := <-in.code:
			return true, code
		case in.m.events <- func() { answer <- ok(in.m) }:
		}
		select {
		case code := <-in.code:
			return true, code
		case yes := <-answer:
			if yes {
				return false, 0
			}
		}
	}
	in.t.Fatalf("it does not come to this: %s; the log:\n%s\n%s", what, in.log, in.read("log"))
	return false, 0
}

func (in *injected) read(name string) string {
	b, _ := os.ReadFile(filepath.Join(in.dir, name))
	return string(b)
}

// serves reports whether one generation serves with both of its workers.
func serves(m *Master) bool {
	ready := 0
	for _, w := range m.workers {
		if w.leaving || !w.ready || w.gen != m.gen {
			return false
		}
		ready++
	}
	return m.state == running && m.build == nil && ready == 2 && m.front != nil && m.gen.taken
}

// The phases in which a call fails: prepare comes before, act meets it, and after that
// the server is as settled says, or has ended.
var phases = []struct {
	name    string
	prepare []syscall.Signal
	act     func(*injected)
	settled func(*Master) bool
}{
	{"start", nil, nil, serves},
	{"serve", nil, func(in *injected) {
		in.m.post(func() { in.m.byAge()[0].proc.Signal(syscall.SIGKILL) })
		in.look("the worker is gone", func(m *Master) bool { return m.lastAge > 2 })
	}, serves},
	{"reopen", nil, func(in *injected) { in.signal(syscall.SIGUSR1) }, serves},
	{"reload", nil, func(in *injected) { in.signal(syscall.SIGHUP) }, func(m *Master) bool { return serves(m) && len(m.spawners) == 1 }},
	{"upgrade", nil, func(in *injected) { in.signal(syscall.SIGUSR2) }, func(m *Master) bool {
		return serves(m) && (m.successor == nil || m.successor.isReady)
	}},
	{"roll-back", []syscall.Signal{syscall.SIGUSR2, syscall.SIGWINCH}, func(in *injected) { in.signal(syscall.SIGHUP) }, serves},
	{"shutdown", nil, func(in *injected) { in.signal(syscall.SIGTERM) }, func(*Master) bool { return false }},
}

// TestEachCallFailsOnce makes each call to the operating system fail once in each phase
// of a server's life. After each the old configuration serves, or the new one, or the
// server has ended with a code and left nothing.
func TestEachCallFailsOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("hundreds of servers")
	}
	cwd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	defer os.Chdir(cwd)
	for _, phase := range phases {
		t.Run(phase.name, func(t *testing.T) {
			// Once without a fault: so it shows which calls there are.
			sys := &faultySystem{}
			in := inject(t, sys)
			calls := in.phase(phase.prepare, phase.act, phase.settled)
			in.end(phase.name)
			var names []string
			for name := range calls {
				names = append(names, name)
			}
			slices.Sort(names)
			t.Logf("%v", calls)
			for _, name := range names {
				for nth := 1; nth <= calls[name]; nth++ {
					t.Run(fmt.Sprintf("%s/%d", name, nth), func(t *testing.T) {
						sys := &faultySystem{fail: name, nth: nth}
						in := inject(t, sys)
						in.phase(phase.prepare, phase.act, phase.settled)
						in.end(phase.name)
					})
				}
			}
		})
	}
}

// phase brings the master through one phase, and returns which calls were made.
func (in *injected) phase(prepare []syscall.Signal, act func(*injected), settled func(*Master) bool) map[string]int {
	in.t.Helper()
	if act == nil {
		in.sys.arm()
	}
	if ended, code := in.look("it serves", serves); ended {
		in.code <- code
		return in.sys.disarm()
	}
	for _, sig := range prepare {
		in.signal(sig)
		in.look(sig.String(), func(m *Master) bool {
			return m.successor != nil && m.successor.isReady && (sig == syscall.SIGUSR2 || m.state == paused && len(m.workers) == 0)
		})
	}
	if act != nil {
		in.sys.arm()
		act(in)
		if ended, code := in.look("it has come through", settled); ended {
			in.code <- code
		}
	}
	return in.sys.disarm()
}

// end ends the server, if it has not ended, and checks that nothing is left.
func (in *injected) end(phase string) {
	t := in.t
	t.Helper()
	code := -1
	select {
	case code = <-in.code:
	default:
		if phase == "shutdown" {
			t.Error("it has not ended")
		}
		in.sys.mu.Lock()
		link := in.sys.link
		in.sys.mu.Unlock()
		if link != nil {
			link.Close()
			in.look("the successor is gone", func(m *Master) bool { return m.successor == nil })
		}
		in.signal(syscall.SIGTERM)
		var ended bool
		if ended, code = in.look("it ends", func(*Master) bool { return false }); !ended || code != exitcode.OK {
			t.Errorf("code %d after TERM", code)
		}
	}
	switch {
	case phase != "start" && code != exitcode.OK:
		t.Errorf("it ended with %d", code)
	case code != exitcode.OK && code != exitcode.Resources:
		t.Errorf("the start ended with %d, want %d", code, exitcode.Resources)
	}
	if all := in.log.String() + in.read("log"); code == exitcode.Resources && !strings.Contains(all, "RLIMIT_NOFILE") {
		t.Errorf("nothing says which limit: %s", all)
	}
	in.m.outlets.Close()
	in.m.log.SetFile(nil)
	closeFiles([]*os.File{in.m.access})
	if in.m.gen != nil {
		in.m.gen.close() // the end of the process does so
	}
	left := 0
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if left = openDescriptors(); left <= in.open {
			break
		}
	}
	if left > in.open {
		t.Errorf("%d descriptors are open, %d were before:\n%s", left, in.open, strings.Join(descriptorNames(), "\n"))
	}
	if children := children(); len(children) > 0 {
		t.Errorf("children are left: %v", children)
	}
	if n := in.sys.live.Load(); n > 0 {
		t.Errorf("%d processes are left", n)
	}
	for _, name := range []string{"s", "pid", "pid.2"} {
		if _, err := os.Lstat(filepath.Join(in.dir, name)); err == nil {
			t.Errorf("%s is left", name)
		}
	}
	if t.Failed() {
		t.Logf("log:\n%s\n%s", in.log, in.read("log"))
	}
}

// descriptorNames are what the descriptors of this process are, but for the poller's.
func descriptorNames() []string {
	var names []string
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		name, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && !strings.Contains(name, "anon_inode:[event") && name != os.DevNull {
			names = append(names, e.Name()+" "+name)
		}
	}
	return names
}

func openDescriptors() int { return len(descriptorNames()) }

// children are the pids of the children of this process.
func children() []string {
	var pids []string
	tasks, _ := filepath.Glob("/proc/self/task/*/children")
	for _, path := range tasks {
		b, _ := os.ReadFile(path)
		pids = append(pids, strings.Fields(string(b))...)
	}
	return pids
}
