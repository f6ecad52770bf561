package dispatch

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"indrik/internal/wire"
	"indrik/internal/wire/wiretest"
)

// TestModel drives a queue through random interleavings of what clients, workers, the master
// and time do, and checks after each step what doc.go promises: no request runs twice, none is
// lost, each is answered once, and with the status that its fate explains.
//
// Everything happens in one goroutine in a bubble of synctest, so that each step ends when
// nothing moves any more. A worker keeps to the protocol; each store and each message is a
// step of its own, as is the reading of each message by the queue, so that all points at which
// a process may be overtaken or killed come up. TestCrashesUnderLoad is the same with real
// goroutines.
//
// It takes a few seconds, and nearly the same course each time; make model runs it for longer,
// and with other seeds each time.
func TestModel(t *testing.T) {
	for name, value := range map[string]string{"rapid.checks": "300", "rapid.steps": "100", "rapid.seed": "1"} {
		if f := flag.Lookup(name); f.Value.String() == f.DefValue {
			must(t, f.Value.Set(value))
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		rapid.SyncTest(rt, func(rt *rapid.T) {
			m := newModel(rt)
			rt.Repeat(m.actions())
			m.finish()
		})
	})
}

// actions are what may happen, the more often the greater its weight.
func (m *model) actions() map[string]func(*rapid.T) {
	actions := map[string]func(*rapid.T){"": m.check}
	for _, a := range []struct {
		name   string
		weight int
		do     func(*rapid.T)
	}{
		{"work", 6, m.work}, {"work on", 6, m.workOn}, {"submit", 4, m.submit},
		{"deliver", 2, m.deliver}, {"deliver all", 1, m.deliverAll},
		{"wait", 1, m.wait}, {"wait a little", 4, m.waitBriefly},
		{"client leaves", 2, m.clientLeaves}, {"front cancels", 1, m.takeBack},
		{"request stands", 1, m.stand}, {"app is fast", 2, m.hurry},
		{"worker dies", 3, m.die}, {"worker leaves", 1, m.leave},
		{"master starts", 2, m.start}, {"master activates", 2, m.activate}, {"master retires", 1, m.retire},
		{"master collects", 1, m.collect}, {"master expires", 1, m.expire},
		{"master has looked", 2, m.checked}, {"master reloads", 1, m.reload},
	} {
		for i := range a.weight {
			actions[fmt.Sprint(a.name, " ", i)] = a.do
		}
	}
	return actions
}

// A model is what the test knows of a queue by what it did to it.
type model struct {
	*rig
	rt       *rapid.T
	gens     []*modelGeneration // the newest last
	workers  []*modelWorker     // whose sockets the queue has not read to the end
	requests []*modelRequest
	byPath   map[string]*modelRequest
	expired  time.Time // when the master last ended everything
	finished bool      // no more accidents happen
	reported int       // messages to the master that were looked at
}

type modelGeneration struct {
	*fakeGeneration
	kind wire.Kind
}

// A modelRequest is the fate of a request.
type modelRequest struct {
	*call
	path    string
	came    time.Time
	refused bool // at once
	gone    bool // the client has left
	taken   bool // the front has answered it itself
	outcome *outcome

	takes     int            // times that a worker took it
	runs      int            // times that a worker began it
	runner    *modelWorker   // that has claimed it last, and was allowed to run it
	claimants []*modelWorker // that have claimed it
	holders   []*modelWorker // of these, those that have not refused it
	claimedAt time.Time
	expired   bool // by the master, since then
	answer    *outcome
	body      string // parts that were sent
	started   bool
}

// A workerStep is how far a worker is with the request at hand.
type workerStep int

const (
	taken   workerStep = iota // read, and not claimed
	claimed                   // claimed, and not looked for among the revocations
	running
)

// A modelSlot is a slot that reads the queue.
type modelSlot struct {
	batch    []request // that are not over; the first is at hand
	step     workerStep
	together bool   // the batch has, or had, several
	journal  []byte // replies that were made and not sent
	sent     bool   // and are sent by now, and still there
	seen     uint64 // revocations
}

// A modelWorker is a worker that keeps to the protocol.
type modelWorker struct {
	*fakeWorker
	m       *model
	kind    wire.Kind
	states  []*modelSlot
	active  bool
	retired bool // by the master
	leaving bool // by itself
	dead    bool

	// Of a multiplexed one.
	atHand *request // claimed, and not looked for
	begun  []request
	seen   uint64 // revocations
}

