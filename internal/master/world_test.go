package master

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"indrik/internal/canary"
	"indrik/internal/capacity"
	"indrik/internal/codewatch"
	"indrik/internal/oslayer"
	"indrik/internal/settings"
	"indrik/internal/status"
	"indrik/internal/wire"
)

// A world is all that a master deals with, played by the test: the other processes, their
// messages, the signals, and the clock, which is that of the bubble (testing/synctest).
// Descriptors, shared memory, listening sockets, log and pid files are real.
//
// The test looks at the master, and at what the processes were told, while all of them
// wait: after wait or pass.
type world struct {
	t    *testing.T
	m    *Master
	sys  *system
	dir  string
	out  bytes.Buffer // standard output and error
	code int          // exit code; −1 while the master runs
	end  chan int

	sigs    chan os.Signal
	env     map[string]string
	refuse  map[string]error // by the name of the call to the system
	mu      sync.Mutex
	lastPid int
	procs   map[int]*fakeProcess
	exits   []oslayer.Exit
	ends    map[*os.File]*fakeConn
	conns   []*fakeConn
	titles  []string
	link    *fakeConn // to the master before this one, if env says that there is one
	umasks  int

	fronts     []*fakeFront
	spawners   []*fakeSpawner
	workers    []*fakeWorker
	loggers    []*fakeLogger
	successors []*fakeSuccessor
	daemons    []*fakeProcess
	watchers   []*fakeWatcher
	commands   []oslayer.Command

	// How the processes behave, from now on.
	file      map[string]any        // the settings of the config file
	hooks     []string              // that it defines
	failures  map[string]string     // what spawners answer with an error: by type, or by the name of a hook
	failure   wire.FromSpawner      // with which code and stage
	refusals  map[string]string     // what fronts cannot do: by type
	boot      time.Duration         // until a worker is ready
	stuck     bool                  // workers do not get ready
	stubborn  bool                  // workers do not mind TERM
	busy      bool                  // fronts have requests: they do not drain
	mute      map[string]bool       // which role does not answer pings
	logged    bool                  // log lines have to go through Python
	lingering bool                  // hooks have left something running in spawners
	kind      wire.Kind             // of workers
	tried     canary.Report         // what fronts say of a trial, each time
	runs      []status.Running      // what fronts say that the worker they are asked about runs
	turns     bool                  // loops of workers turn: they write a trace that they are asked for
	called    []string              // hooks that were called
	memory    map[int]int64         // of workers in bytes, by pid; 1 MiB of others
	use       capacity.Use          // of all processes
	machine   capacity.Machine      // that the server may use
	cpus      map[int]time.Duration // processor time of each process
}

// newWorld returns a world and a master in it that is yet to start.
func newWorld(t *testing.T, args ...string) *world {
	t.Helper()
	dir, err := os.MkdirTemp("", "master")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	w := &world{
		t: t, dir: dir, code: -1, end: make(chan int, 1), sigs: make(chan os.Signal, 128), lastPid: 1 << 23,
		env: map[string]string{}, refuse: map[string]error{}, procs: map[int]*fakeProcess{}, ends: map[*os.File]*fakeConn{},
		failures: map[string]string{}, refusals: map[string]string{}, cpus: map[int]time.Duration{}, mute: map[string]bool{}, boot: 50 * time.Millisecond,
	}
	w.sys = w.system()
	layer, app, err := settings.ParseArgs("indrik", append([]string{
		"--bind", "unix:" + w.path("s"), "--workers", "2", "--pid", w.path("pid"), "--error-logfile", w.path("log"),
		"--access-logfile", w.path("access"), "--log-level", "debug", "--chdir", dir,
	}, args...))
	if err != nil {
		t.Fatal(err)
	}
	w.m = newMaster(Options{
		Args: layer, App: app, Argv: []string{"/no/indrik"}, Dir: dir, Python: "/no/python", PythonWhy: "the test", Stdout: &w.out, Stderr: &w.out,
	}, w.sys)
	return w
}

// inWorld runs a test with a master that serves, and ends it afterwards.
func inWorld(t *testing.T, args []string, test func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, append(args, "app:app")...)
		defer w.finish()
		w.start()
		w.pass(time.Second)
		w.expectState(running)
		test(w)
	})
}

// atStart runs a test with a master that is yet to start, and ends it afterwards.
func atStart(t *testing.T, args []string, test func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, args...)
		defer w.finish()
		test(w)
	})
}

