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
	"syscall"
	"testing"
	"time"
)

// The tests of this file take the blocks of docs/deploy.md that are marked as tested, put
// the paths and ports of a test in the place of those of the page, and run the real
// programs.

// testedBlock returns the block of docs/deploy.md before the mark "*tested: NAME".
func testedBlock(t *testing.T, name string) string {
	t.Helper()
	return pageBlock(t, "deploy.md", name)
}

// pageBlock returns the block of a page in docs before the mark "*tested: NAME".
func pageBlock(t *testing.T, page, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, "docs", page))
	must(t, err)
	before, _, found := strings.Cut(string(text), "*tested: "+name)
	if !found {
		t.Fatalf("docs/%s has no block that is marked as *tested: %s", page, name)
	}
	blocks := strings.Split(before, "\n```")
	if len(blocks) < 3 {
		t.Fatalf("no block before *tested: %s", name)
	}
	_, block, _ := strings.Cut(blocks[len(blocks)-2], "\n")
	return block
}

// replaceAll replaces each first word of a pair, which must be there, by the second.
func replaceAll(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("the block has no %q:\n%s", pairs[i], text)
		}
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	return text
}

// needs skips the test if a program is not installed.
func needs(t *testing.T, program string) string {
	t.Helper()
	if os.Getenv("INDRIK_TEST_ALL") == "" {
		t.Skip("needs INDRIK_TEST_ALL=1")
	}
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("needs %s", program)
	}
	return path
}

// run starts a program that stays in the foreground, in a process group of its own, and
// ends it with the test. It returns its pid.
func run(t *testing.T, dir string, env []string, args ...string) int {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	log, err := os.Create(filepath.Join(dir, "program.log"))
	must(t, err)
	cmd.Stdout, cmd.Stderr = log, log
	must(t, cmd.Start())
	started.Store(cmd.Process.Pid, true)
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		done := make(chan struct{})
		go func() { _ = cmd.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(5 * time.Second):
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-done
		}
		log.Close()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("%q:\n%s", args, text)
		}
	})
	return cmd.Process.Pid
}

// checkProxied asks the app through the program for what a proxy can get wrong: the client's
// address and scheme, a body, a stream that comes in parts, a WebSocket.
func checkProxied(t *testing.T, s *server, port int) {
	t.Helper()
	via := &server{t: t, port: port, o: options{}}
	eventually(t, "the proxy answers", func() bool {
		r, err := via.request("GET", "/who", "")
		return err == nil && r.status == 200
	})
	seen := from(t, "127.0.0.3", port).do(t, "GET", "/who", "", "X-Forwarded-For: 203.0.113.9")
	// The client that the proxy saw, not the one that this client claims to stand for.
	if want := "127.0.0.3 http"; seen.body != want {
		t.Errorf("the app sees %q, want %q", seen.body, want)
	}
	body := strings.Repeat("0123456789abcdef", 8192)
	if r, err := via.request("POST", "/echo", body); err != nil || r.body != body {
		t.Errorf("the body of 128 KiB came back as %v, %v", r, err)
	}
	c := via.client()
	c.send(t, format("GET", "/stream", ""))
	c.expectHead(t, 200)
	c.expectChunks(t, "first")
	s.gates["stream"].release()
	c.expectChunks(t, "second", "")
	ws := via.socket("/socket")
	ws.sendFrame(fin|opText, "hello")
	ws.expectMessage(opText, "hello")
}

const proxiedApp = `import asyncio
import gate

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            event = await receive()
            await send({"type": event["type"] + ".complete"})
            if event["type"] == "lifespan.shutdown":
                return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            event = await receive()
            if event["type"] == "websocket.disconnect":
                return
            await send({"type": "websocket.send", "text": event["text"]})
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if scope["path"] == "/who":
        text = "%s %s" % (scope["client"][0], scope["scheme"])
        await send({"type": "http.response.body", "body": text.encode()})
    elif scope["path"] == "/stream":
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await asyncio.get_running_loop().run_in_executor(None, gate.wait, "stream")
        await send({"type": "http.response.body", "body": b"second"})
    else:
        while True:
            event = await receive()
            await send({"type": "http.response.body", "body": event.get("body", b""), "more_body": event.get("more_body", False)})
            if not event.get("more_body"):
                return
`

func proxiedServer(t *testing.T, o options) *server {
	o.app, o.python, o.gates = "proxied:app", venv(t), []string{"stream"}
	o.files = map[string]string{"proxied.py": proxiedApp}
	return start(t, o)
}

func TestAllNginx(t *testing.T) {
	t.Parallel()
	program := needs(t, "nginx")
	s := proxiedServer(t, options{bind: []string{"unix:DIR/shop.sock"}, args: []string{"--forwarded-for", "all"}})
	dir, port := tempDir(t), freePort(t)
	block := replaceAll(t, testedBlock(t, "nginx"), "/run/shop/shop.sock", s.path("shop.sock"), "listen 80", fmt.Sprintf("listen 127.0.0.1:%d", port))
	must(t, os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(fmt.Sprintf(`daemon off; master_process off; pid %[1]s/nginx.pid; error_log stderr;
events {}
http {
    access_log off; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
%[2]s
}
`, dir, block)), 0o644))
	run(t, dir, nil, program, "-c", filepath.Join(dir, "nginx.conf"), "-p", dir)
	checkProxied(t, s, port)
	s.terminate()
}