func newModel(rt *rapid.T) *model {
	m := &model{rig: newSteppedRig(rt), rt: rt, byPath: map[string]*modelRequest{}}
	m.addGeneration()
	for range rapid.IntRange(1, 3).Draw(rt, "workers") {
		m.addWorker(m.gens[0], true)
	}
	return m
}

// one draws an element.
func one[T any](rt *rapid.T, what string, from []T) T {
	if len(from) == 0 {
		rt.Skip("no ", what)
	}
	return from[rapid.IntRange(0, len(from)-1).Draw(rt, what)]
}

func (m *model) newest() *modelGeneration { return m.gens[len(m.gens)-1] }

func (m *model) addGeneration() {
	kinds := []wire.Kind{wire.KindSync, wire.KindSync, wire.KindSync, wire.KindASGI, wire.KindGevent}
	seconds := func(what string) time.Duration {
		return time.Duration(rapid.IntRange(0, 2).Draw(m.rt, what)) * time.Second
	}
	g := &modelGeneration{kind: one(m.rt, "kind", kinds)}
	g.fakeGeneration = m.generation(len(m.gens)+1, &Settings{
		Timeout: seconds("timeout"), QueueTimeout: seconds("queue_timeout"), GracefulTimeout: time.Hour,
		QueueLimit:        one(m.rt, "queue_limit", []int{0, 0, 10}),
		WorkerConnections: rapid.IntRange(0, 3).Draw(m.rt, "worker_connections"),
		Reload:            rapid.IntRange(0, 3).Draw(m.rt, "reload") == 0,
	})
	m.gens = append(m.gens, g)
}

func (m *model) addWorker(g *modelGeneration, active bool) {
	slots := 1
	if g.kind == wire.KindSync {
		slots = rapid.IntRange(1, 2).Draw(m.rt, "slots")
	}
	w := &modelWorker{fakeWorker: m.quietWorker(g.fakeGeneration, slots), m: m, kind: g.kind}
	for range slots {
		w.states = append(w.states, &modelSlot{})
	}
	m.workers = append(m.workers, w)
	if active {
		w.activate()
	}
}

func (w *modelWorker) activate() {
	w.active = true
	w.m.q.Activate(w.age, 1000+w.age, w.kind)
}

// alive are the workers that run.
func (m *model) alive() []*modelWorker {
	return slices.DeleteFunc(slices.Clone(m.workers), func(w *modelWorker) bool { return w.dead })
}

// Actions of clients and of the front.

func (m *model) submit(rt *rapid.T) {
	if len(m.requests) > 200 {
		rt.Skip("enough")
	}
	for range rapid.IntRange(1, 12).Draw(rt, "count") {
		time.Sleep(time.Microsecond) // so that they differ in age
		m.submitOne()
	}
}

func (m *model) submitOne() {
	g := m.newest()
	r := &modelRequest{path: fmt.Sprintf("/%d", len(m.requests)), came: time.Now()}
	r.call = m.call(g.fakeGeneration, r.path)
	m.requests = append(m.requests, r)
	m.byPath[r.path] = r
	m.q.Submit(&r.call.Job, r.came)
	r.refused = len(r.done) > 0
}

// open are the requests that are not answered.
func (m *model) open() []*modelRequest {
	return slices.DeleteFunc(slices.Clone(m.requests), func(r *modelRequest) bool {
		return r.outcome != nil || r.gone || r.taken
	})
}

func (m *model) clientLeaves(rt *rapid.T) {
	r := one(rt, "request", m.open())
	m.q.CancelByClient(&r.Job)
	r.gone = true
}

func (m *model) takeBack(rt *rapid.T) {
	r := one(rt, "request", m.open())
	m.q.mu.Lock()
	inQueue := r.stage == handedOver && r.assigned == nil
	m.q.mu.Unlock()
	if inQueue {
		rt.Skip("a queue has no requests whose bodies stream")
	}
	r.taken = m.q.TakeBack(&r.Job)
}

func (m *model) stand(rt *rapid.T) {
	r := one(rt, "request", m.open())
	m.q.SetWait(&r.Job, ForFrames, rapid.Bool().Draw(rt, "waits"))
}

func (m *model) hurry(*rapid.T) { m.q.hurry() }

// Actions of time.