// set gives a setting another value, for the next reload.
func (w *world) set(name string, value any) { w.m.opts.Args.Values[name] = value }

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// start runs the master.
func (w *world) start() {
	go func() { w.end <- w.m.run() }()
}

// later does something to the world after d, in the loop of the master, as all that
// happens to it.
func (w *world) later(d time.Duration, f func()) {
	time.AfterFunc(d, func() { w.m.post(f) })
}

// wait lets everything happen that happens now.
func (w *world) wait() {
	if w.code < 0 {
		w.m.post(func() {}) // what the test has looked at comes before what happens now
	}
	synctest.Wait()
	select {
	case w.code = <-w.end:
	default:
	}
}

// pass lets d pass.
func (w *world) pass(d time.Duration) {
	w.wait()
	time.Sleep(d)
	w.wait()
}

// signal sends the master a signal, and lets it act on that.
func (w *world) signal(sigs ...syscall.Signal) {
	for _, sig := range sigs {
		w.sigs <- sig
	}
	w.pass(together + time.Millisecond)
}

// finish ends the master, and what is left of the world.
func (w *world) finish() {
	w.t.Helper()
	w.wait()
	for range 2 {
		if w.code < 0 {
			w.stubborn, w.busy = false, false
			w.signal(syscall.SIGQUIT)
			w.pass(30 * time.Second)
		}
	}
	if w.code < 0 {
		w.t.Errorf("the master does not end; state %s, log:\n%s", w.m.state, w.log())
	}
	for _, c := range w.conns {
		c.Close()
	}
	for _, worker := range w.workers {
		worker.channel.Close()
	}
	go func() { // nobody runs the loop
		for {
			select {
			case <-eventsOf(w.m):
			case <-time.After(time.Hour):
				return
			}
		}
	}()
	w.pass(2 * time.Hour)
	w.m.logging.sinks.Close()
	w.m.log.SetFile(nil)
	if w.t.Failed() {
		w.t.Logf("log:\n%s", w.log())
	}
}

// log is what the operator has read, without the list of all settings.
func (w *world) log() string {
	b, _ := os.ReadFile(w.path("log"))
	text := w.out.String()
	for line := range strings.Lines(string(b)) {
		if !strings.Contains(line, " # ") {
			text += line
		}
	}
	return text
}

// said reports whether the log has a text.
func (w *world) said(text string) bool { return strings.Contains(w.log(), text) }

// expectLog fails the test unless the log has each of texts.
func (w *world) expectLog(texts ...string) {
	w.t.Helper()
	for _, text := range texts {
		if !w.said(text) {
			w.t.Errorf("the log does not have %q:\n%s", text, w.log())
		}
	}
}

// expectState fails the test at once unless the master is in a state.
func (w *world) expectState(s state) {
	w.t.Helper()
	if w.m.state != s || w.code >= 0 {
		w.t.Fatalf("the state is %s, want %s (exit code %d); log:\n%s", w.m.state, s, w.code, w.log())
	}
}

// expectEnd fails the test unless the master has ended with a code.
func (w *world) expectEnd(code int) {
	w.t.Helper()
	if w.code != code {
		w.t.Errorf("the exit code is %d, want %d; state %s, log:\n%s", w.code, code, w.m.state, w.log())
	}
}

// live are the workers that there are, the oldest first.
func (w *world) live() []*fakeWorker {
	return slices.DeleteFunc(slices.Clone(w.workers), func(worker *fakeWorker) bool { return worker.proc.gone })
}

// expectWorkers fails the test unless there are so many workers.
func (w *world) expectWorkers(n int) []*fakeWorker {
	w.t.Helper()
	live := w.live()
	if len(live) != n {
		w.t.Fatalf("there are %d workers, want %d; log:\n%s", len(live), n, w.log())
	}
	return live
}

func (w *world) front() *fakeFront         { return w.fronts[len(w.fronts)-1] }
func (w *world) spawner() *fakeSpawner     { return w.spawners[len(w.spawners)-1] }
func (w *world) logger() *fakeLogger       { return w.loggers[len(w.loggers)-1] }
func (w *world) successor() *fakeSuccessor { return w.successors[len(w.successors)-1] }

