package master

import (
	"os"
	"time"

	"indrik/internal/settings"
	"indrik/internal/wire"
)

// startFront starts a front, and tells it all that this master has.
func (m *Master) startFront() error {
	dump, err := m.front.start(m.title("front"), credential(m.cfg))
	if err != nil {
		return err
	}
	m.reloader.check = 0 // of the one before
	f := m.front.current
	f.probe = m.newProbe("Front", f.proc, dump)
	f.probe.over = func() bool { return m.front.current != f }
	f.probe.ask = m.front.ping
	f.probe.watch()
	receive(m, f.conn, func(msg wire.FromFront) { m.fromFront(f, msg) }, nil)
	m.sendLogs()
	m.front.sendListeners()
	m.sendPeer()
	return nil
}

// sendLogs tells the front where its logs go.
func (m *Master) sendLogs() {
	msg, files := m.logging.message(m.cfg)
	m.front.send(msg, files...)
}

// fromFront acts on a message of the front f, if that is still the one.
func (m *Master) fromFront(f *frontProcess, msg wire.FromFront) {
	if m.front.current != f {
		return
	}
	w := m.pool.workers[msg.Age]
	switch msg.Type {
	case wire.TypeOK, wire.TypeFailed:
		f.answered(msg)
	case wire.TypeReady:
		f.ready = true
	case wire.TypeTimeout:
		if w != nil {
			m.timedOut(w, msg)
		}
	case wire.TypeSlow:
		m.slowRequests(msg)
	case wire.TypeLoad:
		m.loadTold(msg.Load)
	case wire.TypeSettled:
		if w != nil {
			m.settled(w)
		}
	case wire.TypeBroken:
		if msg.Generation != 0 {
			m.queueBroken(msg.Generation, msg.Reason)
		} else if w != nil && !w.broke {
			m.breach(w, msg.Reason)
			m.pool.kill(w)
		}
	case wire.TypeClosed:
		if w != nil {
			m.slotClosed(w)
		}
	case wire.TypeLost:
		if !m.deaths.tell(msg) && w != nil {
			w.lost = &msg // it has seen the end of w before the spawner has told of it
		}
	case wire.TypePoolTimeout:
		if w := m.poolWorkers.workers[msg.Age]; w != nil {
			m.poolTimedOut(w)
		}
	case wire.TypePoolBroken:
		if w := m.poolWorkers.workers[msg.Age]; w != nil && !w.killed {
			m.endPoolWorker(w, msg.Reason)
		}
	case wire.TypeStatus:
		m.statusForFront(f, msg)
	case wire.TypeCommand:
		m.commandFromFront(f, msg)
	case wire.TypeCheck:
		m.checkCode(msg.Check)
	case wire.TypeAppMetrics:
		m.metrics.answer(msg.Ask)
	case wire.TypeDrained:
		if f.draining {
			m.frontDrained(f)
		}
	}
}

// frontDrained is called when nothing is left to do for a front that drains.
func (m *Master) frontDrained(f *frontProcess) {
	f.draining = false
	m.on(drained, occurrence{})
}

// sendGeneration tells the front of g, unless it has been told already; generationTaken
// goes on when it has answered.
func (m *Master) sendGeneration(g *generation) {
	g.announced = true
	if m.front.current == nil || g.toldTo == m.front.current {
		return
	}
	g.toldTo, g.taken = m.front.current, false
	done := func(fail *failure) { m.generationTaken(g, fail) }
	files := []*os.File{g.queueFront, g.queueWorker}
	if g.certs != nil {
		secrets, err := m.tls.secretsFile(g.certs)
		if err != nil {
			m.after(0, func() { done(lack("the front cannot serve TLS", err)) })
			return
		}
		defer secrets.Close()
		files = append(files, secrets)
	}
	m.front.call(wire.ToFront{Type: wire.TypeGeneration, Generation: g.number, Config: g.frontConfig()}, done, files...)
}