// wait lets time pass in which the queue reads everything.
func (m *model) wait(rt *rapid.T) {
	for _, w := range m.workers {
		w.deliverAll()
	}
	time.Sleep(one(rt, "for", []time.Duration{20 * time.Millisecond, 260 * time.Millisecond, time.Second, 2 * time.Second}))
}

func (m *model) waitBriefly(rt *rapid.T) {
	time.Sleep(time.Duration(rapid.IntRange(1, 8).Draw(rt, "ms")) * time.Millisecond)
}

// Actions of the master.

func (m *model) start(rt *rapid.T) {
	if len(m.alive()) > 4 {
		rt.Skip("enough")
	}
	known := slices.DeleteFunc(slices.Clone(m.gens), func(g *modelGeneration) bool { return m.q.Config(g.number) == nil })
	m.addWorker(one(rt, "generation", known), rapid.Bool().Draw(rt, "active"))
}

func (m *model) activate(rt *rapid.T) {
	quiet := slices.DeleteFunc(m.alive(), func(w *modelWorker) bool { return w.active || w.retired })
	one(rt, "worker", quiet).activate()
}

func (m *model) retire(rt *rapid.T) {
	serving := slices.DeleteFunc(m.alive(), func(w *modelWorker) bool { return w.retired || !w.active })
	one(rt, "worker", serving).retire()
}

func (w *modelWorker) retire() {
	w.m.q.Retire(w.age)
	w.retired = true
}

func (m *model) collect(rt *rapid.T) {
	dead := slices.DeleteFunc(slices.Clone(m.workers), func(w *modelWorker) bool { return !w.dead })
	m.q.Gone(one(rt, "worker", dead).age)
}

func (m *model) expire(rt *rapid.T) {
	if rapid.IntRange(0, 3).Draw(rt, "all") == 0 {
		m.expired = time.Now()
		for _, r := range m.requests {
			r.expired = r.expired || len(r.claimants) > 0
		}
		m.q.Expire(0)
		return
	}
	w := one(rt, "worker", m.alive())
	for _, r := range m.requests {
		r.expired = r.expired || slices.Contains(r.claimants, w)
	}
	m.q.Expire(w.age)
	w.die() // by the master
	w.deliverAll()
}

func (m *model) checked(*rapid.T) {
	m.q.mu.Lock()
	asked := m.q.gate.asked
	m.q.mu.Unlock()
	m.q.Checked(asked)
}

// reload makes a generation, which takes over.
func (m *model) reload(rt *rapid.T) {
	if len(m.gens) > 4 {
		rt.Skip("enough")
	}
	m.addGeneration()
	for range rapid.IntRange(1, 2).Draw(rt, "workers") {
		m.addWorker(m.newest(), true)
	}
	for _, w := range m.alive() {
		if w.g != m.newest().fakeGeneration && !w.retired {
			w.retire()
		}
	}
}

// Actions of workers.

func (m *model) work(rt *rapid.T) { one(rt, "worker", m.alive()).work(rt) }

// workOn has one worker do several things in a row.
func (m *model) workOn(rt *rapid.T) {
	w := one(rt, "worker", m.alive())
	for range rapid.IntRange(2, 20).Draw(rt, "steps") {
		if !w.work(rt) {
			return
		}
	}
}

// die kills a worker, which the master often replaces at once.
func (m *model) die(rt *rapid.T) {
	one(rt, "worker", m.alive()).die()
	if rapid.IntRange(0, 3).Draw(rt, "replaced") > 0 {
		m.addWorker(m.newest(), true)
	}
}

func (w *modelWorker) die() {
	w.dead = true
	w.kill()
}

// leave has a multiplexed worker begin no more requests.
func (m *model) leave(rt *rapid.T) {
	all := slices.DeleteFunc(m.alive(), func(w *modelWorker) bool { return !w.kind.IsMultiplexed() || w.leaving })
	one(rt, "worker", all).leaving = true
}

func (m *model) deliver(rt *rapid.T) {
	w := one(rt, "worker", m.workers)
	w.deliver(rapid.IntRange(0, len(w.slots)-1).Draw(rt, "slot"))
}

func (m *model) deliverAll(rt *rapid.T) { one(rt, "worker", m.workers).deliverAll() }

