package master

import (
	"fmt"
	"syscall"
	"time"

	"indrik/internal/exitcode"
	"indrik/internal/pidfile"
	"indrik/internal/wire"
)

// An ending is how, and how far, the server ends.
type ending struct {
	over    bool          // the loop ends
	ended   chan struct{} // closed when the loop has ended
	code    int           // with this exit code
	reason  string        // and this reason, if it is a failure
	silent  bool          // why was said already, before there was a log
	said    bool          // the last line of the log
	drains  int           // by TERM or WINCH, so far
	until   time.Time     // when a drain is to be over
	patient bool          // in quitting: workers have time for what is to be run at their end

	pid     *pidfile.File
	release func(code int) // lets the command that started this daemon return
	daemon  process        // the daemon that this command started
}

// letCommandReturn lets the command that started this daemon return, if it has not.
func (e *ending) letCommandReturn(code int) {
	if e.release != nil {
		e.release(code)
	}
}

// depart begins the end of the server (TERM). For drain_delay it only tells the clients, so
// that load balancers that do not know of the end yet lose nothing; then it drains.
func (m *Master) depart() {
	if m.gen == nil || m.upgrader.shared() || m.state == booting || m.state == paused {
		m.drain()
		return
	}
	delay := time.Duration(m.gen.cfg.DrainDelay()) * time.Second
	if delay == 0 {
		m.drain()
		return
	}
	m.discardCandidate()
	m.enter(departing)
	m.log.Infof("Draining in %s (drain_delay): connections are still accepted", delay)
	m.service.stopping()
	m.front.send(wire.ToFront{Type: wire.TypeDepart})
	m.after(delay, func() { m.on(delayOver, occurrence{}) })
}

// drain ends the server gracefully: no more connections are taken, what is in flight is
// finished within graceful_timeout, and then all ends.
func (m *Master) drain() {
	if m.gen == nil {
		m.ending.code = exitcode.OK
		m.endNow()
		return
	}
	wasPaused := m.state == paused && !m.upgrader.pausing
	m.discardCandidate()
	m.tellLeaving()
	m.enter(draining)
	m.upgrader.pausing = false
	if wasPaused {
		m.pool.target, m.scale.slept = 0, false
	}
	shared := m.upgrader.shared()
	accept := wire.AcceptEmpty
	if shared || m.front.hasSystemd() {
		accept = wire.AcceptStop // the other master, or the next service, takes what is queued
	}
	if !shared {
		m.front.unlink()
	}
	drains := m.front.drain(wire.ToFront{Handover: shared, Final: true, Accept: accept})
	if !drains {
		m.on(drained, occurrence{})
	}
	m.front.stopListening()
	m.ending.until = m.now().Add(m.gen.gracefulTimeout())
	m.pool.tellEnd(m.ending.until)
	m.expireAfter(m.gen.gracefulTimeout())
}

// discardCandidate gives up the generation in the making, if there is one.
func (m *Master) discardCandidate() {
	if m.candidate != nil {
		m.candidate.discard()
	}
}

// tellLeaving tells the service manager, and the other master, that the server ends.
func (m *Master) tellLeaving() {
	m.upgrader.tellLeaving()
	if m.upgrader.successor != nil {
		m.service.mainPID(m.upgrader.successor.pid)
		return
	}
	m.service.stopping()
}

// quit ends the server at once (INT, QUIT).
func (m *Master) quit() {
	m.tellLeaving()
	m.endNow()
}

// hasten is INT or QUIT during a drain, or while workers run what is to be run at
// their end.
func (m *Master) hasten() {
	if m.state == quitting && !m.ending.patient {
		return
	}
	m.log.Infof("Quick shutdown requested")
	m.endNow()
}

// endDrained ends a drained server: the workers are idle now, and get SIGTERM, so
// that they run what is to be run at their end.
func (m *Master) endDrained(occurrence) {
	m.ending.patient = true
	m.endProcesses(m.pool.retire, max(quitGrace, m.ending.until.Sub(m.now())))
}

// endNow ends a server whose requests do not matter any more.
func (m *Master) endNow() {
	if m.ending.daemon != nil {
		m.ending.daemon.Signal(syscall.SIGTERM)
	}
	m.discardCandidate()
	if !m.upgrader.shared() {
		m.front.unlink()
	}
	m.front.stopListening()
	m.ending.patient = false
	m.endProcesses(m.pool.quit, quitGrace)
}

// failBoot ends a first start whose log is open, and tells why at the end of that.
func (m *Master) failBoot(reason string, code int) {
	if m.state == quitting {
		return
	}
	m.ending.reason, m.ending.code = reason, code
	m.endNow()
}

// cannotBoot ends a first start, whose log is open, because something is missing.
func (m *Master) cannotBoot(f *failure) {
	text := f.trimmed()
	m.upgrader.tellFailure(text)
	m.failBoot(text, f.code)
}

// failStart ends a first start that cannot go on, and tells why on standard error.
func (m *Master) failStart(f *failure) {
	if m.ending.over || m.state == quitting {
		return
	}
	if text := f.Error(); text != "" {
		m.say(text)
		m.upgrader.tellFailure(text)
	}
	m.ending.code = f.code
	m.ending.silent = true
	m.endNow()
}

