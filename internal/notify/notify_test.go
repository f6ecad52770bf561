package notify

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"
)

func env(kv map[string]string) func(string) string {
	return func(name string) string { return kv[name] }
}

func manager(t *testing.T, name string) (*net.UnixConn, func() string) {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, func() string {
		t.Helper()
		b := make([]byte, 1024)
		c.SetReadDeadline(time.Now().Add(time.Minute))
		n, err := c.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
}

func TestMessages(t *testing.T) {
	names := []string{filepath.Join(t.TempDir(), "notify")}
	if runtime.GOOS == "linux" {
		names = append(names, fmt.Sprintf("@indrik-test-%d", os.Getpid()))
	}
	for _, name := range names {
		_, recv := manager(t, name)
		n := New(env(map[string]string{"NOTIFY_SOCKET": name}))
		for _, c := range []struct {
			err  error
			want string
		}{
			{n.Ready("Indrik\nserves"), "READY=1\nSTATUS=Indrik serves"},
			{n.Stopping(), "STOPPING=1"},
			{n.MainPID(17), "MAINPID=17"},
			{n.Ping(), "WATCHDOG=1"},
		} {
			if c.err != nil {
				t.Fatal(c.err)
			}
			if got := recv(); got != c.want {
				t.Errorf("%s: got %q, want %q", name, got, c.want)
			}
		}
		before, err := monotonic()
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Reloading(); err != nil {
			t.Fatal(err)
		}
		after, _ := monotonic()
		m := regexp.MustCompile(`^RELOADING=1\nMONOTONIC_USEC=(\d+)$`).FindStringSubmatch(recv())
		if m == nil {
			t.Fatal("no time in RELOADING")
		}
		if at, _ := strconv.ParseInt(m[1], 10, 64); at < before || at > after {
			t.Errorf("reloading at %d, not between %d and %d", at, before, after)
		}
	}
}

func TestNil(t *testing.T) {
	n := New(env(nil))
	if n != nil {
		t.Fatal("a notifier without a socket")
	}
	if err := errors.Join(n.Ready(""), n.Reloading(), n.Stopping(), n.MainPID(1), n.Ping()); err != nil {
		t.Error(err)
	}
	if n.Interval() != 0 {
		t.Error("a watchdog without a socket")
	}
}

func TestErrors(t *testing.T) {
	for _, name := range []string{filepath.Join(t.TempDir(), "none"), "vsock:2:1", "relative"} {
		if err := New(env(map[string]string{"NOTIFY_SOCKET": name})).Ping(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A manager that does not read must not hold up the master.
func TestFull(t *testing.T) {
	name := filepath.Join(t.TempDir(), "notify")
	manager(t, name)
	n := New(env(map[string]string{"NOTIFY_SOCKET": name}))
	done := make(chan error)
	go func() {
		for {
			if err := n.Ping(); err != nil {
				done <- err
				return
			}
		}
	}()
	select {
	case err := <-done:
		if !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.ENOBUFS) {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("the message blocks")
	}
}

func TestWatchdog(t *testing.T) {
	own := strconv.Itoa(os.Getpid())
	for _, c := range []struct {
		usec, pid string
		want      time.Duration
	}{
		{"30000000", own, 15 * time.Second},
		{"30000000", "", 15 * time.Second},
		{"30000000", "1", 0},
		{"", own, 0},
		{"x", own, 0},
		{"-5", own, 0},
	} {
		n := New(env(map[string]string{"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": c.usec, "WATCHDOG_PID": c.pid}))
		if got := n.Interval(); got != c.want {
			t.Errorf("%+v: interval %s", c, got)
		}
	}
}