// process makes a process, which acts on signals as obey does.
func (w *world) process(obey func(*fakeProcess, syscall.Signal)) *fakeProcess {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lastPid++
	p := &fakeProcess{pid: w.lastPid}
	p.obey = func(sig syscall.Signal) { obey(p, sig) }
	w.procs[p.pid] = p
	return p
}

// memoryOf returns the resident memory of a process.
func (w *world) memoryOf(pid int) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n, ok := w.memory[pid]; ok {
		return n
	}
	return 1 << 20
}

// grow gives a worker so many MiB of memory.
func (w *world) grow(worker *fakeWorker, mib int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.memory == nil {
		w.memory = map[int]int64{}
	}
	w.memory[worker.proc.pid] = mib << 20
}

// exit ends a process that the master has to collect.
func (w *world) exit(p *fakeProcess, status int) {
	if p.gone {
		return
	}
	p.gone = true
	w.mu.Lock()
	w.exits = append(w.exits, oslayer.Exit{Pid: p.pid, Status: syscall.WaitStatus(status)})
	w.mu.Unlock()
	w.sigs <- syscall.SIGCHLD
}

// exited and signaled are how processes end.
func exited(code int) int             { return code << 8 }
func signaled(s syscall.Signal) int   { return int(s) }
func (w *world) fails(n string) error { return w.refuse[n] }

// pair makes a channel whose ends the world knows.
func (w *world) pair() (a, b *os.File, err error) {
	if err := w.fails("pair"); err != nil {
		return nil, nil, err
	}
	if a, b, err = wire.Pair(); err != nil {
		return nil, nil, err
	}
	c := w.conn()
	w.ends[a], w.ends[b] = c, c
	return a, b, nil
}

func (w *world) conn() *fakeConn {
	c := &fakeConn{inbox: make(chan []byte, 4096)}
	w.conns = append(w.conns, c)
	return c
}

// A fakeConn is a control channel between the master and somebody whom the test plays.
type fakeConn struct {
	mu     sync.Mutex
	inbox  chan []byte // to the master
	closed bool
	hear   func(data []byte, files []*os.File) // the other side, nil: nobody
}

// tell sends the master a message.
func (c *fakeConn) tell(msg any) {
	data, err := json.Marshal(msg)
	if err != nil {
		panic(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.inbox <- data
	}
}

func (c *fakeConn) SendKeeping(msg any, files ...*os.File) error {
	data, err := json.Marshal(msg)
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if err == nil && !closed && c.hear != nil {
		c.hear(data, files)
	}
	return err
}

func (c *fakeConn) Send(msg any, files ...*os.File) error {
	defer wire.CloseAll(files)
	return c.SendKeeping(msg, files...)
}

func (c *fakeConn) Recv(msg any) ([]*os.File, error) {
	data, ok := <-c.inbox
	if !ok {
		return nil, io.EOF
	}
	return nil, json.Unmarshal(data, msg)
}

func (c *fakeConn) OnlyFrom(int) {}
func (c *fakeConn) Flush()       {}

func (c *fakeConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.closed = true
		close(c.inbox)
	}
	return nil
}

// hears makes act the other side of the channel that file is an end of.
func hears[T any](w *world, file *os.File, act func(T, []*os.File)) *fakeConn {
	c := w.ends[file]
	c.hear = func(data []byte, files []*os.File) {
		var msg T
		if err := json.Unmarshal(data, &msg); err != nil {
			panic(err)
		}
		act(msg, files)
	}
	return c
}

