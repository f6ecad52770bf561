package master

import (
	"fmt"
	"os"
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
)

// A worker is one process that runs the app.
type worker struct {
	age   int
	pid   int // 0 until the spawner said
	proc  process
	gen   *generation
	slots int

	end    *os.File   // its end of the channel, until it is forked
	theirs []*os.File // its ends of the slots, likewise

	board     *os.File
	boardMem  *wire.Scoreboard
	dump      *os.File
	slotFiles []*os.File // the front's ends

	toldTo  *front // the front that was told of it last
	untaken int    // messages about it that this front has not taken yet
	asked   bool   // the spawner was asked to fork it

	channel    workerConn
	early      []wire.FromWorker // what it said before its pid was known
	files      int               // it has named
	broke      bool              // it broke the protocol
	silent     bool              // nobody holds its end of the channel any more
	toldShared bool              // the log says that others have spoken on its channel

	ready     bool      // it has its app
	kind      wire.Kind // once it is ready
	active    bool      // the front counts on it
	recycling bool
	leaving   bool // it was told to end, or is about to be
	aborted   bool
	killed    bool // by this master
	readyAt   time.Time
	again     *time.Timer     // the next SIGTERM
	pause     time.Duration   // before it
	deadline  *time.Timer     // of its drain
	late      bool            // a request of it is over time
	lost      *wire.FromFront // what it ran when it died, nil: the front has not said
	settled   bool            // and it runs no others
	awaiting  []func(string)  // who waits for its stacks
}

func (w *worker) close() {
	if w.boardMem != nil {
		w.boardMem.Close()
	}
	if w.channel != nil {
		w.channel.Close()
	}
	if w.proc != nil {
		w.proc.Release()
	}
	closeFiles([]*os.File{w.board, w.dump, w.end})
	closeFiles(w.slotFiles)
	closeFiles(w.theirs)
	for _, t := range []*time.Timer{w.again, w.deadline} {
		if t != nil {
			t.Stop()
		}
	}
}

// workerForked notes the pid of a worker. The worker's own messages can come
// before the spawner's answer.
func (m *Master) workerForked(w *worker, pid int) {
	if w.pid != 0 {
		return
	}
	w.pid = pid
	w.proc = m.child(w.gen.sp, pid)
	m.countWorkers()
	if w.leaving {
		m.terminate(w)
	}
	early := w.early
	w.early = nil
	for _, msg := range early {
		m.fromWorker(w, 0, msg)
	}
}

// workerReady is called when a worker has its app.
func (m *Master) workerReady(w *worker, kind wire.Kind) {
	w.ready, w.readyAt, w.kind, w.gen.kind = true, m.now(), kind, &kind
	m.tellKind(w)
	if m.candidate != nil && m.candidate.gen == w.gen {
		m.candidate.workerReady()
		return
	}
	m.activate(w)
	if m.state == booting {
		m.booted()
	}
	m.balance()
}

// activate lets requests go to w.
func (m *Master) activate(w *worker) {
	if w.active || w.leaving {
		return
	}
	w.active = true
	m.front.send(wire.ToFront{Type: wire.TypeActivate, Age: w.age, Pid: w.pid, Kind: w.kind})
}

// tellKind tells which kind of worker is used, if that was not certain before there was
// one; and, once a generation, that its app turned out to be one of ASGI.
func (m *Master) tellKind(w *worker) {
	if affinity := w.gen.cfg.WorkerAffinity(); !w.kind.IsMultiplexed() && affinity != "none" && !w.gen.toldAffinity {
		w.gen.toldAffinity = true
		m.log.Warnf("worker_affinity = %s has no effect: workers of kind %s take their requests from one queue. "+
			"Use -k gevent, or one worker with threads", affinity, w.gen.cfg.Kind())
	}
	if w.kind == w.gen.cfg.FrontKind() {
		m.tellClass()
		return
	}
	if w.gen.toldKind {
		return
	}
	w.gen.toldKind, m.toldClass = true, true
	m.log.Infof("Using worker: %s, since %s is an ASGI app", w.kind, w.gen.cfg.App())
	if w.slots > 1 {
		m.log.Warnf("ASGI worker does not use threads configuration. Use worker_connections instead.")
	}
}

// retire ends w gracefully: it takes no more requests, and leaves when it has
// finished those it has, at the latest after graceful_timeout and, with ASGI, the
// time that WebSocket connections may stay.
func (m *Master) retire(w *worker) {
	if w.leaving {
		return
	}
	if m.unneeded(w) {
		return
	}
	w.leaving = true
	m.front.send(wire.ToFront{Type: wire.TypeRetire, Age: w.age})
	m.terminate(w)
	d := w.gen.gracefulTimeout()
	if w.kind == wire.KindASGI {
		d += w.gen.webSocketDrainMax()
	}
	w.deadline = m.after(d, func() { m.overdue(w) })
}

