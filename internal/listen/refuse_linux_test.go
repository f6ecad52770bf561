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
)

func TestRefuseNew(t *testing.T) {
	binds := []string{"127.0.0.1:0"}
	if l, err := net.Listen("tcp6", "[::1]:0"); err == nil {
		l.Close()
		binds = append(binds, "[::1]:0")
	}
	for _, bind := range binds {
		l := open(t, bind)
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
		for range 2 { // it may be attached twice
			if err := RefuseNew(l.File); err != nil {
				t.Fatal(err)
			}
		}
		if c, err := net.DialTimeout("tcp", l.Bind, 300*time.Millisecond); err == nil {
			c.Close()
			t.Errorf("%s: a new connection is still made", bind)
		} else if !os.IsTimeout(err) {
			t.Errorf("%s: a new connection: %v", bind, err)
		}

		nl, err := net.FileListener(l.File)
		if err != nil {
			t.Fatal(err)
		}
		defer nl.Close()
		served := 0
		for {
			nl.(*net.TCPListener).SetDeadline(time.Now().Add(100 * time.Millisecond))
			s, err := nl.Accept()
			if os.IsTimeout(err) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			served++
			if _, err := s.Write([]byte("served")); err != nil {
				t.Fatal(err)
			}
			s.(*net.TCPConn).CloseWrite()
		}
		if served != clients {
			t.Errorf("%s: %d connections were accepted, want %d", bind, served, clients)
		}
		for i, c := range conns {
			if i%2 == 1 {
				if _, err := fmt.Fprintf(c, "%d", i); err != nil {
					t.Error(err)
				}
			}
			if b, err := io.ReadAll(c); string(b) != "served" {
				t.Errorf("%s: client %d got %q, %v", bind, i, b, err)
			}
		}

		for range 2 {
			if err := AcceptNew(l.File); err != nil {
				t.Fatal(err)
			}
		}
		serve(t, l)
	}
}

// A connection that was refused for a moment is made when its SYN is sent again.
func TestRefusedConnectionTriesAgain(t *testing.T) {
	l := open(t, "127.0.0.1:0")
	if err := RefuseNew(l.File); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		time.Sleep(200 * time.Millisecond)
		if err := AcceptNew(l.File); err != nil {
			t.Error(err)
		}
	})
	c, err := net.DialTimeout("tcp", l.Bind, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// While it tries, the listener may close: the client is refused, not reset.
func TestRefusedConnectionOfClosedListener(t *testing.T) {
	l := open(t, "127.0.0.1:0")
	if err := RefuseNew(l.File); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		time.Sleep(200 * time.Millisecond)
		l.Close()
	})
	c, err := net.DialTimeout("tcp", l.Bind, 10*time.Second)
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
	if err := AcceptNew(l.File); err != nil {
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
