package master

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"indrik/internal/wire"
)

func TestObituary(t *testing.T) {
	report := wire.FromFront{Type: wire.TypeLost, Age: 1, Served: 812, Running: []wire.Running{{Method: "GET", Path: "/report", Seconds: 4.1}}}
	for _, c := range []struct {
		o    obituary
		msg  wire.FromFront
		want string
	}{
		{obituary{how: "was sent SIGKILL", pid: 7, lived: 3*time.Hour + time.Minute, peak: 2 << 20, oom: 1}, report,
			"Worker (pid:7) was sent SIGKILL after 3 h and 812 requests, while it ran GET /report (4.1 s). " +
				"Out of memory: oom_kill 1 in its control group. Its RSS was at most 2.0 GiB."},
		{obituary{how: "was sent SIGSEGV", pid: 7, lived: 50 * time.Hour, stack: "Fatal Python error: x\n  File"}, report,
			"Worker (pid:7) was sent SIGSEGV after 2 days and 812 requests, while it ran GET /report (4.1 s).\nFatal Python error: x\n  File"},
		{obituary{how: "exited with code 3", pid: 7, lived: 5 * time.Minute, peak: 30 << 10}, wire.FromFront{Type: wire.TypeLost, Served: 1},
			"Worker (pid:7) exited with code 3 after 5 min and 1 request. Its RSS was at most 30 MiB."},
		{obituary{how: "was sent SIGKILL", pid: 7, lived: 1500 * time.Millisecond}, wire.FromFront{},
			"Worker (pid:7) was sent SIGKILL after 1.5 s."},
		{obituary{how: "was sent SIGKILL", pid: 7, lived: time.Minute}, wire.FromFront{Type: wire.TypeLost, Others: 2, Running: []wire.Running{
			{Method: "GET", Path: "/a", Seconds: 1}, {Method: "POST", Path: "/b", Seconds: 0.25}}},
			"Worker (pid:7) was sent SIGKILL after 60.0 s and 0 requests, while it ran GET /a (1.0 s), POST /b (0.2 s) and 2 others."},
	} {
		if got := c.o.text(c.msg); got != c.want {
			t.Errorf("\n got %q\nwant %q", got, c.want)
		}
	}
}

func TestCrashStack(t *testing.T) {
	for text, want := range map[string]string{
		"": "",
		"Thread 0x1 (most recent call first):\n  File \"a.py\", line 1 in f\n":                                               "",
		"Thread 0x1:\n  File\nFatal Python error: Segmentation fault\n\nCurrent thread 0x1:\n  File \"a.py\", line 2 in g\n": "Fatal Python error: Segmentation fault\n\nCurrent thread 0x1:\n  File \"a.py\", line 2 in g",
	} {
		path := filepath.Join(t.TempDir(), "dump")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if got := crashStack(f); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
	if crashStack(nil) != "" {
		t.Error("a stack of nothing")
	}
}
