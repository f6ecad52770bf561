package master

import (
	"os"
	"syscall"
	"time"

	"indrik/internal/wire"
)

// startSpawner starts a spawner whose messages this master hears.
func (m *Master) startSpawner() (*spawner, error) {
	return m.spawners.start(m.fromSpawner, func(sp *spawner, dump *os.File) *probe {
		p := m.newProbe("Spawner", sp.proc, dump)
		p.over = func() bool { return sp.dead || sp.leaving || sp.lingers }
		p.busy = func() time.Duration { return sp.busyFor(m.now()) }
		p.ask = func(done func()) { m.spawners.ping(sp, done) }
		return p
	})
}

// fromSpawner acts on a message of sp.
func (m *Master) fromSpawner(sp *spawner, msg wire.FromSpawner) {
	if msg.Type == wire.TypeUnfit {
		sp.unfit = msg.Error
		return
	}
	sp.heard = true
	switch msg.Type {
	case wire.TypeOK, wire.TypeFailed:
		sp.answered(msg)
	case wire.TypeBusy:
		m.spawners.beginHook(sp)
	case wire.TypeSignalled:
		if sp.ofPools {
			m.poolSpawnerSignalled(sp, syscall.Signal(msg.Signal))
		} else {
			m.spawnerSignalled(sp, syscall.Signal(msg.Signal))
		}
	case wire.TypeIdle:
		sp.hooks--
	case wire.TypeFiles:
		m.imported(nil, msg.Files, msg.Since)
	case wire.TypeExited:
		d := death{code: msg.Code, signal: syscall.Signal(msg.Signal), peak: msg.Peak}
		if w := m.poolWorkers.workers[msg.Age]; sp.ofPools && w != nil && w.gen.pools.sp == sp {
			m.poolWorkerDied(w, d)
		} else if w := m.pool.workers[msg.Age]; !sp.ofPools && w != nil {
			m.workerDied(w, d)
		} else if t := m.refork.templates[msg.Age]; !sp.ofPools && t != nil {
			m.templateExited(t, d)
		}
	}
}

// hook runs a hook of the master's side, then goes on with next, which gets the failure
// of a hook that raised, or nil.
func (m *Master) hook(g *generation, name string, next func(*failure), args ...any) {
	if g == nil || !g.hooks[name] || g.sp.dead {
		next(nil)
		return
	}
	m.spawners.call(g.sp, wire.ToSpawner{
		Type: wire.TypeHook, Generation: g.number, Hook: name, Args: args, Server: m.server(g.cfg),
	}, nil, func(r wire.FromSpawner) {
		switch {
		case r.Type == wire.TypeFailed && r.Stage != "spawner":
			next(failed(r))
		case r.Logger:
			m.renewLogger(g, func() { next(nil) })
		default:
			next(nil)
		}
	})
}

// tellChildExit runs the hook child_exit for a worker that a template has forked: the spawner,
// which runs it for those that it has forked itself, is not told of its end by the kernel.
func (m *Master) tellChildExit(w *worker) {
	g := w.gen
	if !g.hooks["child_exit"] || g.sp.dead {
		return
	}
	done := m.logHook("child_exit")
	m.spawners.call(g.sp, wire.ToSpawner{
		Type: wire.TypeHook, Generation: g.number, Hook: "child_exit", Pid: w.pid, Age: w.age, Server: m.server(g.cfg),
	}, nil, func(r wire.FromSpawner) {
		if r.Type == wire.TypeFailed && r.Stage != "spawner" {
			done(failed(r))
		}
	})
}

// logHook returns what to do after a hook whose failure changes nothing.
func (m *Master) logHook(name string) func(*failure) {
	return func(f *failure) {
		if f != nil {
			m.log.Errorf("Exception in %s hook\n%s", name, f.Error())
		}
	}
}

// dismissUnused ends the spawners that nothing refers to.
func (m *Master) dismissUnused() {
	used := map[*spawner]bool{}
	use := func(g *generation) {
		used[g.sp] = true
		if g.pools != nil {
			used[g.pools.sp] = true
		}
	}
	if m.gen != nil {
		use(m.gen)
	}
	if m.candidate != nil {
		used[m.candidate.sp] = true
	}
	if g := m.candidateGeneration(); g != nil {
		use(g)
	}
	for _, w := range m.pool.workers {
		use(w.gen)
	}
	for _, w := range m.poolWorkers.workers {
		use(w.gen)
	}
	for _, t := range m.refork.templates {
		used[t.w.gen.sp] = true // reaps it
	}
	for _, sp := range m.spawners.byPid {
		if used[sp] || sp.lingers || sp.dead || sp.leaving {
			continue
		}
		m.spawners.dismissIdle(sp, func() {
			m.tellWorkers(sp)
			m.exitIfDone()
		})
	}
}
