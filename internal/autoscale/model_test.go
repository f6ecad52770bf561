package autoscale

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// A load says how many requests come in a second, at a time since the start.
type load func(at time.Duration) float64

// A model is a server that is played: requests, which come at random and each take some time,
// wait in one queue for the slots of workers, which take a while to start.
type model struct {
	bounds  Bounds
	boot    time.Duration // of a worker
	slots   int           // of each
	service time.Duration // of a request, on average
	long    time.Duration // what one in longEvery takes; 0: there are none
	cpus    float64       // processors, which the requests use all of the time; 0: they use none
	clients int           // that wait for an answer before they ask again; 0: requests come by load
	load    load
	room    func() Room

	longEvery int

	rand    *rand.Rand
	now     time.Duration
	scaler  Scaler
	workers []*modelWorker
	queue   []time.Duration // when each request came
	sample  Sample
	used    float64 // seconds of processors in the span
	looked  time.Duration
	idle    bool // the front says nothing

	begun   int // requests
	target  int
	targets []change // what was decided
	held    string
	longest time.Duration // that a request has waited
	served  int
}

type change struct {
	at   time.Duration
	from int
	to   int
	why  string
}

type modelWorker struct {
	readyAt time.Duration
	left    []float64 // seconds that each slot has work for yet
	taken   []float64 // seconds that its request has taken so far
	leaving bool
}

const (
	modelStep   = 5 * time.Millisecond
	modelReport = 500 * time.Millisecond
)

var epoch = time.Unix(1_000_000, 0)

func (m *model) start(target int) *model {
	m.rand = rand.New(rand.NewPCG(1, 1))
	m.target = target
	if m.slots == 0 {
		m.slots = 1
	}
	for range target {
		m.workers = append(m.workers, &modelWorker{left: make([]float64, m.slots), taken: make([]float64, m.slots)})
	}
	return m
}

// run plays the server up to a time.
func (m *model) run(until time.Duration) *model {
	for m.now < until {
		m.step()
	}
	return m
}

func (m *model) step() {
	m.now += modelStep
	m.arrive()
	busy := 0
	for _, w := range m.workers {
		for i := range w.left {
			if w.left[i] > 0 {
				busy++
			}
		}
	}
	speed := 1.0
	if m.cpus > 0 && float64(busy) > m.cpus {
		speed = m.cpus / float64(busy)
	}
	dt := modelStep.Seconds()
	m.used += dt * float64(busy) * speed
	for k := 0; k < len(m.workers); k++ {
		w := m.workers[k]
		if m.now < w.readyAt {
			continue
		}
		rest := 0
		for i := range w.left {
			if w.left[i] > 0 {
				m.sample.Busy += dt
				w.taken[i] += dt
				if w.left[i] -= dt * speed; w.left[i] <= 0 {
					w.left[i] = 0
					m.sample.Ended++
					m.sample.Served += w.taken[i]
					w.taken[i] = 0
					m.served++
				}
			}
			if w.left[i] == 0 && !w.leaving && len(m.queue) > 0 {
				m.longest = max(m.longest, m.now-m.queue[0])
				m.queue = m.queue[1:]
				w.left[i] = m.serviceTime()
			}
			if w.left[i] > 0 {
				rest++
			}
		}
		if !w.leaving {
			m.sample.Capacity += dt * float64(m.slots)
		} else if rest == 0 {
			m.workers = append(m.workers[:k], m.workers[k+1:]...)
			k--
		}
	}
	m.sample.Waited += dt * float64(len(m.queue))
	m.report()
}

// serviceTime returns how long the next request takes, in seconds.
func (m *model) serviceTime() float64 {
	if m.begun++; m.long > 0 && m.begun%m.longEvery == 0 {
		return m.long.Seconds()
	}
	return max(modelStep.Seconds(), m.rand.ExpFloat64()*m.service.Seconds())
}

// arrive lets requests come.
func (m *model) arrive() {
	n := 0
	if m.clients > 0 {
		n = m.clients - m.inFlight()
	} else {
		mean := m.load(m.now) * modelStep.Seconds()
		for limit, p := math.Exp(-mean), m.rand.Float64(); p > limit; p *= m.rand.Float64() { // D. E. Knuth
			n++
		}
	}
	for range n {
		m.queue = append(m.queue, m.now)
	}
	m.sample.Arrived += n
}

