package front

import (
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"indrik/internal/wire"
)

func TestDrain(t *testing.T) {
	for _, accept := range []string{wire.AcceptStop, wire.AcceptEmpty} {
		t.Run(accept, func(t *testing.T) {
			r, w := answering(t)
			idle, busy := r.dial(), r.dial()
			idle.get("/")
			w.say(0, echo(w.take(0)))
			idle.expect(200, "GET / ")
			busy.get("/busy")
			q := w.take(0)
			r.tell(wire.ToFront{Type: wire.TypeDrain, Accept: accept})
			idle.closed()
			r.silent(wire.TypeDrained, 100*time.Millisecond)
			w.say(0, echo(q))
			if resp := busy.expect(200, "GET /busy "); !resp.Close {
				t.Error("no Connection: close")
			}
			busy.closed()
			r.hear(wire.TypeDrained)
			r.silent(wire.TypeDrained, 100*time.Millisecond)
			if len(r.s.all()) != 0 {
				t.Error("connections are left")
			}
		})
	}
}

// What the kernel has accepted is served before the listener closes.
func TestDrainEmptiesTheBacklog(t *testing.T) {
	r := newRig(t, 0)
	ln := r.listen()
	r.worker(r.generation(1, testConfig()), 1).serve(echo)
	eventually(t, "it listens", func() bool {
		r.s.mu.Lock()
		defer r.s.mu.Unlock()
		return len(r.s.listeners) == 1
	})
	var clients []*client
	for range 20 {
		clients = append(clients, r.dial())
	}
	r.tell(wire.ToFront{Type: wire.TypeDrain, Accept: wire.AcceptEmpty})
	for _, c := range clients { // soon: a connection that has had no request ends after firstRequest
		c.get("/")
	}
	for _, c := range clients {
		c.expect(200, "*")
		c.closed()
	}
	r.hear(wire.TypeDrained)
	ln.Close()
	if _, err := net.DialTimeout("tcp", r.addr, 200*time.Millisecond); err == nil {
		t.Error("the listener is still open")
	}
}

// A request that comes just after the drain has begun is served, however long
// its connection was idle.
func TestLameDuck(t *testing.T) {
	for range 20 {
		r := serving(t)
		c := r.dial()
		c.get("/")
		c.expect(200, "*")
		duck := r.s.all()[0]
		eventually(t, "it is idle", func() bool { return phase(duck.phase.Load()) == idle })
		duck.since.Add(-int64(time.Minute))
		r.tell(wire.ToFront{Type: wire.TypeDrain, Accept: wire.AcceptStop})
		eventually(t, "it drains", r.s.isDraining)
		r.s.wakeOutstaying()
		c.get("/late")
		if time.Duration(now()-r.s.drainedFrom.Load()) >= lameDuck {
			continue // the machine was too slow for that: it may be late indeed
		}
		if resp := c.expect(200, "GET /late "); !resp.Close {
			t.Error("no Connection: close")
		}
		c.closed()
		c.nc.Close()
		r.hear(wire.TypeDrained)
		return
	}
	t.Error("no request was sent in time")
}

// Idle clients that do not react do not hold a drain.
func TestIdleClientsDoNotHoldTheDrain(t *testing.T) {
	r := serving(t)
	for range 10 {
		c := r.dial()
		c.get("/")
		c.expect(200, "*")
	}
	begin := time.Now()
	r.tell(wire.ToFront{Type: wire.TypeDrain, Accept: wire.AcceptStop})
	r.hear(wire.TypeDrained)
	if d := time.Since(begin); d >= lingerIdle {
		t.Errorf("it took %s", d)
	}
}

func TestWaitingRequestsAreServedInDrain(t *testing.T) {
	r := newRig(t, 0)
	r.listen()
	g := r.generation(1, testConfig())
	c := r.dial()
	c.get("/")
	eventually(t, "it waits", func() bool { return r.waiting() == 1 })
	r.tell(wire.ToFront{Type: wire.TypeDrain, Accept: wire.AcceptStop})
	r.silent(wire.TypeDrained, 2*lameDuck)
	r.worker(g, 1).serve(echo)
	c.expect(200, "GET / ")
	r.hear(wire.TypeDrained)
}

func TestResume(t *testing.T) {
	r := newRig(t, 0)
	ln := r.listen()
	w := r.worker(r.generation(1, testConfig()), 1)
	c := r.dial()
	c.get("/a")
	q := w.take(0)
	r.tell(wire.ToFront{Type: wire.TypeDrain, Accept: wire.AcceptStop})
	eventually(t, "it drains", r.s.isDraining)
	r.tell(wire.ToFront{Type: wire.TypeResume})
	r.listenOn(ln)
	eventually(t, "it does not any more", func() bool { return !r.s.isDraining() })
	w.say(0, echo(q))
	if resp := c.expect(200, "GET /a "); resp.Close {
		t.Error("Connection: close after resume")
	}
	w.serve(echo)
	c.get("/b")
	c.expect(200, "GET /b ")
	d := r.dial()
	d.get("/c")
	d.expect(200, "GET /c ")
	r.silent(wire.TypeDrained, 2*lameDuck)
	c.open(10 * time.Millisecond)
}

// The master died: what is in flight is finished, then the process ends.
func TestMasterDies(t *testing.T) {
	r, w := answering(t)
	c := r.dial()
	c.get("/")
	q := w.take(0)
	r.master.Close()
	time.Sleep(100 * time.Millisecond)
	w.say(0, echo(q))
	c.expect(200, "GET / ")
	select {
	case <-r.ended:
	case <-time.After(patience):
		t.Error("the front goes on")
	}
}

func TestListenDiff(t *testing.T) {
	r := serving(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	f, err := ln.(*net.TCPListener).File()
	must(t, err)
	ln.Close()
	old := r.addr
	r.tell(wire.ToFront{Type: wire.TypeListen, Listeners: []wire.Listener{{ID: 2, Bind: ln.Addr().String(), Network: "tcp"}}}, f)
	eventually(t, "one listener is left", func() bool {
		r.s.mu.Lock()
		defer r.s.mu.Unlock()
		return len(r.s.listeners) == 1 && r.s.listeners[2] != nil
	})
	r.addr = ln.Addr().String()
	c := r.dial()
	c.get("/")
	c.expect(200, "*")
	_ = old
}

func TestTooManyFiles(t *testing.T) {
	r := serving(t)
	c := r.dial()
	c.get("/")
	c.expect(200, "*")
	address, err := netip.ParseAddrPort(r.addr)
	must(t, err)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	must(t, err)
	unix.CloseOnExec(fd)
	late := os.NewFile(uintptr(fd), "late")
	defer late.Close()
	var was unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &was))
	// Whatever is closed meanwhile, no descriptor can be had: 0 is in use.
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 1, Max: was.Max}))
	restore := func() { unix.Setrlimit(unix.RLIMIT_NOFILE, &was) }
	defer restore()
	must(t, unix.Connect(fd, &unix.SockaddrInet4{Port: int(address.Port()), Addr: address.Addr().As4()}))
	eventually(t, "the log says it", func() bool { return strings.Contains(r.log.String(), "[ERROR] accept on "+r.addr) })
	time.Sleep(2 * acceptPause)
	restore()
	nc, err := net.FileConn(late)
	must(t, err)
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(clientPatience))
	nc.Write([]byte("GET /late HTTP/1.0\r\n\r\n"))
	b := make([]byte, 12)
	if _, err := io.ReadFull(nc, b); err != nil || string(b) != "HTTP/1.0 200" {
		t.Errorf("got %q, %v", b, err)
	}
}
