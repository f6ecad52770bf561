package listen

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// ways are how new connections can be refused, whatever this process may do.
var ways = map[string]func(*os.File) error{
	"as it may": RefuseNew,
	"by filter": dropSYNs,
	"by TTL":    func(f *os.File) error { return requireTTL(int(f.Fd()), domainOf(f), maxTTL) },
}

// eachWay runs a test with listeners of each kind, in each way.
func eachWay(t *testing.T, test func(t *testing.T, l *Listener, refuse func(*os.File) error)) {
	for name, refuse := range ways {
		for _, bind := range []string{"127.0.0.1:0", "[::1]:0", "[::]:0"} {
			t.Run(name+" "+bind, func(t *testing.T) {
				l, err := Open(parse(t, bind), defaults)
				if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL) {
					t.Skip(err)
				}
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				if bind == "[::]:0" { // IPv4 on a socket for both
					l.Bind = fmt.Sprintf("127.0.0.1:%d", l.Port)
				}
				test(t, l, func(f *os.File) error {
					err := refuse(f)
					if name == "by filter" && errors.Is(err, unix.EPERM) {
						t.Skip("the kernel wants CAP_NET_ADMIN")
					}
					return err
				})
			})
		}
	}
}

// acceptAll accepts and answers what is in the queue: so many connections, and perhaps more.
func acceptAll(t *testing.T, nl net.Listener, want int) (served int) {
	t.Helper()
	for {
		wait := 30 * time.Second
		if served >= want {
			wait = 100 * time.Millisecond
		}
		nl.(*net.TCPListener).SetDeadline(time.Now().Add(wait))
		s, err := nl.Accept()
		if os.IsTimeout(err) {
			return served
		}
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := Admit(s.(*net.TCPConn)); err != nil {
			t.Error(err)
		}
		served++
		if _, err := s.Write([]byte("served")); err != nil {
			t.Fatal(err)
		}
		s.(*net.TCPConn).CloseWrite()
	}
}

func TestRefuseNew(t *testing.T) {
	eachWay(t, func(t *testing.T, l *Listener, refuse func(*os.File) error) {
		const clients = 10
		var conns []net.Conn
		for i := range clients {
			c, err := net.Dial("tcp", l.Bind)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if i%2 == 0 { // what is sent before must arrive, what is sent after too
				fmt.Fprintf(c, "%d", i)
			}
			conns = append(conns, c)
		}
		for range 2 {
			if err := refuse(l.File); err != nil {
				t.Fatal(err)
			}
		}
		if c, err := net.DialTimeout("tcp", l.Bind, 200*time.Millisecond); err == nil {
			c.Close()
			t.Error("a new connection is still made")
		} else if !os.IsTimeout(err) {
			t.Errorf("a new connection: %v", err)
		}

		nl, err := net.FileListener(l.File)
		if err != nil {
			t.Fatal(err)
		}
		defer nl.Close()
		if n := acceptAll(t, nl, clients); n != clients {
			t.Errorf("%d connections were accepted, want %d", n, clients)
		}
		for i, c := range conns {
			if i%2 == 1 {
				if _, err := fmt.Fprintf(c, "%d", i); err != nil {
					t.Error(err)
				}
			}
			c.SetReadDeadline(time.Now().Add(30 * time.Second))
			if b, err := io.ReadAll(c); string(b) != "served" {
				t.Errorf("client %d got %q, %v", i, b, err)
			}
		}
	})
}

// A client that was told that it may connect is served, even if its last segment of
// the handshake was on the way.
func TestHandshakeUnderWay(t *testing.T) {
	eachWay(t, func(t *testing.T, l *Listener, refuse func(*os.File) error) {
		// With this option the handshake is not complete before there is data.
		if err := unix.SetsockoptInt(int(l.File.Fd()), unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 5); err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", l.Bind)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := refuse(l.File); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte("first")); err != nil {
			t.Fatal(err)
		}
		nl, err := net.FileListener(l.File)
		if err != nil {
			t.Fatal(err)
		}
		defer nl.Close()
		nl.(*net.TCPListener).SetDeadline(time.Now().Add(30 * time.Second))
		s, err := nl.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := Admit(s.(*net.TCPConn)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte(" second")); err != nil {
			t.Fatal(err)
		}
		c.(*net.TCPConn).CloseWrite()
		s.SetReadDeadline(time.Now().Add(30 * time.Second))
		if b, err := io.ReadAll(s); string(b) != "first second" {
			t.Errorf("the server got %q, %v", b, err)
		}
	})
}

// While a client that was ignored tries again, the listener may close: it is refused, not reset.
func TestRefusedConnectionOfClosedListener(t *testing.T) {
	l := open(t, "127.83.0.1:0") // where nobody else takes the port once it is free
	if err := RefuseNew(l.File); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		time.Sleep(200 * time.Millisecond)
		l.Close()
	})
	c, err := net.DialTimeout("tcp", l.Bind, time.Minute)
	if err == nil {
		c.Close()
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v", err)
	}
}

func TestRefuseNewUnix(t *testing.T) {
	l := open(t, "unix:"+t.TempDir()+"/x.sock")
	if err := RefuseNew(l.File); err != nil {
		t.Error(err)
	}
	serve(t, l)
	c, err := net.Dial("unix", l.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := Admit(c.(*net.UnixConn)); err != nil {
		t.Error(err)
	}
}

// Connections meant for another process must not wake the one that only holds the
// socket.
func TestNotPolled(t *testing.T) {
	dir := t.TempDir()
	for _, bind := range []string{"127.0.0.1:0", "unix:" + dir + "/x.sock"} {
		l := open(t, bind)
		if err := l.File.SetDeadline(time.Now()); !errors.Is(err, os.ErrNoDeadline) {
			t.Errorf("%s is known to the poller (%v)", bind, err)
		}
	}
}
