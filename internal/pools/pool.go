package pools

import (
	"context"
	"errors"
	"slices"
	"time"

	"indrik/internal/wire"
)

// hostGrace is how long calls wait for an app that no worker hosts, since the last one has ended
// and there is no other yet.
const hostGrace = 5 * time.Second

// A pool is what calls of some apps wait in. Its fields are guarded by the lock of the set.
type pool struct {
	name    string
	apps    []string
	timeout time.Duration // of a call; 0: none
	limit   int           // of calls that wait

	workers map[*worker]bool
	idle    []*slot         // the one that has been idle longest first
	waiting []*call         // in the order in which they came
	lost    map[string]loss // apps that no worker hosts any more
	counts  counts
}

func newPool(cfg wire.PoolConfig) *pool {
	return &pool{
		name: cfg.Name, apps: cfg.Apps, timeout: time.Duration(cfg.Timeout) * time.Second, limit: cfg.QueueLimit,
		workers: map[*worker]bool{}, lost: map[string]loss{},
	}
}

// A loss is since when no worker hosts an app, and what the last one has written if it could not
// boot.
type loss struct {
	since  time.Time
	report string
}

// A grant is what a call has waited for.
type grant struct {
	slot    *slot
	failure *failure // there is no slot
}

// acquire returns a slot for c, which it then has to give back by release; or why there is none, nil
// if the caller has gone.
func (s *Set) acquire(ctx context.Context, c *call) (*slot, *failure) {
	p := c.pool
	s.mu.Lock()
	for i, sl := range p.idle {
		if sl.worker.hosts(c.app) {
			p.idle = slices.Delete(p.idle, i, i+1)
			sl.busy = true
			s.mu.Unlock()
			return sl, nil
		}
	}
	if lost, ok := p.lost[c.app]; ok && s.now().Sub(lost.since) >= hostGrace {
		s.mu.Unlock()
		return nil, noWorkers(c.app, lost.report)
	}
	if len(p.waiting) >= p.limit {
		s.mu.Unlock()
		return nil, poolFull(p.name, c.app, p.limit)
	}
	c.granted = make(chan grant, 1)
	p.waiting = append(p.waiting, c)
	s.mu.Unlock()

	var timeUp <-chan time.Time
	limit := c.limit()
	if limit > 0 {
		timer := time.NewTimer(limit - s.now().Sub(c.since))
		defer timer.Stop()
		timeUp = timer.C
	}
	var f *failure
	select {
	case g := <-c.granted:
		return g.slot, g.failure
	case <-ctx.Done():
	case <-timeUp:
		f = waitedTooLong(c, limit)
	}
	s.mu.Lock()
	i := slices.Index(p.waiting, c)
	if i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
	}
	s.mu.Unlock()
	if i < 0 { // it was given something meanwhile
		if g := <-c.granted; g.slot != nil {
			s.release(g.slot)
		}
	}
	return nil, f
}

// release gives a slot that runs nothing to the call that has waited longest for it, or keeps it for
// the next one.
func (s *Set) release(sl *slot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := sl.worker
	sl.busy, sl.overdue = false, false
	if w.retiring || w.broken || w.overdue || sl.socket.gone.Load() {
		s.dismissLocked(sl)
		s.endOverdueLocked(w)
		return
	}
	p := w.pool
	for i, c := range p.waiting {
		if w.hosts(c.app) {
			p.waiting = slices.Delete(p.waiting, i, i+1)
			sl.busy = true
			c.granted <- grant{slot: sl}
			return
		}
	}
	p.idle = append(p.idle, sl)
}

// discard is called instead of release when a slot is of no use any more.
func (s *Set) discard(sl *slot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sl.busy, sl.overdue = false, false
	s.dismissLocked(sl)
	s.endOverdueLocked(sl.worker)
}

// dismissIdleLocked closes the slots of w that run nothing, also those that are not ready yet.
// +checklocks:s.mu
func (s *Set) dismissIdleLocked(w *worker) {
	w.pool.idle = slices.DeleteFunc(w.pool.idle, func(sl *slot) bool { return sl.worker == w })
	for _, sl := range w.slots {
		s.dismissLocked(sl)
	}
}

// dismissLocked closes a slot that is with nobody, and lets one that is be closed after its call.
// +checklocks:s.mu
func (s *Set) dismissLocked(sl *slot) {
	if sl.leave() {
		sl.socket.File.Close()
	}
}

// lostLocked notes which apps no worker hosts now that w has gone, for whose calls there may
// be none soon.
// +checklocks:s.mu
func (s *Set) lostLocked(w *worker, report string) {
	p := w.pool
	p.idle = slices.DeleteFunc(p.idle, func(sl *slot) bool { return sl.worker == w })
	for _, app := range w.apps {
		if p.isHostedLocked(app) {
			continue
		}
		p.lost[app] = loss{s.now(), report}
		time.AfterFunc(hostGrace, func() { s.failUnhosted(p, app) })
	}
}

// isHostedLocked reports whether there is, or is going to be, a worker that hosts an app. The
// caller holds the lock of the set.
func (p *pool) isHostedLocked(app string) bool {
	for w := range p.workers {
		if w.hosts(app) && !w.broken {
			return true
		}
	}
	return false
}

// failUnhosted ends the waiting of the calls of an app that has had no worker for hostGrace.
func (s *Set) failUnhosted(p *pool, app string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lost, ok := p.lost[app]
	if !ok || s.now().Sub(lost.since) < hostGrace {
		return
	}
	p.waiting = slices.DeleteFunc(p.waiting, func(c *call) bool {
		if c.app != app {
			return false
		}
		c.granted <- grant{failure: noWorkers(app, lost.report)}
		return true
	})
}

// errUnread says that a call was not begun, and can be given to another slot.
var errUnread = errors.New("the worker has ended before it began the call")
