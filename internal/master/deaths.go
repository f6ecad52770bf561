package master

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"indrik/internal/exitcode"
	"indrik/internal/wire"
)

// reap collects the children that ended: those it started, workers whose
// spawner died, and, as process 1, whatever was orphaned in the container.
func (m *Master) reap() {
	for _, exit := range m.sys.reap() {
		pid, status := exit.Pid, exit.Status
		switch {
		case m.front.is(pid):
			m.frontDied(status)
		case m.spawners.byPid[pid] != nil:
			m.spawnerDied(m.spawners.byPid[pid], status)
		case m.logging.loggers[pid]:
			delete(m.logging.loggers, pid) // its spawner has ended before it
		case m.ending.daemon != nil && m.ending.daemon.Pid() == pid:
			m.daemonDied(status)
		case m.upgrader.isSuccessor(pid):
			m.successorDied(status)
		case m.pool.withPid(pid) != nil:
			m.workerDied(m.pool.withPid(pid), deathOf(status))
		case m.poolWorkers.withPid(pid) != nil:
			m.poolWorkerDied(m.poolWorkers.withPid(pid), deathOf(status))
		case m.refork.withPid(pid) != nil:
			m.templateExited(m.refork.withPid(pid), deathOf(status))
		default:
			m.log.Debugf("Reaped unknown child process (pid:%d, status:%d)", pid, status)
		}
	}
}

// A death is how a worker ended.
type death struct {
	code   int            // its exit code
	signal syscall.Signal // that ended it, 0: none
	peak   int            // the most memory that it had, in KiB; 0: not known
	report string         // what it has written if it could not boot
}

// deathOf returns how a process ended.
func deathOf(status syscall.WaitStatus) death {
	if status.Signaled() {
		return death{signal: status.Signal()}
	}
	return death{code: status.ExitStatus()}
}

// byOperator reports whether a worker that was not ready ended because it was told
// to, by somebody else than this master. It then exits with 128 and the signal.
func (d death) byOperator() bool {
	sig := d.signal
	if sig == 0 {
		sig = syscall.Signal(d.code - 128)
	}
	return sig == syscall.SIGTERM || sig == syscall.SIGQUIT || sig == syscall.SIGKILL || sig == syscall.SIGHUP
}

// counts reports whether the app is to blame for the end of a worker that nobody had told to
// end. SIGKILL is the kernel's, when memory runs out, more often than an operator's.
func (d death) counts() bool { return d.signal != 0 && d.signal != syscall.SIGTERM || d.code != 0 }

// how says how the process ended: was sent SIGKILL, exited with code 3.
func (d death) how() string {
	if d.signal != 0 {
		return "was sent " + signalName(d.signal)
	}
	return fmt.Sprintf("exited with code %d", d.code)
}

// workerDied is called when the process of w was reaped, here or by its spawner.
func (m *Master) workerDied(w *worker, d death) {
	m.logDeath(w, d)
	if !w.ready {
		d.report = bootReport(w.dump)
	}
	if m.state != quitting && m.front.current != nil {
		m.deaths.write(w, d)
	}
	m.reforkFailed(w, "it ended")
	if w.template != nil && w.proc != nil && d.code != exitcode.WorkerBoot && d.code != exitcode.AppLoad {
		m.tellChildExit(w)
	}
	m.noteUpgradeDeath(w, d)
	m.pool.forget(w)
	m.metrics.ended(w.pid)
	m.on(workerExited, occurrence{worker: w, death: d})
}

