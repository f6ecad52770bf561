//go:build linux

package test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"indrik/test/harness"
)

// The tests of this file take the blocks of docs/deploy.md that are marked as tested, put
// the paths and ports of a test in the place of those of the page, and run the real
// programs.

// testedBlock returns the block of docs/deploy.md before the mark "*tested: NAME".
func testedBlock(t *testing.T, name string) string {
	t.Helper()
	return harness.PageBlock(t, "deploy.md", name)
}

// checkProxied asks the app through the program for what a proxy can get wrong: the client's
// address and scheme, a body, a stream that comes in parts, a WebSocket.
func checkProxied(t *testing.T, s *harness.Server, port int) {
	t.Helper()
	via := harness.EndpointAt(t, port)
	harness.Eventually(t, "the proxy answers", func() bool {
		r, err := via.Request("GET", "/who", "")
		return err == nil && r.Status == 200
	})
	seen := harness.DialFrom(t, "127.0.0.3", port).Do(t, "GET", "/who", "", "X-Forwarded-For: 203.0.113.9")
	// The client that the proxy saw, not the one that this client claims to stand for.
	if want := "127.0.0.3 http"; seen.Body != want {
		t.Errorf("the app sees %q, want %q", seen.Body, want)
	}
	body := strings.Repeat("0123456789abcdef", 8192)
	if r, err := via.Request("POST", "/echo", body); err != nil || r.Body != body {
		t.Errorf("the body of 128 KiB came back as %v, %v", r, err)
	}
	c := via.Client()
	c.Send(t, harness.FormatRequest("GET", "/stream", ""))
	c.ExpectHead(t, 200)
	c.ExpectChunks(t, "first")
	s.Gates["stream"].Release()
	c.ExpectChunks(t, "second", "")
	ws := via.WebSocket("/socket")
	ws.SendFrame(harness.Fin|harness.OpText, "hello")
	ws.ExpectMessage(harness.OpText, "hello")
}

func proxiedServer(t *testing.T, o harness.Options) *harness.Server {
	o.App, o.Python, o.Gates = "proxied:app", harness.Venv(t), []string{"stream"}
	return harness.Start(t, o)
}

func TestAllNginx(t *testing.T) {
	t.Parallel()
	harness.NeedsProgram(t, "nginx")
	s := proxiedServer(t, harness.Options{Bind: []string{"unix:DIR/shop.sock"}, Args: []string{"--forwarded-for", "all"}})
	port := harness.FreePort(t)
	runNginx(t, harness.ReplaceAll(t, testedBlock(t, "nginx"), "/run/shop/shop.sock", s.Path("shop.sock"), "listen 80", fmt.Sprintf("listen 127.0.0.1:%d", port)))
	checkProxied(t, s, port)
	s.Terminate()
}

func TestAllCaddy(t *testing.T) {
	t.Parallel()
	program := harness.NeedsProgram(t, "caddy")
	s := proxiedServer(t, harness.Options{Bind: []string{"unix:DIR/shop.sock"}, Args: []string{"--forwarded-for", "all"}})
	dir, port := harness.TempDir(t), harness.FreePort(t)
	block := harness.ReplaceAll(t, testedBlock(t, "Caddy"), "/run/shop/shop.sock", s.Path("shop.sock"), "shop.example", fmt.Sprintf("http://:%d", port))
	harness.Must(t, os.WriteFile(filepath.Join(dir, "Caddyfile"), []byte("{\n    admin off\n}\n"+block), 0o644))
	harness.RunProgram(t, dir, []string{"HOME=" + dir}, program, "run", "--config", filepath.Join(dir, "Caddyfile"), "--adapter", "caddyfile")
	checkProxied(t, s, port)
	s.Terminate()
}

func TestAllHAProxy(t *testing.T) {
	t.Parallel()
	program := harness.NeedsProgram(t, "haproxy")
	s := proxiedServer(t, harness.Options{Args: []string{"--forwarded-for", "all", "--health-path", "/-/health"}})
	dir, port := harness.TempDir(t), harness.FreePort(t)
	block := harness.ReplaceAll(t, testedBlock(t, "HAProxy"), "bind :80", fmt.Sprintf("bind 127.0.0.1:%d", port), "10.0.0.1:8000", s.Address,
		"    server b 10.0.0.2:8000 check", "")
	harness.Must(t, os.WriteFile(filepath.Join(dir, "haproxy.cfg"), []byte(block+"\n"), 0o644))
	harness.RunProgram(t, dir, nil, program, "-db", "-f", filepath.Join(dir, "haproxy.cfg"))
	checkProxied(t, s, port)
	s.Terminate()
}

