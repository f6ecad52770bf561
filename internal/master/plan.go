package master

import "slices"

// A member is what the pool policy sees of a worker that takes requests, or
// will; workers that are on their way out are no members.
type member struct {
	age       int  // a later worker has a higher one
	ready     bool // has its app
	recycling bool // serves, but is to be replaced (max_requests)
}

// plan says how to bring a pool to its target: how many workers to start, and
// the ages of those to end.
//
// A worker to be replaced is ended only when its successor is ready, so that
// the number of ready workers never falls below the target for a planned
// reason. When there are too many, those that have not booted yet go first,
// the latest of them before the others, and then the oldest.
func plan(target int, pool []member) (start int, end []int) {
	var fresh, recycling []member
	ready := 0
	for _, m := range pool {
		if m.recycling {
			recycling = append(recycling, m)
		} else {
			fresh = append(fresh, m)
		}
		if m.ready {
			ready++
		}
	}
	slices.SortFunc(fresh, func(a, b member) int {
		switch {
		case a.ready != b.ready && !a.ready:
			return -1
		case a.ready != b.ready:
			return 1
		case a.ready:
			return a.age - b.age
		default:
			return b.age - a.age
		}
	})
	for len(fresh) > target {
		end = append(end, fresh[0].age)
		if fresh[0].ready {
			ready--
		}
		fresh = fresh[1:]
	}
	slices.SortFunc(recycling, func(a, b member) int { return a.age - b.age })
	for _, m := range recycling {
		if ready <= target && target > 0 {
			break
		}
		end = append(end, m.age)
		ready--
	}
	return target - len(fresh), end
}