// system is the operating system of the world.
func (w *world) system() *system {
	s := realSystem()
	real := realSystem()
	s.start = w.startProcess
	s.child = func(pid int, parents ...int) (process, error) {
		if p := w.procs[pid]; p != nil && !p.stranger && w.fails("child") == nil {
			p.released = false // it is held anew
			return p, nil
		}
		return &fakeProcess{pid: pid, gone: true}, oslayer.ErrStranger
	}
	s.reap = func() []oslayer.Exit {
		w.mu.Lock()
		defer w.mu.Unlock()
		exits := w.exits
		w.exits = nil
		return exits
	}
	s.usage = func(int) (rss, pss int64, cpu time.Duration) { return 1 << 20, 1 << 19, time.Second }
	s.cpu = func(pid int) time.Duration { return w.cpus[pid] }
	s.machine = func() capacity.Machine { return w.machine }
	s.stopped, s.traced = func(int) bool { return false }, func(int) bool { return false }
	s.getenv = func(name string) string { return w.env[name] }
	s.unsetenv = func(name string) error { delete(w.env, name); return nil }
	s.environ = func() (env []string) {
		for _, name := range slices.Sorted(maps.Keys(w.env)) {
			env = append(env, name+"="+w.env[name])
		}
		return env
	}
	s.signals = func(...os.Signal) <-chan os.Signal { return w.sigs }
	s.setTitle = func(title string) { w.titles = append(w.titles, title) }
	s.umask = func(mask int) int { w.umasks++; return 0 }
	s.protect = func(func(string, ...any)) {}
	s.chdir = func(string) error { return w.fails("chdir") }
	s.pair = w.pair
	s.connect = func(f *os.File) (controlConn, error) {
		defer f.Close()
		if err := w.fails("connect"); err != nil {
			return nil, err
		}
		if c := w.ends[f]; c != nil {
			return c, nil
		}
		w.link = w.conn()
		return w.link, nil
	}
	s.channel = func(f *os.File) (workerConn, error) {
		defer f.Close()
		if err := w.fails("channel"); err != nil {
			return nil, err
		}
		return &fakeChannel{end: w.ends[f], inbox: w.ends[f].inbox}, nil
	}
	s.nameSenders = func(f *os.File) error {
		if err := w.fails("nameSenders"); err != nil {
			return err
		}
		return real.nameSenders(f)
	}
	s.growing = func(name string) (*os.File, error) {
		if err := w.fails("growing"); err != nil {
			return nil, err
		}
		return real.growing(name)
	}
	s.redirect = func(*os.File, int) error { return nil }
	s.openLog = func(path string, uid, gid int) (*os.File, error) {
		if err := w.fails("openLog"); err != nil {
			return nil, err
		}
		return real.openLog(path, uid, gid)
	}
	s.watchCode = func(o codewatch.Options) codeWatcher {
		c := &fakeWatcher{options: o}
		w.watchers = append(w.watchers, c)
		return c
	}
	s.oomKills = func() int { return 0 }
	s.rss = func(pid int) int64 { return w.memoryOf(pid) }
	s.pss = func(pid int) int64 { return w.memoryOf(pid) / 2 }
	s.memoryUse = func() capacity.Use {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.use
	}
	return s
}

// startProcess plays whatever the master starts.
func (w *world) startProcess(c oslayer.Command) (process, error) {
	w.commands = append(w.commands, c)
	role := "spawner"
	for _, kv := range c.Env {
		switch {
		case kv == wire.EnvRole+"="+wire.RoleFront:
			role = "front"
		case strings.HasPrefix(kv, envLink+"="):
			role = "successor"
		case strings.HasPrefix(kv, envDaemon+"="):
			role = "daemon"
		}
	}
	if err := w.fails("start " + role); err != nil {
		return nil, err
	}
	switch role {
	case "front":
		return w.startFront(c), nil
	case "successor":
		return w.startSuccessor(c), nil
	case "daemon":
		p := w.process(func(p *fakeProcess, sig syscall.Signal) { w.exit(p, signaled(sig)) })
		w.daemons = append(w.daemons, p)
		return p, nil
	}
	return w.startSpawner(c), nil
}

// A fakeFront notes what it is told, and answers calls.
type fakeFront struct {
	w      *world
	proc   *fakeProcess
	conn   *fakeConn
	dump   *os.File
	got    []wire.ToFront
	awaits []int // the calls of pings that are yet to be answered
}

func (w *world) startFront(c oslayer.Command) process {
	f := &fakeFront{w: w, dump: c.Files[4]}
	f.proc = w.process(func(p *fakeProcess, sig syscall.Signal) {
		if sig == syscall.SIGKILL {
			f.die(signaled(sig))
		}
	})
	f.conn = hears(w, c.Files[3], f.hear)
	w.fronts = append(w.fronts, f)
	f.conn.tell(wire.FromFront{Type: wire.TypeReady})
	return f.proc
}

