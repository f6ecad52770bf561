package master

import (
	"slices"
	"syscall"
	"time"

	"indrik/internal/wire"
)

const (
	// terminateAgain is how long after a SIGTERM the next one is sent; the
	// pause then doubles up to terminateSlow. One can be lost: it can come after
	// the interpreter looked for signals last and before its system call blocks.
	terminateAgain = 100 * time.Millisecond
	terminateSlow  = 2 * time.Second
	// abortGrace is how long an aborted worker has for its worker_abort hook,
	// and one told to quit for its worker_int hook.
	abortGrace = 2 * time.Second
	// reportGrace is how long the front has to report the requests of a worker
	// that is over its time.
	reportGrace = 500 * time.Millisecond
)

// A pool is all workers of all generations, and how many there should be. It ends
// workers; how many are to be made is decided in balance.go.
type pool struct {
	base
	front     *frontLink        // is told of every worker
	retiring  func(*worker)     // called before one is told to end
	forgotten func(*generation) // called when a worker of that generation is gone

	workers   map[int]*worker // by age
	lastAge   int
	target    int // how many workers there should be
	told      int // the target that nworkers_changed heard of last, −1: none
	reached   int // the target that all workers were ready for last
	kills     int // with SIGKILL, so far
	counted   int // how many there are, when that was logged last
	respawn   backoff
	respawner *time.Timer // runs balance when the pause is over
}

// byAge lists the workers, the oldest first.
func (p *pool) byAge() []*worker {
	ws := make([]*worker, 0, len(p.workers))
	for _, w := range p.workers {
		ws = append(ws, w)
	}
	slices.SortFunc(ws, func(a, b *worker) int { return a.age - b.age })
	return ws
}

// withPid returns the worker that is the process pid, or nil.
func (p *pool) withPid(pid int) *worker {
	for _, w := range p.workers {
		if w.pid == pid {
			return w
		}
	}
	return nil
}

// has reports whether w is still there.
func (p *pool) has(w *worker) bool { return p.workers[w.age] == w }

// hasReady reports whether there is a worker that has its app.
func (p *pool) hasReady() bool {
	for _, w := range p.workers {
		if w.ready {
			return true
		}
	}
	return false
}

// countReady returns how many workers of g have their app.
func (p *pool) countReady(g *generation) (n int) {
	for _, w := range p.workers {
		if w.gen == g && w.ready {
			n++
		}
	}
	return n
}

// countServing returns how many workers have their app and are not told to end.
func (p *pool) countServing() (n int) {
	for _, w := range p.workers {
		if w.ready && !w.leaving {
			n++
		}
	}
	return n
}

// uses reports whether there is a worker of g.
func (p *pool) uses(g *generation) bool {
	for _, w := range p.workers {
		if w.gen == g {
			return true
		}
	}
	return false
}

// running returns how many workers are processes.
func (p *pool) running() (n int) {
	for _, w := range p.workers {
		if w.pid != 0 {
			n++
		}
	}
	return n
}

// tellEnd tells the workers that the requests they run are the last ones, and until
// when graceful_timeout lasts. With the zero time it takes that back.
func (p *pool) tellEnd(until time.Time) {
	for _, w := range p.workers {
		w.boardMem.SetEnd(until)
	}
}

// tellPromoted tells the workers that their master is the only one from now on.
func (p *pool) tellPromoted() {
	for _, w := range p.workers {
		w.boardMem.Promote()
		if w.proc != nil {
			w.proc.Signal(syscall.SIGWINCH)
		}
	}
}

// reopenLogs tells the workers to open their log files again.
func (p *pool) reopenLogs() {
	for _, w := range p.workers {
		if w.proc != nil {
			w.proc.Signal(syscall.SIGUSR1)
		}
	}
}

// activate lets requests go to w.
func (p *pool) activate(w *worker) {
	if w.active || w.leaving {
		return
	}
	w.active = true
	p.tellActive(w)
}

