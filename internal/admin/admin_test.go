package admin

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

type testLog struct{ t *testing.T }

func (l testLog) Errorf(format string, args ...any) { l.t.Errorf("the log: "+format, args...) }
func (l testLog) Warnf(format string, args ...any)  { l.t.Logf(format, args...) }
func (l testLog) Debugf(format string, args ...any) {}

// serve answers pages on a free port of 127.0.0.1.
func serve(t *testing.T, a Access, pages ...Page) (*Server, net.Addr) {
	t.Helper()
	s := NewServer(testLog{t}, pages)
	s.Admit(a)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Serve(ln)
	t.Cleanup(s.Leave)
	return s, ln.Addr()
}

func text(answer string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, answer) })
}

// ask sends the head of a request on a connection of its own.
func ask(t *testing.T, network, addr, head string) (code int, body string) {
	t.Helper()
	c, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return askOn(t, c, head)
}

func askOn(t *testing.T, c net.Conn, head string) (code int, body string) {
	t.Helper()
	if _, err := io.WriteString(c, strings.ReplaceAll(head, "\n", "\r\n")+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	data, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(data)
}

var everybody = Access{Allow: []string{"*"}, Hosts: []string{"localhost", "shop.example"}}

// Names that somebody else may have given this address, and pages of others, get nothing.
func TestHostsAndOrigins(t *testing.T) {
	t.Parallel()
	_, addr := serve(t, everybody,
		Page{Path: "/", Handler: text("view")}, Page{Path: "/metrics", Handler: text("metrics"), AnyHost: true},
		Page{Path: "/actions/", Handler: text("done"), Post: true})
	for head, want := range map[string]int{
		"GET / HTTP/1.1\nHost: 127.0.0.1:9000":                                                                  200,
		"GET / HTTP/1.1\nHost: [::1]:9000":                                                                      200,
		"GET / HTTP/1.1\nHost: ::1":                                                                             200,
		"GET / HTTP/1.1\nHost: LocalHost:9000":                                                                  200,
		"GET / HTTP/1.1\nHost: shop.example":                                                                    200,
		"GET / HTTP/1.1\nHost: evil.example:9000":                                                               403,
		"GET / HTTP/1.1\nHost: localhost.evil.example":                                                          403,
		"GET / HTTP/1.1\nHost: 127.0.0.1.evil.example":                                                          403,
		"GET / HTTP/1.1\nHost: ":                                                                                403,
		"GET / HTTP/1.0":                                                                                        403,
		"GET http://evil.example/ HTTP/1.1\nHost: ::1":                                                          403,
		"GET /metrics HTTP/1.1\nHost: prometheus-target":                                                        200,
		"GET /actions/reload HTTP/1.1\nHost: localhost":                                                         405,
		"PUT /metrics HTTP/1.1\nHost: localhost":                                                                405,
		"POST / HTTP/1.1\nHost: localhost":                                                                      405,
		"POST /actions/reload HTTP/1.1\nHost: localhost":                                                        200,
		"POST /actions/reload HTTP/1.1\nHost: evil.other":                                                       403,
		"POST /actions/reload HTTP/1.1\nHost: localhost:9000\nOrigin: http://localhost:9000":                    200,
		"POST /actions/reload HTTP/1.1\nHost: localhost:9000\nOrigin: http://localhost:9001":                    403,
		"POST /actions/reload HTTP/1.1\nHost: localhost:9000\nOrigin: null":                                     403,
		"POST /actions/reload HTTP/1.1\nHost: localhost:9000\nOrigin: http://evil.example":                      403,
		"POST /actions/reload HTTP/1.1\nHost: localhost\nOrigin: http://localhost\nOrigin: http://evil":         403,
		"POST /actions/reload HTTP/1.1\nHost: localhost\nSec-Fetch-Site: cross-site":                            403,
		"POST /actions/reload HTTP/1.1\nHost: localhost\nSec-Fetch-Site: same-origin\nOrigin: http://localhost": 200,
		"GET /other HTTP/1.1\nHost: evil.example":                                                               404,
		"GET /actions HTTP/1.1\nHost: localhost":                                                                307,
		"OPTIONS * HTTP/1.1\nHost: localhost":                                                                   400,
		"GET / HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\n\n5\nhello\n0":                            200,
	} {
		if code, body := ask(t, "tcp", addr.String(), head); code != want {
			t.Errorf("%.90q: %d, %q, want %d", head, code, body, want)
		}
	}
}

// Peers are told from each other by address; those of a unix socket have a name of their own.
func TestAllow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		allow, peer string
		want        bool
	}{
		{"127.0.0.0/8", "127.9.9.9:1", true},
		{"127.0.0.0/8", "128.0.0.1:1", false},
		{"127.0.0.1", "[::ffff:127.0.0.1]:1", true},
		{"::ffff:10.0.0.0/104", "10.1.2.3:1", true},
		{"::1", "[::1]:1", true},
		{"::1", "127.0.0.1:1", false},
		{"fe80::/10", "[fe80::1%eth0]:1", true},
		{"unix", "@", true},
		{"unix", "127.0.0.1:1", false},
		{"127.0.0.1", "", false},
		{"*", "", true},
		{"*", "[2001:db8::1]:1", true},
		{"", "127.0.0.1:1", false},
	} {
		s := NewServer(testLog{t}, nil)
		s.Admit(Access{Allow: []string{c.allow}})
		if got := s.admits(peerOf(c.peer)); got != c.want {
			t.Errorf("%q allows %q: %v", c.allow, c.peer, got)
		}
	}
	// A unix socket has no names and no addresses.
	s := NewServer(testLog{t}, []Page{{Path: "/", Handler: text("view")}})
	s.Admit(Access{Allow: []string{"unix"}})
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s.Serve(ln)
	defer s.Leave()
	if code, body := ask(t, "unix", path, "GET / HTTP/1.1\nHost: anything"); code != 200 || body != "view" {
		t.Errorf("by the unix socket: %d, %q", code, body)
	}
}

