package master

import (
	"fmt"
	"syscall"
	"time"

	"indrik/internal/exitcode"
	"indrik/internal/wire"
)

// expireGrace is how long the front has to answer what it was told to expire.
const expireGrace = 2 * time.Second

// shared tells whether another master serves the same sockets.
func (m *Master) shared() bool { return m.predecessor != nil || m.successor != nil }

// depart begins the end of the server (TERM). For drain_delay it only tells the clients, so
// that load balancers that do not know of the end yet lose nothing; then it drains.
func (m *Master) depart() {
	if m.gen == nil || m.shared() || m.state == booting || m.state == paused {
		m.drain()
		return
	}
	delay := time.Duration(m.gen.cfg.DrainDelay()) * time.Second
	if delay == 0 {
		m.drain()
		return
	}
	if m.candidate != nil {
		m.candidate.discard()
	}
	m.enter(departing)
	m.log.Infof("Draining in %s (drain_delay): connections are still accepted", delay)
	m.tell(m.notify.Stopping())
	m.front.send(wire.ToFront{Type: wire.TypeDepart})
	m.after(delay, func() {
		if m.state == departing {
			m.drain()
		}
	})
}

// drain ends the server gracefully: no more connections are taken, what is in flight is
// finished within graceful_timeout, and then all ends.
func (m *Master) drain() {
	if m.gen == nil {
		m.code = exitcode.OK
		m.end()
		return
	}
	wasPaused := m.state == paused && !m.pausing
	if m.candidate != nil {
		m.candidate.discard()
	}
	m.leaving()
	m.enter(draining)
	m.pausing = false
	if wasPaused {
		m.target = 0
	}
	accept := wire.AcceptEmpty
	if m.shared() {
		accept = wire.AcceptStop
	}
	for _, l := range m.listeners {
		if l.Systemd {
			accept = wire.AcceptStop // the next service takes what is queued
		}
		if !m.shared() {
			l.Unlink()
		}
	}
	m.front.drain(wire.ToFront{Handover: m.shared(), Final: true, Accept: accept}, m.quitAll)
	// The front has copies; with ours open the ports would stay so after it
	// closed them.
	for _, l := range m.listeners {
		l.Close()
	}
	m.drainUntil = m.now().Add(m.gen.gracefulTimeout())
	m.tellEnd(m.drainUntil)
	m.expireAfter(m.gen.gracefulTimeout())
}

// tellEnd tells the workers that the requests they run are the last ones, and until
// when graceful_timeout lasts. With the zero time it takes that back.
func (m *Master) tellEnd(until time.Time) {
	for _, w := range m.workers {
		w.boardMem.SetEnd(until)
	}
}

// leaving tells the service manager, and the other master, that the server ends.
func (m *Master) leaving() {
	if m.predecessor != nil {
		m.predecessor.leaving()
	}
	if m.successor != nil {
		m.tell(m.notify.MainPID(m.successor.pid))
		return
	}
	m.tell(m.notify.Stopping())
}

// quit ends the server at once (INT, QUIT).
func (m *Master) quit() {
	m.leaving()
	m.end()
}

// hasten is INT or QUIT during a drain, or while workers run what is to be run at
// their end.
func (m *Master) hasten() {
	if m.state == quitting && !m.patient {
		return
	}
	m.log.Infof("Quick shutdown requested")
	m.end()
}

// quitAll ends a drained server: the workers are idle now, and get SIGTERM, so
// that they run what is to be run at their end.
func (m *Master) quitAll() {
	if m.state != draining {
		return
	}
	m.patient = true
	m.leave(m.retire, max(quitGrace, m.drainUntil.Sub(m.now())))
}

// end ends a server whose requests do not matter any more.
func (m *Master) end() {
	if m.daemon != nil {
		m.daemon.Signal(syscall.SIGTERM)
	}
	if m.candidate != nil {
		m.candidate.discard()
	}
	if !m.shared() {
		for _, l := range m.listeners {
			l.Unlink()
		}
	}
	for _, l := range m.listeners {
		l.Close()
	}
	m.patient = false
	m.leave(m.stop, quitGrace)
}

// halt ends the server because it cannot start.
func (m *Master) halt(reason string, code int) {
	if m.state == quitting {
		return
	}
	m.reason, m.code = reason, code
	m.end()
}

