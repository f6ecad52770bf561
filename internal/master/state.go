package master

import (
	"os"
	"slices"
	"syscall"
	"time"
)

// A state is what the master is doing; it decides what a signal means.
type state int

const (
	// booting: until every worker of the first generation is ready.
	booting state = iota
	// running: one generation serves.
	running
	// reloading: one generation serves, and another is being made.
	reloading
	// paused: WINCH ended the workers; the master and its sockets stay.
	paused
	// departing: TERM came, and drain_delay is not over; clients are told, and
	// connections still accepted.
	departing
	// draining: what is in flight is finished.
	draining
	// quitting: INT or QUIT came, or the drain is over: everything ends.
	quitting
)

var stateNames = [...]string{"booting", "running", "reloading", "paused", "departing", "draining", "quitting"}

func (s state) String() string { return stateNames[s] }

// An action is what a signal does in a state.
type action struct {
	name string
	do   func(*Master)
}

// The actions, by the name that docs/signals.md gives them.
var (
	ignore   = action{"ignored", func(*Master) {}}
	deferred = action{"done once running", nil} // the loop keeps the signal
	depart   = action{"graceful shutdown", (*Master).depart}
	drain    = action{"drain at once", (*Master).drain}
	quit     = action{"quick shutdown", (*Master).quit}
	hasten   = action{"quick shutdown", (*Master).hasten}
	reload   = action{"reload", (*Master).reload}
	restart  = action{"reload again", (*Master).reload}
	restore  = action{"workers come back", (*Master).restore}
	more     = action{"one worker more", (*Master).moreWorkers}
	fewer    = action{"one worker fewer", (*Master).fewerWorkers}
	one      = action{"one worker comes back", (*Master).restoreOne}
	reopen   = action{"log files reopened", (*Master).reopenLogs}
	upgrade  = action{"upgrade", (*Master).upgrade}
	pause    = action{"workers leave", (*Master).pause}
)

// signals is what each signal does in each state. docs/signals.md holds the
// same table for people; a test compares them. Conditions beyond the state
// (a successor is alive, the master is a daemon) are checked by the action.
//
// Actions lead back here by way of enter, so it cannot be initialized where it
// is declared.
var signals map[syscall.Signal][len(stateNames)]action

func init() {
	signals = map[syscall.Signal][len(stateNames)]action{
		//                booting   running  reloading paused   departing draining quitting
		syscall.SIGTERM:  {depart, depart, depart, depart, drain, ignore, ignore},
		syscall.SIGINT:   {quit, quit, quit, quit, quit, hasten, hasten},
		syscall.SIGQUIT:  {quit, quit, quit, quit, quit, hasten, hasten},
		syscall.SIGHUP:   {deferred, reload, restart, restore, ignore, ignore, ignore},
		syscall.SIGTTIN:  {more, more, more, one, ignore, ignore, ignore},
		syscall.SIGTTOU:  {fewer, fewer, fewer, ignore, ignore, ignore, ignore},
		syscall.SIGUSR1:  {reopen, reopen, reopen, reopen, reopen, reopen, reopen},
		syscall.SIGUSR2:  {deferred, upgrade, upgrade, upgrade, ignore, ignore, ignore},
		syscall.SIGWINCH: {ignore, pause, pause, ignore, ignore, ignore, ignore},
	}
}

var signalNames = map[syscall.Signal]string{
	syscall.SIGTERM:  "term",
	syscall.SIGINT:   "int",
	syscall.SIGQUIT:  "quit",
	syscall.SIGHUP:   "hup",
	syscall.SIGTTIN:  "ttin",
	syscall.SIGTTOU:  "ttou",
	syscall.SIGUSR1:  "usr1",
	syscall.SIGUSR2:  "usr2",
	syscall.SIGWINCH: "winch",
}

// together is how close signals come that count as sent at the same time. The kernel
// delivers those that wait together by their numbers, HUP before WINCH, whichever was
// sent first (signal(7)): so what their order was cannot be known.
const together = 20 * time.Millisecond

// signalOrder is how signals that came together are handled, whatever the order in
// which the kernel delivered them. Of two that contradict each other the one that
// keeps more of the service comes last: workers leave (WINCH) before they come back
// (HUP, TTIN), and a new number of workers counts after a reload, which forgets the
// one before. What ends the server comes after everything else, the quick end last,
// since whoever asks for it does not want to wait.
var signalOrder = []syscall.Signal{
	syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH, syscall.SIGHUP, syscall.SIGTTIN, syscall.SIGTTOU,
	syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT,
}

// signalled keeps a signal until those that came together with it are here too.
func (m *Master) signalled(sig syscall.Signal) {
	m.arrived = append(m.arrived, sig)
	if len(m.arrived) == 1 {
		m.after(together, m.handleArrived)
	}
}

// handleArrived acts on the signals that came together.
func (m *Master) handleArrived() {
	arrived := m.arrived
	m.arrived = nil
	slices.SortStableFunc(arrived, func(a, b syscall.Signal) int {
		return slices.Index(signalOrder, a) - slices.Index(signalOrder, b)
	})
	for _, sig := range arrived {
		m.handle(sig)
	}
}

// sameSignal is how close to each other a signal to this process and one to a spawner are
// that were sent to all processes of the service.
const sameSignal = time.Second

// spawnerSignalled is called when a signal came to a spawner that is for the master. Often
// it was sent to all processes of the service, by a service manager or a terminal, and
// this one has got it too. Otherwise somebody meant the master: an app that signals its
// parent, which under Gunicorn is the master. Such a signal is not passed on, since Python
// does not tell who sent it, and one that was not meant would stop the server; the log
// says once what to do.
func (m *Master) spawnerSignalled(sp *spawner, sig syscall.Signal) {
	came := m.now()
	m.after(sameSignal, func() {
		if m.hinted[sig] || m.handled[sig].After(came.Add(-sameSignal)) || m.state == draining || m.state == quitting {
			return
		}
		if m.hinted == nil {
			m.hinted = map[syscall.Signal]bool{}
		}
		m.hinted[sig] = true
		name := signalName(sig)
		m.log.Warnf("%s was sent to the spawner (pid:%d), which does not act on it. Only the master does: an app that "+
			"sends it to its parent, as with Gunicorn, has to send it to process %d (worker.ppid in the hooks, or the pid file): "+
			"os.kill(%d, signal.%s)", name, sp.proc.Pid(), os.Getpid(), os.Getpid(), name)
	})
}

// handle acts on a signal.
func (m *Master) handle(sig syscall.Signal) {
	m.log.Infof("Handling signal: %s", signalNames[sig])
	if m.handled == nil {
		m.handled = map[syscall.Signal]time.Time{}
	}
	m.handled[sig] = m.now()
	a := signals[sig][m.state]
	if a.do == nil {
		m.deferred = append(m.deferred, sig)
		return
	}
	a.do(m)
}

// enter changes the state, and hands out the signals that waited for it.
func (m *Master) enter(s state) {
	m.log.Debugf("State: %s", s)
	m.state = s
	m.answerLook()
	if s != running {
		return
	}
	waiting := m.deferred
	m.deferred = nil
	for _, sig := range waiting {
		if a := signals[sig][m.state]; a.do != nil {
			a.do(m)
		} else {
			m.deferred = append(m.deferred, sig)
		}
	}
}
