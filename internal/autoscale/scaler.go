package autoscale

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Bounds are what a server was told about the number of its workers.
type Bounds struct {
	Least, Most int
	DownDelay   time.Duration // for which fewer have to be enough before some leave
}

// A Sample is what was counted of requests in a span of time.
type Sample struct {
	At       time.Time     // the end of the span
	Span     time.Duration // its length
	Slots    int           // requests that a worker can run at once; 1 for an event loop
	Busy     float64       // seconds for which slots were busy, of all of them together
	Served   float64       // seconds for which slots were busy with the requests that have ended
	Capacity float64       // seconds for which there were slots that are ready
	Waited   float64       // seconds for which requests waited for a slot, together
	Lag      time.Duration // how late event loops are, on average
	Arrived  int           // requests that came, also those that were refused
	Ended    int           // requests that workers have answered
	Waiting  int           // at the end of the span
	InFlight int           // at the end of the span: with workers, or waiting
}

// A Pool is what there is of workers.
type Pool struct {
	Target int         // how many there should be
	Ready  int         // how many take requests
	CPU    float64     // the share of the processors that the server used in the span; 0: not known
	Room   func() Room // how much memory has room for; nil: not known. It is called when workers are to be added
}

// Room is how many more workers the memory is good for, and why, for the log.
type Room struct {
	Workers int
	Why     string
}

// A Verdict is how many workers there should be.
type Verdict struct {
	Target int
	Why    string // if Target is another number than that of the Pool
	Held   string // why it is not larger, although the load asks for more; "": it does not

	// What it is based on.
	Busy    float64       // the share of slots that were busy
	Wait    time.Duration // of requests for a slot, on average
	Offered float64       // slots that the load would keep busy
}

// A Scaler is the policy with what it remembers. The zero value is ready for use.
type Scaler struct {
	recent  []Sample      // of the window, the oldest first
	waiting time.Time     // since when requests wait for too long; zero: they do not
	busy    time.Time     // since when the slots are too busy; zero: they are not
	grown   time.Time     // when workers were added last
	shrunk  time.Time     // when some left last
	quiet   time.Time     // since when what fewer workers need is known: the start, or the last growth
	needs   []need        // of the last DownDelay: each is larger than those after it
	service float64       // slot seconds for each request, lately
	known   int           // requests that this is known from
	slots   int           // that are ready
	settled time.Time     // when the workers that were added last were all there
	boot    time.Duration // that the last workers have taken to start; 0: not known
	booting bool          // those that were added last are not all there yet
}

// A need is how many workers would have been enough at a time.
type need struct {
	at time.Time
	n  int
}

// Reset forgets what was counted: the workers are others now, or count otherwise.
func (s *Scaler) Reset() { *s = Scaler{} }

// Decide says how many workers there should be at a time. x is what was counted since the last
// call; nil: there were no requests.
func (s *Scaler) Decide(now time.Time, x *Sample, b Bounds, p Pool) Verdict {
	if s.quiet.IsZero() {
		s.quiet = now
	}
	if s.booting && p.Ready >= p.Target {
		s.booting, s.boot, s.settled = false, now.Sub(s.grown), now
	}
	s.recent = slices.DeleteFunc(s.recent, func(old Sample) bool { return now.Sub(old.At) >= mostWindow })
	if x != nil && x.Span > 0 && x.Slots > 0 {
		s.note(x, p)
	}
	v := s.measure()
	s.remember(now, x, v, b.DownDelay)
	v.Target = min(max(p.Target, b.Least), b.Most)
	switch {
	case v.Target != p.Target:
		v.Why = fmt.Sprintf("the range is %d..%d", b.Least, b.Most)
	case p.Target == 0 && x != nil && x.Waiting > 0:
		v.Target, v.Why = 1, "a request waits, and there are no workers"
	case s.wantsMore(now, x, &v, p):
		s.grow(&v, b, p)
	default:
		s.shrink(now, x, &v, b, p)
	}
	if v.Target > p.Target {
		s.grown, s.quiet, s.booting = now, now, true
		s.waiting, s.busy = time.Time{}, time.Time{}
	} else if v.Target < p.Target {
		s.shrunk = now
	}
	return v
}