func (f *fakeFront) hear(msg wire.ToFront, _ []*os.File) {
	if f.proc.gone {
		return
	}
	f.got = append(f.got, msg)
	switch {
	case msg.Type == wire.TypePing && f.w.mute["front"]:
		f.awaits = append(f.awaits, msg.Call)
	case msg.Call != 0 && f.w.refusals[msg.Type] != "":
		f.conn.tell(wire.FromFront{Type: wire.TypeFailed, Call: msg.Call, Error: f.w.refusals[msg.Type], Errno: int(syscall.EMFILE)})
	case msg.Type == wire.TypeTried:
		data, _ := json.Marshal(f.w.tried)
		f.conn.tell(wire.FromFront{Type: wire.TypeOK, Call: msg.Call, Trial: data})
	case msg.Type == wire.TypeTrace:
		f.w.trace(msg)
		data, _ := json.Marshal(status.Front{Loads: map[int]status.Load{msg.Age: {Running: f.w.runs}}})
		f.conn.tell(wire.FromFront{Type: wire.TypeOK, Call: msg.Call, Status: data})
	case msg.Call != 0:
		f.conn.tell(wire.FromFront{Type: wire.TypeOK, Call: msg.Call})
	}
	switch {
	case msg.Type == wire.TypeDrain && !f.w.busy:
		f.conn.tell(wire.FromFront{Type: wire.TypeDrained})
	case msg.Type == wire.TypeQuit:
		f.die(exited(0))
	}
}

// trace has the worker that a message is about write what its loop shows.
func (w *world) trace(msg wire.ToFront) {
	for _, worker := range w.workers {
		if worker.age == msg.Age && w.turns {
			fmt.Fprintf(worker.dump, "Stacks %d\nRequest 7 (most recent call first):\n  File \"a.py\", line 1 in awaits\nEnd of stacks %d\n", msg.Trace, msg.Trace)
		}
	}
}

func (f *fakeFront) die(status int) {
	f.conn.Close()
	f.w.exit(f.proc, status)
}

// told are the messages of a type that it has got.
func (f *fakeFront) told(typ string) (msgs []wire.ToFront) {
	for _, msg := range f.got {
		if msg.Type == typ {
			msgs = append(msgs, msg)
		}
	}
	return msgs
}

// A fakeSpawner notes what it is told, answers calls, and has workers.
type fakeSpawner struct {
	w       *world
	proc    *fakeProcess
	conn    *fakeConn
	dump    *os.File
	got     []wire.ToSpawner
	leaving bool
}

func (w *world) startSpawner(c oslayer.Command) process {
	sp := &fakeSpawner{w: w, dump: c.Files[5]}
	sp.proc = w.process(func(p *fakeProcess, sig syscall.Signal) {
		if sig == syscall.SIGKILL {
			sp.die(signaled(sig))
		}
	})
	sp.conn = hears(w, c.Files[3], sp.hear)
	w.spawners = append(w.spawners, sp)
	return sp.proc
}

func (sp *fakeSpawner) hear(msg wire.ToSpawner, files []*os.File) {
	if sp.proc.gone {
		return
	}
	w := sp.w
	sp.got = append(sp.got, msg)
	answer := wire.FromSpawner{Type: wire.TypeOK, Call: msg.Call}
	text := w.failures[msg.Type]
	switch msg.Type {
	case wire.TypePing:
		if w.mute["spawner"] {
			return
		}
	case wire.TypeConfigure:
		answer.Settings, answer.Hooks = w.file, w.hooks
		answer.Python = &wire.Python{Version: "3.99"}
	case wire.TypeClass:
		answer.Kind, answer.Class, answer.Settings = "gthread", "own.Mine", map[string]any{"limit_max_requests": 7.0}
	case wire.TypePrepare:
		answer.Logger = w.logged
	case wire.TypeHook:
		w.called = append(w.called, msg.Hook)
		text = w.failures[msg.Hook]
	case wire.TypeLogger:
		if text == "" {
			answer.Pid, answer.Level = w.startLogger(files).proc.pid, 20
		}
	case wire.TypeAttributes:
		answer.Attributes = map[string]string{"x": "1"}
	case wire.TypeSpawn:
		if text == "" {
			answer.Pid = sp.fork(msg.Age, files).proc.pid
		}
	case wire.TypeExit:
		if msg.Linger && w.lingering {
			answer.Lingers = true
			break
		}
		sp.leaving = true
		sp.leave()
		if msg.Call == 0 {
			return
		}
	}
	if msg.Call == 0 || text == "silent" {
		return
	}
	if text != "" {
		answer = w.failure
		answer.Type, answer.Call, answer.Error = wire.TypeFailed, msg.Call, text
	}
	sp.conn.tell(answer)
}

// leave ends a spawner that was told to, once its workers are gone.
func (sp *fakeSpawner) leave() {
	for _, worker := range sp.w.live() {
		if worker.parent == sp {
			return
		}
	}
	sp.w.later(time.Millisecond, func() { sp.die(exited(0)) })
}