// logDeath writes what Gunicorn writes about the end of a worker.
func (m *Master) logDeath(w *worker, d death) {
	sig := d.signal
	if sig == 0 && !w.ready && d.byOperator() {
		sig = syscall.Signal(d.code - 128)
	}
	switch {
	case w.leaving && !w.ready && sig == syscall.SIGQUIT:
		// See pool.quit.
	case sig == syscall.SIGKILL && !w.killed:
		m.log.Errorf("Worker (pid:%d) was sent SIGKILL! Perhaps out of memory?", w.pid)
	case sig == syscall.SIGTERM && w.leaving:
		// It came while the interpreter was on its way out already.
	case sig == syscall.SIGTERM:
		m.log.Infof("Worker (pid:%d) was sent SIGTERM!", w.pid)
	case sig != 0:
		m.log.Warnf("Worker (pid:%d) was sent %s!", w.pid, signalName(sig))
	case d.code != 0:
		m.log.Errorf("Worker (pid:%d) exited with code %d.", w.pid, d.code)
	}
}

// replaceOrFail replaces a worker that died, or fails the candidate if it is one of that.
func (m *Master) replaceOrFail(o occurrence) {
	if w := o.worker; m.candidateGeneration() == w.gen && !w.leaving {
		m.candidate.fail(&failure{text: fmt.Sprintf("Worker (pid:%d) of the new configuration ended before it served.", w.pid), report: o.death.report})
		return
	}
	m.replaceWorker(o)
}

// replaceWorker makes another worker in the place of one that died, after a pause if
// workers die young.
func (m *Master) replaceWorker(o occurrence) {
	w, d := o.worker, o.death
	now := m.now()
	soon := young
	if w.killed { // by max_worker_memory_hard
		soon = hungry
	}
	operator := d.signal == syscall.SIGTERM || d.signal == syscall.SIGKILL && !w.killed || d.signal == 0 && d.code == 0
	switch {
	case w.leaving:
	case !w.ready, now.Sub(w.readyAt) < soon && !operator:
		if pause := m.pool.respawn.died(now); pause > 0 {
			m.log.Warnf("Workers keep failing: the next one is started in %s", pause)
		}
	default:
		// It is replaced at once; if that one dies young there is a pause.
		m.pool.respawn.lived()
		m.pool.respawn.died(now)
	}
	m.balanceLater()
}

// failOrReplace ends the first start with the exit code of an app whose worker died
// before it was ready. A worker that somebody has ended is replaced.
func (m *Master) failOrReplace(o occurrence) {
	w, d := o.worker, o.death
	if w.ready || w.leaving || d.byOperator() {
		m.replaceWorker(o)
		return
	}
	switch {
	case d.signal != 0:
		m.failBoot(fmt.Sprintf("Worker was sent %s before it was ready.", signalName(d.signal)), 128+int(d.signal))
	case d.code == exitcode.WorkerBoot:
		m.failBoot("Worker failed to boot.", d.code)
	case d.code == exitcode.AppLoad:
		m.failBoot("App failed to load.", d.code)
	default:
		if d.code == exitcode.OK { // of which failBoot says no more
			m.log.Errorf("Worker (pid:%d) exited with code 0 before it was ready.", w.pid)
		}
		m.failBoot(fmt.Sprintf("Worker exited with code %d before it was ready.", d.code), d.code)
	}
}

// frontDied is called when the front was reaped.
func (m *Master) frontDied(status syscall.WaitStatus) {
	f := m.front.current
	m.front.drop()
	m.metrics.frontGone()
	m.scale.frontGone()
	for _, g := range []*generation{m.gen, m.candidateGeneration()} {
		if g != nil {
			g.taken = false
		}
	}
	m.on(frontExited, occurrence{front: f, status: status})
}

// logFrontDeath logs how a front ended. If it was draining its connections are gone with
// it, so there is nothing left to wait for.
func (m *Master) logFrontDeath(o occurrence) {
	m.log.Errorf("Front (pid:%d) %s", o.front.proc.Pid(), describe(o.status))
	if o.front.draining {
		m.on(drained, occurrence{})
	}
}

