package master

import (
	"os"
	"syscall"
)

// A fakeProcess is a process that only the test knows. It notes the signals that it gets.
type fakeProcess struct {
	pid      int
	gone     bool // it cannot be signalled
	released bool
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