// work does the next thing, and reports whether there was one.
func (w *modelWorker) work(rt *rapid.T) bool {
	if w.kind.IsMultiplexed() {
		return w.workMultiplexed(rt)
	}
	i := rapid.IntRange(0, len(w.states)-1).Draw(rt, "slot")
	return w.workSlot(rt, i, w.states[i])
}

func (w *modelWorker) workSlot(rt *rapid.T, index int, s *modelSlot) bool {
	switch {
	case s.sent:
		w.SetJournal(index, nil)
		s.journal, s.sent = nil, false
	case len(s.batch) == 0 && len(s.journal) > 0:
		w.Say(index, s.journal)
		s.sent = true
	case len(s.batch) == 0:
		if !w.active || w.retired {
			return false
		}
		s.batch = w.receiveAll(0)
		s.seen = w.Word(wiretest.WordRevoked)
		s.step, s.together = taken, len(s.batch) > 1
		for _, q := range s.batch {
			w.m.byPath[q.path].takes++
		}
		return len(s.batch) > 0
	case s.step == taken:
		w.WriteClaim(index, s.batch[0].id)
		w.m.byPath[s.batch[0].path].claim(w)
		s.step = claimed
	case s.step == claimed:
		q := s.batch[0]
		if w.isRevoked(q.id, s.seen) {
			w.Say(index, append(s.journal, wiretest.Refused(q.id)...))
			w.SetJournal(index, nil)
			w.m.byPath[q.path].refuse(w)
			s.journal, s.batch, s.step = nil, s.batch[1:], taken
			return true
		}
		w.m.run(w, q)
		s.step = running
	default:
		q := s.batch[0]
		reply, over := w.m.byPath[q.path].proceed(rt, q.id)
		if over {
			s.batch, s.step = s.batch[1:], taken
		}
		if over && s.together {
			s.journal = append(s.journal, reply...)
			w.SetJournal(index, s.journal)
			return true
		}
		w.Say(index, append(s.journal, reply...))
		w.SetJournal(index, nil)
		s.journal = nil
	}
	return true
}

// isRevoked looks for a request among the revocations, of which there were seen when it was
// read. When the ring was overwritten since, the request may have been there.
func (w *modelWorker) isRevoked(id uint32, seen uint64) bool {
	return w.Word(wiretest.WordRevoked)-seen >= wire.MaxRevoked || w.IsRevoked(id)
}

func (w *modelWorker) workMultiplexed(rt *rapid.T) bool {
	if q := w.atHand; q != nil {
		w.atHand = nil
		r := w.m.byPath[q.path]
		switch {
		case w.isRevoked(q.id, w.seen):
			w.Say(0, wiretest.Refused(q.id))
			r.refuse(w)
		case w.Word(wiretest.WordFront) != 1: // it is to begin none
			r.refuse(w)
		default:
			w.m.run(w, *q)
			w.begun = append(w.begun, *q)
		}
		return true
	}
	if len(w.begun) > 0 && (w.m.finished || rapid.Bool().Draw(rt, "answers")) {
		i := rapid.IntRange(0, len(w.begun)-1).Draw(rt, "begun")
		reply, over := w.m.byPath[w.begun[i].path].proceed(rt, w.begun[i].id)
		w.Say(0, reply)
		if over {
			w.begun = slices.Delete(w.begun, i, i+1)
		}
		return true
	}
	if len(w.inbox) == 0 {
		w.inbox = w.events()
		w.seen = w.Word(wiretest.WordRevoked)
	}
	if len(w.inbox) == 0 {
		return false
	}
	e := w.inbox[0]
	w.inbox = w.inbox[1:]
	switch e.kind {
	case wire.EventRequest:
		w.m.byPath[e.path].takes++
		if w.leaving {
			w.Say(0, wiretest.Reply(wire.ReplyLeave, 2, e.id))
			break
		}
		w.WriteClaim(0, e.id)
		w.m.byPath[e.path].claim(w)
		w.atHand = &e.request
	case wire.EventPing:
		w.SetWord(wiretest.WordPing, uint64(e.id))
	case wire.EventLate:
		w.begun = slices.DeleteFunc(w.begun, func(q request) bool { return q.id == e.id })
	case wire.EventReset, wire.EventGone: // an app may answer all the same
	default:
		w.T.Errorf("%v came", e.kind)
	}
	return true
}

// The fate of requests.

func (r *modelRequest) claim(w *modelWorker) {
	r.claimants = append(r.claimants, w)
	r.holders = append(r.holders, w)
	r.claimedAt = time.Now()
}