// replaceDeadFront starts another front, after a pause if fronts die young.
func (m *Master) replaceDeadFront(o occurrence) {
	m.logFrontDeath(o)
	f := o.front
	pause := time.Duration(0)
	if !f.ready || m.now().Sub(f.born) < young && !o.status.Signaled() {
		pause = m.front.backoff.died(m.now())
	} else {
		m.front.backoff.lived()
	}
	m.after(pause, m.replaceFront)
}

// replaceFrontIfAlone replaces a front that died while the workers are away, unless a
// successor serves: then nobody needs one.
func (m *Master) replaceFrontIfAlone(o occurrence) {
	if m.upgrader.successor != nil {
		m.logFrontDeath(o)
		return
	}
	m.replaceDeadFront(o)
}

// unfitGrace is how long the last message of a Python that cannot run the server may
// be on its way after the process has ended.
const unfitGrace = 500 * time.Millisecond

// spawnerDied is called when a spawner was reaped.
func (m *Master) spawnerDied(sp *spawner, status syscall.WaitStatus) {
	if sp.heard {
		m.spawnerEnded(sp, status)
		return
	}
	// It may have said why it cannot run the server.
	var once sync.Once
	sp.silent = func() { once.Do(func() { m.spawnerEnded(sp, status) }) }
	m.after(unfitGrace, sp.silent)
}

// spawnerEnded acts on the end of a spawner, which has been heard out.
func (m *Master) spawnerEnded(sp *spawner, status syscall.WaitStatus) {
	told := sp.leaving
	m.metrics.ended(sp.proc.Pid())
	for _, done := range m.spawners.drop(sp, status) {
		text := "the spawner " + describe(status)
		if !sp.heard {
			text = fmt.Sprintf("\nError: '%s' (%s) is not a Python that can run the app: it %s", m.opts.Python, m.opts.PythonWhy, describe(status))
			if sp.unfit != "" {
				text += "\n  " + sp.unfit
			}
		}
		done(wire.FromSpawner{Type: wire.TypeFailed, Stage: "spawner", Error: text, Code: sp.code})
	}
	if !told {
		m.on(spawnerExited, occurrence{spawner: sp, status: status})
	}
	m.exitIfDone()
}

// loseSpawner acts on the end of a spawner that nobody has told to end: its candidate
// fails, and if it serves it can fork no more workers.
func (m *Master) loseSpawner(o occurrence) {
	sp := o.spawner
	m.log.Errorf("Spawner (pid:%d) %s", sp.proc.Pid(), describe(o.status))
	if g := m.candidateGeneration(); m.candidate != nil && (m.candidate.sp == sp || g != nil && g.pools != nil && g.pools.sp == sp) {
		m.candidate.fail(&failure{text: "the spawner " + describe(o.status), code: sp.exitCode()})
		m.collectOrphans(sp)
	}
	switch {
	case m.gen == nil:
	case m.gen.sp == sp:
		m.collectOrphans(sp)
		m.on(generationLost, occurrence{why: "The spawner died."})
	case m.gen.pools != nil && m.gen.pools.sp == sp:
		m.collectPoolOrphans(sp)
		m.on(generationLost, occurrence{why: "The spawner of the pools died."})
	}
}

// collectOrphans finds the workers whose end a spawner collected but did not live
// to tell. The others are children of this process from now on.
func (m *Master) collectOrphans(sp *spawner) {
	for _, w := range m.pool.byAge() {
		if w.gen.sp == sp && w.proc != nil && errors.Is(w.proc.Signal(0), os.ErrProcessDone) {
			m.workerDied(w, death{})
		}
	}
}

// collectPoolOrphans is collectOrphans for the workers of pools.
func (m *Master) collectPoolOrphans(sp *spawner) {
	for _, w := range m.poolWorkers.byAge() {
		if w.gen.pools.sp == sp && w.proc != nil && errors.Is(w.proc.Signal(0), os.ErrProcessDone) {
			m.poolWorkerDied(w, death{})
		}
	}
}

// describe says how a process ended.
func describe(status syscall.WaitStatus) string { return deathOf(status).how() }
