package master

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"indrik/internal/listen"
	"indrik/internal/oslayer"
	"indrik/internal/pidfile"
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
				exited := wire.FromSpawner{Type: wire.TypeExited, Age: msg.Age, Pid: p.Pid}
				if ws.Signaled() {
					exited.Signal = int(ws.Signal())
				}
				conn.Send(exited)
			})
		}
		wire.CloseAll(files)
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
func (s *faultySystem) goroutine(file *os.File, run func(*wire.Conn)) (process, error) {
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
	return &fakeProcess{pid: pid, gone: true}, nil
}

func (s *faultySystem) start(c oslayer.Command) (process, error) {
	if err := s.meets("start"); err != nil {
		return nil, err
	}
	switch {
	case slices.Contains(c.Env, wire.EnvRole+"="+wire.RoleFront):
		return s.goroutine(c.Files[3], s.front)
	case c.Path == "/no/python":
		c.Path, c.Args, c.Env = oslayer.Executable(), []string{"stub"}, append(c.Env, envStub+"=1", "GORACE=atexit_sleep_ms=0")
		return orNil[process](oslayer.Start(c))
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
		wire.CloseAll(files)
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
func (s *faultySystem) system() *system {
	sys, real := realSystem(), realSystem()
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
	sys.connect = func(f *os.File) (controlConn, error) {
		if err := s.meets("connect"); err != nil {
			f.Close() // it takes the file over
			return nil, err
		}
		return real.connect(f)
	}
	sys.channel = func(f *os.File) (workerConn, error) {
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
	sys.mapBoard = func(f *os.File) (*wire.Scoreboard, error) {
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
	// A process that takes long for an answer is not taken for one that hangs: it has a tenth of
	// the time for that, too.
	sys.traced = func(int) bool { return true }
	return sys
}
