package oslayer

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"syscall"
)

// A Command says what process to start.
type Command struct {
	Path       string              // the file to execute, not searched for
	Args       []string            // argv, with argv[0]
	Env        []string            // nil: that of this process
	Dir        string              // "": that of this process
	Files      []*os.File          // become descriptors 0, 1, …; nil: closed
	Credential *syscall.Credential // who it runs as; nil: as this process
	Setsid     bool                // in a session of its own
	Setpgid    bool                // in a process group of its own, which a terminal's Ctrl-C does not reach
}

// A Process is a child, or a descendant, that can be signalled.
type Process struct {
	pid int
	p   *os.Process // holds a pidfd where the system has them
}

// Pid returns the id that the process has, or had.
func (p *Process) Pid() int { return p.pid }

// starting keeps [Reap] away from children that os.StartProcess has to wait for
// itself: that of its first call, which tries pidfds out, and those whose exec
// failed.
var starting sync.Mutex

// Start starts a process. The files stay the caller's.
func Start(c Command) (*Process, error) {
	starting.Lock()
	defer starting.Unlock()
	p, err := os.StartProcess(c.Path, c.Args, &os.ProcAttr{
		Dir:   c.Dir,
		Env:   c.Env,
		Files: c.Files,
		Sys:   &syscall.SysProcAttr{Credential: c.Credential, Setsid: c.Setsid, Setpgid: c.Setpgid},
	})
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Path, err)
	}
	return &Process{p.Pid, p}, nil
}

// ErrStranger says that a process is no child of those that it should be a child of.
var ErrStranger = errors.New("no child of this server")

// FindChild returns the process pid, which another process has started or named, if it
// is a child of one of parents. That is asked once the process is held by a pidfd, where
// the system has them, so that no other process can get the pid meanwhile, nor
// the signals later. A process that is gone is found too, and cannot be signalled. The
// error is ErrStranger for any other process.
//
// Where the system does not tell whose child a process is, the caller must know.
func FindChild(pid int, parents ...int) (*Process, error) {
	gone := &Process{pid: pid}
	if pid <= 0 {
		return gone, ErrStranger
	}
	p, err := os.FindProcess(pid)
	if err != nil {
		return gone, nil //nolint:nilerr // it is gone
	}
	found := &Process{pid, p}
	parent, known := parentOf(pid)
	switch {
	case errors.Is(found.Signal(0), os.ErrProcessDone):
		// What was read may be of another process by now.
		return found, nil
	case known && !slices.Contains(parents, parent):
		found.Release()
		return gone, ErrStranger
	}
	return found, nil
}

// Signal sends a signal. The error is os.ErrProcessDone once the process has been
// reaped, whoever has its pid by then.
func (p *Process) Signal(sig syscall.Signal) error {
	if p.p == nil {
		return os.ErrProcessDone
	}
	if err := p.p.Signal(sig); err != nil {
		if errors.Is(err, os.ErrProcessDone) || errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return fmt.Errorf("send %s to process %d: %w", sig, p.pid, err)
	}
	return nil
}

// Release gives back the pidfd, once the process has ended. It cannot be signalled
// after that.
func (p *Process) Release() {
	if p.p != nil {
		_ = p.p.Release()
		p.p = nil
	}
}

// Ended reports whether the process has ended, also if nobody has collected it yet.
func (p *Process) Ended() bool {
	return p.p == nil || errors.Is(p.Signal(0), os.ErrProcessDone) || ended(p)
}

// An Exit is the end of a child.
type Exit struct {
	Pid    int
	Status syscall.WaitStatus
}

// Reap collects all children that have ended, and does not wait for others. Call it
// at every SIGCHLD: one signal may stand for many of them.
func Reap() []Exit {
	starting.Lock()
	defer starting.Unlock()
	var exits []Exit
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return exits
		}
		exits = append(exits, Exit{pid, status})
	}
}

// executable is the path by which this process was started.
func executable() string {
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}
