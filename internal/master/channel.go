package master

import (
	"errors"
	"fmt"
	"os"
	"time"

	"indrik/internal/wire"
)

// What a worker may send the master: so many messages at once, one more each
// messageEvery, and the names of so many files in its life. An app of ten thousand
// modules takes some twenty messages.
const (
	messageBurst = 100
	messageEvery = 100 * time.Millisecond
	filesMost    = 100_000
)

// silentGrace is how long a worker that has closed its channel has to end.
const silentGrace = time.Second

// A budget bounds how many messages are taken.
type budget struct {
	full time.Time // when it is as it was at first
}

// take reports whether there is room for one more message at the time now.
func (b *budget) take(now time.Time) bool {
	if b.full.Before(now) {
		b.full = now
	}
	b.full = b.full.Add(messageEvery)
	return b.full.Sub(now) <= messageBurst*messageEvery
}

// hear has the master act on what w says.
func (m *Master) hear(w *worker) {
	m.receiveWorker(w.channel,
		func(sender int, msg wire.FromWorker) { m.fromWorker(w, sender, msg) },
		func(sender int, err error) { m.workerBroke(w, sender, err) })
}

// receiveWorker reads the messages that come over the channel of a worker, of the app or of a
// pool, in a goroutine. act gets each with the process that sent it, in the loop. broke is called
// with the first that no worker sends, or when there will be no more.
func (m *Master) receiveWorker(channel workerConn, act func(sender int, msg wire.FromWorker), broke func(sender int, err error)) {
	go func() {
		var b budget
		for {
			msg, sender, err := channel.Recv()
			if err == nil && !b.take(m.now()) {
				err = &wire.BreachError{What: fmt.Sprintf("more messages than one each %s", messageEvery)}
			}
			if err != nil {
				m.post(func() { broke(sender, err) })
				return
			}
			m.post(func() { act(sender, msg) })
		}
	}()
}

// fromWorker acts on a message that came over the channel of w, from the process sender
// (0: not known).
func (m *Master) fromWorker(w *worker, sender int, msg wire.FromWorker) {
	if t := m.refork.templates[w.age]; t != nil {
		m.fromTemplate(t, sender, msg)
		return
	}
	if !m.pool.has(w) || w.broke || !m.isFrom(w, sender) {
		return
	}
	if w.pid == 0 { // and the system does not say who sent it
		w.early = append(w.early, msg)
		return
	}
	switch {
	case msg.Type == wire.TypeReady && w.ready:
		m.breach(w, "it sent the master `ready` a second time")
	case msg.Type == wire.TypeReady:
		w.gen.standIn = msg.StandIn
		m.logging.tellModules(msg.Modules)
		w.speed = msg.Speed
		m.noteReady(w, msg.Kind)
	case msg.Type == wire.TypeRecycle && (!w.ready || w.exhausted):
		m.breach(w, "it sent the master `recycle` before `ready`, or a second time")
	case msg.Type == wire.TypeRecycle:
		w.exhausted = true
		m.balance()
	case msg.Type == wire.TypeWarm && (!w.ready || w.warm || w.gen.cfg.ReforkAfter() == 0):
		m.breach(w, "it sent the master `warm` before `ready`, a second time, or without the setting refork_after")
	case msg.Type == wire.TypeWarm:
		w.warm = true
		m.workerWarm(w)
	case msg.Type == wire.TypeBorn && (w.template == nil || w.born):
		m.breach(w, "it sent the master `born` without a template, or a second time")
	case msg.Type == wire.TypeBorn:
		w.born = true
	case (msg.Type == wire.TypePromoted || msg.Type == wire.TypeRefused) && (m.refork.chosen != w || !w.leaving):
		m.breach(w, "it sent the master `"+msg.Type+"` without being asked")
	case msg.Type == wire.TypePromoted:
		m.promoted(w)
	case msg.Type == wire.TypeRefused:
		m.reforkFailed(w, msg.Reason)
	case msg.Type != wire.TypeFiles:
		m.breach(w, "it sent the master `"+msg.Type+"`, which is for templates to send")
	case !w.gen.cfg.Reload():
		m.breach(w, "it sent the master `files` without the setting reload")
	case w.files+len(msg.Files) > filesMost:
		m.breach(w, fmt.Sprintf("it sent the master the names of more than %d files", filesMost))
	default:
		w.files += len(msg.Files)
		m.imported(w.gen, msg.Files, msg.Since)
	}
}