func TestAllApache(t *testing.T) {
	t.Parallel()
	harness.NeedsProgram(t, "apache2")
	s := proxiedServer(t, harness.Options{Args: []string{"--forwarded-for", "all"}})
	port := harness.FreePort(t)
	block := harness.ReplaceAll(t, testedBlock(t, "Apache"), "127.0.0.1:8000", s.Address, "*:80", fmt.Sprintf("*:%d", port))
	runApache(t, port, block, "proxy", "proxy_http", "headers")
	checkProxied(t, s, port)
	s.Terminate()
}

func TestAllSupervisor(t *testing.T) {
	t.Parallel()
	program := harness.NeedsProgram(t, "supervisord")
	dir, port := harness.TempDir(t), harness.FreePort(t)
	harness.Must(t, os.WriteFile(filepath.Join(dir, "hello.py"), []byte("def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'hello']\n"), 0o644))
	block := harness.ReplaceAll(t, testedBlock(t, "supervisor"), "/srv/shop/.venv/bin/indrik", harness.Command(t)[0], "/srv/shop", dir, "127.0.0.1:8000",
		fmt.Sprintf("127.0.0.1:%d", port), "user=shop\n", "", "/var/log/shop.log", filepath.Join(dir, "shop.log"), "shop.wsgi", "hello")
	harness.Must(t, os.WriteFile(filepath.Join(dir, "supervisord.conf"), fmt.Appendf(nil, "[supervisord]\nlogfile=%[1]s/supervisord.log\npidfile=%[1]s/supervisord.pid\nnodaemon=true\n%[2]s", dir, block), 0o644))
	harness.RunProgram(t, dir, []string{"INDRIK_PYTHON=" + harness.Python(), "GORACE=atexit_sleep_ms=0"}, program, "--configuration", filepath.Join(dir, "supervisord.conf"))
	via := harness.EndpointAt(t, port)
	harness.Eventually(t, "the server answers", func() bool {
		r, err := via.Request("GET", "/", "")
		return err == nil && r.Body == "hello"
	})
}

// TestAllUnits: systemd's own checker finds nothing in the units of the page and of the
// packages.
func TestAllUnits(t *testing.T) {
	t.Parallel()
	program := harness.NeedsProgram(t, "systemd-analyze")
	dir := harness.TempDir(t)
	units := map[string]string{
		"shop.service": testedBlock(t, "unit"), "shop.socket": testedBlock(t, "socket"),
		"shop-agent@.service": harness.PageBlock(t, "kubernetes.md", "agent."), "shop-agent.socket": harness.PageBlock(t, "kubernetes.md", "agent socket"),
	}
	for _, name := range []string{"indrik@.service", "indrik@.socket"} {
		text, err := os.ReadFile(filepath.Join(harness.Repository, "packaging", "systemd", name))
		harness.Must(t, err)
		units[name] = string(text)
	}
	var paths []string
	for name, text := range units {
		for _, path := range []string{"/srv/shop/.venv/bin/indrik", "/usr/bin/indrik"} {
			text = strings.ReplaceAll(text, path, harness.Command(t)[0])
		}
		path := filepath.Join(dir, name)
		harness.Must(t, os.WriteFile(path, []byte(text), 0o644))
		paths = append(paths, path)
	}
	out, err := exec.Command(program, append([]string{"verify", "--man=no"}, paths...)...).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		switch {
		case strings.Contains(line, "notify-reload"): // of a systemd that is older than the type
		case strings.Contains(line, dir) || strings.Contains(line, "shop"):
			t.Errorf("%s (%v)", strings.TrimSpace(line), err)
		}
	}
}

// TestDeployRedirect: the app of the page answers challenges, and sends others to HTTPS.
func TestDeployRedirect(t *testing.T) {
	t.Parallel()
	dir := harness.TempDir(t)
	harness.Must(t, os.MkdirAll(filepath.Join(dir, ".well-known/acme-challenge"), 0o755))
	harness.Must(t, os.WriteFile(filepath.Join(dir, ".well-known/acme-challenge/token"), []byte("proof"), 0o644))
	s := harness.Start(t, harness.Options{App: "redirect:app", Files: map[string]string{"redirect.py": harness.ReplaceAll(t, testedBlock(t, "redirect"), "/srv/acme", dir)}})
	if got := s.Get("/.well-known/acme-challenge/token"); got != "proof" {
		t.Errorf("the challenge is answered with %q", got)
	}
	for path, want := range map[string]string{"/a?b=c": "https://test/a?b=c", "/.well-known/acme-challenge/..": "https://test/.well-known/acme-challenge/.."} {
		r, err := s.Request("GET", path, "")
		if err != nil || r.Status != 308 || r.Get("Location") != want {
			t.Errorf("%s: %v, %v", path, r, err)
		}
	}
	s.Terminate()
}