func TestAllCaddy(t *testing.T) {
	t.Parallel()
	program := needs(t, "caddy")
	s := proxiedServer(t, options{bind: []string{"unix:DIR/shop.sock"}, args: []string{"--forwarded-for", "all"}})
	dir, port := tempDir(t), freePort(t)
	block := replaceAll(t, testedBlock(t, "Caddy"), "/run/shop/shop.sock", s.path("shop.sock"), "shop.example", fmt.Sprintf("http://:%d", port))
	must(t, os.WriteFile(filepath.Join(dir, "Caddyfile"), []byte("{\n    admin off\n}\n"+block), 0o644))
	run(t, dir, []string{"HOME=" + dir}, program, "run", "--config", filepath.Join(dir, "Caddyfile"), "--adapter", "caddyfile")
	checkProxied(t, s, port)
	s.terminate()
}

func TestAllHAProxy(t *testing.T) {
	t.Parallel()
	program := needs(t, "haproxy")
	s := proxiedServer(t, options{args: []string{"--forwarded-for", "all", "--health-path", "/-/health"}})
	dir, port := tempDir(t), freePort(t)
	block := replaceAll(t, testedBlock(t, "HAProxy"), "bind :80", fmt.Sprintf("bind 127.0.0.1:%d", port), "10.0.0.1:8000", s.addr(),
		"    server b 10.0.0.2:8000 check", "")
	must(t, os.WriteFile(filepath.Join(dir, "haproxy.cfg"), []byte(block+"\n"), 0o644))
	run(t, dir, nil, program, "-db", "-f", filepath.Join(dir, "haproxy.cfg"))
	checkProxied(t, s, port)
	s.terminate()
}

func TestAllApache(t *testing.T) {
	t.Parallel()
	program := needs(t, "apache2")
	s := proxiedServer(t, options{args: []string{"--forwarded-for", "all"}})
	dir, port := tempDir(t), freePort(t)
	block := replaceAll(t, testedBlock(t, "Apache"), "127.0.0.1:8000", s.addr(), "*:80", fmt.Sprintf("*:%d", port))
	var modules strings.Builder
	for _, m := range []string{"mpm_event", "proxy", "proxy_http", "headers", "authz_core"} {
		fmt.Fprintf(&modules, "LoadModule %s_module /usr/lib/apache2/modules/mod_%s.so\n", m, m)
	}
	must(t, os.WriteFile(filepath.Join(dir, "apache.conf"), []byte(fmt.Sprintf(`ServerRoot %[1]s
PidFile %[1]s/apache.pid
DefaultRuntimeDir %[1]s
ErrorLog /dev/stderr
Listen 127.0.0.1:%[2]d
User www-data
Group www-data
%[3]s
%[4]s
`, dir, port, modules.String(), block)), 0o644))
	run(t, dir, nil, program, "-D", "FOREGROUND", "-f", filepath.Join(dir, "apache.conf"))
	checkProxied(t, s, port)
	s.terminate()
}

func TestAllSupervisor(t *testing.T) {
	t.Parallel()
	program := needs(t, "supervisord")
	dir, port := tempDir(t), freePort(t)
	must(t, os.WriteFile(filepath.Join(dir, "hello.py"), []byte("def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'hello']\n"), 0o644))
	block := replaceAll(t, testedBlock(t, "supervisor"), "/srv/shop/.venv/bin/indrik", command(t)[0], "/srv/shop", dir, "127.0.0.1:8000",
		fmt.Sprintf("127.0.0.1:%d", port), "user=shop\n", "", "/var/log/shop.log", filepath.Join(dir, "shop.log"), "shop.wsgi", "hello")
	must(t, os.WriteFile(filepath.Join(dir, "supervisord.conf"), []byte(fmt.Sprintf("[supervisord]\nlogfile=%[1]s/supervisord.log\npidfile=%[1]s/supervisord.pid\nnodaemon=true\n%[2]s", dir, block)), 0o644))
	run(t, dir, []string{"INDRIK_PYTHON=" + python(), "GORACE=atexit_sleep_ms=0"}, program, "--configuration", filepath.Join(dir, "supervisord.conf"))
	via := &server{t: t, port: port}
	eventually(t, "the server answers", func() bool {
		r, err := via.request("GET", "/", "")
		return err == nil && r.body == "hello"
	})
}

