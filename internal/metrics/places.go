package metrics

import "indrik/internal/status"

// places gives workers the numbers that their metrics are labelled with: each has the lowest
// number that is free. So there are no more series than workers at one time, although workers
// are replaced for ever.
type places struct{ byAge map[int]int }

// of returns the places of workers, by age. Those of all others become free.
func (p *places) of(workers []status.Worker) map[int]int {
	next := make(map[int]int, len(workers))
	taken := make(map[int]bool, len(workers))
	for i := range workers {
		if place, known := p.byAge[workers[i].Age]; known {
			next[workers[i].Age], taken[place] = place, true
		}
	}
	free := 0
	for i := range workers {
		if _, known := next[workers[i].Age]; known {
			continue
		}
		for taken[free] {
			free++
		}
		next[workers[i].Age], taken[free] = free, true
	}
	p.byAge = next
	return next
}
