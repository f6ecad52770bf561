package master

import (
	"syscall"

	"indrik/internal/autoscale"
)

// A state is what the master is doing; it decides what a signal or another event means.
type state int

const (
	// booting: until every worker of the first generation is ready.
	booting state = iota
	// running: one generation serves.
	running
	// reloading: one generation serves, and another is being made.
	reloading
	// judging: one generation serves, and a new one gets a share of the requests until it has
	// been judged (canary).
	judging
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

var stateNames = [...]string{"booting", "running", "reloading", "judging", "paused", "departing", "draining", "quitting"}

func (s state) String() string { return stateNames[s] }

// An action is what a signal does in a state.
type action struct {
	name string
	do   func(*Master) // nil: the signal waits until the server runs
}

// signals is what each signal does in each state: see transitions.go.
var signals map[syscall.Signal][len(stateNames)]action

// An event is something that happens to the master, and is no signal.
type event string

const (
	workerReady     event = "worker ready"     // it has its app
	workerExited    event = "worker exited"    // whatever the reason
	spawnerExited   event = "spawner exited"   // nobody has told it to
	generationLost  event = "generation lost"  // the serving generation can have no more workers
	frontExited     event = "front exited"     // whatever the reason
	drained         event = "drained"          // the front has nothing left to do
	drainExpired    event = "drain expired"    // graceful_timeout of a drain is over
	drainOverdue    event = "drain overdue"    // and the front has had time to answer with 504
	delayOver       event = "drain delay over" // drain_delay
	loggerExited    event = "logger exited"    // nobody has told it to
	candidateReady  event = "candidate ready"  // all workers of it have their app
	candidateFailed event = "candidate failed" // whatever the step
	candidatePassed event = "candidate passed" // it was tried, and is no worse
	codeChanged     event = "code changed"     // with the setting reload
	reloadDue       event = "reload due"       // for that
	successorReady  event = "successor ready"  // its workers have their app
	successorLeaves event = "successor leaves" // it begins to end
	successorExited event = "successor exited" // its process has
	promoted        event = "promoted"         // the predecessor is gone
	loadKnown       event = "load known"       // the front has told of it, or nothing was told for a while
)

// An occurrence is what there is to know of an event. Only the fields that concern the
// event are set.
type occurrence struct {
	worker  *worker
	death   death
	spawner *spawner
	front   *frontProcess
	status  syscall.WaitStatus
	gen     *generation
	pid     int
	number  int // of the drain
	why     string
	load    *autoscale.Sample // nil: there were no requests
}

// A reaction is what an event does in a state.
type reaction struct {
	name string
	do   func(*Master, occurrence)
}

// events is what each event does in each state: see transitions.go.
var events map[event][len(stateNames)]reaction

// on acts on an event.
func (m *Master) on(e event, o occurrence) { events[e][m.state].do(m, o) }

// handle acts on a signal.
func (m *Master) handle(sig syscall.Signal) {
	m.log.Infof("Handling signal: %s", signalNames[sig])
	m.inbox.handled[sig] = m.now()
	a := signals[sig][m.state]
	if a.do == nil {
		m.inbox.deferred = append(m.inbox.deferred, sig)
		return
	}
	a.do(m)
}

// enter changes the state, and acts on the signals that waited for it.
func (m *Master) enter(s state) {
	m.log.Debugf("State: %s", s)
	m.state = s
	if s == paused || s == departing || s == draining || s == quitting {
		m.endUpgradeTrial() // the successor is needed now
	}
	m.tellAdmin() // before the front is told to drain: it would say that it is not ready
	m.answerCheck()
	if s != running {
		return
	}
	waiting := m.inbox.deferred
	m.inbox.deferred = nil
	for _, sig := range waiting {
		if a := signals[sig][m.state]; a.do != nil {
			a.do(m)
		} else {
			m.inbox.deferred = append(m.inbox.deferred, sig)
		}
	}
}