// TestAllUnits: systemd's own checker finds nothing in the units of the page and of the
// packages.
func TestAllUnits(t *testing.T) {
	t.Parallel()
	program := needs(t, "systemd-analyze")
	dir := tempDir(t)
	units := map[string]string{
		"shop.service": testedBlock(t, "unit"), "shop.socket": testedBlock(t, "socket"),
		"shop-agent@.service": pageBlock(t, "kubernetes.md", "agent."), "shop-agent.socket": pageBlock(t, "kubernetes.md", "agent socket"),
	}
	for _, name := range []string{"indrik@.service", "indrik@.socket"} {
		text, err := os.ReadFile(filepath.Join(repository, "packaging", "systemd", name))
		must(t, err)
		units[name] = string(text)
	}
	var paths []string
	for name, text := range units {
		for _, path := range []string{"/srv/shop/.venv/bin/indrik", "/usr/bin/indrik"} {
			text = strings.ReplaceAll(text, path, command(t)[0])
		}
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, []byte(text), 0o644))
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
	dir := tempDir(t)
	must(t, os.MkdirAll(filepath.Join(dir, ".well-known/acme-challenge"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, ".well-known/acme-challenge/token"), []byte("proof"), 0o644))
	s := start(t, options{app: "redirect:app", files: map[string]string{"redirect.py": replaceAll(t, testedBlock(t, "redirect"), "/srv/acme", dir)}})
	if got := s.get("/.well-known/acme-challenge/token"); got != "proof" {
		t.Errorf("the challenge is answered with %q", got)
	}
	for path, want := range map[string]string{"/a?b=c": "https://test/a?b=c", "/.well-known/acme-challenge/..": "https://test/.well-known/acme-challenge/.."} {
		r, err := s.request("GET", path, "")
		if err != nil || r.status != 308 || r.get("Location") != want {
			t.Errorf("%s: %v, %v", path, r, err)
		}
	}
	s.terminate()
}

// TestDeployProcfile: the line works as a shell of the platform runs it, with PORT.
func TestDeployProcfile(t *testing.T) {
	t.Parallel()
	line := strings.TrimSpace(strings.TrimPrefix(testedBlock(t, "Procfile"), "web: "))
	port := freePort(t)
	bin := filepath.Dir(command(t)[0])
	s := start(t, options{
		app: "-", bind: []string{}, binary: line, wrap: []string{"bash", "-c"}, noProbe: true,
		env:   []string{"PATH=" + bin + ":" + os.Getenv("PATH"), fmt.Sprintf("PORT=%d", port), "WEB_CONCURRENCY=2"},
		files: map[string]string{"shop/__init__.py": "", "shop/wsgi.py": "from hello import app as application\n"},
	})
	s.port = port
	s.ready()
	s.workers(2)
	s.terminate()
}

// TestDeployMutualTLS: without a certificate of the authority nobody gets an answer.
func TestDeployMutualTLS(t *testing.T) {
	t.Parallel()
	block := strings.ReplaceAll(testedBlock(t, "mutual TLS"), "\\\n", " ")
	server, client := trusted().issue(t, 2, pkix.Name{CommonName: "localhost"}), trusted().issue(t, 3, pkix.Name{CommonName: "client"})
	args := strings.Fields(strings.TrimSuffix(strings.TrimSpace(strings.TrimPrefix(block, "indrik --bind 0.0.0.0:443")), "shop.wsgi"))
	s := start(t, options{
		args:    args,
		files:   map[string]string{"server.pem": server.cert, "server.key": server.key, "clients-ca.pem": trusted().pem},
		noProbe: true,
	})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(trusted().pem))
	mine, err := tls.X509KeyPair([]byte(client.cert), []byte(client.key))
	must(t, err)
	ask := func(certs ...tls.Certificate) error {
		d := tls.Dialer{NetDialer: &net.Dialer{Timeout: patience}, Config: &tls.Config{RootCAs: roots, ServerName: "localhost", Certificates: certs}}
		c, err := d.Dial("tcp", s.addr())
		if err != nil {
			return err
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patience))
		if _, err := io.WriteString(c, format("GET", "/", "", "Connection: close")); err != nil {
			return err
		}
		text, err := io.ReadAll(c)
		if err == nil && !strings.Contains(string(text), " 200 ") {
			err = fmt.Errorf("%.100q", text)
		}
		return err
	}
	eventually(t, "the server answers", func() bool { return ask(mine) == nil })
	if err := ask(); err == nil {
		t.Error("a client without a certificate got an answer")
	}
	s.terminate()
}

// TestAllDebugpy: the hook of the page lets a debugger attach.
func TestAllDebugpy(t *testing.T) {
	t.Parallel()
	needs(t, "sh")
	interpreter := filepath.Join(repository, ".cache", "venv-tools", "bin", "python")
	if err := exec.Command(interpreter, "-c", "import debugpy").Run(); err != nil {
		t.Skip("needs debugpy: make venv-tools")
	}
	port := freePort(t)
	s := start(t, options{python: interpreter, conf: replaceAll(t, testedBlock(t, "debugpy"), "5678", fmt.Sprint(port))})
	c, err := dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	must(t, err)
	// The Debug Adapter Protocol begins with an event of the adapter's.
	line, err := c.r.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "Content-Length: ") {
		t.Errorf("the debugger says %q, %v", line, err)
	}
	c.Close() // the adapter, a process of its own, ends with its last client
	s.terminate()
}