func (m *model) inFlight() int {
	n := len(m.queue)
	for _, w := range m.workers {
		for i := range w.left {
			if w.left[i] > 0 {
				n++
			}
		}
	}
	return n
}

// report does what front and master do twice in a second, and at once when a request finds no
// worker: unless there is nothing to report.
func (m *model) report() {
	woken := m.target == 0 && len(m.queue) > 0 && m.idle
	if m.now-m.looked < modelReport && !woken {
		return
	}
	x := m.sample
	x.At, x.Span, x.Slots, x.Waiting, x.InFlight = epoch.Add(m.now), m.now-m.looked, m.slots, len(m.queue), m.inFlight()
	p := Pool{Target: m.target, Ready: m.ready(), Room: m.room}
	if m.cpus > 0 {
		p.CPU = m.used / x.Span.Seconds() / m.cpus
	}
	quiet := x.Arrived == 0 && x.InFlight == 0 && x.Ended == 0
	if quiet && m.idle {
		at, ok := m.scaler.Next(m.bounds, m.target)
		if !ok || at.After(epoch.Add(m.now)) {
			m.looked, m.sample, m.used = m.now, Sample{}, 0
			return
		}
		m.act(m.scaler.Decide(epoch.Add(m.now), nil, m.bounds, p))
	} else {
		m.act(m.scaler.Decide(x.At, &x, m.bounds, p))
	}
	m.idle = quiet
	m.looked, m.sample, m.used = m.now, Sample{}, 0
}

func (m *model) ready() int {
	n := 0
	for _, w := range m.workers {
		if !w.leaving && m.now >= w.readyAt {
			n++
		}
	}
	return n
}

// act carries a verdict out.
func (m *model) act(v Verdict) {
	if v.Held != "" {
		m.held = v.Held
	}
	if v.Target == m.target {
		return
	}
	m.targets = append(m.targets, change{m.now, m.target, v.Target, v.Why})
	for n := m.target; n < v.Target; n++ {
		m.workers = append(m.workers, &modelWorker{readyAt: m.now + m.boot, left: make([]float64, m.slots), taken: make([]float64, m.slots)})
	}
	for n := v.Target; n < m.target; n++ {
		for _, w := range m.workers {
			if !w.leaving {
				w.leaving = true
				break
			}
		}
	}
	m.target = v.Target
}

// most returns the largest number of workers that was decided on.
func (m *model) most() int {
	most := 0
	for _, c := range m.targets {
		most = max(most, c.to)
	}
	return most
}

// turns returns how often growing followed shrinking, or the other way round.
func (m *model) turns() int {
	turns := 0
	for i := 1; i < len(m.targets); i++ {
		if a, b := m.targets[i-1], m.targets[i]; (a.to > a.from) != (b.to > b.from) {
			turns++
		}
	}
	return turns
}

// reached returns when there were so many workers for the first time.
func (m *model) reached(n int) time.Duration {
	for _, c := range m.targets {
		if c.to >= n {
			return c.at
		}
	}
	return math.MaxInt64
}

// expect checks what was decided, and shows it if that is wrong.
func (m *model) expect(t *testing.T, ok bool, what string, args ...any) {
	t.Helper()
	if ok {
		return
	}
	t.Errorf(what, args...)
	for _, c := range m.targets {
		t.Logf("%8s  %d → %d: %s", c.at, c.from, c.to, c.why)
	}
	t.Logf("served %d, the longest wait was %s, %d are waiting, held: %s", m.served, m.longest, len(m.queue), m.held)
}

// constant is a load that does not change.
func constant(rate float64) load { return func(time.Duration) float64 { return rate } }

// steps is a load that is the first rate up to the first time, then the second, and so on.
func steps(rates []float64, times ...time.Duration) load {
	return func(at time.Duration) float64 {
		i := 0
		for i < len(times) && at >= times[i] {
			i++
		}
		return rates[i]
	}
}
