package master

// want is how many workers there should be now.
func (m *Master) want() int {
	if m.state == quitting || (m.state == paused && !m.upgrader.pausing) {
		return 0
	}
	return m.pool.target
}

// balance starts and ends workers of the serving generation, and of one that is tried, until
// there are as many as there should be.
func (m *Master) balance() {
	if m.gen == nil || m.state == quitting {
		return
	}
	m.recycle()
	m.balanceGeneration(m.gen, m.want())
	if c := m.candidate; c != nil && c.trial != nil {
		m.balanceGeneration(c.gen, c.target)
	}
}

// balanceGeneration starts and ends workers of g until there are as many as target.
func (m *Master) balanceGeneration(g *generation, target int) {
	var pool []member
	for _, w := range m.pool.workers {
		if w.gen == g && w.leaving && w.makesRoom {
			target-- // there is no memory for its successor as long as it is there
		}
		if w.gen == g && !w.leaving && !w.killed {
			pool = append(pool, member{w.age, w.ready, w.recycling})
		}
	}
	start, end := plan(max(0, target), pool)
	for _, age := range end {
		m.pool.retire(m.pool.workers[age])
	}
	m.balancePools(g)
	if start <= 0 || g.hasNoSpawner() || !g.taken {
		return
	}
	if m.pool.respawn.wait(m.now()) > 0 {
		m.balanceLater()
		return
	}
	for range start {
		if !m.spawn(g) {
			return
		}
	}
}

// balanceLater runs balance when the pause after early deaths is over.
func (m *Master) balanceLater() {
	wait := m.pool.respawn.wait(m.now())
	if wait == 0 {
		m.balance()
		return
	}
	if m.pool.respawner != nil {
		m.pool.respawner.Stop()
	}
	m.pool.respawner = m.after(wait, m.balance)
}

// setTarget changes the number of workers, and tells the hook nworkers_changed.
func (m *Master) setTarget(n int) {
	if m.gen == nil {
		m.pool.target = n // the hook is told when there is one
		return
	}
	m.tellTarget(m.gen, n, m.logHook("nworkers_changed"))
}

// tellNone tells the hook nworkers_changed that there are to be no workers for a while. The
// number of workers that there should be later stays.
func (m *Master) tellNone() {
	old := m.pool.told
	m.pool.told = 0
	m.hook(m.gen, "nworkers_changed", m.logHook("nworkers_changed"), 0, old)
}

// tellTarget sets the number of workers of g, which need not serve yet, and runs the hook
// nworkers_changed; next gets the hook's failure, or nil.
func (m *Master) tellTarget(g *generation, n int, next func(*failure)) {
	var old any
	if m.pool.told >= 0 {
		old = m.pool.told
	}
	m.pool.target, m.pool.told = n, n
	m.hook(g, "nworkers_changed", next, n, old)
}

// moreWorkers makes one worker more (TTIN).
func (m *Master) moreWorkers() {
	if m.candidate != nil {
		m.candidate.change++
	}
	m.scale.shift(1)
	m.setTarget(m.pool.target + 1)
	m.balance()
	m.lookAgain()
}

// fewerWorkers makes one worker fewer (TTOU).
func (m *Master) fewerWorkers() {
	if m.candidate != nil {
		m.candidate.change--
	}
	m.scale.shift(-1)
	if m.pool.target > 1 {
		m.setTarget(m.pool.target - 1)
		m.balance()
	}
	m.lookAgain()
}

// useWorker lets requests go to a worker that is ready.
func (m *Master) useWorker(o occurrence) {
	m.pool.activate(o.worker)
	m.balance()
}

// countWorker lets requests go to a worker that is ready, unless it is one of the
// candidate, which waits for all of them.
func (m *Master) countWorker(o occurrence) {
	if m.candidateGeneration() == o.worker.gen {
		m.candidate.workerReady()
		return
	}
	m.useWorker(o)
}

// bootWorker lets requests go to a worker of the first start, which ends with the last
// one.
func (m *Master) bootWorker(o occurrence) {
	m.pool.activate(o.worker)
	m.endBoot()
	m.balance()
}

// workerForgotten is called when a worker of g is gone.
func (m *Master) workerForgotten(g *generation) {
	m.countWorkers()
	m.releaseUnused(g)
	if m.state == paused {
		m.balancePools(g) // they stay as long as somebody calls them
	}
}
