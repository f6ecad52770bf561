package master

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"indrik/internal/exitcode"
	"indrik/internal/settings"
	"indrik/internal/wire"
)

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
		case eventsOf(in.m) <- func() { answer <- ok(in.m) }:
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
	for _, w := range m.pool.workers {
		if w.leaving || !w.ready || w.gen != m.gen {
			return false
		}
		ready++
	}
	return m.state == running && m.candidate == nil && ready == 2 && m.front.current != nil && m.gen.taken
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
		in.m.post(func() { in.m.pool.byAge()[0].proc.Signal(syscall.SIGKILL) })
		in.look("the worker is gone", func(m *Master) bool { return m.pool.lastAge > 2 })
	}, serves},
	{"reopen", nil, func(in *injected) { in.signal(syscall.SIGUSR1) }, serves},
	{"reload", nil, func(in *injected) { in.signal(syscall.SIGHUP) }, func(m *Master) bool { return serves(m) && len(m.spawners.byPid) == 1 }},
	{"upgrade", nil, func(in *injected) { in.signal(syscall.SIGUSR2) }, func(m *Master) bool {
		return serves(m) && (m.upgrader.successor == nil || m.upgrader.successor.isReady)
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
			return m.upgrader.successor != nil && m.upgrader.successor.isReady && (sig == syscall.SIGUSR2 || m.state == paused && len(m.pool.workers) == 0)
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
	var code int
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
			in.look("the successor is gone", func(m *Master) bool { return m.upgrader.successor == nil })
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
	in.m.logging.sinks.Close()
	in.m.log.SetFile(nil)
	wire.CloseAll([]*os.File{in.m.logging.access})
	if in.m.gen != nil {
		in.m.gen.closeQueue() // the end of the process does so
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