// TestDeployProcfile: the line works as a shell of the platform runs it, with PORT.
func TestDeployProcfile(t *testing.T) {
	t.Parallel()
	line := strings.TrimSpace(strings.TrimPrefix(testedBlock(t, "Procfile"), "web: "))
	port := harness.FreePort(t)
	bin := filepath.Dir(harness.Command(t)[0])
	s := harness.Start(t, harness.Options{
		App: "-", Bind: []string{}, Binary: line, Wrap: []string{"bash", "-c"}, NoProbe: true,
		Env:   []string{"PATH=" + bin + ":" + os.Getenv("PATH"), fmt.Sprintf("PORT=%d", port), "WEB_CONCURRENCY=2"},
		Files: map[string]string{"shop/__init__.py": "", "shop/wsgi.py": "from hello import app as application\n"},
	})
	s.ListensOn(port)
	s.Ready()
	s.Workers(2)
	s.Terminate()
}

// TestDeployMutualTLS: without a certificate of the authority nobody gets an answer.
func TestDeployMutualTLS(t *testing.T) {
	t.Parallel()
	block := strings.ReplaceAll(testedBlock(t, "mutual TLS"), "\\\n", " ")
	server, client := harness.Trusted().Issue(t, 2, pkix.Name{CommonName: "localhost"}), harness.Trusted().Issue(t, 3, pkix.Name{CommonName: "client"})
	args := strings.Fields(strings.TrimSuffix(strings.TrimSpace(strings.TrimPrefix(block, "indrik --bind 0.0.0.0:443")), "shop.wsgi"))
	s := harness.Start(t, harness.Options{
		Args:    args,
		Files:   map[string]string{"server.pem": server.Cert, "server.key": server.Key, "clients-ca.pem": harness.Trusted().PEM},
		NoProbe: true,
	})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(harness.Trusted().PEM))
	mine, err := tls.X509KeyPair([]byte(client.Cert), []byte(client.Key))
	harness.Must(t, err)
	ask := func(certs ...tls.Certificate) error {
		d := tls.Dialer{NetDialer: &net.Dialer{Timeout: harness.Patience}, Config: &tls.Config{RootCAs: roots, ServerName: "localhost", Certificates: certs}}
		c, err := d.Dial("tcp", s.Address)
		if err != nil {
			return err
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(harness.Patience))
		if _, err := io.WriteString(c, harness.FormatRequest("GET", "/", "", "Connection: close")); err != nil {
			return err
		}
		text, err := io.ReadAll(c)
		if err == nil && !strings.Contains(string(text), " 200 ") {
			err = fmt.Errorf("%.100q", text)
		}
		return err
	}
	harness.Eventually(t, "the server answers", func() bool { return ask(mine) == nil })
	if err := ask(); err == nil {
		t.Error("a client without a certificate got an answer")
	}
	s.Terminate()
}

// TestAllDebugpy: the hook of the page lets a debugger attach.
func TestAllDebugpy(t *testing.T) {
	t.Parallel()
	harness.NeedsProgram(t, "sh")
	interpreter := filepath.Join(harness.Repository, ".cache", "venv-tools", "bin", "python")
	if err := exec.Command(interpreter, "-c", "import debugpy").Run(); err != nil {
		t.Skip("needs debugpy: make venv-tools")
	}
	port := harness.FreePort(t)
	s := harness.Start(t, harness.Options{Python: interpreter, Conf: harness.ReplaceAll(t, testedBlock(t, "debugpy"), "5678", fmt.Sprint(port))})
	c, err := harness.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	harness.Must(t, err)
	// The Debug Adapter Protocol begins with an event of the adapter's.
	line, err := c.Reader.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "Content-Length: ") {
		t.Errorf("the debugger says %q, %v", line, err)
	}
	c.Close() // the adapter, a process of its own, ends with its last client
	s.Terminate()
}