// endProcesses ends every process, workers that are ready with end. They have so long for
// what is to be run at their end.
func (m *Master) endProcesses(end func(*worker), grace time.Duration) {
	m.enter(quitting)
	if m.pool.respawner != nil {
		m.pool.respawner.Stop()
	}
	for _, w := range m.pool.byAge() {
		switch {
		case !w.ready:
			m.pool.quit(w) // it runs nothing that could be waited for
		case w.leaving && w.proc != nil && m.ending.patient:
			// It is on its way: see its deadline.
		case w.leaving && w.proc != nil:
			m.pool.quit(w)
		default:
			w.leaving = false
			end(w)
		}
	}
	for _, t := range m.refork.templates {
		m.endTemplate(t)
	}
	if m.ending.patient {
		grace = max(grace, m.poolGrace())
	}
	m.front.send(wire.ToFront{Type: wire.TypeQuit})
	m.after(grace, m.killRest)
	m.exitIfDone()
}

// quitGrace bounds the end of all processes once they were told to, if they have no
// more time than that.
const quitGrace = 2 * time.Second

// killRest ends what is still there.
func (m *Master) killRest() {
	for _, w := range m.pool.byAge() {
		m.pool.kill(w)
		if w.pid == 0 && (w.gen.sp.dead || w.template != nil && w.template.ending) {
			m.pool.forget(w) // it was never forked
		}
	}
	for _, w := range m.poolWorkers.byAge() {
		m.poolWorkers.kill(w)
		if w.pid == 0 && w.gen.pools.sp.dead {
			m.poolWorkers.forget(w, "")
		}
	}
	m.front.kill()
	if len(m.pool.workers)+len(m.poolWorkers.workers) > 0 {
		m.after(quitGrace, m.killSpawners)
		return
	}
	m.exitIfDone() // nobody tells of the end of what was never forked
	if m.ending.over {
		return
	}
	for _, sp := range m.spawners.byPid {
		if sp.leaving {
			sp.proc.Signal(syscall.SIGKILL)
		} else {
			m.runOnExit(sp)
		}
	}
	m.after(quitGrace, m.killRest)
}

// killSpawners ends those of the workers that are still there although they were
// killed: they hang, in a hook for example, and tell nobody of an end.
func (m *Master) killSpawners() {
	for _, w := range m.pool.workers {
		w.gen.sp.proc.Signal(syscall.SIGKILL)
	}
	for _, w := range m.poolWorkers.workers {
		w.gen.pools.sp.proc.Signal(syscall.SIGKILL)
	}
	m.killRest()
}

// exitIfDone goes on with the end of the server whenever a process is gone: after
// the workers come the hook on_exit and the spawners, after those the master.
func (m *Master) exitIfDone() {
	if m.state != quitting || m.ending.over || len(m.pool.workers) > 0 || len(m.refork.templates) > 0 || m.stacks.pending > 0 {
		return
	}
	if m.endPools(); len(m.poolWorkers.workers) > 0 {
		return
	}
	for _, sp := range m.spawners.byPid {
		m.runOnExit(sp)
	}
	if len(m.spawners.byPid) > 0 || m.front.current != nil {
		return
	}
	if m.ending.over || !m.sayEnd() {
		return
	}
	m.ending.over = true
	m.control.close()
	m.metrics.close()
	m.closeAdmin(m.admin.listener)
	m.logging.killHanging()
	if m.ending.pid != nil {
		m.ending.pid.Remove()
	}
	m.ending.letCommandReturn(m.ending.code)
}

// sayEnd writes the last lines of the log, and reports whether they have arrived.
func (m *Master) sayEnd() bool {
	e := &m.ending
	if !e.silent && !e.said {
		if e.code == exitcode.OK {
			m.log.Infof("Shutting down: %s", m.name())
		} else {
			m.log.Errorf("Shutting down: %s", m.name())
			m.log.Errorf("Reason: %s", e.reason)
			if e.release != nil && m.cfg != nil && (m.cfg.Errorlog() == "-" || m.cfg.Errorlog() == "") {
				m.log.Errorf("A daemon has no terminal for its log: give --error-logfile, or start it without --daemon, to see more")
			}
		}
	}
	e.said = true
	return !m.logging.end(m.exitIfDone)
}

// endPools ends the workers of pools, once there is no other that could call them.
func (m *Master) endPools() {
	for _, w := range m.poolWorkers.byAge() {
		if m.ending.patient && w.ready {
			m.poolWorkers.retire(w)
		} else {
			m.poolWorkers.quit(w)
		}
	}
}

// poolGrace is for how long the calls of workers of pools may run at the end of the server.
func (m *Master) poolGrace() (d time.Duration) {
	for _, w := range m.poolWorkers.workers {
		d = max(d, time.Duration(w.pool.cfg.GracefulTimeout)*time.Second)
	}
	return d
}

// runOnExit runs on_exit in the spawner of the serving generation, and ends it.
func (m *Master) runOnExit(sp *spawner) {
	if sp.leaving {
		return
	}
	if m.gen != nil && m.gen.sp == sp && !m.ending.silent {
		m.hook(m.gen, "on_exit", m.logHook("on_exit"))
	}
	sp.dismiss()
}

// say tells the operator why the server does not start: on standard error, as
// long as the log is not known.
func (m *Master) say(text string) { fmt.Fprintln(m.opts.Stderr, text) }
