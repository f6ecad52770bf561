package capacity

import (
	"io/fs"
	"strconv"
	"strings"
)

// A Use is how much memory is in use, of what may be.
type Use struct {
	Used     int64   // bytes, without what the kernel can drop at once (the inactive page cache)
	Limit    int64   // bytes; 0: not known
	Pressure float64 // percent of the last ten seconds in which processes waited for memory; 0 where the kernel does not say
}

// ReadUse looks at the memory of this process's control groups: of those with a limit the one
// that is nearest to it, or else at that of the machine. root is the root directory,
// os.DirFS("/") or what stands for it.
//
// The pressure is that of the control group in version 2 (memory.pressure), or else that of
// the machine (/proc/pressure/memory; kernel, Documentation/accounting/psi.rst).
func ReadUse(root fs.FS) Use {
	u := machineUse(root)
	pressure, ok := 0.0, false
	for _, g := range groups(root) {
		for _, dir := range g.path() {
			if p, has := someAvg10(text(root, dir+"/memory.pressure")); has && g.v2 && !ok {
				pressure, ok = p, true
			}
			limit, has := g.memory(root, dir)
			if !has || u.total > 0 && limit > u.total {
				continue // version 1 writes no limit as a number that is larger than any machine
			}
			if used, has := g.used(root, dir); has && u.isNearer(used, limit) {
				u.Used, u.Limit, u.group = used, limit, true
			}
		}
	}
	if !ok {
		pressure, _ = someAvg10(text(root, "proc/pressure/memory"))
	}
	return Use{Used: u.Used, Limit: u.Limit, Pressure: pressure}
}

// A candidate is the use of the machine or of a control group.
type candidate struct {
	Use
	total int64 // memory of the machine, 0: not known
	group bool
}

// isNearer reports whether a group that uses so much of its limit is nearer to it than what c
// has. The machine as a whole counts only where no group has a limit.
func (c *candidate) isNearer(used, limit int64) bool {
	return !c.group || float64(used)/float64(limit) > float64(c.Used)/float64(c.Limit)
}

// machineUse returns the use of the machine as a whole.
func machineUse(root fs.FS) candidate {
	c := candidate{total: totalMemory(root)}
	for line := range strings.Lines(text(root, "proc/meminfo")) {
		if rest, ok := strings.CutPrefix(line, "MemAvailable:"); ok && c.total > 0 {
			available, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			if err == nil && available >= 0 && available<<10 <= c.total {
				c.Used, c.Limit = c.total-available<<10, c.total
			}
		}
	}
	return c
}

// used returns what a group uses in bytes, without its inactive page cache.
func (g group) used(root fs.FS, dir string) (int64, bool) {
	current, inactive := "/memory.usage_in_bytes", "total_inactive_file"
	if g.v2 {
		current, inactive = "/memory.current", "inactive_file"
	}
	n, err := strconv.ParseInt(text(root, dir+current), 10, 64)
	if err != nil || n < 0 {
		return 0, false
	}
	for line := range strings.Lines(text(root, dir+"/memory.stat")) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] == inactive {
			if cache, err := strconv.ParseInt(fields[1], 10, 64); err == nil && cache >= 0 {
				return max(0, n-cache), true
			}
		}
	}
	return n, true
}

// someAvg10 returns the percentage in a file of PSI: "some avg10=1.50 avg60=…".
func someAvg10(psi string) (float64, bool) {
	line, _, _ := strings.Cut(psi, "\n")
	rest, ok := strings.CutPrefix(line, "some avg10=")
	number, _, _ := strings.Cut(rest, " ")
	p, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(p >= 0 && p <= 100) {
		return 0, false
	}
	return p, true
}
