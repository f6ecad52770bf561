package master

// want is how many workers there should be now.
func (m *Master) want() int {
	if m.state == quitting || (m.state == paused && !m.pausing) {
		return 0
	}
	return m.target
}

// balance starts and ends workers of the serving generation until there are
// as many as there should be.
func (m *Master) balance() {
	if m.gen == nil || m.state == quitting {
		return
	}
	var pool []member
	for _, w := range m.workers {
		if w.gen == m.gen && !w.leaving {
			pool = append(pool, member{w.age, w.ready, w.recycling})
		}
	}
	start, end := plan(m.want(), pool)
	for _, age := range end {
		m.retire(m.workers[age])
	}
	if start <= 0 || m.gen.isLost() || !m.gen.taken {
		return
	}
	if m.respawn.wait(m.now()) > 0 {
		m.balanceLater()
		return
	}
	for range start {
		if !m.spawn(m.gen) {
			return
		}
	}
}

// balanceLater runs balance when the pause after early deaths is over.
func (m *Master) balanceLater() {
	wait := m.respawn.wait(m.now())
	if wait == 0 {
		m.balance()
		return
	}
	if m.respawner != nil {
		m.respawner.Stop()
	}
	m.respawner = m.after(wait, m.balance)
}

// setTarget changes the number of workers, and tells the hook.
func (m *Master) setTarget(n int) {
	if m.gen == nil {
		m.target = n // the hook is told when there is one
		return
	}
	m.tellTarget(m.gen, n, m.logHook("nworkers_changed"))
}

// tellNone tells the hook that there are to be no workers for a while; how many there
// should be then stays.
func (m *Master) tellNone() {
	old := m.told
	m.told = 0
	m.hook(m.gen, "nworkers_changed", m.logHook("nworkers_changed"), 0, old)
}

// tellTarget does so, also for a generation that is yet to serve; next is given what
// the hook raised.
func (m *Master) tellTarget(g *generation, n int, next func(*failure)) {
	var old any
	if m.told >= 0 {
		old = m.told
	}
	m.target, m.told = n, n
	m.hook(g, "nworkers_changed", next, n, old)
}

// logHook returns what to do after a hook whose failure changes nothing.
func (m *Master) logHook(name string) func(*failure) {
	return func(err *failure) {
		if err != nil {
			m.log.Errorf("Exception in %s hook\n%s", name, err.Error())
		}
	}
}

func (m *Master) moreWorkers() {
	if m.candidate != nil {
		m.candidate.change++
	}
	m.setTarget(m.target + 1)
	m.balance()
}

func (m *Master) fewerWorkers() {
	if m.candidate != nil {
		m.candidate.change--
	}
	if m.target <= 1 {
		return
	}
	m.setTarget(m.target - 1)
	m.balance()
}
