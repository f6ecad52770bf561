package master

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"indrik/internal/settings"
	"indrik/internal/status"
	"indrik/internal/wire"
)

// reforker has warm workers become templates: see docs/selfcare.md.
type reforker struct {
	base
	templates map[int]*template // whose processes have not ended, by the age of the worker
	chosen    *worker           // is to become a template, or nil
	failure   string            // of the last refork, "" if it did not fail
	ended     int               // reforks that succeeded or failed, so far
	done      int               // of these, those that succeeded
}

// warmer is how many times as many requests as the last time make a worker of the next
// workers warm: what the app keeps is complete at the first time, as a rule, but the longer
// workers live the less of their memory they share.
const warmer = 10

// warmAfter returns after how many requests a new worker of g is warm, 0: nobody asks.
func (m *Master) warmAfter(g *generation) int {
	n := g.cfg.ReforkAfter()
	for range g.reforks {
		if n > 1<<24 {
			return 0
		}
		n *= warmer
	}
	return n
}

// workerWarm is called when w has served refork_after requests.
func (m *Master) workerWarm(w *worker) {
	if w.gen != m.gen || w.leaving || w.gen.unfit || m.refork.chosen != nil || w.level < w.gen.reforks {
		return
	}
	if m.cfg.DryRun(settings.PolicyRefork) {
		w.gen.unfit = true // said once
		m.log.Infof("Dry run: worker (pid:%d) would become a template, after %d requests", w.pid, m.warmAfter(w.gen))
		return
	}
	if err := m.beginRefork(w); err != nil {
		w.gen.unfit = true
		m.log.Warnf("No worker becomes a template: %s", err)
	}
}

// beginRefork has w replaced, and made a template when it has served its last request.
func (m *Master) beginRefork(w *worker) error {
	switch kind := w.gen.cfg.Kind(); {
	case runtime.GOOS != "linux":
		return errors.New("Only on Linux can a worker fork others that become children of the master")
	case m.state != running:
		return m.notNow("no worker becomes a template")
	case m.refork.chosen != nil:
		return fmt.Errorf("A refork is under way: worker %d becomes a template", m.refork.chosen.pid)
	case kind == settings.WorkerGevent || kind == settings.WorkerTornado:
		return fmt.Errorf("Workers of kind %s cannot be forked once they have served", kind)
	}
	m.refork.chosen, m.refork.failure = w, ""
	w.stale = "it becomes a template of the others"
	m.balance()
	return nil
}

// promote tells w, which is about to be told to end, that it is to become a template.
func (m *Master) promote(w *worker) {
	if m.refork.chosen != w {
		return
	}
	if w.gen != m.gen || m.state != running {
		m.reforkFailed(w, "the server has other things to do")
		return
	}
	if err := w.channel.Send(wire.ToWorker{Type: wire.TypePromote}, w.gen.queueWorker); err != nil {
		m.reforkFailed(w, fmt.Sprintf("it takes no messages: %s", err))
	}
}

// promoted makes a template of w, which has served its last request.
func (m *Master) promoted(w *worker) {
	m.refork.chosen = nil
	m.pool.release(w)
	t := &template{w: w, since: m.now()}
	m.refork.templates[w.age] = t
	g := w.gen
	if g != m.gen || m.state != running && m.state != reloading {
		m.refork.fail("the server has other things to do")
		m.endTemplate(t)
		return
	}
	m.endTemplate(g.template)
	g.template = t
	g.reforks++
	m.refork.ended++
	m.refork.done++
	m.log.Infof("Template (pid:%d) forks the workers from now on", w.pid)
	for _, other := range m.pool.workers {
		if other.gen == g && other.template != t && !other.leaving { // one that starts goes once it is ready
			other.stale = fmt.Sprintf("the template (pid:%d) forks it anew", w.pid)
		}
	}
	m.countWorkers()
	m.balance()
}

// reforkFailed is called when w, which was to become a template, does not.
func (m *Master) reforkFailed(w *worker, why string) {
	if m.refork.chosen != w {
		return
	}
	m.refork.chosen = nil
	w.gen.unfit = true
	m.refork.fail(why)
	m.log.Warnf("Worker (pid:%d) does not become a template: %s", w.pid, strings.TrimSpace(status.Printable(why)))
}

func (r *reforker) fail(why string) { r.failure, r.ended = why, r.ended+1 }

// warmest returns the worker of the serving generation that has served for the longest time.
func (m *Master) warmest() *worker {
	for _, w := range m.pool.byAge() {
		if w.gen == m.gen && w.ready && !w.leaving {
			return w
		}
	}
	return nil
}

func (m *Master) reforkAndWait(r *commandRun) {
	w := m.warmest()
	err := errors.New("There is no worker that could become a template")
	if w != nil {
		err = m.beginRefork(w)
	}
	if err != nil {
		r.answer(nil, err)
		return
	}
	g, before := w.gen, m.refork.ended
	m.await(r, func() (any, error, bool) {
		switch t := g.template; {
		case m.refork.ended > before && m.refork.failure != "":
			return nil, errors.New("No worker became a template, nothing was changed: " + m.refork.failure), true
		case m.gen != g || m.state != running && m.state != reloading:
			return nil, m.notNow("the refork was given up"), true
		case m.refork.ended == before:
			return nil, nil, false
		case t == nil:
			return nil, errors.New("The template has ended: the spawner forks the workers"), true
		case m.countForked(t) < m.pool.target:
			return nil, nil, false
		default:
			return map[string]any{"template": t.w.pid, "workers": m.pool.target, "seconds": m.now().Sub(t.since).Round(time.Millisecond).Seconds()}, nil, true
		}
	})
}

// countForked returns how many workers that t has forked are ready.
func (m *Master) countForked(t *template) (n int) {
	for _, w := range m.pool.workers {
		if w.template == t && w.ready && !w.leaving {
			n++
		}
	}
	return n
}

// templateStatus returns what a status tells of the template of the serving generation, or nil.
func (m *Master) templateStatus() *status.Template {
	if m.gen == nil || m.gen.template == nil {
		return nil
	}
	t := m.gen.template
	s := &status.Template{PID: t.w.pid, Uptime: m.now().Sub(t.since).Seconds(), Forked: t.forked}
	u := m.usage.known[t.w.pid]
	s.RSS, s.PSS = u.rss, u.pss
	return s
}
