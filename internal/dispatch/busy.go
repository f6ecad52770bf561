package dispatch

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// This file says what keeps the workers busy while requests wait for them.

const (
	// maxNamed is how many kinds of requests are named, and maxNamedPath how much of
	// the path of each.
	maxNamed     = 3
	maxNamedPath = 80
)

// A busyKind is the requests of the same method and path that are with workers.
type busyKind struct {
	what   string
	count  int
	oldest time.Time
}

// busy describes what the workers that serve are busy with, "" if some have capacity.
func (q *Queue) busy() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, g := range q.gens {
		if g.serves() {
			return q.busyOfLocked(g, time.Now())
		}
	}
	return ""
}

// +checklocks:q.mu
func (q *Queue) busyOfLocked(g *generation, now time.Time) string {
	jobs := q.begunLocked(g, now)
	var limit string
	if n := len(g.multiplexed); n > 0 {
		full := 0
		for _, w := range g.multiplexed {
			if most := g.settings.WorkerConnections; most > 0 && w.inFlight-w.standing >= most {
				full++
			}
		}
		if full < n {
			return ""
		}
		limit = fmt.Sprintf("worker_connections (%d) is reached in %s", g.settings.WorkerConnections, counted(n, "worker"))
	} else {
		if len(jobs) < g.slots {
			return ""
		}
		limit = fmt.Sprintf("the workers are busy with all they can run at once, %s (workers × threads)", counted(g.slots, "request"))
	}
	return limit + ", by " + describeBusyLocked(jobs, now)
}

// counted is a number of things.
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// begunLocked lists the requests that the workers of g run.
// +checklocks:q.mu
func (q *Queue) begunLocked(g *generation, now time.Time) []*Job {
	var jobs []*Job
	if len(g.multiplexed) > 0 {
		for _, j := range q.inFlight {
			if j.gen == g && j.assigned != nil && j.standing == 0 {
				jobs = append(jobs, j)
			}
		}
		return jobs
	}
	for _, w := range q.workers {
		if w.gen == g && w.active && !w.dead {
			jobs = append(jobs, q.runningLocked(w, now)...)
		}
	}
	return jobs
}

// describeBusyLocked counts requests by what they ask for: the most first.
func describeBusyLocked(jobs []*Job, now time.Time) string {
	byName := map[string]*busyKind{}
	for _, j := range jobs {
		d := j.describeLocked()
		name := d.Method + " " + d.Path[:min(len(d.Path), maxNamedPath)]
		k := byName[name]
		if k == nil {
			k = &busyKind{what: name, oldest: j.Start}
			byName[name] = k
		}
		k.count++
		if j.Start.Before(k.oldest) {
			k.oldest = j.Start
		}
	}
	all := slices.SortedFunc(maps.Values(byName), func(a, b *busyKind) int {
		return cmp.Or(b.count-a.count, a.oldest.Compare(b.oldest), strings.Compare(a.what, b.what))
	})
	var parts []string
	rest := len(jobs)
	for _, k := range all[:min(len(all), maxNamed)] {
		parts = append(parts, fmt.Sprintf("%d × %s (for up to %s)", k.count, k.what, now.Sub(k.oldest).Round(time.Second)))
		rest -= k.count
	}
	if rest > 0 {
		parts = append(parts, counted(rest, "other"))
	}
	return strings.Join(parts, ", ")
}
