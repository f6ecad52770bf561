package master

import (
	"io"
	"os"
	"syscall"
)

// A fakeProcess is a process that only the test knows. It notes the signals that it gets.
type fakeProcess struct {
	pid      int
	gone     bool // it cannot be signalled
	released bool
	stranger bool // it is nobody's child
	got      []syscall.Signal
	obey     func(syscall.Signal) // nil: it ignores all signals
}

func (p *fakeProcess) Pid() int { return p.pid }

func (p *fakeProcess) Signal(sig syscall.Signal) error {
	if p.gone || p.released {
		return os.ErrProcessDone
	}
	if sig == 0 {
		return nil
	}
	p.got = append(p.got, sig)
	if p.obey != nil {
		p.obey(sig)
	}
	return nil
}

func (p *fakeProcess) Release() { p.released = true }

func (p *fakeProcess) Ended() bool { return p.gone || p.released }

// bareMaster returns a master on the system sys that writes its log to log. It has no
// process, and nobody runs its loop.
func bareMaster(log io.Writer, sys *system) *Master {
	m := newMaster(Options{Stderr: log}, sys)
	m.service.notify = nil
	return m
}

// eventsOf returns the channel in which the loop of a master gets what it runs.
func eventsOf(m *Master) chan func() { return m.loop.(*eventLoop).events }
