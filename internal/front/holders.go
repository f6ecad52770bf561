package front

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// This file says what holds the workers while requests wait for them.

const (
	// namedHolders is how many kinds of requests are named, and namedPath how much of
	// the path of each.
	namedHolders = 3
	namedPath    = 80
)

// A holder is requests of the same method and path that are with workers.
type holder struct {
	what   string
	count  int
	oldest time.Time
}

// holders describes what the workers that serve are busy with, "" if some have room.
func (q *queue) holders() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, g := range q.gens {
		if !g.serves() {
			continue
		}
		exs := q.begunLocked(g)
		var limit string
		if n := len(g.asgi); n > 0 {
			full := 0
			for _, w := range g.asgi {
				if most := g.cfg.WorkerConnections; most > 0 && w.inFlight-w.standing >= most {
					full++
				}
			}
			if full < n {
				return ""
			}
			limit = fmt.Sprintf("worker_connections (%d) is reached in %s", g.cfg.WorkerConnections, counted(n, "worker"))
		} else {
			if len(exs) < g.slots {
				return ""
			}
			limit = fmt.Sprintf("the workers are busy with all they can run at once, %s (workers × threads)", counted(g.slots, "request"))
		}
		return limit + ", by " + describeHolders(exs, time.Now())
	}
	return ""
}

// counted is a number of things.
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// begunLocked lists the requests that the workers of g run.
func (q *queue) begunLocked(g *generation) []*exchange {
	var exs []*exchange
	if len(g.asgi) > 0 {
		for _, ex := range q.inFlight {
			if ex.gen == g && ex.at != nil && ex.standing == 0 {
				exs = append(exs, ex)
			}
		}
		return exs
	}
	for _, w := range q.workers {
		if w.gen == g && w.active && !w.dead {
			exs = append(exs, q.running(w, time.Now())...)
		}
	}
	return exs
}

// describeHolders counts requests by what they ask for: the most first.
func describeHolders(exs []*exchange, now time.Time) string {
	byName := map[string]*holder{}
	for _, ex := range exs {
		name := fmt.Sprintf("%s %s", ex.req.Method, ex.req.Path[:min(len(ex.req.Path), namedPath)])
		h := byName[name]
		if h == nil {
			h = &holder{what: name, oldest: ex.start}
			byName[name] = h
		}
		h.count++
		if ex.start.Before(h.oldest) {
			h.oldest = ex.start
		}
	}
	var all []*holder
	for _, h := range byName {
		all = append(all, h)
	}
	slices.SortFunc(all, func(a, b *holder) int {
		return cmp.Or(b.count-a.count, a.oldest.Compare(b.oldest), strings.Compare(a.what, b.what))
	})
	var parts []string
	rest := len(exs)
	for _, h := range all[:min(len(all), namedHolders)] {
		parts = append(parts, fmt.Sprintf("%d × %s (for up to %s)", h.count, h.what, now.Sub(h.oldest).Round(time.Second)))
		rest -= h.count
	}
	if rest > 0 {
		parts = append(parts, counted(rest, "other"))
	}
	return strings.Join(parts, ", ")
}
