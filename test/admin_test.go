//go:build linux

package test

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"indrik/test/harness"
)

// withAdmin starts a server with an admin address on a free port, and returns that, too.
func withAdmin(t *testing.T, o harness.Options) (*harness.Server, *harness.Endpoint) {
	t.Helper()
	port := harness.FreePort(t)
	o.Args = append([]string{"--admin-bind", fmt.Sprintf("127.0.0.1:%d", port)}, o.Args...)
	return harness.Start(t, o), harness.EndpointAt(t, port)
}

// asBrowser makes a request as somebody's browser does, under the name host.
func asBrowser(t *testing.T, e *harness.Endpoint, host, method, target string, fields ...string) *harness.Response {
	t.Helper()
	c := e.Client()
	defer c.Close()
	c.Send(t, strings.Replace(harness.FormatRequest(method, target, "", append(fields, "Connection: close")...), "Host: test", "Host: "+host, 1))
	return c.Receive(t, method)
}

// A scraper asks again and again, on a connection each time.
type scraper struct {
	good, bad atomic.Int64
	stop      chan struct{}
	wg        sync.WaitGroup
	mu        sync.Mutex
	troubles  map[string]int
}

// scrape starts n clients that ask for a page.
func scrape(e *harness.Endpoint, n int, target string) *scraper {
	s := &scraper{stop: make(chan struct{}), troubles: map[string]int{}}
	for range n {
		s.wg.Go(func() {
			for {
				select {
				case <-s.stop:
					return
				default:
				}
				r, err := e.Request("GET", target, "")
				switch {
				case err == nil && r.Status == 200:
					s.good.Add(1)
					continue
				case err == nil:
					err = fmt.Errorf("status %d", r.Status)
				}
				s.bad.Add(1)
				s.mu.Lock()
				s.troubles[harness.Reason(err)]++
				s.mu.Unlock()
			}
		})
	}
	return s
}

// progress waits for n more good answers.
func (s *scraper) progress(t testing.TB, n int64) {
	t.Helper()
	before := s.good.Load()
	harness.Eventually(t, fmt.Sprintf("%d more scrapes succeed", n), func() bool { return s.good.Load() >= before+n })
}

// finish ends the scraper, and returns what went wrong.
func (s *scraper) finish() map[string]int {
	close(s.stop)
	s.wg.Wait()
	return s.troubles
}

// TestAdminAddress: the server answers probes at an address of its own, and the app does not
// see them; nothing else is there.
func TestAdminAddress(t *testing.T) {
	t.Parallel()
	s, admin := withAdmin(t, harness.Options{})
	s.Log.Expect(t, `Admin address: http://127\.0\.0\.1:\d+`)
	for _, path := range []string{"/livez", "/readyz", "/startupz"} {
		r, err := admin.Request("GET", path, "")
		harness.Must(t, err)
		if r.Status != 200 || !strings.Contains(r.Body, `"ok":true`) || r.Get("Cache-Control") != "no-store" || r.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %v", path, r)
		}
		if r, err = admin.Request("HEAD", path, ""); err != nil || r.Status != 200 {
			t.Errorf("HEAD %s: %v, %v", path, r, err)
		}
		if r, err = admin.Request("POST", path, "x=1"); err != nil || r.Status != 405 || r.Get("Allow") != "GET, HEAD" {
			t.Errorf("POST %s: %v, %v", path, r, err)
		}
		if got := s.Get(path); strings.Contains(got, "workers") {
			t.Errorf("clients of the app get %s: %q", path, got)
		}
	}
	for _, path := range []string{"/no", "/livez/x", "//livez"} {
		if r, err := admin.Request("GET", path, ""); err != nil || r.Status == 200 || r.Status > 404 {
			t.Errorf("%s: %v, %v", path, r, err)
		}
	}
	s.Terminate()
}

