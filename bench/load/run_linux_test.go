package load

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// measure is for how long answers count: each client has one by then, also where the machine has
// more to do.
const measure = time.Second

const (
	get     = "GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
	getOnce = "GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"
	hello   = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
)

// listen hands every connection to handle, in a goroutine of its own, and closes
// it when handle returns.
func listen(t *testing.T, handle func(c net.Conn, in *bufio.Reader)) netip.AddrPort {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				handle(c, bufio.NewReader(c))
			}()
		}
	}()
	return netip.MustParseAddrPort(listener.Addr().String())
}

// serve answers every connection by handle, which gets one request after the
// other until it returns false.
func serve(t *testing.T, handle func(c net.Conn, r *http.Request, body []byte) bool) netip.AddrPort {
	t.Helper()
	return listen(t, func(c net.Conn, in *bufio.Reader) {
		for {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			body, err := io.ReadAll(r.Body)
			if err != nil || !handle(c, r, body) {
				return
			}
		}
	})
}

// serveHello answers every request alike.
func serveHello(t *testing.T) netip.AddrPort {
	t.Helper()
	return serve(t, func(c net.Conn, _ *http.Request, _ []byte) bool { return sayHello(c) })
}

func sayHello(c net.Conn) bool {
	_, err := io.WriteString(c, hello)
	return err == nil
}

func run(t *testing.T, server netip.AddrPort, groups ...Group) *Result {
	t.Helper()
	return runFor(t, measure, time.Minute, server, groups...)
}