// However many connections there are, a new one is answered; those that have done nothing for
// the longest time make room.
func TestNewConnectionsFindRoom(t *testing.T) {
	t.Parallel()
	s, addr := serve(t, everybody, Page{Path: "/", Handler: text("view")})
	var idle []net.Conn
	for range 3 * maxPeerConns {
		c, err := net.Dial("tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, "GET / HTTP/1.1\r\n") // and nothing more
		idle = append(idle, c)
	}
	if code, _ := ask(t, "tcp", addr.String(), "GET / HTTP/1.1\nHost: ::1"); code != 200 {
		t.Errorf("a new one gets %d", code)
	}
	idle[0].SetReadDeadline(time.Now().Add(time.Minute))
	if n, err := idle[0].Read(make([]byte, 1)); n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the oldest one is open: %v", err)
	}
	// Those that were closed, on either side, leave nothing behind.
	for _, c := range idle {
		c.Close()
	}
	s.mu.Lock()
	ln := s.serving.ln
	s.mu.Unlock()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		n := len(ln.places())
		if n == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d places are taken", n)
		}
	}
}

// places are the connections that have one.
func (l *listener) places() []*conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.conns)
}

// Strangers have few places, take none of the others, and are sent away at once when there is
// none.
func TestStrangersTakeNoPlaces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newListener(nil, nil)
		allowed := true
		l.admits = func(netip.Addr) bool { return allowed }
		connect := func() *conn {
			_, c := net.Pipe()
			return l.place(c)
		}
		first := connect()
		allowed = false
		var strangers []*conn
		for range maxStrangers {
			strangers = append(strangers, connect())
		}
		if connect() != nil {
			t.Error("one stranger more has a place")
		}
		time.Sleep(minStay)
		late := connect()
		if now := l.places(); late == nil || len(now) != 1+maxStrangers || now[0] != first || now[1] != strangers[1] || now[maxStrangers] != late {
			t.Errorf("%d places are taken", len(now))
		}
	})
}

// A connection keeps its place for as long as it takes to read what was on its way; those who
// come meanwhile wait.
func TestConnectionsStayForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newListener(nil, func(netip.Addr) bool { return true })
		begun := time.Now()
		var conns []*conn
		for range 2*maxPeerConns + 1 {
			_, c := net.Pipe()
			conns = append(conns, l.place(c))
		}
		now := l.places()
		if took := time.Since(begun); took != 2*minStay || len(now) != maxPeerConns || now[0] != conns[maxPeerConns+1] {
			t.Errorf("after %v there are %d connections", took, len(now))
		}
		// A request makes one younger, and those without one go first.
		time.Sleep(minStay)
		for _, c := range now[:maxPeerConns-1] {
			l.changed(c, http.StateActive)
		}
		idle := now[maxPeerConns-1]
		_, c := net.Pipe()
		if l.place(c); slices.Contains(l.places(), idle) {
			t.Error("one without a request stays, and one with a request goes")
		}
	})
}

// A request that has come keeps its connection's place, however long it takes until it is read.
func TestUnreadRequestsStay(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	l := newListener(ln, func(netip.Addr) bool { return true })
	connect := func(head string) *conn {
		client, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Close() })
		io.WriteString(client, head)
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return l.place(c)
	}
	asking := connect("GET / HTTP/1.1\r\n")
	for !asking.hasUnread() {
		time.Sleep(time.Millisecond)
	}
	silent := connect("")
	for range maxPeerConns - 1 {
		connect("")
	}
	if now := l.places(); len(now) != maxPeerConns || now[0] != asking || slices.Contains(now, silent) {
		t.Error("one that has sent a request goes, and one that has not stays")
	}
}

