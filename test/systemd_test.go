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
	path := filepath.Join(tempDir(t), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	must(t, err)
	must(t, os.Chmod(path, 0o666))
	t.Cleanup(func() { c.Close() })
	return &notified{t: t, c: c, path: path}
}

// expect waits for a message with a line, and returns the message.
func (n *notified) expect(line string) map[string]string {
	n.t.Helper()
	n.c.SetReadDeadline(time.Now().Add(patience))
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
	s := launch(t, options{
		app: "importing:app", gates: []string{"import"}, args: []string{"--pid", "srv.pid"},
		env: []string{"NOTIFY_SOCKET=" + n.path},
	})
	s.gates["import"].entered()
	n.c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	buf := make([]byte, 4096)
	if k, err := n.c.Read(buf); err == nil && strings.Contains(string(buf[:k]), "READY=1") {
		t.Error("READY=1 before a worker is ready")
	}
	s.gates["import"].release()
	n.expect("READY=1")
	s.get("/")

	var ts unix.Timespec
	must(t, unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts))
	s.signal(syscall.SIGHUP)
	m := n.expect("RELOADING=1")
	if usec, err := strconv.ParseInt(m["MONOTONIC_USEC"], 10, 64); err != nil || usec < ts.Nano()/1000 || usec > ts.Nano()/1000+60e6 {
		t.Errorf("MONOTONIC_USEC is %q, the clock was at %d", m["MONOTONIC_USEC"], ts.Nano()/1000)
	}
	n.expect("READY=1")

	old := s.pid()
	u := s.upgrade(1)
	s.signal(syscall.SIGTERM)
	n.expect(fmt.Sprintf("MAINPID=%d", u.successor))
	waitGone(t, old)
	u.become()
	kill(t, u.successor, syscall.SIGTERM)
	n.expect("STOPPING=1")
	waitGone(t, u.successor)
}

func TestNotifyOfAReloadThatFails(t *testing.T) {
	t.Parallel()
	n := notifySocket(t)
	s := start(t, options{conf: "workers = 1\n", env: []string{"NOTIFY_SOCKET=" + n.path}})
	n.expect("READY=1")
	s.write("gunicorn.conf.py", "broken =\n")
	s.signal(syscall.SIGHUP)
	n.expect("RELOADING=1")
	n.expect("READY=1") // or systemd would wait for the end of the reload
	s.terminate()
	n.expect("STOPPING=1")
}

func TestWatchdog(t *testing.T) {
	t.Parallel()
	n := notifySocket(t)
	s := start(t, options{env: []string{"NOTIFY_SOCKET=" + n.path, "WATCHDOG_USEC=400000"}})
	n.expect("READY=1")
	for range 4 {
		n.expect("WATCHDOG=1")
	}
	s.terminate()
}

func TestActivationIsNotForTheApp(t *testing.T) {
	t.Parallel()
	s := start(t, options{
		app: "webapp:app", env: []string{"LISTEN_PID=1", "LISTEN_FDS=1"},
		files: map[string]string{"webapp.py": `import os
def app(environ, start_response):
    start_response("200 OK", [])
    return [repr([k for k in os.environ if k.startswith(("LISTEN_", "INDRIK_ROLE", "GUNICORN_"))]).encode()]
`},
	})
	if got := s.get("/"); got != "[]" {
		t.Errorf("the app sees %s", got)
	}
	s.terminate()
}

// activated starts a server as systemd does with a .socket unit. LISTEN_PID
// must be the server's own pid, which a shell knows before it turns into it.
func activated(t *testing.T, o options, sockets ...*os.File) *server {
	t.Helper()
	o.wrap = []string{"/bin/sh", "-c", `LISTEN_PID=$$ exec "$@"`, "sh"}
	o.env = append(o.env, fmt.Sprintf("LISTEN_FDS=%d", len(sockets)), "LISTEN_FDNAMES="+strings.Repeat("web:", len(sockets)-1)+"web")
	o.extra = sockets
	return launch(t, o)
}

func TestSocketActivation(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	uds, err := net.ListenUnix("unix", &net.UnixAddr{Name: dir + "/web.sock"})
	must(t, err)
	uds.SetUnlinkOnClose(false)
	tcpFile, err := tcp.(*net.TCPListener).File()
	must(t, err)
	udsFile, err := uds.File()
	must(t, err)
	addr := tcp.Addr().String()
	tcp.Close()
	uds.Close()
	defer tcpFile.Close()
	defer udsFile.Close()

	s := activated(t, options{
		app: "webapp:app", files: map[string]string{"webapp.py": versioned("1")}, bind: []string{"127.0.0.1:1"},
		args: []string{"--pid", "srv.pid"},
	}, tcpFile, udsFile)
	s.o.bind = []string{addr}
	s.ready()
	s.log.expect(t, `Listening at: http://`+addr+`,unix:`+dir+`/web\.sock `)
	k, o := s.bothLoads(2)
	both := func() {
		t.Helper()
		k.progress(10)
		c, err := dial("unix", dir+"/web.sock")
		must(t, err)
		c.do(t, "GET", "/", "")
		c.Close()
	}
	both()
	s.reload(1)
	both()
	old := s.pid()
	u := s.upgrade(1)
	both()
	s.signal(syscall.SIGTERM)
	waitGone(t, old)
	u.become()
	both()
	expectNoneLost(t, k, o)
	kill(t, u.successor, syscall.SIGTERM)
	waitGone(t, u.successor)
	if _, err := os.Stat(dir + "/web.sock"); err != nil {
		t.Errorf("the socket of systemd was removed: %v", err)
	}
}

func TestSocketActivationOfSomebodyElse(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	must(t, err)
	defer f.Close()
	s := start(t, options{env: []string{"LISTEN_PID=1", "LISTEN_FDS=1"}, extra: []*os.File{f}})
	s.get("/") // on its own port
	s.terminate()
}
