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
	m.lastAge++
	w := &worker{age: m.lastAge, gen: g, slots: g.cfg.Slots()}
	var err error
	if w.end, w.theirs, err = w.open(m.sys); err != nil {
		w.close()
		m.cannotSpawn(g, lack("cannot make the channels of a worker", err))
		return false
	}
	m.workers[w.age] = w
	m.hearWorker(w)
	m.announce(w) // first, so that the front knows whatever takes a request
	return true
}

// cannotSpawn is called when g does not get a worker for want of something: a generation
// in the making fails, the first start ends, and what serves tries again later.
func (m *Master) cannotSpawn(g *generation, f *failure) {
	switch {
	case m.state == quitting:
		m.finish()
	case m.candidateGeneration() == g:
		m.candidate.fail(f)
	case m.state == booting:
		m.cannotBoot(f)
	default:
		m.log.Errorf("Cannot start a worker: %s", strings.TrimLeft(f.Error(), "\n"))
		m.respawn.died(m.now())
		m.balanceLater()
	}
}

// cannotBoot ends the first start, whose log is open.
func (m *Master) cannotBoot(f *failure) {
	text := strings.TrimLeft(f.Error(), "\n")
	if m.predecessor != nil {
		m.predecessor.failed(text)
	}
	m.halt(text, f.code)
}

// workerTaken is called when the front f has answered a message about w.
func (m *Master) workerTaken(w *worker, f *front, fail *failure) {
	switch {
	case m.workers[w.age] != w || w.toldTo != f || m.front != f:
		// It has ended since, or another front is told.
	case fail != nil && !w.asked:
		m.forget(w)
		m.cannotSpawn(w.gen, fail)
	case fail != nil:
		// A front that took the place of another. Nothing that this worker answers
		// would reach anybody.
		m.stop(w)
		m.cannotSpawn(w.gen, fail)
	default:
		if w.untaken--; w.untaken == 0 && !w.asked {
			m.fork(w)
		}
	}
}

// fork asks the spawner to fork w.
func (m *Master) fork(w *worker) {
	w.asked = true
	end, slots := w.end, w.theirs
	w.end, w.theirs = nil, nil
	defer closeFiles(append(slots, end))
	g := w.gen
	const most = wire.MaxDescriptors - 3
	for len(slots) > most {
		err := m.sendTo(g.sp.conn, wire.ToSpawner{Type: wire.TypeSlots, Generation: g.number, Age: w.age}, slots[:most]...)
		if err != nil {
			m.forget(w)
			m.cannotSpawn(g, lack("cannot start a worker", err))
			return
		}
		slots = slots[most:]
	}
	files := append([]*os.File{w.board, w.dump, end}, slots...)
	m.call(g.sp, wire.ToSpawner{
		Type: wire.TypeSpawn, Generation: g.number, Age: w.age, Server: m.server(g.cfg),
	}, files, func(r wire.FromSpawner) { m.spawnAnswered(w, r) })
}

// spawnAnswered acts on what the spawner said of the fork of w.
func (m *Master) spawnAnswered(w *worker, r wire.FromSpawner) {
	switch {
	case m.workers[w.age] != w:
		// It has ended already.
	case r.Type == wire.TypeOK:
		m.workerForked(w, r.Pid)
	case r.Stage == "spawner" && w.pid != 0:
		// The spawner died before it could answer, but the worker itself has
		// said that it is there.
	case r.Stage == "spawner" && w.silent:
		m.forget(w)
	case r.Stage == "spawner":
		// Nobody knows whether it was forked. If it was it will say that it is
		// ready, and is ended then; otherwise its channel ends.
		w.leaving = true
	default:
		m.forget(w)
		f := failed(r)
		if f.code == exitcode.Resources {
			m.cannotSpawn(w.gen, f)
			return
		}
		m.log.Errorf("Cannot start a worker: %s", f.Error())
		if r.Stage == "hook" && m.state == booting && m.candidate == nil {
			m.halt("The hook pre_fork raised.", exitcode.Internal)
			return
		}
		if m.bootFailed(w, f) {
			return
		}
		m.respawn.died(m.now())
		m.balanceLater()
	}
}

// open makes what w shares with the other processes, and returns the worker's ends of
// its channel and of the slots.
func (w *worker) open(sys *system) (end *os.File, theirs []*os.File, err error) {
	if w.board, err = sys.board(w.slots); err != nil {
		return nil, nil, err
	}
	if w.boardMem, err = sys.mapBoard(w.board); err != nil {
		return nil, nil, err
	}
	if w.dump, err = sys.growing("indrik-stacks"); err != nil {
		return nil, nil, err
	}
	ours, end, err := sys.pair()
	if err != nil {
		return nil, nil, err
	}
	if w.channel, err = sys.channel(ours); err != nil {
		return end, nil, err
	}
	for range w.slots {
		ours, other, err := sys.pair()
		if err != nil {
			return end, theirs, err
		}
		w.slotFiles = append(w.slotFiles, ours)
		theirs = append(theirs, other)
	}
	return end, theirs, nil
}