// TestAdminUnixSocket: the admin address can be a unix socket, which only its mode guards, and
// whose file is gone in the end.
func TestAdminUnixSocket(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Args: []string{"--admin-bind", "unix:admin.sock", "--umask", "0o027"}})
	s.Log.Expect(t, `Admin address: unix:`)
	var admin harness.Endpoint
	admin.MoveTo("unix:" + s.Path("admin.sock"))
	r, err := admin.Request("GET", "/readyz", "")
	harness.Must(t, err)
	if r.Status != 200 {
		t.Errorf("readyz: %v", r)
	}
	st, err := os.Stat(s.Path("admin.sock"))
	harness.Must(t, err)
	if st.Mode().Perm() != 0o750 {
		t.Errorf("the mode is %v", st.Mode())
	}
	s.Terminate()
	if _, err := os.Stat(s.Path("admin.sock")); !os.IsNotExist(err) {
		t.Errorf("afterwards: %v", err)
	}
}

// TestAdminAllow: whom the setting does not name gets one line that says so, and a reload
// changes who that is, also on connections that are open.
func TestAdminAllow(t *testing.T) {
	t.Parallel()
	port := harness.FreePort(t)
	conf := func(allow string) string {
		return fmt.Sprintf("workers = 1\nadmin_bind = '127.0.0.1:%d'\nadmin_allow = '%s'\n", port, allow)
	}
	s := harness.Start(t, harness.Options{Conf: conf("10.0.0.0/8,unix")})
	admin := harness.EndpointAt(t, port)
	r, err := admin.Request("GET", "/livez", "")
	harness.Must(t, err)
	if want := "127.0.0.1 may not see this: admin_allow does not name it.\n"; r.Status != 403 || r.Body != want {
		t.Errorf("a stranger gets %v", r)
	}
	s.WriteFile("gunicorn.conf.py", conf("127.0.0.1"))
	s.Reload(1)
	c := admin.Client()
	if r := c.Do(t, "GET", "/livez", ""); r.Status != 200 || r.Closes() {
		t.Errorf("once it is named: %v", r)
	}
	s.WriteFile("gunicorn.conf.py", conf("::1"))
	s.Reload(1)
	if r := c.Do(t, "GET", "/livez", ""); r.Status != 403 || !r.Closes() {
		t.Errorf("on a connection from before: %v", r)
	}
	s.Terminate()
}

// TestAdminAddressIsChecked: an address that is of no use ends the start with one line that
// names it.
func TestAdminAddressIsChecked(t *testing.T) {
	t.Parallel()
	taken := harness.FreePort(t)
	first := harness.Start(t, harness.Options{Args: []string{"--admin-bind", fmt.Sprintf("127.0.0.1:%d", taken)}})
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"in use":       {[]string{"--admin-bind", fmt.Sprintf("127.0.0.1:%d", taken)}, []string{fmt.Sprintf(`Connection in use: \('127\.0\.0\.1', %d\)`, taken)}},
		"no port":      {[]string{"--admin-bind", "127.0.0.1"}, []string{`there is no port: it is HOST:PORT or unix:PATH`, `admin_bind = '127\.0\.0\.1' \(command line\)`}},
		"a descriptor": {[]string{"--admin-bind", "fd://3"}, []string{`not HOST:PORT or unix:PATH: the server opens this address itself`, `admin_bind`}},
		"of clients":   {[]string{"--bind", "127.0.0.1:9", "--admin-bind", "127.0.0.1:9"}, []string{`clients have this address: it is in bind`, `admin_bind`}},
		"no networks":  {[]string{"--admin-bind", "unix:a", "--admin-allow", "x"}, []string{`'x' does not appear to be an IPv4 or IPv6 network`, `admin_allow`}},
	} {
		t.Run(name, func(t *testing.T) {
			s := harness.Launch(t, harness.Options{Args: c.args, NoProbe: true})
			s.ExpectExit(1)
			for _, line := range c.want {
				s.Log.Expect(t, line)
			}
		})
	}
	first.Terminate()
}

