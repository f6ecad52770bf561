package master

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

const (
	// probeEvery is how often front, spawner and logger are asked whether they live.
	// Nothing else wakes an idle server.
	probeEvery = 5 * time.Second
	// One that does not answer is looked at every strikeEvery, and counts as hanging
	// after so many looks: between 6 and 11 s after it has stopped to answer. Looks do
	// not count while a debugger holds it, nor those for which this process came too
	// late itself, since then everything stood still: after a suspend, a frozen cgroup
	// (docker pause), or where the machine has no time for anybody.
	strikeEvery = 2 * time.Second
	strikesMost = 3
	lateLook    = 500 * time.Millisecond
	// stackGrace is how long a process that hangs has to write its stacks.
	stackGrace = time.Second
	// longCall is from when on the log shows what a spawner is doing that runs code of
	// the app's, or of the config file's, which may take any time.
	longCall = time.Minute
)

// A probe asks one process regularly whether it lives, as event loops are asked. One
// that hangs is made to write its stacks, and ended: its end leads to another one, as any
// other death.
type probe struct {
	base
	stacks *stacks
	ending func() bool // the whole server ends

	role string // as the log calls it
	proc process
	dump *os.File             // where it writes its stacks
	ask  func(done func())    // sends the question, and calls done with the answer
	busy func() time.Duration // for how long it has done what may take any time; 0: it does not
	over func() bool          // it has ended, or is about to
	// replace ends it, logs why, and sees to another one; nil: SIGKILL does.
	replace func(text string)

	timer   *time.Timer
	asked   bool // and has not answered
	since   time.Time
	strikes int
	shown   bool // what it is busy with
	resumed bool // it was stopped, is continued, and has not answered since
}

// watch begins to ask.
func (p *probe) watch() {
	p.timer = p.after(probeEvery, p.begin)
}

func (p *probe) ended() bool { return p.over() || p.ending() }

// stop ends it; the dump file is closed with it.
func (p *probe) stop() {
	if p == nil {
		return
	}
	if p.timer != nil {
		p.timer.Stop()
	}
	if p.dump != nil {
		p.dump.Close()
		p.dump = nil
	}
}

// hangs reports whether it has not answered for so long that it is to be replaced.
func (p *probe) hangs() bool { return p != nil && p.strikes >= strikesMost }

// begin asks, unless the process is busy with what may take any time.
func (p *probe) begin() {
	if p.ended() {
		return
	}
	p.since = p.now()
	if p.busy != nil {
		if d := p.busy(); d > 0 {
			p.lookWhileBusy(d)
			return
		}
	}
	p.shown = false
	p.asked, p.strikes = true, 0
	p.ask(p.answered)
	if p.asked {
		p.lookLater()
	}
}

// answered is called when the process has answered.
func (p *probe) answered() {
	if !p.asked {
		return
	}
	p.asked, p.strikes = false, 0
	resumed := p.resumed
	p.resumed = false
	if p.ended() {
		return
	}
	if resumed {
		p.tellGoesOn()
	}
	if p.timer != nil {
		p.timer.Stop()
	}
	p.watch()
}

// lookLater looks after a while whether the process has answered.
func (p *probe) lookLater() {
	due := p.now().Add(strikeEvery)
	p.timer = p.after(strikeEvery, func() {
		if p.ended() || !p.asked {
			return
		}
		if p.now().Sub(due) < lateLook && !p.sys.traced(p.proc.Pid()) {
			p.strikes++
		}
		if p.hangs() {
			p.end()
			return
		}
		p.lookLater()
	})
}

// lookWhileBusy is for a process that cannot be asked: nothing says that it hangs, unless
// it was stopped. If it takes long the log shows what it does.
func (p *probe) lookWhileBusy(d time.Duration) {
	switch {
	case p.sys.traced(p.proc.Pid()):
	case p.sys.stopped(p.proc.Pid()):
		if p.strikes++; p.hangs() || p.strikes > 1 {
			p.strikes = 0
			p.show("was stopped (SIGSTOP) and is continued", p.tell)
		}
	case d >= longCall && !p.shown:
		p.shown = true
		p.show(fmt.Sprintf("has run code of the configuration or the app for %.0f s", d.Seconds()), p.tell)
	}
	p.watch()
}

// end makes the process write its stacks, and ends it unless it answers after all. One that was
// stopped has as much time for that as it had before: it could not do anything, and what it
// holds, such as all connections, is lost with it.
func (p *probe) end() {
	stopped := p.sys.stopped(p.proc.Pid())
	text := fmt.Sprintf("has not answered for %.0f s", p.now().Sub(p.since).Seconds())
	if stopped {
		text += ", since it was stopped (SIGSTOP)"
	}
	p.show(text, func(text string) {
		switch {
		case p.over():
			p.tell(text)
		case !p.asked:
			p.tell(text)
			p.tellGoesOn()
		case stopped:
			p.tell(text)
			p.resumed, p.strikes = true, 0
			p.lookLater()
		case p.replace != nil:
			p.replace(text)
		default:
			p.tell(text)
			p.tellReplaced()
			p.proc.Signal(syscall.SIGKILL)
		}
	})
}

func (p *probe) tell(text string) { p.log.Errorf("%s", text) }

func (p *probe) tellGoesOn() {
	p.log.Warnf("%s (pid:%d) answers again, and goes on", p.role, p.proc.Pid())
}

func (p *probe) tellReplaced() { p.log.Errorf("%s (pid:%d) is replaced", p.role, p.proc.Pid()) }

// show gives next a text about the process with its stacks, if it can write them. A
// process that was stopped is continued for that.
func (p *probe) show(text string, next func(string)) {
	p.proc.Signal(syscall.SIGCONT)
	p.stacks.dump(p.proc, p.dump, stackGrace, func(stacks string) {
		line := fmt.Sprintf("%s (pid:%d) %s", p.role, p.proc.Pid(), text)
		if stacks != "" {
			line += "\n" + strings.TrimRight(stacks, "\n")
		} else {
			line += "; it shows no stacks"
		}
		next(line)
	})
}
