package master

import (
	"slices"
	"time"
)

// A usage is what a process takes of the machine.
type usage struct {
	rss, pss int64 // bytes; 0: not known
	cpu      time.Duration
}

// usageWait is how long a status waits for what the processes take. After that it has what was known
// before.
const usageWait = time.Second

// A usageMeter knows what workers and templates took when somebody asked last. The kernel walks
// through all memory of a process for its PSS, with a lock that the process can hold: so a goroutine
// reads it, one for all who ask meanwhile.
type usageMeter struct {
	base
	known   map[int]usage // by pid
	reading bool
	waiting []*usageWaiter
}

// A usageWaiter is called when what is being read is known, or takes too long.
type usageWaiter struct {
	then  func()
	timer *time.Timer
}

// renew calls then once it is known what the processes take now, or when usageWait is over.
func (u *usageMeter) renew(pids []int, then func()) {
	w := &usageWaiter{then: then}
	w.timer = u.after(usageWait, func() {
		if i := slices.Index(u.waiting, w); i >= 0 {
			u.waiting = slices.Delete(u.waiting, i, i+1)
			then()
		}
	})
	u.waiting = append(u.waiting, w)
	if u.reading {
		return
	}
	u.reading = true
	go func() {
		read := make(map[int]usage, len(pids))
		for _, pid := range pids {
			var one usage
			one.rss, one.pss, one.cpu = u.sys.usage(pid)
			read[pid] = one
		}
		u.post(func() {
			waiting := u.waiting
			u.known, u.reading, u.waiting = read, false, nil
			for _, w := range waiting {
				w.timer.Stop()
				w.then()
			}
		})
	}()
}

// withUsage calls then once it is known what workers and templates take.
func (m *Master) withUsage(then func()) {
	var pids []int
	for _, w := range m.pool.workers {
		if w.pid != 0 {
			pids = append(pids, w.pid)
		}
	}
	for _, t := range m.refork.templates {
		pids = append(pids, t.w.pid)
	}
	m.usage.renew(pids, then)
}