// fail ends a start that cannot go on, and says why.
func (m *Master) fail(f *failure) {
	if m.over || m.state == quitting {
		return
	}
	if text := f.Error(); text != "" {
		m.say(text)
		if m.predecessor != nil {
			m.predecessor.failed(text)
		}
	}
	m.code = f.code
	m.silent = true
	m.end()
}

// leave ends every process, the workers with stop. They have so long for what is to be
// run at their end.
func (m *Master) leave(stop func(*worker), grace time.Duration) {
	m.enter(quitting)
	if m.respawner != nil {
		m.respawner.Stop()
	}
	for _, w := range m.byAge() {
		switch {
		case !w.ready:
			m.stop(w) // it runs nothing that could be waited for
		case w.leaving && w.proc != nil && m.patient:
			// It is on its way: see its deadline.
		case w.leaving && w.proc != nil:
			m.stop(w)
		default:
			w.leaving = false
			stop(w)
		}
	}
	m.front.send(wire.ToFront{Type: wire.TypeQuit})
	m.after(grace, m.killAll)
	m.finish()
}

// quitGrace bounds the end of all processes once they were told to, if they have no
// more time than that.
const quitGrace = 2 * time.Second

// killAll ends what is still there.
func (m *Master) killAll() {
	for _, w := range m.byAge() {
		m.kill(w)
		if w.pid == 0 && w.gen.sp.dead {
			m.forget(w) // it was never forked
		}
	}
	if m.front != nil {
		m.front.proc.Signal(syscall.SIGKILL)
	}
	if len(m.workers) > 0 {
		m.after(quitGrace, m.killSpawners)
		return
	}
	m.finish() // nobody tells of the end of what was never forked
	if m.over {
		return
	}
	for _, sp := range m.spawners {
		if !sp.leaving {
			m.lastWords(sp)
			continue
		}
		sp.proc.Signal(syscall.SIGKILL)
	}
	m.after(quitGrace, m.killAll)
}

// killSpawners ends those of the workers that are still there although they were
// killed: they hang, in a hook say, and tell nobody of an end.
func (m *Master) killSpawners() {
	for _, w := range m.workers {
		w.gen.sp.proc.Signal(syscall.SIGKILL)
	}
	m.killAll()
}

// finish goes on with the end of the server whenever a process is gone: after
// the workers come the hook on_exit and the spawners, after those the master.
func (m *Master) finish() {
	if m.state != quitting || m.over || len(m.workers) > 0 || m.reports > 0 {
		return
	}
	for _, sp := range m.spawners {
		m.lastWords(sp)
	}
	if len(m.spawners) > 0 || m.front != nil {
		return
	}
	if m.over || !m.sayEnd() {
		return
	}
	m.over = true
	m.control.close()
	for r, since := range m.leftLoggers {
		if m.now().Sub(since) > quitGrace {
			m.killLogger(r) // it hangs
		}
	}
	if m.pid != nil {
		m.pid.Remove()
	}
	if m.release != nil {
		m.release(m.code)
	}
}

// sayEnd writes the last lines of the log, and tells whether they have arrived.
func (m *Master) sayEnd() bool {
	if !m.silent && !m.said {
		if m.code == exitcode.OK {
			m.log.Infof("Shutting down: %s", m.name())
		} else {
			m.log.Errorf("Shutting down: %s", m.name())
			m.log.Errorf("Reason: %s", m.reason)
			if m.release != nil && m.cfg != nil && (m.cfg.Errorlog() == "-" || m.cfg.Errorlog() == "") {
				m.log.Errorf("A daemon has no terminal for its log: give --error-logfile, or start it without --daemon, to see more")
			}
		}
	}
	m.said = true
	return !m.endLogger()
}

// lastWords runs on_exit in the spawner of the serving generation, and ends it.
func (m *Master) lastWords(sp *spawner) {
	if sp.leaving {
		return
	}
	if m.gen != nil && m.gen.sp == sp && !m.silent {
		m.hook(m.gen, "on_exit", m.logHook("on_exit"))
	}
	m.dismiss(sp)
}

// say tells the operator why the server does not start: on standard error, as
// long as the log is not known.
func (m *Master) say(text string) { fmt.Fprintln(m.opts.Stderr, text) }
