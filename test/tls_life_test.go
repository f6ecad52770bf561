//go:build linux

package test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"indrik/test/harness"
)

func TestTLSReloadUnderLoad(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.WithTLS(t, harness.Options{
		App: "webapp:app", Args: []string{"--workers", "2"}, Files: map[string]string{"webapp.py": versioned("0")},
	}))
	k, o := s.BothLoads(4)
	for i := range 3 {
		s.WriteFile("webapp.py", versioned(fmt.Sprint(i+1)))
		s.Reload(2)
		if got := s.Get("/version"); got != fmt.Sprint(i+1) {
			t.Errorf("after reload %d the app is version %s", i+1, got)
		}
		k.Progress(20)
		o.Progress(20)
	}
	harness.ExpectNoneLost(t, k, o)
	s.Terminate()
}

func TestTLSDrain(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.WithTLS(t, harness.Options{App: "gated:app"}))
	idle := s.Client()
	idle.Do(t, "GET", "/", "")
	g := s.Gate("run")
	busy := s.Client()
	busy.Send(t, harness.FormatRequest("GET", "/run", ""))
	g.Entered()
	s.Signal(syscall.SIGTERM)
	s.Log.Expect(t, handling(syscall.SIGTERM))
	idle.ExpectEOF(t)
	g.Release()
	if r := busy.Receive(t, "GET"); r.Status != 200 || !r.Closes() {
		t.Errorf("%v", r)
	}
	busy.ExpectEOF(t)
	s.ExpectExit(0)
}

func TestTLSRequestThatCrossesTheDrain(t *testing.T) {
	t.Parallel()
	// A lame duck is read a while longer: a client that goes on asking hears from an
	// answer that it is the last one, and not from a connection that is closed.
	for range 10 {
		s := harness.Start(t, harness.WithTLS(t, harness.Options{App: "gated:app", Args: []string{"--threads", "2"}}))
		c := s.Client()
		c.Do(t, "GET", "/", "")
		m := inFlight(s)
		s.Signal(syscall.SIGTERM)
		told := asksThrough(t, c)
		m.run.Release()
		m.flight.Expect(200)
		s.ExpectExit(0)
		if told {
			return
		}
	}
	t.Error("no client was fast enough to be waited for")
}

