package listen

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func parse(t *testing.T, bind string) Address {
	t.Helper()
	a, err := Parse(bind)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

var defaults = Options{Backlog: 16, UID: -1, GID: -1}

func open(t *testing.T, bind string) *Listener {
	t.Helper()
	l, err := Open(parse(t, bind), defaults)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// target is how net dials a listener.
func target(l *Listener) string {
	if l.Network == Unix {
		return l.Path
	}
	return l.Bind
}

// serve checks that a connection to l arrives.
func serve(t *testing.T, l *Listener) {
	t.Helper()
	nl, err := net.FileListener(l.File)
	if err != nil {
		t.Fatal(err)
	}
	defer nl.Close()
	if ul, ok := nl.(*net.UnixListener); ok {
		ul.SetUnlinkOnClose(false)
	}
	c, err := net.Dial(l.Network, target(l))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := nl.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

// properties checks what the package comment says of the descriptor.
func properties(t *testing.T, l *Listener) {
	t.Helper()
	flags, err := unix.FcntlInt(l.File.Fd(), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_NONBLOCK == 0 {
		t.Errorf("%s is in blocking mode (%v)", l.Bind, err)
	}
	if flags, err := unix.FcntlInt(l.File.Fd(), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("%s is not close-on-exec (%v)", l.Bind, err)
	}
}

func TestTCP(t *testing.T) {
	l := open(t, "127.0.0.1:0")
	if l.Port == 0 || l.Host != "127.0.0.1" || l.Network != TCP {
		t.Errorf("address %+v", l.Address)
	}
	if want := fmt.Sprintf("127.0.0.1:%d", l.Port); l.Bind != want || l.URL() != "http://"+want {
		t.Errorf("bind %s, URL %s", l.Bind, l.URL())
	}
	if l.Owned {
		t.Error("a TCP socket has no file to own")
	}
	properties(t, l)
	serve(t, l)
	properties(t, l) // net.FileListener changed nothing
	l.Unlink()

	_, err := Open(l.Address, defaults)
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a port in use: %v", err)
	}
	if got := PythonError(err); got != fmt.Sprintf("[Errno %d] Address already in use", int(syscall.EADDRINUSE)) {
		t.Errorf("in Python's words: %s", got)
	}
	if !strings.HasPrefix(err.Error(), "listen on "+l.Bind+": ") {
		t.Errorf("the error does not name the address: %s", err)
	}
	l.Close()
	again, err := Open(l.Address, defaults)
	if err != nil {
		t.Fatalf("the port again, after a connection in TIME_WAIT: %s", err)
	}
	again.Close()
}

func TestIPv6(t *testing.T) {
	if l, err := net.Listen("tcp6", "[::1]:0"); err != nil {
		t.Skip(err)
	} else {
		l.Close()
	}
	l := open(t, "[::1]:0")
	if want := fmt.Sprintf("http://[::1]:%d", l.Port); l.URL() != want {
		t.Errorf("URL %s, want %s", l.URL(), want)
	}
	serve(t, l)
}

func TestHostNames(t *testing.T) {
	l := open(t, "localhost:0")
	if ip := net.ParseIP(l.Host); !ip.IsLoopback() {
		t.Errorf("localhost is %s", l.Host)
	}
	if any := open(t, ":0"); any.Host != "0.0.0.0" {
		t.Errorf("no host is %s", any.Host)
	}
	if _, err := Open(parse(t, "192.0.2.1:8000"), defaults); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("an address of another host: %v", err)
	}
	for err, want := range map[error]string{
		fmt.Errorf("listen: %w", &net.DNSError{IsNotFound: true}): "[Errno -2] Name or service not known",
		&net.DNSError{IsTimeout: true}:                            "[Errno -3] Temporary failure in name resolution",
		errors.New("other"):                                       "other",
	} {
		if got := PythonError(err); got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
	if _, err := Open(parse(t, "[fe80::1%no-such-zone]:0"), defaults); err == nil || !strings.Contains(err.Error(), "no-such-zone") {
		t.Errorf("an unknown zone: %v", err)
	}
	if _, err := Open(Address{}, defaults); err == nil {
		t.Error("the zero address")
	}
}

func TestSame(t *testing.T) {
	l := open(t, "localhost:0")
	for bind, want := range map[string]bool{
		"localhost:0":  true,
		l.Bind:         true,
		"127.0.0.1:1":  false,
		"unix:/x":      false,
		"fd://3":       false,
		"localhost:01": false,
	} {
		if got := l.Same(parse(t, bind)); got != want {
			t.Errorf("%s: %v", bind, got)
		}
	}
	l.Asked = Address{} // as after Adopt
	if name := fmt.Sprintf("localhost:%d", l.Port); !l.Same(parse(t, name)) {
		t.Errorf("%s is not %s", l.Bind, name)
	}
	dir := t.TempDir()
	t.Chdir(dir)
	u := open(t, "unix:x.sock")
	if !u.Same(parse(t, "unix:"+dir+"/x.sock")) || u.Same(parse(t, "unix:y.sock")) {
		t.Error("unix sockets are compared wrongly")
	}
}

func TestAdopt(t *testing.T) {
	dir := t.TempDir()
	for _, bind := range []string{"127.0.0.1:0", "unix:" + dir + "/a.sock"} {
		l := open(t, bind)
		fd, err := unix.Dup(int(l.File.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		f := os.NewFile(uintptr(fd), "inherited")
		a, err := Adopt(f)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		if a.Address != l.Address || a.Bind != l.Bind || a.Owned {
			t.Errorf("%+v is not %+v", a, l)
		}
		if err := f.Close(); !errors.Is(err, os.ErrClosed) {
			t.Error("the file that was taken over is still open")
		}
		properties(t, a)
		if err := a.Listen(5); err != nil {
			t.Error(err)
		}
		l.Close()
		serve(t, a)
		if a.Network == Unix {
			a.Unlink()
			if _, err := os.Stat(a.Path); err != nil {
				t.Error("a socket file that is not ours is gone")
			}
			a.Owned = true
			a.Unlink()
			if _, err := os.Stat(a.Path); !errors.Is(err, os.ErrNotExist) {
				t.Error("the socket file is still there")
			}
		}
	}
}

func TestAdoptErrors(t *testing.T) {
	dir := t.TempDir()
	plain, err := os.Create(filepath.Join(dir, "x"))
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if _, err := Adopt(plain); !errors.Is(err, syscall.ENOTSOCK) {
		t.Errorf("a plain file: %v", err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	udp := os.NewFile(uintptr(fd), "udp")
	defer udp.Close()
	if _, err := Adopt(udp); !errors.Is(err, syscall.EPROTOTYPE) {
		t.Errorf("a datagram socket: %v", err)
	}
	if err := udp.SetDeadline(time.Time{}); errors.Is(err, os.ErrClosed) {
		t.Error("a file that was refused is closed")
	}
}

func TestFD(t *testing.T) {
	first := open(t, "127.0.0.1:0")
	fd, err := unix.Dup(int(first.File.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	bind := fmt.Sprintf("fd://%d", fd)
	for range 2 { // the descriptor stays, for a configuration that names it again
		l, err := Open(parse(t, bind), defaults)
		if err != nil {
			t.Fatal(err)
		}
		if l.Network != TCP || l.Bind != first.Bind || !l.Same(parse(t, bind)) {
			t.Errorf("%+v", l)
		}
		serve(t, l)
		l.Close()
	}
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Error("children get the descriptor")
	}
	// One that does not listen yet is made to.
	quiet, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(quiet)
	if err := unix.Bind(quiet, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	l, err := Open(parse(t, fmt.Sprintf("fd://%d", quiet)), defaults)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, l)
	l.Close()
	if _, err := Open(parse(t, "fd://9999"), defaults); !errors.Is(err, syscall.EBADF) {
		t.Errorf("no such descriptor: %v", err)
	}
}

// A descriptor that listens already keeps the backlog that it came with.
func TestFDKeepsItsBacklog(t *testing.T) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	addr := &unix.SockaddrUnix{Name: filepath.Join(t.TempDir(), "s")}
	if err := unix.Bind(fd, addr); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 1); err != nil {
		t.Fatal(err)
	}
	l, err := Open(parse(t, fmt.Sprintf("fd://%d", fd)), defaults)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	waiting := 0
	for range 10 {
		c, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(c)
		if err := unix.SetNonblock(c, true); err != nil {
			t.Fatal(err)
		}
		if unix.Connect(c, addr) == nil {
			waiting++
		}
	}
	if waiting == 0 || waiting > 3 {
		t.Errorf("%d connections wait, where the backlog is 1", waiting)
	}
}