// TestAdminAddressOpenToTheWorld: the log warns of an address that other machines may reach.
func TestAdminAddressOpenToTheWorld(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Args: []string{"--admin-bind", fmt.Sprintf("0.0.0.0:%d", harness.FreePort(t))}})
	s.Log.Expect(t, `admin_bind \(command line\) is 0\.0\.0\.0:\d+, which other machines may reach: admin_allow is 127\.0\.0\.0/8,::1,unix; commands are not taken there`)
	s.Terminate()
}

// TestAdminAddressOnReload: a reload moves the admin address, or takes it away. One to an
// address that is in use fails, and changes nothing.
func TestAdminAddressOnReload(t *testing.T) {
	t.Parallel()
	first, second := harness.FreePort(t), harness.FreePort(t)
	conf := func(more string) string { return "workers = 1\n" + more + "\n" }
	s := harness.Start(t, harness.Options{Conf: conf(fmt.Sprintf("admin_bind = '127.0.0.1:%d'", first))})
	old, moved := harness.EndpointAt(t, first), harness.EndpointAt(t, second)

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	harness.Must(t, err)
	defer taken.Close()
	s.WriteFile("gunicorn.conf.py", conf(fmt.Sprintf("admin_bind = '%s'", taken.Addr())))
	s.Signal(syscall.SIGHUP)
	s.Log.Expect(t, `Can't connect to \('127\.0\.0\.1', \d+\)`)
	s.Log.Expect(t, `Reload failed, nothing was changed`)
	old.Get("/livez")

	s.WriteFile("gunicorn.conf.py", conf(fmt.Sprintf("admin_bind = '127.0.0.1:%d'", second)))
	s.Reload(1)
	harness.Eventually(t, "the address has moved", func() bool {
		_, err := old.Request("GET", "/livez", "")
		return err != nil
	})
	moved.Get("/livez")

	s.WriteFile("gunicorn.conf.py", conf(""))
	s.Reload(1)
	harness.Eventually(t, "the address is gone", func() bool {
		_, err := moved.Request("GET", "/livez", "")
		return err != nil
	})
	s.Terminate()
}

// TestAdminAddressUnderReloads: reloads cost no scrape.
func TestAdminAddressUnderReloads(t *testing.T) {
	t.Parallel()
	s, admin := withAdmin(t, harness.Options{Args: []string{"--workers", "1"}})
	load := scrape(admin, 2, "/readyz")
	for range 3 {
		s.Reload(1)
		load.progress(t, 5)
	}
	if troubles := load.finish(); len(troubles) > 0 {
		t.Errorf("scrapes failed: %v", troubles)
	}
	s.Terminate()
}

// TestAdminAddressOfAFrontThatDies: the next front answers; until then connections wait, and
// none is refused.
func TestAdminAddressOfAFrontThatDies(t *testing.T) {
	t.Parallel()
	s, admin := withAdmin(t, harness.Options{})
	load := scrape(admin, 2, "/livez")
	for range 3 {
		load.progress(t, 5)
		front := s.Role("front")[0].PID
		harness.Kill(t, front, syscall.SIGKILL)
		harness.WaitGone(t, front)
	}
	load.progress(t, 5)
	for trouble := range load.finish() {
		if strings.Contains(trouble, "refused") {
			t.Errorf("a scrape failed: %s", trouble)
		}
	}
	s.Terminate()
}

