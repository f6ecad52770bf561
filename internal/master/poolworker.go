package master

import (
	"os"
	"slices"
	"syscall"
	"time"

	"indrik/internal/wire"
)

// A poolWorker is one process of a pool.
type poolWorker struct {
	age  int // among the workers of pools
	pid  int // 0 until the spawner said
	proc process
	gen  *generation
	pool *hostedPool
	apps []string
	env  map[string]string // besides that of all workers

	dump    *os.File
	channel workerConn
	front   []*os.File // the front's ends: the channel for calls, then the slots
	theirs  []*os.File // its ends, until it is forked: its channel, that for calls, the slots

	toldTo  *frontProcess // the front that was told of it last
	asked   bool          // the spawner was asked to fork it
	ready   bool          // it has its apps
	leaving bool
	aborted bool
	killed  bool
	readyAt time.Time
	timers  []*time.Timer
}

// open makes what w shares with the other processes.
func (w *poolWorker) open(sys *system, slots int) (err error) {
	if w.dump, err = sys.growing("indrik-stacks"); err != nil {
		return err
	}
	ours, end, err := sys.pair()
	if err != nil {
		return err
	}
	w.theirs = append(w.theirs, end)
	if w.channel, err = sys.channel(ours); err != nil {
		return err
	}
	for range 1 + slots {
		ours, theirs, err := sys.pair()
		if err != nil {
			return err
		}
		w.front, w.theirs = append(w.front, ours), append(w.theirs, theirs)
	}
	return nil
}

// close releases all that w has.
func (w *poolWorker) close() {
	if w.channel != nil {
		w.channel.Close()
	}
	if w.proc != nil {
		w.proc.Release()
	}
	wire.CloseAll(append([]*os.File{w.dump}, w.theirs...))
	wire.CloseAll(w.front)
	for _, t := range w.timers {
		t.Stop()
	}
}

// closeSlots lets go of the front's ends of the slots: when the front does so too the worker has no
// more calls, and ends.
func (w *poolWorker) closeSlots() {
	if len(w.front) > 1 {
		wire.CloseAll(w.front[1:])
		w.front = w.front[:1]
	}
}

// poolWorkers are the workers of all pools of all generations. It ends them; how many are to be
// made is decided in poolbalance.go.
type poolWorkers struct {
	base
	front     *frontLink
	forgotten func(*generation) // called when a worker of that generation is gone

	workers map[int]*poolWorker // by age
	lastAge int
}

// byAge lists the workers, the oldest first.
func (p *poolWorkers) byAge() []*poolWorker {
	ws := make([]*poolWorker, 0, len(p.workers))
	for _, w := range p.workers {
		ws = append(ws, w)
	}
	slices.SortFunc(ws, func(a, b *poolWorker) int { return a.age - b.age })
	return ws
}

// has reports whether w is still there.
func (p *poolWorkers) has(w *poolWorker) bool { return p.workers[w.age] == w }

// withPid returns the worker that is the process pid, or nil.
func (p *poolWorkers) withPid(pid int) *poolWorker {
	for _, w := range p.workers {
		if w.pid == pid {
			return w
		}
	}
	return nil
}

// uses reports whether there is a worker of g.
func (p *poolWorkers) uses(g *generation) bool {
	for _, w := range p.workers {
		if w.gen == g {
			return true
		}
	}
	return false
}

// areReady reports whether g has all of its workers, and these have their apps.
func (p *poolWorkers) areReady(g *generation) bool {
	if g.pools == nil {
		return true
	}
	for _, pool := range g.pools.pools {
		if start, _ := planPool(pool.apps, pool.target, p.members(pool)); len(start) > 0 {
			return false
		}
		for _, w := range p.workers {
			if w.pool == pool && !w.leaving && !w.ready {
				return false
			}
		}
	}
	return true
}

// members are the workers of a pool that are not on their way out.
func (p *poolWorkers) members(pool *hostedPool) []poolMember {
	var members []poolMember
	for _, w := range p.workers {
		if w.pool == pool && !w.leaving {
			members = append(members, poolMember{w.age, w.ready, w.apps})
		}
	}
	return members
}

// tellActive tells the front that w has its apps.
func (p *poolWorkers) tellActive(w *poolWorker) {
	p.front.send(wire.ToFront{Type: wire.TypePoolActivate, Age: w.age, Pid: w.pid})
}

// reopenLogs tells the workers to open their log files again.
func (p *poolWorkers) reopenLogs() {
	for _, w := range p.workers {
		if w.proc != nil {
			w.proc.Signal(syscall.SIGUSR1)
		}
	}
}

// later runs f after d, unless w is gone by then.
func (p *poolWorkers) later(w *poolWorker, d time.Duration, f func()) {
	w.timers = append(w.timers, p.after(d, f))
}

// retire ends w gracefully: it gets no more calls, and ends when it has finished those that it runs, at
// the latest after the graceful time of its pool.
func (p *poolWorkers) retire(w *poolWorker) {
	if w.leaving || p.forgetUnforked(w) {
		return
	}
	w.leaving = true
	p.front.send(wire.ToFront{Type: wire.TypePoolRetire, Age: w.age})
	w.closeSlots()
	p.later(w, time.Duration(w.pool.cfg.GracefulTimeout)*time.Second, func() {
		if p.has(w) && !w.aborted {
			p.log.Warnf("Dirty worker graceful timeout (pid:%d)", w.pid)
			p.abort(w)
		}
	})
}

// forgetUnforked drops w if the spawner has not been asked to fork it, and reports whether
// that is so.
func (p *poolWorkers) forgetUnforked(w *poolWorker) bool {
	if w.asked || w.pid != 0 {
		return false
	}
	w.leaving = true
	p.forget(w, "")
	return true
}

// abort ends w with SIGABRT, then SIGKILL.
func (p *poolWorkers) abort(w *poolWorker) { p.end(w, syscall.SIGABRT) }

// quit ends w at once: SIGQUIT, then SIGKILL.
func (p *poolWorkers) quit(w *poolWorker) {
	if !p.forgetUnforked(w) {
		p.end(w, syscall.SIGQUIT)
	}
}

func (p *poolWorkers) end(w *poolWorker, sig syscall.Signal) {
	if w.aborted || !p.has(w) {
		return
	}
	w.aborted, w.leaving = true, true
	if w.proc != nil {
		w.proc.Signal(sig)
	}
	p.later(w, abortGrace, func() { p.kill(w) })
}

// kill ends w by SIGKILL.
func (p *poolWorkers) kill(w *poolWorker) {
	if !p.has(w) {
		return
	}
	w.killed, w.leaving = true, true
	if w.proc != nil {
		w.proc.Signal(syscall.SIGKILL)
	}
}

// forget drops all that belongs to a worker whose process is gone; report is what it has written if
// it could not boot.
func (p *poolWorkers) forget(w *poolWorker, report string) {
	delete(p.workers, w.age)
	p.front.send(wire.ToFront{Type: wire.TypePoolGone, Age: w.age, Report: report})
	w.close()
	p.forgotten(w.gen)
}