// refuse is called when a worker does not run what it has claimed.
func (r *modelRequest) refuse(w *modelWorker) {
	r.holders = slices.DeleteFunc(r.holders, func(other *modelWorker) bool { return other == w })
}

// run is called when a worker begins a request.
func (m *model) run(w *modelWorker, q request) {
	r := m.byPath[q.path]
	if r.runs++; r.runs > 1 {
		m.rt.Errorf("%s runs twice", r.path)
	}
	// When the master ends everything, it ends the workers next.
	ended := !m.expired.Before(r.came)
	if o := r.outcome; o != nil && o.status != 0 && o.status != 504 && !ended {
		m.rt.Errorf("%s runs after it was answered with %d", r.path, o.status)
	}
	r.runner = w
}

// proceed has the app say something in reply, and reports whether that was the last of it.
func (r *modelRequest) proceed(rt *rapid.T, id uint32) (reply []byte, over bool) {
	const whole, parts, fail, hints, later = 0, 1, 2, 3, 4
	saying := one(rt, "reply", []int{whole, whole, parts, fail, hints, later})
	switch {
	case saying == hints && !r.started:
		return wiretest.Hints(id, nil), false
	case saying == fail && !r.started:
		r.answer = &outcome{500, ""}
		return wiretest.Failed(id), true
	case saying == whole && !r.started:
		r.answer = &outcome{200, r.path}
		return response(id, r.path), true
	case !r.started:
		r.started = true
		r.body = r.path
		return wiretest.Start(id, "200 OK", nil, r.path), false
	case saying == parts || saying == hints:
		r.body += "+"
		return wiretest.Chunk(id, "+"), false
	}
	r.answer = &outcome{200, r.body}
	return wiretest.End(id), true
}

// check looks at what has become of all requests.
func (m *model) check(rt *rapid.T) {
	synctest.Wait()
	for _, r := range m.requests {
		select {
		case o := <-r.done:
			m.judge(r, o)
		default:
		}
	}
	m.workers = slices.DeleteFunc(m.workers, func(w *modelWorker) bool {
		return !slices.ContainsFunc(w.slots, func(sl *slot) bool { return sl != nil })
	})
	m.checkReports()
	if err := m.q.inconsistency(); err != "" {
		rt.Errorf("%s", err)
	}
}

// judge compares the end of a request with its fate.
func (m *model) judge(r *modelRequest, o outcome) {
	r.outcome = &o
	s := r.call.settings
	now := time.Now()
	why := ""
	switch {
	case r.gone:
		if o.status != 0 {
			why = "its client has left"
		}
	case r.taken:
		why = "the front has answered it"
	case o.status == 200 || o.status == 500:
		if r.answer == nil || o != *r.answer {
			why = fmt.Sprintf("its app has answered %v", r.answer)
		}
	case o.status == 502:
		switch dead := slices.ContainsFunc(r.holders, func(w *modelWorker) bool { return w.dead }); {
		case r.answer != nil && r.runner.kind == wire.KindSync:
			why = "its app had answered"
		case !dead && (r.runs > 0 || r.takes <= maxRetries):
			why = "no worker has died of it"
		}
	case o.status == 503:
		late := s.QueueTimeout > 0 && now.Sub(r.came) >= s.QueueTimeout
		full := s.QueueLimit > 0 && r.refused
		if r.runs > 0 || !late && !full && m.expired.Before(r.came) {
			why = fmt.Sprintf("it came %s ago and ran %d times", now.Sub(r.came), r.runs)
		}
	case o.status == 504 || o.status == 0:
		late := slices.ContainsFunc(r.claimants, func(w *modelWorker) bool {
			since := r.claimedAt
			if w.kind.IsMultiplexed() {
				since = r.came // its loop may have stopped before
			}
			t := w.g.settings.Timeout
			return t > 0 && now.Sub(since) >= t
		})
		began := len(r.claimants) > 0 && (late || r.expired)
		unclear := r.takes > 0 && !m.expired.Before(r.came) // whether a worker that took it began it
		if !began && !unclear || o.status == 0 && !r.started {
			why = fmt.Sprintf("%d workers have claimed it, the last %s ago", len(r.claimants), now.Sub(r.claimedAt))
		}
	default:
		why = "of all things"
	}
	if why != "" {
		m.rt.Errorf("%s ended with %+v, and %s", r.path, o, why)
	}
}

