package proctree

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"
)

func stat(pid int, name string, parent, utime, stime, cutime, cstime int) string {
	return fmt.Sprintf("%d (%s) S %d 1 1 0 -1 4194560 1 2 3 4 %d %d %d %d 20 0 1 0 100 1000 10\n",
		pid, name, parent, utime, stime, cutime, cstime)
}

func TestTree(t *testing.T) {
	dir := t.TempDir()
	for pid, text := range map[int]string{
		1:  stat(1, "init", 0, 900, 900, 900, 900),
		10: stat(10, "master", 1, 1, 2, 3, 4),
		11: stat(11, "worker) R 1 (", 10, 10, 0, 0, 0),
		12: stat(12, "a worker", 10, 0, 20, 0, 0),
		13: stat(13, "grandchild", 12, 0, 0, 0, 5),
		20: stat(20, "other", 1, 500, 0, 0, 0),
	} {
		sub := filepath.Join(dir, fmt.Sprint(pid))
		if err := os.Mkdir(sub, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(sub, "stat"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	table, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	below := table.Below(10)
	slices.Sort(below)
	if want := []int{11, 12, 13}; !slices.Equal(below, want) {
		t.Errorf("below 10: %v, want %v", below, want)
	}
	if got, want := table.CPU(10), 450*time.Millisecond; got != want {
		t.Errorf("CPU = %v, want %v", got, want)
	}
	if got := table.CPU(99); got != 0 {
		t.Errorf("CPU of nobody = %v", got)
	}
}

func TestBusy(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]time.Duration{
		"cpu  1 2 3 1000 2000 4 5 6 7 8\ncpu0 9 9 9 9 9 9 9 9 9 9\n": 210 * time.Millisecond,
		"cpu  1 2 3\n":                -1,
		"cpu0 1 2 3 4 5 6 7 8 9 10\n": -1,
		"cpu  1 2 3 4 5 6 7 x 9 10\n": -1,
	} {
		if err := os.WriteFile(filepath.Join(dir, "stat"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := Busy(dir)
		if err != nil {
			got = -1
		}
		if got != want {
			t.Errorf("Busy of %q = %v (%v), want %v", text, got, err, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{"", "1", "1 (a", "x (a) S 1 2", "1 (a) S 1 2 3", stat(1, "a", 1, 1, 1, 1, 1)[:30]} {
		if p, err := parse([]byte(text)); err == nil {
			t.Errorf("parse(%q) = %v, want an error", text, p)
		}
	}
}

func TestReadSelf(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has this /proc")
	}
	table, err := Read("/proc")
	if err != nil {
		t.Fatal(err)
	}
	if p := table[os.Getpid()]; p.Parent != os.Getppid() {
		t.Errorf("parent = %d, want %d", p.Parent, os.Getppid())
	}
}

func TestPSS(t *testing.T) {
	for text, want := range map[string]int64{
		"": 0,
		"55d-7ff ---p 00000000 00:00 0 [rollup]\nRss:  8000 kB\nPss:      1234 kB\nPss_Dirty: 99 kB\n": 1234,
		"Rss:  8000 kB\n": -1,
	} {
		got, err := pss([]byte(text))
		if (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	if n, err := PSS("/proc", os.Getpid()); err != nil || n < 1<<20 {
		t.Errorf("PSS of this process: %d, %v", n, err)
	}
}

func TestWakeUps(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"10/task/10/status": "Name:\tmaster\nvoluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t900\n",
		"10/task/15/status": "voluntary_ctxt_switches:\t20\n",
		"11/task/11/status": "voluntary_ctxt_switches:\t300\n",
		"20/task/20/status": "voluntary_ctxt_switches:\t5000\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := WakeUps(dir, []int{10, 11, 99}); n != 327 || err != nil {
		t.Errorf("%d, %v, want 327", n, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "11/task/11/status"), []byte("Name:\tworker\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if n, err := WakeUps(dir, []int{11}); err == nil {
		t.Errorf("%d of a thread that does not say it", n)
	}
}