// Costly pages are made one at a time, and not much of the time. Who waits for too long is
// told so.
func TestCostlyPagesTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const cost = 10 * time.Millisecond
		var making, made, refused atomic.Int32
		page := newTurn().handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if making.Add(1) > 1 {
				t.Error("two are made at once")
			}
			time.Sleep(cost)
			making.Add(-1)
			made.Add(1)
			fmt.Fprint(w, "metrics")
		}))
		request := func() {
			w := httptest.NewRecorder()
			page.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
			switch {
			case w.Code == 503 && w.Header().Get("Retry-After") != "":
				refused.Add(1)
			case w.Code != 200 || w.Body.String() != "metrics" || w.Header().Get("Content-Length") != "7":
				t.Errorf("a client gets %v", w)
			}
		}
		begun := time.Now()
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(request)
		}
		wg.Wait()
		if took := time.Since(begun); made.Load() != 10 || took != 10*cost+9*(share-1)*cost {
			t.Errorf("%d were made in %v", made.Load(), took)
		}
		begun = time.Now()
		for range 30 {
			wg.Go(request)
		}
		wg.Wait()
		if took := time.Since(begun); made.Load() != 30 || refused.Load() != 10 || took > patience+cost {
			t.Errorf("%d were made and %d refused in %v", made.Load()-10, refused.Load(), took)
		}
	})
}

// A page that panics is cut off, and the next one is made.
func TestPagesThatPanic(t *testing.T) {
	t.Parallel()
	log := &lines{}
	s := NewServer(log, []Page{{Path: "/", Costly: true, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Fail") != "" {
			panic("the page is broken")
		}
		fmt.Fprint(w, "view")
	})}})
	s.Admit(everybody)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Serve(ln)
	defer s.Leave()
	for range 3 {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: ::1\r\nFail: yes\r\n\r\n")
		if got, err := io.ReadAll(c); len(got) > 0 || err != nil {
			t.Errorf("the client gets %q, %v", got, err)
		}
		c.Close()
	}
	if code, body := ask(t, "tcp", ln.Addr().String(), "GET / HTTP/1.1\nHost: ::1"); code != 200 || body != "view" {
		t.Errorf("the next one: %d, %q", code, body)
	}
	if got, want := log.text(), strings.Repeat("\"/\" at the admin address failed: the page is broken\n", 3); got != want {
		t.Errorf("the log has %q", got)
	}
}

// A server that leaves answers what has come, and what comes on open connections; new ones
// wait for whoever else has the socket.
func TestLeave(t *testing.T) {
	t.Parallel()
	held, hold := make(chan bool), make(chan bool)
	s, addr := serve(t, everybody, Page{Path: "/", Handler: text("view")},
		Page{Path: "/slow", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			held <- true
			<-hold
			fmt.Fprint(w, "slow")
		})})
	s.farewell = 3 * time.Second // for whoever asks late; the connection of the slow request ends with it
	dial := func() net.Conn {
		c, err := net.Dial("tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	idle, slow := dial(), dial()
	askOn(t, idle, "GET / HTTP/1.1\nHost: ::1")
	io.WriteString(slow, "GET /slow HTTP/1.1\r\nHost: ::1\r\n\r\n")
	<-held
	s.Leave()
	if code, _ := askOn(t, idle, "GET / HTTP/1.1\nHost: ::1"); code != 200 {
		t.Errorf("on an open connection: %d", code)
	}
	if n, err := idle.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("it does not end: %v", err)
	}
	hold <- true
	if data, err := io.ReadAll(slow); err != nil || !strings.HasSuffix(string(data), "slow") {
		t.Errorf("a request that was here: %q, %v", data, err)
	}
}

// lines keeps the lines of a log.
type lines struct {
	mu  sync.Mutex
	all strings.Builder
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

func (l *lines) Errorf(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(&l.all, format+"\n", args...)
}
func (l *lines) Warnf(format string, args ...any) { l.Errorf(format, args...) }
func (l *lines) Debugf(string, ...any)            {}

// What a browser takes for the name of a host in the field is one of ours, whenever the field
// is let pass.
func FuzzHost(f *testing.F) {
	for _, seed := range []string{
		"localhost", "localhost:9000", "127.0.0.1", "[::1]:9000", "::1", "evil.example", "localhost:1@evil.example", "evil.example:localhost",
		"[::1]evil.example", "shop.example.", "127.0.0.1.evil.example", "127.1", "::1%eth0", "[fe80::1%25eth0]:9000", ":", "",
	} {
		f.Add(seed)
	}
	a := newAccess(everybody)
	f.Fuzz(func(t *testing.T, host string) {
		if !a.isHost(&http.Request{Host: host, RemoteAddr: "127.0.0.1:1"}) {
			return
		}
		u, err := url.Parse("http://" + host + "/")
		if err != nil {
			return // no browser sends it
		}
		name := u.Hostname()
		if _, err := netip.ParseAddr(name); err != nil && !strings.EqualFold(name, "localhost") && !strings.EqualFold(name, "shop.example") && net.ParseIP(host) == nil {
			t.Errorf("%q passes, and is the host %q", host, name)
		}
	})
}