func (sp *fakeSpawner) die(status int) {
	if !sp.proc.gone {
		sp.w.exit(sp.proc, status)
		sp.conn.Close()
	}
}

// told are the messages of a type that it has got.
func (sp *fakeSpawner) told(typ string) (msgs []wire.ToSpawner) {
	for _, msg := range sp.got {
		if msg.Type == typ {
			msgs = append(msgs, msg)
		}
	}
	return msgs
}

// A fakeWorker says that it is ready, and ends when it is told to.
type fakeWorker struct {
	w        *world
	age      int
	proc     *fakeProcess
	parent   *fakeSpawner
	channel  *fakeConn
	dump     *os.File
	stubborn bool

	template string // what it does when it is promoted: "" or "forks", or refuses, is silent, lies; slow: it says nothing by itself
	promoted bool
	mother   *fakeWorker // the template that has forked it; its parent is the master
	holds    []*fakeConn // ends of channels of workers that it was to fork
}

func (sp *fakeSpawner) fork(age int, files []*os.File) *fakeWorker {
	worker := sp.w.forkWorker(age, files)
	worker.parent = sp
	return worker
}

func (w *world) forkWorker(age int, files []*os.File) *fakeWorker {
	worker := &fakeWorker{w: w, age: age, channel: w.ends[files[2]]}
	hears(w, files[2], worker.hear)
	dump, err := real.duplicate(files[1])
	if err != nil {
		w.t.Fatal(err)
	}
	worker.dump = dump
	w.t.Cleanup(func() { dump.Close() })
	worker.proc = w.process(func(p *fakeProcess, sig syscall.Signal) { worker.obey(sig) })
	w.workers = append(w.workers, worker)
	if !w.stuck {
		w.later(w.boot, worker.ready)
	}
	return worker
}

var real = realSystem()

func (worker *fakeWorker) obey(sig syscall.Signal) {
	switch sig {
	case syscall.SIGTERM, syscall.SIGQUIT:
		if worker.promoted && sig == syscall.SIGTERM {
			if worker.template != "dies" {
				return
			}
			sig = syscall.SIGKILL
		}
		if !worker.stubborn && !worker.w.stubborn {
			worker.w.later(time.Millisecond, func() { worker.die(exited(0)) })
		}
	case syscall.SIGABRT, syscall.SIGKILL:
		worker.w.later(time.Millisecond, func() { worker.die(signaled(sig)) })
	case oslayer.SignalDump:
		worker.dump.WriteString("the stacks\n")
	}
}

// hear gets a message of the master.
func (worker *fakeWorker) hear(msg wire.ToWorker, files []*os.File) {
	switch {
	case worker.template == "silent" && msg.Type == wire.TypeFork:
		worker.holds = append(worker.holds, worker.w.ends[files[2]])
	case worker.proc.gone || worker.template == "silent":
	case msg.Type == wire.TypePromote && worker.template == "refuses":
		worker.say(wire.FromWorker{Type: wire.TypeRefused, Reason: "it has threads"})
	case msg.Type == wire.TypePromote:
		worker.promoted = true
		if worker.template != "dies" && worker.template != "slow" {
			worker.w.later(time.Millisecond, func() { worker.say(wire.FromWorker{Type: wire.TypePromoted}) })
		}
	case msg.Type == wire.TypeFork && worker.template == "fails":
		worker.say(wire.FromWorker{Type: wire.TypeFailed, Age: msg.Age, Reason: "no room", Errno: int(syscall.EAGAIN)})
	case msg.Type == wire.TypeFork:
		child := worker.w.forkWorker(msg.Age, files)
		child.mother, child.proc.stranger = worker, worker.template == "lies"
		child.say(wire.FromWorker{Type: wire.TypeBorn})
		worker.say(wire.FromWorker{Type: wire.TypeForked, Age: msg.Age})
	}
}

// say sends the master a message.
func (worker *fakeWorker) say(msg wire.FromWorker) {
	worker.channel.tell(fromWorker{FromWorker: msg, Sender: worker.proc.pid})
}

func (worker *fakeWorker) ready() {
	if !worker.proc.gone {
		worker.say(wire.FromWorker{Type: wire.TypeReady, Kind: worker.w.kind})
	}
}