// unneeded drops w if the spawner has not been asked to fork it, and reports whether that
// is so.
func (m *Master) unneeded(w *worker) bool {
	if w.asked || w.pid != 0 {
		return false
	}
	w.leaving = true
	m.forget(w)
	return true
}

// terminate sends SIGTERM until w is gone.
func (m *Master) terminate(w *worker) {
	if w.proc == nil || m.workers[w.age] != w {
		return
	}
	w.proc.Signal(syscall.SIGTERM)
	if w.again != nil {
		w.again.Stop()
	}
	w.pause = min(max(terminateAgain, 2*w.pause), terminateSlow)
	w.again = m.after(w.pause, func() { m.terminate(w) })
}

// overdue is called when w has not left within graceful_timeout.
func (m *Master) overdue(w *worker) {
	if m.workers[w.age] != w || w.aborted {
		return
	}
	m.log.Warnf("Worker graceful timeout (pid:%d)", w.pid)
	m.front.send(wire.ToFront{Type: wire.TypeExpire, Age: w.age})
	// The front answers the clients and reports each request; then this
	// worker is aborted. If it runs none there is no report.
	m.after(reportGrace, func() { m.abort(w) })
}

// abort ends w with SIGABRT, then SIGKILL.
func (m *Master) abort(w *worker) {
	if w.aborted || m.workers[w.age] != w {
		return
	}
	w.aborted, w.leaving = true, true
	if w.proc != nil {
		w.proc.Signal(syscall.SIGABRT)
	}
	m.after(abortGrace, func() { m.kill(w) })
}

// stop ends w at once: SIGQUIT, then SIGKILL.
func (m *Master) stop(w *worker) {
	if m.unneeded(w) {
		return
	}
	w.leaving = true
	if w.proc != nil {
		w.proc.Signal(syscall.SIGQUIT)
		// A SIGTERM wakes it if it missed that one; see terminateAgain.
		m.after(terminateAgain, func() { m.terminate(w) })
	}
	m.after(min(abortGrace, w.gen.gracefulTimeout()), func() { m.kill(w) })
}

func (m *Master) kill(w *worker) {
	if m.workers[w.age] != w {
		return
	}
	w.killed = true
	m.kills++
	if w.proc != nil {
		w.proc.Signal(syscall.SIGKILL)
	}
}

// forget drops all that belongs to a worker whose process is gone.
func (m *Master) forget(w *worker) {
	delete(m.workers, w.age)
	m.front.send(wire.ToFront{Type: wire.TypeGone, Age: w.age})
	w.close()
	m.countWorkers()
	m.releaseUnused(w.gen)
}

// workerExited is called when the process of w was reaped.
// peak is the most memory that it had, in KiB, 0 if that is not known.
func (m *Master) workerExited(w *worker, code int, sig syscall.Signal, peak int) {
	m.logExit(w, code, sig)
	m.noteDeath(w, code, sig, peak)
	report := bootReport(w.dump)
	m.forget(w)
	switch {
	case m.state == quitting:
		m.finish()
		return
	case m.candidateGeneration() == w.gen && !w.leaving:
		m.candidate.fail(&failure{text: fmt.Sprintf("Worker (pid:%d) of the new configuration ended before it served.", w.pid), report: report})
		return
	case !w.ready && !w.leaving && m.bootEnded(w, code, sig):
		return
	}
	now := m.now()
	operator := sig == syscall.SIGTERM || sig == syscall.SIGKILL || (sig == 0 && code == 0)
	switch {
	case w.leaving:
	case !w.ready, now.Sub(w.readyAt) < young && !operator:
		if pause := m.respawn.died(now); pause > 0 {
			m.log.Warnf("Workers keep failing: the next one is started in %s", pause)
		}
	default:
		// It is replaced at once; if that one dies young there is a pause.
		m.respawn.lived()
		m.respawn.died(now)
	}
	m.balanceLater()
}

// logExit writes what Gunicorn writes about the end of a worker.
func (m *Master) logExit(w *worker, code int, sig syscall.Signal) {
	if sig == 0 && !w.ready && endedByOperator(code, 0) {
		sig = syscall.Signal(code - 128)
	}
	switch {
	case w.leaving && !w.ready && sig == syscall.SIGQUIT:
		// See stop.
	case sig == syscall.SIGKILL && !w.killed:
		m.log.Errorf("Worker (pid:%d) was sent SIGKILL! Perhaps out of memory?", w.pid)
	case sig == syscall.SIGTERM && w.leaving:
		// It came while the interpreter was on its way out already.
	case sig == syscall.SIGTERM:
		m.log.Infof("Worker (pid:%d) was sent SIGTERM!", w.pid)
	case sig != 0:
		m.log.Warnf("Worker (pid:%d) was sent %s!", w.pid, signalName(sig))
	case code != 0:
		m.log.Errorf("Worker (pid:%d) exited with code %d.", w.pid, code)
	}
}
