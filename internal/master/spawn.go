package master

import (
	"os"
	"strings"

	"indrik/internal/exitcode"
	"indrik/internal/wire"
)

// spawn makes what a new worker of g needs, and tells the front of it; the worker is
// forked once the front has taken it. It reports whether that is under way.
func (m *Master) spawn(g *generation) bool {
	m.pool.lastAge++
	w := &worker{age: m.pool.lastAge, gen: g, slots: g.cfg.Slots(), level: g.reforks}
	if err := w.open(m.sys); err != nil {
		w.close()
		m.cannotSpawn(g, lack("cannot make the channels of a worker", err))
		return false
	}
	m.pool.workers[w.age] = w
	m.hear(w)
	m.announce(w) // first, so that the front knows whatever takes a request
	return true
}

// announce tells the front of a worker; workerTaken goes on when the front has answered
// each message about it.
func (m *Master) announce(w *worker) {
	f := m.front.current
	if f == nil {
		return
	}
	w.toldTo, w.untaken = f, 0
	done := func(fail *failure) { m.workerTaken(w, f, fail) }
	slots, first := w.slotFiles, 0
	files := []*os.File{w.board}
	if w.calls != nil {
		files = append(files, w.calls)
	}
	for {
		n := min(len(slots), wire.MaxDescriptors-len(files))
		w.untaken++
		m.front.call(wire.ToFront{
			Type: wire.TypeWorker, Generation: w.gen.number, Age: w.age, First: first, Kind: w.kind, Calls: w.calls != nil && first == 0,
		}, done, append(files, slots[:n]...)...)
		slots, first, files = slots[n:], first+n, nil
		if len(slots) == 0 {
			return
		}
	}
}

// workerTaken is called when the front f has answered a message about w.
func (m *Master) workerTaken(w *worker, f *frontProcess, fail *failure) {
	switch {
	case !m.pool.has(w) || w.toldTo != f || m.front.current != f:
		// It has ended since, or another front is told.
	case fail != nil && !w.asked:
		m.pool.forget(w)
		m.cannotSpawn(w.gen, fail)
	case fail != nil:
		// A front that took the place of another. Nothing that this worker answers
		// would reach anybody.
		m.pool.quit(w)
		m.cannotSpawn(w.gen, fail)
	default:
		if w.untaken--; w.untaken == 0 && !w.asked {
			m.fork(w)
		}
	}
}

// fork asks the spawner to fork w, or the template of its generation if there is one.
func (m *Master) fork(w *worker) {
	w.asked = true
	end, calls, slots := w.end, w.callsEnd, w.theirs
	w.end, w.callsEnd, w.theirs = nil, nil, nil
	defer wire.CloseAll(append(slots, end, calls))
	g := w.gen
	if w.template = g.template; w.template != nil {
		m.forkFromTemplate(w, end, calls, slots)
		return
	}
	files, err := w.descriptors(end, calls, slots, func(first []*os.File) error {
		return m.sendTo(g.sp.conn, wire.ToSpawner{Type: wire.TypeSlots, Generation: g.number, Age: w.age}, first...)
	})
	if err != nil {
		m.pool.forget(w)
		m.cannotSpawn(g, lack("cannot start a worker", err))
		return
	}
	m.spawners.call(g.sp, wire.ToSpawner{
		Type: wire.TypeSpawn, Generation: g.number, Age: w.age, Server: m.server(g.cfg), Calls: calls != nil, WarmAfter: m.warmAfter(g),
	}, files, func(r wire.FromSpawner) { m.spawnAnswered(w, r) })
}

// descriptors returns those that go with the message to fork w: its own, its ends of the channels
// and of the slots. If there are more slots than a message can carry, ahead sends the first ones.
func (w *worker) descriptors(end, calls *os.File, slots []*os.File, ahead func(slots []*os.File) error) ([]*os.File, error) {
	files := []*os.File{w.board, w.dump, end}
	if calls != nil {
		files = append(files, calls)
	}
	const most = wire.MaxDescriptors - 4
	for len(slots) > most {
		if err := ahead(slots[:most]); err != nil {
			return nil, err
		}
		slots = slots[most:]
	}
	return append(files, slots...), nil
}

// spawnAnswered acts on the spawner's answer to the request to fork w.
func (m *Master) spawnAnswered(w *worker, r wire.FromSpawner) {
	switch {
	case !m.pool.has(w):
		// It has ended already.
	case r.Type == wire.TypeOK:
		m.workerForked(w, r.Pid)
	case r.Stage == "spawner" && w.pid != 0:
		// The spawner died before it could answer, but the worker itself has
		// said that it is there.
	case r.Stage == "spawner" && w.silent:
		m.pool.forget(w)
	case r.Stage == "spawner":
		// Nobody knows whether it was forked. If it was it will say that it is
		// ready, and is ended then; otherwise its channel ends.
		w.leaving = true
	default:
		m.pool.forget(w)
		m.spawnFailed(w, r)
	}
}