func runFor(t *testing.T, measure, patience time.Duration, server netip.AddrPort, groups ...Group) *Result {
	t.Helper()
	r, err := Run(t.Context(), Plan{
		Server: server, Groups: groups, Warm: 50 * time.Millisecond, Measure: measure, Timeout: patience,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func helloGroup(request string) Group {
	return Group{Clients: 4, Request: []byte(request), Want: []byte("hello"), OneShot: request == getOnce}
}

func TestKeepAlive(t *testing.T) {
	tally := run(t, serveHello(t), helloGroup(get)).Groups[0]
	if tally.Failed() > 0 || tally.Starved > 0 || tally.Answers == 0 {
		t.Errorf("%d answers, %v (%s), %d starved", tally.Answers, tally.Errors, tally.FirstError, tally.Starved)
	}
	if tally.Connections != 4 {
		t.Errorf("%d connections for 4 clients", tally.Connections)
	}
	if n := len(tally.Latencies); n < tally.Answers || n > tally.Answers+4 {
		t.Errorf("%d latencies of %d answers", n, tally.Answers)
	}
}

func TestOneShot(t *testing.T) {
	server := serve(t, func(c net.Conn, r *http.Request, _ []byte) bool {
		if r.Close {
			_, _ = io.WriteString(c, hello)
		}
		return false
	})
	tally := run(t, server, helloGroup(getOnce)).Groups[0]
	if tally.Failed() > 0 || tally.Answers == 0 || tally.Connections < tally.Answers {
		t.Errorf("%d answers on %d connections, %v (%s)", tally.Answers, tally.Connections, tally.Errors, tally.FirstError)
	}
}

func TestEcho(t *testing.T) {
	server := serve(t, func(c net.Conn, _ *http.Request, body []byte) bool {
		_, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n"+string(body)+"\r\n0\r\n\r\n")
		return err == nil
	})
	request := "POST /echo HTTP/1.1\r\nHost: bench\r\nContent-Length: 4\r\n\r\nbody"
	tally := run(t, server, Group{Clients: 1, Request: []byte(request), Want: []byte("body"), Pause: 10 * time.Millisecond}).Groups[0]
	if tally.Failed() > 0 || tally.Answers == 0 || tally.Answers > 110 {
		t.Errorf("%d answers, %v (%s)", tally.Answers, tally.Errors, tally.FirstError)
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		kind   Kind
		answer string
		stay   bool
	}{
		{Lost, "", false},
		{Truncated, hello[:20], false},
		{Truncated, hello[:len(hello)-1], false},
		{TimedOut, "", true},
		{TimedOut, hello[:20], true},
		{Wrong, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHello", true},
		{Wrong, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 5\r\n\r\nhello", true},
		{Malformed, "hello, I am not HTTP\r\n\r\n", true},
		{Malformed, hello + "h", true},
	} {
		server := serve(t, func(conn net.Conn, _ *http.Request, _ []byte) bool {
			_, _ = io.WriteString(conn, c.answer)
			return c.stay
		})
		patience := time.Minute
		if c.kind == TimedOut {
			patience = 300 * time.Millisecond
		}
		tally := runFor(t, 200*time.Millisecond, patience, server, helloGroup(get)).Groups[0]
		if tally.Answers > 0 || tally.Errors[c.kind] < 4 || tally.Errors[c.kind] != tally.Failed() || tally.Starved != 4 {
			t.Errorf("%q: %d answers, %v (%s), %d starved; want %s", c.answer, tally.Answers, tally.Errors, tally.FirstError, tally.Starved, c.kind)
		}
	}
}

func TestRefused(t *testing.T) {
	// A socket that does not listen: so the address is nobody else's meanwhile.
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	address, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	bound := address.(*unix.SockaddrInet4)
	server := netip.AddrPortFrom(netip.AddrFrom4(bound.Addr), uint16(bound.Port))
	tally := run(t, server, helloGroup(get)).Groups[0]
	if tally.Errors[Refused] == 0 || tally.Errors[Refused] != tally.Failed() {
		t.Errorf("%v (%s)", tally.Errors, tally.FirstError)
	}
}

// A server that serves one connection and lets the others wait gives a fine
// number of answers a second: only the starved clients tell.
func TestStarved(t *testing.T) {
	turn := make(chan struct{}, 1)
	server := listen(t, func(c net.Conn, in *bufio.Reader) {
		turn <- struct{}{}
		defer func() { <-turn }()
		for {
			if _, err := http.ReadRequest(in); err != nil || !sayHello(c) {
				return
			}
		}
	})
	tally := run(t, server, helloGroup(get)).Groups[0]
	if tally.Starved != 3 || tally.Failed() > 0 {
		t.Errorf("%d starved, %v (%s)", tally.Starved, tally.Errors, tally.FirstError)
	}
	if slowest := tally.Latencies[len(tally.Latencies)-1]; slowest < 200*time.Millisecond {
		t.Errorf("slowest answer took %v: those that came after the end are missing", slowest)
	}
}

func TestGroupsAndMarks(t *testing.T) {
	server := serve(t, func(c net.Conn, r *http.Request, _ []byte) bool {
		if r.URL.Path == "/slow" {
			time.Sleep(50 * time.Millisecond)
		}
		return sayHello(c)
	})
	slow := helloGroup("GET /slow HTTP/1.1\r\nHost: bench\r\n\r\n")
	var marks []string
	r, err := Run(t.Context(), Plan{
		Server: server, Groups: []Group{helloGroup(get), slow}, Measure: 500 * time.Millisecond, Timeout: time.Minute,
		Started: func() { marks = append(marks, "started") }, Ended: func() { marks = append(marks, "ended") },
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(marks) != 2 || marks[0] != "started" || marks[1] != "ended" {
		t.Errorf("marks %v", marks)
	}
	if fast, slow := r.Groups[0].Answers, r.Groups[1].Answers; fast <= slow || slow == 0 || slow > 40 {
		t.Errorf("%d fast and %d slow answers", fast, slow)
	}
	if r.Elapsed < 500*time.Millisecond || r.Elapsed > time.Minute {
		t.Errorf("elapsed %v", r.Elapsed)
	}
}

func TestCancel(t *testing.T) {
	server := serve(t, func(net.Conn, *http.Request, []byte) bool { return true })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begin := time.Now()
	_, err := Run(ctx, Plan{Server: server, Groups: []Group{helloGroup(get)}, Measure: time.Minute, Timeout: time.Minute})
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) > 30*time.Second {
		t.Errorf("error %v after %v", err, time.Since(begin))
	}
}