// mayWait returns how long requests may wait.
func (s *Scaler) mayWait() time.Duration {
	return max(GrowWait, time.Duration(WaitShare*min(s.service, mostWindow.Seconds())*float64(time.Second)))
}

// pause returns the least time between two additions, and from when workers are there to the next
// one: so long that each slot has answered some requests meanwhile.
func (s *Scaler) pause() time.Duration {
	return time.Duration(min(max(pauseTurns*s.service, leastWindow.Seconds()), mostWindow.Seconds()) * float64(time.Second))
}

// total adds up the samples of the window. What was before all workers were there says nothing of
// those that there are now, except for the rate at which requests come, in slots' worth.
func (s *Scaler) total() (t Sample, comes float64, known bool) {
	var span time.Duration
	arrived := 0
	for i := len(s.recent) - 1; i >= 0; i-- {
		if span >= mostWindow || span >= leastWindow && arrived >= windowRequests {
			break
		}
		x := &s.recent[i]
		span += x.Span
		arrived += x.Arrived
		if t.Span > 0 && x.At.Add(-x.Span).Before(s.settled) {
			continue
		}
		if t.Span == 0 {
			t.Slots, t.Lag, t.Waiting = x.Slots, x.Lag, x.Waiting
		}
		t.Span += x.Span
		t.Served += x.Served
		t.Busy += x.Busy
		t.Capacity += x.Capacity
		t.Waited += x.Waited
		t.Arrived += x.Arrived
		t.Ended += x.Ended
	}
	if span > 0 {
		comes = float64(arrived) / span.Seconds() * s.service
	}
	return t, comes, s.known >= enoughRequests && arrived >= enoughRequests
}

// note takes what was counted into account.
func (s *Scaler) note(x *Sample, p Pool) {
	s.recent = append(s.recent, *x)
	s.slots = p.Ready * x.Slots
	if x.Ended > 0 {
		all := s.known + x.Ended
		s.service = (s.service*float64(s.known) + x.Served) / float64(all)
		s.known = min(all, serviceMemory)
	}
}

// measure says what the requests of the window need.
func (s *Scaler) measure() (v Verdict) {
	t, comes, known := s.total()
	if t.Span == 0 {
		return v
	}
	span := t.Span.Seconds()
	if t.Capacity > 0 {
		v.Busy = min(1, t.Busy/t.Capacity)
	}
	v.Offered = t.Busy / span
	switch {
	case !known || v.Busy <= AimBusy:
	case t.Ended > t.Arrived:
		v.Offered = min(v.Offered, comes) // the rest is what has gathered before
	case v.Busy > saturated && t.Served < turnover*t.Busy:
		// Of requests that take long, and occupy all slots, few have ended.
		v.Offered = max(v.Offered, min(comes, v.Offered*maxRatio))
	case v.Busy > saturated:
		v.Offered = min(comes, v.Offered*maxRatio)
	}
	// By J. D. C. Little's law: the requests that wait, on average, by the rate at which
	// they leave the queue.
	v.Wait = max(t.Lag, time.Duration(t.Waited/float64(max(1, t.Ended))*float64(time.Second)))
	return v
}

// workersFor returns how many workers a load needs that may be so busy.
func workersFor(offered, busy float64, slots int) int {
	// A load that is exactly what a number of workers can take is not to need one more since
	// sums of floating-point numbers are a little off.
	return int(math.Ceil(offered/(busy*float64(max(1, slots))) - 1e-9))
}

// remember notes how many workers would be enough now.
func (s *Scaler) remember(now time.Time, x *Sample, v Verdict, delay time.Duration) {
	s.needs = slices.DeleteFunc(s.needs, func(old need) bool { return now.Sub(old.at) >= delay })
	if x == nil {
		return
	}
	n := workersFor(v.Offered, KeepBusy, x.Slots)
	if x.Arrived > 0 || x.Ended > 0 || x.InFlight > 0 {
		n = max(1, n)
	}
	for len(s.needs) > 0 && s.needs[len(s.needs)-1].n <= n {
		s.needs = s.needs[:len(s.needs)-1]
	}
	s.needs = append(s.needs, need{now, n})
}

