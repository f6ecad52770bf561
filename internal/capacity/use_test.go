package capacity

import (
	"os"
	"testing"
	"testing/fstest"
)

func TestReadUse(t *testing.T) {
	const available = "MemTotal:       1000 kB\nMemFree:        1 kB\nMemAvailable:    400 kB"
	for _, c := range []struct {
		name string
		root fstest.MapFS
		want Use
	}{
		{"nothing at all", fstest.MapFS{}, Use{}},
		{"the machine", root("proc/meminfo", available, "proc/pressure/memory", "some avg10=1.50 avg60=2.00 avg300=0.00 total=1\nfull avg10=9.00"),
			Use{600 << 10, 1000 << 10, 1.5}},
		{"version 2", root("proc/meminfo", available, "proc/self/cgroup", "0::/app", "sys/fs/cgroup/app/memory.max", "1000", "sys/fs/cgroup/app/memory.current", "900",
			"sys/fs/cgroup/app/memory.stat", "anon 1\ninactive_file 150\nactive_file 7", "sys/fs/cgroup/app/memory.pressure", "some avg10=12.25 avg60=0\nfull avg10=0.00",
			"proc/pressure/memory", "some avg10=99.00 avg60=0"), Use{750, 1000, 12.25}},
		{"version 2 in a container", root("proc/self/cgroup", "0::/", "sys/fs/cgroup/memory.max", "1000", "sys/fs/cgroup/memory.current", "900"), Use{900, 1000, 0}},
		{"a slice that is nearer to its limit", root("proc/self/cgroup", "0::/a.slice/b.service",
			"sys/fs/cgroup/a.slice/memory.max", "4000", "sys/fs/cgroup/a.slice/memory.current", "3900", "sys/fs/cgroup/a.slice/memory.pressure", "some avg10=50.00 ",
			"sys/fs/cgroup/a.slice/b.service/memory.max", "1000", "sys/fs/cgroup/a.slice/b.service/memory.current", "100",
			"sys/fs/cgroup/a.slice/b.service/memory.pressure", "some avg10=3.00 "), Use{3900, 4000, 3}},
		{"version 2 without a limit", root("proc/meminfo", available, "proc/self/cgroup", "0::/", "sys/fs/cgroup/memory.max", "max", "sys/fs/cgroup/memory.current", "900"),
			Use{600 << 10, 1000 << 10, 0}},
		{"version 1", root("proc/meminfo", available, "proc/self/cgroup", "4:memory:/app", "sys/fs/cgroup/memory/app/memory.limit_in_bytes", "2000", "sys/fs/cgroup/memory/app/memory.usage_in_bytes", "1500",
			"sys/fs/cgroup/memory/app/memory.stat", "inactive_file 1\ntotal_inactive_file 500", "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712",
			"sys/fs/cgroup/memory/memory.usage_in_bytes", "9223372036854771711", "proc/pressure/memory", "some avg10=4.00 avg60=0"), Use{1000, 2000, 4}},
		{"nonsense", root("proc/meminfo", "MemTotal: 10 kB\nMemAvailable: 99 kB", "proc/self/cgroup", "0::/", "sys/fs/cgroup/memory.max", "1000", "sys/fs/cgroup/memory.current", "x",
			"sys/fs/cgroup/memory.pressure", "some avg10=NaN", "proc/pressure/memory", "full avg10=1"), Use{}},
	} {
		if got := ReadUse(c.root); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestUseOfThisMachine(t *testing.T) {
	if u := ReadUse(os.DirFS("/")); u.Limit < 0 || u.Used < 0 || u.Used > u.Limit || u.Pressure < 0 || u.Pressure > 100 {
		t.Errorf("%+v", u)
	}
}

func FuzzUse(f *testing.F) {
	f.Add("900", "1000", "inactive_file 150", "some avg10=12.25 avg60=0")
	f.Fuzz(func(t *testing.T, current, limit, stat, pressure string) {
		u := ReadUse(root("proc/self/cgroup", "0::/", "sys/fs/cgroup/memory.current", current, "sys/fs/cgroup/memory.max", limit,
			"sys/fs/cgroup/memory.stat", stat, "sys/fs/cgroup/memory.pressure", pressure))
		if u.Used < 0 || u.Limit < 0 || !(u.Pressure >= 0 && u.Pressure <= 100) {
			t.Errorf("%+v", u)
		}
	})
}