// die ends the worker, of which its spawner, or the kernel, tells the master.
func (worker *fakeWorker) die(status int) {
	w := worker.w
	if worker.proc.gone {
		return
	}
	for _, c := range append(worker.holds, worker.channel) {
		c.Close()
	}
	if worker.parent == nil || worker.parent.proc.gone {
		w.exit(worker.proc, status)
		return
	}
	worker.proc.gone = true
	ws := syscall.WaitStatus(status)
	msg := wire.FromSpawner{Type: wire.TypeExited, Age: worker.age, Pid: worker.proc.pid, Peak: 1 << 11}
	if ws.Signaled() {
		msg.Signal = int(ws.Signal())
	} else {
		msg.Code = ws.ExitStatus()
	}
	worker.parent.conn.tell(msg)
	if worker.parent.leaving {
		worker.parent.leave()
	}
}

// fromWorker is a message on a fakeChannel.
type fromWorker struct {
	wire.FromWorker
	Sender int
	Breach string
}

// A fakeChannel is the master's end of the channel of a worker.
type fakeChannel struct {
	end   *fakeConn
	inbox chan []byte
}

func (c *fakeChannel) Recv() (wire.FromWorker, int, error) {
	var msg fromWorker
	data, ok := <-c.inbox
	if !ok {
		return wire.FromWorker{}, 0, io.EOF
	}
	if err := json.Unmarshal(data, &msg); err != nil {
		return wire.FromWorker{}, 0, err
	}
	if msg.Breach != "" {
		return wire.FromWorker{}, msg.Sender, &wire.BreachError{What: msg.Breach}
	}
	return msg.FromWorker, msg.Sender, nil
}

func (c *fakeChannel) Send(msg wire.ToWorker, files ...*os.File) error {
	c.end.mu.Lock()
	closed := c.end.closed
	c.end.mu.Unlock()
	if closed {
		return syscall.EPIPE
	}
	return c.end.SendKeeping(msg, files...)
}

func (c *fakeChannel) Close() { c.end.Close() }

// A fakeLogger answers pings.
type fakeLogger struct {
	w    *world
	proc *fakeProcess
	conn *fakeConn
	sock *os.File // a duplicate of its socket
}

func (w *world) startLogger(files []*os.File) *fakeLogger {
	l := &fakeLogger{w: w}
	l.proc = w.process(func(p *fakeProcess, sig syscall.Signal) {
		if sig == syscall.SIGKILL {
			l.die()
		}
	})
	l.conn = hears(w, files[1], func(wire.ToLogger, []*os.File) {
		if !w.mute["logger"] {
			l.conn.tell(wire.FromLogger{Type: wire.TypeOK})
		}
	})
	l.sock, _ = real.duplicate(files[0])
	w.t.Cleanup(func() { l.sock.Close() })
	w.loggers = append(w.loggers, l)
	return l
}

// die ends the logger, whose end shows in its channel.
func (l *fakeLogger) die() {
	if !l.proc.gone {
		l.proc.gone = true
		l.conn.Close()
	}
}

// A fakeSuccessor is the master that the master has started for an upgrade.
type fakeSuccessor struct {
	w    *world
	proc *fakeProcess
	conn *fakeConn
	got  []linkMessage
	env  map[string]string
}

func (w *world) startSuccessor(c oslayer.Command) process {
	s := &fakeSuccessor{w: w, env: map[string]string{}}
	for _, kv := range c.Env {
		name, value, _ := strings.Cut(kv, "=")
		s.env[name] = value
	}
	var fd int
	fmt.Sscan(s.env[envLink], &fd)
	s.proc = w.process(func(*fakeProcess, syscall.Signal) {})
	s.conn = hears(w, c.Files[fd], func(msg linkMessage, _ []*os.File) { s.got = append(s.got, msg) })
	w.successors = append(w.successors, s)
	return s.proc
}

func (s *fakeSuccessor) die(status int) {
	s.conn.Close()
	s.w.exit(s.proc, status)
}

// A fakeWatcher notes which files are watched.
type fakeWatcher struct {
	options codewatch.Options
	files   []string
	looks   []func()
	closed  bool
}

func (c *fakeWatcher) Add(paths []string, _ time.Time) { c.files = append(c.files, paths...) }
func (c *fakeWatcher) Look(done func())                { c.looks = append(c.looks, done) }
func (c *fakeWatcher) Close()                          { c.closed = true }