// TestAdminAddressInAnUpgrade: the older server answers until its workers leave, then the
// successor, after a rollback the older one again, and in the end the new one. No scrape is
// lost.
func TestAdminAddressInAnUpgrade(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"tcp", "unix"} {
		t.Run(kind, func(t *testing.T) {
			binary, _ := install(t)
			bind, port := "unix:admin.sock", harness.FreePort(t)
			if kind == "tcp" {
				bind = fmt.Sprintf("127.0.0.1:%d", port)
			}
			s := harness.Start(t, harness.Options{Daemon: true, Binary: binary, Args: []string{"--admin-bind", bind, "--workers", "2"}})
			admin := harness.EndpointAt(t, port)
			if kind == "unix" {
				admin.MoveTo("unix:" + s.Path("admin.sock"))
			}
			load := scrape(admin, 2, "/livez")
			load.progress(t, 20)

			u := upgrade(s, 2)
			load.progress(t, 20)
			s.Signal(syscall.SIGWINCH)
			workersOf(s, s.PID(), 0)
			load.progress(t, 20)
			s.Signal(syscall.SIGHUP)
			workersOf(s, s.PID(), 2)
			harness.Kill(t, u.successor, syscall.SIGTERM)
			harness.WaitGone(t, u.successor)
			harness.Eventually(t, "the successor's pid file is gone", func() bool { return s.ReadFile("srv.pid.2") == "" })
			load.progress(t, 20)

			probes := scrape(admin, 2, "/readyz")
			u = upgrade(s, 2)
			s.Signal(syscall.SIGWINCH)
			workersOf(s, s.PID(), 0)
			load.progress(t, 20)
			s.Signal(syscall.SIGTERM)
			u.become()
			load.progress(t, 20)
			probes.progress(t, 20)
			for _, l := range []*scraper{load, probes} {
				if troubles := l.finish(); len(troubles) > 0 {
					t.Errorf("scrapes failed: %v", troubles)
				}
			}
			s.Terminate()
			if _, err := admin.Request("GET", "/livez", ""); err == nil {
				t.Error("the server that has ended answers")
			}
		})
	}
}

// TestAdminStatus: the admin address shows the same document as the control socket.
func TestAdminStatus(t *testing.T) {
	t.Parallel()
	s, admin := withAdmin(t, harness.Options{App: "gated:app", Args: []string{"--control-socket", "srv.ctl", "--workers", "2"}})
	m := inFlight(s)
	var byAdmin, bySocket serverStatus
	running := 0
	look := func() (same bool) {
		byAdmin, bySocket, running = serverStatus{}, serverStatus{}, 0
		r := asBrowser(t, admin, "localhost", "GET", "/status")
		if r.Status != 200 || r.Get("Content-Type") != "application/json" {
			t.Fatalf("status: %v", r)
		}
		harness.Must(t, json.Unmarshal([]byte(r.Body), &byAdmin))
		harness.Must(t, json.Unmarshal([]byte(done(t, s, "status", "--json")), &bySocket))
		for i := range byAdmin.Workers {
			for j := range byAdmin.Workers[i].Running {
				running++
				byAdmin.Workers[i].Running[j].Seconds = 0
			}
			for j := range bySocket.Workers[i].Running {
				bySocket.Workers[i].Running[j].Seconds = 0
			}
			byAdmin.Workers[i].RSS, byAdmin.Workers[i].PSS = bySocket.Workers[i].RSS, bySocket.Workers[i].PSS
		}
		return reflect.DeepEqual(byAdmin, bySocket)
	}
	// A connection from before is counted until the front has seen its end.
	same := harness.Within(harness.Patience, look)
	if running != 1 || len(byAdmin.Workers) != 2 || byAdmin.Front == nil {
		t.Errorf("the status is %+v", byAdmin)
	}
	if !same {
		t.Errorf("the admin address has\n%+v\nthe control socket\n%+v", byAdmin, bySocket)
	}
	m.run.Release()
	m.flight.Expect(200)
	// A name that somebody else has given this address is not answered.
	if r := asBrowser(t, admin, "rebound.example", "GET", "/status"); r.Status != 403 || r.Body != "\"rebound.example\" is not a name of this server: admin_hosts does not have it.\n" {
		t.Errorf("under another name: %v", r)
	}
	s.Terminate()
}
