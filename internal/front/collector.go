package front

import (
	"runtime/debug"
	"sync"
)

// watchHeld tells the collector how much is held for clients.
func (s *server) watchHeld(held int64) (mark int64) { return s.collector.Load().follow(held) }

const (
	// The garbage collector runs when the heap has grown by usualGarbage per cent since it
	// ran last: the live heap is small, a few kilobytes for each connection, so with Go's
	// default of 100 this process would do little else. As more is held for clients the
	// percentage goes down to minGarbage, so that garbage stays below maxGarbage for as
	// long as that is possible.
	usualGarbage = 400
	minGarbage   = 50
	maxGarbage   = 64 << 20
	// ownMemory is what this process needs besides the memory that is held for clients.
	ownMemory = 64 << 20
	// muchHeld is how much less must be held than before to give memory back to the
	// system.
	muchHeld = 8 << 20
)

// A collector sets how often garbage is collected.
type collector struct {
	mu sync.Mutex
	// +checklocks:mu
	percent int  // 0: the environment says it
	limited bool // this process sets the limit of all its memory
}

// newCollector returns a collector that sets what the environment does not say: GOGC and
// GOMEMLIMIT take precedence.
func newCollector(getenv func(string) string) *collector {
	g := &collector{limited: getenv("GOMEMLIMIT") == ""}
	if getenv("GOGC") == "" {
		g.percent = usualGarbage
		debug.SetGCPercent(g.percent)
	}
	return g
}

// garbage returns how many per cent of garbage there may be while so much is held.
func garbage(held int64) int {
	return int(min(max(minGarbage, 100*maxGarbage/max(held, 1)), usualGarbage))
}

// follow sets the percentage for what is held now, and returns how much will be held when
// follow is to be called again.
func (g *collector) follow(held int64) (mark int64) {
	mark = held + held/4 + maxGarbage/8
	if g == nil {
		return mark
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if p := garbage(held); g.percent != 0 && p != g.percent {
		g.percent = p
		debug.SetGCPercent(p)
	}
	return mark
}

// limit sets a limit for all memory of this process; close to it garbage is collected more
// often.
func (g *collector) limit(held int64) {
	if g != nil && g.limited {
		debug.SetMemoryLimit(held + held/4 + ownMemory)
	}
}
