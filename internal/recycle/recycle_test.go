package recycle

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

const mb = 1 << 20

var start = time.Unix(1_000_000, 0)

// serving is a worker that has served for a minute, has taken 50 MiB when it was ready, and
// takes memory now.
func serving(age int, memory int64) Worker {
	return Worker{Age: age, Phase: Serving, Served: time.Minute, Memory: memory, Fresh: 50 * mb}
}

func (w Worker) in(p Phase) Worker { w.Phase = p; return w }

// text writes steps: 1 max_worker_age, 2 max_worker_memory_hard kill.
func text(steps []Step) string {
	var parts []string
	for _, s := range steps {
		part := fmt.Sprintf("%d %s", s.Age, s.Reason)
		switch s.Action {
		case Kill:
			part += " kill"
		case MakeRoom:
			part += " room"
		}
		if s.Dry {
			part += " dry"
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}

func TestReview(t *testing.T) {
	limits := func(change func(*Limits)) Limits {
		l := Limits{Measure: "RSS", Memory: 100 * mb, MemoryHard: 200 * mb, Budget: 1, Target: 3, Begin: true}
		if change != nil {
			change(&l)
		}
		return l
	}
	old := func(w Worker) Worker { w.Lifetime = time.Minute; return w }
	asked := func(w Worker) Worker { w.Asked = true; return w }
	recycled := func(w Worker) Worker { w.Recycled = true; return w.in(Leaving) }
	for _, c := range []struct {
		name    string
		limits  Limits
		workers []Worker
		steps   string
		due     []int
	}{
		{"nothing to do", limits(nil), []Worker{serving(1, 60*mb), serving(2, 60*mb), serving(3, 60*mb)}, "", nil},
		{"memory is not known", limits(nil), []Worker{serving(1, 0), serving(2, 0), serving(3, 0)}, "", nil},
		{"memory", limits(nil), []Worker{serving(1, 60*mb), serving(2, 100*mb), serving(3, 60*mb)}, "2 max_worker_memory", nil},
		{"who takes most goes first", limits(nil), []Worker{serving(1, 110*mb), serving(2, 130*mb), serving(3, 120*mb)}, "2 max_worker_memory", []int{1, 3}},
		{"no limits", Limits{Budget: 1, Target: 1, Begin: true}, []Worker{serving(1, 1<<50)}, "", nil},
		{"it has just become ready", limits(nil), []Worker{{Age: 1, Phase: Serving, Served: Settling - 1, Memory: 150 * mb}, serving(2, 1), serving(3, 1)}, "", nil},
		{"a new one takes more than the limit", limits(nil), []Worker{{Age: 1, Phase: Serving, Served: time.Hour, Memory: 140 * mb, Fresh: 120 * mb}, serving(2, 1), serving(3, 1)}, "", nil},
		{"but this one has grown", limits(nil), []Worker{{Age: 1, Phase: Serving, Served: time.Hour, Memory: 150 * mb, Fresh: 120 * mb}, serving(2, 1), serving(3, 1)}, "1 max_worker_memory", nil},
		{"age", limits(nil), []Worker{old(serving(1, 1)), serving(2, 1), serving(3, 1)}, "1 max_worker_age", nil},
		{"max_requests", limits(nil), []Worker{serving(1, 1), asked(serving(2, 1)), serving(3, 1)}, "2 max_requests", nil},
		{"refork", limits(func(l *Limits) { l.Dry = true }), []Worker{serving(1, 1), {Age: 2, Phase: Serving, Refork: "x"}, serving(3, 1)}, "2 refork_after", nil},
		{"memory before the rest", limits(nil), []Worker{asked(serving(1, 1)), old(serving(2, 1)), serving(3, 150*mb)}, "3 max_worker_memory", []int{1, 2}},
		{"a budget of two", limits(func(l *Limits) { l.Budget = 2 }), []Worker{asked(serving(1, 1)), old(serving(2, 1)), serving(3, 150*mb)}, "3 max_worker_memory, 1 max_requests", []int{2}},
		{"one is being replaced", limits(nil), []Worker{serving(1, 1).in(Replacing), serving(2, 150*mb), serving(3, 1), {Age: 4}}, "", []int{2}},
		{"one leaves", limits(nil), []Worker{recycled(serving(1, 1)), serving(2, 150*mb), serving(3, 1), serving(4, 1)}, "", []int{2}},
		{"one leaves for another reason", limits(nil), []Worker{serving(1, 1).in(Leaving), serving(2, 150*mb), serving(3, 1), serving(4, 1)}, "2 max_worker_memory", nil},
		{"one has died", limits(nil), []Worker{serving(2, 150*mb), serving(3, 1), {Age: 4}}, "", []int{2}},
		{"a reload is under way", limits(func(l *Limits) { l.Begin = false }), []Worker{serving(1, 150*mb), asked(serving(2, 1)), serving(3, 1)}, "", []int{1, 2}},
		{"hard", limits(nil), []Worker{serving(1, 1), serving(2, 200*mb), serving(3, 1)}, "2 max_worker_memory_hard kill", nil},
		{"hard, of one that has just become ready", limits(nil), []Worker{serving(1, 1), {Age: 2, Phase: Serving, Memory: 200 * mb}, serving(3, 1)}, "2 max_worker_memory_hard kill", nil},
		{"hard, of one that boots", limits(nil), []Worker{serving(1, 1), serving(2, 1), {Age: 3, Memory: 300 * mb}}, "", nil},
		{"hard, while one is being replaced", limits(nil), []Worker{serving(1, 1).in(Replacing), serving(2, 300*mb), serving(3, 1), {Age: 4}}, "2 max_worker_memory_hard kill", nil},
		{"hard, of the one that is being replaced", limits(nil), []Worker{serving(1, 300*mb).in(Replacing), serving(2, 1), serving(3, 1), {Age: 4}}, "1 max_worker_memory_hard kill", nil},
		{"hard, of one that leaves", limits(nil), []Worker{recycled(serving(1, 300*mb)), serving(2, 300*mb), serving(3, 1), serving(4, 1)}, "1 max_worker_memory_hard kill, 2 max_worker_memory_hard kill", nil},
		{"hard, all of them", limits(nil), []Worker{serving(1, 210*mb), serving(2, 300*mb), serving(3, 220*mb)}, "2 max_worker_memory_hard kill", []int{1, 3}},
		{"hard, while one is missing", limits(nil), []Worker{serving(1, 210*mb), serving(3, 1), {Age: 4}}, "", []int{1}},
		{"hard, during a reload", limits(func(l *Limits) { l.Begin = false }), []Worker{serving(1, 300*mb), serving(2, 1), serving(3, 1)}, "1 max_worker_memory_hard kill", nil},
		{"dry run", limits(func(l *Limits) { l.Dry = true }), []Worker{serving(1, 300*mb), old(serving(2, 1)), asked(serving(3, 150*mb))}, "1 max_worker_memory_hard kill dry, 2 max_worker_age dry, 3 max_worker_memory dry, 3 max_requests", nil},
	} {
		var p Policy
		steps, note := p.Review(start, c.limits, c.workers, System{})
		if got := text(steps); got != c.steps || note != "" {
			t.Errorf("%s: %s%s, want %s", c.name, got, note, c.steps)
		}
		var due []int
		for age := range p.Due() {
			due = append(due, age)
		}
		slices.Sort(due)
		if !slices.Equal(due, c.due) {
			t.Errorf("%s: %v wait, want %v", c.name, due, c.due)
		}
	}
}

func TestFigures(t *testing.T) {
	l := Limits{Measure: "PSS", Memory: 300 * mb, MemoryHard: 12 << 30, Budget: 9, Target: 3, Begin: true}
	old := serving(2, 1)
	old.Lifetime = 59 * time.Second
	var p Policy
	steps, _ := p.Review(start, l, []Worker{serving(1, 312*mb), old, serving(3, 13<<30)}, System{})
	for i, want := range []string{
		"its PSS was 13.0 GiB, max_worker_memory_hard is 12.0 GiB",
		"its PSS is 312 MiB, max_worker_memory is 300 MiB",
		"it has served for 60 s, max_worker_age with its jitter is 59 s",
	} {
		if i >= len(steps) || steps[i].Text != want {
			t.Errorf("%+v, want %q", steps, want)
		}
	}
}

func TestShortage(t *testing.T) {
	l := Limits{Measure: "RSS", Use: 90, Pressure: 20, Budget: 2, Target: 3, Begin: true}
	workers := []Worker{serving(1, 80*mb), serving(2, 150*mb), serving(3, 60*mb)}
	short := System{Used: 901 * mb, Limit: 1000 * mb}
	for _, c := range []struct {
		name    string
		sys     System
		workers []Worker
		steps   string
	}{
		{"enough", System{Used: 899 * mb, Limit: 1000 * mb, Pressure: 19.9}, workers, ""},
		{"use", short, workers, "2 max_memory_use"},
		{"pressure", System{Pressure: 20}, workers, "2 max_memory_pressure"},
		{"no room for a new one", System{Used: 960 * mb, Limit: 1000 * mb}, workers, "2 max_memory_use room"},
		{"more in use than there is", System{Used: 1100 * mb, Limit: 1000 * mb}, workers, "2 max_memory_use room"},
		{"the limit is not known", System{Used: 901 * mb}, workers, ""},
		{"one is being replaced", short, []Worker{serving(1, 80*mb).in(Replacing), serving(2, 150*mb), serving(3, 60*mb)}, ""},
		{"one is missing", short, workers[1:], ""},
	} {
		var p Policy
		steps, note := p.Review(start, l, c.workers, c.sys)
		if got := text(steps); got != c.steps || note != "" {
			t.Errorf("%s: %s%s, want %s", c.name, got, note, c.steps)
		}
	}

	var p Policy
	at := func(after time.Duration) string {
		steps, note := p.Review(start.Add(after), l, workers, short)
		return text(steps) + note
	}
	for _, c := range []struct {
		after time.Duration
		want  string
	}{{0, "2 max_memory_use"}, {time.Second, ""}, {UseWindow - 1, ""}, {UseWindow, "2 max_memory_use"}} {
		if got := at(c.after); got != c.want {
			t.Errorf("after %s: %s, want %s", c.after, got, c.want)
		}
	}

	p, short = Policy{}, System{Pressure: 50}
	for after, want := range map[time.Duration]string{0: "2 max_memory_pressure", PressureWindow - 1: "", PressureWindow: "2 max_memory_pressure"} {
		p = Policy{pressed: start}
		if after == 0 {
			p = Policy{}
		}
		if got := at(after); got != want {
			t.Errorf("pressure, after %s: %s, want %s", after, got, want)
		}
	}

	p, short = Policy{}, System{Used: 901 * mb, Limit: 1000 * mb}
	workers = []Worker{serving(1, 51*mb), serving(2, 52*mb), {Age: 3, Phase: Serving, Memory: 200 * mb, Fresh: 50 * mb}}
	if got := at(0); got != "" {
		t.Errorf("the one that has grown is yet to settle: %s", got)
	}
	workers = []Worker{serving(1, 51*mb), serving(2, 52*mb), serving(3, 50*mb)}
	if got := at(0); got != "Memory is short (901 MiB of 1000 MiB are in use, max_memory_use is 90 %), but no worker has grown: to replace one would not help" {
		t.Error(got)
	}
	if got := at(time.Second); got != "" {
		t.Errorf("said again: %s", got)
	}
}

// What would be done is told once for each worker and reason.
func TestDryRun(t *testing.T) {
	l := Limits{Measure: "RSS", Memory: 100 * mb, Use: 90, Budget: 1, Target: 2, Begin: true, Dry: true}
	var p Policy
	var all []string
	workers := []Worker{serving(1, 150*mb), serving(2, 90*mb)}
	for i := range 60 {
		workers[0].Memory += mb
		steps, _ := p.Review(start.Add(time.Duration(i)*time.Second), l, workers, System{Used: 99, Limit: 100})
		if len(steps) > 0 {
			all = append(all, text(steps))
		}
	}
	if got := strings.Join(all, "; "); got != "1 max_worker_memory dry, 1 max_memory_use room dry" {
		t.Error(got)
	}
	p.Review(start, l, nil, System{})
	if len(p.told) != 0 {
		t.Errorf("of workers that are gone it remembers %v", p.told)
	}
}

func TestNext(t *testing.T) {
	if _, ok := Next([]Worker{serving(1, 1)}); ok {
		t.Error("a worker that never is too old is waited for")
	}
	a, b := serving(1, 1), serving(2, 1)
	a.Lifetime, b.Lifetime = 2*time.Minute, 90*time.Second
	if wait, ok := Next([]Worker{a, b, a.in(Leaving)}); !ok || wait != 30*time.Second {
		t.Errorf("%s, %v", wait, ok)
	}
}

// A storm: workers that grow, age, and ask at random, under changes of the budget and of the
// number of workers. Whatever comes, no more leave at once than the budget allows, the others
// serve, and each that has a reason goes in the end.
func TestStorms(t *testing.T) {
	for seed := range uint64(60) {
		storm(t, seed)
	}
}

func storm(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 1))
	l := Limits{Measure: "RSS", Memory: 100 * mb, MemoryHard: 150 * mb, Budget: 1 + r.IntN(3), Target: 4 + r.IntN(8), Begin: true}
	const boot, drain = 3, 4 // seconds
	type process struct {
		Worker
		left int // seconds of its boot or its drain
	}
	var p Policy
	var workers []*process
	last, gone := 0, 0
	spawn := func() { last++; workers = append(workers, &process{Worker: Worker{Age: last}, left: boot}) }
	for range l.Target {
		spawn()
	}
	quiet := false // the storm is over
	for second := range 900 {
		quiet = second > 600
		var list []Worker
		for _, w := range workers {
			list = append(list, w.Worker)
		}
		missing, leaving := count(l.Target, list)
		steps, _ := p.Review(start.Add(time.Duration(second)*time.Second), l, list, System{})
		killed := 0
		for _, s := range steps {
			i := slices.IndexFunc(workers, func(w *process) bool { return w.Age == s.Age })
			switch w := workers[i]; s.Action {
			case Kill:
				if w.Phase != Leaving {
					killed++
				}
				workers = slices.Delete(workers, i, i+1)
				gone++
			default:
				w.Phase = Replacing
				leaving++
			}
		}
		if second > boot && (missing+killed > l.Budget || leaving > l.Budget) {
			t.Fatalf("seed %d, second %d: %d are missing, %d leave, the budget is %d", seed, second, missing+killed, leaving, l.Budget)
		}
		// What the master does: successors for those that are replaced, and their end.
		fresh, ready := 0, 0
		for _, w := range workers {
			if w.Phase == Booting || w.Phase == Serving {
				fresh++
			}
			if w.Phase == Serving || w.Phase == Replacing {
				ready++
			}
		}
		for ; fresh < l.Target; fresh++ {
			spawn()
		}
		for _, w := range workers {
			if w.Phase == Replacing && ready > l.Target {
				w.Phase, w.Recycled, w.left = Leaving, true, drain
				ready--
			}
		}
		for i := len(workers) - 1; i >= 0; i-- {
			w := workers[i]
			if w.left > 0 {
				w.left--
			}
			switch {
			case w.Phase == Booting && w.left == 0:
				w.Phase, w.Fresh, w.Memory = Serving, 50*mb, 50*mb
				w.Lifetime = time.Duration(60+r.IntN(600)) * time.Second
			case w.Phase == Leaving && w.left == 0:
				workers = slices.Delete(workers, i, i+1)
				gone++
				continue
			}
			if w.Phase != Booting {
				w.Served += time.Second
				if !quiet {
					w.Memory += int64(r.IntN(4)) * mb
					w.Asked = w.Asked || r.IntN(100) == 0
				}
			}
		}
	}
	for _, w := range workers {
		if w.Phase == Serving && (w.Asked || w.Memory >= l.Memory) {
			t.Errorf("seed %d: worker %d has a reason to go and stays: %+v", seed, w.Age, w.Worker)
		}
	}
	if gone < l.Target {
		t.Errorf("seed %d: %d have gone", seed, gone)
	}
}
