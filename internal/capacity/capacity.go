// Package capacity says how much of the machine this process may use, and how
// many workers that is good for: what workers = auto means.
//
// [Read] looks at the affinity and the limits of the control groups (version 1
// and 2, see cgroups(7)); [Machine.Workers] is the policy, without any system
// behind it. Nothing here fails: what cannot be read is no limit.
package capacity

import (
	"fmt"
	"math"
)

// PerWorker is the memory that the policy counts for one worker: what a Django
// or Flask app of some size takes once it has warmed up.
const PerWorker = 256 << 20

// A Machine is what a process may use.
type Machine struct {
	CPUs   float64 // processors, or the part of one
	Quota  bool    // CPUs is a quota of a control group, not a number of processors
	Memory int64   // bytes; 0 if it is not known
	Limit  bool    // Memory is a limit of a control group, not all there is
}

// Workers returns how many workers to run, at least 1, and why, for the log.
//
// Workers that run one request at a time wait for databases and other servers
// much of that time, so that there are two for each processor, and one more.
// Workers that run many requests at once keep a processor busy each.
// Then all of them must have room in the memory.
func (m Machine) Workers(concurrent bool) (n int, why string) {
	cpus := fmt.Sprintf("%.3g CPUs", m.CPUs)
	if m.Quota {
		cpus += " by the quota"
	}
	if concurrent {
		n = int(math.Ceil(m.CPUs))
		why = "one for each of " + cpus
	} else {
		n = int(2*m.CPUs) + 1
		why = "two for each of " + cpus + ", and one more"
	}
	n = max(n, 1)
	if m.Memory <= 0 {
		return n, why
	}
	memory := fmt.Sprintf("%d MiB of memory", m.Memory>>20)
	if m.Limit {
		memory += " by the limit"
	}
	room := max(1, int(m.Memory/PerWorker))
	if room < n {
		return room, fmt.Sprintf("as many as %s have room for, at %d MiB each; it would be %d, %s", memory, PerWorker>>20, n, why)
	}
	return n, fmt.Sprintf("%s; %s have room for %d", why, memory, room)
}
