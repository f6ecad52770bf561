package master

import (
	"math/rand/v2"
	"strings"
	"time"

	"indrik/internal/capacity"
	"indrik/internal/recycle"
	"indrik/internal/settings"
	"indrik/internal/status"
)

const (
	// measureEvery is how often the memory of the workers is read, where a setting bounds it.
	measureEvery = time.Second
	// measureShare: reading it may take a measureShare-th part of the time. PSS takes
	// milliseconds for each gigabyte.
	measureShare = 50
)

// A recycler replaces workers that have grown or aged, or have asked for it: docs/selfcare.md.
// What it decides by is the policy of package recycle.
type recycler struct {
	base
	policy  recycle.Policy
	timer   *time.Timer  // for the next look; nil: there is none to come
	next    time.Time    // when that is
	awaited int          // answers about memory that are yet to come
	begun   time.Time    // when they were asked for
	rest    time.Time    // not to be read before
	system  capacity.Use // of all processes, when looked last
	looking bool         // that is being read
	blind   bool         // the log knows that the memory cannot be read

	count map[recycle.Reason]int // workers that were replaced
	dry   map[recycle.Reason]int // that would have been
}

// A measure is what the master knows of the memory of a worker.
type measure struct {
	now, fresh int64 // bytes, of the last look and of the first; 0: not known
	reading    bool
}

// recycle looks for workers that are to be replaced, and has balance do so.
func (m *Master) recycle() {
	r, cfg := &m.recycler, m.gen.cfg
	if m.pool.target == 0 {
		return
	}
	l := recycle.Limits{
		Measure: strings.ToUpper(cfg.WorkerMemoryMeasure()), Use: float64(cfg.MaxMemoryUse()), Pressure: float64(cfg.MaxMemoryPressure()),
		Budget: cfg.Budget(m.pool.target), Target: m.pool.standing(), Dry: cfg.DryRun(settings.PolicyRecycle),
		Begin: m.state == running && !m.gen.isLost() && m.gen.taken,
	}
	l.Memory, l.MemoryHard = cfg.WorkerMemory(r.system.Limit)
	now := m.now()
	var workers []recycle.Worker
	for _, w := range m.pool.workers {
		if w.gen != m.candidateGeneration() && !w.killed && !w.aborted && !w.broke {
			workers = append(workers, m.recyclable(w, m.gen, now))
		}
	}
	steps, note := r.policy.Review(now, l, workers, recycle.System(r.system))
	for _, s := range steps {
		m.takeStep(s)
	}
	if note != "" {
		m.log.Warnf("%s", note)
	}
	m.recycleTried(now)
	m.reviewLater(workers)
}

// recycleTried kills workers of a candidate that is tried if they take far too much memory. For other
// reasons they are replaced once it has taken over.
func (m *Master) recycleTried(now time.Time) {
	c := m.candidate
	if c == nil || c.trial == nil {
		return
	}
	cfg := c.gen.cfg
	l := recycle.Limits{
		Measure: strings.ToUpper(cfg.WorkerMemoryMeasure()), Budget: cfg.Budget(c.target), Target: c.target, Dry: cfg.DryRun(settings.PolicyRecycle),
	}
	_, l.MemoryHard = cfg.WorkerMemory(m.recycler.system.Limit)
	var workers []recycle.Worker
	for _, w := range m.pool.workers {
		if w.gen == c.gen && !w.killed && !w.aborted && !w.broke {
			workers = append(workers, m.recyclable(w, c.gen, now))
		}
	}
	steps, _ := c.trial.recycler.Review(now, l, workers, recycle.System{})
	for _, s := range steps {
		m.takeStep(s)
	}
}

// watchesMemory reports whether a setting bounds the memory of workers that serve.
func (m *Master) watchesMemory() bool {
	c := m.candidate
	return m.gen.cfg.WatchesMemory() || c != nil && c.trial != nil && c.gen.cfg.WatchesMemory()
}

// recyclable returns what the policy has to know of a worker, where those of g serve.
func (m *Master) recyclable(w *worker, g *generation, now time.Time) recycle.Worker {
	r := recycle.Worker{Age: w.age, Asked: w.exhausted, Refork: w.stale, Lifetime: w.lifetime, Memory: w.memory.now, Fresh: w.memory.fresh, Recycled: w.recycling && !w.makesRoom}
	switch {
	case w.leaving || w.gen != g:
		r.Phase = recycle.Leaving
	case !w.ready:
		r.Phase = recycle.Booting
	case w.recycling:
		r.Phase = recycle.Replacing
	default:
		r.Phase = recycle.Serving
	}
	if w.ready {
		r.Served = now.Sub(w.readyAt)
	}
	return r
}