// checkReports looks at what the master is told: all workers keep to the protocol.
func (m *model) checkReports() {
	m.host.mu.Lock()
	defer m.host.mu.Unlock()
	for ; m.reported < len(m.host.said); m.reported++ {
		switch said := m.host.said[m.reported]; {
		case said.Type == wire.TypeBroken && said.Age > 0:
			m.rt.Errorf("worker %d is said to have broken the protocol: %s", said.Age, said.Reason)
		case said.Type == wire.TypeClosed && slices.ContainsFunc(m.workers, func(w *modelWorker) bool { return w.age == said.Age && !w.dead }):
			m.rt.Errorf("worker %d is said to have closed a slot", said.Age)
		}
	}
}

// finish lets everything come to its end, without further accidents, and checks that nothing
// was lost.
func (m *model) finish() {
	m.finished = true
	m.q.Unwatched()
	m.addGeneration()
	m.addWorker(m.newest(), true)
	for range 200 {
		for _, w := range m.workers {
			for !w.dead && m.workAll(w) {
			}
			w.deliverAll()
		}
		time.Sleep(50 * time.Millisecond)
		m.check(m.rt)
		if l := m.q.Load(); l.Waiting == 0 && l.InFlight == 0 && len(m.open()) == 0 {
			break
		}
	}
	for _, r := range m.open() {
		m.rt.Errorf("%s was lost: it was taken %d times and ran %d times", r.path, r.takes, r.runs)
	}
	if l := m.q.Load(); l.Waiting != 0 || l.InFlight != 0 || l.Standing != 0 {
		m.rt.Errorf("in the end there are %+v", l)
	}
	for _, w := range m.alive() {
		w.die()
	}
	for _, w := range m.workers {
		w.deliverAll()
	}
	m.check(m.rt)
	if l := m.q.Load(); l.Workers != 0 || l.Generations != 1 {
		m.rt.Errorf("without workers there are %+v", l)
	}
}

// workAll does a thing in each slot of a worker, and reports whether there was one.
func (m *model) workAll(w *modelWorker) bool {
	if w.kind.IsMultiplexed() {
		return w.workMultiplexed(m.rt)
	}
	busy := false
	for i, s := range w.states {
		busy = w.workSlot(m.rt, i, s) || busy
	}
	return busy
}

// inconsistency returns which of the invariants in doc.go does not hold, "" if all do.
func (q *Queue) inconsistency() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	type load struct{ inFlight, shared, standing int }
	queues, workers := map[*generation]load{}, map[*worker]load{}
	for i, j := range q.waiting {
		if j.stage != waiting || j.left || slices.Contains(q.waiting[:i], j) {
			return fmt.Sprintf("a request waits in stage %d, whose client has left (%v)", j.stage, j.left)
		}
	}
	for id, j := range q.inFlight {
		if j.stage != handedOver || j.id != id {
			return fmt.Sprintf("request %d is in flight as %d, in stage %d", j.id, id, j.stage)
		}
		if w := j.assigned; w != nil {
			l := workers[w]
			l.inFlight++
			if j.standing != 0 {
				l.standing++
			}
			workers[w] = l
			continue
		}
		l := queues[j.gen]
		l.inFlight++
		if j.shared {
			l.shared++
		}
		queues[j.gen] = l
	}
	slots := map[*generation][3]int{} // active, leaving, workers
	for _, w := range q.workers {
		if want := workers[w]; w.inFlight != want.inFlight || w.standing != want.standing {
			return fmt.Sprintf("worker %d counts %d, %d standing; it has %+v", w.age, w.inFlight, w.standing, want)
		}
		n := slots[w.gen]
		n[2]++
		switch {
		case w.multiplexed.Load():
		case w.active:
			n[0] += len(w.slots)
		case w.leaving:
			n[1] += len(w.slots)
		}
		slots[w.gen] = n
	}
	for _, g := range q.gens {
		if want := queues[g]; g.inFlight != want.inFlight || g.shared != want.shared {
			return fmt.Sprintf("generation %d counts %d, %d shared; it has %+v", g.number, g.inFlight, g.shared, want)
		}
		if got := [3]int{g.slots, g.leaving, g.workers}; got != slots[g] {
			return fmt.Sprintf("generation %d counts slots and workers as %v; it has %v", g.number, got, slots[g])
		}
	}
	return ""
}
