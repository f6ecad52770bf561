package master

import (
	"os"
	"strings"
	"time"

	"indrik/internal/exitcode"
	"indrik/internal/wire"
)

// wantPools reports whether the pools of g are to have workers.
func (m *Master) wantPools(g *generation) bool {
	// While the server is paused its pools stay as long as there is a worker that may call them.
	return m.state != paused || m.upgrader.pausing || m.pool.uses(g)
}

// balancePools starts and ends workers of the pools of g until there are as many as there should
// be. The pools of a generation that has served only lose workers.
func (m *Master) balancePools(g *generation) {
	if g == nil || g.pools == nil || m.state == quitting || g != m.gen && g != m.candidateGeneration() {
		return
	}
	for _, p := range g.pools.pools {
		target := p.target
		if !m.wantPools(g) {
			target = 0
		}
		start, end := planPool(p.apps, target, m.poolWorkers.members(p))
		for _, age := range end {
			m.poolWorkers.retire(m.poolWorkers.workers[age])
		}
		if len(start) == 0 || !g.taken || g.pools.sp.dead {
			continue
		}
		if wait := p.respawn.wait(m.now()); wait > 0 {
			m.balancePoolLater(g, p, wait)
			continue
		}
		for _, apps := range start {
			if !m.spawnPoolWorker(g, p, apps) {
				return
			}
		}
	}
}

// balancePoolLater runs balancePools when the pause of p is over.
func (m *Master) balancePoolLater(g *generation, p *hostedPool, wait time.Duration) {
	if p.waits {
		return
	}
	p.waits = true
	m.after(wait, func() {
		p.waits = false
		m.balancePools(g)
	})
}

// spawnPoolWorker makes what a new worker of a pool needs, and tells the front of it; the worker is
// forked once the front has taken it. It reports whether that is under way.
func (m *Master) spawnPoolWorker(g *generation, p *hostedPool, apps []string) bool {
	var used []map[string]string
	for _, w := range m.poolWorkers.workers {
		if w.pool == p {
			used = append(used, w.env)
		}
	}
	env, ok := p.environment(used)
	if !ok {
		return true // once one that leaves has gone
	}
	m.poolWorkers.lastAge++
	w := &poolWorker{age: m.poolWorkers.lastAge, gen: g, pool: p, apps: apps, env: env}
	if err := w.open(m.sys, p.cfg.Threads); err != nil {
		w.close()
		m.cannotSpawnPoolWorker(w, lack("cannot make the channels of a worker", err))
		return false
	}
	m.poolWorkers.workers[w.age] = w
	m.receiveWorker(w.channel,
		func(sender int, msg wire.FromWorker) { m.fromPoolWorker(w, sender, msg) },
		func(_ int, err error) { m.poolWorkerSilent(w, err) })
	m.announcePoolWorker(w)
	return true
}

// announcePoolWorker tells the front of w.
func (m *Master) announcePoolWorker(w *poolWorker) {
	f := m.front.current
	if f == nil || w.leaving {
		return
	}
	w.toldTo = f
	m.front.call(wire.ToFront{Type: wire.TypePoolWorker, Generation: w.gen.number, Age: w.age, Pool: w.pool.cfg.Name, Apps: w.apps},
		func(fail *failure) { m.poolWorkerTaken(w, f, fail) }, w.front...)
}

// poolWorkerTaken is called when the front f has answered the message about w.
func (m *Master) poolWorkerTaken(w *poolWorker, f *frontProcess, fail *failure) {
	switch {
	case !m.poolWorkers.has(w) || w.toldTo != f || m.front.current != f:
		// It has ended since, or another front is told.
	case fail != nil:
		m.poolWorkers.quit(w)
		m.cannotSpawnPoolWorker(w, fail)
	case !w.asked:
		m.forkPoolWorker(w)
	}
}

// forkPoolWorker asks the spawner to fork w.
func (m *Master) forkPoolWorker(w *poolWorker) {
	w.asked = true
	files := append([]*os.File{w.dump}, w.theirs...)
	theirs := w.theirs
	w.theirs = nil
	defer wire.CloseAll(theirs)
	m.spawners.call(w.gen.pools.sp, wire.ToSpawner{
		Type: wire.TypePoolSpawn, Generation: w.gen.number, Age: w.age, Pool: w.pool.cfg.Name, Apps: w.apps, Environment: w.env,
		Server: m.server(w.gen.cfg),
	}, files, func(r wire.FromSpawner) {
		switch {
		case !m.poolWorkers.has(w):
		case r.Type == wire.TypeOK:
			m.poolWorkerForked(w, r.Pid)
		case w.pid != 0: // the spawner has died since, and the worker has spoken
		default:
			m.poolWorkers.forget(w, "")
			m.cannotSpawnPoolWorker(w, failed(r))
		}
	})
}