// spawnFailed acts on the failure of the fork of w.
func (m *Master) spawnFailed(w *worker, r wire.FromSpawner) {
	f := failed(r)
	if f.code == exitcode.Resources {
		m.cannotSpawn(w.gen, f)
		return
	}
	m.log.Errorf("Cannot start a worker: %s", f.Error())
	switch {
	case r.Stage == "hook" && m.state == booting && m.candidate == nil:
		m.failBoot("The hook pre_fork raised.", exitcode.Internal)
	case m.candidateGeneration() == w.gen:
		m.candidate.fail(f)
	case m.state == booting && f.code == exitcode.WorkerBoot:
		m.failBoot("Worker failed to boot.", f.code)
	case m.state == booting && f.code == exitcode.AppLoad:
		m.failBoot("App failed to load.", f.code)
	default:
		m.spawnAgainLater()
	}
}

// cannotSpawn is called when g does not get a worker because something is missing: a
// candidate fails, the first start ends, and for the serving generation it is tried again
// later.
func (m *Master) cannotSpawn(g *generation, f *failure) {
	switch {
	case m.state == quitting:
		m.exitIfDone()
	case m.candidateGeneration() == g:
		m.candidate.fail(f)
	case m.state == booting:
		m.cannotBoot(f)
	default:
		m.log.Errorf("Cannot start a worker: %s", strings.TrimLeft(f.Error(), "\n"))
		m.spawnAgainLater()
	}
}

// spawnAgainLater tries to make workers after a pause.
func (m *Master) spawnAgainLater() {
	m.pool.respawn.died(m.now())
	m.balanceLater()
}

// workerForked notes the pid of a worker. The worker's own messages can come
// before the spawner's answer.
func (m *Master) workerForked(w *worker, pid int) {
	if w.pid != 0 {
		return
	}
	w.pid = pid
	if w.template != nil {
		w.proc = m.child(pid, os.Getpid())
	} else {
		w.proc = m.child(pid, w.gen.sp.proc.Pid(), os.Getpid())
	}
	m.countWorkers()
	if w.leaving {
		m.pool.terminate(w)
	}
	early := w.early
	w.early = nil
	for _, msg := range early {
		m.fromWorker(w, 0, msg)
	}
}

// child returns the process pid, which a spawner, or the kernel, says is there. It is the child
// of one of parents: of that spawner, or of this process if that spawner is gone or a template
// has forked it.
func (m *Master) child(pid int, parents ...int) process {
	proc, err := m.sys.child(pid, parents...)
	if err != nil {
		m.log.Errorf("Process %d is %s: it is never signalled", pid, err)
	}
	return proc
}

// noteReady notes that w has its app, and in which kind.
func (m *Master) noteReady(w *worker, kind wire.Kind) {
	w.ready, w.readyAt, w.kind, w.gen.kind = true, m.now(), kind, &kind
	w.lifetime = lifetime(w.gen.cfg)
	m.measure(w)
	m.tellKind(w)
	m.logging.tellSpeed(w.speed)
	m.on(workerReady, occurrence{worker: w})
}

// tellKind tells which kind of worker is used, if that was not certain before there was
// one; and, once a generation, that its app turned out to be one of ASGI.
func (m *Master) tellKind(w *worker) {
	g := w.gen
	if affinity := g.cfg.WorkerAffinity(); !w.kind.IsMultiplexed() && affinity != "none" && !g.toldAffinity {
		g.toldAffinity = true
		m.log.Warnf("worker_affinity = %s has no effect: workers of kind %s take their requests from one queue. "+
			"Use -k gevent, or one worker with threads", affinity, g.cfg.Kind())
	}
	if w.kind == g.cfg.FrontKind() {
		m.logging.tellKind(m.cfg)
		return
	}
	if g.toldKind {
		return
	}
	g.toldKind, m.logging.toldKind = true, true
	m.log.Infof("Using worker: %s, since %s is an ASGI app", w.kind, g.cfg.App())
	if w.slots > 1 {
		m.log.Warnf("ASGI worker does not use threads configuration. Use worker_connections instead.")
	}
}

// countWorkers notes how many workers there are, whenever that changes.
func (m *Master) countWorkers() {
	n := m.pool.running()
	if n == m.pool.counted {
		return
	}
	m.pool.counted = n
	for _, sp := range m.spawners.byPid {
		if sp.lingers || m.gen != nil && m.gen.sp == sp && m.gen.reforks > 0 {
			m.tellWorkers(sp)
		}
	}
	m.log.Debugf("%d workers", n)
	m.logging.sinks.View().Statsd.Gauge("gunicorn.workers", n)
}

// tellWorkers tells a spawner of the workers that others have forked, for the hooks'
// server.WORKERS.
func (m *Master) tellWorkers(sp *spawner) {
	msg := wire.ToSpawner{Type: wire.TypeWorkers, Workers: [][2]int{}, Server: m.server(m.cfg)}
	for _, w := range m.pool.byAge() {
		if w.pid != 0 && (w.gen.sp != sp || w.template != nil) {
			msg.Workers = append(msg.Workers, [2]int{w.pid, w.age})
		}
	}
	sp.conn.Send(msg)
}
