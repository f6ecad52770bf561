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

// of returns the template that w has become, or nil.
func (r *reforker) of(w *worker) *template {
	for t := range r.templates {
		if t.w == w {
			return t
		}
	}
	return nil
}

// withPid returns the template that is the process pid, or nil.
func (r *reforker) withPid(pid int) *template {
	for t := range r.templates {
		if t.w.pid == pid {
			return t
		}
	}
	return nil
}

// withAge returns the template that was the worker of that age, or nil.
func (r *reforker) withAge(age int) *template {
	for t := range r.templates {
		if t.w.age == age {
			return t
		}
	}
	return nil
}

// serves reports whether the workers of g are forked by its template.
func (t *template) serves() bool { return t != nil && !t.ending }

// forkFromTemplate asks the template of its generation to fork w. The template, or whoever has
// its channel, then holds all that w gets: see docs/security.md.
func (m *Master) forkFromTemplate(w *worker, end, calls *os.File, slots []*os.File) {
	t := w.gen.template
	w.template = t
	const most = wire.MaxDescriptors - 4
	var err error
	for len(slots) > most && err == nil {
		err = t.w.channel.Send(wire.ToWorker{Type: wire.TypeSlots, Age: w.age}, slots[:most]...)
		slots = slots[most:]
	}
	if err == nil {
		files := []*os.File{w.board, w.dump, end}
		if calls != nil {
			files = append(files, calls)
		}
		err = t.w.channel.Send(wire.ToWorker{
			Type: wire.TypeFork, Age: w.age, Server: m.server(w.gen.cfg), Calls: calls != nil, WarmAfter: m.warmAfter(w.gen),
		}, append(files, slots...)...)
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
		f := lacks(msg.Reason, msg.Errno)
		m.cannotSpawn(w.gen, f)
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

// endTemplate ends t. It forks nothing from then on.
func (m *Master) endTemplate(t *template) {
	if !t.serves() {
		return
	}
	t.ending = true
	if t.w.gen.template == t {
		t.w.gen.template = nil
	}
	t.w.channel.Close()
	t.w.proc.Signal(syscall.SIGQUIT)
	m.after(templateGrace, func() {
		if m.refork.of(t.w) != nil {
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
	delete(m.refork.templates, t)
	t.w.close()
	m.metrics.ended(t.w.pid)
	m.dismissUnused()
	m.exitIfDone()
}
