package master

import "slices"

// A hostedApp is an app of a pool, and how many workers host it; 0: all.
type hostedApp struct {
	path    string
	workers int
}

// A poolMember is what the policy sees of a worker of a pool that is not on its way out.
type poolMember struct {
	age   int // a later worker has a higher one
	ready bool
	apps  []string // that it hosts
}

// hosts reports whether the worker hosts an app.
func (p poolMember) hosts(path string) bool { return slices.Contains(p.apps, path) }

// leastPoolWorkers is how many workers the apps of a pool need at least.
func leastPoolWorkers(apps []hostedApp) int {
	least := 1
	for _, app := range apps {
		least = max(least, app.workers)
	}
	return least
}

// planPool says how to bring a pool to its target: which apps each worker hosts that is to be
// started, and the ages of those to end. Each worker hosts the apps that all host, and those that
// lack workers. One that would host nothing is not started.
//
// Those that have not booted yet are ended first, then those that host the fewest of the apps that
// few host, so that these keep their workers, and among them the oldest.
func planPool(apps []hostedApp, target int, members []poolMember) (start [][]string, end []int) {
	hosts := map[string]int{}
	limited := func(m poolMember) (n int) {
		for _, app := range apps {
			if app.workers > 0 && m.hosts(app.path) {
				n++
			}
		}
		return n
	}
	members = slices.Clone(members)
	slices.SortFunc(members, func(a, b poolMember) int {
		switch {
		case a.ready != b.ready && b.ready:
			return -1
		case a.ready != b.ready:
			return 1
		case limited(a) != limited(b):
			return limited(a) - limited(b)
		case a.ready:
			return a.age - b.age
		}
		return b.age - a.age
	})
	for len(members) > target {
		end = append(end, members[0].age)
		members = members[1:]
	}
	for _, m := range members {
		for _, app := range m.apps {
			hosts[app]++
		}
	}
	for n := len(members); n < target; n++ {
		var set []string
		for _, app := range apps {
			if app.workers == 0 || hosts[app.path] < app.workers {
				set = append(set, app.path)
				hosts[app.path]++
			}
		}
		if len(set) == 0 {
			break
		}
		start = append(start, set)
	}
	return start, end
}
