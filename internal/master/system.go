package master

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"indrik/internal/appmetrics"
	"indrik/internal/capacity"
	"indrik/internal/codewatch"
	"indrik/internal/errlog"
	"indrik/internal/exitcode"
	"indrik/internal/listen"
	"indrik/internal/oslayer"
	"indrik/internal/pidfile"
	"indrik/internal/wire"
)

// A process is another process that can be signalled: see [oslayer.Process].
type process interface {
	Pid() int
	Signal(syscall.Signal) error
	Release()
	Ended() bool
}

// A controlConn carries control messages to and from another process: see [wire.Conn].
type controlConn interface {
	Send(msg any, files ...*os.File) error
	SendKeeping(msg any, files ...*os.File) error
	Recv(msg any) ([]*os.File, error)
	OnlyFrom(pid int)
	Flush()
	Close() error
}

// A workerConn carries the messages of a worker: see [wire.WorkerChannel].
type workerConn interface {
	Recv() (msg wire.FromWorker, sender int, err error)
	Send(msg wire.ToWorker, files ...*os.File) error
	Close()
}

// A codeWatcher tells of code that changes: see [codewatch.Watcher].
type codeWatcher interface {
	Add(paths []string, since time.Time)
	Look(done func())
	Close()
}

// A system is what the master asks of the operating system, and what a test must be able
// to refuse, or to do in its place: tests replace single functions, or all of them.
type system struct {
	// Processes.
	start    func(oslayer.Command) (process, error)
	child    func(pid int, parents ...int) (process, error) // that another one has started
	reap     func() []oslayer.Exit
	stopped  func(pid int) bool
	traced   func(pid int) bool
	descends func(pid int, roots ...int) (below, known bool)
	usage    func(pid int) (rss, pss int64, cpu time.Duration)
	rss, pss func(pid int) int64 // the same, alone; pss may hang
	cpu      func(pid int) time.Duration
	machine  func() capacity.Machine

	// This process.
	getenv   func(string) string
	unsetenv func(string) error
	environ  func() []string
	signals  func(...os.Signal) <-chan os.Signal // that come to it from now on
	setTitle func(string)
	umask    func(int) int
	protect  func(debugf func(string, ...any)) // asks the kernel for what a master can do without
	chdir    func(string) error

	// Channels.
	pair        func() (a, b *os.File, err error)
	connect     func(*os.File) (controlConn, error)
	channel     func(*os.File) (workerConn, error)
	nameSenders func(*os.File) error

	// Descriptors and memory.
	duplicate func(*os.File) (*os.File, error)
	pipe      func() (r, w *os.File, err error)
	redirect  func(f *os.File, fd int) error
	constant  func(name string, content []byte) (*os.File, error)
	growing   func(name string) (*os.File, error)
	board     func(slots int) (*os.File, error)
	mapBoard  func(*os.File) (*wire.Scoreboard, error)

	// Files and addresses.
	openLog   func(path string, uid, gid int) (*os.File, error)
	pidFile   func(path string, pid int) (*pidfile.File, error)
	listen    func(listen.Address, listen.Options) (*listen.Listener, error)
	readFile  func(string) ([]byte, error)
	watchCode func(codewatch.Options) codeWatcher
	oomKills  func() int // of processes in the control group of this one, so far
	memoryUse func() capacity.Use

	metricsDir func() (*appmetrics.Directory, error)

	// The clock.
	now   func() time.Time
	after func(time.Duration, func()) *time.Timer
}