// wantsMore reports whether the workers have been too busy for long enough.
func (s *Scaler) wantsMore(now time.Time, x *Sample, v *Verdict, p Pool) bool {
	if x == nil || p.Ready == 0 {
		s.waiting, s.busy = time.Time{}, time.Time{}
		return false
	}
	began := x.At.Add(-x.Span)
	record(&s.waiting, began, v.Wait > s.mayWait() && v.Busy > AimBusy)
	record(&s.busy, began, v.Busy > GrowBusy)
	if pause := s.pause(); now.Sub(s.grown) < pause || now.Sub(s.settled) < pause {
		return false
	}
	return !s.waiting.IsZero() && now.Sub(s.waiting) >= GrowAfter || !s.busy.IsZero() && now.Sub(s.busy) >= BusyAfter
}

// record keeps in since when something holds.
func record(since *time.Time, began time.Time, holds bool) {
	switch {
	case !holds:
		*since = time.Time{}
	case since.IsZero():
		*since = began
	}
}

// grow adds workers.
func (s *Scaler) grow(v *Verdict, b Bounds, p Pool) {
	t, _, _ := s.total()
	within := (drainWithin + s.boot).Seconds()
	if fewer := float64(t.Ended - t.Arrived); fewer > 0 && float64(t.Waiting)/fewer*t.Span.Seconds() <= within {
		return // those that wait will be gone before others could help
	}
	offered := v.Offered / AimBusy
	if p.Ready >= p.Target {
		backlog := float64(t.Waiting) * s.service / within
		offered = min(max(offered, v.Offered+backlog), offered*(1+backlogShare))
	}
	n := min(workersFor(offered, 1, t.Slots), b.Most, max(2*p.Target, 1))
	if n <= p.Target {
		if p.Target >= b.Most {
			v.Held = fmt.Sprintf("there are as many as there may be, %d", b.Most)
		}
		return
	}
	if p.Ready < p.Target && float64(n) < startingShare*float64(p.Target) {
		return // about as many as are on their way
	}
	if p.CPU >= CPUBusy {
		v.Held = fmt.Sprintf("the processors are busy: %.0f %% of what the server may use", 100*p.CPU)
		return
	}
	if p.Room != nil {
		if room := p.Room(); n-p.Target > room.Workers {
			n = p.Target + max(0, room.Workers)
			v.Held = room.Why
		}
	}
	if n > p.Target {
		v.Target = n
		v.Why = v.figures(t.Slots, p)
	}
}

// figures describes a load for the log.
func (v *Verdict) figures(slots int, p Pool) string {
	return fmt.Sprintf("%.0f %% busy, requests waited %.0f ms on average, and would keep %.1f of %d slots busy",
		100*v.Busy, 1000*v.Wait.Seconds(), v.Offered, slots*p.Target)
}

// shrink lets workers leave that were not needed for long enough.
func (s *Scaler) shrink(now time.Time, x *Sample, v *Verdict, b Bounds, p Pool) {
	most := s.neededLately()
	if x != nil && x.InFlight > 0 || p.Ready < p.Target {
		most = max(1, most)
	}
	if p.Ready < p.Target || now.Before(s.shrinksFrom(b)) {
		return
	}
	n := max(b.Least, most, p.Target/2)
	if n >= p.Target {
		return
	}
	v.Target = n
	if most == 0 {
		v.Why = fmt.Sprintf("no request for %s", b.DownDelay)
	} else {
		v.Why = fmt.Sprintf("%d would have been enough for %s", most, b.DownDelay)
	}
}

// neededLately returns how many workers would have been enough in the last DownDelay.
func (s *Scaler) neededLately() int {
	if len(s.needs) == 0 {
		return 0
	}
	return s.needs[0].n
}

// shrinksFrom returns from when on workers may leave.
func (s *Scaler) shrinksFrom(b Bounds) time.Time {
	at := s.quiet.Add(b.DownDelay)
	if !s.shrunk.IsZero() {
		if next := s.shrunk.Add(min(ShrinkEvery, b.DownDelay)); next.After(at) {
			at = next
		}
	}
	return at
}

// Next returns when to call Decide again if no request comes until then; ok is false if that
// would change nothing.
func (s *Scaler) Next(b Bounds, target int) (at time.Time, ok bool) {
	if target <= b.Least {
		return at, false
	}
	at = s.shrinksFrom(b)
	for _, old := range s.needs {
		if old.n < target {
			break
		}
		if end := old.at.Add(b.DownDelay); end.After(at) {
			at = end
		}
	}
	return at, true
}
