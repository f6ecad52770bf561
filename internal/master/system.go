package master

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"indrik/internal/errlog"
	"indrik/internal/exitcode"
	"indrik/internal/listen"
	"indrik/internal/oslayer"
	"indrik/internal/pidfile"
	"indrik/internal/wire"
)

// A system is what the master asks of the operating system that can be refused. Tests put
// functions that fail in the place of single ones.
type system struct {
	// Processes.
	start func(oslayer.Command) (*oslayer.Process, error)
	child func(pid int, parents ...int) (*oslayer.Process, error) // that another one has started
	reap  func() []oslayer.Exit

	stopped func(pid int) bool
	traced  func(pid int) bool

	// Channels.
	pair        func() (a, b *os.File, err error)
	connect     func(*os.File) (*wire.Conn, error)
	channel     func(*os.File) (*wire.WorkerChannel, error)
	nameSenders func(*os.File) error

	// Descriptors and memory.
	duplicate func(*os.File) (*os.File, error)
	constant  func(name string, content []byte) (*os.File, error)
	growing   func(name string) (*os.File, error)
	board     func(slots int) (*os.File, error)
	mapBoard  func(*os.File) (*wire.Board, error)

	// Files and addresses.
	openLog  func(path string, uid, gid int) (*os.File, error)
	pidFile  func(path string, pid int) (*pidfile.File, error)
	listen   func(listen.Address, listen.Options) (*listen.Listener, error)
	readFile func(string) ([]byte, error)
	chdir    func(string) error

	// The clock.
	now   func() time.Time
	after func(time.Duration, func()) *time.Timer
}

// realSystem is the operating system itself.
var realSystem = system{
	start: oslayer.Start, child: oslayer.FindChild, reap: oslayer.Reap, stopped: oslayer.Stopped, traced: oslayer.Traced,
	pair: wire.Pair, connect: wire.NewConn, channel: wire.NewWorkerChannel, nameSenders: wire.NameSenders,
	duplicate: errlog.Duplicate, constant: wire.ConstantFile, growing: wire.GrowingFile,
	board: wire.NewBoardFile, mapBoard: wire.MapBoard,
	openLog: errlog.OpenFile, pidFile: pidfile.Create, listen: listen.Open, readFile: os.ReadFile, chdir: os.Chdir,
	now: time.Now, after: time.AfterFunc,
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
