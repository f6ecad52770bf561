//go:build linux

package test

import (
	"net"
	"os"
	"regexp"
	"syscall"
	"testing"

	"indrik/test/harness"
)

func TestUnixSocket(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "echo:app", Bind: []string{"unix:DIR/web.sock"}, Args: []string{"--umask", "0o077"}})
	s.Log.ExpectFrom(t, 0, `Listening at: unix:`+regexp.QuoteMeta(s.Path("web.sock"))+` \(\d+\)$`)
	st, err := os.Stat(s.Path("web.sock"))
	harness.Must(t, err)
	if st.Mode().Perm() != 0o700 {
		t.Errorf("the socket has mode %v", st.Mode())
	}
	k, o := s.BothLoads(2)
	s.Reload(1)
	after, err := os.Stat(s.Path("web.sock"))
	if err != nil || !os.SameFile(st, after) {
		t.Errorf("a reload replaced the socket: %v", err)
	}
	harness.ExpectNoneLost(t, k, o)
	s.Terminate()
	if _, err := os.Stat(s.Path("web.sock")); err == nil {
		t.Error("the socket is still there")
	}
}

func TestUnixSocketMode(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Bind: []string{"unix:DIR/web.sock"}})
	st, err := os.Stat(s.Path("web.sock"))
	harness.Must(t, err)
	if st.Mode().Perm() != 0o777 {
		t.Errorf("the socket has mode %v", st.Mode())
	}
	s.Terminate()
}

func TestStaleUnixSocket(t *testing.T) {
	t.Parallel()
	dir := harness.TempDir(t)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: dir + "/web.sock"})
	harness.Must(t, err)
	l.SetUnlinkOnClose(false)
	l.Close()
	s := harness.Start(t, harness.Options{Bind: []string{"unix:" + dir + "/web.sock"}})
	s.Get("/")
	s.Terminate()
}

func TestLiveUnixSocket(t *testing.T) {
	t.Parallel()
	// The socket of another server is refused, and stays in service.
	if testing.Short() {
		t.Skip("takes five seconds")
	}
	s := harness.Start(t, harness.Options{Bind: []string{"unix:DIR/web.sock"}})
	second := harness.Launch(t, harness.Options{Bind: []string{"unix:" + s.Path("web.sock")}})
	second.ExpectExit(1)
	second.Log.Expect(t, `\[ERROR\] Connection in use: `+regexp.QuoteMeta(s.Path("web.sock")))
	second.Log.Expect(t, `\[ERROR\] Can't connect to `+regexp.QuoteMeta(s.Path("web.sock")))
	s.Get("/")
	s.Terminate()
}

func TestUnixSocketOfASuccessor(t *testing.T) {
	t.Parallel()
	// A server that ends leaves alone a socket that another one made since.
	s := harness.Start(t, harness.Options{Bind: []string{"unix:DIR/web.sock"}, MayLeave: true})
	harness.Must(t, os.Remove(s.Path("web.sock")))
	second := harness.Start(t, harness.Options{Bind: []string{"unix:" + s.Path("web.sock")}})
	s.Signal(syscall.SIGTERM)
	s.ExpectExit(0)
	if _, err := os.Stat(s.Path("web.sock")); err != nil {
		t.Fatal(err)
	}
	second.Get("/")
	second.Terminate()
}

// TestDescriptor: fd://3, a socket that whoever starts the server has opened. A successor gets
// it too, and knows it after a reload.
func TestDescriptor(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	harness.Must(t, err)
	f, err := l.(*net.TCPListener).File()
	harness.Must(t, err)
	addr := l.Addr().String()
	l.Close()
	s := harness.Launch(t, harness.Options{App: "echo:app", Bind: []string{"fd://3"}, Extra: []*os.File{f}, Args: []string{"--pid", "srv.pid"}})
	f.Close()
	s.MoveTo(addr)
	s.Ready()
	s.Log.ExpectFrom(t, 0, `Listening at: http://`+regexp.QuoteMeta(addr)+` `)
	k, o := s.BothLoads(2)
	s.Reload(1)
	u := upgrade(s, 1)
	s.Signal(syscall.SIGTERM)
	if code := s.Exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	u.become()
	u.Reload(1)
	k.Finish()
	o.Finish()
	harness.ExpectNoneLost(t, o)
	if sum := k.Finish(); sum.Losses() > 0 {
		t.Errorf("requests were lost: %v", sum)
	}
	s.Terminate()
}
