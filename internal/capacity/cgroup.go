package capacity

import (
	"bytes"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// Read looks at the machine. root is the root directory, os.DirFS("/") or what
// stands for it, cpus the number of processors that this process may run on
// (runtime.NumCPU, which heeds the affinity).
func Read(root fs.FS, cpus int) Machine {
	m := Machine{CPUs: float64(cpus), Memory: totalMemory(root)}
	for _, g := range groups(root) {
		for _, dir := range g.path() {
			if quota, ok := g.quota(root, dir); ok && quota < m.CPUs {
				m.CPUs, m.Quota = quota, true
			}
			if limit, ok := g.memory(root, dir); ok && (m.Memory == 0 || limit < m.Memory) {
				m.Memory, m.Limit = limit, true
			}
		}
	}
	return m
}

// A group is where this process is in one hierarchy of control groups.
type group struct {
	mount string // the root of the hierarchy
	name  string // where the process is below it
	v2    bool
}

// groups reads /proc/self/cgroup: "0::/name" for version 2, and
// "4:cpu,cpuacct:/name" for each hierarchy of version 1.
func groups(root fs.FS) []group {
	data, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return nil
	}
	var list []group
	for line := range strings.Lines(string(data)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		name := path.Clean("/" + parts[2])[1:]
		if parts[0] == "0" && parts[1] == "" {
			// Beside version 1 it has no controllers, and is elsewhere.
			list = append(list, group{"sys/fs/cgroup", name, true})
			continue
		}
		for controller := range strings.SplitSeq(parts[1], ",") {
			if controller == "cpu" || controller == "memory" {
				list = append(list, group{"sys/fs/cgroup/" + controller, name, false})
			}
		}
	}
	return list
}

// path is the directory of the group and those above it: the least of their
// limits counts. Some do not exist, since a container sees the hierarchy from
// its own group on; the limit is then that of the root.
func (g group) path() []string {
	var dirs []string
	for name := g.name; ; name = path.Dir(name) {
		dirs = append(dirs, path.Join(g.mount, name))
		if name == "" || name == "." {
			return dirs
		}
	}
}

// quota is the number of processors whose time the group may use.
func (g group) quota(root fs.FS, dir string) (float64, bool) {
	var fields []string
	if g.v2 {
		fields = strings.Fields(text(root, dir+"/cpu.max")) // "max 100000" or "150000 100000"
	} else {
		fields = []string{text(root, dir+"/cpu.cfs_quota_us"), text(root, dir+"/cpu.cfs_period_us")} // -1 is none
	}
	if len(fields) != 2 {
		return 0, false
	}
	quota, err1 := strconv.ParseFloat(fields[0], 64)
	period, err2 := strconv.ParseFloat(fields[1], 64)
	if err1 != nil || err2 != nil || !(quota > 0) || !(period > 0) {
		return 0, false
	}
	return quota / period, true
}

// memory is the limit of the group in bytes. Version 1 writes no limit as a
// number that is larger than any machine.
func (g group) memory(root fs.FS, dir string) (int64, bool) {
	name := "/memory.limit_in_bytes"
	if g.v2 {
		name = "/memory.max"
	}
	n, err := strconv.ParseInt(text(root, dir+name), 10, 64)
	return n, err == nil && n > 0
}

func text(root fs.FS, name string) string {
	data, err := fs.ReadFile(root, name)
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(data))
}

// totalMemory is the memory of the machine, 0 if it is not known.
func totalMemory(root fs.FS) int64 {
	for line := range strings.Lines(text(root, "proc/meminfo")) {
		if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return n << 10
		}
	}
	return 0
}

// OOMKills is how many processes of this one's control group the kernel has ended for
// want of memory (memory.events of version 2, memory.oom_control of version 1), 0 where
// that cannot be told.
func OOMKills(root fs.FS) int {
	for _, g := range groups(root) {
		file := "/memory.events"
		if !g.v2 {
			file = "/memory.oom_control"
		}
		for _, dir := range g.path() {
			for line := range strings.Lines(text(root, dir+file)) {
				if fields := strings.Fields(line); len(fields) == 2 && fields[0] == "oom_kill" {
					if n, err := strconv.Atoi(fields[1]); err == nil {
						return n
					}
				}
			}
		}
	}
	return 0
}