// realSystem returns the operating system itself.
func realSystem() *system {
	return &system{
		start:    func(c oslayer.Command) (process, error) { return orNil[process](oslayer.Start(c)) },
		child:    func(pid int, parents ...int) (process, error) { return oslayer.FindChild(pid, parents...) },
		reap:     oslayer.Reap,
		stopped:  oslayer.Stopped,
		traced:   oslayer.Traced,
		descends: oslayer.Descends,
		usage:    oslayer.Usage,
		rss:      oslayer.RSS,
		pss:      oslayer.PSS,
		cpu:      oslayer.CPU,
		machine:  func() capacity.Machine { return capacity.Read(os.DirFS("/"), runtime.NumCPU()) },

		getenv:   os.Getenv,
		unsetenv: os.Unsetenv,
		environ:  os.Environ,
		signals:  notifySignals,
		setTitle: oslayer.SetTitle,
		umask:    syscall.Umask,
		protect:  protect,
		chdir:    os.Chdir,

		pair:        wire.Pair,
		connect:     func(f *os.File) (controlConn, error) { return orNil[controlConn](wire.NewConn(f)) },
		channel:     func(f *os.File) (workerConn, error) { return orNil[workerConn](wire.NewWorkerChannel(f)) },
		nameSenders: wire.NameSenders,

		duplicate: errlog.Duplicate,
		pipe:      os.Pipe,
		redirect:  oslayer.Redirect,
		constant:  wire.ConstantFile,
		growing:   wire.GrowingFile,
		board:     wire.NewScoreboardFile,
		mapBoard:  wire.MapScoreboard,

		openLog:   errlog.OpenFile,
		pidFile:   pidfile.Create,
		listen:    listen.Open,
		readFile:  os.ReadFile,
		watchCode: func(o codewatch.Options) codeWatcher { return codewatch.New(o) },
		oomKills:  func() int { return capacity.OOMKills(os.DirFS("/")) },
		memoryUse: func() capacity.Use { return capacity.ReadUse(os.DirFS("/")) },

		// In memory if that can be had: each value that the app changes is written there.
		metricsDir: func() (*appmetrics.Directory, error) { return appmetrics.Make("/dev/shm", os.TempDir()) },

		now:   time.Now,
		after: time.AfterFunc,
	}
}

// orNil returns v as an I, or no I at all if there is an error: an interface that holds a
// nil pointer would not be nil.
func orNil[I, T any](v T, err error) (I, error) {
	if err != nil {
		var none I
		return none, err
	}
	return any(v).(I), nil
}

// notifySignals returns the channel of the signals that come to this process.
func notifySignals(sigs ...os.Signal) <-chan os.Signal {
	// A log whose reader is gone must not end the master (os/signal, SIGPIPE).
	// Nor must RLIMIT_FSIZE: what it forbids is an error then (setrlimit(2)).
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE, syscall.SIGXFSZ)
	arriving := make(chan os.Signal, 128)
	signal.Notify(arriving, sigs...)
	return arriving
}

// protect makes this process the parent of orphaned workers, and hides its memory from
// other processes. It logs what could not be had.
func protect(debugf func(string, ...any)) {
	if err := oslayer.Subreaper(); err != nil {
		debugf("Workers of a spawner that dies will not be adopted: %s", err)
	}
	if err := oslayer.Conceal(); err != nil {
		debugf("Processes of the same user can read the TLS keys: %s", err)
	}
}

// lack is the failure of something that the system refused. It says which limit was met
// if it was one.
func lack(what string, err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	if what != "" {
		what += ": "
	}
	f = &failure{text: "\nError: " + what + strings.TrimPrefix(err.Error(), "Error: "), code: exitcode.Config}
	if limit := oslayer.Limit(err); limit != "" {
		f.text += fmt.Sprintf(limitIs+"%s)", limit)
		f.code = exitcode.Resources
	}
	return f
}

// limitIs comes before the name of a limit in a message; a process that has limits of its
// own has named its own already.
const limitIs = " (the limit is "

// lacks is the failure that a process tells of by the number of an error of the system.
func lacks(text string, errno int) *failure {
	f := &failure{text: text, code: exitcode.Config}
	if limit := oslayer.Limit(syscall.Errno(errno)); errno != 0 && limit != "" {
		if !strings.Contains(text, limitIs) {
			f.text += fmt.Sprintf(limitIs+"%s)", limit)
		}
		f.code = exitcode.Resources
	}
	return f
}