// poolWorkerForked notes the pid of w. Its own messages can come before the answer of the
// spawner.
func (m *Master) poolWorkerForked(w *poolWorker, pid int) {
	if w.pid != 0 {
		return
	}
	w.pid = pid
	w.proc = m.child(pid, w.gen.pools.sp.proc.Pid(), os.Getpid())
	if w.killed {
		w.killed = false
		m.poolWorkers.kill(w)
	} else if w.leaving {
		w.aborted = false
		m.poolWorkers.quit(w)
	}
}

// cannotSpawnPoolWorker is called when a pool does not get a worker because something is missing: a
// candidate fails, the first start ends, and for the serving generation it is tried again later.
func (m *Master) cannotSpawnPoolWorker(w *poolWorker, f *failure) {
	switch {
	case m.state == quitting:
		m.exitIfDone()
	case m.candidateGeneration() == w.gen:
		m.candidate.fail(f)
	case m.state == booting:
		m.cannotBoot(f)
	case w.gen == m.gen:
		m.log.Errorf("Cannot start a worker of the pool %s: %s", w.pool.cfg.Name, strings.TrimLeft(f.Error(), "\n"))
		w.pool.respawn.died(m.now())
		m.balancePoolLater(w.gen, w.pool, max(firstPause, w.pool.respawn.wait(m.now())))
	}
}

// poolWorkerReady is called when w has its apps.
func (m *Master) poolWorkerReady(w *poolWorker) {
	w.ready, w.readyAt = true, m.now()
	if w.leaving {
		return
	}
	m.poolWorkers.tellActive(w)
	switch {
	case m.candidateGeneration() == w.gen && m.candidate.trial == nil:
		m.candidate.workerReady()
	case m.state == booting:
		m.endBoot()
	}
}

// poolWorkerForgotten is called when a worker of the pools of g is gone.
func (m *Master) poolWorkerForgotten(g *generation) {
	if g != m.gen && g != m.candidateGeneration() {
		m.releaseUnused(g)
	}
}

// poolWorkerDied is called when the process of w was reaped, here or by its spawner.
func (m *Master) poolWorkerDied(w *poolWorker, d death) {
	switch {
	case d.signal != 0 && !w.killed && !w.aborted:
		m.log.Warnf("Dirty worker (pid:%d) killed by signal %d", w.pid, int(d.signal))
	case d.code == exitcode.WorkerBoot && !w.ready:
		m.log.Errorf("Dirty worker failed to boot (pid:%d)", w.pid)
	case d.code != 0 && !w.leaving:
		m.log.Errorf("Dirty worker (pid:%d) exited with code %d.", w.pid, d.code)
	}
	m.log.Infof("Dirty worker exited (pid:%d)", w.pid)
	d.report = bootReport(w.dump)
	m.metrics.ended(w.pid)
	m.poolWorkers.forget(w, strings.TrimPrefix(d.report, bootReportHead))
	switch {
	case m.state == quitting:
		m.exitIfDone()
	case w.leaving:
		m.balancePools(w.gen)
	case m.candidateGeneration() == w.gen && m.candidate.trial == nil:
		m.candidate.fail(&failure{text: "A worker of the pool " + w.pool.cfg.Name + " ended before the new configuration served: it " + d.how() + ".", report: d.report})
	case m.state == booting && !w.ready && !d.byOperator():
		m.failBoot("A worker of the pool "+w.pool.cfg.Name+" failed to boot.", exitcode.WorkerBoot)
	case w.gen == m.gen, m.candidateGeneration() == w.gen:
		m.replacePoolWorker(w)
	}
}

// replacePoolWorker makes another worker in the place of one that died, after a pause if workers of
// the pool die young.
func (m *Master) replacePoolWorker(w *poolWorker) {
	now, respawn := m.now(), &w.pool.respawn
	if w.ready && now.Sub(w.readyAt) >= young {
		respawn.lived()
	}
	if pause := respawn.died(now); pause > 0 && !w.ready {
		m.log.Warnf("Workers of the pool %s keep failing: the next one is started in %s", w.pool.cfg.Name, pause)
	}
	m.balancePools(w.gen)
}