// tellActive tells the front that requests go to w.
func (p *pool) tellActive(w *worker) {
	p.front.send(wire.ToFront{Type: wire.TypeActivate, Age: w.age, Pid: w.pid, Kind: w.kind})
}

// retire ends w gracefully: it takes no more requests, and leaves when it has
// finished those it has, at the latest after graceful_timeout and, with ASGI, the
// time that WebSocket connections may stay.
func (p *pool) retire(w *worker) {
	if w.leaving || p.forgetUnforked(w) {
		return
	}
	w.leaving = true
	p.front.send(wire.ToFront{Type: wire.TypeRetire, Age: w.age})
	p.retiring(w)
	p.terminate(w)
	d := w.gen.gracefulTimeout()
	if w.kind == wire.KindASGI {
		d += w.gen.webSocketDrainMax()
	}
	w.deadline = p.after(d, func() { p.overdue(w) })
}

// forgetUnforked drops w if the spawner has not been asked to fork it, and reports whether
// that is so.
func (p *pool) forgetUnforked(w *worker) bool {
	if w.asked || w.pid != 0 {
		return false
	}
	w.leaving = true
	p.forget(w)
	return true
}

// terminate sends SIGTERM until w is gone.
func (p *pool) terminate(w *worker) {
	if w.proc == nil || !p.has(w) {
		return
	}
	w.proc.Signal(syscall.SIGTERM)
	if w.again != nil {
		w.again.Stop()
	}
	w.pause = min(max(terminateAgain, 2*w.pause), terminateSlow)
	w.again = p.after(w.pause, func() { p.terminate(w) })
}

// overdue ends w, which has not left within graceful_timeout.
func (p *pool) overdue(w *worker) {
	if !p.has(w) || w.aborted {
		return
	}
	w.overdue = true
	p.log.Warnf("Worker graceful timeout (pid:%d)", w.pid)
	p.front.send(wire.ToFront{Type: wire.TypeExpire, Age: w.age})
	// The front answers the clients and reports each request; then this
	// worker is aborted. If it runs none there is no report.
	p.after(reportGrace, func() { p.abort(w) })
}

// abort ends w with SIGABRT, then SIGKILL.
func (p *pool) abort(w *worker) {
	if w.aborted || !p.has(w) {
		return
	}
	w.aborted, w.leaving = true, true
	if w.proc != nil {
		w.proc.Signal(syscall.SIGABRT)
	}
	p.after(abortGrace, func() { p.kill(w) })
}

// quit ends w at once: SIGQUIT, then SIGKILL.
func (p *pool) quit(w *worker) {
	if p.forgetUnforked(w) {
		return
	}
	w.leaving = true
	if w.proc != nil {
		w.proc.Signal(syscall.SIGQUIT)
		// A SIGTERM wakes it if it missed that one; see terminateAgain.
		p.after(terminateAgain, func() { p.terminate(w) })
	}
	p.after(min(abortGrace, w.gen.gracefulTimeout()), func() { p.kill(w) })
}

// kill ends w by SIGKILL.
func (p *pool) kill(w *worker) {
	if !p.has(w) {
		return
	}
	w.killed = true
	p.kills++
	if w.proc != nil {
		w.proc.Signal(syscall.SIGKILL)
	}
}

// release lets go of a worker that serves no more, and whose process goes on. Its process, its
// channel and its file for stacks stay.
func (p *pool) release(w *worker) {
	delete(p.workers, w.age)
	p.front.send(wire.ToFront{Type: wire.TypeGone, Age: w.age})
	w.closeBoard()
	w.stopTimers()
	p.forgotten(w.gen)
}

// forget drops all that belongs to a worker whose process is gone.
func (p *pool) forget(w *worker) {
	delete(p.workers, w.age)
	p.front.send(wire.ToFront{Type: wire.TypeGone, Age: w.age})
	w.close()
	p.forgotten(w.gen)
}
