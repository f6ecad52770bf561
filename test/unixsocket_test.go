//go:build linux

package test

import (
	"net"
	"os"
	"regexp"
	"syscall"
	"testing"
)

func TestUnixSocket(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "echo:app", bind: []string{"unix:DIR/web.sock"}, args: []string{"--umask", "0o077"}})
	s.log.expectFrom(t, 0, `Listening at: unix:`+regexp.QuoteMeta(s.path("web.sock"))+` \(\d+\)$`)
	st, err := os.Stat(s.path("web.sock"))
	must(t, err)
	if st.Mode().Perm() != 0o700 {
		t.Errorf("the socket has mode %v", st.Mode())
	}
	k, o := s.bothLoads(2)
	s.reload(1)
	after, err := os.Stat(s.path("web.sock"))
	if err != nil || !os.SameFile(st, after) {
		t.Errorf("a reload replaced the socket: %v", err)
	}
	expectNoneLost(t, k, o)
	s.terminate()
	if _, err := os.Stat(s.path("web.sock")); err == nil {
		t.Error("the socket is still there")
	}
}

func TestUnixSocketMode(t *testing.T) {
	t.Parallel()
	s := start(t, options{bind: []string{"unix:DIR/web.sock"}})
	st, err := os.Stat(s.path("web.sock"))
	must(t, err)
	if st.Mode().Perm() != 0o777 {
		t.Errorf("the socket has mode %v", st.Mode())
	}
	s.terminate()
}

func TestStaleUnixSocket(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: dir + "/web.sock"})
	must(t, err)
	l.SetUnlinkOnClose(false)
	l.Close()
	s := start(t, options{bind: []string{"unix:" + dir + "/web.sock"}})
	s.get("/")
	s.terminate()
}

func TestLiveUnixSocket(t *testing.T) {
	t.Parallel()
	// The socket of another server is refused, and stays in service.
	if testing.Short() {
		t.Skip("takes five seconds")
	}
	s := start(t, options{bind: []string{"unix:DIR/web.sock"}})
	second := launch(t, options{bind: []string{"unix:" + s.path("web.sock")}})
	second.expectExit(1)
	second.log.expect(t, `\[ERROR\] Connection in use: `+regexp.QuoteMeta(s.path("web.sock")))
	second.log.expect(t, `\[ERROR\] Can't connect to `+regexp.QuoteMeta(s.path("web.sock")))
	s.get("/")
	s.terminate()
}

func TestUnixSocketOfASuccessor(t *testing.T) {
	t.Parallel()
	// A server that ends leaves alone a socket that another one made since.
	s := start(t, options{bind: []string{"unix:DIR/web.sock"}, mayLeave: true})
	must(t, os.Remove(s.path("web.sock")))
	second := start(t, options{bind: []string{"unix:" + s.path("web.sock")}})
	s.signal(syscall.SIGTERM)
	s.expectExit(0)
	if _, err := os.Stat(s.path("web.sock")); err != nil {
		t.Fatal(err)
	}
	second.get("/")
	second.terminate()
}

func TestDescriptor(t *testing.T) {
	t.Parallel()
	// fd://3, a socket that whoever starts the server has opened.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	f, err := l.(*net.TCPListener).File()
	must(t, err)
	addr := l.Addr().String()
	l.Close()
	s := launch(t, options{app: "echo:app", bind: []string{"fd://3"}, extra: []*os.File{f}})
	f.Close()
	s.o.bind = []string{addr}
	s.ready()
	s.log.expectFrom(t, 0, `Listening at: http://`+regexp.QuoteMeta(addr)+` `)
	k, o := s.bothLoads(2)
	s.reload(1)
	expectNoneLost(t, k, o)
	s.terminate()
}
