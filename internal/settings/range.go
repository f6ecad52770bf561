package settings

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
)

// A WorkerRange is the value of workers that leaves the number to the load, such as 2..16.
type WorkerRange struct {
	Least    int  // 0: an idle server has no workers
	Most     int  // at least 1 and Least; if it is auto it is Least until WithMostWorkers says more
	MostAuto bool // Most is what the machine is good for
}

// String returns the range as it is written in the setting.
func (r WorkerRange) String() string {
	if r.MostAuto {
		return fmt.Sprintf("%d..%s", r.Least, auto)
	}
	return fmt.Sprintf("%d..%d", r.Least, r.Most)
}

// Clamp returns the number of the range that is nearest to n.
func (r WorkerRange) Clamp(n int) int { return min(max(n, r.Least), r.Most) }

// Start returns how many workers a server begins with, which is at least one: a server that
// starts has to find out whether its app can be imported.
func (r WorkerRange) Start() int { return max(1, r.Least) }

// mostWorkers bounds the ends of a range, so that a slip of the hand does not fill the machine.
const mostWorkers = 10_000

// isRange reports whether a text can only be meant as a range.
func isRange(text string) bool { return strings.Contains(text, "..") }

// ParseWorkerRange reads MIN..MAX, and MIN..auto.
func ParseWorkerRange(text string) (WorkerRange, error) {
	low, high, _ := strings.Cut(strings.TrimSpace(text), "..")
	wrong := func(why string) (WorkerRange, error) {
		return WorkerRange{}, fmt.Errorf("not a range of workers: %s: %s; it is MIN..MAX, such as 2..16 or 0..auto", pyRepr(text), why)
	}
	least, err := strconv.ParseUint(low, 10, 31)
	if err != nil {
		return wrong(pyRepr(low) + " is not a number")
	}
	if high == auto {
		return WorkerRange{Least: min(int(least), mostWorkers), Most: max(1, min(int(least), mostWorkers)), MostAuto: true}, nil
	}
	most, err := strconv.ParseUint(high, 10, 31)
	switch {
	case err != nil:
		return wrong(pyRepr(high) + " is neither a number nor auto")
	case most == 0:
		return wrong("there must be at least one worker at times")
	case most < least:
		return wrong("the second number is less than the first")
	case most > mostWorkers:
		return wrong(fmt.Sprintf("%d is more than %d", most, mostWorkers))
	}
	return WorkerRange{Least: int(least), Most: int(most)}, nil
}

// WorkerRange returns the range of workers, and reports whether there is one. Workers is then
// how many there are at first.
func (c *Config) WorkerRange() (WorkerRange, bool) {
	if c.scale == nil {
		return WorkerRange{}, false
	}
	return *c.scale, true
}

// WithMostWorkers returns a copy of c with that many workers at most in the place of auto; if
// it is fewer than the least number, that is the most, too.
func (c *Config) WithMostWorkers(n int) *Config {
	copied := *c
	r := *c.scale
	r.Most, r.MostAuto = max(1, n, r.Least), false
	copied.scale = &r
	copied.sources = maps.Clone(c.sources)
	copied.sources["workers"] += ": " + c.scale.String()
	return &copied
}
