package master

import (
	"errors"
	"fmt"
	"strings"

	"indrik/internal/wire"
)

// fromPoolWorker acts on a message that came over the channel of w, from the process sender (0: not
// known). Processes that the worker has forked are not heard.
func (m *Master) fromPoolWorker(w *poolWorker, sender int, msg wire.FromWorker) {
	if !m.poolWorkers.has(w) {
		return
	}
	if w.pid == 0 && sender != 0 && !m.isKnown(sender) {
		m.poolWorkerForked(w, sender)
	}
	if sender != w.pid {
		return
	}
	switch {
	case msg.Type == wire.TypeReady && !w.ready:
		m.logging.tellModules(msg.Modules)
		m.poolWorkerReady(w)
	case msg.Type == wire.TypeRecycle && w.ready:
		if !w.leaving {
			m.poolWorkers.retire(w)
			m.balancePools(w.gen)
		}
	default:
		m.endPoolWorker(w, fmt.Sprintf("it sent the master %q when it could not", msg.Type))
	}
}

// poolWorkerSilent is called when nothing more is heard from w.
func (m *Master) poolWorkerSilent(w *poolWorker, err error) {
	if !m.poolWorkers.has(w) {
		return
	}
	var breach *wire.BreachError
	if errors.As(err, &breach) {
		m.endPoolWorker(w, "it sent the master "+breach.What)
		return
	}
	if w.pid == 0 {
		// It has ended, or was never forked. The spawner tells, if it lives.
		if w.gen.pools.sp.dead {
			m.poolWorkers.forget(w, "")
			m.exitIfDone()
		}
		return
	}
	m.after(silentGrace, func() {
		if m.poolWorkers.has(w) && !w.leaving && !w.proc.Ended() {
			m.endPoolWorker(w, "it closed its channel to the master")
		}
	})
}

// endPoolWorker ends a worker that broke the protocol. What it runs has failed.
func (m *Master) endPoolWorker(w *poolWorker, what string) {
	m.log.Errorf("Dirty worker (pid:%d) is ended: %s", w.pid, what)
	w.pool.respawn.died(m.now())
	m.poolWorkers.kill(w)
}

// poolTimedOut is called when a call of w is over its time and has not come back.
func (m *Master) poolTimedOut(w *poolWorker) {
	if w.aborted || w.killed || w.proc == nil {
		return
	}
	m.stacks.dump(w.proc, w.dump, dumpGrace, func(stacks string) {
		text := fmt.Sprintf("DIRTY WORKER TIMEOUT (pid:%d)", w.pid)
		if stacks != "" {
			text += "\n" + strings.TrimRight(stacks, "\n")
		}
		m.log.Criticalf("%s", text)
		m.poolWorkers.abort(w)
		m.balancePools(w.gen)
	})
}
