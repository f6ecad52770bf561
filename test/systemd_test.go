//go:build linux

package test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"indrik/test/harness"

	"golang.org/x/sys/unix"
)

// A notified is the end of NOTIFY_SOCKET that systemd holds.
type notified struct {
	t    *testing.T
	c    *net.UnixConn
	path string
	seen []string
}

func notifySocket(t *testing.T) *notified {
	t.Helper()
	path := filepath.Join(harness.TempDir(t), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	harness.Must(t, err)
	harness.Must(t, os.Chmod(path, 0o666))
	t.Cleanup(func() { c.Close() })
	return &notified{t: t, c: c, path: path}
}

// expect waits for a message with a line, and returns the message.
func (n *notified) expect(line string) map[string]string {
	n.t.Helper()
	n.c.SetReadDeadline(time.Now().Add(harness.Patience))
	buf := make([]byte, 4096)
	for {
		k, err := n.c.Read(buf)
		if err != nil {
			n.t.Fatalf("systemd was not told %s, only %q", line, n.seen)
		}
		text := string(buf[:k])
		n.seen = append(n.seen, text)
		if !strings.Contains("\n"+text+"\n", "\n"+line+"\n") {
			continue
		}
		message := map[string]string{}
		for l := range strings.Lines(text) {
			key, value, _ := strings.Cut(strings.TrimSpace(l), "=")
			message[key] = value
		}
		return message
	}
}

func TestNotify(t *testing.T) {
	t.Parallel()
	n := notifySocket(t)
	s := harness.Launch(t, harness.Options{
		App: "importing:app", Gates: []string{"import"}, Args: []string{"--pid", "srv.pid"},
		Env: []string{"NOTIFY_SOCKET=" + n.path},
	})
	s.Gates["import"].Entered()
	n.c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	buf := make([]byte, 4096)
	if k, err := n.c.Read(buf); err == nil && strings.Contains(string(buf[:k]), "READY=1") {
		t.Error("READY=1 before a worker is ready")
	}
	s.Gates["import"].Release()
	n.expect("READY=1")
	s.Get("/")

	var ts unix.Timespec
	harness.Must(t, unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts))
	s.Signal(syscall.SIGHUP)
	m := n.expect("RELOADING=1")
	if usec, err := strconv.ParseInt(m["MONOTONIC_USEC"], 10, 64); err != nil || usec < ts.Nano()/1000 || usec > ts.Nano()/1000+60e6 {
		t.Errorf("MONOTONIC_USEC is %q, the clock was at %d", m["MONOTONIC_USEC"], ts.Nano()/1000)
	}
	n.expect("READY=1")

	old := s.PID()
	u := upgrade(s, 1)
	s.Signal(syscall.SIGTERM)
	n.expect(fmt.Sprintf("MAINPID=%d", u.successor))
	harness.WaitGone(t, old)
	u.become()
	harness.Kill(t, u.successor, syscall.SIGTERM)
	n.expect("STOPPING=1")
	harness.WaitGone(t, u.successor)
}

func TestNotifyOfAReloadThatFails(t *testing.T) {
	t.Parallel()
	n := notifySocket(t)
	s := harness.Start(t, harness.Options{Conf: "workers = 1\n", Env: []string{"NOTIFY_SOCKET=" + n.path}})
	n.expect("READY=1")
	s.WriteFile("gunicorn.conf.py", "broken =\n")
	s.Signal(syscall.SIGHUP)
	n.expect("RELOADING=1")
	n.expect("READY=1") // or systemd would wait for the end of the reload
	s.Terminate()
	n.expect("STOPPING=1")
}

func TestWatchdog(t *testing.T) {
	t.Parallel()
	n := notifySocket(t)
	s := harness.Start(t, harness.Options{Env: []string{"NOTIFY_SOCKET=" + n.path, "WATCHDOG_USEC=400000"}})
	n.expect("READY=1")
	for range 4 {
		n.expect("WATCHDOG=1")
	}
	s.Terminate()
}

func TestActivationIsNotForTheApp(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{
		App: "webapp:app", Env: []string{"LISTEN_PID=1", "LISTEN_FDS=1"},
		Files: map[string]string{"webapp.py": `import os
def app(environ, start_response):
    start_response("200 OK", [])
    return [repr([k for k in os.environ if k.startswith(("LISTEN_", "INDRIK_ROLE", "GUNICORN_"))]).encode()]
`},
	})
	if got := s.Get("/"); got != "[]" {
		t.Errorf("the app sees %s", got)
	}
	s.Terminate()
}

// activated starts a server as systemd does with a .socket unit. LISTEN_PID
// must be the server's own pid, which a shell knows before it turns into it.
func activated(t *testing.T, o harness.Options, sockets ...*os.File) *harness.Server {
	t.Helper()
	o.Wrap = []string{"/bin/sh", "-c", `LISTEN_PID=$$ exec "$@"`, "sh"}
	o.Env = append(o.Env, fmt.Sprintf("LISTEN_FDS=%d", len(sockets)), "LISTEN_FDNAMES="+strings.Repeat("web:", len(sockets)-1)+"web")
	o.Extra = sockets
	return harness.Launch(t, o)
}

func TestSocketActivation(t *testing.T) {
	t.Parallel()
	dir := harness.TempDir(t)
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	harness.Must(t, err)
	uds, err := net.ListenUnix("unix", &net.UnixAddr{Name: dir + "/web.sock"})
	harness.Must(t, err)
	uds.SetUnlinkOnClose(false)
	tcpFile, err := tcp.(*net.TCPListener).File()
	harness.Must(t, err)
	udsFile, err := uds.File()
	harness.Must(t, err)
	addr := tcp.Addr().String()
	tcp.Close()
	uds.Close()
	defer tcpFile.Close()
	defer udsFile.Close()

	s := activated(t, harness.Options{
		App: "webapp:app", Files: map[string]string{"webapp.py": versioned("1")}, Bind: []string{"127.0.0.1:1"},
		Args: []string{"--pid", "srv.pid"},
	}, tcpFile, udsFile)
	s.MoveTo(addr)
	s.Ready()
	s.Log.Expect(t, `Listening at: http://`+addr+`,unix:`+dir+`/web\.sock `)
	k, o := s.BothLoads(2)
	both := func() {
		t.Helper()
		k.Progress(10)
		c, err := harness.Dial("unix", dir+"/web.sock")
		harness.Must(t, err)
		c.Do(t, "GET", "/", "")
		c.Close()
	}
	both()
	s.Reload(1)
	both()
	old := s.PID()
	u := upgrade(s, 1)
	both()
	s.Signal(syscall.SIGTERM)
	harness.WaitGone(t, old)
	u.become()
	both()
	harness.ExpectNoneLost(t, k, o)
	harness.Kill(t, u.successor, syscall.SIGTERM)
	harness.WaitGone(t, u.successor)
	if _, err := os.Stat(dir + "/web.sock"); err != nil {
		t.Errorf("the socket of systemd was removed: %v", err)
	}
}

func TestSocketActivationOfSomebodyElse(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	harness.Must(t, err)
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	harness.Must(t, err)
	defer f.Close()
	s := harness.Start(t, harness.Options{Env: []string{"LISTEN_PID=1", "LISTEN_FDS=1"}, Extra: []*os.File{f}})
	s.Get("/") // on its own port
	s.Terminate()
}
