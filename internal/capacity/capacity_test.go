package capacity

import (
	"os"
	"runtime"
	"testing"
	"testing/fstest"
)

const (
	meminfo = "MemTotal:       16384000 kB\nMemFree:        1 kB\n"
	all     = 16384000 << 10
)

func root(files ...string) fstest.MapFS {
	m := fstest.MapFS{"proc/meminfo": {Data: []byte(meminfo)}}
	for i := 0; i < len(files); i += 2 {
		m[files[i]] = &fstest.MapFile{Data: []byte(files[i+1] + "\n")}
	}
	return m
}

func TestRead(t *testing.T) {
	const v1 = "5:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n1:name=systemd:/\n0::/"
	for _, c := range []struct {
		name string
		root fstest.MapFS
		want Machine
	}{
		{"no cgroups", root(), Machine{8, false, all, false}},
		{"nothing at all", fstest.MapFS{}, Machine{8, false, 0, false}},
		{"version 2", root("proc/self/cgroup", "0::/", "sys/fs/cgroup/cpu.max", "150000 100000", "sys/fs/cgroup/memory.max", "536870912"),
			Machine{1.5, true, 512 << 20, true}},
		{"version 2 without limits", root("proc/self/cgroup", "0::/", "sys/fs/cgroup/cpu.max", "max 100000", "sys/fs/cgroup/memory.max", "max"),
			Machine{8, false, all, false}},
		{"a unit of systemd in a slice with a lower limit", root("proc/self/cgroup", "0::/a.slice/b.service",
			"sys/fs/cgroup/a.slice/cpu.max", "200000 100000", "sys/fs/cgroup/a.slice/b.service/cpu.max", "300000 100000",
			"sys/fs/cgroup/a.slice/memory.max", "1073741824", "sys/fs/cgroup/a.slice/b.service/memory.max", "max"),
			Machine{2, true, 1 << 30, true}},
		{"a quota above the affinity", root("proc/self/cgroup", "0::/", "sys/fs/cgroup/cpu.max", "1600000 100000"), Machine{8, false, all, false}},
		{"a limit above the memory", root("proc/self/cgroup", "0::/", "sys/fs/cgroup/memory.max", "99999999999999"), Machine{8, false, all, false}},
		{"version 1", root("proc/self/cgroup", v1, "sys/fs/cgroup/cpu/docker/x/cpu.cfs_quota_us", "50000", "sys/fs/cgroup/cpu/docker/x/cpu.cfs_period_us", "100000",
			"sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", "268435456"), Machine{0.5, true, 256 << 20, true}},
		{"version 1 in a container", root("proc/self/cgroup", v1, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "400000", "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000",
			"sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824"), Machine{4, true, 1 << 30, true}},
		{"version 1 without limits", root("proc/self/cgroup", v1, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1", "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000",
			"sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712"), Machine{8, false, all, false}},
		{"outside of its namespace", root("proc/self/cgroup", "0::/../../x", "sys/fs/cgroup/cpu.max", "100000 100000"), Machine{1, true, all, false}},
		{"nonsense", root("proc/self/cgroup", "0:\n::\n0::/x", "sys/fs/cgroup/x/cpu.max", "a b", "sys/fs/cgroup/cpu.max", "0 0", "sys/fs/cgroup/memory.max", "-5"),
			Machine{8, false, all, false}},
	} {
		if got := Read(c.root, 8); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

// Whatever this machine is, there is an answer.
func TestThisMachine(t *testing.T) {
	m := Read(os.DirFS("/"), runtime.NumCPU())
	if n, why := m.Workers(false); m.CPUs <= 0 || n < 1 || why == "" {
		t.Errorf("%+v: %d, %s", m, n, why)
	}
}

func TestWorkers(t *testing.T) {
	const gib = 1 << 30
	for _, c := range []struct {
		m          Machine
		concurrent bool
		n          int
		why        string
	}{
		{Machine{CPUs: 4}, false, 9, "two for each of 4 CPUs, and one more"},
		{Machine{CPUs: 4}, true, 4, "one for each of 4 CPUs"},
		{Machine{CPUs: 4, Memory: 16 * gib}, false, 9, "two for each of 4 CPUs, and one more; 16384 MiB of memory have room for 64"},
		{Machine{1.5, true, 2 * gib, true}, false, 4, "two for each of 1.5 CPUs by the quota, and one more; 2048 MiB of memory by the limit have room for 8"},
		{Machine{1.5, true, 2 * gib, true}, true, 2, "one for each of 1.5 CPUs by the quota; 2048 MiB of memory by the limit have room for 8"},
		{Machine{8, false, gib / 2, true}, false, 2,
			"as many as 512 MiB of memory by the limit have room for, at 256 MiB each; it would be 17, two for each of 8 CPUs, and one more"},
		{Machine{0.1, true, gib / 8, true}, false, 1, "two for each of 0.1 CPUs by the quota, and one more; 128 MiB of memory by the limit have room for 1"},
		{Machine{0.1, true, 0, false}, true, 1, "one for each of 0.1 CPUs by the quota"},
		{Machine{}, true, 1, "one for each of 0 CPUs"},
	} {
		if n, why := c.m.Workers(c.concurrent); n != c.n || why != c.why {
			t.Errorf("%+v, %v: %d, %s\nwant %d, %s", c.m, c.concurrent, n, why, c.n, c.why)
		}
	}
}

func TestOOMKills(t *testing.T) {
	for _, c := range []struct {
		name string
		root fstest.MapFS
		want int
	}{
		{"nothing", fstest.MapFS{}, 0},
		{"version 2", root("proc/self/cgroup", "0::/app", "sys/fs/cgroup/app/memory.events", "low 0\noom 3\noom_kill 2"), 2},
		{"version 2 in a container", root("proc/self/cgroup", "0::/x/y", "sys/fs/cgroup/memory.events", "oom_kill 5"), 5},
		{"version 1", root("proc/self/cgroup", "4:memory:/app", "sys/fs/cgroup/memory/app/memory.oom_control", "under_oom 0\noom_kill 1"), 1},
		{"nonsense", root("proc/self/cgroup", "0::/app", "sys/fs/cgroup/app/memory.events", "oom_kill x"), 0},
	} {
		if got := OOMKills(c.root); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}