// generationTaken is called when the front has answered the message about g: nothing
// of g may be forked before the front knows g.
func (m *Master) generationTaken(g *generation, fail *failure) {
	isCandidate := m.candidateGeneration() == g
	switch {
	case g.toldTo != m.front.current:
		// It has ended since, and another one is told.
	case fail == nil:
		g.taken = true
		if isCandidate {
			m.candidate.fork()
		}
		m.balance()
	case isCandidate:
		m.candidate.fail(fail)
	case m.state == booting:
		m.cannotBoot(fail)
	case g == m.gen:
		// What serves cannot be served by this one.
		m.log.Errorf("The front (pid:%d) is replaced: %s", m.front.current.proc.Pid(), fail.Error())
		m.front.current.ready = false
		m.front.kill()
	default:
		m.log.Errorf("Workers that are leaving cannot answer any more: %s", fail.Error())
	}
}

// replaceFront starts a front in the place of one that died.
func (m *Master) replaceFront() {
	if m.front.current != nil || m.state == draining || m.state == quitting {
		return
	}
	if err := m.startFront(); err != nil {
		m.log.Errorf("%s", lack("", err).line())
		m.after(max(firstPause, m.front.backoff.died(m.now())), m.replaceFront)
		return
	}
	m.sendUpgradeTrial()
	m.front.sendTrial(m.candidate) // before the workers that it is about are told to serve
	told := map[*generation]bool{}
	for _, w := range m.pool.byAge() {
		if !told[w.gen] {
			told[w.gen] = true
			m.sendGeneration(w.gen)
		}
		m.announce(w)
		if w.active && !w.leaving {
			m.pool.tellActive(w)
		}
	}
	for _, w := range m.poolWorkers.byAge() {
		if w.leaving {
			continue // its calls ended with the front before, and it ends
		}
		if !told[w.gen] {
			told[w.gen] = true
			m.sendGeneration(w.gen)
		}
		m.announcePoolWorker(w)
		if w.ready {
			m.poolWorkers.tellActive(w)
		}
	}
	for _, g := range []*generation{m.gen, m.candidateGeneration()} {
		if g != nil && !told[g] && g.announced {
			m.sendGeneration(g)
		}
	}
	if m.state == departing {
		m.front.send(wire.ToFront{Type: wire.TypeDepart})
	}
}

// expireGrace is how long the front has to answer what it was told to expire.
const expireGrace = 2 * time.Second

// expireAfter tells the front to answer what is still running after d with 504, unless
// the drain is over by then, or the front has since been told something else: each drain
// has its own time.
func (m *Master) expireAfter(d time.Duration) {
	m.ending.drains++
	drain := m.ending.drains
	m.after(d, func() { m.on(drainExpired, occurrence{number: drain}) })
}

// expire tells the front to answer what is still running with 504, and waits for that no
// longer than expireGrace.
func (m *Master) expire(o occurrence) {
	if o.number != m.ending.drains || m.state == paused && !m.upgrader.pausing {
		return
	}
	m.front.send(wire.ToFront{Type: wire.TypeExpire})
	m.after(expireGrace, func() { m.on(drainOverdue, o) })
}

// giveDrainUp goes on as if the front had drained.
func (m *Master) giveDrainUp(o occurrence) {
	if f := m.front.current; o.number == m.ending.drains && f != nil && f.draining {
		m.frontDrained(f)
	}
}

// newProbe returns a probe of a process, which writes its stacks to dump. The caller sets
// how it is asked.
func (m *Master) newProbe(role string, proc process, dump *os.File) *probe {
	return &probe{
		base: m.base, stacks: &m.stacks, ending: func() bool { return m.state == quitting || m.ending.over },
		role: role, proc: proc, dump: dump,
	}
}

// openLogs opens the log files of cfg, and directs all logs there.
func (m *Master) openLogs(cfg *settings.Config) error {
	files, err := m.logging.openFiles(cfg)
	if err != nil {
		return err
	}
	m.useLogs(cfg, files)
	return nil
}

// useLogs directs all logs to files, which it takes over, as cfg says.
func (m *Master) useLogs(cfg *settings.Config, files *logFiles) {
	m.logging.use(cfg, files)
	m.sendLogs()
}

// reopenLogs opens every log file again, here and in every process (USR1).
func (m *Master) reopenLogs() {
	if m.cfg == nil {
		return
	}
	if err := m.openLogs(m.cfg); err != nil {
		m.log.Errorf("Cannot open the log files again, the old ones are kept: %s", err)
	}
	m.spawners.reopenLogs()
	m.pool.reopenLogs()
	m.poolWorkers.reopenLogs()
	m.logging.reopenLogger()
}
