//go:build linux

package test

import (
	"crypto/tls"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestTLSReloadUnderLoad(t *testing.T) {
	t.Parallel()
	s := start(t, withTLS(t, options{
		app: "webapp:app", args: []string{"--workers", "2"}, files: map[string]string{"webapp.py": versioned("0")},
	}))
	k, o := s.bothLoads(4)
	for i := range 3 {
		s.write("webapp.py", versioned(fmt.Sprint(i+1)))
		s.reload(2)
		if got := s.get("/version"); got != fmt.Sprint(i+1) {
			t.Errorf("after reload %d the app is version %s", i+1, got)
		}
		k.progress(20)
		o.progress(20)
	}
	expectNoneLost(t, k, o)
	s.terminate()
}

func TestTLSDrain(t *testing.T) {
	t.Parallel()
	s := start(t, withTLS(t, options{app: "gated:app"}))
	idle := s.client()
	idle.do(t, "GET", "/", "")
	g := s.gate("run")
	busy := s.client()
	busy.send(t, format("GET", "/run", ""))
	g.entered()
	s.signal(syscall.SIGTERM)
	s.log.expect(t, handling(syscall.SIGTERM))
	idle.expectEOF(t)
	g.release()
	if r := busy.receive(t, "GET"); r.status != 200 || !r.closes() {
		t.Errorf("%v", r)
	}
	busy.expectEOF(t)
	s.expectExit(0)
}

func TestTLSRequestThatCrossesTheDrain(t *testing.T) {
	t.Parallel()
	// A lame duck is read a while longer: a client that goes on asking hears from an
	// answer that it is the last one, and not from a connection that is closed.
	for range 10 {
		s := start(t, withTLS(t, options{app: "gated:app", args: []string{"--threads", "2"}}))
		c := s.client()
		c.do(t, "GET", "/", "")
		m := inFlight(s)
		s.signal(syscall.SIGTERM)
		told := asksThrough(t, c)
		m.run.release()
		m.flight.expect(200)
		s.expectExit(0)
		if told {
			return
		}
	}
	t.Error("no client was fast enough to be waited for")
}

// asksThrough makes requests until the server says that an answer is the last one. It is
// false if the connection was closed before a request that came too late.
func asksThrough(t *testing.T, c *client) bool {
	t.Helper()
	const lameDuck = 250 * time.Millisecond
	last := time.Now()
	for {
		began := time.Now()
		_, err := io.WriteString(c, format("GET", "/", ""))
		late := time.Since(last) >= lameDuck
		var r *response
		if err == nil {
			r, err = readResponse(c.r, "GET")
		}
		switch {
		case err != nil && late:
			return false
		case err != nil || r.status != 200:
			t.Fatalf("%v, %v", r, err)
		case r.closes():
			return true
		}
		last = began
	}
}

func TestTLSUpgrade(t *testing.T) {
	t.Parallel()
	// A TLS connection cannot be handed to another process. Its last response
	// says so, or it is closed while nothing is on its way: a client such as
	// that of net/http then takes another one, and no request is lost.
	s := start(t, withTLS(t, options{
		app: "webapp:app", daemon: true, args: []string{"--workers", "2"}, files: map[string]string{"webapp.py": versioned("old")},
	}))
	l := s.webLoad(8, webTLS)
	oneShot := s.oneShotLoad(2)
	l.progress(50)
	for _, version := range []string{"new", "newer"} {
		s.write("webapp.py", versioned(version))
		old := s.pid()
		u := s.upgrade(2)
		l.progress(50)
		s.signal(syscall.SIGTERM)
		waitGone(t, old)
		u.become()
		l.progress(50)
		if got := s.get("/version"); got != version {
			t.Errorf("after the upgrade version %s serves", got)
		}
	}
	l.expectNoneLost(t)
	if sum := oneShot.finish(); sum.losses() > 0 {
		t.Errorf("%v", sum)
	}
	s.terminate()
}

func TestTLSRollback(t *testing.T) {
	t.Parallel()
	s := start(t, withTLS(t, options{app: "echo:app", daemon: true}))
	l := s.webLoad(4, webTLS)
	l.progress(20)
	u := s.upgrade(1)
	s.signal(syscall.SIGWINCH)
	s.workersOf(s.pid(), 0)
	l.progress(50)
	s.signal(syscall.SIGHUP)
	s.workersOf(s.pid(), 1)
	kill(t, u.successor, syscall.SIGTERM)
	waitGone(t, u.successor)
	l.progress(50)
	l.expectNoneLost(t)
	s.terminate()
}

func TestTLSFrontDies(t *testing.T) {
	t.Parallel()
	// The next front has the certificate too.
	s := start(t, withTLS(t, options{app: "echo:app"}))
	front := s.role("front")[0].pid
	kill(t, front, syscall.SIGKILL)
	waitGone(t, front)
	s.ready()
	s.get("/")
	s.terminate()
}

// serial is that of the certificate that a new connection is shown.
func (s *server) serial() int64 {
	s.t.Helper()
	c, err := s.handshake(s.o.tls)
	must(s.t, err)
	defer c.Close()
	return c.Conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// writePair replaces the certificate and its key.
func (s *server) writePair(p pair) {
	s.t.Helper()
	s.write("key.pem", p.key)
	s.write("cert.pem", p.cert)
}

func TestCertificateReload(t *testing.T) {
	t.Parallel()
	s := start(t, withTLS(t, options{app: "echo:app"}))
	c := s.client()
	c.do(t, "GET", "/", "")
	if got := s.serial(); got != 1000 {
		t.Fatalf("serial %d", got)
	}
	s.writePair(trusted().issue(t, 1001, pkix.Name{CommonName: "localhost"}))
	s.reload(1)
	if got := s.serial(); got != 1001 {
		t.Errorf("after HUP the serial is %d", got)
	}
	// What is no pair leaves all as it is, and says so.
	s.write("key.pem", "no key\n")
	workers := s.workers(1)
	mark := s.log.mark()
	s.signal(syscall.SIGHUP)
	s.log.expectFrom(t, mark, `\[ERROR\].*key\.pem`)
	if got := s.serial(); got != 1001 {
		t.Errorf("after the broken reload the serial is %d", got)
	}
	if now := s.workers(1); now[0] != workers[0] {
		t.Error("the broken reload has replaced the worker")
	}
	if r := c.do(t, "GET", "/", ""); r.status != 200 {
		t.Errorf("the connection from before: %v", r)
	}
	s.terminate()
}

func TestCertificateFileChange(t *testing.T) {
	t.Parallel()
	// A renewed certificate is taken as it lies there: no signal, no connection
	// closed, no worker replaced.
	s := start(t, withTLS(t, options{app: "echo:app"}))
	workers := s.workers(1)
	c := s.client()
	c.do(t, "GET", "/", "")
	s.writePair(trusted().issue(t, 1002, pkix.Name{CommonName: "localhost"}))
	eventually(t, "the new certificate is shown", func() bool { return s.serial() == 1002 })
	if now := s.workers(1); now[0] != workers[0] {
		t.Error("the worker was replaced")
	}
	if r := c.do(t, "GET", "/", ""); r.status != 200 || r.closes() {
		t.Errorf("the connection from before: %v", r)
	}
	s.terminate()
}

func TestBadCertificates(t *testing.T) {
	t.Parallel()
	good := withTLS(t, options{}).files
	other := trusted().issue(t, 5, pkix.Name{CommonName: "localhost"})
	for name, c := range map[string]struct {
		args  []string
		files map[string]string
		want  string
	}{
		"no such file":      {[]string{"--certfile", "missing.pem"}, nil, `missing\.pem`},
		"no PEM":            {[]string{"--certfile", "cert.pem", "--keyfile", "key.pem"}, map[string]string{"cert.pem": "nonsense\n", "key.pem": good["key.pem"]}, `cert\.pem`},
		"key of another":    {[]string{"--certfile", "cert.pem", "--keyfile", "key.pem"}, map[string]string{"cert.pem": good["cert.pem"], "key.pem": other.key}, `key\.pem`},
		"key only":          {[]string{"--keyfile", "key.pem"}, good, `certfile`},
		"no key":            {[]string{"--certfile", "cert.pem"}, good, `key`},
		"no CA":             {[]string{"--certfile", "cert.pem", "--keyfile", "key.pem", "--cert-reqs", "2"}, good, `ca_certs`},
		"unknown cipher":    {[]string{"--certfile", "cert.pem", "--keyfile", "key.pem", "--ciphers", "NO-SUCH-CIPHER"}, good, `NO-SUCH-CIPHER`},
		"unknown version":   {[]string{"--certfile", "cert.pem", "--keyfile", "key.pem", "--tls-min-version", "1.1"}, good, `1\.1`},
		"HTTP/3":            {[]string{"--http-protocols", "h3"}, nil, `h3`},
		"cleartext upgrade": {[]string{"--http2-cleartext", "upgrade"}, nil, `upgrade`},
	} {
		t.Run(name, func(t *testing.T) {
			s := launch(t, options{args: c.args, files: c.files})
			if code := s.exit(); code == 0 {
				t.Errorf("exit code %d", code)
			}
			s.log.expect(t, c.want)
			if s.log.count("Traceback|Listening at") > 0 {
				t.Error("it got further than it should")
			}
		})
	}
}

func TestUnprivilegedFront(t *testing.T) {
	t.Parallel()
	// The key belongs to root, and neither the front nor a worker can read it.
	py := systemPython()
	if py == "" {
		t.Skip("there is no interpreter that every user can run")
	}
	if out, err := exec.Command("id", "-u").Output(); err != nil || strings.TrimSpace(string(out)) != "0" {
		t.Skip("not root")
	}
	o := withTLS(t, options{python: py})
	o.args = append(o.args, "--user", "65534", "--group", "65534")
	o.noProbe = true
	o.app = "webapp:app"
	o.files["webapp.py"] = versioned("1")
	s := launch(t, o)
	must(t, syscall.Chmod(s.path("key.pem"), 0o600))
	s.ready()
	if got := status(s.role("front")[0].pid, "Uid"); !strings.HasPrefix(got, "65534") {
		t.Errorf("the front runs as %s", got)
	}
	// So is the next one.
	s.writePair(trusted().issue(t, 1003, pkix.Name{CommonName: "localhost"}))
	must(t, syscall.Chmod(s.path("key.pem"), 0o600))
	s.reload(1)
	if got := s.serial(); got != 1003 {
		t.Errorf("after HUP the serial is %d", got)
	}
	s.terminate()
}

func TestSessionTickets(t *testing.T) {
	t.Parallel()
	// They are good after a reload, with another front, and after an upgrade.
	s := start(t, withTLS(t, options{app: "echo:app", daemon: true}))
	cache := tls.NewLRUClientSessionCache(4)
	resumed := func(when string, want bool) {
		t.Helper()
		c, err := s.handshake(s.config(func(c *tls.Config) { c.ClientSessionCache = cache }))
		must(t, err)
		defer c.Close()
		c.do(t, "GET", "/", "") // the ticket comes before the answer
		if got := c.Conn.(*tls.Conn).ConnectionState().DidResume; got != want {
			t.Errorf("%s: resumed %v", when, got)
		}
	}
	resumed("at first", false)
	resumed("the same front", true)
	s.reload(1)
	resumed("after a reload", true)
	front := s.role("front")[0].pid
	kill(t, front, syscall.SIGKILL)
	waitGone(t, front)
	s.ready()
	resumed("the next front", true)
	old := s.pid()
	u := s.upgrade(1)
	s.signal(syscall.SIGTERM)
	waitGone(t, old)
	u.become()
	resumed("after an upgrade", true)
	s.terminate()
}
