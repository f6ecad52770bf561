package master

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"indrik/internal/wire"
)

// A template is a worker that serves no more, and forks workers of its generation from the
// state that its app has by then. It has the rights of a worker: what it says is believed as
// little, and that there is a new worker only by the kernel's word.
type template struct {
	w      *worker // its process and its channel; it is in no pool any more
	since  time.Time
	forked int // workers, so far
	ending bool
}

// forkGrace is how long a template has to fork a worker.
const forkGrace = 10 * time.Second

// templateGrace is how long a template has to end once it was told to.
const templateGrace = 2 * time.Second

// withPid returns the template that is the process pid, or nil.
func (r *reforker) withPid(pid int) *template {
	for _, t := range r.templates {
		if t.w.pid == pid {
			return t
		}
	}
	return nil
}

// forkFromTemplate asks the template of its generation to fork w. The template, or whoever has
// its channel, then holds all that w gets: see docs/security.md.
func (m *Master) forkFromTemplate(w *worker, end, calls *os.File, slots []*os.File) {
	t := w.template
	files, err := w.descriptors(end, calls, slots, func(first []*os.File) error {
		return t.w.channel.Send(wire.ToWorker{Type: wire.TypeSlots, Age: w.age}, first...)
	})
	if err == nil {
		err = t.w.channel.Send(wire.ToWorker{
			Type: wire.TypeFork, Age: w.age, Server: m.server(w.gen.cfg), Calls: calls != nil, WarmAfter: m.warmAfter(w.gen),
		}, files...)
	}
	if wire.IsClosed(err) { // it has ended, which its parent is yet to tell
		m.pool.forget(w)
		return
	}
	if err != nil {
		m.loseTemplate(t, fmt.Sprintf("it takes no messages: %s", err))
		return
	}
	m.after(forkGrace, func() {
		if m.pool.has(w) && w.pid == 0 {
			m.loseTemplate(t, fmt.Sprintf("it has not forked a worker within %s", forkGrace))
		}
	})
}

// fromTemplate acts on a message of t.
func (m *Master) fromTemplate(t *template, sender int, msg wire.FromWorker) {
	if t.ending || sender != 0 && sender != t.w.pid {
		return
	}
	w := m.pool.workers[msg.Age]
	switch {
	case msg.Type != wire.TypeForked && msg.Type != wire.TypeFailed, w == nil || w.template != t:
		m.loseTemplate(t, fmt.Sprintf("it sent the master what no template sends: `%s`", msg.Type))
	case msg.Type == wire.TypeForked:
		t.forked++
	case w.pid == 0:
		m.pool.forget(w)
		m.cannotSpawn(w.gen, lacks(msg.Reason, msg.Errno))
	}
}

// loseTemplate ends a template that cannot be used any more. The spawner forks in its place.
func (m *Master) loseTemplate(t *template, why string) {
	if t.ending {
		return
	}
	m.log.Errorf("Template (pid:%d) is ended: %s", t.w.pid, why)
	m.endTemplate(t)
	t.w.proc.Signal(syscall.SIGKILL)
	m.pool.respawn.died(m.now())
	m.balanceLater()
}

// endTemplate ends t, if there is one. It forks nothing from then on.
func (m *Master) endTemplate(t *template) {
	if t == nil || t.ending {
		return
	}
	t.ending = true
	if t.w.gen.template == t {
		t.w.gen.template = nil
	}
	t.w.channel.Close()
	t.w.proc.Signal(syscall.SIGQUIT)
	m.after(templateGrace, func() {
		if m.refork.templates[t.w.age] == t {
			t.w.proc.Signal(syscall.SIGKILL)
		}
	})
	for _, w := range m.pool.byAge() {
		switch {
		case w.template != t || w.pid != 0:
		case w.silent:
			m.pool.forget(w)
		default:
			// Nobody knows whether it was forked. If it was it says so, and is ended then;
			// otherwise its channel ends with the template.
			w.leaving = true
		}
	}
}

// templateExited is called when the process of a template was reaped.
func (m *Master) templateExited(t *template, d death) {
	if !t.ending {
		m.log.Errorf("Template (pid:%d) %s: the spawner forks the next workers", t.w.pid, d.how())
		m.endTemplate(t)
		m.balanceLater()
	}
	delete(m.refork.templates, t.w.age)
	t.w.close()
	m.metrics.ended(t.w.pid)
	m.dismissUnused()
	m.exitIfDone()
}
