package top

import (
	"cmp"
	"slices"

	"indrik/internal/status"
)

// rates are what two statuses of one server tell together, per second.
type rates struct {
	known                     bool // there are two statuses
	requests, errors, refused float64
	workers                   map[int]workerRate // by age
}

// A workerRate is what a worker did, per second; cpu is the share of a processor.
type workerRate struct{ requests, errors, cpu float64 }

// ratesOf compares a status with one before it, which may be nil. What a worker had done when
// it ended between the two is not known, and not counted.
func ratesOf(before, now *status.Status) rates {
	r := rates{workers: map[int]workerRate{}}
	if before == nil || !sameServer(before, now) || now.Uptime <= before.Uptime {
		return r
	}
	r.known = true
	seconds := now.Uptime - before.Uptime
	old := make(map[int]status.Worker, len(before.Workers))
	for _, w := range before.Workers {
		old[w.Age] = w
	}
	for _, w := range now.Workers {
		was := old[w.Age]
		one := workerRate{
			requests: grown(was.Requests, w.Requests) / seconds,
			errors:   grown(was.Errors, w.Errors) / seconds,
			cpu:      grown(was.CPU, w.CPU) / seconds,
		}
		r.workers[w.Age] = one
		r.requests += one.requests
		r.errors += one.errors
	}
	if now.Front != nil {
		refused := 0
		if before.Front != nil && before.Front.PID == now.Front.PID {
			refused = before.Front.Queue.Refused
		}
		r.refused = grown(refused, now.Front.Queue.Refused) / seconds
	}
	return r
}

// sameServer reports whether two statuses are of one master.
func sameServer(a, b *status.Status) bool { return a.PID == b.PID && a.Started.Equal(b.Started) }

// grown returns by how much a counter has grown. One that is smaller than before has begun
// anew: the front that counts was replaced.
func grown[T int | float64](before, now T) float64 {
	if now < before {
		return float64(now)
	}
	return float64(now - before)
}

// A running is a request that runs, and the worker that runs it.
type running struct {
	status.Running
	pid, age int
}

// runningOf returns the requests that run, the longest first.
func runningOf(s *status.Status) []running {
	var all []running
	for _, w := range s.Workers {
		for _, r := range w.Running {
			all = append(all, running{r, w.PID, w.Age})
		}
	}
	slices.SortStableFunc(all, func(a, b running) int { return cmp.Compare(b.Seconds, a.Seconds) })
	return all
}