// asksThrough makes requests until the server says that an answer is the last one. It is
// false if the connection was closed before a request that came too late.
func asksThrough(t *testing.T, c *harness.Client) bool {
	t.Helper()
	// The server reads for 250 ms: what is sent just before their end may be on its way still.
	const lameDuck = 200 * time.Millisecond
	last := time.Now()
	for {
		began := time.Now()
		_, err := io.WriteString(c, harness.FormatRequest("GET", "/", ""))
		late := time.Since(last) >= lameDuck
		var r *harness.Response
		if err == nil {
			r, err = harness.ReadResponse(c.Reader, "GET")
		}
		switch {
		case err != nil && late:
			return false
		case err != nil || r.Status != 200:
			t.Fatalf("%v, %v", r, err)
		case r.Closes():
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
	s := harness.Start(t, harness.WithTLS(t, harness.Options{
		App: "webapp:app", Daemon: true, Args: []string{"--workers", "2"}, Files: map[string]string{"webapp.py": versioned("old")},
	}))
	l := s.WebLoad(8, harness.WebTLS)
	oneShot := s.OneShotLoad(2)
	l.Progress(50)
	for _, version := range []string{"new", "newer"} {
		s.WriteFile("webapp.py", versioned(version))
		old := s.PID()
		u := upgrade(s, 2)
		l.Progress(50)
		s.Signal(syscall.SIGTERM)
		harness.WaitGone(t, old)
		u.become()
		l.Progress(50)
		if got := s.Get("/version"); got != version {
			t.Errorf("after the upgrade version %s serves", got)
		}
	}
	l.ExpectNoneLost(t)
	if sum := oneShot.Finish(); sum.Losses() > 0 {
		t.Errorf("%v", sum)
	}
	s.Terminate()
}

func TestTLSRollback(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.WithTLS(t, harness.Options{App: "echo:app", Daemon: true}))
	l := s.WebLoad(4, harness.WebTLS)
	l.Progress(20)
	u := upgrade(s, 1)
	s.Signal(syscall.SIGWINCH)
	workersOf(s, s.PID(), 0)
	l.Progress(50)
	s.Signal(syscall.SIGHUP)
	workersOf(s, s.PID(), 1)
	harness.Kill(t, u.successor, syscall.SIGTERM)
	harness.WaitGone(t, u.successor)
	l.Progress(50)
	l.ExpectNoneLost(t)
	s.Terminate()
}

func TestTLSFrontDies(t *testing.T) {
	t.Parallel()
	// The next front has the certificate too.
	s := harness.Start(t, harness.WithTLS(t, harness.Options{App: "echo:app"}))
	front := s.Role("front")[0].PID
	harness.Kill(t, front, syscall.SIGKILL)
	harness.WaitGone(t, front)
	s.Ready()
	s.Get("/")
	s.Terminate()
}

// serial is that of the certificate that a new connection is shown.
func serial(s *harness.Server) int64 {
	s.T.Helper()
	c, err := s.Handshake(s.TLS)
	harness.Must(s.T, err)
	defer c.Close()
	return c.Conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// writePair replaces the certificate and its key.
func writePair(s *harness.Server, p harness.Pair) {
	s.T.Helper()
	s.WriteFile("key.pem", p.Key)
	s.WriteFile("cert.pem", p.Cert)
}

func TestCertificateReload(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.WithTLS(t, harness.Options{App: "echo:app"}))
	c := s.Client()
	c.Do(t, "GET", "/", "")
	if got := serial(s); got != 1000 {
		t.Fatalf("serial %d", got)
	}
	writePair(s, harness.Trusted().Issue(t, 1001, pkix.Name{CommonName: "localhost"}))
	s.Reload(1)
	if got := serial(s); got != 1001 {
		t.Errorf("after HUP the serial is %d", got)
	}
	// What is no pair leaves all as it is, and says so.
	s.WriteFile("key.pem", "no key\n")
	workers := s.Workers(1)
	mark := s.Log.Mark()
	s.Signal(syscall.SIGHUP)
	s.Log.ExpectFrom(t, mark, `\[ERROR\].*key\.pem`)
	if got := serial(s); got != 1001 {
		t.Errorf("after the broken reload the serial is %d", got)
	}
	if now := s.Workers(1); now[0] != workers[0] {
		t.Error("the broken reload has replaced the worker")
	}
	if r := c.Do(t, "GET", "/", ""); r.Status != 200 {
		t.Errorf("the connection from before: %v", r)
	}
	s.Terminate()
}

func TestCertificateFileChange(t *testing.T) {
	t.Parallel()
	// A renewed certificate is taken as it lies there: no signal, no connection
	// closed, no worker replaced.
	s := harness.Start(t, harness.WithTLS(t, harness.Options{App: "echo:app"}))
	workers := s.Workers(1)
	c := s.Client()
	c.Do(t, "GET", "/", "")
	writePair(s, harness.Trusted().Issue(t, 1002, pkix.Name{CommonName: "localhost"}))
	harness.Eventually(t, "the new certificate is shown", func() bool { return serial(s) == 1002 })
	if now := s.Workers(1); now[0] != workers[0] {
		t.Error("the worker was replaced")
	}
	if r := c.Do(t, "GET", "/", ""); r.Status != 200 || r.Closes() {
		t.Errorf("the connection from before: %v", r)
	}
	s.Terminate()
}

// TestExpiredCertificate: one that clients refuse is taken, since it may be the best there is,
// and the log says what is wrong with it.
func TestExpiredCertificate(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.WithTLS(t, harness.Options{App: "echo:app"}))
	writePair(s, harness.Trusted().IssueUntil(t, 1001, pkix.Name{CommonName: "localhost"}, time.Now().Add(-time.Hour)))
	s.Log.Expect(t, `\[WARNING\] The certificate of localhost in \S+/cert\.pem expired on .* UTC: clients will refuse it$`)
	harness.Eventually(t, "it is shown", func() bool {
		_, err := s.Handshake(s.TLS)
		var invalid x509.CertificateInvalidError
		return errors.As(err, &invalid) && invalid.Reason == x509.Expired
	})
	writePair(s, harness.Trusted().Issue(t, 1002, pkix.Name{CommonName: "localhost"}))
	harness.Eventually(t, "the next one is shown", func() bool {
		c, err := s.Handshake(s.TLS)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	if got := serial(s); got != 1002 {
		t.Errorf("serial %d", got)
	}
	s.Terminate()
}

func TestBadCertificates(t *testing.T) {
	t.Parallel()
	good := harness.WithTLS(t, harness.Options{}).Files
	other := harness.Trusted().Issue(t, 5, pkix.Name{CommonName: "localhost"})
	for name, c := range map[string]struct {
		args  []string
		files map[string]string
		want  string
	}{
		"no such file":      {[]string{"--certfile", "missing.pem"}, nil, `missing\.pem`},
		"no PEM":            {[]string{"--certfile", "cert.pem", "--keyfile", "key.pem"}, map[string]string{"cert.pem": "nonsense\n", "key.pem": good["key.pem"]}, `cert\.pem`},
		"key of another":    {[]string{"--certfile", "cert.pem", "--keyfile", "key.pem"}, map[string]string{"cert.pem": good["cert.pem"], "key.pem": other.Key}, `key\.pem`},
		"key only":          {[]string{"--keyfile", "key.pem"}, good, `certfile`},
		"no key":            {[]string{"--certfile", "cert.pem"}, good, `key`},
		"no CA":             {[]string{"--certfile", "cert.pem", "--keyfile", "key.pem", "--cert-reqs", "2"}, good, `ca_certs`},
		"unknown cipher":    {[]string{"--certfile", "cert.pem", "--keyfile", "key.pem", "--ciphers", "NO-SUCH-CIPHER"}, good, `NO-SUCH-CIPHER`},
		"unknown version":   {[]string{"--certfile", "cert.pem", "--keyfile", "key.pem", "--tls-min-version", "1.1"}, good, `1\.1`},
		"HTTP/3":            {[]string{"--http-protocols", "h3"}, nil, `h3`},
		"cleartext upgrade": {[]string{"--http2-cleartext", "upgrade"}, nil, `upgrade`},
	} {
		t.Run(name, func(t *testing.T) {
			s := harness.Launch(t, harness.Options{Args: c.args, Files: c.files})
			if code := s.Exit(); code == 0 {
				t.Errorf("exit code %d", code)
			}
			s.Log.Expect(t, c.want)
			if s.Log.Count("Traceback|Listening at") > 0 {
				t.Error("it got further than it should")
			}
		})
	}
}

func TestUnprivilegedFront(t *testing.T) {
	t.Parallel()
	// The key belongs to root, and neither the front nor a worker can read it.
	py := harness.SystemPython()
	if py == "" {
		t.Skip("there is no interpreter that every user can run")
	}
	if out, err := exec.Command("id", "-u").Output(); err != nil || strings.TrimSpace(string(out)) != "0" {
		t.Skip("not root")
	}
	o := harness.WithTLS(t, harness.Options{Python: py})
	o.Args = append(o.Args, "--user", "65534", "--group", "65534")
	o.NoProbe = true
	o.App = "webapp:app"
	o.Files["webapp.py"] = versioned("1")
	s := harness.Launch(t, o)
	harness.Must(t, syscall.Chmod(s.Path("key.pem"), 0o600))
	s.Ready()
	if got := harness.ProcStatus(s.Role("front")[0].PID, "Uid"); !strings.HasPrefix(got, "65534") {
		t.Errorf("the front runs as %s", got)
	}
	// So is the next one.
	writePair(s, harness.Trusted().Issue(t, 1003, pkix.Name{CommonName: "localhost"}))
	harness.Must(t, syscall.Chmod(s.Path("key.pem"), 0o600))
	s.Reload(1)
	if got := serial(s); got != 1003 {
		t.Errorf("after HUP the serial is %d", got)
	}
	s.Terminate()
}

func TestSessionTickets(t *testing.T) {
	t.Parallel()
	// They are good after a reload, with another front, and after an upgrade.
	s := harness.Start(t, harness.WithTLS(t, harness.Options{App: "echo:app", Daemon: true}))
	cache := tls.NewLRUClientSessionCache(4)
	resumed := func(when string, want bool) {
		t.Helper()
		c, err := s.Handshake(s.TLSConfig(func(c *tls.Config) { c.ClientSessionCache = cache }))
		harness.Must(t, err)
		defer c.Close()
		c.Do(t, "GET", "/", "") // the ticket comes before the answer
		if got := c.Conn.(*tls.Conn).ConnectionState().DidResume; got != want {
			t.Errorf("%s: resumed %v", when, got)
		}
	}
	resumed("at first", false)
	resumed("the same front", true)
	s.Reload(1)
	resumed("after a reload", true)
	front := s.Role("front")[0].PID
	harness.Kill(t, front, syscall.SIGKILL)
	harness.WaitGone(t, front)
	s.Ready()
	resumed("the next front", true)
	old := s.PID()
	u := upgrade(s, 1)
	s.Signal(syscall.SIGTERM)
	harness.WaitGone(t, old)
	u.become()
	resumed("after an upgrade", true)
	s.Terminate()
}
