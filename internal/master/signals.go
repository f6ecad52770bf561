package master

import (
	"os"
	"slices"
	"syscall"
	"time"
)

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
const together = 50 * time.Millisecond

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

// An inbox holds the signals that came, and what the log has said of them.
type inbox struct {
	arrived  []syscall.Signal             // a moment ago: see signalled
	handled  map[syscall.Signal]time.Time // when each came last
	hinted   map[syscall.Signal]bool      // the log says what to do about one that came to a spawner
	deferred []syscall.Signal             // to be handled once running
}

// add keeps a signal, and reports whether none waits before it.
func (in *inbox) add(sig syscall.Signal) bool {
	in.arrived = append(in.arrived, sig)
	return len(in.arrived) == 1
}

// take returns the signals that came together, in the order in which they are handled.
func (in *inbox) take() []syscall.Signal {
	arrived := in.arrived
	in.arrived = nil
	slices.SortStableFunc(arrived, func(a, b syscall.Signal) int {
		return slices.Index(signalOrder, a) - slices.Index(signalOrder, b)
	})
	return arrived
}

// signalled acts on a signal once those that came together with it are here too.
func (m *Master) signalled(sig syscall.Signal) {
	if !m.inbox.add(sig) {
		return
	}
	m.after(together, func() {
		for _, sig := range m.inbox.take() {
			m.handle(sig)
		}
	})
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
		if m.inbox.hinted[sig] || m.inbox.handled[sig].After(came.Add(-sameSignal)) || m.state == draining || m.state == quitting {
			return
		}
		m.inbox.hinted[sig] = true
		name := signalName(sig)
		m.log.Warnf("%s was sent to the spawner (pid:%d), which does not act on it. Only the master does: an app that "+
			"sends it to its parent, as with Gunicorn, has to send it to process %d (worker.ppid in the hooks, or the pid file): "+
			"os.kill(%d, signal.%s)", name, sp.proc.Pid(), os.Getpid(), os.Getpid(), name)
	})
}
