package master

import (
	"errors"
	"slices"
)

// This file has the commands that show pools and change their workers, in Gunicorn's words.

// A shownPoolWorker is a worker of a pool as Gunicorn's commands show it.
type shownPoolWorker struct {
	PID       int      `json:"pid"`
	Type      string   `json:"type"`
	Pool      string   `json:"pool"`
	Age       int      `json:"age"`
	Apps      []string `json:"apps"`
	Booted    bool     `json:"booted"`
	Heartbeat *int     `json:"last_heartbeat"`
}

// A shownPoolApp is an app that a pool hosts.
type shownPoolApp struct {
	Path    string `json:"import_path"`
	Pool    string `json:"pool"`
	Wanted  int    `json:"worker_count"` // 0: all workers of the pool host it
	Current int    `json:"current_workers"`
	PIDs    []int  `json:"worker_pids"`
}

// shownPoolWorkers lists the workers of all pools that are processes.
func (m *Master) shownPoolWorkers() []shownPoolWorker {
	shown := []shownPoolWorker{}
	for _, w := range m.poolWorkers.byAge() {
		if w.pid != 0 {
			shown = append(shown, shownPoolWorker{PID: w.pid, Type: "dirty", Pool: w.pool.cfg.Name, Age: w.age, Apps: w.apps, Booted: w.ready})
		}
	}
	return shown
}

// arbiterPid returns the pid of the spawner of the pools that serve, nil if there are none.
func (m *Master) arbiterPid() any {
	if m.gen == nil || m.gen.pools == nil || m.gen.pools.sp == nil {
		return nil
	}
	return m.gen.pools.sp.proc.Pid()
}

func (m *Master) showDirty(r *commandRun) {
	pid, workers, apps := m.arbiterPid(), m.shownPoolWorkers(), []shownPoolApp{}
	if pid != nil {
		for _, p := range m.gen.pools.pools {
			for _, app := range p.apps {
				shown := shownPoolApp{Path: app.path, Pool: p.cfg.Name, Wanted: app.workers, PIDs: []int{}}
				for _, w := range workers {
					if w.Pool == p.cfg.Name && slices.Contains(w.Apps, app.path) {
						shown.PIDs = append(shown.PIDs, w.PID)
					}
				}
				shown.Current = len(shown.PIDs)
				apps = append(apps, shown)
			}
		}
	}
	r.answer(map[string]any{"enabled": pid != nil, "pid": pid, "workers": workers, "apps": apps}, nil)
}

func (m *Master) dirtyAdd(r *commandRun) { m.dirtyChange(r, "add", "spawned", m.morePoolWorkers) }

func (m *Master) dirtyRemove(r *commandRun) {
	m.dirtyChange(r, "remove", "removed", m.fewerPoolWorkers)
}

// dirtyChange changes the number of workers of the pool that TTIN and TTOU are for, as far as its
// apps and its slots allow.
func (m *Master) dirtyChange(r *commandRun, operation, done string, change func(*generation, *hostedPool) bool) {
	n, err := r.number("")
	switch {
	case err != nil:
	case m.arbiterPid() == nil:
		err = errors.New("There are no dirty workers")
	case m.state != running:
		err = m.notNow("the number of workers of a pool is not changed")
	case n > maxWorkers:
		err = errors.New("Invalid argument: so many workers are a mistake")
	}
	if err != nil {
		r.answer(nil, err)
		return
	}
	p, changed := m.gen.pools.pools[0], 0
	for changed < n && change(m.gen, p) {
		changed++
	}
	r.answer(map[string]any{
		"success": true, "operation": operation, "requested": n, done: changed, "pool": p.cfg.Name,
		"total_workers": len(m.poolWorkers.members(p)), "target_workers": p.target,
	}, nil)
}