// takeStep does what the policy has decided about a worker, or says what it would do.
func (m *Master) takeStep(s recycle.Step) {
	w := m.pool.workers[s.Age]
	if s.Dry {
		m.recycler.dry[s.Reason]++
		does := "replace"
		if s.Action == recycle.Kill {
			does = "kill"
		}
		m.log.Infof("Dry run: recycle would %s worker (pid:%d): %s", does, w.pid, s.Text)
		return
	}
	m.recycler.count[s.Reason]++
	w.cause = &s.Cause
	switch s.Action {
	case recycle.Kill:
		m.log.Errorf("Worker (pid:%d) is killed: %s", w.pid, s.Text)
		m.pool.kill(w)
	case recycle.MakeRoom:
		m.log.Warnf("Worker (pid:%d) leaves before its successor is started: %s", w.pid, s.Text)
		w.recycling, w.makesRoom = true, true
		m.pool.retire(w)
	case recycle.Replace:
		m.log.Infof("Worker (pid:%d) is replaced: %s", w.pid, s.Text)
		w.recycling = true
	}
}

// reviewLater sees to the next look: soon if memory counts or somebody waits, otherwise when
// the next worker is old enough.
func (m *Master) reviewLater(workers []recycle.Worker) {
	r := &m.recycler
	wait, ok := recycle.Next(workers)
	if m.watchesMemory() || len(r.policy.Due()) > 0 {
		if !ok || wait > measureEvery {
			wait, ok = measureEvery, true
		}
	}
	at := m.now().Add(wait)
	if !ok || r.timer != nil && !at.Before(r.next) {
		return
	}
	if r.timer != nil {
		r.timer.Stop()
	}
	r.timer, r.next = m.after(wait, m.review), at
}

// review reads the memory of the workers, if that counts, and looks again.
func (m *Master) review() {
	r := &m.recycler
	r.timer = nil
	if m.gen == nil || m.state == quitting {
		return
	}
	if m.watchesMemory() && !m.now().Before(r.rest) {
		m.measureWorkers()
	}
	m.balance()
}

// measureWorkers reads the memory of each worker in a goroutine of its own: a process can have
// the kernel wait with the answer.
func (m *Master) measureWorkers() {
	r := &m.recycler
	for _, w := range m.pool.workers {
		m.measure(w)
	}
	if !r.looking {
		r.looking = true
		m.awaitAnswer()
		go func() {
			use := m.sys.memoryUse()
			m.post(func() {
				r.looking, r.system = false, use
				m.answered()
			})
		}()
	}
}

// measure reads the memory of a worker that is ready, if it counts.
func (m *Master) measure(w *worker) {
	if !w.gen.cfg.WatchesMemory() || !w.ready || w.memory.reading {
		return
	}
	read := m.sys.rss
	if w.gen.cfg.WorkerMemoryMeasure() == "pss" {
		read = m.sys.pss
	}
	w.memory.reading = true
	m.awaitAnswer()
	go func(pid int) {
		n := read(pid)
		m.post(func() { m.measured(w, n) })
	}(w.pid)
}

// awaitAnswer notes that an answer about memory is to come.
func (m *Master) awaitAnswer() {
	r := &m.recycler
	if r.awaited == 0 {
		r.begun = m.now()
	}
	r.awaited++
}

// measured is called with the memory of a worker.
func (m *Master) measured(w *worker, n int64) {
	r := &m.recycler
	w.memory.reading = false
	w.memory.now = n
	if w.memory.fresh == 0 {
		w.memory.fresh = n
	}
	if n == 0 && !r.blind && m.pool.has(w) && !w.proc.Ended() {
		r.blind = true
		m.log.Warnf("The memory of worker (pid:%d) cannot be read: settings that bound it have no effect", w.pid)
	}
	m.answered()
}

// answered is called with each answer about memory. The last one leads to a look.
func (m *Master) answered() {
	r := &m.recycler
	if r.awaited--; r.awaited > 0 {
		return
	}
	r.rest = m.now().Add(measureShare * m.now().Sub(r.begun))
	m.balance()
}

// lifetime returns when a worker is too old, 0 for never.
func lifetime(cfg *settings.Config) time.Duration {
	if cfg.MaxWorkerAge() == 0 {
		return 0
	}
	d := time.Duration(cfg.MaxWorkerAge()) * time.Second
	return d + time.Duration(rand.Int64N(int64(cfg.MaxWorkerAgeJitter())*int64(time.Second)+1))
}

// replacement returns what the status says about a worker that is to go, nil if it stays.
func (m *Master) replacement(w *worker) *status.Replacement {
	if w.cause != nil {
		return &status.Replacement{Reason: string(w.cause.Reason), Text: w.cause.Text}
	}
	if due, ok := m.recycler.policy.Due()[w.age]; ok {
		return &status.Replacement{Reason: string(due.Reason), Text: due.Text, Waits: m.now().Sub(due.Since).Seconds()}
	}
	return nil
}

// byReason returns counts for the status, which has every reason.
func byReason(counts map[recycle.Reason]int) map[string]int {
	all := make(map[string]int, len(recycle.Reasons))
	for _, reason := range recycle.Reasons {
		all[string(reason)] = counts[reason]
	}
	return all
}