// isFrom reports whether a message that came over the channel of w is from w itself. Other
// processes may have the channel: those that w has forked inherit it. The first process that
// speaks before the spawner has named the pid of w is taken for w.
func (m *Master) isFrom(w *worker, sender int) bool {
	if w.pid == 0 && sender != 0 && !m.isKnown(sender) && m.mayBe(w, sender) {
		m.workerForked(w, sender)
	}
	if sender == 0 || sender == w.pid {
		return true
	}
	if w.pid == 0 {
		return false
	}
	if !w.toldShared {
		w.toldShared = true
		m.log.Warnf("Worker (pid:%d) shares its channel to the master with process %d, which is not heard", w.pid, sender)
	}
	return false
}

// mayBe reports whether the process pid may be w, which has not spoken yet. What a template
// forks is a child of the master before it speaks.
func (m *Master) mayBe(w *worker, pid int) bool {
	if w.template == nil {
		return true
	}
	proc, err := m.sys.child(pid, os.Getpid())
	proc.Release()
	if err != nil {
		m.loseTemplate(w.template, fmt.Sprintf("process %d, which has the channel of a new worker, is %s", pid, err))
		m.pool.forget(w)
		return false
	}
	return true
}

// isKnown reports whether pid is that of a known process of this server. A worker whose pid
// nobody has named yet is another process.
func (m *Master) isKnown(pid int) bool {
	return m.front.is(pid) || m.upgrader.isSuccessor(pid) || pid == os.Getpid() || m.spawners.byPid[pid] != nil || m.logging.loggers[pid] || m.pool.withPid(pid) != nil || m.poolWorkers.withPid(pid) != nil || m.refork.withPid(pid) != nil
}

// workerBroke is called when nothing more is heard from w.
func (m *Master) workerBroke(w *worker, sender int, err error) {
	if t := m.refork.templates[w.age]; t != nil {
		// That it has ended is told by who reaps it.
		if breach := (*wire.BreachError)(nil); errors.As(err, &breach) {
			m.loseTemplate(t, "it sent the master "+breach.What)
		}
		return
	}
	if !m.pool.has(w) || w.broke {
		return
	}
	var breach *wire.BreachError
	if errors.As(err, &breach) {
		m.isFrom(w, sender)
		m.breach(w, "it sent the master "+breach.What)
		return
	}
	w.silent = true
	if w.pid == 0 {
		// It has ended, or was never forked. The spawner tells, if it lives.
		if w.gen.sp.dead || w.template != nil && w.template.ending {
			m.pool.forget(w)
			m.exitIfDone()
		}
		return
	}
	m.after(silentGrace, func() {
		if m.pool.has(w) && !w.leaving && !w.proc.Ended() {
			m.breach(w, "it closed its channel to the master")
		}
	})
}

// slotClosed is called when a worker has closed its channel to the front. Most of the time
// the worker has ended, and the master is yet to learn that.
func (m *Master) slotClosed(w *worker) {
	m.after(silentGrace, func() {
		switch {
		case !m.pool.has(w) || w.broke || w.proc == nil || w.proc.Ended():
		case m.refork.chosen == w && w.leaving:
			// It is about to become a template.
		case w.kind != wire.KindASGI:
			m.breach(w, "it closed its channel to the front")
			m.pool.kill(w)
		case !w.leaving:
			// It shuts its app down, since somebody else has told it to end.
			m.pool.retire(w)
			m.balance()
		}
	})
}

// breach ends a worker that broke the protocol. The requests that it runs are answered
// with 502.
func (m *Master) breach(w *worker, what string) {
	if w.template != nil && w.pid == 0 {
		// There is no such process yet: whoever has its channel has it from the template.
		m.loseTemplate(w.template, "on the channel of a worker that it was to fork, "+what)
		m.pool.forget(w)
		return
	}
	w.broke, w.breach = true, what
	w.channel.Close()
	m.log.Errorf("Worker (pid:%d) is ended: %s", w.pid, what)
	if m.candidateGeneration() == w.gen {
		m.candidate.fail(&failure{text: fmt.Sprintf("Worker (pid:%d) of the new configuration broke the protocol.", w.pid)})
		if w.active {
			m.pool.abort(w) // it may stay no longer, unlike others that were tried
		}
		return
	}
	if !w.leaving {
		// One that does so at once each time must not be forked without a pause.
		m.pool.respawn.died(m.now())
		m.pool.retire(w)
	}
	m.pool.abort(w)
	m.balanceLater()
}
